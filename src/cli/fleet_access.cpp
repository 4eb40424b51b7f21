#include "cli/fleet_access.h"

#include <fmt/core.h>

#include "cli/network_folder.h"
#include "controller/kubernetes_driver.h"
#include "controller/process_driver.h"

namespace zef::cli {

void FleetFlags::add_to(CLI::App& app) {
  app.add_option("--dir", dir, "A local network's folder; or --store and --tls");
  app.add_option("--validator", validator, "Of the local network, from 0 on")->capture_default_str();
  app.add_option("--store", store, "The validator's object store");
  app.add_option("--tls", tls, "Folder with ca.pem and a certificate of the validator");
  app.add_option("--certificate", certificate, "Its name in that folder")->capture_default_str();
}

void FleetFlags::add_driver_to(CLI::App& app) {
  app.add_option("--workers-file", workers_file, "File with the number of workers (a local network has one)");
  app.add_option("--stateful-set", stateful_set, "Of the workers, in this pod's Kubernetes cluster");
}

Result<std::unique_ptr<controller::Driver>> open_driver(net::Loop& loop, const std::filesystem::path& workers_file,
                                                        const std::string& stateful_set) {
  if (!workers_file.empty()) {
    if (!stateful_set.empty())
      return fail(ErrorKind::invalid_input, "give only one of --workers-file and --stateful-set");
    if (const auto count = controller::read_worker_count(workers_file); !count) return std::unexpected(count.error());
    return std::make_unique<controller::ProcessDriver>(workers_file);
  }
  if (stateful_set.empty()) return nullptr;
  auto options = controller::in_cluster_options(stateful_set);
  if (!options) return std::unexpected(options.error());
  auto driver = controller::KubernetesDriver::make(loop, std::move(*options));
  if (!driver) return std::unexpected(driver.error());
  return std::move(*driver);
}

namespace {

// The folder's names in the place of what was left out.
Result<FleetFlags> complete(FleetFlags flags) {
  if (flags.dir.empty()) {
    if (flags.store.empty() || flags.tls.empty())
      return fail(ErrorKind::invalid_input, "name a local network with --dir, or give --store and --tls");
    return flags;
  }
  const auto folder = NetworkFolder::view(flags.dir);
  if (!folder) return std::unexpected(folder.error());
  if (flags.validator >= folder->settings.validators)
    return fail(ErrorKind::invalid_input, fmt::format("--validator {}: this network has validators 0 to {}",
                                                      flags.validator, folder->settings.validators - 1));
  flags.store = folder->store_url(flags.validator);
  flags.tls = folder->tls_path(flags.validator);
  flags.workers_file = folder->worker_count_path(flags.validator);
  return flags;
}

}  // namespace

Result<std::unique_ptr<FleetAccess>> FleetAccess::open(const FleetFlags& given) {
  const auto flags = complete(given);
  if (!flags) return std::unexpected(flags.error());
  auto access = std::make_unique<FleetAccess>();
  access->title =
      flags->dir.empty() ? flags->store : fmt::format("validator-{} of {}", flags->validator, flags->dir.string());
  auto internal = open_internal(access->loop, flags->tls, flags->certificate);
  if (!internal) return std::unexpected(internal.error());
  access->internal = std::move(*internal);
  auto store = ServerStore::open(access->loop, access->rng, {.url = flags->store});
  if (!store) return std::unexpected(store.error());
  access->store = std::move(*store);
  auto driver = open_driver(access->loop, flags->workers_file, flags->stateful_set);
  if (!driver) return std::unexpected(driver.error());
  access->driver = std::move(*driver);
  access->fleet =
      std::make_unique<controller::Fleet>(access->loop, access->rng, access->store->store(), *access->internal);
  return access;
}

}  // namespace zef::cli
