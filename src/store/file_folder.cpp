#include "store/file_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "store/errors.h"
#include "store/keys.h"

namespace zef::store {
namespace {

constexpr const char* temp_folder = "~tmp";
constexpr const char* lock_folder = "~lock";
constexpr std::size_t lock_count = 64;
constexpr std::size_t range_tags_max = 4096;

std::string folder_of(const std::string& key) {
  const std::size_t slash = key.rfind('/');
  return slash == std::string::npos ? std::string() : key.substr(0, slash);
}

Tag tag_of(ByteView bytes) { return {to_hex(crypto::sha256(bytes).view())}; }

// Opens a folder relative to `base`; "" is `base` itself.
Fd open_folder(const Fd& base, const std::string& folder) {
  return Fd(::openat(base.get(), folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool write_all(const Fd& file, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

std::string random_name() {
  std::array<std::uint8_t, 12> raw{};
  ZEF_CHECK(::getrandom(raw.data(), raw.size(), 0) == static_cast<ssize_t>(raw.size()));
  return to_hex(raw);
}

bool is_object_name(std::string_view name) {
  return name != "." && name != ".." && std::ranges::all_of(name, is_key_character);
}

// Names in a folder, in the byte order of whole keys: a folder counts with its slash.
int read_names(const Fd& folder, std::vector<std::string>& names) {
  const Fd again(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again.valid()) return errno;
  const int own = ::fcntl(again.get(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) return errno;
  DIR* dir = ::fdopendir(own);
  if (dir == nullptr) {
    const int error = errno;
    ::close(own);
    return error;
  }
  int error = 0;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    const std::string_view name(entry->d_name);
    if (!is_object_name(name)) continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN || type == DT_LNK) {
      struct stat info{};
      if (::fstatat(folder.get(), entry->d_name, &info, 0) != 0) continue;  // it went away
      type = S_ISDIR(info.st_mode) ? DT_DIR : (S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN);
    }
    if (type == DT_DIR) names.push_back(std::string(name) + "/");
    if (type == DT_REG) names.emplace_back(name);
  }
  ::closedir(dir);
  std::ranges::sort(names);
  return error;
}

}  // namespace

StoreError error_of_errno(int error, std::string_view doing, std::string_view path) {
  const auto told = [&](StoreErrorKind kind, std::string_view advice) {
    return StoreError{kind, fmt::format("cannot {} {}: {}{}{}", doing, path, std::strerror(error),
                                        advice.empty() ? "" : "; ", advice)};
  };
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return told(StoreErrorKind::denied, "free space (or raise the quota) on the store's disk, then start again");
    case EFBIG: return told(StoreErrorKind::denied, "raise the limit on file sizes (ulimit -f) or use another disk");
    case EROFS:
      return told(StoreErrorKind::denied, "the store's disk is read-only: mount it writable, then start again");
    case EACCES:
    case EPERM: return told(StoreErrorKind::denied, "give this user the right to read and write the store's folder");
    case EIO: return told(StoreErrorKind::denied, "the disk reports errors: check it before starting again");
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: return told(StoreErrorKind::invalid, "in a file store a key cannot also be the folder of other keys");
    default: return told(StoreErrorKind::unavailable, "");
  }
}

// A complete file in ~tmp, removed when its owner goes (the object keeps its other name).
struct FileFolder::Temp {
  const FileFolder* folder;
  std::string name;
  Fd file;

  Temp(const FileFolder* f, std::string n, Fd fd) : folder(f), name(std::move(n)), file(std::move(fd)) {}
  Temp(Temp&&) noexcept = default;
  Temp& operator=(Temp&&) = delete;
  ~Temp() {
    if (file.valid() && !name.empty()) ::unlinkat(folder->temps_.get(), name.c_str(), 0);
  }
};

Result<std::unique_ptr<FileFolder>> FileFolder::open(const std::string& path, FolderOptions options) {
  if (!path.starts_with('/'))
    return fail(ErrorKind::invalid_input, fmt::format("file store \"{}\": give an absolute path", path));
  std::string plain = std::filesystem::path(path).lexically_normal().string();  // no doubled or trailing slashes
  if (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
  std::unique_ptr<FileFolder> folder(new FileFolder(std::move(plain), options));
  if (auto ready = folder->prepare(); !ready) return std::unexpected(std::move(ready.error()));
  return folder;
}

Result<void> FileFolder::prepare() {
  const auto trouble = [this](std::string_view doing, std::string_view name) {
    return std::unexpected(
        to_error(error_of_errno(errno, doing, name.empty() ? path_ : fmt::format("{}/{}", path_, name))));
  };
  // Parents that do not exist yet are made and synced one by one, so that the store survives a power cut as a whole.
  int not_made = 0;
  for (std::size_t slash = path_.find('/', 1);; slash = path_.find('/', slash + 1)) {
    const std::string part = path_.substr(0, slash);
    const bool made = ::mkdir(part.c_str(), 0700) == 0;
    if (!made && errno != EEXIST && not_made == 0) not_made = errno;  // matters only if the folder is not there at last
    if (options_.fsync) {
      // Also above folders that exist: another process may have made them a moment ago.
      const std::filesystem::path above = std::filesystem::path(part).parent_path();
      const Fd parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (made && (!parent.valid() || ::fsync(parent.get()) != 0)) return trouble("create", "");
      if (!made && parent.valid()) (void)::fsync(parent.get());
    }
    if (slash == std::string::npos) break;
  }
  root_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root_.valid()) {
    if (errno == ENOENT && not_made != 0) errno = not_made;
    return trouble("open", "");
  }
  for (const char* own : {temp_folder, lock_folder})
    if (::mkdirat(root_.get(), own, 0700) != 0 && errno != EEXIST) return trouble("create", own);
  temps_ = open_folder(root_, temp_folder);
  if (!temps_.valid()) return trouble("open", temp_folder);
  locks_ = open_folder(root_, lock_folder);
  if (!locks_.valid()) return trouble("open", lock_folder);
  remove_old_temps();
  // A folder that cannot be written is told now, not at the first vote.
  if (const auto temp = write_temp({}); !temp) return std::unexpected(to_error(temp.error()));
  return {};
}

void FileFolder::remove_old_temps() {
  std::vector<std::string> names;
  if (read_names(temps_, names) != 0) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  for (const std::string& name : names) {
    struct stat info{};
    if (::fstatat(temps_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) continue;
    // If the clock jumped and the file is in use after all, its writer's link() finds it gone and starts again.
    if (now.tv_sec - info.st_mtim.tv_sec <= options_.temp_age_max.count()) continue;
    if (::unlinkat(temps_.get(), name.c_str(), 0) == 0)
      log::debug("store", "removed the unfinished file {}/{}/{}", path_, temp_folder, name);
  }
}

StoreError FileFolder::failed(int error, std::string_view doing, std::string_view name) const {
  return error_of_errno(error, doing, fmt::format("{}/{}", path_, name));
}

StoreResult<std::monostate> FileFolder::ensure_folder(const std::string& folder) {
  if (folder.empty()) return std::monostate{};
  {
    const std::lock_guard lock(mutex_);
    if (known_folders_.contains(folder)) return std::monostate{};
  }
  for (std::size_t slash = folder.find('/');; slash = folder.find('/', slash + 1)) {
    const std::string part = folder.substr(0, slash);
    if (::mkdirat(root_.get(), part.c_str(), 0700) != 0 && errno != EEXIST)
      return std::unexpected(failed(errno, "create the folder", part));
    // Also when it exists: another process may have made it and not synced it yet.
    if (auto synced = sync_folder(folder_of(part)); !synced) return synced;
    if (slash == std::string::npos) break;
  }
  const std::lock_guard lock(mutex_);
  known_folders_.insert(folder);
  return std::monostate{};
}

StoreResult<std::monostate> FileFolder::sync_folder(const std::string& folder) {
  if (!options_.fsync) return std::monostate{};
  const Fd fd = open_folder(root_, folder);
  if (!fd.valid() || ::fsync(fd.get()) != 0) return std::unexpected(failed(errno, "sync the folder", folder));
  return std::monostate{};
}

StoreResult<FileFolder::Temp> FileFolder::write_temp(ByteView bytes) {
  std::string name = random_name();
  Fd file(::openat(temps_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const std::string shown = fmt::format("{}/{}", temp_folder, name);
  if (!file.valid()) return std::unexpected(failed(errno, "create", shown));
  Temp temp(this, std::move(name), std::move(file));
  if (!write_all(temp.file, bytes)) return std::unexpected(failed(errno, "write", shown));
  if (options_.fsync && ::fsync(temp.file.get()) != 0) return std::unexpected(failed(errno, "sync", shown));
  return temp;
}

void FileFolder::settle(const Fd& file) const {
  // Only a mark; if it fails (another owner, a read-only disk), the next reader syncs again.
  if (options_.fsync) (void)::fchmod(file.get(), 0400);
}

StoreResult<std::optional<Fd>> FileFolder::open_object(const std::string& key, bool settle_it) {
  Fd file(::openat(root_.get(), key.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return std::unexpected(failed(errno, "open", key));
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return std::unexpected(failed(errno, "open", key));
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  if (settle_it && options_.fsync && (info.st_mode & S_IWUSR) != 0) {
    // The mark goes on this very file, which had its name before the folder was synced.
    if (::fsync(file.get()) != 0) return std::unexpected(failed(errno, "sync", key));
    if (auto synced = sync_folder(folder_of(key)); !synced) return std::unexpected(std::move(synced.error()));
    settle(file);
  }
  return std::optional<Fd>(std::move(file));
}

StoreResult<std::uint64_t> FileFolder::size_of(const Fd& file, const std::string& key) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return std::unexpected(failed(errno, "read", key));
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > options_.object_size_max)
    return store_fail(StoreErrorKind::corrupt,
                      fmt::format("{}/{} has {} bytes, more than any object: it is not ours", path_, key, size));
  return size;
}

StoreResult<Bytes> FileFolder::read_range(const Fd& file, const std::string& key, Range range) {
  Bytes bytes(range.length);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(range.from + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EIO)
      return store_fail(StoreErrorKind::corrupt, fmt::format("cannot read {}/{}: the disk reports errors", path_, key));
    if (n < 0) return std::unexpected(failed(errno, "read", key));
    if (n == 0)
      return store_fail(StoreErrorKind::corrupt,
                        fmt::format("{}/{} became shorter: somebody writes to it", path_, key));
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

StoreResult<PutIfAbsent> FileFolder::put_if_absent(const std::string& key, ByteView bytes) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  if (auto large = check_size(bytes.size(), options_.object_size_max)) return std::unexpected(std::move(*large));
  const std::string folder = folder_of(key);
  if (auto made = ensure_folder(folder); !made) return std::unexpected(std::move(made.error()));
  const auto exists = [&]() -> StoreResult<PutIfAbsent> {
    auto found = open_object(key, true);
    if (!found) return std::unexpected(std::move(found.error()));
    if (*found) return Exists{};
    struct stat info{};
    if (::fstatat(root_.get(), key.c_str(), &info, 0) == 0 && S_ISDIR(info.st_mode))
      return std::unexpected(failed(EISDIR, "create", key));
    return store_fail(StoreErrorKind::unavailable, fmt::format("{}/{} was deleted at this moment", path_, key));
  };
  if (::faccessat(root_.get(), key.c_str(), F_OK, 0) == 0) return exists();  // saves writing the bytes for nothing

  auto temp = write_temp(bytes);
  if (!temp) return std::unexpected(std::move(temp.error()));
  if (::linkat(temps_.get(), temp->name.c_str(), root_.get(), key.c_str(), 0) != 0) {
    if (errno == EEXIST) return exists();
    const int error = errno;
    if (error == ENOENT) {  // somebody removed the folder (or our file in ~tmp): the next try makes it again
      const std::lock_guard lock(mutex_);
      known_folders_.clear();
    }
    return std::unexpected(failed(error, "create", key));
  }
  // From here on the name is there: a failure no longer means that nothing happened.
  if (auto synced = sync_folder(folder); !synced)
    return store_fail(StoreErrorKind::ambiguous, std::move(synced.error().message));
  settle(temp->file);
  return Created{tag_of(bytes)};
}

StoreResult<std::optional<Tag>> FileFolder::current_tag(const std::string& key) {
  auto file = open_object(key, false);
  if (!file) return std::unexpected(std::move(file.error()));
  if (!*file) return std::nullopt;
  const auto size = size_of(**file, key);
  if (!size) return std::unexpected(size.error());
  const auto bytes = read_range(**file, key, {0, *size});
  if (!bytes) return std::unexpected(bytes.error());
  return tag_of(*bytes);
}

StoreResult<Fd> FileFolder::lock_key(const std::string& key) {
  const std::string name = fmt::format("{}", crypto::sha256(as_bytes(key)).view()[0] % lock_count);
  const std::string shown = fmt::format("{}/{}", lock_folder, name);
  Fd file(::openat(locks_.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) return std::unexpected(failed(errno, "open", shown));
  const auto give_up = std::chrono::steady_clock::now() + options_.lock_wait_max;
  // Polled, not waited for: a process that was stopped inside must not hang this one for ever.
  for (auto pause = std::chrono::microseconds(50);; pause = std::min(pause * 2, std::chrono::microseconds(2000))) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    if (errno != EWOULDBLOCK && errno != EINTR) return std::unexpected(failed(errno, "lock", shown));
    if (std::chrono::steady_clock::now() >= give_up)
      return store_fail(StoreErrorKind::unavailable,
                        fmt::format("another process holds the lock file {}/{} for too long", path_, shown));
    std::this_thread::sleep_for(pause);
  }
}

StoreResult<PutIfMatch> FileFolder::put_if_match(const std::string& key, ByteView bytes, const Tag& tag) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  if (auto large = check_size(bytes.size(), options_.object_size_max)) return std::unexpected(std::move(*large));
  // A look without the lock first: a stale tag is the common failure, and needs no writing.
  const auto before = current_tag(key);
  if (!before) return std::unexpected(before.error());
  if (*before != tag) return Mismatch{};

  auto temp = write_temp(bytes);
  if (!temp) return std::unexpected(std::move(temp.error()));
  {
    const auto lock = lock_key(key);
    if (!lock) return std::unexpected(lock.error());
    const auto now = current_tag(key);
    if (!now) return std::unexpected(now.error());
    if (*now != tag) return Mismatch{};
    if (::renameat(temps_.get(), temp->name.c_str(), root_.get(), key.c_str()) != 0)
      return std::unexpected(failed(errno, "replace", key));
    temp->name.clear();
  }
  if (auto synced = sync_folder(folder_of(key)); !synced)
    return store_fail(StoreErrorKind::ambiguous, std::move(synced.error().message));
  settle(temp->file);
  return Updated{tag_of(bytes)};
}

StoreResult<Tag> FileFolder::tag_of_file(const Fd& file, const std::string& key, std::uint64_t size) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return std::unexpected(failed(errno, "read", key));
  constexpr std::int64_t second = 1'000'000'000;
  // A reused inode could give a stale tag; put_if_match compares contents, so that only costs a Mismatch.
  const FileVersion version{info.st_dev, info.st_ino, size, info.st_mtim.tv_sec * second + info.st_mtim.tv_nsec,
                            info.st_ctim.tv_sec * second + info.st_ctim.tv_nsec};
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = range_tags_.find(version); known != range_tags_.end()) return Tag{known->second};
  }
  const auto whole = read_range(file, key, {0, size});
  if (!whole) return std::unexpected(whole.error());
  Tag tag = tag_of(*whole);
  const std::lock_guard lock(mutex_);
  if (range_tags_.size() >= range_tags_max) range_tags_.clear();
  range_tags_.emplace(version, tag.text);
  return tag;
}

StoreResult<std::optional<Object>> FileFolder::get(const std::string& key, std::optional<Range> range) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  const auto file = open_object(key, true);
  if (!file) return std::unexpected(file.error());
  if (!*file) return std::nullopt;
  const auto size = size_of(**file, key);
  if (!size) return std::unexpected(size.error());
  if (!range) {
    auto bytes = read_range(**file, key, {0, *size});
    if (!bytes) return std::unexpected(std::move(bytes.error()));
    Tag tag = tag_of(*bytes);
    return Object{std::move(*bytes), std::move(tag)};
  }
  auto tag = tag_of_file(**file, key, *size);
  if (!tag) return std::unexpected(std::move(tag.error()));
  const std::uint64_t from = std::min(range->from, *size);
  auto bytes = read_range(**file, key, {from, std::min(range->length, *size - from)});
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  return Object{std::move(*bytes), std::move(*tag)};
}

StoreResult<std::monostate> FileFolder::del(const std::string& key) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  {
    // Under the lock, or a put_if_match between its comparison and its rename would bring the object back.
    const auto lock = lock_key(key);
    if (!lock) return std::unexpected(lock.error());
    if (::unlinkat(root_.get(), key.c_str(), 0) != 0) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR) return std::monostate{};
      return std::unexpected(failed(errno, "delete", key));
    }
  }
  if (auto synced = sync_folder(folder_of(key)); !synced)
    return store_fail(StoreErrorKind::ambiguous, std::move(synced.error().message));
  return std::monostate{};
}

StoreResult<std::monostate> FileFolder::list_folder(const std::string& folder, const std::string& prefix,
                                                    const std::string& start_after, std::size_t limit,
                                                    std::vector<std::string>& out) {
  std::vector<std::string> names;
  {
    const Fd fd = open_folder(root_, folder);
    if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) return std::monostate{};
    if (!fd.valid()) return std::unexpected(failed(errno, "list", folder));
    if (const int error = read_names(fd, names); error != 0) return std::unexpected(failed(error, "list", folder));
  }
  for (const std::string& name : names) {
    if (out.size() >= limit) break;
    std::string key = folder.empty() ? name : folder + "/" + name;
    if (!key.ends_with('/')) {
      if (key.starts_with(prefix) && key > start_after) out.push_back(std::move(key));
      continue;
    }
    const bool may_match = key.starts_with(prefix) || prefix.starts_with(key);
    const bool all_before = key < start_after && !start_after.starts_with(key);
    if (!may_match || all_before) continue;
    key.pop_back();
    if (auto listed = list_folder(key, prefix, start_after, limit, out); !listed) return listed;
  }
  return std::monostate{};
}

StoreResult<std::vector<std::string>> FileFolder::list(const std::string& prefix, const std::string& start_after,
                                                       std::size_t limit) {
  if (auto bad = check_key_prefix(prefix)) return std::unexpected(std::move(*bad));
  std::vector<std::string> keys;
  if (auto listed = list_folder(folder_of(prefix), prefix, start_after, limit, keys); !listed)
    return std::unexpected(std::move(listed.error()));
  return keys;
}

}  // namespace zef::store
