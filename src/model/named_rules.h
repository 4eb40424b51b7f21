// Rules by their names, for the models: each has a table of (rule, name) pairs.
#pragma once

#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace zef::model {

template <class Names>
auto find_rule(const Names& names, std::string_view name)
    -> std::optional<std::remove_cvref_t<decltype(std::begin(names)->first)>> {
  for (const auto& [rule, its_name] : names)
    if (its_name == name) return rule;
  return std::nullopt;
}
template <class Names, class Rule>
std::string_view find_name(const Names& names, Rule rule) {
  for (const auto& [one, its_name] : names)
    if (one == rule) return its_name;
  return {};
}
template <class Names>
auto rules_in(const Names& names) {
  std::vector<std::remove_cvref_t<decltype(std::begin(names)->first)>> rules;
  for (const auto& [rule, name] : names) rules.push_back(rule);
  return rules;
}

}  // namespace zef::model
