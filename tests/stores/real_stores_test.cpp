// What only real servers show: how they refuse, and what becomes of a write whose server stops in the middle. The
// servers are those of scripts/object-stores, named by its environment; ./run starts them.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "net/loop.h"
#include "net/testing/loop_runner.h"
#include "store/azure_store.h"
#include "store/conformance_probe.h"
#include "store/open_store.h"
#include "store/retrying_store.h"
#include "store/s3_store.h"
#include "store/signing.h"
#include "store/testing/real_stores.h"

namespace zef::store {
namespace {

using namespace std::chrono_literals;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  ZEF_CHECK(value != nullptr && "run this by tests/stores/run");
  return value;
}

std::string first_url(const std::string& urls) { return urls.substr(0, urls.find(' ')); }

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& out) {
  out = co_await std::move(task);
}

class RealStores : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskScope scope;
    scope.spawn(keep(std::move(task), out));
    ZEF_CHECK(net::testing::turn_until(loop_, [&out] { return out.has_value(); }));
    return std::move(*out);
  }
  // The environment with other values for some variables.
  static Environment changed(std::string name, std::string value) {
    return [name = std::move(name), value = std::move(value)](const std::string& asked) {
      return asked == name ? value : process_environment()(asked);
    };
  }
  static std::string s3_url() { return first_url(variable("ZEF_RGW_STORES")); }
  static std::string azure_url() { return variable("ZEF_AZURE_STORES"); }
  std::string refusal_of(const std::unique_ptr<ObjectStore>& store) {
    const auto outcome = run(probe(*store, loop_, rng_, "probe/"));
    return outcome ? "not refused" : outcome.error().message;
  }
  std::string s3_refusal(const std::string& url, const Environment& environment) {
    return refusal_of(*make_s3_store(loop_, *parse_s3_url(url, environment)));
  }
  std::string azure_refusal(const std::string& url, const Environment& environment) {
    return refusal_of(*make_azure_store(loop_, *parse_azure_url(url, environment)));
  }

  net::Loop loop_;
  zef::testing::SeededRng rng_{1};
};

TEST_F(RealStores, s3_wrong_credentials_are_named) {
  EXPECT_TRUE(s3_refusal(s3_url(), changed("AWS_SECRET_ACCESS_KEY", "wrong")).contains("the secret key is wrong"));
  EXPECT_TRUE(s3_refusal(s3_url(), changed("AWS_ACCESS_KEY_ID", "WRONG")).contains("does not know this access key"));
  EXPECT_TRUE(s3_refusal(s3_url(), changed("AWS_ACCESS_KEY_ID", "")).contains("only one of them is set"));
}

TEST_F(RealStores, s3_wrong_bucket_is_named) {
  std::string url = s3_url();
  url.replace(5, url.find('?') - 5, "no-such-bucket");
  EXPECT_TRUE(s3_refusal(url, process_environment()).contains("there is no bucket \"no-such-bucket\""));
}

TEST_F(RealStores, s3_bucket_with_versions_is_refused) {
  const std::string refusal = s3_refusal(variable("ZEF_RGW_VERSIONED"), process_environment());
  EXPECT_TRUE(refusal.contains("never had versioning")) << refusal;
}

// The manual executor's wall clock is years behind.
TEST_F(RealStores, s3_wrong_clock_is_named) {
  zef::testing::ManualExecutor past;
  const auto store = std::move(*open_store(past, s3_url()));
  const auto outcome = past.run_until(store->get("key"));
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().kind, StoreErrorKind::denied);
  EXPECT_TRUE(outcome.error().message.contains("clock")) << outcome.error().message;
}

TEST_F(RealStores, s3_over_tls_trusts_only_the_named_authority) {
  const auto trusted = std::move(*open_store(loop_, variable("ZEF_RGW_TLS") + "&ca=" + variable("ZEF_RGW_CA")));
  const auto good = run(trusted->get("key"));
  EXPECT_TRUE(good.has_value()) << good.error().message;
  const auto distrusting = std::move(*open_store(loop_, variable("ZEF_RGW_TLS")));
  const auto refused = run(distrusting->get("key"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, StoreErrorKind::denied);
  EXPECT_TRUE(refused.error().message.contains("ca=")) << refused.error().message;
}

// Stops a process until the end of its scope.
class Stopped {
 public:
  explicit Stopped(pid_t process) : process_(process) {
    ZEF_CHECK(::kill(process_, SIGSTOP) == 0);
    while (!all_threads_stand_still()) std::this_thread::yield();  // a busy thread takes note later than kill() returns
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() { ::kill(process_, SIGCONT); }

 private:
  [[nodiscard]] bool all_threads_stand_still() const {
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process_))) {
      std::ifstream stat(thread.path() / "stat");
      std::string line;
      std::getline(stat, line);
      const std::size_t name_end = line.rfind(')');
      if (name_end != std::string::npos && name_end + 2 < line.size() && line[name_end + 2] != 'T') return false;
    }
    return true;
  }
  pid_t process_;
};

TEST_F(RealStores, s3_write_while_the_disk_stands_still_is_ambiguous_and_settled_later) {
  S3Options options = *parse_s3_url(part_of_store(s3_url(), testing::fresh_name()));
  options.total_timeout = 1s;
  const auto store = std::move(*make_s3_store(loop_, options));
  const Content bytes = content(to_bytes("writer 1, nonce 2"));
  ASSERT_TRUE(std::holds_alternative<Created>(run(store->put_if_absent("before", bytes)).value()));
  {
    const Stopped osd(std::stoi(variable("ZEF_RGW_OSD_PID")));
    const auto outcome = run(store->put_if_absent("key", bytes));
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().kind, StoreErrorKind::ambiguous) << outcome.error().message;
  }
  RetryingStore retrying(*store, loop_, rng_);
  // The identical bytes: whichever of the writes took effect, the outcome is ours.
  std::optional<Tag> tag;
  for (int i = 0; i < 3 && !tag; ++i) {
    const auto read = run(retrying.get("key"));
    ASSERT_TRUE(read.has_value());
    if (*read) {
      EXPECT_EQ((*read)->bytes, *bytes);
      tag = (*read)->tag;
    } else if (auto made = run(retrying.put_if_absent("key", bytes)); std::holds_alternative<Created>(*made)) {
      tag = std::get<Created>(*made).tag;
    }
  }
  ASSERT_TRUE(tag.has_value());
  EXPECT_TRUE(std::holds_alternative<Exists>(run(retrying.put_if_absent("key", content(to_bytes("other")))).value()));
}

TEST_F(RealStores, s3_retries_settle_a_write_across_a_standstill) {
  S3Options options = *parse_s3_url(part_of_store(s3_url(), testing::fresh_name()));
  options.total_timeout = 500ms;
  RetryingStore store(std::move(*make_s3_store(loop_, options)), loop_, rng_);
  std::optional<StoreResult<PutIfAbsent>> outcome;
  TaskScope scope;
  {
    const Stopped osd(std::stoi(variable("ZEF_RGW_OSD_PID")));
    scope.spawn(keep(store.put_if_absent("key", content(to_bytes("writer 1, nonce 3"))), outcome));
    ASSERT_TRUE(net::testing::turn_until(loop_, [&] { return store.retries() > 0; }));
    EXPECT_FALSE(outcome.has_value());
  }
  ASSERT_TRUE(net::testing::turn_until(loop_, [&] { return outcome.has_value(); }));
  ASSERT_TRUE(outcome->has_value()) << outcome->error().message;
  EXPECT_TRUE(std::holds_alternative<Created>(**outcome));
}

TEST_F(RealStores, azure_wrong_key_is_named) {
  const std::string refusal = azure_refusal(azure_url(), changed("AZURE_STORAGE_KEY", "d3Jvbmcga2V5"));
  EXPECT_TRUE(refusal.contains("the storage key is wrong")) << refusal;
}

TEST_F(RealStores, azure_wrong_container_is_named) {
  std::string url = azure_url();
  url.replace(8, url.find('?') - 8, "no-such-container");
  const std::string refusal = azure_refusal(url, process_environment());
  EXPECT_TRUE(refusal.contains("there is no container \"no-such-container\"")) << refusal;
}

// A shared access signature for the whole account, signed as Microsoft describes it.
TEST_F(RealStores, azure_takes_shared_access_signatures) {
  const Bytes key = *from_base64(variable("AZURE_STORAGE_KEY"));
  const std::string version = "2018-11-09";
  const std::string expiry = "2099-01-01T00:00:00Z";
  const std::string text = fmt::format("zefstore\nrwdlac\nb\nco\n\n{}\n\n\n{}\n", expiry, version);
  const std::string token = fmt::format("sv={}&ss=b&srt=co&sp=rwdlac&se={}&sig={}", version, percent_encoded(expiry),
                                        percent_encoded(base64(hmac_sha256(key, text))));
  const auto with_token = [token](const std::string& name) {
    if (name == "AZURE_STORAGE_SAS_TOKEN") return token;
    return std::string();
  };
  EXPECT_EQ(azure_refusal(azure_url(), with_token), "not refused");
  const auto with_wrong = [token](const std::string& name) {
    if (name == "AZURE_STORAGE_SAS_TOKEN") return token + "x";
    return std::string();
  };
  const std::string refusal = azure_refusal(azure_url(), with_wrong);
  EXPECT_TRUE(refusal.contains("SAS token")) << refusal;
}

}  // namespace
}  // namespace zef::store
