// The internal network's own certificate authority: it signs one certificate for each process of a validator, so that
// workers, balancers and controllers know each other (mutual TLS). Files: ca.pem, ca.key, <name>.pem, <name>.key; PEM,
// Ed25519, valid for ten years; keys have mode 0600. Written aside, synced and renamed: a crash leaves no half file.
//
// Thread rule: blocking file access; call it at set-up, from any thread.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace zef::net {

struct TlsFiles {
  std::filesystem::path ca;           // certificates that are trusted to sign peers
  std::filesystem::path certificate;  // ours
  std::filesystem::path key;          // ours; refused when others than its owner may read it
};

// Makes the folder (0700) and the authority in it. An authority that exists is kept.
[[nodiscard]] Result<void> make_internal_ca(const std::filesystem::path& dir);

// Makes a certificate for a process (its name: letters, digits, '.', '-', at most 63), signed by the authority in the
// folder, for both sides of a connection. One that exists is kept.
[[nodiscard]] Result<TlsFiles> make_node_certificate(const std::filesystem::path& dir, std::string_view name);

}  // namespace zef::net
