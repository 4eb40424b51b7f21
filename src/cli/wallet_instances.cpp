// Swaps and settlements: `zef wallet swap ...` and `zef wallet settle ...`, the same commands over two kinds of
// protocol instance. Each may be repeated after a crash: the wallet's file and the network know where it stands.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/instance_text.h"
#include "cli/wallet_commands.h"
#include "cli/wallet_session.h"

namespace zef::cli {
namespace {

using client::DriveReport;
using client::Failure;
using client::InstanceEntry;
using client::InstanceReport;
using client::Outcome;
using client::Wish;
using protocol::Uid;

constexpr std::uint64_t seconds_max = 86'400;

struct InstanceFlags : WalletFlags {
  bool swap = true;
  std::string instance;
  std::string mine;
  std::vector<std::string> others;
  std::vector<std::string> legs;
  std::string payer;
  std::vector<std::string> accounts;
  std::string at_least = "0";
  std::uint64_t seconds = 60;
  bool yes = false;
  bool no_wait = false;

  [[nodiscard]] Duration time_limit() const { return std::chrono::seconds(seconds); }
};

// As the person gave them, to be pasted behind the next command.
std::string flags_text(const InstanceFlags& flags) {
  std::string text;
  const auto add = [&](std::string_view name, const std::filesystem::path& path) {
    if (path.empty()) return;
    const bool plain = path.string().find_first_of(" '\"\\$&;()*?") == std::string::npos;
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", name, plain ? path.string() : "'" + path.string() + "'");
  };
  add("--dir", flags.dir);
  add("--wallet", flags.wallet);
  add("--genesis", flags.genesis);
  add("--network", flags.network);
  add("--passphrase-file", flags.passphrase.file);
  return text;
}

ExitCode report(const Failure& failure, bool json) {
  if (json) print_json({{"ok", false}, {"error", client::to_string(failure.kind)}, {"message", failure.message}});
  print_err(fmt::format("zef: {}\n", in_words(failure)));
  return exit_code_of(failure.kind);
}

codec::Json texts_of(const std::vector<Uid>& uids) {
  codec::Json texts = codec::Json::array();
  for (const Uid& uid : uids) texts.push_back(uid.text());
  return texts;
}

// What is wrong with a thing that is not this command's.
Failure wrong_kind(const InstanceReport& about) {
  return {client::FailureKind::invalid,
          fmt::format("{} is a {}: use 'zef wallet {}'", about.instance.text(), name_of_kind(about.swap),
                      group_of_kind(about.swap)),
          std::nullopt};
}

Outcome<InstanceReport> look(WalletSession& session, const InstanceFlags& flags, const Uid& instance) {
  auto about = session.run("asking the validators", session.wallet->inspect(instance));
  if (about && about->swap != flags.swap) return std::unexpected(wrong_kind(*about));
  return about;
}

std::string steps_text(const InstanceReport& about, const InstanceFlags& flags) {
  std::string text;
  for (const std::string& command : next_commands(about, flags_text(flags))) text += "  " + command + "\n";
  return text.empty() ? "" : "\nwhat you can do:\n" + text;
}

// ---- propose -------------------------------------------------------------------------------------------------------

ExitCode proposed(WalletSession& session, const InstanceFlags& flags, const std::vector<Uid>& accounts,
                  const Outcome<Uid>& instance) {
  if (!instance) return report(instance.error(), flags.json);
  const std::string_view group = group_of_kind(flags.swap);
  if (flags.json)
    print_json({{"ok", true},
                {"instance", instance->text()},
                {"kind", name_of_kind(flags.swap)},
                {"accounts", texts_of(accounts)}});
  else
    print_out(
        fmt::format("{} {} is proposed among accounts {}\n"
                    "every owner joins with: zef wallet {} accept {} --account ACCOUNT\n"
                    "and sees how it stands with: zef wallet {} status {}\n",
                    name_of_kind(flags.swap), instance->text(), list_of(accounts), group, instance->text(), group,
                    instance->text()));
  static_cast<void>(
      session.run("telling the other validators", session.quorum->finish_background(std::chrono::seconds(1))));
  return ExitCode::ok;
}

Result<std::vector<Uid>> parse_accounts(const std::vector<std::string>& texts) {
  std::vector<Uid> uids;
  for (const std::string& text : texts) {
    auto uid = parse_account(text);
    if (!uid) return std::unexpected(uid.error());
    if (contains(uids, *uid)) return fail(ErrorKind::invalid_input, fmt::format("account {} is named twice", text));
    uids.push_back(std::move(*uid));
  }
  return uids;
}

Result<ExitCode> propose_swap(const InstanceFlags& flags) {
  std::vector<std::string> texts = flags.others;
  texts.insert(texts.begin(), flags.mine);
  auto accounts = parse_accounts(texts);
  if (!accounts) return std::unexpected(accounts.error());
  constexpr std::size_t accounts_max = decltype(protocol::StartInstance::accounts)::max_size_allowed;
  if (accounts->size() > accounts_max)
    return fail(ErrorKind::invalid_input,
                fmt::format("a swap is among 2 to {} accounts, not {}", accounts_max, accounts->size()));
  Uid payer = accounts->front();
  if (!flags.payer.empty()) {
    const auto given = parse_account(flags.payer);
    if (!given) return std::unexpected(given.error());
    payer = *given;
  }
  auto session = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!session) return std::unexpected(session.error());
  const auto instance = (*session)->run("proposing a swap", (*session)->wallet->propose_swap(payer, *accounts));
  return proposed(**session, flags, *accounts, instance);
}

// The account that pays for a settlement: the one named, or the first of the wallet that takes part.
Result<Uid> payer_of(WalletSession& session, const InstanceFlags& flags, const std::vector<Uid>& accounts) {
  if (!flags.payer.empty()) return parse_account(flags.payer);
  for (const Uid& uid : accounts)
    if (const auto view = session.wallet->account(uid); view && view->owned) return uid;
  return fail(ErrorKind::invalid_input,
              "no account of this wallet takes part: name one that pays for the proposal with --account");
}

Result<ExitCode> propose_settlement(const InstanceFlags& flags) {
  const auto legs = parse_legs(flags.legs);
  if (!legs) return std::unexpected(legs.error());
  const auto accounts = payers_of(*legs);
  if (!accounts) return std::unexpected(accounts.error());
  auto session = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!session) return std::unexpected(session.error());
  const auto payer = payer_of(**session, flags, *accounts);
  if (!payer) return std::unexpected(payer.error());
  const auto instance =
      (*session)->run("proposing a settlement", (*session)->wallet->propose_settlement(*payer, *accounts, *legs));
  return proposed(**session, flags, *accounts, instance);
}

// ---- what became of it ---------------------------------------------------------------------------------------------

codec::Json drive_json(const DriveReport& driven, bool ok) {
  return {{"ok", ok},
          {"instance", driven.instance.text()},
          {"state", in_words(driven.decided)},
          {"finished", driven.finished},
          {"received", texts_of(driven.received)},
          {"given", texts_of(driven.given)},
          {"why", driven.why}};
}

std::string decision_text(const InstanceFlags& flags, const DriveReport& driven) {
  std::string text =
      fmt::format("{} {} is {}", name_of_kind(flags.swap), driven.instance.text(), in_words(driven.decided));
  if (std::holds_alternative<protocol::Aborted>(*driven.decided))
    text += ": nothing changed hands, and this wallet's accounts are free again";
  if (!driven.given.empty()) text += fmt::format("; given: {}", list_of(driven.given));
  if (!driven.received.empty()) text += fmt::format("; received: {}", list_of(driven.received));
  return text + "\n";
}

// Still open, or not executed yet, when the time is over: how to go on.
ExitCode out_of_time(const InstanceFlags& flags, const DriveReport& driven, const Uid* locked) {
  if (flags.json) print_json(drive_json(driven, false));
  const std::string where = flags_text(flags);
  const std::string_view group = group_of_kind(flags.swap);
  const std::string uid = driven.instance.text();
  print_err(fmt::format("zef: {} {} is {} after {} s: {}\n", name_of_kind(flags.swap), uid,
                        driven.decided ? "decided, but not finished" : "still open", flags.seconds, driven.why));
  print_err(fmt::format("  how it stands:    zef wallet {} status {} {}\n", group, uid, where));
  if (locked != nullptr)
    print_err(fmt::format("  to wait longer:   zef wallet {} accept {} --account {} {}\n", group, uid, locked->text(),
                          where));
  if (!driven.decided) print_err(fmt::format("  to get out of it: zef wallet {} abort {} {}\n", group, uid, where));
  return ExitCode::unavailable;
}

// Drives and tells. `wished` is the decision that counts as success.
ExitCode drive(WalletSession& session, const InstanceFlags& flags, const Uid& instance, Wish wish, const Uid* locked) {
  const auto driven = session.run(wish == Wish::confirm ? "waiting for the decision" : "aborting",
                                  session.wallet->drive(instance, wish, flags.time_limit()));
  if (!driven) return report(driven.error(), flags.json);
  if (!driven->decided || !driven->finished) return out_of_time(flags, *driven, locked);
  const bool confirmed = std::holds_alternative<protocol::Confirmed>(*driven->decided);
  const bool ok = confirmed == (wish == Wish::confirm);
  if (flags.json) print_json(drive_json(*driven, ok));
  const std::string text = decision_text(flags, *driven);
  if (!flags.json && ok) print_out(text);
  if (!ok) print_err(fmt::format("zef: {}{}", confirmed ? "too late to abort: " : "", text));
  static_cast<void>(
      session.run("telling the other validators", session.quorum->finish_background(std::chrono::seconds(1))));
  return ok ? ExitCode::ok : ExitCode::failed;
}

// What the wallet's file says of it, if anything.
std::optional<InstanceEntry> entry_of(WalletSession& session, const Uid& instance) {
  const auto entries = session.wallet->instances();
  if (!entries) return std::nullopt;
  const auto found = std::ranges::find(*entries, instance, &InstanceEntry::instance);
  return found == entries->end() ? std::nullopt : std::optional(*found);
}

bool signed_into(const std::optional<InstanceEntry>& entry) { return entry && !entry->locked.empty(); }

// ---- accept --------------------------------------------------------------------------------------------------------

// Whether these accounts of the wallet take part and belong to it.
std::optional<Failure> not_ours(const InstanceReport& about, const std::vector<Uid>& accounts) {
  std::vector<Uid> all;
  for (const auto& party : about.parties) all.push_back(party.account);
  for (const Uid& account : accounts) {
    const auto party = std::ranges::find(about.parties, account, &client::InstanceParty::account);
    if (party == about.parties.end())
      return Failure{client::FailureKind::invalid,
                     fmt::format("account {} does not take part in {}: {} do", account.text(), about.instance.text(),
                                 list_of(all)),
                     std::nullopt};
    if (!party->mine)
      return Failure{client::FailureKind::not_owner,
                     fmt::format("account {} does not belong to this wallet", account.text()), std::nullopt};
  }
  return std::nullopt;
}

bool is_locked(const InstanceReport& about, const Uid& account) {
  return std::ranges::any_of(about.shares, [&](const auto& share) { return share.account == account && share.locked; });
}

// Asks on the terminal; an error where there is none.
Result<bool> agreed(const InstanceFlags& flags, const std::vector<Uid>& accounts) {
  if (flags.yes) return true;
  if (::isatty(STDIN_FILENO) == 0)
    return fail(ErrorKind::invalid_input, "nobody is there to agree: say --yes to lock without a question");
  print_err(fmt::format("\nLock {} {}? It stays locked until all have locked, or until it is aborted. [y/N] ",
                        accounts.size() == 1 ? "account" : "accounts", list_of(accounts)));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Locks the accounts that are not yet; nothing if all are locked in the end. What was signed before a crash is beyond
// questions: it is only completed.
Result<std::optional<ExitCode>> lock(WalletSession& session, const InstanceFlags& flags, const InstanceReport& about,
                                     const std::vector<Uid>& accounts, const std::optional<InstanceEntry>& entry,
                                     protocol::Amount at_least) {
  std::vector<Uid> open;
  std::vector<Uid> unsigned_yet;
  for (const Uid& account : accounts) {
    if (is_locked(about, account)) continue;
    open.push_back(account);
    if (!entry || !contains(entry->locked, account)) unsigned_yet.push_back(account);
  }
  if (open.empty()) return std::nullopt;
  if (!unsigned_yet.empty()) {
    if (!flags.json) print_out(report_text(about));
    if (const std::string what = objection(about, at_least); !what.empty()) {
      if (flags.json) print_json({{"ok", false}, {"error", "not_acceptable"}, {"message", what}});
      print_err(fmt::format("zef: {}\n", what));
      return ExitCode::failed;
    }
    const auto yes = agreed(flags, unsigned_yet);
    if (!yes) return std::unexpected(yes.error());
    if (!*yes) {
      print_err("nothing was signed\n");
      return ExitCode::failed;
    }
  }
  for (const Uid& account : open) {
    const auto accepted =
        session.run("locking account " + account.text(), session.wallet->accept(about.instance, account));
    if (!accepted) return report(accepted.error(), flags.json);
    if (!flags.json) print_out(fmt::format("account {} is locked into {}\n", account.text(), about.instance.text()));
  }
  return std::nullopt;
}

// Those of this wallet that have not locked: nobody else can, and this process holds the wallet's file.
std::vector<Uid> own_open(const InstanceReport& about, const std::vector<Uid>& just_locked) {
  std::vector<Uid> open;
  for (const auto& share : about.shares)
    if (!share.locked && !contains(just_locked, share.account)) open.push_back(share.account);
  return open;
}

Result<ExitCode> accept(const InstanceFlags& flags) {
  const auto instance = parse_instance(flags.instance);
  if (!instance) return std::unexpected(instance.error());
  const auto accounts = parse_accounts(flags.accounts);
  if (!accounts) return std::unexpected(accounts.error());
  const auto at_least = parse_amount(flags.at_least);
  if (!at_least) return std::unexpected(at_least.error());
  auto opened = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!opened) return std::unexpected(opened.error());
  WalletSession& session = **opened;
  const auto about = look(session, flags, *instance);
  if (!about) return report(about.error(), flags.json);
  const auto entry = entry_of(session, *instance);
  // Decided: the wallet does what is left of it, if it took part, whichever account is named.
  if (about->decided && signed_into(entry)) return drive(session, flags, *instance, Wish::confirm, &entry->locked[0]);
  if (about->decided)
    return report(Failure{client::FailureKind::invalid,
                          fmt::format("{} {} is {} already: nobody can join it any more", name_of_kind(flags.swap),
                                      flags.instance, in_words(about->decided)),
                          std::nullopt},
                  flags.json);
  if (const auto wrong = not_ours(*about, *accounts)) return report(*wrong, flags.json);
  const auto ended = lock(session, flags, *about, *accounts, entry, *at_least);
  if (!ended) return std::unexpected(ended.error());
  if (*ended) return **ended;
  const auto open = own_open(*about, *accounts);
  if (flags.no_wait || !open.empty()) {
    if (flags.json)
      print_json({{"ok", true},
                  {"instance", instance->text()},
                  {"state", "open"},
                  {"finished", false},
                  {"accounts", texts_of(*accounts)}});
    else if (!open.empty())
      print_out(fmt::format("of this wallet, {} must be locked too: zef wallet {} accept {} --account {} {}\n",
                            list_of(open), group_of_kind(flags.swap), flags.instance, open.front().text(),
                            flags_text(flags)));
    return ExitCode::ok;
  }
  return drive(session, flags, *instance, Wish::confirm, &accounts->front());
}

// ---- abort ---------------------------------------------------------------------------------------------------------

Result<ExitCode> abort_instance(const InstanceFlags& flags) {
  const auto instance = parse_instance(flags.instance);
  if (!instance) return std::unexpected(instance.error());
  auto opened = WalletSession::open(flags, Reach::online, Keys::unlocked);
  if (!opened) return std::unexpected(opened.error());
  WalletSession& session = **opened;
  const auto about = look(session, flags, *instance);
  if (!about) return report(about.error(), flags.json);
  if (!signed_into(entry_of(session, *instance)))
    return report(Failure{client::FailureKind::invalid,
                          fmt::format("no account of this wallet is locked into {}: there is nothing to get out of",
                                      instance->text()),
                          std::nullopt},
                  flags.json);
  return drive(session, flags, *instance, Wish::abort, nullptr);
}

// ---- status --------------------------------------------------------------------------------------------------------

Result<ExitCode> status_of_one(WalletSession& session, const InstanceFlags& flags, const Uid& instance) {
  const auto about = session.run("asking the validators", session.wallet->inspect(instance));
  if (!about) return report(about.error(), flags.json);
  if (flags.json) {
    codec::Json json = {{"ok", true}};
    json.update(report_json(*about));
    json["next"] = next_commands(*about, flags_text(flags));
    print_json(json);
  } else {
    print_out(report_text(*about) + steps_text(*about, flags));
  }
  return ExitCode::ok;
}

std::string accounts_text(const InstanceEntry& entry) {
  if (!entry.terms) return "being proposed";
  std::vector<Uid> accounts;
  for (const auto& participant : entry.terms->accounts) accounts.push_back(participant.account);
  return list_of(accounts);
}

codec::Json entry_json(const InstanceEntry& entry) {
  codec::Json accounts = codec::Json::array();
  if (entry.terms)
    for (const auto& participant : entry.terms->accounts) accounts.push_back(participant.account.text());
  return {{"instance", entry.instance.text()},
          {"proposed_here", entry.proposed_here},
          {"accounts", std::move(accounts)},
          {"locked", texts_of(entry.locked)},
          {"state", in_words(entry.decided)},
          {"finished", entry.finished},
          {"at_ms", entry.at_ms}};
}

Result<ExitCode> status_of_all(WalletSession& session, const InstanceFlags& flags) {
  const auto entries = session.wallet->instances();
  if (!entries) return std::unexpected(entries.error());
  codec::Json json = codec::Json::array();
  Table table(
      {{name_of_kind(flags.swap).data()}, {"since (UTC)"}, {"among accounts"}, {"locked from here"}, {"state"}});
  for (const InstanceEntry& entry : *entries) {
    const bool swap = entry.terms && std::holds_alternative<protocol::AtomicSwap>(entry.terms->functionality);
    if (entry.terms && swap != flags.swap) continue;
    json.push_back(entry_json(entry));
    const bool left = entry.decided && !entry.finished;
    table.add({entry.instance.text(), time_text(entry.at_ms), accounts_text(entry), list_of(entry.locked),
               fmt::format("{}{}", in_words(entry.decided), left ? ", to be finished: accept it again" : "")});
  }
  if (flags.json)
    print_json({{"ok", true}, {"instances", std::move(json)}});
  else
    print_out(table.text());
  return ExitCode::ok;
}

Result<ExitCode> status(const InstanceFlags& flags) {
  std::optional<Uid> instance;
  if (!flags.instance.empty()) {
    const auto given = parse_instance(flags.instance);
    if (!given) return std::unexpected(given.error());
    instance = *given;
  }
  auto session = WalletSession::open(flags, instance ? Reach::online : Reach::offline, Keys::locked);
  if (!session) return std::unexpected(session.error());
  return instance ? status_of_one(**session, flags, *instance) : status_of_all(**session, flags);
}

// ---- the commands --------------------------------------------------------------------------------------------------

struct Added {
  InstanceFlags& flags;
  CLI::App& app;
};
Added add(Program& program, CLI::App& group, const char* name, std::string description, bool swap,
          Result<ExitCode> (*action)(const InstanceFlags&)) {
  auto flags = std::make_shared<InstanceFlags>();
  flags->swap = swap;
  CLI::App& app = add_command(program, group, name, std::move(description), [flags, action] { return action(*flags); });
  flags->add_to(app);
  return {*flags, app};
}

void add_time_limit(const Added& added) {
  added.app.add_option("--time-limit", added.flags.seconds, "How many seconds to go on until it is decided")
      ->check(CLI::Range(std::uint64_t{1}, seconds_max))
      ->capture_default_str();
}

void add_common(Program& program, CLI::App& group, bool swap) {
  const std::string kind(name_of_kind(swap));
  const Added added =
      add(program, group, "accept",
          "Locks an account of this wallet into a " + kind + ", and leads it to its decision; may be repeated", swap,
          accept);
  added.app.add_option("uid", added.flags.instance, "Which " + kind)->required();
  added.app.add_option("--account", added.flags.accounts, "The account of this wallet that takes part")
      ->allow_extra_args(false)
      ->required();
  if (swap)
    added.app.add_option("--at-least", added.flags.at_least, "Only if the account that comes holds as much")
        ->capture_default_str();
  added.app.add_flag("--yes", added.flags.yes, "Lock without a question");
  added.app.add_flag("--no-wait", added.flags.no_wait, "Only lock; accept it again to lead it to its decision");
  add_time_limit(added);

  const Added looks =
      add(program, group, "status", "Who takes part, who waits for whom, what can be done", swap, status);
  looks.app.add_option("uid", looks.flags.instance, "Which " + kind + "; all that the wallet knows without this");

  const Added ends = add(program, group, "abort", "Gets this wallet's accounts out, unless it is confirmed already",
                         swap, abort_instance);
  ends.app.add_option("uid", ends.flags.instance, "Which " + kind)->required();
  add_time_limit(ends);
}

}  // namespace

void add_wallet_instances(Program& program, CLI::App& wallet) {
  CLI::App& swaps = add_group(wallet, "swap", "Accounts change owners, all at once or none");
  const Added swap =
      add(program, swaps, "propose",
          "Proposes that each account goes to the owner of the next one, the last to the first's", true, propose_swap);
  swap.app.add_option("mine", swap.flags.mine, "The first account, of this wallet; it pays for the proposal")
      ->required();
  swap.app.add_option("others", swap.flags.others, "The other accounts, in this order")->required();
  swap.app.add_option("--payer", swap.flags.payer, "Another account of this wallet, which pays for the proposal");
  add_common(program, swaps, true);

  CLI::App& settlements = add_group(wallet, "settle", "Payments of several accounts, all at once or none");
  const Added settlement =
      add(program, settlements, "propose", "Proposes payments among accounts; all that pay have to accept", false,
          propose_settlement);
  settlement.app.add_option("--leg", settlement.flags.legs, "A payment FROM:TO:AMOUNT; any number of them")->required();
  settlement.app.add_option("--account", settlement.flags.payer,
                            "The account of this wallet that pays for the proposal; without this, the first in it");
  add_common(program, settlements, false);
}

}  // namespace zef::cli
