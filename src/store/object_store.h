// The object store: the only durable thing and the only lock service of a validator.
//
// Thread rule: an ObjectStore belongs to one executor; its methods are called, and their tasks resume, on that
// executor's thread. Providers that block do their work on threads of their own and post the outcome back.
// Durability: a task that returns Created or Updated has made the object survive a crash of every process involved.
// Keys are UTF-8, 1 to 512 bytes, of [A-Za-z0-9._/-], without "." or ".." or empty path parts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/task.h"

namespace zef::store {

// More bytes are refused as `invalid` by a put, and are `corrupt` for a get.
inline constexpr std::uint64_t object_size_max = std::uint64_t{1} << 30U;

// What identifies one version of an object for put_if_match; opaque to everyone but its provider.
struct Tag {
  std::string text;
  friend bool operator==(const Tag&, const Tag&) = default;
};

enum class StoreErrorKind {
  throttled,    // slow down, try again
  unavailable,  // it certainly did not happen, try again
  ambiguous,    // a time-out or reset after the request left: it may have happened, or may still happen later
  denied,       // credentials, permissions, a full or read-only disk: do not try again, tell the operator
  corrupt,      // bytes that the store itself knows to be damaged
  invalid,      // a key or an argument that no store accepts
};

struct StoreError {
  StoreErrorKind kind;
  std::string message;  // for people
};

template <class T>
using StoreResult = std::expected<T, StoreError>;

struct Created {
  Tag tag;
};
struct Exists {};
using PutIfAbsent = std::variant<Created, Exists>;

struct Updated {
  Tag tag;
};
struct Mismatch {};  // another version is there, or nothing
using PutIfMatch = std::variant<Updated, Mismatch>;

struct Object {
  Bytes bytes;
  Tag tag;
};
// Half-open byte range [from, from + length).
struct Range {
  std::uint64_t from;
  std::uint64_t length;
};

// Contents of an object, shared so that a repeated PUT sends the identical bytes without a copy.
using Content = std::shared_ptr<const Bytes>;
inline Content content(Bytes bytes) { return std::make_shared<const Bytes>(std::move(bytes)); }

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) = 0;
  virtual Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) = 0;
  // Nothing if there is no such object. A range beyond the end is cut short.
  virtual Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) = 0;
  // Idempotent: deleting what is not there succeeds.
  virtual Task<StoreResult<std::monostate>> del(std::string key) = 0;
  // Keys with the prefix, in byte order, after `start_after` (exclusive; "" for all), at most `limit` of them.
  // For garbage collection and checks only, never on a hot path.
  virtual Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                           std::size_t limit) = 0;
  // What the store itself can say about how it is set up, before it is used: `denied` and `invalid` say what is wrong.
  virtual Task<StoreResult<std::monostate>> check_settings() { return nothing_to_say(); }

 private:
  static Task<StoreResult<std::monostate>> nothing_to_say() { co_return std::monostate{}; }
};

}  // namespace zef::store
