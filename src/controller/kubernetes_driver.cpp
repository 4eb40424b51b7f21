#include "controller/kubernetes_driver.h"

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace zef::controller {
namespace {

using Json = nlohmann::json;

constexpr int tries_max = 4;  // against writers that are faster
constexpr std::size_t answer_max = std::size_t{1} << 20;
constexpr std::size_t shown_max = 300;  // of an answer, in an error

// A file of one line.
Result<std::string> read_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) || line.empty())
    return fail(ErrorKind::not_found, fmt::format("{}: cannot be read, or is empty", file.string()));
  return line;
}

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

// The answer's own words, if it has any.
std::string message_of(const http::Response& response) {
  const std::string text = text_of(response.body);
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && json.contains("message") && json["message"].is_string())
    return json["message"].get<std::string>().substr(0, shown_max);
  return text.substr(0, shown_max);
}

const char* from_environment(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody writes the environment
}

}  // namespace

Result<KubernetesOptions> in_cluster_options(std::string stateful_set, const std::filesystem::path& account) {
  const char* host = from_environment("KUBERNETES_SERVICE_HOST");
  const char* port = from_environment("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr)
    return fail(ErrorKind::not_found, "KUBERNETES_SERVICE_HOST and _PORT are not set: this process runs in no pod");
  auto name_space = read_line(account / "namespace");
  if (!name_space) return std::unexpected(std::move(name_space.error()));
  const std::string_view address = host;
  const bool v6 = address.find(':') != std::string_view::npos;
  return KubernetesOptions{.api = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", port),
                           .name_space = std::move(*name_space),
                           .stateful_set = std::move(stateful_set),
                           .token_file = account / "token",
                           .ca_file = account / "ca.crt"};
}

Result<std::unique_ptr<KubernetesDriver>> KubernetesDriver::make(Executor& executor, KubernetesOptions options) {
  http::ClientOptions client_options;
  client_options.ca_file = options.ca_file.string();
  client_options.total_timeout = std::chrono::seconds(10);
  client_options.connections_max = 2;
  client_options.body_max = answer_max;
  auto client = http::Client::make(executor, std::move(client_options));
  if (!client) return std::unexpected(std::move(client.error()));
  return std::unique_ptr<KubernetesDriver>(new KubernetesDriver(std::move(options), std::move(*client)));
}

KubernetesDriver::KubernetesDriver(KubernetesOptions options, std::unique_ptr<http::Client> client)
    : options_(std::move(options)), client_(std::move(client)) {}

Error KubernetesDriver::explained(const http::Response& response) const {
  const std::string what =
      fmt::format("the cluster's API answers {} for the scale of StatefulSet {}/{}: {}", response.status,
                  options_.name_space, options_.stateful_set, message_of(response));
  switch (response.status) {
    case 401:
    case 403: return {ErrorKind::refused, what + "; the service account needs get and update of statefulsets/scale"};
    case 404: return {ErrorKind::not_found, what};
    default: return {ErrorKind::unavailable, what};
  }
}

Task<Result<http::Response>> KubernetesDriver::send(http::Method method, std::string body) {
  auto token = read_line(options_.token_file);
  if (!token) co_return std::unexpected(std::move(token.error()));
  http::Request request;
  request.method = method;
  request.url = fmt::format("{}/apis/apps/v1/namespaces/{}/statefulsets/{}/scale", options_.api, options_.name_space,
                            options_.stateful_set);
  request.headers = {{"Authorization", "Bearer " + *token}, {"Accept", "application/json"}};
  if (!body.empty()) {
    request.headers.push_back({"Content-Type", "application/json"});
    request.body = std::make_shared<const Bytes>(body.begin(), body.end());
  }
  auto outcome = co_await client_->send(std::move(request));
  if (!outcome)
    co_return fail(outcome.error().kind == http::FailureKind::untrusted ? ErrorKind::refused : ErrorKind::unavailable,
                   "the cluster's API does not answer: " + outcome.error().message);
  co_return std::move(*outcome);
}

Task<Result<KubernetesDriver::Scale>> KubernetesDriver::read() {
  const auto response = co_await send(http::Method::get, {});
  if (!response) co_return std::unexpected(response.error());
  if (response->status != 200) co_return std::unexpected(explained(*response));
  const Json json = Json::parse(text_of(response->body), nullptr, false);
  const Json replicas = json.is_object() ? json.value("/spec/replicas"_json_pointer, Json(0)) : Json();
  const Json version = json.is_object() ? json.value("/metadata/resourceVersion"_json_pointer, Json()) : Json();
  if (!replicas.is_number_integer() || replicas < 0 || replicas > 100'000 || !version.is_string())
    co_return fail(ErrorKind::unavailable, "the cluster's API answers something that is no Scale");
  co_return Scale{replicas.get<int>(), version.get<std::string>()};
}

Task<Result<bool>> KubernetesDriver::write(Scale read, int replicas) {
  const Json scale = {
      {"apiVersion", "autoscaling/v1"},
      {"kind", "Scale"},
      {"metadata",
       {{"name", options_.stateful_set}, {"namespace", options_.name_space}, {"resourceVersion", read.version}}},
      {"spec", {{"replicas", replicas}}}};
  const auto response = co_await send(http::Method::put, scale.dump());
  if (!response) co_return std::unexpected(response.error());
  if (response->status == 409) co_return false;
  if (response->status != 200 && response->status != 201) co_return std::unexpected(explained(*response));
  co_return true;
}

Task<Result<int>> KubernetesDriver::current() {
  const auto scale = co_await read();
  if (!scale) co_return std::unexpected(scale.error());
  co_return scale->replicas;
}

Task<Result<void>> KubernetesDriver::set(int count) {
  for (int i = 0; i < tries_max; ++i) {
    const auto scale = co_await read();
    if (!scale) co_return std::unexpected(scale.error());
    if (scale->replicas == count) co_return Result<void>{};
    if (scale->replicas > count)
      co_return fail(ErrorKind::refused, fmt::format("{} workers run already, more than {}", scale->replicas, count));
    const auto written = co_await write(*scale, count);
    if (!written) co_return std::unexpected(written.error());
    if (*written) co_return Result<void>{};
  }
  co_return fail(ErrorKind::unavailable, "others change the number of workers all the time");
}

Task<Result<void>> KubernetesDriver::retire(std::string worker) {
  const auto ordinal = ordinal_of(worker);
  for (int i = 0; i < tries_max; ++i) {
    const auto scale = co_await read();
    if (!scale) co_return std::unexpected(scale.error());
    if (ordinal != scale->replicas - 1)
      co_return fail(ErrorKind::refused, fmt::format("{} is not the last of {} workers", worker, scale->replicas));
    const auto written = co_await write(*scale, scale->replicas - 1);
    if (!written) co_return std::unexpected(written.error());
    if (*written) co_return Result<void>{};
  }
  co_return fail(ErrorKind::unavailable, "others change the number of workers all the time");
}

}  // namespace zef::controller
