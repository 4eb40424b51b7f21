// The commands that sign. An operation that was pending on the account is finished first, and said so: a crash between
// signing and the last answer costs nothing but this.
#include <fmt/core.h>

#include "cli/keys_commands.h"
#include "cli/wallet_commands.h"
#include "cli/wallet_session.h"
#include "cli/wallet_text.h"
#include "protocol/signing.h"

namespace zef::cli {
namespace {

using client::Completed;
using client::Outcome;
using protocol::Uid;

struct OperationFlags : WalletFlags {
  std::string account;
  std::vector<std::string> payments;
  std::string memo;
  std::string funding = "0";
  std::string label;
  std::string owner;
  bool burn = false;
  std::vector<std::string> accounts;
};

// Tells of a failure once: on stderr in words, with --json on stdout too.
ExitCode report(const client::Failure& failure, bool json) {
  if (json) print_json({{"ok", false}, {"error", client::to_string(failure.kind)}, {"message", failure.message}});
  print_err(fmt::format("zef: {}\n", in_words(failure)));
  return exit_code_of(failure.kind);
}

codec::Json completed_json(const WalletSession& session, const Completed& completed) {
  codec::Json validators = codec::Json::array();
  for (const auto index : completed.acknowledged) validators.push_back(session.network.committee.find(index)->name);
  codec::Json json = {{"ok", true}};
  json.update(request_json(completed.request));
  json["fee"] = completed.fee.value();
  json["request_hash"] = protocol::hash_of(session.network.id, completed.request).hex();
  json["acknowledged"] = std::move(validators);
  return json;
}

// A quorum is enough for the person who waits; the others are told too before the program ends, unless one is away.
void tell_the_others(WalletSession& session) {
  constexpr Duration limit = std::chrono::seconds(1);
  static_cast<void>(session.run("telling the other validators", session.quorum->finish_background(limit)));
}

ExitCode report(WalletSession& session, const Outcome<Completed>& outcome, bool json) {
  if (!outcome) return report(outcome.error(), json);
  if (json)
    print_json(completed_json(session, *outcome));
  else
    print_out(fmt::format("done: account {} {}; operation {}, fee {}, executed by {} of {} validators\n",
                          outcome->request.account.text(), in_words(outcome->request.operation),
                          grouped(outcome->request.sequence_number.value()), grouped(outcome->fee.value()),
                          outcome->acknowledged.size(), session.network.committee.size()));
  tell_the_others(session);
  return ExitCode::ok;
}

// The account of a command, and a word about what comes first.
Result<Uid> account_of(WalletSession& session, const std::string& text) {
  auto uid = parse_account(text);
  if (!uid) return uid;
  const auto view = session.wallet->account(*uid);
  if (!view) return std::unexpected(view.error());
  if (view->locked_into)
    print_err(fmt::format("account {} is locked into {}: 'zef wallet swap status {}' (or 'settle') tells who waits\n",
                          uid->text(), view->locked_into->text(), view->locked_into->text()));
  else if (view->pending)
    print_err(fmt::format("account {} has a pending operation ({}), which is finished first\n", uid->text(),
                          in_words(view->pending->operation)));
  return uid;
}

struct Ready {
  std::unique_ptr<WalletSession> session;
  Uid uid;
};
Result<Ready> prepare(const OperationFlags& flags) {
  auto session = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!session) return std::unexpected(session.error());
  auto uid = account_of(**session, flags.account);
  if (!uid) return std::unexpected(uid.error());
  return Ready{std::move(*session), std::move(*uid)};
}

Result<ExitCode> transfer(const OperationFlags& flags) {
  auto payments = parse_payments(flags.payments, flags.memo);
  if (!payments) return std::unexpected(payments.error());
  auto ready = prepare(flags);
  if (!ready) return std::unexpected(ready.error());
  WalletSession& session = *ready->session;
  return report(session, session.run("transferring", session.wallet->transfer(ready->uid, std::move(*payments))),
                flags.json);
}

Result<ExitCode> open(const OperationFlags& flags) {
  const auto funding = parse_amount(flags.funding);
  if (!funding) return std::unexpected(funding.error());
  std::optional<protocol::PublicKey> owner;
  if (!flags.owner.empty()) {
    const auto key = public_key_from(flags.owner);
    if (!key) return std::unexpected(key.error());
    owner = *key;
  }
  auto ready = prepare(flags);
  if (!ready) return std::unexpected(ready.error());
  WalletSession& session = *ready->session;
  auto opened =
      session.run("opening an account", session.wallet->open_account(ready->uid, *funding, flags.label, owner));
  if (!opened) return report(opened.error(), flags.json);
  return report(session, Outcome<Completed>(std::move(opened->completed)), flags.json);
}

Result<ExitCode> rotate(const OperationFlags& flags) {
  auto ready = prepare(flags);
  if (!ready) return std::unexpected(ready.error());
  WalletSession& session = *ready->session;
  return report(session, session.run("changing the key", session.wallet->rotate(ready->uid)), flags.json);
}

Result<ExitCode> give(const OperationFlags& flags) {
  const auto owner = public_key_from(flags.owner);
  if (!owner) return std::unexpected(owner.error());
  auto ready = prepare(flags);
  if (!ready) return std::unexpected(ready.error());
  WalletSession& session = *ready->session;
  return report(session, session.run("giving the account away", session.wallet->give(ready->uid, *owner)), flags.json);
}

Result<ExitCode> close(const OperationFlags& flags) {
  auto ready = prepare(flags);
  if (!ready) return std::unexpected(ready.error());
  WalletSession& session = *ready->session;
  return report(session, session.run("closing the account", session.wallet->close(ready->uid, flags.burn)), flags.json);
}

Result<ExitCode> adopt(const OperationFlags& flags) {
  auto session = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!session) return std::unexpected(session.error());
  auto uid = parse_account(flags.account);
  if (!uid) return std::unexpected(uid.error());
  const auto adopted =
      (*session)->run("taking the account over", (*session)->wallet->adopt(std::move(*uid), flags.label));
  if (!adopted) return report(adopted.error(), flags.json);
  codec::Json json = {{"ok", true}};
  json.update(account_json(*adopted));
  if (flags.json)
    print_json(json);
  else
    print_out(fmt::format("account {} belongs to this wallet now\n", adopted->uid.text()));
  return ExitCode::ok;
}

Result<std::vector<Uid>> chosen_accounts(client::Wallet& wallet, const std::vector<std::string>& texts) {
  std::vector<Uid> uids;
  for (const std::string& text : texts) {
    auto uid = parse_account(text);
    if (!uid) return std::unexpected(uid.error());
    uids.push_back(std::move(*uid));
  }
  if (!texts.empty()) return uids;
  const auto accounts = wallet.accounts();
  if (!accounts) return std::unexpected(accounts.error());
  for (const auto& account : *accounts) uids.push_back(account.uid);
  return uids;
}

Result<ExitCode> sync(const OperationFlags& flags) {
  auto opened = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!opened) return std::unexpected(opened.error());
  WalletSession& session = **opened;
  const auto uids = chosen_accounts(*session.wallet, flags.accounts);
  if (!uids) return std::unexpected(uids.error());
  const auto finished = session.run("finishing pending operations", session.wallet->finish_pending());
  if (!finished) return report(finished.error(), flags.json);
  if (*finished > 0) print_err(fmt::format("{} pending operations were finished first\n", *finished));

  codec::Json accounts = codec::Json::array();
  Table table({{"account"}, {"balance", true}, {"new credits", true}, {"new operations", true}, {"unverified", true}});
  Progress progress(session.loop, "accounts synchronised");
  ExitCode code = ExitCode::ok;
  for (std::size_t i = 0; i < uids->size(); ++i) {
    const auto report_of_one = run_flow(session.loop, session.wallet->sync((*uids)[i]));
    progress.update(i + 1, uids->size());
    if (!report_of_one) {
      print_err(fmt::format("zef: account {}: {}\n", (*uids)[i].text(), in_words(report_of_one.error())));
      accounts.push_back({{"account", (*uids)[i].text()}, {"error", report_of_one.error().message}});
      code = exit_code_of(report_of_one.error().kind);
      continue;
    }
    accounts.push_back({{"account", (*uids)[i].text()},
                        {"balance", codec::to_decimal(report_of_one->balance)},
                        {"received", report_of_one->received},
                        {"executed", report_of_one->executed},
                        {"unverified", report_of_one->unverified}});
    table.add({(*uids)[i].text(), grouped(report_of_one->balance), grouped(report_of_one->received),
               grouped(report_of_one->executed), grouped(report_of_one->unverified)});
  }
  if (flags.json)
    print_json({{"ok", code == ExitCode::ok}, {"finished", *finished}, {"accounts", std::move(accounts)}});
  else
    print_out(table.text());
  return code;
}

CLI::App& add(Program& program, CLI::App& wallet, const char* name, const char* description,
              const std::shared_ptr<OperationFlags>& flags, Result<ExitCode> (*action)(const OperationFlags&)) {
  CLI::App& app = add_command(program, wallet, name, description, [flags, action] { return action(*flags); });
  flags->add_to(app);
  return app;
}

}  // namespace

void add_wallet_operations(Program& program, CLI::App& wallet) {
  const auto flags = [] { return std::make_shared<OperationFlags>(); };
  auto f = flags();
  CLI::App* app = &add(program, wallet, "transfer",
                       "Pays: FROM TO AMOUNT, or FROM and several TO:AMOUNT; TO may be 'burn'", f, transfer);
  app->add_option("from", f->account, "The account that pays")->required();
  app->add_option("payments", f->payments, "TO AMOUNT, or TO:AMOUNT ...")->required();
  app->add_option("--memo", f->memo, "Up to 64 bytes that go with each payment, readable by all");

  f = flags();
  app = &add(program, wallet, "open", "Opens a child account with a new key of this wallet", f, open);
  app->add_option("from", f->account, "The account that opens it")->required();
  app->add_option("--funding", f->funding, "What the new account gets")->capture_default_str();
  app->add_option("--label", f->label, "A name for it in this wallet");
  app->add_option("--owner", f->owner, "Somebody else's public key: the account is theirs then");

  f = flags();
  app = &add(program, wallet, "rotate", "Gives an account a new key of this wallet", f, rotate);
  app->add_option("account", f->account, "Which")->required();

  f = flags();
  app = &add(program, wallet, "give", "Gives an account to somebody else's key ('zef wallet key' makes one)", f, give);
  app->add_option("account", f->account, "Which")->required();
  app->add_option("owner", f->owner, "The new owner's public key, or the name of a sealed key file")->required();

  f = flags();
  app = &add(program, wallet, "close", "Closes an account for ever", f, close);
  app->add_option("account", f->account, "Which")->required();
  app->add_flag("--burn", f->burn, "Destroy what the account still holds");

  f = flags();
  app = &add(program, wallet, "adopt", "Takes over an account that was given to a key of this wallet", f, adopt);
  app->add_option("account", f->account, "Which")->required();
  app->add_option("--label", f->label, "A name for it in this wallet");

  f = flags();
  app = &add(program, wallet, "sync", "Fetches what happened to accounts: each credit with its certificate", f, sync);
  app->add_option("accounts", f->accounts, "Which; all without this");
}

}  // namespace zef::cli
