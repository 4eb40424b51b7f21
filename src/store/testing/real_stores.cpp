#include "store/testing/real_stores.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <sstream>
#include <utility>

#include "base/check.h"
#include "store/open_store.h"

namespace zef::store::testing {
namespace {

class AlternatingStore final : public ObjectStore {
 public:
  explicit AlternatingStore(std::vector<std::unique_ptr<ObjectStore>> ways) : ways_(std::move(ways)) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return next().put_if_absent(std::move(key), std::move(bytes));
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return next().put_if_match(std::move(key), std::move(bytes), std::move(tag));
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    return next().get(std::move(key), range);
  }
  Task<StoreResult<std::monostate>> del(std::string key) override { return next().del(std::move(key)); }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return next().list(std::move(prefix), std::move(start_after), limit);
  }
  Task<StoreResult<std::monostate>> check_settings() override { return next().check_settings(); }

 private:
  ObjectStore& next() { return *ways_[turn_++ % ways_.size()]; }

  std::vector<std::unique_ptr<ObjectStore>> ways_;
  std::size_t turn_ = 0;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

}  // namespace

std::vector<RealStore> real_stores() {
  const char* const variable = std::getenv("ZEF_TEST_STORES");
  std::vector<RealStore> stores;
  for (const std::string& entry : split(variable == nullptr ? "" : variable, ' ')) {
    const auto equals = entry.find('=');
    ZEF_CHECK(equals != std::string::npos && "ZEF_TEST_STORES: name=url[,url...] [name=url...]");
    RealStore store{entry.substr(0, equals), split(entry.substr(equals + 1), ',')};
    ZEF_CHECK(!store.urls.empty());
    for (const std::string& url : store.urls) ZEF_CHECK(check_store_url(url).has_value());
    stores.push_back(std::move(store));
  }
  return stores;
}

std::string fresh_name() {
  std::random_device device;
  std::string name = "t";
  for (int i = 0; i < 4; ++i) name += fmt::format("{:08x}", device());
  return name;
}

std::unique_ptr<ObjectStore> open_real_store(Executor& executor, const RealStore& store) {
  const std::string part = fresh_name();
  std::vector<std::unique_ptr<ObjectStore>> ways;
  for (const std::string& url : store.urls) {
    auto opened = open_store(executor, part_of_store(url, part));
    if (!opened) fmt::print(stderr, "{}: {}\n", store.name, opened.error().message);
    ZEF_CHECK(opened.has_value());
    ways.push_back(std::move(*opened));
  }
  return std::make_unique<AlternatingStore>(std::move(ways));
}

}  // namespace zef::store::testing
