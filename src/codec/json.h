// JSON of the types that codec/bcs.h encodes, for people and for programs around the validator (never signed, never on
// the wire between validators):
//
//   struct -> object, in field order      variant -> {"TypeName": value}      optional -> value or null
//   numbers up to 64 bits -> number       i128 -> decimal string              fixed bytes, bytes -> hex string
//   a type with text() and parse()        -> string
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "codec/bcs.h"

namespace zef::codec {

using Json = nlohmann::ordered_json;

// Decimal text of a 128-bit integer, and back.
[[nodiscard]] std::string to_decimal(__int128 value);
[[nodiscard]] std::optional<__int128> parse_decimal(std::string_view text);

namespace detail {

template <class T>
concept TextForm = requires(const T& value, std::string_view text) {
  { value.text() } -> std::convertible_to<std::string>;
  { T::parse(text) } -> std::same_as<std::optional<T>>;
};

struct JsonError {
  std::string message;
};

template <class T>
void from_json(const Json& json, T& value, const std::string& path);

template <class T, auto... Members>
void object_from_json(const Json& json, T& value, const std::string& path, Fields<Members...>) {
  if (!json.is_object()) throw JsonError{path + ": expected an object"};
  for (const auto& [key, unused] : json.items())
    if (((key != member_name<Members>) && ...)) throw JsonError{path + ": unknown field '" + key + "'"};
  const auto one = [&]<auto Member>() {
    const std::string name(member_name<Member>);
    const auto found = json.find(name);
    if (found == json.end()) throw JsonError{path + ": field '" + name + "' is missing"};
    from_json(*found, value.*Member, path + "." + name);
  };
  (one.template operator()<Members>(), ...);
}

template <class V, std::size_t I = 0>
void variant_from_json(const Json& json, V& value, const std::string& path) {
  if constexpr (I == std::variant_size_v<V>) {
    throw JsonError{path + ": unknown alternative"};
  } else {
    using A = std::variant_alternative_t<I, V>;
    const auto found = json.find(std::string(type_name<A>));
    if (found == json.end()) return variant_from_json<V, I + 1>(json, value, path);
    from_json(*found, value.template emplace<I>(), path + "." + std::string(type_name<A>));
  }
}

}  // namespace detail

template <class T>
[[nodiscard]] Json to_json(const T& value) {
  using namespace detail;
  if constexpr (TextForm<T>) {
    return value.text();
  } else if constexpr (HasFields<T>) {
    Json json = Json::object();
    [&]<auto... Members>(Fields<Members...>) {
      ((json[std::string(member_name<Members>)] = to_json(value.*Members)), ...);
    }(T::fields);
    return json;
  } else if constexpr (std::same_as<T, bool> || std::unsigned_integral<T> || std::same_as<T, std::string>) {
    return value;
  } else if constexpr (std::same_as<T, __int128>) {
    return to_decimal(value);
  } else if constexpr (StrongNumber<T>) {
    return value.value();
  } else if constexpr (is_fixed_bytes<T>) {
    return value.hex();
  } else if constexpr (is_vector<T>) {
    if constexpr (std::same_as<typename T::value_type, std::uint8_t>) {
      return to_hex(value);
    } else {
      Json json = Json::array();
      for (const auto& element : value) json.push_back(to_json(element));
      return json;
    }
  } else if constexpr (is_optional<T>) {
    return value ? to_json(*value) : Json(nullptr);
  } else if constexpr (is_variant<T>) {
    return std::visit(
        []<class A>(const A& alternative) { return Json{{std::string(type_name<A>), to_json(alternative)}}; }, value);
  } else if constexpr (is_pair<T>) {
    return Json::array({to_json(value.first), to_json(value.second)});
  } else {
    static_assert(unsupported<T>, "give the type `fields`, or text and parse");
  }
}

namespace detail {

template <class T>
void from_json(const Json& json, T& value, const std::string& path) {
  const auto need = [&](bool holds, const char* what) {
    if (!holds) throw JsonError{path + ": expected " + what};
  };
  if constexpr (TextForm<T>) {
    need(json.is_string(), "a string");
    auto parsed = T::parse(json.template get_ref<const std::string&>());
    need(parsed.has_value(), "the text form of this type");
    value = std::move(*parsed);
  } else if constexpr (HasFields<T>) {
    object_from_json(json, value, path, T::fields);
  } else if constexpr (std::same_as<T, bool>) {
    need(json.is_boolean(), "true or false");
    value = json.template get<bool>();
  } else if constexpr (std::unsigned_integral<T>) {
    need(json.is_number_unsigned() && json.template get<std::uint64_t>() <= std::numeric_limits<T>::max(),
         "an unsigned number in range");
    value = static_cast<T>(json.template get<std::uint64_t>());
  } else if constexpr (std::same_as<T, std::string>) {
    need(json.is_string(), "a string");
    value = json.template get<std::string>();
  } else if constexpr (std::same_as<T, __int128>) {
    need(json.is_string(), "a decimal number as a string");
    const auto parsed = parse_decimal(json.template get_ref<const std::string&>());
    need(parsed.has_value(), "a decimal number as a string");
    value = *parsed;
  } else if constexpr (StrongNumber<T>) {
    need(json.is_number_unsigned() && json.template get<std::uint64_t>() <= T::max, "an unsigned number in range");
    value = T(static_cast<typename T::representation>(json.template get<std::uint64_t>()));
  } else if constexpr (is_fixed_bytes<T>) {
    need(json.is_string(), "a hex string");
    const auto parsed = T::parse_hex(json.template get_ref<const std::string&>());
    need(parsed.has_value(), "a hex string of the right length");
    value = *parsed;
  } else if constexpr (is_vector<T>) {
    if constexpr (std::same_as<typename T::value_type, std::uint8_t>) {
      need(json.is_string(), "a hex string");
      const auto parsed = from_hex(json.template get_ref<const std::string&>());
      need(parsed.has_value(), "a hex string");
      value.assign(parsed->begin(), parsed->end());
    } else {
      need(json.is_array(), "an array");
      value.clear();
      for (std::size_t i = 0; i < json.size(); ++i)
        from_json(json[i], value.emplace_back(), path + "[" + std::to_string(i) + "]");
    }
    if constexpr (is_bounded<T>) need(value.in_bounds(), "another number of elements");
  } else if constexpr (is_optional<T>) {
    value.reset();
    if (!json.is_null()) from_json(json, value.emplace(), path);
  } else if constexpr (is_variant<T>) {
    need(json.is_object() && json.size() == 1, "an object with one member");
    variant_from_json(json, value, path);
  } else if constexpr (is_pair<T>) {
    need(json.is_array() && json.size() == 2, "an array of two");
    from_json(json[0], value.first, path + "[0]");
    from_json(json[1], value.second, path + "[1]");
  } else {
    static_assert(unsupported<T>, "give the type `fields`, or text and parse");
  }
}

}  // namespace detail

// The value, or a sentence that names the place and what was expected there. Unknown fields are refused.
template <class T>
[[nodiscard]] std::expected<T, std::string> from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::unexpected("not valid JSON");
  try {
    T value{};
    detail::from_json(json, value, std::string(type_name<T>));
    return value;
  } catch (const detail::JsonError& error) {
    return std::unexpected(error.message);
  }
}

}  // namespace zef::codec
