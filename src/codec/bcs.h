// BCS, Binary Canonical Serialization: every value has exactly one encoding, and a decoder accepts nothing else.
//
//   u8..u64, i128      little-endian, fixed width            bool          one byte, 0 or 1
//   fixed bytes        as they are                           sequence      ULEB128 length (minimal, < 2^31), elements
//   struct             its fields in order                   bytes, string ULEB128 length, bytes
//   variant            ULEB128 index, the alternative        optional      0, or 1 and the value
//
// Source of the rules: github.com/diem/bcs, README. Decoders are bounded: a length is checked against the bytes that
// are left (and against the type's own limit, see Bounded) before anything is allocated. Types do not refer to
// themselves, so the depth of a value is fixed by its type and no input can deepen it.
//
// A type takes part by listing its fields (codec/fields.h), or by `void encode(Writer&) const` and
// `static T decode(Reader&)`, which calls reader.fail() on what it does not accept.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <expected>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/fixed_bytes.h"
#include "base/strong.h"
#include "codec/fields.h"

namespace zef::codec {

enum class DecodeError {
  truncated,       // the bytes end inside the value
  trailing_bytes,  // bytes are left after the value
  non_canonical,   // a ULEB128 with leading zeros, a bool that is neither 0 nor 1
  too_long,        // a length beyond what its type or the input allows
  unknown_variant,
  out_of_range,  // a value that its type excludes
};
[[nodiscard]] std::string_view to_string(DecodeError error);

inline constexpr std::uint32_t sequence_length_max = 0x7fffffff;

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  template <std::unsigned_integral U>
  void fixed(U value) {
    static_assert(std::endian::native == std::endian::little);
    const auto at = out_.size();
    out_.resize(at + sizeof value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void length(std::size_t value) {
    ZEF_CHECK(value <= sequence_length_max);
    uleb(static_cast<std::uint32_t>(value));
  }
  void uleb(std::uint32_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<std::uint8_t>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<std::uint8_t>(value));
  }

 private:
  Bytes& out_;
};

// Keeps the first error; after it, every read returns zeros and consumes nothing.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] std::optional<DecodeError> error() const { return error_; }
  [[nodiscard]] ByteView rest() const { return rest_; }
  void fail(DecodeError error) {
    if (!error_) error_ = error;
    rest_ = {};
  }

  template <std::unsigned_integral U>
  U fixed() {
    U value = 0;
    const ByteView bytes = raw(sizeof value);
    if (!error_) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  // Exactly `count` bytes, or an empty view and `truncated`.
  ByteView raw(std::size_t count) {
    if (error_ || count > rest_.size()) {
      fail(DecodeError::truncated);
      return {};
    }
    const ByteView bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  std::uint32_t uleb();
  // The length of a sequence whose elements take at least one byte each, at most `limit`.
  std::size_t length(std::size_t limit = sequence_length_max);

 private:
  ByteView rest_;
  std::optional<DecodeError> error_;
};

// A vector whose length is part of its type: decoders refuse anything shorter or longer.
template <class T, std::size_t Min, std::size_t Max>
struct Bounded : std::vector<T> {
  using std::vector<T>::vector;
  static constexpr std::size_t min_size = Min;
  static constexpr std::size_t max_size_allowed = Max;
  [[nodiscard]] bool in_bounds() const { return this->size() >= Min && this->size() <= Max; }
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_variant = false;
template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T, std::size_t Min, std::size_t Max>
inline constexpr bool is_vector<Bounded<T, Min, Max>> = true;
template <class T>
inline constexpr bool is_bounded = false;
template <class T, std::size_t Min, std::size_t Max>
inline constexpr bool is_bounded<Bounded<T, Min, Max>> = true;
template <class T>
inline constexpr bool is_pair = false;
template <class A, class B>
inline constexpr bool is_pair<std::pair<A, B>> = true;
template <class T>
inline constexpr bool is_fixed_bytes = false;
template <class Tag, std::size_t N>
inline constexpr bool is_fixed_bytes<FixedBytes<Tag, N>> = true;

template <class T>
concept CustomEncode = requires(const T& value, Writer& writer) { value.encode(writer); };
template <class T>
concept CustomDecode = requires(Reader& reader) {
  { T::decode(reader) } -> std::same_as<T>;
};

template <class T>
inline constexpr bool unsupported = false;

}  // namespace detail

template <class T>
void write(Writer& writer, const T& value);
template <class T>
T read(Reader& reader);

namespace detail {

template <class T, auto... Members>
void write_fields(Writer& writer, const T& value, Fields<Members...>) {
  (codec::write(writer, value.*Members), ...);
}

template <class T, auto... Members>
void read_fields(Reader& reader, T& value, Fields<Members...>) {
  ((value.*Members = codec::read<std::remove_cvref_t<decltype(value.*Members)>>(reader)), ...);
}

template <class V, std::size_t I = 0>
V read_alternative(Reader& reader, std::uint32_t index) {
  if constexpr (I == std::variant_size_v<V>) {
    reader.fail(DecodeError::unknown_variant);
    return V{};
  } else {
    if (index != I) return read_alternative<V, I + 1>(reader, index);
    return V(std::in_place_index<I>, codec::read<std::variant_alternative_t<I, V>>(reader));
  }
}

}  // namespace detail

template <class T>
void write(Writer& writer, const T& value) {
  using namespace detail;
  if constexpr (CustomEncode<T>) {
    value.encode(writer);
  } else if constexpr (HasFields<T>) {
    write_fields(writer, value, T::fields);
  } else if constexpr (std::same_as<T, bool>) {
    writer.fixed(static_cast<std::uint8_t>(value ? 1 : 0));
  } else if constexpr (std::unsigned_integral<T>) {
    writer.fixed(value);
  } else if constexpr (std::same_as<T, __int128>) {
    const auto bits = static_cast<unsigned __int128>(value);
    writer.fixed(static_cast<std::uint64_t>(bits));
    writer.fixed(static_cast<std::uint64_t>(bits >> 64));
  } else if constexpr (StrongNumber<T>) {
    writer.fixed(value.value());
  } else if constexpr (is_fixed_bytes<T>) {
    writer.raw(value.bytes);
  } else if constexpr (std::same_as<T, std::string>) {
    writer.length(value.size());
    writer.raw(as_bytes(value));
  } else if constexpr (is_vector<T>) {
    writer.length(value.size());
    if constexpr (std::same_as<typename T::value_type, std::uint8_t>) {
      writer.raw(value);
    } else {
      for (const auto& element : value) write(writer, element);
    }
  } else if constexpr (is_optional<T>) {
    writer.fixed(static_cast<std::uint8_t>(value ? 1 : 0));
    if (value) write(writer, *value);
  } else if constexpr (is_variant<T>) {
    writer.uleb(static_cast<std::uint32_t>(value.index()));
    std::visit([&](const auto& alternative) { write(writer, alternative); }, value);
  } else if constexpr (is_pair<T>) {
    write(writer, value.first);
    write(writer, value.second);
  } else {
    static_assert(unsupported<T>, "give the type `fields`, or encode and decode");
  }
}

template <class T>
T read(Reader& reader) {
  using namespace detail;
  if constexpr (CustomDecode<T>) {
    return T::decode(reader);
  } else if constexpr (HasFields<T>) {
    T value{};
    read_fields(reader, value, T::fields);
    return value;
  } else if constexpr (std::same_as<T, bool>) {
    const auto byte = reader.fixed<std::uint8_t>();
    if (byte > 1) reader.fail(DecodeError::non_canonical);
    return byte == 1;
  } else if constexpr (std::unsigned_integral<T>) {
    return reader.fixed<T>();
  } else if constexpr (std::same_as<T, __int128>) {
    const auto low = reader.fixed<std::uint64_t>();
    const auto high = reader.fixed<std::uint64_t>();
    return static_cast<__int128>(static_cast<unsigned __int128>(high) << 64 | low);
  } else if constexpr (StrongNumber<T>) {
    const auto value = reader.fixed<typename T::representation>();
    if (value > T::max) {
      reader.fail(DecodeError::out_of_range);
      return T{};
    }
    return T(value);
  } else if constexpr (is_fixed_bytes<T>) {
    T value{};
    const ByteView bytes = reader.raw(T::size);
    if (!reader.error()) std::memcpy(value.bytes.data(), bytes.data(), T::size);
    return value;
  } else if constexpr (std::same_as<T, std::string>) {
    return std::string(as_text(reader.raw(reader.length())));
  } else if constexpr (is_vector<T>) {
    T value;
    std::size_t limit = sequence_length_max;
    if constexpr (is_bounded<T>) limit = T::max_size_allowed;
    const std::size_t count = reader.length(limit);
    if constexpr (is_bounded<T>) {
      if (!reader.error() && count < T::min_size) reader.fail(DecodeError::out_of_range);
    }
    if constexpr (std::same_as<typename T::value_type, std::uint8_t>) {
      const ByteView bytes = reader.raw(count);
      value.assign(bytes.begin(), bytes.end());
    } else {
      constexpr std::size_t reserved_max = 64;  // grows as elements really arrive
      value.reserve(std::min(count, reserved_max));
      for (std::size_t i = 0; i < count && !reader.error(); ++i) value.push_back(read<typename T::value_type>(reader));
    }
    return value;
  } else if constexpr (is_optional<T>) {
    const bool present = read<bool>(reader);
    if (!present || reader.error()) return std::nullopt;
    return read<typename T::value_type>(reader);
  } else if constexpr (is_variant<T>) {
    const std::uint32_t index = reader.uleb();
    if (reader.error()) return T{};
    return read_alternative<T>(reader, index);
  } else if constexpr (is_pair<T>) {
    auto first = read<typename T::first_type>(reader);
    auto second = read<typename T::second_type>(reader);
    return T(std::move(first), std::move(second));
  } else {
    static_assert(unsupported<T>, "give the type `fields`, or encode and decode");
  }
}

template <class T>
void encode_into(Bytes& out, const T& value) {
  Writer writer(out);
  write(writer, value);
}

template <class T>
[[nodiscard]] Bytes encode(const T& value) {
  Bytes out;
  encode_into(out, value);
  return out;
}

// The value that exactly these bytes encode.
template <class T>
[[nodiscard]] std::expected<T, DecodeError> decode(ByteView bytes) {
  Reader reader(bytes);
  T value = read<T>(reader);
  if (!reader.error() && !reader.rest().empty()) reader.fail(DecodeError::trailing_bytes);
  if (const auto error = reader.error()) return std::unexpected(*error);
  return value;
}

}  // namespace zef::codec

// Compiles the codec of a large type once, in one .cpp, instead of in every file that uses it: ZEF_CODEC_DECLARE at the
// end of the header that defines the type, ZEF_CODEC_DEFINE in a codec_instances.cpp of its room. Both at global scope.
#define ZEF_CODEC_INSTANCE(linkage, ...)                                                         \
  linkage template void zef::codec::write<__VA_ARGS__>(zef::codec::Writer&, const __VA_ARGS__&); \
  linkage template __VA_ARGS__ zef::codec::read<__VA_ARGS__>(zef::codec::Reader&);               \
  linkage template zef::Bytes zef::codec::encode<__VA_ARGS__>(const __VA_ARGS__&);               \
  linkage template std::expected<__VA_ARGS__, zef::codec::DecodeError> zef::codec::decode<__VA_ARGS__>(zef::ByteView)
#define ZEF_CODEC_DECLARE(...) ZEF_CODEC_INSTANCE(extern, __VA_ARGS__)
#define ZEF_CODEC_DEFINE(...) ZEF_CODEC_INSTANCE(, __VA_ARGS__)
