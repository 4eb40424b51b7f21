#include "cli/wallet_commands.h"

namespace zef::cli {

void add_wallet_commands(Program& program) {
  CLI::App& wallet = add_group(program.app, "wallet", "Accounts, their keys, and money");
  add_wallet_views(program, wallet);
  add_wallet_operations(program, wallet);
  add_wallet_instances(program, wallet);
}

}  // namespace zef::cli
