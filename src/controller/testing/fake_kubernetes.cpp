#include "controller/testing/fake_kubernetes.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace zef::controller::testing {
namespace {

using http::testing::FakeReply;
using http::testing::FakeRequest;
using Json = nlohmann::json;

FakeReply status_of(int status, const std::string& message) {
  const Json json = {
      {"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Failure"}, {"message", message}, {"code", status}};
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = json.dump()};
}

}  // namespace

FakeKubernetes::FakeKubernetes(std::string name_space, std::string stateful_set, int replicas)
    : path_("/apis/apps/v1/namespaces/" + name_space + "/statefulsets/" + stateful_set + "/scale"),
      name_space_(std::move(name_space)),
      stateful_set_(std::move(stateful_set)),
      replicas_(replicas),
      server_([this](const FakeRequest& request) { return answer(request); }) {}

int FakeKubernetes::replicas() const {
  const std::lock_guard lock(mutex_);
  return replicas_;
}
int FakeKubernetes::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}
void FakeKubernetes::set_replicas(int replicas) {
  const std::lock_guard lock(mutex_);
  replicas_ = replicas;
  ++version_;
}
void FakeKubernetes::accept_token(std::string token) {
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
}
void FakeKubernetes::answer_all_with(int status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
}
void FakeKubernetes::before_put(std::function<void()> act) {
  const std::lock_guard lock(mutex_);
  before_put_ = std::move(act);
}
void FakeKubernetes::lose_next_answer() {
  const std::lock_guard lock(mutex_);
  lose_answer_ = true;
}

std::string FakeKubernetes::scale() const {
  const Json json = {
      {"kind", "Scale"},
      {"apiVersion", "autoscaling/v1"},
      {"metadata",
       {{"name", stateful_set_}, {"namespace", name_space_}, {"resourceVersion", std::to_string(version_)}}},
      {"spec", {{"replicas", replicas_}}},
      {"status", {{"replicas", replicas_}}}};
  return json.dump();
}

FakeReply FakeKubernetes::answer(const FakeRequest& request) {
  const std::lock_guard lock(mutex_);
  if (status_ != 0) return status_of(status_, "the API is in trouble");
  if (request.header("authorization") != "Bearer " + token_) return status_of(401, "Unauthorized");
  if (request.target != path_) return status_of(404, "statefulsets.apps \"" + stateful_set_ + "\" not found");
  if (request.method == "PUT") return put(request);
  if (request.method != "GET") return status_of(405, "the server does not allow this method");
  return {.headers = {{"Content-Type", "application/json"}}, .body = scale()};
}

FakeReply FakeKubernetes::put(const FakeRequest& request) {
  if (before_put_) before_put_();
  const Json json = Json::parse(request.body, nullptr, false);
  if (!json.is_object() || json.value("kind", "") != "Scale" || json.value("apiVersion", "") != "autoscaling/v1" ||
      json.value("/metadata/name"_json_pointer, "") != stateful_set_)
    return status_of(400, "this is no Scale of it");
  if (json.value("/metadata/resourceVersion"_json_pointer, "") != std::to_string(version_))
    return status_of(409, "the object has been modified; please apply your changes to the latest version");
  replicas_ = json.value("/spec/replicas"_json_pointer, 0);
  ++version_;
  ++writes_;
  FakeReply reply{.headers = {{"Content-Type", "application/json"}}, .body = scale()};
  if (std::exchange(lose_answer_, false)) reply.then = FakeReply::Then::cut_before_answer;
  return reply;
}

}  // namespace zef::controller::testing
