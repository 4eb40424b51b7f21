// Text of swaps and settlements: what they are about, who waits for whom, and the commands that go on, in words and as
// JSON. Values only.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "cli/wallet_text.h"

namespace zef::cli {

template <class T>
[[nodiscard]] bool contains(const std::vector<T>& all, const T& one) {
  return std::ranges::find(all, one) != all.end();
}

// "3/7"; an instance is named by its UID, which looks like an account's.
[[nodiscard]] Result<protocol::Uid> parse_instance(const std::string& text);
// {"1:2:500", ...}: FROM:TO:AMOUNT each.
[[nodiscard]] Result<std::vector<protocol::Leg>> parse_legs(const std::vector<std::string>& texts);
// Those that pay, each once, in the order of the legs: they have to take part. At least two, at most 16.
[[nodiscard]] Result<std::vector<protocol::Uid>> payers_of(const std::vector<protocol::Leg>& legs);

// "swap" or "settlement"; and the word in the commands: "swap" or "settle".
[[nodiscard]] std::string_view name_of_kind(bool swap);
[[nodiscard]] std::string_view group_of_kind(bool swap);
// "confirmed", "aborted"; "open" while there is none.
[[nodiscard]] std::string_view in_words(const std::optional<protocol::Decision>& decision);
// "1, 2 and 3".
[[nodiscard]] std::string list_of(const std::vector<protocol::Uid>& uids);

// What is wrong with joining, if the wallet's accounts are to lock or to go on waiting: an account that can never lock,
// one that could still change before it locks, one that cannot pay, one that holds less than `at_least` and would
// be received. One line that says what to do; empty: nothing is wrong.
[[nodiscard]] std::string objection(const client::InstanceReport& report, protocol::Amount at_least);

// Who takes part and how they stand, what it means for this wallet, who is waited for; lines.
[[nodiscard]] std::string report_text(const client::InstanceReport& report);
// The commands that this wallet can give next, complete; `flags` as the person gave them ("--dir town").
[[nodiscard]] std::vector<std::string> next_commands(const client::InstanceReport& report, const std::string& flags);

[[nodiscard]] codec::Json report_json(const client::InstanceReport& report);

}  // namespace zef::cli
