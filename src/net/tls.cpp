#include "net/tls.h"

#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/check.h"

namespace zef::net {
namespace {

std::string last_openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  return reason ? reason : "unknown reason";
}

Result<void> check_key_mode(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail(ErrorKind::not_found, fmt::format("cannot read the key {}: {}", path.string(), std::strerror(errno)));
  if ((status.st_mode & 077) != 0) {
    return fail(ErrorKind::refused, fmt::format("others may read the key {} (mode {:o}): run chmod 600 on it",
                                                path.string(), status.st_mode & 0777));
  }
  return {};
}

Result<void> load_into(SSL_CTX* context, const TlsFiles& files) {
  ERR_clear_error();
  if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1) {
    return fail(ErrorKind::not_found, fmt::format("cannot read the authority's certificate {}: {}", files.ca.string(),
                                                  last_openssl_reason()));
  }
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return fail(ErrorKind::not_found,
                fmt::format("cannot read the certificate {}: {}", files.certificate.string(), last_openssl_reason()));
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail(ErrorKind::invalid_input,
                fmt::format("the key {} cannot be used with the certificate {}: {}", files.key.string(),
                            files.certificate.string(), last_openssl_reason()));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsFiles& files) {
  if (auto mode = check_key_mode(files.key); !mode) return std::unexpected(mode.error());
  SSL_CTX* const raw = SSL_CTX_new(TLS_method());
  ZEF_CHECK(raw);
  std::shared_ptr<TlsContext> context(new TlsContext(raw));
  ZEF_CHECK(SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(raw, 1);
  // Connections are few and long: no resumption, hence no tickets to keep secret.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  // An encrypted key must not make OpenSSL ask the terminal.
  SSL_CTX_set_default_passwd_cb(raw, [](char*, int, int, void*) { return -1; });
  if (auto loaded = load_into(raw, files); !loaded) return std::unexpected(loaded.error());
  return context;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

TlsSession::TlsSession(const TlsContext& context, Role role) : ssl_(SSL_new(context.context_)) {
  ZEF_CHECK(ssl_);
  BIO* const incoming = BIO_new(BIO_s_mem());
  BIO* const outgoing = BIO_new(BIO_s_mem());
  ZEF_CHECK(incoming && outgoing);
  BIO_set_mem_eof_return(incoming, -1);  // an empty BIO means "later", not "end"
  SSL_set_bio(ssl_, incoming, outgoing);
  if (role == Role::client)
    SSL_set_connect_state(ssl_);
  else
    SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

void TlsSession::feed(ByteView cipher) {
  if (cipher.empty()) return;
  ZEF_CHECK(cipher.size() <= INT_MAX);
  const int size = static_cast<int>(cipher.size());
  ZEF_CHECK(BIO_write(SSL_get_rbio(ssl_), cipher.data(), size) == size);
}

Result<bool> TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return true;
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
  return std::unexpected(explain());
}

Result<std::size_t> TlsSession::read(std::span<std::uint8_t> out) {
  ERR_clear_error();
  std::size_t got = 0;
  const int result = SSL_read_ex(ssl_, out.data(), out.size(), &got);
  if (result == 1) return got;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: return fail(ErrorKind::unavailable, "closed by the peer");
    default: return std::unexpected(explain());
  }
}

Result<void> TlsSession::write(ByteView plain) {
  while (!plain.empty()) {
    ERR_clear_error();
    std::size_t wrote = 0;
    if (SSL_write_ex(ssl_, plain.data(), std::min<std::size_t>(plain.size(), INT_MAX), &wrote) != 1)
      return std::unexpected(explain());
    plain = plain.subspan(wrote);
  }
  return {};
}

void TlsSession::shutdown() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

void TlsSession::take_output(Bytes& out) {
  BIO* const outgoing = SSL_get_wbio(ssl_);
  char* data = nullptr;
  const long size = BIO_get_mem_data(outgoing, &data);
  if (size <= 0) return;
  append(out, {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)});
  (void)BIO_reset(outgoing);
}

std::string TlsSession::peer_name() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (!certificate) return {};
  char name[256];
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return size > 0 ? std::string(name, static_cast<std::size_t>(size)) : std::string();
}

Error TlsSession::explain() const {
  std::string message = "TLS: " + last_openssl_reason();
  const long verified = SSL_get_verify_result(ssl_);
  if (verified != X509_V_OK)
    message += fmt::format(" (the peer's certificate: {})", X509_verify_cert_error_string(verified));
  return {ErrorKind::refused, message};
}

}  // namespace zef::net
