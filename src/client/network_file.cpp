#include "client/network_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "codec/json.h"

namespace zef::client {
namespace {

std::string machine_says() { return std::strerror(errno); }

Result<void> check(const NetworkFile& file, const protocol::Network& network) {
  if (file.network != network.id)
    return fail(ErrorKind::refused, fmt::format("network.json is of network {}, but the genesis file makes {}: use the "
                                                "two files of the same network",
                                                file.network.hex(), network.id.hex()));
  const auto& committee = network.committee.validators();
  if (file.validators.size() != committee.size())
    return fail(ErrorKind::invalid_input,
                fmt::format("network.json lists {} validators, the genesis file {}: list every "
                            "validator of the committee once",
                            file.validators.size(), committee.size()));
  for (std::size_t i = 0; i < committee.size(); ++i) {
    const Endpoint& endpoint = file.validators[i];
    const auto place = fmt::format("network.json: validators[{}]", i);
    if (endpoint.index.value() != i)
      return fail(ErrorKind::invalid_input,
                  fmt::format("{}.index is {}: validators stand in the order of the committee, from index 0 on", place,
                              endpoint.index.value()));
    if (endpoint.name != committee[i].name)
      return fail(ErrorKind::invalid_input, fmt::format("{}.name is '{}', the genesis file names it '{}'", place,
                                                        endpoint.name, committee[i].name));
    if (const auto address = net::parse_address(endpoint.address); !address)
      return fail(ErrorKind::invalid_input, fmt::format("{}.address: {}", place, address.error().message));
  }
  return {};
}

}  // namespace

Result<void> write_network_file(const std::filesystem::path& path, const NetworkFile& file) {
  const std::string text = codec::to_json(file).dump(2) + "\n";
  const std::filesystem::path fresh = path.string() + ".new";
  const auto io = [&](std::string_view what, const std::filesystem::path& where) {
    return fail(ErrorKind::io, fmt::format("cannot {} {}: {}", what, where.string(), machine_says()));
  };
  const int out = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out < 0) return io("create", fresh);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(out, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      auto failure = io("write", fresh);
      ::close(out);
      return failure;
    }
    done += static_cast<std::size_t>(wrote);
  }
  const bool synced = ::fsync(out) == 0;
  if (::close(out) != 0 || !synced) return io("sync", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return io("replace", path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return io("open", folder);
  const bool folder_synced = ::fsync(dir) == 0;
  ::close(dir);
  if (!folder_synced) return io("sync", folder);
  return {};
}

Result<NetworkFile> parse_network_file(std::string_view text, const protocol::Network& network) {
  auto file = codec::from_json<NetworkFile>(text);
  if (!file) return fail(ErrorKind::invalid_input, "network.json: " + file.error());
  if (const auto checked = check(*file, network); !checked) return std::unexpected(checked.error());
  return std::move(*file);
}

Result<NetworkFile> read_network_file(const std::filesystem::path& path, const protocol::Network& network) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error)
    return fail(error == std::errc::no_such_file_or_directory ? ErrorKind::not_found : ErrorKind::io,
                fmt::format("cannot read {}: {}; it says where the validators are and is made with the network",
                            path.string(), error.message()));
  if (size > network_file_bytes_max)
    return fail(ErrorKind::invalid_input, fmt::format("{} is longer than {} bytes: it is no network.json",
                                                      path.string(), network_file_bytes_max));
  std::string text(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(text.data(), static_cast<std::streamsize>(size)))
    return fail(ErrorKind::io, fmt::format("cannot read {}: {}", path.string(), machine_says()));
  auto file = parse_network_file(text, network);
  if (!file) return fail(file.error().kind, fmt::format("{} ({})", file.error().message, path.string()));
  return file;
}

std::vector<net::Address> addresses_of(const NetworkFile& file) {
  std::vector<net::Address> addresses;
  for (const Endpoint& endpoint : file.validators) {
    auto address = net::parse_address(endpoint.address);
    ZEF_CHECK(address);
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

}  // namespace zef::client
