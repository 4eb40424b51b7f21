#include "cli/instance_text.h"

#include <fmt/core.h>

#include <algorithm>

namespace zef::cli {
namespace {

using namespace protocol;
using client::InstanceParty;
using client::InstanceReport;
using client::InstanceShare;
using client::InstanceStep;

constexpr std::size_t participants_max = decltype(StartInstance::accounts)::max_size_allowed;
constexpr std::size_t legs_max = decltype(AtomicPayments::legs)::max_size_allowed;
constexpr std::size_t legs_shown_max = 20;

const InstanceParty* party_of(const InstanceReport& report, const Uid& account) {
  const auto found = std::ranges::find(report.parties, account, &InstanceParty::account);
  return found == report.parties.end() ? nullptr : &*found;
}

Balance paid_by(const InstanceReport& report, const Uid& account) {
  Balance sum = 0;
  for (const Leg& leg : report.legs)
    if (leg.from == account) sum += static_cast<Balance>(leg.amount.value());
  return sum;
}

std::string state_text(const InstanceReport& report, const InstanceParty& party) {
  if (report.decided) return party.locked ? "was locked" : "was not locked";
  if (party.locked) {
    std::vector<Uid> others;
    for (const Uid& uid : report.waits_for)
      if (uid != party.account) others.push_back(uid);
    return others.empty() ? "locked" : "locked, waits for " + list_of(others);
  }
  if (party.gone) return fmt::format("has gone on to operation {}: can never lock", party.next.value());
  if (!party.ready) return fmt::format("is not at operation {} yet", party.number.value());
  return "can lock";
}

std::string share_text(const InstanceReport& report, const InstanceShare& share) {
  if (report.swap) {
    if (!share.receives) return fmt::format("account {} is in it", share.account.text());
    const InstanceParty* received = party_of(report, *share.receives);
    const bool known = !report.decided && received != nullptr && (received->ready || received->locked);
    return fmt::format("account {} goes away, account {} comes instead{}", share.account.text(), share.receives->text(),
                       known ? fmt::format(", which holds at least {}", grouped(received->balance)) : "");
  }
  return fmt::format("account {} pays {} and its fee, and gets {}", share.account.text(), grouped(share.pays),
                     grouped(share.gets));
}

bool can(const InstanceReport& report, InstanceStep step) { return contains(report.steps, step); }

}  // namespace

Result<Uid> parse_instance(const std::string& text) {
  auto uid = Uid::parse(text);
  if (!uid || !uid->parent())
    return fail(ErrorKind::invalid_input,
                fmt::format("'{}' is no swap or settlement: write the number that 'propose' printed, like 3/7", text));
  return std::move(*uid);
}

Result<std::vector<Leg>> parse_legs(const std::vector<std::string>& texts) {
  std::vector<Leg> legs;
  for (const std::string& text : texts) {
    const auto first = text.find(':');
    const auto second = first == std::string::npos ? first : text.find(':', first + 1);
    if (second == std::string::npos)
      return fail(ErrorKind::invalid_input, fmt::format("'{}' is no payment: write FROM:TO:AMOUNT", text));
    auto from = parse_account(text.substr(0, first));
    if (!from) return std::unexpected(from.error());
    auto recipient = parse_account(text.substr(first + 1, second - first - 1));
    if (!recipient) return std::unexpected(recipient.error());
    const auto amount = parse_amount(text.substr(second + 1));
    if (!amount) return std::unexpected(amount.error());
    if (amount->value() == 0)
      return fail(ErrorKind::invalid_input,
                  fmt::format("'{}': a payment of 0 is none: amounts are whole numbers of the smallest unit", text));
    legs.push_back({std::move(*from), std::move(*recipient), *amount});
  }
  if (legs.empty() || legs.size() > legs_max)
    return fail(ErrorKind::invalid_input,
                fmt::format("a settlement has 1 to {} payments (--leg FROM:TO:AMOUNT), not {}", legs_max, legs.size()));
  return legs;
}

Result<std::vector<Uid>> payers_of(const std::vector<Leg>& legs) {
  std::vector<Uid> payers;
  for (const Leg& leg : legs)
    if (!contains(payers, leg.from)) payers.push_back(leg.from);
  if (payers.size() < 2)
    return fail(ErrorKind::invalid_input,
                "only one account pays: that needs no settlement, 'zef wallet transfer' does it at once");
  if (payers.size() > participants_max)
    return fail(ErrorKind::invalid_input,
                fmt::format("{} accounts pay; a settlement is among at most {}", payers.size(), participants_max));
  return payers;
}

std::string_view name_of_kind(bool swap) { return swap ? "swap" : "settlement"; }
std::string_view group_of_kind(bool swap) { return swap ? "swap" : "settle"; }

std::string_view in_words(const std::optional<Decision>& decision) {
  if (!decision) return "open";
  return std::holds_alternative<Confirmed>(*decision) ? "confirmed" : "aborted";
}

std::string list_of(const std::vector<Uid>& uids) {
  std::string text;
  for (std::size_t i = 0; i < uids.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 == uids.size() ? " and " : ", ", uids[i].text());
  return text;
}

std::string objection(const InstanceReport& report, Amount at_least) {
  for (const InstanceParty& party : report.parties) {
    if (party.locked) continue;
    const std::string name = party.account.text();
    if (party.gone)
      return fmt::format(
          "account {} was to take part at its operation {} but has gone on to {}: this {} can only be aborted; propose "
          "another one",
          name, party.number.value(), party.next.value(), name_of_kind(report.swap));
    if (!party.ready)
      return fmt::format(
          "account {} is not at its operation {} yet, so its owner could still empty it: wait, and look again with "
          "'zef wallet {} status {}'",
          name, party.number.value(), group_of_kind(report.swap), report.instance.text());
    if (!party.owner) return fmt::format("account {} is closed: it can never lock; do not join", name);
    if (!report.swap && party.balance < paid_by(report, party.account))
      return fmt::format("account {} holds {} and would have to pay {}: it cannot lock before it has the money", name,
                         grouped(party.balance), grouped(paid_by(report, party.account)));
  }
  for (const InstanceShare& share : report.shares) {
    const InstanceParty* received = share.receives ? party_of(report, *share.receives) : nullptr;
    if (received != nullptr && received->balance < static_cast<Balance>(at_least.value()))
      return fmt::format("account {}, which comes for account {}, holds {}, less than {}: do not join, or ask for less",
                         received->account.text(), share.account.text(), grouped(received->balance),
                         grouped(at_least.value()));
  }
  return {};
}

std::string report_text(const InstanceReport& report) {
  std::string text = fmt::format("{} {}, proposed by account {}: {}\n\n", name_of_kind(report.swap),
                                 report.instance.text(), report.creator.text(), in_words(report.decided));
  Table table({{"account"}, {"at operation", true}, {"holds", true}, {"whose"}, {"state"}});
  for (const InstanceParty& party : report.parties) {
    const bool known = !report.decided && (party.ready || party.locked);  // as it stands at its number
    table.add({party.account.text(), grouped(party.number.value()),
               known            ? grouped(party.balance)
               : report.decided ? ""
                                : "?",
               party.mine ? "this wallet's" : "another's", state_text(report, party)});
  }
  text += table.text();
  if (!report.swap) {
    text += "\n";
    Table legs({{"payment"}, {"to"}, {"amount", true}});
    for (std::size_t i = 0; i < std::min(report.legs.size(), legs_shown_max); ++i)
      legs.add({report.legs[i].from.text(), report.legs[i].recipient.text(), grouped(report.legs[i].amount.value())});
    text += legs.text();
    if (report.legs.size() > legs_shown_max)
      text += fmt::format("and {} more, which --json lists\n", report.legs.size() - legs_shown_max);
  }
  const bool aborted = report.decided && std::holds_alternative<Aborted>(*report.decided);
  if (!report.shares.empty() && !aborted) {
    text += report.decided ? "\nconfirmed for this wallet:\n" : "\nif it is confirmed:\n";
    for (const InstanceShare& share : report.shares) text += "  " + share_text(report, share) + "\n";
  }
  if (!report.decided && !report.waits_for.empty())
    text += fmt::format("\nit waits for {} {} to lock\n", report.waits_for.size() == 1 ? "account" : "accounts",
                        list_of(report.waits_for));
  return text;
}

std::vector<std::string> next_commands(const InstanceReport& report, const std::string& flags) {
  const auto command = [&](std::string_view verb, const std::string& more) {
    return fmt::format("zef wallet {} {} {}{}{}", group_of_kind(report.swap), verb, report.instance.text(), more,
                       flags.empty() ? "" : " " + flags);
  };
  std::vector<std::string> commands;
  const bool goes_on = can(report, InstanceStep::confirm) || can(report, InstanceStep::finish);
  bool named = false;
  for (const InstanceShare& share : report.shares) {
    if (share.locked ? goes_on && !named : can(report, InstanceStep::accept))
      commands.push_back(command("accept", " --account " + share.account.text()));
    named = named || share.locked;
  }
  if (can(report, InstanceStep::abort)) commands.push_back(command("abort", ""));
  return commands;
}

codec::Json report_json(const InstanceReport& report) {
  codec::Json parties = codec::Json::array();
  for (const InstanceParty& party : report.parties)
    parties.push_back({{"account", party.account.text()},
                       {"number", party.number.value()},
                       {"next", party.next.value()},
                       {"mine", party.mine},
                       {"locked", party.locked},
                       {"ready", party.ready},
                       {"gone", party.gone},
                       {"owner", party.owner ? codec::Json(party.owner->hex()) : codec::Json(nullptr)},
                       {"balance", codec::to_decimal(party.balance)}});
  codec::Json shares = codec::Json::array();
  for (const InstanceShare& share : report.shares)
    shares.push_back({{"account", share.account.text()},
                      {"receives", share.receives ? codec::Json(share.receives->text()) : codec::Json(nullptr)},
                      {"pays", codec::to_decimal(share.pays)},
                      {"gets", codec::to_decimal(share.gets)},
                      {"locked", share.locked}});
  codec::Json legs = codec::Json::array();
  for (const Leg& leg : report.legs)
    legs.push_back({{"from", leg.from.text()}, {"to", leg.recipient.text()}, {"amount", leg.amount.value()}});
  codec::Json waits_for = codec::Json::array();
  for (const Uid& uid : report.waits_for) waits_for.push_back(uid.text());
  codec::Json steps = codec::Json::array();
  for (const InstanceStep step : report.steps) {
    switch (step) {
      case InstanceStep::accept: steps.push_back("accept"); break;
      case InstanceStep::confirm: steps.push_back("confirm"); break;
      case InstanceStep::abort: steps.push_back("abort"); break;
      case InstanceStep::finish: steps.push_back("finish"); break;
    }
  }
  return {{"instance", report.instance.text()},
          {"kind", name_of_kind(report.swap)},
          {"creator", report.creator.text()},
          {"state", in_words(report.decided)},
          {"round", report.round.value()},
          {"parties", std::move(parties)},
          {"legs", std::move(legs)},
          {"shares", std::move(shares)},
          {"waits_for", std::move(waits_for)},
          {"steps", std::move(steps)},
          {"summary", report.summary}};
}

}  // namespace zef::cli
