// A type lists its fields once; canonical bytes, JSON and hashing follow from the list:
//
//   struct Payment {
//     Address recipient;
//     Amount amount;
//     static constexpr auto fields = codec::fields<&Payment::recipient, &Payment::amount>;
//   };
//
// The names that JSON and signing domains need are read from the member pointers and types themselves, at compile time.
#pragma once

#include <algorithm>
#include <concepts>
#include <string_view>

namespace zef::codec {

template <auto... Members>
struct Fields {};

template <auto... Members>
inline constexpr Fields<Members...> fields{};

template <class T>
concept HasFields = requires { T::fields; };

namespace detail {

// The last name in clang's or GCC's __PRETTY_FUNCTION__ "... [T = a::b::Name<x, y>]" or "... [Member =
// &a::b<x>::name]", without template arguments.
consteval std::string_view last_name(std::string_view pretty) {
  std::string_view text = pretty.substr(pretty.find("= ") + 2);
  text = text.substr(0, std::min(text.find(';'), text.rfind(']')));
  while (text.ends_with(')')) text.remove_suffix(1);
  if (text.ends_with('>')) {
    std::size_t open = text.size();
    int depth = 0;
    do {
      --open;
      if (text[open] == '>') ++depth;
      if (text[open] == '<') --depth;
    } while (depth > 0);
    text = text.substr(0, open);
  }
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) text = text.substr(colon + 1);
  if (const std::size_t space = text.rfind(' '); space != std::string_view::npos) text = text.substr(space + 1);
  return text;
}

template <auto Member>
consteval std::string_view pretty_member() {
  return last_name(__PRETTY_FUNCTION__);
}
template <class T>
consteval std::string_view pretty_type() {
  return last_name(__PRETTY_FUNCTION__);
}

}  // namespace detail

// "amount" for &Payment::amount.
template <auto Member>
inline constexpr std::string_view member_name = detail::pretty_member<Member>();

// "Payment" for zef::protocol::Payment.
template <class T>
inline constexpr std::string_view type_name = detail::pretty_type<T>();

}  // namespace zef::codec
