// TLS 1.3 of one connection as a transformer of bytes: no socket here. Both sides must show a certificate that the
// authority signed. The name in it is for logs: whoever holds a certificate of the authority belongs to the validator.
//
// Usage: feed() what the socket received; then handshake() until it is true, then read() until it gives 0; write() what
// is to be sent; after each of them take_output() and send that.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "net/certificates.h"

struct ssl_ctx_st;
struct ssl_st;

namespace zef::net {

// Keys and trust of this process. The contexts live as long as a session of theirs does.
class TlsContext {
 public:
  // refused: the key file may be read by others; not_found, corrupt, invalid_input (certificate and key differ).
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> load(const TlsFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

class TlsSession {
 public:
  enum class Role { client, server };
  TlsSession(const TlsContext& context, Role role);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  void feed(ByteView cipher);
  // True when done; refused when a certificate or the peer's bytes are wrong.
  [[nodiscard]] Result<bool> handshake();
  // How many plain bytes were written to `out`; 0: nothing more for now. unavailable: the peer has finished; refused:
  // the peer refuses us, or sent what is not TLS.
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out);
  [[nodiscard]] Result<void> write(ByteView plain);
  void shutdown();               // says that nothing follows
  void take_output(Bytes& out);  // appends
  // The common name in the peer's certificate; known after the handshake.
  [[nodiscard]] std::string peer_name() const;

 private:
  [[nodiscard]] Error explain() const;
  ssl_st* ssl_;
};

}  // namespace zef::net
