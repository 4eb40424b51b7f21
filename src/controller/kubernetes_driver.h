// Workers as the pods of a StatefulSet: their number is its `replicas`, read and written by the scale subresource of
// the cluster's API, and nothing else is touched. Every write carries the resourceVersion that was read, so of two
// controllers that retire the same worker one is refused.
//
// The pod's own service account must be allowed to `get` and `update` statefulsets/scale (deploy/kubernetes). Its token
// is read again for each request, because the cluster replaces it every hour.
//
// Thread rule: one executor. Tasks end, or are dropped, before the driver.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/executor.h"
#include "controller/driver.h"
#include "http/client.h"

namespace zef::controller {

struct KubernetesOptions {
  std::string api;  // "https://10.96.0.1:443"
  std::string name_space;
  std::string stateful_set;
  std::filesystem::path token_file;
  std::filesystem::path ca_file;  // empty: who the machine trusts
};

// What every pod finds: the API's address in the environment, and the folder of its service account. not_found: this
// process runs in no pod.
[[nodiscard]] Result<KubernetesOptions> in_cluster_options(
    std::string stateful_set, const std::filesystem::path& account = "/var/run/secrets/kubernetes.io/serviceaccount");

class KubernetesDriver final : public Driver {
 public:
  [[nodiscard]] static Result<std::unique_ptr<KubernetesDriver>> make(Executor& executor, KubernetesOptions options);

  Task<Result<int>> current() override;
  Task<Result<void>> set(int count) override;
  Task<Result<void>> retire(std::string worker) override;

 private:
  struct Scale {
    int replicas;
    std::string version;  // resourceVersion
  };
  KubernetesDriver(KubernetesOptions options, std::unique_ptr<http::Client> client);

  Task<Result<Scale>> read();
  // False: somebody else has written since `read`.
  Task<Result<bool>> write(Scale read, int replicas);
  Task<Result<http::Response>> send(http::Method method, std::string body);
  [[nodiscard]] Error explained(const http::Response& response) const;

  const KubernetesOptions options_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace zef::controller
