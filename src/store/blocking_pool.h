// Threads for calls that block (files). Work is taken in order; whoever submits it sees to it that the outcome reaches
// the right thread.
//
// Thread rule: submit() from any thread. The destructor forgets queued work, waits for work under way, joins.
// Invariant: at most `queue_max` pieces of work wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace zef::store {

class BlockingPool {
 public:
  using Work = std::move_only_function<void()>;

  BlockingPool(std::size_t threads, std::size_t queue_max);
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;
  ~BlockingPool();

  // False if the queue is full; `work` is then untouched.
  [[nodiscard]] bool submit(Work&& work);

 private:
  void serve();

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::deque<Work> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace zef::store
