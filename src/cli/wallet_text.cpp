#include "cli/wallet_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "protocol/effects.h"

namespace zef::cli {
namespace {

using namespace protocol;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::string address_text(const Address& address) {
  const auto* account = std::get_if<Account>(&address);
  return account ? account->uid.text() : "burn";
}

Result<Payment> parse_payment(const std::string& to, const std::string& amount, const std::string& memo) {
  Payment payment;
  if (to != "burn") {
    auto uid = parse_account(to);
    if (!uid) return std::unexpected(uid.error());
    payment.recipient = Account{std::move(*uid)};
  }
  const auto parsed = parse_amount(amount);
  if (!parsed) return std::unexpected(parsed.error());
  if (parsed->value() == 0)
    return fail(ErrorKind::invalid_input, "a payment of 0 is none: amounts are whole numbers of the smallest unit");
  payment.amount = *parsed;
  for (const char c : memo) payment.memo.push_back(static_cast<std::uint8_t>(c));
  return payment;
}

std::string paid_text(const Transfer& transfer) {
  constexpr std::size_t shown_max = 3;
  std::string text = "pays ";
  for (std::size_t i = 0; i < std::min(transfer.payments.size(), shown_max); ++i) {
    const Payment& payment = transfer.payments[i];
    const bool burnt = std::holds_alternative<Burn>(payment.recipient);
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", grouped(payment.amount.value()),
                        burnt ? "to nobody (destroyed)" : "to account " + address_text(payment.recipient));
  }
  if (transfer.payments.size() > shown_max) text += fmt::format(" and {} more", transfer.payments.size() - shown_max);
  return text;
}

std::string sum_text(const Request& request) {
  const auto spent = amount_spent(request);
  return spent ? grouped(spent->value()) : "";
}

}  // namespace

Result<Uid> parse_account(const std::string& text) {
  auto uid = Uid::parse(text);
  if (!uid)
    return fail(ErrorKind::invalid_input,
                fmt::format("'{}' is no account: write its number, like 3, or 3/0 for a child", text));
  return std::move(*uid);
}

Result<Amount> parse_amount(const std::string& text) {
  std::string digits;
  for (const char c : text)
    if (c != ',' && c != '_') digits += c;
  const bool good = !digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  const auto value = good ? codec::parse_decimal(digits) : std::nullopt;
  if (!value || *value > static_cast<__int128>(Amount::max))
    return fail(ErrorKind::invalid_input,
                fmt::format("'{}' is no amount: write a whole number of the smallest unit, at most {}", text,
                            grouped(std::uint64_t{Amount::max})));
  return Amount(static_cast<std::uint64_t>(*value));
}

Result<std::vector<client::Payment>> parse_payments(const std::vector<std::string>& words, const std::string& memo) {
  constexpr std::size_t memo_max = decltype(Payment::memo)::max_size_allowed;
  constexpr std::size_t payments_max = decltype(Transfer::payments)::max_size_allowed;
  if (memo.size() > memo_max)
    return fail(ErrorKind::invalid_input,
                fmt::format("the memo has {} bytes; at most {} are possible", memo.size(), memo_max));
  std::vector<client::Payment> payments;
  const bool pair = words.size() == 2 && words[0].find(':') == std::string::npos;
  if (pair) {
    auto payment = parse_payment(words[0], words[1], memo);
    if (!payment) return std::unexpected(payment.error());
    payments.push_back(std::move(*payment));
    return payments;
  }
  for (const std::string& word : words) {
    const auto colon = word.find(':');
    if (colon == std::string::npos)
      return fail(ErrorKind::invalid_input,
                  fmt::format("'{}': give TO AMOUNT, or several payments as TO:AMOUNT", word));
    auto payment = parse_payment(word.substr(0, colon), word.substr(colon + 1), memo);
    if (!payment) return std::unexpected(payment.error());
    payments.push_back(std::move(*payment));
  }
  if (payments.empty() || payments.size() > payments_max)
    return fail(ErrorKind::invalid_input,
                fmt::format("one transfer carries 1 to {} payments, not {}", payments_max, payments.size()));
  return payments;
}

std::string_view name_of(const Operation& operation) {
  return std::visit(Overloaded{[](const Transfer&) -> std::string_view { return "transfer"; },
                               [](const OpenAccount&) -> std::string_view { return "open"; },
                               [](const ChangeOwner&) -> std::string_view { return "change owner"; },
                               [](const CloseAccount&) -> std::string_view { return "close"; },
                               [](const Skip&) -> std::string_view { return "skip"; },
                               [](const StartInstance&) -> std::string_view { return "start"; },
                               [](const LockInto&) -> std::string_view { return "lock"; }},
                    operation);
}

std::string in_words(const Operation& operation) {
  return std::visit(
      Overloaded{[](const Transfer& transfer) { return paid_text(transfer); },
                 [](const OpenAccount& open) {
                   return fmt::format("opens account {} with {} in it", open.new_id.text(),
                                      grouped(open.funding.value()));
                 },
                 [](const ChangeOwner& change) { return "goes to key " + change.new_owner.hex(); },
                 [](const CloseAccount&) { return std::string("closes"); },
                 [](const Skip&) { return std::string("does nothing"); },
                 [](const StartInstance& start) { return "starts instance " + start.new_id.text(); },
                 [](const LockInto& lock) { return "locks itself into instance " + lock.instance.text(); }},
      operation);
}

std::string in_words(const client::Failure& failure) {
  using client::FailureKind;
  std::string_view advice;
  switch (failure.kind) {
    case FailureKind::unavailable:
      advice =
          "what was signed stays in the wallet, and the next operation on the account finishes it first: check "
          "that the network runs, then try again";
      break;
    case FailureKind::insufficient_funds: advice = "'zef wallet show' tells what the account holds"; break;
    case FailureKind::other_pending:
      if (!failure.refusal) break;  // this wallet's own: a lock, which the message names
      advice = "another copy of this key has signed an operation that is not finished: let that wallet finish it";
      break;
    case FailureKind::out_of_date: advice = "run 'zef wallet sync', look at the account, and decide again"; break;
    case FailureKind::not_owner: advice = "only the key that owns the account now can do this"; break;
    case FailureKind::closed: advice = "a closed account stays closed; use another one"; break;
    case FailureKind::not_found: advice = "check the account's number"; break;
    case FailureKind::invalid: break;
    case FailureKind::storage: advice = "check the disk and the wallet's file; nothing unsaved was sent"; break;
  }
  return advice.empty() ? failure.message : fmt::format("{}: {}", failure.message, advice);
}

ExitCode exit_code_of(client::FailureKind kind) {
  using client::FailureKind;
  switch (kind) {
    case FailureKind::unavailable: return ExitCode::unavailable;
    case FailureKind::not_found:
    case FailureKind::invalid: return ExitCode::usage;
    case FailureKind::storage: return ExitCode::io;
    case FailureKind::insufficient_funds:
    case FailureKind::other_pending:
    case FailureKind::out_of_date:
    case FailureKind::not_owner:
    case FailureKind::closed: return ExitCode::failed;
  }
  return ExitCode::failed;
}

codec::Json request_json(const Request& request) {
  codec::Json json = {{"account", request.account.text()},
                      {"sequence_number", request.sequence_number.value()},
                      {"operation", name_of(request.operation)}};
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    codec::Json payments = codec::Json::array();
    for (const Payment& payment : transfer->payments)
      payments.push_back({{"to", address_text(payment.recipient)},
                          {"amount", payment.amount.value()},
                          {"memo", to_hex(payment.memo)}});
    json["payments"] = std::move(payments);
  } else if (const auto* open = std::get_if<OpenAccount>(&request.operation)) {
    json["new_account"] = open->new_id.text();
    json["new_owner"] = open->new_owner.hex();
    json["funding"] = open->funding.value();
  } else if (const auto* change = std::get_if<ChangeOwner>(&request.operation)) {
    json["new_owner"] = change->new_owner.hex();
  } else if (const auto* start = std::get_if<StartInstance>(&request.operation)) {
    codec::Json accounts = codec::Json::array();
    for (const Participant& participant : start->accounts) accounts.push_back(participant.account.text());
    json["instance"] = start->new_id.text();
    json["accounts"] = std::move(accounts);
  } else if (const auto* lock = std::get_if<LockInto>(&request.operation)) {
    json["instance"] = lock->instance.text();
  }
  return json;
}

codec::Json account_json(const client::AccountView& account) {
  return {{"account", account.uid.text()},
          {"label", account.label},
          {"balance", codec::to_decimal(account.chain.balance)},
          {"next", account.chain.next.value()},
          {"head", account.chain.head.hex()},
          {"owner", account.chain.owner.hex()},
          {"owned", account.owned},
          {"closed", account.chain.closed},
          {"announced", account.announced},
          {"locked_into", account.locked_into ? codec::Json(account.locked_into->text()) : codec::Json(nullptr)},
          {"pending", account.pending ? request_json(*account.pending) : codec::Json(nullptr)}};
}

std::string time_text(std::uint64_t at_ms) {
  const auto seconds = static_cast<std::time_t>(at_ms / 1000);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "?";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

codec::Json history_json(const client::HistoryEntry& entry) {
  codec::Json json;
  if (entry.kind == client::HistoryEntry::Kind::received) {
    json = {{"kind", "received"},
            {"sender", entry.sender.text()},
            {"sequence_number", entry.sequence_number.value()},
            {"amount", entry.amount.value()}};
  } else {
    json = {{"kind", "executed"},
            {"sequence_number", entry.sequence_number.value()},
            {"amount", entry.amount.value()},
            {"fee", entry.fee.value()},
            {"confirmed", entry.confirmed},
            {"request", entry.request ? request_json(*entry.request) : codec::Json(nullptr)}};
  }
  json["at_ms"] = entry.at_ms;
  return json;
}

std::vector<std::string> history_row(const client::HistoryEntry& entry) {
  if (entry.kind == client::HistoryEntry::Kind::received)
    return {time_text(entry.at_ms),
            "received",
            grouped(entry.sequence_number.value()),
            "+" + grouped(entry.amount.value()),
            "",
            "from account " + entry.sender.text()};
  std::string what = entry.request ? in_words(entry.request->operation) : "?";
  if (!entry.confirmed) what += " (not confirmed by a quorum yet)";
  return {time_text(entry.at_ms),
          std::string(entry.request ? name_of(entry.request->operation) : "?"),
          grouped(entry.sequence_number.value()),
          entry.request && entry.amount.value() > 0 ? "-" + sum_text(*entry.request) : "",
          grouped(entry.fee.value()),
          std::move(what)};
}

std::string status_text(const client::AccountView& account) {
  std::string text = account.chain.closed ? "closed" : "open";
  if (!account.announced)
    text = "being opened";
  else if (!account.owned && !account.chain.closed)
    text = "given away";
  if (account.locked_into)
    text += fmt::format(", locked into {}", account.locked_into->text());
  else if (account.pending)
    text += fmt::format(", pending: {}", in_words(account.pending->operation));
  return text;
}

}  // namespace zef::cli
