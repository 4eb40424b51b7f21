// Strong numbers: distinct, explicit types around an unsigned integer, with checked arithmetic only. Two different
// quantities cannot be mixed up, and an overflow cannot pass unseen.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>

namespace zef {

// Tag is an empty struct that names the quantity; Max is the largest value that decoders accept.
template <class Tag, std::unsigned_integral Rep, Rep Max = std::numeric_limits<Rep>::max()>
class Strong {
 public:
  using representation = Rep;
  static constexpr Rep max = Max;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }

  // Nothing if the sum would exceed max.
  [[nodiscard]] constexpr std::optional<Strong> checked_add(Rep more) const {
    if (value_ > Max || more > Max - value_) return std::nullopt;
    return Strong(static_cast<Rep>(value_ + more));
  }
  [[nodiscard]] constexpr std::optional<Strong> checked_add(Strong more) const { return checked_add(more.value_); }

  // Nothing if the difference would be negative.
  [[nodiscard]] constexpr std::optional<Strong> checked_sub(Strong less) const {
    if (less.value_ > value_) return std::nullopt;
    return Strong(static_cast<Rep>(value_ - less.value_));
  }

  friend constexpr auto operator<=>(Strong, Strong) = default;

 private:
  Rep value_ = 0;
};

template <class T>
concept StrongNumber = requires(T t) {
  typename T::representation;
  { T::max } -> std::convertible_to<typename T::representation>;
  { t.value() } -> std::same_as<typename T::representation>;
};

}  // namespace zef

template <class Tag, class Rep, Rep Max>
struct std::hash<zef::Strong<Tag, Rep, Max>> {
  std::size_t operator()(zef::Strong<Tag, Rep, Max> strong) const { return std::hash<Rep>{}(strong.value()); }
};
