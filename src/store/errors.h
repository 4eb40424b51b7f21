// Making store errors, naming them, and translating them for the rooms above. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "store/object_store.h"

namespace zef::store {

[[nodiscard]] inline std::unexpected<StoreError> store_fail(StoreErrorKind kind, std::string message) {
  return std::unexpected(StoreError{kind, std::move(message)});
}

[[nodiscard]] constexpr std::string_view name_of(StoreErrorKind kind) {
  switch (kind) {
    case StoreErrorKind::throttled: return "throttled";
    case StoreErrorKind::unavailable: return "unavailable";
    case StoreErrorKind::ambiguous: return "ambiguous";
    case StoreErrorKind::denied: return "denied";
    case StoreErrorKind::corrupt: return "corrupt";
    case StoreErrorKind::invalid: return "invalid";
  }
  return "unknown";
}

// Nothing if a put may take it.
[[nodiscard]] inline std::optional<StoreError> check_size(std::uint64_t size, std::uint64_t max = object_size_max) {
  if (size <= max) return std::nullopt;
  return StoreError{StoreErrorKind::invalid,
                    "an object of " + std::to_string(size) + " bytes, and one may have " + std::to_string(max)};
}

// For callers that only report: the kind that tells their own caller what to do.
[[nodiscard]] inline Error to_error(StoreError error) {
  switch (error.kind) {
    case StoreErrorKind::throttled:
    case StoreErrorKind::unavailable:
    case StoreErrorKind::ambiguous: return {ErrorKind::unavailable, std::move(error.message)};
    case StoreErrorKind::denied: return {ErrorKind::io, std::move(error.message)};
    case StoreErrorKind::corrupt: return {ErrorKind::corrupt, std::move(error.message)};
    case StoreErrorKind::invalid: return {ErrorKind::invalid_input, std::move(error.message)};
  }
  return {ErrorKind::io, std::move(error.message)};
}

}  // namespace zef::store
