// Real connections over TCP, plain or with mutual TLS 1.3. See transport.h for what they promise; the loop outlives
// transports, listeners and connections.
//
// Plain: the public port and clients. TLS: the internal ports; a peer without a certificate of the same authority is
// closed and logged before anybody sees the connection (a connecting client may learn it only by on_closed).
#pragma once

#include <memory>

#include "base/result.h"
#include "net/certificates.h"
#include "net/loop.h"
#include "net/transport.h"

namespace zef::net {

[[nodiscard]] std::unique_ptr<Transport> make_tcp_transport(Loop& loop);

// Fails when the files are missing, damaged, do not belong together, or the key may be read by others.
[[nodiscard]] Result<std::unique_ptr<Transport>> make_tls_transport(Loop& loop, const TlsFiles& files);

}  // namespace zef::net
