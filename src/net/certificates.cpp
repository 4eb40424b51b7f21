#include "net/certificates.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>

namespace zef::net {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;

constexpr long validity_seconds = 10L * 365 * 24 * 3600;
// A clock that is a little behind the one of the machine that made the certificate does not refuse it.
constexpr long backdated_seconds = 24L * 3600;
constexpr std::size_t name_bytes_max = 63;

std::unexpected<Error> openssl_failed(std::string_view what) {
  return fail(ErrorKind::io, fmt::format("OpenSSL cannot {}", what));
}

std::unexpected<Error> file_failed(const std::filesystem::path& path, std::string_view what) {
  return fail(ErrorKind::io, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

// A file descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<void> write_file(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  const std::filesystem::path aside = path.string() + ".new";
  ::unlink(aside.c_str());  // of a crash; its mode may be another
  {
    const File file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return file_failed(aside, "create");
    while (!content.empty()) {
      const ssize_t wrote = ::write(file.get(), content.data(), content.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return file_failed(aside, "write");
      content.remove_prefix(static_cast<std::size_t>(wrote));
    }
    if (::fsync(file.get()) != 0) return file_failed(aside, "sync");
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) return file_failed(path, "rename");
  const File folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return file_failed(path.parent_path(), "sync");
  return {};
}

std::string_view content_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// The certificate first: whoever finds the key finds both.
Result<void> write_pair(const std::filesystem::path& certificate_path, const Certificate& certificate,
                        const std::filesystem::path& key_path, const Key& key) {
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  if (!certificate_text || PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1)
    return openssl_failed("encode a certificate");
  const Bio key_text(BIO_new(BIO_s_secmem()));  // zeroed when freed
  if (!key_text || PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failed("encode a key");
  if (auto written = write_file(certificate_path, content_of(certificate_text), 0644); !written) return written;
  return write_file(key_path, content_of(key_text), 0600);
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  unsigned char raw[16];
  if (RAND_bytes(raw, sizeof raw) != 1) return false;
  raw[0] = (raw[0] & 0x7F) | 0x40;  // positive and of full length
  const Number number(BN_bin2bn(raw, sizeof raw, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

// Everything but the issuer, the extensions and the signature.
Certificate new_certificate(const std::string& name, const Key& key) {
  Certificate certificate(X509_new());
  if (!certificate) return nullptr;
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  const bool ok =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 && set_random_serial(certificate.get()) &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -backdated_seconds) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), validity_seconds) != nullptr &&
      X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
      X509_set_pubkey(certificate.get(), key.get()) == 1;
  return ok ? std::move(certificate) : nullptr;
}

Key new_key() { return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

Result<bool> pair_exists(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  std::error_code error;
  const bool has_key = std::filesystem::exists(key, error);
  const bool has_certificate = std::filesystem::exists(certificate, error);
  if (has_key && !has_certificate) {
    return fail(ErrorKind::corrupt, fmt::format("{} is there without {}: put the certificate back, or remove the key",
                                                key.string(), certificate.string()));
  }
  return has_key;  // a certificate alone is what a crash left, and is replaced
}

Result<Certificate> read_certificate(const std::filesystem::path& path) {
  const Bio file(BIO_new_file(path.c_str(), "r"));
  if (!file) return fail(ErrorKind::not_found, fmt::format("cannot read {}", path.string()));
  Certificate certificate(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  if (!certificate) return fail(ErrorKind::corrupt, fmt::format("{} holds no certificate", path.string()));
  return certificate;
}

Result<Key> read_key(const std::filesystem::path& path) {
  const Bio file(BIO_new_file(path.c_str(), "r"));
  if (!file) return fail(ErrorKind::not_found, fmt::format("cannot read {}", path.string()));
  // An encrypted key must not make OpenSSL ask the terminal.
  constexpr auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(file.get(), nullptr, no_passphrase, nullptr));
  if (!key) return fail(ErrorKind::corrupt, fmt::format("{} holds no usable key", path.string()));
  return key;
}

bool good_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max || name.front() == '.' || name == "ca") return false;
  for (const char c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    if (!good) return false;
  }
  return true;
}

}  // namespace

Result<void> make_internal_ca(const std::filesystem::path& dir) {
  std::error_code error;
  if (std::filesystem::create_directories(dir, error)) {
    if (::chmod(dir.c_str(), 0700) != 0) return file_failed(dir, "set the mode of");
  }
  if (error) return fail(ErrorKind::io, fmt::format("cannot make the folder {}: {}", dir.string(), error.message()));

  const auto exists = pair_exists(dir / "ca.pem", dir / "ca.key");
  if (!exists) return std::unexpected(exists.error());
  if (*exists) return {};

  const Key key = new_key();
  if (!key) return openssl_failed("make a key");
  const Certificate certificate = new_certificate("zef internal authority", key);
  X509* const raw = certificate.get();
  if (!raw || X509_set_issuer_name(raw, X509_get_subject_name(raw)) != 1 ||
      !add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(raw, raw, NID_key_usage, "critical,keyCertSign") ||
      !add_extension(raw, raw, NID_subject_key_identifier, "hash") || X509_sign(raw, key.get(), nullptr) == 0)
    return openssl_failed("make a certificate");
  return write_pair(dir / "ca.pem", certificate, dir / "ca.key", key);
}

Result<TlsFiles> make_node_certificate(const std::filesystem::path& dir, std::string_view name) {
  if (!good_name(name)) {
    return fail(ErrorKind::invalid_input,
                fmt::format("'{}' cannot name a certificate: use letters, digits, '.', '-', at most {}",
                            name.substr(0, name_bytes_max), name_bytes_max));
  }
  const std::string text(name);
  TlsFiles files{dir / "ca.pem", dir / (text + ".pem"), dir / (text + ".key")};
  const auto exists = pair_exists(files.certificate, files.key);
  if (!exists) return std::unexpected(exists.error());
  if (*exists) return files;

  const auto ca = read_certificate(files.ca);
  if (!ca) return std::unexpected(ca.error());
  const auto ca_key = read_key(dir / "ca.key");
  if (!ca_key) return std::unexpected(ca_key.error());
  const Key key = new_key();
  if (!key) return openssl_failed("make a key");
  const Certificate certificate = new_certificate(text, key);
  X509* const raw = certificate.get();
  if (!raw || X509_set_issuer_name(raw, X509_get_subject_name(ca->get())) != 1 ||
      !add_extension(raw, ca->get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(raw, ca->get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(raw, ca->get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      !add_extension(raw, ca->get(), NID_subject_key_identifier, "hash") ||
      !add_extension(raw, ca->get(), NID_authority_key_identifier, "keyid") ||
      !add_extension(raw, ca->get(), NID_subject_alt_name, "DNS:" + text) ||
      X509_sign(raw, ca_key->get(), nullptr) == 0)
    return openssl_failed("make a certificate");
  if (auto written = write_pair(files.certificate, certificate, files.key, key); !written)
    return std::unexpected(written.error());
  return files;
}

}  // namespace zef::net
