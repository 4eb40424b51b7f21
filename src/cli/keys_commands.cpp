#include "cli/keys_commands.h"

#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "cli/files.h"
#include "crypto/sealed.h"
#include "crypto/verify.h"
#include "net/certificates.h"

namespace zef::cli {
namespace {

struct KeyFlags {
  std::filesystem::path file;
  PassphraseOptions passphrase;
  bool verify = false;
  bool json = false;
};

void print_key(const KeyFlags& flags, const crypto::PublicKey& key) {
  if (flags.json)
    print_json({{"file", flags.file.string()}, {"public_key", key.hex()}});
  else
    print_out(key.hex() + "\n");
}

Result<ExitCode> create_key(const KeyFlags& flags) {
  std::error_code ignored;
  if (std::filesystem::exists(flags.file, ignored))  // before the passphrase is asked for
    return fail(ErrorKind::refused,
                flags.file.string() + " is there already: name a new file, keys are never replaced");
  const auto passphrase = flags.passphrase.read("New passphrase of the key: ", crypto::Confirm::yes);
  if (!passphrase) return std::unexpected(passphrase.error());
  const auto key = crypto::SigningKey::generate();
  if (auto wrote = crypto::write_sealed_file(flags.file, key, *passphrase); !wrote)
    return std::unexpected(wrote.error());
  print_key(flags, key.public_key());
  return ExitCode::ok;
}

Result<ExitCode> show_key(const KeyFlags& flags) {
  const auto content = read_file(flags.file, crypto::sealed_size_max);
  if (!content) return std::unexpected(content.error());
  auto key = crypto::sealed_public_key(*content);
  if (!key) return std::unexpected(Error{key.error().kind, flags.file.string() + ": " + key.error().message});
  if (flags.verify) {
    const auto passphrase = flags.passphrase.read("Passphrase of the key: ");
    if (!passphrase) return std::unexpected(passphrase.error());
    if (const auto opened = crypto::read_sealed_file(flags.file, *passphrase); !opened)
      return std::unexpected(opened.error());
  }
  print_key(flags, *key);
  return ExitCode::ok;
}

struct CertificateFlags {
  std::filesystem::path folder;
  std::size_t workers = 2;
  bool json = false;
};

Result<ExitCode> make_certificates(const CertificateFlags& flags) {
  if (auto made = net::make_internal_ca(flags.folder); !made) return std::unexpected(made.error());
  std::vector<std::string> names{"controller"};
  for (std::size_t worker = 0; worker < flags.workers; ++worker) names.push_back(fmt::format("w{}", worker));
  for (const std::string& name : names)
    if (auto made = net::make_node_certificate(flags.folder, name); !made) return std::unexpected(made.error());
  if (flags.json)
    print_json({{"folder", flags.folder.string()}, {"names", names}});
  else
    print_out(fmt::format("{}: an authority, and certificates of {}\n", flags.folder.string(), fmt::join(names, ", ")));
  return ExitCode::ok;
}

}  // namespace

void add_keys_commands(Program& program) {
  CLI::App& keys =
      add_group(program.app, "keys", "Signing keys in sealed files, and certificates of the internal network");
  const auto created = std::make_shared<KeyFlags>();
  CLI::App& create = add_command(program, keys, "create", "Makes a key in a new sealed file and prints its public part",
                                 [created] { return create_key(*created); });
  create.add_option("file", created->file, "The file to make (mode 0600)")->required();
  created->passphrase.add_to(create);
  add_json_flag(create, created->json);

  const auto shown = std::make_shared<KeyFlags>();
  CLI::App& show = add_command(program, keys, "show", "Prints the public part of a sealed key",
                               [shown] { return show_key(*shown); });
  show.add_option("file", shown->file, "The sealed key file")->required();
  show.add_flag("--verify", shown->verify, "Open it with its passphrase, so that a changed file is noticed");
  shown->passphrase.add_to(show);
  add_json_flag(show, shown->json);

  const auto certified = std::make_shared<CertificateFlags>();
  CLI::App& certificates = add_command(
      program, keys, "certificates",
      "Makes what --tls takes: an authority, and certificates that it signed, of w0, w1, ... and of the controller",
      [certified] { return make_certificates(*certified); });
  certificates.add_option("folder", certified->folder, "Where; what is there already stays")->required();
  certificates.add_option("--workers", certified->workers, "As many as there may ever be")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_json_flag(certificates, certified->json);
}

Result<crypto::PublicKey> public_key_from(const std::string& text) {
  if (const auto key = crypto::PublicKey::parse_hex(text)) {
    if (!crypto::is_usable(*key)) return fail(ErrorKind::invalid_input, text + " is not a usable Ed25519 key");
    return *key;
  }
  const auto content = read_file(text, crypto::sealed_size_max);
  if (!content)
    return fail(ErrorKind::invalid_input,
                fmt::format("'{}' is neither a public key (64 hexadecimal digits) nor a sealed key file: {}", text,
                            content.error().message));
  auto key = crypto::sealed_public_key(*content);
  if (!key) return fail(key.error().kind, text + ": " + key.error().message);
  return *key;
}

}  // namespace zef::cli
