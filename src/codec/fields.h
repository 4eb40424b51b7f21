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

// The text between the last "::" (or "= ") and the closing bracket of clang's and GCC's __PRETTY_FUNCTION__.
consteval std::string_view last_name(std::string_view pretty) {
  std::size_t end = pretty.rfind(']');
  if (const std::size_t semicolon = pretty.find(';'); semicolon != std::string_view::npos && semicolon < end)
    end = semicolon;
  std::string_view text = pretty.substr(0, end);
  text = text.substr(text.rfind("= ") + 2);
  if (const std::size_t template_arguments = text.find('<'); template_arguments != std::string_view::npos)
    text = text.substr(0, template_arguments);
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) text = text.substr(colon + 1);
  if (const std::size_t space = text.rfind(' '); space != std::string_view::npos) text = text.substr(space + 1);
  while (!text.empty() && text.back() == ')') text.remove_suffix(1);
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
