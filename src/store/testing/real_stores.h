// Real servers for tests, where there are some: ZEF_TEST_STORES names them, as scripts/object-stores prints it:
//
//   name=url[,url...] [name=url...]
//
// Several URLs of one name are several ways to one bucket (gateways of one cluster); requests alternate among them.
//
// Thread rule: that of the stores.
#pragma once

#include <string>
#include <vector>

#include "base/executor.h"
#include "store/object_store.h"

namespace zef::store::testing {

struct RealStore {
  std::string name;
  std::vector<std::string> urls;
};

// Empty if the variable is not set; a value that makes no sense ends the process.
[[nodiscard]] std::vector<RealStore> real_stores();

// A part of the bucket that nobody has used before. Without retries. The executor's wall clock must be right: requests
// are signed with it.
[[nodiscard]] std::unique_ptr<ObjectStore> open_real_store(Executor& executor, const RealStore& store);

// A name that nobody has used before.
[[nodiscard]] std::string fresh_name();

}  // namespace zef::store::testing
