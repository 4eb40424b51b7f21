// A small fake of the cluster's API, on loopback: one StatefulSet's scale subresource, with resourceVersions, bearer
// tokens and the answers of the real one when something is wrong.
//
// Thread rule: any; the server has threads of its own.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "http/testing/fake_server.h"

namespace zef::controller::testing {

class FakeKubernetes {
 public:
  FakeKubernetes(std::string name_space, std::string stateful_set, int replicas);

  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] int replicas() const;
  [[nodiscard]] int writes() const;
  // As if another client had written it.
  void set_replicas(int replicas);
  void accept_token(std::string token);
  // Every request is answered so; 0: as it should be.
  void answer_all_with(int status);
  // Called inside each PUT, before it is judged: the moment for another writer.
  void before_put(std::function<void()> act);
  // The next PUT takes effect, but its answer is lost.
  void lose_next_answer();

 private:
  http::testing::FakeReply answer(const http::testing::FakeRequest& request);
  http::testing::FakeReply put(const http::testing::FakeRequest& request);
  [[nodiscard]] std::string scale() const;

  const std::string path_;
  const std::string name_space_;
  const std::string stateful_set_;
  mutable std::recursive_mutex mutex_;  // a `before_put` may call back
  std::string token_ = "token-1";
  int replicas_;
  int version_ = 100;
  int writes_ = 0;
  int status_ = 0;
  bool lose_answer_ = false;
  std::function<void()> before_put_;
  http::testing::FakeServer server_;  // last: it calls answer()
};

}  // namespace zef::controller::testing
