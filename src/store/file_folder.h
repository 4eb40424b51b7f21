// A local folder as an object store, in blocking calls; FileStore gives them to its threads.
//
// Layout. An object is a plain file at its key's path under the root, so that any tool can read it; a key cannot also
// be the folder of another key. Two folders whose names no key can have: "~tmp" for files being written and "~lock" for
// 64 lock files.
//
// Several processes may use one folder at the same time (one machine; not NFS). Why that is safe:
//   - a file is complete and on disk before it gets its name, and is never written again; readers see whole objects;
//   - link() creates a name only if it is free: put_if_absent;
//   - put_if_match and del hold the flock of the key's lock file from the comparison to the rename or unlink, and
//     whoever else could put a name there needs the name to be free;
//   - a tag is the SHA-256 of the contents. Values that are compared and set carry a nonce, so a tag never comes back.
// Durability. A new name is on disk once its folder was fsynced. Until then the file is writable by its owner; then it
// is made read-only ("settled"). Whoever answers Exists or returns an object that is not settled yet settles it first,
// so nobody acts on something that a power cut could take back. A kill -9 leaves at worst a file in ~tmp, which open()
// removes when it is old, and an unsettled object, which the next reader settles.
//
// Thread rule: any thread. Every call may block on the disk.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>

#include "base/bytes.h"
#include "base/result.h"
#include "store/fd.h"
#include "store/object_store.h"

namespace zef::store {

struct FolderOptions {
  bool fsync = true;                                       // false: tests and throw-away networks
  std::chrono::seconds temp_age_max{3600};                 // older files in ~tmp are removed by open()
  std::chrono::milliseconds lock_wait_max{10'000};         // then `unavailable`: another process holds the lock file
  std::uint64_t object_size_max = store::object_size_max;  // a larger file in the folder is `corrupt`
};

class FileFolder {
 public:
  // Creates the folder and its parents if they do not exist. `path` must be absolute.
  static Result<std::unique_ptr<FileFolder>> open(const std::string& path, FolderOptions options);

  StoreResult<PutIfAbsent> put_if_absent(const std::string& key, ByteView bytes);
  StoreResult<PutIfMatch> put_if_match(const std::string& key, ByteView bytes, const Tag& tag);
  StoreResult<std::optional<Object>> get(const std::string& key, std::optional<Range> range);
  StoreResult<std::monostate> del(const std::string& key);
  StoreResult<std::vector<std::string>> list(const std::string& prefix, const std::string& start_after,
                                             std::size_t limit);

 private:
  struct Temp;
  // Which version of which file: device, inode, size, and the time of the last change in nanoseconds.
  using FileVersion = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::int64_t, std::int64_t>;

  FileFolder(std::string path, FolderOptions options) : path_(std::move(path)), options_(options) {}

  Result<void> prepare();
  void remove_old_temps();
  [[nodiscard]] StoreError failed(int error, std::string_view doing, std::string_view name) const;
  StoreResult<std::monostate> ensure_folder(const std::string& folder);
  StoreResult<std::monostate> sync_folder(const std::string& folder);
  StoreResult<Temp> write_temp(ByteView bytes);
  // The open file of an object, settled, or nothing.
  StoreResult<std::optional<Fd>> open_object(const std::string& key, bool settle);
  StoreResult<Bytes> read_range(const Fd& file, const std::string& key, Range range);
  StoreResult<std::uint64_t> size_of(const Fd& file, const std::string& key);
  StoreResult<std::optional<Tag>> current_tag(const std::string& key);
  StoreResult<Tag> tag_of_file(const Fd& file, const std::string& key, std::uint64_t size);
  StoreResult<Fd> lock_key(const std::string& key);
  StoreResult<std::monostate> list_folder(const std::string& folder, const std::string& prefix,
                                          const std::string& start_after, std::size_t limit,
                                          std::vector<std::string>& out);
  void settle(const Fd& file) const;

  const std::string path_;
  const FolderOptions options_;
  Fd root_;
  Fd temps_;
  Fd locks_;

  std::mutex mutex_;                               // guards the two below
  std::unordered_set<std::string> known_folders_;  // exist, and were made durable by this process
  std::map<FileVersion, std::string> range_tags_;  // so that range reads need not hash the file each time
};

// What a failed system call means to the caller, with what to do about it. `doing` reads like "write".
[[nodiscard]] StoreError error_of_errno(int error, std::string_view doing, std::string_view path);

}  // namespace zef::store
