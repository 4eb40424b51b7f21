// network.json: where the validators of a network can be reached. It goes with the genesis file and names its network.
//
//   { "network": hex, "validators": [ { "index": 0, "name": "validator-0", "address": "127.0.0.1:7000" }, ... ] }
//
// Every validator of the committee stands in it once, in the order of the committee.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/transport.h"
#include "protocol/genesis.h"

namespace zef::client {

struct Endpoint {
  protocol::ValidatorIndex index;
  std::string name;
  std::string address;  // "host:port"
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  static constexpr auto fields = codec::fields<&Endpoint::index, &Endpoint::name, &Endpoint::address>;
};

struct NetworkFile {
  protocol::NetworkId network;
  std::vector<Endpoint> validators;
  friend bool operator==(const NetworkFile&, const NetworkFile&) = default;
  static constexpr auto fields = codec::fields<&NetworkFile::network, &NetworkFile::validators>;
};

inline constexpr std::size_t network_file_bytes_max = 1 << 20;

// Replaces the file atomically (it holds no secrets: mode 0644).
[[nodiscard]] Result<void> write_network_file(const std::filesystem::path& path, const NetworkFile& file);

// `not_found`, `invalid_input` (with the place in the file), `refused` if it is of another network than the genesis.
[[nodiscard]] Result<NetworkFile> read_network_file(const std::filesystem::path& path,
                                                    const protocol::Network& network);
[[nodiscard]] Result<NetworkFile> parse_network_file(std::string_view text, const protocol::Network& network);

// The addresses in the order of the committee; the file has been checked by one of the functions above.
[[nodiscard]] std::vector<net::Address> addresses_of(const NetworkFile& file);

}  // namespace zef::client
