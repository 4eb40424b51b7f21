// Values of any type that the codec knows, made from a seed: for round trips, snapshots and fuzz seeds. The list of a
// type's fields is all that is needed, so a new message is covered as soon as it exists. Numbers are often at their
// limits; sequences are short, and often as short as they may be.
#pragma once

#include <limits>

#include "base/testing/seeded_rng.h"
#include "protocol/messages.h"

namespace zef::protocol::testing {

class Source {
 public:
  explicit Source(std::uint64_t seed) : rng_(seed) {}
  std::uint64_t word() {
    std::array<std::uint8_t, 8> bytes;
    rng_.fill(bytes);
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    return word;
  }
  std::uint64_t below(std::uint64_t limit) { return word() % limit; }
  void fill(std::span<std::uint8_t> out) { rng_.fill(out); }

 private:
  zef::testing::SeededRng rng_;
};

template <class T>
T generate(Source& source);

namespace detail {

inline constexpr std::size_t elements_more_max = 2;  // than a sequence must have

inline std::uint64_t number(Source& source, std::uint64_t max) {
  switch (source.below(8)) {
    case 0: return 0;
    case 1: return max;
    case 2: return source.below(std::min<std::uint64_t>(max, 255) + 1);
    default: return max == std::numeric_limits<std::uint64_t>::max() ? source.word() : source.below(max + 1);
  }
}

template <class V, std::size_t I = 0>
V alternative(Source& source, std::size_t index) {
  if constexpr (I + 1 == std::variant_size_v<V>) {
    return V(std::in_place_index<I>, generate<std::variant_alternative_t<I, V>>(source));
  } else {
    if (index != I) return alternative<V, I + 1>(source, index);
    return V(std::in_place_index<I>, generate<std::variant_alternative_t<I, V>>(source));
  }
}

template <class T>
T sequence(Source& source) {
  std::size_t least = 0;
  std::size_t most = elements_more_max;
  if constexpr (codec::detail::is_bounded<T>) {
    least = T::min_size;
    most = std::min(T::max_size_allowed, least + elements_more_max);
  }
  T value;
  const std::size_t count = least + source.below(most - least + 1);
  for (std::size_t i = 0; i < count; ++i) value.push_back(generate<typename T::value_type>(source));
  return value;
}

}  // namespace detail

template <class T>
T generate(Source& source) {
  using namespace codec::detail;
  if constexpr (std::same_as<T, Uid>) {
    std::vector<std::uint64_t> parts(1 + (source.below(8) == 0 ? source.below(Uid::depth_max) : source.below(3)));
    for (std::uint64_t& part : parts) part = detail::number(source, std::numeric_limits<std::uint64_t>::max());
    return Uid(std::move(parts));
  } else if constexpr (codec::HasFields<T>) {
    T value{};
    [&]<auto... Members>(codec::Fields<Members...>) {
      ((value.*Members = generate<std::remove_cvref_t<decltype(value.*Members)>>(source)), ...);
    }(T::fields);
    return value;
  } else if constexpr (std::same_as<T, bool>) {
    return source.below(2) == 1;
  } else if constexpr (std::unsigned_integral<T>) {
    return static_cast<T>(detail::number(source, std::numeric_limits<T>::max()));
  } else if constexpr (std::same_as<T, __int128>) {
    const auto high = static_cast<unsigned __int128>(source.word()) << 64;
    return source.below(2) == 1 ? static_cast<__int128>(high | source.word()) : static_cast<__int128>(source.word());
  } else if constexpr (StrongNumber<T>) {
    return T(static_cast<typename T::representation>(detail::number(source, T::max)));
  } else if constexpr (is_fixed_bytes<T>) {
    T value;
    source.fill(value.bytes);
    return value;
  } else if constexpr (std::same_as<T, std::string>) {
    return std::string(source.below(4), static_cast<char>('a' + source.below(26)));
  } else if constexpr (is_vector<T>) {
    return detail::sequence<T>(source);
  } else if constexpr (is_optional<T>) {
    return source.below(2) == 1 ? T(generate<typename T::value_type>(source)) : T();
  } else if constexpr (is_variant<T>) {
    return detail::alternative<T>(source, source.below(std::variant_size_v<T>));
  } else if constexpr (is_pair<T>) {
    auto first = generate<typename T::first_type>(source);
    return T(std::move(first), generate<typename T::second_type>(source));
  } else {
    static_assert(unsupported<T>, "give the type `fields`");
  }
}

}  // namespace zef::protocol::testing
