// Which keys every provider accepts. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "store/object_store.h"

namespace zef::store {

inline constexpr std::size_t key_size_max = 512;
inline constexpr std::size_t key_part_size_max = 255;  // between two slashes; what file systems allow

// The letters of keys. Names with any other letter are free for a provider's own use (a file store's "~tmp").
[[nodiscard]] bool is_key_character(char c);

// Nothing if the key is good, else an `invalid` error that names it.
[[nodiscard]] std::optional<StoreError> check_key(std::string_view key);
// The same for what list() takes: a beginning of a key, "" included.
[[nodiscard]] std::optional<StoreError> check_key_prefix(std::string_view prefix);

}  // namespace zef::store
