#include "store/credentials.h"

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "store/errors.h"
#include "store/http_errors.h"

namespace zef::store {
namespace {

using namespace std::chrono_literals;

// Keys that expire are renewed while they still serve, and not used in their last moments.
constexpr Duration renew_before = 5min;
constexpr Duration unusable_before = 30s;

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

// The settings of one profile; nothing if the file has no such profile.
std::optional<std::map<std::string, std::string>> read_profile(std::istream& file, std::string_view profile) {
  std::optional<std::map<std::string, std::string>> settings;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    const std::string_view text = trimmed(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') continue;
    if (text.front() == '[') {
      inside = text.ends_with(']') && trimmed(text.substr(1, text.size() - 2)) == profile;
      if (inside && !settings) settings.emplace();
    } else if (inside && text.contains('=')) {
      (*settings)[std::string(trimmed(text.substr(0, text.find('='))))] = trimmed(text.substr(text.find('=') + 1));
    }
  }
  return settings;
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) {
    const char* const value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
}

Result<std::unique_ptr<CredentialSource>> CredentialSource::make(Executor& executor, CredentialOptions options) {
  std::unique_ptr<http::Client> client;
  if (options.metadata_service) {
    auto made = http::Client::make(executor, {.connect_timeout = 1s, .total_timeout = 3s, .body_max = 65536});
    if (!made) return std::unexpected(std::move(made.error()));
    client = std::move(*made);
  }
  return std::unique_ptr<CredentialSource>(new CredentialSource(executor, std::move(options), std::move(client)));
}

CredentialSource::CredentialSource(Executor& executor, CredentialOptions options, std::unique_ptr<http::Client> client)
    : executor_(executor), options_(std::move(options)), client_(std::move(client)), fetched_(executor) {}

bool CredentialSource::usable_for(Duration at_least) const {
  return found_ && (!found_->expires || executor_.wall_now() + at_least < *found_->expires);
}

Task<StoreResult<SigningCredentials>> CredentialSource::get() {
  if (!usable_for(renew_before)) begin_fetch();
  if (!usable_for(unusable_before)) co_await fetched_.wait();
  if (usable_for(Duration::zero())) co_return found_->keys;
  co_return std::unexpected(trouble_.value_or(
      StoreError{StoreErrorKind::unavailable, "the credentials of the metadata service have expired already"}));
}

bool CredentialSource::expired(const SigningCredentials& refused) {
  if (!renewable_) return false;
  if (!found_ || found_->keys != refused) return true;  // others are here already, or on their way
  found_.reset();
  const bool again = refused_ == refused;
  refused_ = refused;
  return !again;
}

void CredentialSource::begin_fetch() {
  if (fetching_) return;
  fetching_ = true;
  fetched_.reset();
  scope_.spawn(fetch());
}

Task<void> CredentialSource::fetch() {
  trouble_.reset();
  auto found = options_.profile.empty() ? from_environment() : StoreResult<std::optional<Found>>(std::nullopt);
  if (found && !*found) {
    found = from_file();
    renewable_ = found && *found && !(*found)->keys.session_token.empty();  // somebody may write new ones into it
  }
  if (found && !*found && client_ && options_.profile.empty()) {
    auto asked = co_await from_metadata_service();
    renewable_ = true;
    if (asked) {
      found = std::move(*asked);
    } else {
      found = std::unexpected(std::move(asked.error()));
    }
  }
  if (!found) {
    trouble_ = std::move(found.error());
  } else if (*found) {
    found_ = std::move(*found);
  } else {
    trouble_ =
        StoreError{StoreErrorKind::denied,
                   fmt::format("no credentials: set {0}ACCESS_KEY_ID and {0}SECRET_ACCESS_KEY, or write them to {1}",
                               options_.variable_prefix, file_path())};
  }
  fetching_ = false;
  fetched_.set();
}

StoreResult<std::optional<CredentialSource::Found>> CredentialSource::from_environment() const {
  const auto value = [this](const char* name) { return options_.environment(options_.variable_prefix + name); };
  SigningCredentials keys{value("ACCESS_KEY_ID"), value("SECRET_ACCESS_KEY"), value("SESSION_TOKEN")};
  if (keys.access_key.empty() && keys.secret_key.empty()) return std::nullopt;
  if (keys.access_key.empty() || keys.secret_key.empty())
    return store_fail(
        StoreErrorKind::denied,
        fmt::format("{0}ACCESS_KEY_ID and {0}SECRET_ACCESS_KEY belong together, and only one of them is set",
                    options_.variable_prefix));
  return Found{std::move(keys), std::nullopt};
}

std::string CredentialSource::file_path() const {
  std::string path = options_.environment(options_.variable_prefix + "SHARED_CREDENTIALS_FILE");
  return path.empty() ? options_.environment("HOME") + "/.aws/credentials" : path;
}

StoreResult<std::optional<CredentialSource::Found>> CredentialSource::from_file() const {
  const std::string path = file_path();
  std::string profile = options_.profile;
  if (profile.empty()) profile = options_.environment(options_.variable_prefix + "PROFILE");
  const bool named = !profile.empty();
  if (!named) profile = "default";
  std::ifstream file(path);
  const auto settings = file ? read_profile(file, profile) : std::nullopt;
  if (!settings) {
    if (!named) return std::nullopt;
    return store_fail(StoreErrorKind::denied,
                      file.is_open() ? fmt::format("{} has no profile [{}]", path, profile)
                                     : fmt::format("cannot read {}, where profile [{}] should be", path, profile));
  }
  const auto value = [&settings](const char* name) {
    const auto found = settings->find(name);
    return found == settings->end() ? std::string() : found->second;
  };
  Found found{{value("aws_access_key_id"), value("aws_secret_access_key"), value("aws_session_token")}, std::nullopt};
  if (found.keys.access_key.empty() || found.keys.secret_key.empty())
    return store_fail(StoreErrorKind::denied,
                      fmt::format("{}: profile [{}] lacks aws_access_key_id or aws_secret_access_key", path, profile));
  return found;
}

Task<StoreResult<std::string>> CredentialSource::ask(http::Method method, std::string path, http::Header header) {
  std::string base = options_.environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  http::Request request{.method = method, .url = base + path, .headers = {std::move(header)}};
  auto answer = co_await client_->send(std::move(request));
  if (!answer)
    co_return store_fail(
        StoreErrorKind::unavailable,
        fmt::format(
            "no credentials in {0}ACCESS_KEY_ID and {1}, and the machine's metadata service does not answer ({2})",
            options_.variable_prefix, file_path(), answer.error().message));
  if (answer->status != 200)
    co_return store_fail(
        answer->status >= 500 ? StoreErrorKind::unavailable : StoreErrorKind::denied,
        fmt::format("the metadata service answers {} to {}; has this machine a role?", answer->status, path));
  co_return std::string(as_text(answer->body));
}

Task<StoreResult<CredentialSource::Found>> CredentialSource::from_metadata_service() {
  const std::string roles = "/latest/meta-data/iam/security-credentials/";
  const auto token =
      co_await ask(http::Method::put, "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds", "300"});
  if (!token) co_return std::unexpected(token.error());
  const http::Header proof{"X-aws-ec2-metadata-token", *token};
  const auto listed = co_await ask(http::Method::get, roles, proof);
  if (!listed) co_return std::unexpected(listed.error());
  const std::string role(trimmed(std::string_view(*listed).substr(0, listed->find('\n'))));
  const auto text = co_await ask(http::Method::get, roles + percent_encoded(role), proof);
  if (!text) co_return std::unexpected(text.error());
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const auto value = [&json](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>()
                                                                             : std::string();
  };
  Found found{{value("AccessKeyId"), value("SecretAccessKey"), value("Token")}, parse_time(value("Expiration"))};
  if (found.keys.access_key.empty() || found.keys.secret_key.empty() || !found.expires)
    co_return store_fail(StoreErrorKind::unavailable,
                         fmt::format("the metadata service gives no credentials for the role \"{}\"", role));
  co_return found;
}

}  // namespace zef::store
