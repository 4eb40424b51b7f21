// What only files do: several threads and processes on one folder, kill -9, full disks, permissions.

#include "store/file_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "base/testing/temp_folder.h"

namespace zef::store {
namespace {

using testing::ManualExecutor;
using testing::SeededRng;
using testing::TempFolder;

// One user of a folder: an executor and a store of its own.
struct User {
  ManualExecutor executor;
  std::unique_ptr<ObjectStore> store;

  explicit User(const std::string& path, FileOptions options = {}) {
    auto opened = make_file_store(executor, path, options);
    if (!opened) std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    ZEF_CHECK(opened.has_value());
    store = std::move(*opened);
  }
  StoreResult<PutIfAbsent> create(const std::string& key, std::string_view text) {
    return executor.run_until(store->put_if_absent(key, content(to_bytes(text))));
  }
  StoreResult<PutIfMatch> replace(const std::string& key, std::string_view text, const Tag& tag) {
    return executor.run_until(store->put_if_match(key, content(to_bytes(text)), tag));
  }
  StoreResult<std::optional<Object>> get(const std::string& key) { return executor.run_until(store->get(key)); }
  std::vector<std::string> list(const std::string& prefix) {
    return executor.run_until(store->list(prefix, "", 1'000'000)).value();
  }
};

// Runs `body` in a process of its own; call it while this process has one thread. The exit code is what body returns.
pid_t start_process(const std::function<int()>& body) {
  const pid_t child = ::fork();
  ZEF_CHECK(child >= 0);
  if (child == 0) ::_exit(body());
  return child;
}
// The exit code, or minus the signal that ended it.
int end_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) ZEF_CHECK(errno == EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
int in_process(const std::function<int()>& body) { return end_of(start_process(body)); }

std::size_t temp_files(const std::string& path) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path + "/~tmp")) ++count;
  return count;
}

int owner_may_write(const std::string& path) {
  struct stat info{};
  ZEF_CHECK(::stat(path.c_str(), &info) == 0);
  return (info.st_mode & S_IWUSR) != 0 ? 1 : 0;
}

// ---- Races

TEST(FileStoreRaces, one_of_32_threads_creates) {
  const TempFolder folder;
  for (int round = 0; round < 4; ++round) {
    std::vector<std::future<bool>> writers;
    for (int i = 0; i < 32; ++i)
      writers.push_back(std::async(std::launch::async, [&folder, round, i] {
        FileOptions options;
        options.threads = 1;
        options.fsync = i % 2 == 0;
        User user(folder / "bucket", options);
        return std::holds_alternative<Created>(
            user.create(fmt::format("race/{}/x", round), fmt::format("{}", i)).value());
      }));
    int winners = 0;
    int last = -1;
    for (int i = 0; i < 32; ++i)
      if (writers[static_cast<std::size_t>(i)].get()) {
        ++winners;
        last = i;
      }
    EXPECT_EQ(winners, 1);
    User user(folder / "bucket");
    EXPECT_EQ(user.get(fmt::format("race/{}/x", round)).value()->bytes, to_bytes(fmt::format("{}", last)));
  }
}

TEST(FileStoreRaces, one_of_8_processes_creates_each_key) {
  const TempFolder folder;
  constexpr int processes = 8;
  constexpr int keys = 100;
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p)
    children.push_back(start_process([&] {
      FileOptions options;
      options.fsync = false;
      User user(folder / "bucket", options);
      int won = 0;
      for (int k = 0; k < keys; ++k) {
        const auto outcome = user.create(fmt::format("slots/{}", k), fmt::format("{}", p));
        if (!outcome) return 255;
        if (std::holds_alternative<Created>(*outcome)) ++won;
      }
      return won;
    }));
  int won = 0;
  for (const pid_t child : children) {
    const int code = end_of(child);
    ASSERT_GE(code, 0);
    ASSERT_NE(code, 255);
    won += code;
  }
  EXPECT_EQ(won, keys);
  EXPECT_EQ(temp_files(folder / "bucket"), 0U);
}

TEST(FileStoreRaces, no_increment_of_4_processes_is_lost) {
  const TempFolder folder;
  constexpr int processes = 4;
  constexpr int increments = 60;
  {
    User user(folder / "bucket");
    ASSERT_TRUE(user.create("map/counter", "0 nobody").has_value());
  }
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p)
    children.push_back(start_process([&] {
      FileOptions options;
      options.fsync = p % 2 == 0;
      User user(folder / "bucket", options);
      for (int done = 0; done < increments;) {
        const auto now = user.get("map/counter");
        if (!now || !*now) return 1;
        const int value = std::stoi(std::string(as_text((*now)->bytes)));
        // The writer and its step make each value unique.
        const auto outcome =
            user.replace("map/counter", fmt::format("{} {}-{}-{}", value + 1, p, done, value), (*now)->tag);
        if (!outcome) return 2;
        if (std::holds_alternative<Updated>(*outcome)) ++done;
      }
      return 0;
    }));
  for (const pid_t child : children) EXPECT_EQ(end_of(child), 0);
  User user(folder / "bucket");
  EXPECT_EQ(std::stoi(std::string(as_text(user.get("map/counter").value()->bytes))), processes * increments);
}

TEST(FileStoreRaces, a_deleted_object_is_not_brought_back) {
  // A replacement and a deletion race; whoever is told "Updated" came first, so in the end nothing is there.
  const TempFolder folder;
  FileOptions options;
  options.fsync = false;
  User one(folder / "bucket", options);
  User two(folder / "bucket", options);
  for (int round = 0; round < 200; ++round) {
    const Tag tag = std::get<Created>(one.create("key", fmt::format("a{}", round)).value()).tag;
    auto deletion =
        std::async(std::launch::async, [&] { return two.executor.run_until(two.store->del("key")).has_value(); });
    ASSERT_TRUE(one.replace("key", fmt::format("b{}", round), tag).has_value());
    ASSERT_TRUE(deletion.get());
    ASSERT_FALSE(one.get("key").value().has_value()) << round;
  }
}

// ---- Crashes

std::string whole_object(std::uint64_t seed) {
  SeededRng rng(seed);
  std::string text = fmt::format("{} ", seed);
  text.resize(40'000 + rng.below(60'000), static_cast<char>('a' + seed % 26));
  return text + fmt::format(" {}", seed);
}

bool is_whole(ByteView bytes) {
  const std::string text(as_text(bytes));
  return !text.empty() && text == whole_object(std::stoull(text));
}

// Writes slots and a head until it is killed; after each acknowledged write it writes one byte into `acks`.
int write_for_ever(const std::string& path, std::uint64_t round, int acks) {
  User user(path);
  for (std::uint64_t i = 0;; ++i) {
    if (!user.create(fmt::format("log/{}/{}", round, i), whole_object(round * 1000 + i))) return 1;
    if (::write(acks, "s", 1) != 1) return 2;
    const auto head = user.get("head");
    if (!head || !*head) return 3;
    const auto updated = user.replace("head", whole_object(round * 1000 + i), (*head)->tag);
    if (!updated || !std::holds_alternative<Updated>(*updated)) return 4;
    if (::write(acks, "h", 1) != 1) return 5;
  }
}

TEST(FileStoreCrash, acknowledged_objects_are_there_and_all_are_whole_after_kill_9) {
  const TempFolder folder;
  const std::string path = folder / "bucket";
  SeededRng rng(11);
  {
    User user(path);
    ASSERT_TRUE(user.create("head", whole_object(0)).has_value());
  }
  for (std::uint64_t round = 1; round <= 25; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const pid_t child = start_process([&] { return write_for_ever(path, round, pipe[1]); });
    ::close(pipe[1]);
    std::uint64_t slots = 0;
    std::uint64_t heads = 0;
    const std::uint64_t enough = rng.below(12);
    bool killed = false;
    for (char ack = 0; ::read(pipe[0], &ack, 1) == 1;) {  // after the kill: what was still in the pipe
      ++(ack == 's' ? slots : heads);
      if (slots + heads >= enough && !killed) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    ::close(pipe[0]);
    ASSERT_EQ(end_of(child), -SIGKILL);

    User user(path);
    const auto keys = user.list(fmt::format("log/{}/", round));
    ASSERT_GE(keys.size(), slots);
    ASSERT_LE(keys.size(), slots + 1);
    for (const std::string& key : keys) ASSERT_TRUE(is_whole(user.get(key).value()->bytes)) << key;
    const Bytes head = user.get("head").value()->bytes;
    ASSERT_TRUE(is_whole(head));
    if (heads > 0) ASSERT_GE(std::stoull(std::string(as_text(head))), round * 1000 + heads - 1);
    for (const std::string& key : keys) ASSERT_EQ(owner_may_write(path + "/" + key), 0);  // settled by reading
  }
}

TEST(FileStoreCrash, unfinished_files_are_removed_when_old) {
  const TempFolder folder;
  const std::string path = folder / "bucket";
  {
    User user(path);
  }
  for (const char* name : {"01ab", "02cd"}) std::ofstream(path + "/~tmp/" + name) << "half an obj";
  const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (path + "/~tmp/01ab").c_str(), long_ago, 0), 0);
  User user(path);
  EXPECT_FALSE(std::filesystem::exists(path + "/~tmp/01ab"));
  EXPECT_TRUE(std::filesystem::exists(path + "/~tmp/02cd"));
  EXPECT_TRUE(user.list("").empty());
}

TEST(FileStoreCrash, objects_become_read_only_once_their_names_are_durable) {
  const TempFolder folder;
  const std::string path = folder / "bucket";
  FileOptions hasty;
  hasty.fsync = false;
  User careless(path, hasty);
  User careful(path);
  const Tag tag = std::get<Created>(careful.create("a/synced", "x").value()).tag;
  EXPECT_EQ(owner_may_write(path + "/a/synced"), 0);
  ASSERT_TRUE(careful.replace("a/synced", "y", tag).has_value());
  EXPECT_EQ(owner_may_write(path + "/a/synced"), 0);
  ASSERT_TRUE(careless.create("a/unsynced", "x").has_value());
  ASSERT_TRUE(careless.create("a/unsynced2", "x").has_value());
  EXPECT_EQ(owner_may_write(path + "/a/unsynced"), 1);
  ASSERT_TRUE(std::holds_alternative<Exists>(careful.create("a/unsynced", "z").value()));
  EXPECT_EQ(owner_may_write(path + "/a/unsynced"), 0);
  ASSERT_TRUE(careful.get("a/unsynced2").value().has_value());
  EXPECT_EQ(owner_may_write(path + "/a/unsynced2"), 0);
}

TEST(FileStoreCrash, a_folder_that_was_removed_is_made_again) {
  const TempFolder folder;
  User user(folder / "bucket");
  ASSERT_TRUE(user.create("a/b/one", "1").has_value());
  std::filesystem::remove_all(folder / "bucket/a");
  const auto first = user.create("a/b/two", "2");
  EXPECT_EQ(first.error().kind, StoreErrorKind::unavailable);  // nothing happened: try again
  EXPECT_TRUE(user.create("a/b/two", "2").has_value());
}

// ---- Refusals

TEST(FileStoreErrors, says_what_to_do) {
  EXPECT_EQ(error_of_errno(ENOSPC, "write", "/s/x").message,
            "cannot write /s/x: No space left on device; free space (or raise the quota) on the store's disk, then "
            "start again");
  for (const int error : {ENOSPC, EDQUOT, EFBIG, EROFS, EACCES, EPERM, EIO})
    EXPECT_EQ(error_of_errno(error, "write", "/s/x").kind, StoreErrorKind::denied);
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOENT, ESTALE})
    EXPECT_EQ(error_of_errno(error, "write", "/s/x").kind, StoreErrorKind::unavailable);
}

TEST(FileStoreErrors, too_large_a_file_is_denied_and_leaves_nothing) {
  const TempFolder folder;
  EXPECT_EQ(in_process([&] {
              const rlimit limit{65536, 65536};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0 || ::signal(SIGXFSZ, SIG_IGN) == SIG_ERR) return 1;
              User user(folder / "bucket");
              const auto outcome = user.create("big", std::string(1'000'000, 'x'));
              if (outcome || outcome.error().kind != StoreErrorKind::denied) return 2;
              if (outcome.error().message.find("raise the limit on file sizes") == std::string::npos) return 3;
              if (user.get("big").value() || temp_files(folder / "bucket") != 0) return 4;
              return user.create("small", "x") ? 0 : 5;
            }),
            0);
}

// A disk of 256 KiB of its own where the machine lets us mount one; elsewhere a limit on file sizes fails the same
// write() in the middle. Both must leave the store whole.
TEST(FileStoreErrors, a_full_disk_is_denied_and_heals) {
  const TempFolder folder;
  EXPECT_EQ(in_process([&] {
              const bool mounted = (::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
                                   ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                                   ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=256k") == 0;
              const rlimit limit{200'000, 200'000};
              if (!mounted && (::setrlimit(RLIMIT_FSIZE, &limit) != 0 || ::signal(SIGXFSZ, SIG_IGN) == SIG_ERR))
                return 1;
              std::fprintf(stderr, "a full disk by %s\n", mounted ? "a small tmpfs" : "a limit on file sizes");
              User user(folder / "bucket");
              const auto first = user.create("a", std::string(150'000, 'a'));
              if (!first || !std::holds_alternative<Created>(*first)) return 2;
              const auto full = user.create("b", std::string(210'000, 'b'));
              if (full || full.error().kind != StoreErrorKind::denied) return 3;
              const auto head = user.replace("a", std::string(210'000, 'c'), std::get<Created>(*first).tag);
              if (head || head.error().kind != StoreErrorKind::denied) return 4;
              if (user.get("b").value()) return 5;
              if (user.get("a").value()->bytes != to_bytes(std::string(150'000, 'a'))) return 6;
              if (temp_files(folder / "bucket") != 0) return 7;
              if (!user.executor.run_until(user.store->del("a"))) return 8;
              return user.create("b", std::string(150'000, 'b')) ? 0 : 9;
            }),
            0);
}

// Becomes a user without special rights.
bool drop_rights() {
  return ::geteuid() != 0 || (::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0);
}

TEST(FileStoreErrors, a_folder_of_somebody_else_is_refused_at_opening) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "closed");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((folder / "closed").c_str(), 0555), 0);
  EXPECT_EQ(in_process([&] {
              if (!drop_rights()) return 1;
              ManualExecutor executor;
              const auto store = make_file_store(executor, folder / "closed/bucket");
              if (store || store.error().kind != ErrorKind::io) return 2;
              const std::string& said = store.error().message;
              return said.find("give this user the right to read and write") == std::string::npos ? 3 : 0;
            }),
            0);
}

TEST(FileStoreErrors, a_folder_that_loses_its_rights_is_denied) {
  const TempFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
  EXPECT_EQ(in_process([&] {
              if (!drop_rights()) return 1;
              User user(folder / "bucket");
              if (!user.create("a/x", "x")) return 2;
              if (::chmod((folder / "bucket/a").c_str(), 0500) != 0) return 3;
              const auto outcome = user.create("a/y", "y");
              if (outcome || outcome.error().kind != StoreErrorKind::denied) return 4;
              const auto deleted = user.executor.run_until(user.store->del("a/x"));
              if (deleted || deleted.error().kind != StoreErrorKind::denied) return 5;
              if (::chmod((folder / "bucket/a").c_str(), 0700) != 0) return 6;
              return user.create("a/y", "y") ? 0 : 7;
            }),
            0);
}

TEST(FileStoreErrors, rejects_paths_that_are_no_folder) {
  const TempFolder folder;
  ManualExecutor executor;
  EXPECT_EQ(make_file_store(executor, "relative/path").error().kind, ErrorKind::invalid_input);
  std::ofstream(folder / "file") << "x";
  EXPECT_FALSE(make_file_store(executor, folder / "file").has_value());
  EXPECT_FALSE(make_file_store(executor, folder / "file/below").has_value());
  FileOptions none;
  none.threads = 0;
  EXPECT_EQ(make_file_store(executor, folder / "bucket", none).error().kind, ErrorKind::invalid_input);
}

TEST(FileStoreErrors, a_key_cannot_be_the_folder_of_another) {
  const TempFolder folder;
  User user(folder / "bucket");
  ASSERT_TRUE(user.create("a/b", "x").has_value());
  EXPECT_EQ(user.create("a", "x").error().kind, StoreErrorKind::invalid);
  EXPECT_EQ(user.create("a/b/c", "x").error().kind, StoreErrorKind::invalid);
  EXPECT_EQ(user.create("a/b/c/d", "x").error().kind, StoreErrorKind::invalid);
  EXPECT_TRUE(user.executor.run_until(user.store->del("a")).has_value());
  EXPECT_EQ(user.list("").size(), 1U);
}

TEST(FileStoreErrors, a_lock_held_for_too_long_is_unavailable) {
  const TempFolder folder;
  FileOptions options;
  options.lock_wait_max = std::chrono::milliseconds(5);
  User user(folder / "bucket", options);
  const Tag tag = std::get<Created>(user.create("key", "x").value()).tag;
  std::vector<Fd> held;
  for (int i = 0; i < 64; ++i) {
    held.emplace_back(::open((folder / fmt::format("bucket/~lock/{}", i)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::flock(held.back().get(), LOCK_EX), 0);
  }
  EXPECT_EQ(user.replace("key", "y", tag).error().kind, StoreErrorKind::unavailable);
  held.clear();
  EXPECT_TRUE(std::holds_alternative<Updated>(user.replace("key", "y", tag).value()));
}

Task<void> keep_creating(ObjectStore& store, int& done, StoreErrorKind& last) {
  const auto outcome = co_await store.put_if_absent("key", content(to_bytes("x")));
  ++done;
  if (!outcome) last = outcome.error().kind;
}

TEST(FileStore, may_go_with_work_under_way) {
  const TempFolder folder;
  for (int round = 0; round < 20; ++round) {
    ManualExecutor executor;
    FileOptions options;
    options.threads = 2;
    auto store = std::move(*make_file_store(executor, folder / "bucket", options));
    int done = 0;
    StoreErrorKind last{};
    TaskScope scope;
    for (int i = 0; i < 50; ++i) scope.spawn(keep_creating(*store, done, last));
    store.reset();
    executor.run_until_idle();
    EXPECT_EQ(done, 0);  // outcomes of a store that is gone are dropped
  }
}

TEST(FileStore, throttles_when_its_queue_is_full) {
  const TempFolder folder;
  FileOptions options;
  options.threads = 1;
  options.queue_max = 2;
  User user(folder / "bucket", options);
  int done = 0;
  StoreErrorKind last = StoreErrorKind::denied;
  TaskScope scope;
  for (int i = 0; i < 300; ++i) scope.spawn(keep_creating(*user.store, done, last));
  user.executor.run_while_not([&] { return done == 300; });
  EXPECT_EQ(last, StoreErrorKind::throttled);
}

TEST(FileStore, keeps_its_objects_when_opened_again) {
  const TempFolder folder;
  {
    ASSERT_TRUE(User(folder / "deep/er/bucket").create("a/b", "x").has_value());
  }
  EXPECT_EQ(User(folder / "deep/er/bucket").get("a/b").value()->bytes, to_bytes("x"));
}

}  // namespace
}  // namespace zef::store
