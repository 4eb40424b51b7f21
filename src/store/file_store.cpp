#include "store/file_store.h"

#include <utility>

#include "store/blocking_pool.h"
#include "store/errors.h"

namespace zef::store {
namespace {

class FileStore final : public ObjectStore {
 public:
  FileStore(Executor& executor, std::unique_ptr<FileFolder> folder, const FileOptions& options)
      : executor_(executor), folder_(std::move(folder)), pool_(options.threads, options.queue_max) {}
  ~FileStore() override { *alive_ = false; }

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return on_thread<PutIfAbsent>([folder = folder_.get(), key = std::move(key), bytes = std::move(bytes)] {
      return folder->put_if_absent(key, *bytes);
    });
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return on_thread<PutIfMatch>([folder = folder_.get(), key = std::move(key), bytes = std::move(bytes),
                                  tag = std::move(tag)] { return folder->put_if_match(key, *bytes, tag); });
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    return on_thread<std::optional<Object>>(
        [folder = folder_.get(), key = std::move(key), range] { return folder->get(key, range); });
  }
  Task<StoreResult<std::monostate>> del(std::string key) override {
    return on_thread<std::monostate>([folder = folder_.get(), key = std::move(key)] { return folder->del(key); });
  }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return on_thread<std::vector<std::string>>([folder = folder_.get(), prefix = std::move(prefix),
                                                start_after = std::move(start_after),
                                                limit] { return folder->list(prefix, start_after, limit); });
  }

 private:
  template <class T, class Work>
  Task<StoreResult<T>> on_thread(Work work) {
    co_return co_await from_callback<StoreResult<T>>([this, &work](auto done) {
      auto waiting = std::make_shared<decltype(done)>(std::move(done));
      const bool queued = pool_.submit([waiting, work = std::move(work), executor = &executor_, alive = alive_] {
        executor->post([waiting, outcome = work(), alive]() mutable {
          // After the store's end nobody may go on as if it still existed.
          if (*alive) (*waiting)(std::move(outcome));
        });
      });
      if (!queued)
        (*waiting)(store_fail(StoreErrorKind::throttled, "the file store has too many calls waiting for the disk"));
    });
  }

  Executor& executor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and written on the executor's thread only
  std::unique_ptr<FileFolder> folder_;
  BlockingPool pool_;  // last: its threads end before the folder goes
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> make_file_store(Executor& executor, const std::string& path, FileOptions options) {
  if (options.threads == 0 || options.queue_max == 0)
    return fail(ErrorKind::invalid_input, "a file store needs at least one thread and a queue");
  auto folder = FileFolder::open(path, options);
  if (!folder) return std::unexpected(std::move(folder.error()));
  return std::make_unique<FileStore>(executor, std::move(*folder), options);
}

}  // namespace zef::store
