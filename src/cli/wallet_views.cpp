// The commands that look: balances backed by a quorum, history, public data; and those that keep: a new wallet, a new
// key, copies of keys.
#include <fmt/core.h>

#include "base/parallel.h"
#include "cli/files.h"
#include "cli/genesis_file.h"
#include "cli/wallet_commands.h"
#include "cli/wallet_session.h"
#include "cli/wallet_text.h"
#include "crypto/private_file.h"

namespace zef::cli {
namespace {

using client::AccountView;

struct ViewFlags : WalletFlags {
  std::vector<std::string> accounts;
  std::string account;
  bool offline = false;
  std::size_t limit = 20;
  std::size_t page = 1;
  std::filesystem::path keys_to;
  PassphraseOptions keys_passphrase;
};

constexpr std::size_t questions_at_once = 16;

// All of them, or those that were named.
Result<std::vector<AccountView>> chosen(client::Wallet& wallet, const std::vector<std::string>& texts) {
  if (texts.empty()) return wallet.accounts();
  std::vector<AccountView> views;
  for (const std::string& text : texts) {
    const auto uid = parse_account(text);
    if (!uid) return std::unexpected(uid.error());
    auto view = wallet.account(*uid);
    if (!view) return std::unexpected(view.error());
    views.push_back(std::move(*view));
  }
  return views;
}

// ---- show ----------------------------------------------------------------------------------------------------------

using Summaries = std::vector<std::optional<client::Outcome<client::AccountSummary>>>;

struct Asking {
  WalletSession& session;
  const std::vector<AccountView>& views;
  Summaries& summaries;
  Progress progress;
  std::size_t answered = 0;
};

Task<void> ask_one(Asking& asking, std::size_t i) {
  asking.summaries[i] = co_await asking.session.quorum->query_account(asking.views[i].uid);
  asking.progress.update(++asking.answered, asking.views.size());
}

Task<bool> ask_all(Asking& asking) {
  co_await in_parallel(asking.session.loop, asking.views.size(), questions_at_once,
                       [&asking](std::size_t i) { return ask_one(asking, i); });
  co_return true;
}

struct Shown {
  Table table{{{"account"}, {"label"}, {"balance", true}, {"next operation", true}, {"state"}}};
  codec::Json accounts = codec::Json::array();
  protocol::Balance sum = 0;
  std::size_t unanswered = 0;
};

void show_one(const AccountView& view, const std::optional<client::Outcome<client::AccountSummary>>& summary,
              Shown& shown) {
  codec::Json json = account_json(view);
  std::string balance = grouped(view.chain.balance);
  std::string next = grouped(view.chain.next.value());
  std::string status = status_text(view);
  json["source"] = "wallet";
  if (summary && *summary) {
    const client::AccountSummary& known = **summary;
    balance = grouped(known.balance);
    next = grouped(known.next.value());
    json["source"] = "quorum";
    json["balance"] = codec::to_decimal(known.balance);
    json["next"] = known.next.value();
    json["head"] = known.head.hex();
    json["closed"] = known.closed;
    if (known.closed && !view.chain.closed) status = "closed elsewhere: synchronise";
    if (known.next > view.chain.next) status += "; moved on elsewhere: synchronise";
    shown.sum += known.balance;
  } else if (summary) {
    balance = "?";
    status += "; " + summary->error().message;
    json["error"] = summary->error().message;
    ++shown.unanswered;
  } else {
    shown.sum += view.chain.balance;
  }
  shown.accounts.push_back(std::move(json));
  shown.table.add({view.uid.text(), view.label, balance, next, status});
}

Result<ExitCode> show(const ViewFlags& flags) {
  auto session = WalletSession::open(flags, flags.offline ? Reach::offline : Reach::online, Keys::locked);
  if (!session) return std::unexpected(session.error());
  const auto views = chosen(*(*session)->wallet, flags.accounts);
  if (!views) return std::unexpected(views.error());
  Summaries summaries(views->size());
  if (!flags.offline) {
    Asking asking{**session, *views, summaries, Progress((*session)->loop, "accounts asked about"), 0};
    static_cast<void>(run_flow((*session)->loop, ask_all(asking)));
  }
  Shown shown;
  for (std::size_t i = 0; i < views->size(); ++i) show_one((*views)[i], summaries[i], shown);
  if (flags.json)
    print_json({{"network", (*session)->network.id.hex()},
                {"offline", flags.offline},
                {"total", codec::to_decimal(shown.sum)},
                {"accounts", std::move(shown.accounts)}});
  else
    print_out(fmt::format("{}\n{} accounts, {} in all, {}\n", shown.table.text(), grouped(std::uint64_t{views->size()}),
                          grouped(shown.sum),
                          flags.offline ? "as this wallet knows it" : "by the signed word of a quorum"));
  if (shown.unanswered == 0) return ExitCode::ok;
  return fail(ErrorKind::unavailable,
              fmt::format("no quorum answered about {} accounts: check that the network runs, or use --offline",
                          shown.unanswered));
}

// ---- history, export -----------------------------------------------------------------------------------------------

Result<ExitCode> history(const ViewFlags& flags) {
  auto session = WalletSession::open(flags, Reach::offline, Keys::locked);
  if (!session) return std::unexpected(session.error());
  const auto uid = parse_account(flags.account);
  if (!uid) return std::unexpected(uid.error());
  if (const auto known = (*session)->wallet->account(*uid); !known) return std::unexpected(known.error());
  // One more than asked for tells whether there is another page.
  const std::size_t first = (flags.page - 1) * flags.limit;
  const auto entries = (*session)->wallet->history(*uid, first + flags.limit + 1);
  if (!entries) return std::unexpected(entries.error());
  const bool more = entries->size() > first + flags.limit;
  Table table({{"learned (UTC)"}, {"what"}, {"number", true}, {"amount", true}, {"fee", true}, {"details"}});
  codec::Json json = codec::Json::array();
  for (std::size_t i = first; i < std::min(entries->size(), first + flags.limit); ++i) {
    json.push_back(history_json((*entries)[i]));
    table.add(history_row((*entries)[i]));
  }
  if (flags.json) {
    print_json({{"account", uid->text()}, {"page", flags.page}, {"more", more}, {"entries", std::move(json)}});
    return ExitCode::ok;
  }
  print_out(table.text());
  if (more) print_out(fmt::format("older entries: --page {}\n", flags.page + 1));
  return ExitCode::ok;
}

std::string key_file_name(const protocol::Uid& uid) {
  std::string name = "account-" + uid.text();
  for (char& c : name)
    if (c == '/') c = '-';
  return name + ".key";
}

Result<void> export_keys(WalletSession& session, const ViewFlags& flags, const std::vector<AccountView>& views) {
  const auto passphrase = flags.keys_passphrase.read("New passphrase of the exported keys: ", crypto::Confirm::yes);
  if (!passphrase) return std::unexpected(passphrase.error());
  if (auto made = make_folder(flags.keys_to); !made) return made;
  Progress progress(session.loop, "keys sealed");
  std::size_t done = 0;
  for (const AccountView& view : views) {
    progress.update(++done, views.size());
    if (!view.owned) continue;
    const auto sealed = session.wallet->export_key(view.uid, *passphrase);
    if (!sealed) return std::unexpected(sealed.error());
    const auto path = flags.keys_to / key_file_name(view.uid);
    if (auto wrote = crypto::write_private_file(path, *sealed); !wrote) return wrote;
  }
  return {};
}

Result<ExitCode> export_wallet(const ViewFlags& flags) {
  const bool keys = !flags.keys_to.empty();
  auto session = WalletSession::open(flags, Reach::offline, keys ? Keys::unlocked : Keys::locked);
  if (!session) return std::unexpected(session.error());
  const auto views = chosen(*(*session)->wallet, flags.accounts);
  if (!views) return std::unexpected(views.error());
  if (keys)
    if (auto done = export_keys(**session, flags, *views); !done) return std::unexpected(done.error());
  codec::Json accounts = codec::Json::array();
  for (const AccountView& view : *views) accounts.push_back(account_json(view));
  print_json({{"format", "zefchain-wallet-export-1"},
              {"network", (*session)->network.id.hex()},
              {"accounts", std::move(accounts)}});
  return ExitCode::ok;
}

// ---- create, key ---------------------------------------------------------------------------------------------------

Result<ExitCode> create(const ViewFlags& flags) {
  if (flags.wallet.empty() || flags.genesis.empty())
    return fail(ErrorKind::invalid_input, "name the new file with --wallet, and its network with --genesis");
  const auto genesis = read_genesis(flags.genesis);
  if (!genesis) return std::unexpected(genesis.error());
  const auto passphrase = flags.passphrase.read("New passphrase of the wallet: ", crypto::Confirm::yes);
  if (!passphrase) return std::unexpected(passphrase.error());
  const protocol::NetworkId network = protocol::network_id_of(*genesis);
  const net::Loop clock;
  if (auto made = client::Wallet::create(flags.wallet, network, *passphrase, {}, clock.wall_now()); !made)
    return std::unexpected(made.error());
  if (flags.json)
    print_json({{"wallet", flags.wallet.string()}, {"network", network.hex()}});
  else
    print_out(
        fmt::format("{} is an empty wallet of network {}\n'zef wallet key' makes a key in it, to which others can "
                    "open or give accounts; 'zef wallet adopt' then takes them in\n",
                    flags.wallet.string(), network.hex()));
  return ExitCode::ok;
}

Result<ExitCode> make_key(const ViewFlags& flags) {
  auto session = WalletSession::open(flags, Reach::offline, Keys::unlocked);
  if (!session) return std::unexpected(session.error());
  const auto key = (*session)->wallet->make_key();
  if (!key) return std::unexpected(key.error());
  if (flags.json)
    print_json({{"public_key", key->hex()}});
  else
    print_out(key->hex() + "\n");
  return ExitCode::ok;
}

}  // namespace

void add_wallet_views(Program& program, CLI::App& wallet) {
  const auto add = [&](const char* name, const char* description, Result<ExitCode> (*action)(const ViewFlags&)) {
    auto flags = std::make_shared<ViewFlags>();
    CLI::App& app = add_command(program, wallet, name, description, [flags, action] { return action(*flags); });
    flags->add_to(app);
    return std::pair<ViewFlags&, CLI::App&>(*flags, app);
  };
  {
    auto [flags, app] = add("show", "Accounts and balances, as a quorum of the validators has them", show);
    app.add_option("accounts", flags.accounts, "Which; all without this");
    app.add_flag("--offline", flags.offline, "As the wallet knows it, without asking anybody");
  }
  {
    auto [flags, app] = add("history", "What an account did and received, newest first; see also sync", history);
    app.add_option("account", flags.account, "Which")->required();
    app.add_option("--limit", flags.limit, "Entries on a page")->check(CLI::Range(1, 10'000))->capture_default_str();
    app.add_option("--page", flags.page, "1 is the newest")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  }
  {
    auto [flags, app] = add("export", "The wallet's public data as JSON; keys only with --keys-to", export_wallet);
    app.add_option("accounts", flags.accounts, "Which; all without this");
    auto* keys_to = app.add_option("--keys-to", flags.keys_to, "A folder for one sealed key file for each account");
    auto* file = app.add_option("--keys-passphrase-file", flags.keys_passphrase.file,
                                "A file of mode 0600 with the passphrase of the sealed files");
    file->needs(keys_to);
    app.add_option("--keys-passphrase-fd", flags.keys_passphrase.descriptor, "An open file descriptor with it")
        ->needs(keys_to)
        ->excludes(file);
  }
  add("create", "Makes an empty wallet", create);
  add("key", "Makes a key in the wallet and prints its public part, for others to give accounts to", make_key);
}

}  // namespace zef::cli
