// Text of the wallet's commands: payments from arguments, operations and failures in words and as JSON. Values only.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "client/wallet.h"

namespace zef::cli {

// "3/0/17"; an account's label is no name for it.
[[nodiscard]] Result<protocol::Uid> parse_account(const std::string& text);
// Digits, with "," or "_" between them as people write them; in the smallest unit.
[[nodiscard]] Result<protocol::Amount> parse_amount(const std::string& text);
// {"1", "500"}, or any number of "ACCOUNT:AMOUNT"; the account may be "burn". The memo goes with each payment.
[[nodiscard]] Result<std::vector<client::Payment>> parse_payments(const std::vector<std::string>& words,
                                                                  const std::string& memo);

// "transfer", "open", ...
[[nodiscard]] std::string_view name_of(const protocol::Operation& operation);
// "pays 500 to account 1", "opens account 2/0 with 100 in it", ...
[[nodiscard]] std::string in_words(const protocol::Operation& operation);

// What became of an operation, and what to do about it; one line.
[[nodiscard]] std::string in_words(const client::Failure& failure);
[[nodiscard]] ExitCode exit_code_of(client::FailureKind kind);

[[nodiscard]] codec::Json request_json(const protocol::Request& request);
[[nodiscard]] codec::Json account_json(const client::AccountView& account);
[[nodiscard]] codec::Json history_json(const client::HistoryEntry& entry);
[[nodiscard]] std::vector<std::string> history_row(const client::HistoryEntry& entry);
// "2026-11-27 21:05:09", UTC.
[[nodiscard]] std::string time_text(std::uint64_t at_ms);
// "open", "being opened", "given away", "closed", and whether an operation is pending.
[[nodiscard]] std::string status_text(const client::AccountView& account);

}  // namespace zef::cli
