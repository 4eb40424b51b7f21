// Structured: the bytes are decisions of a scenario that runs a validator beside a naive model of it.
#include "shard/testing/quiet.h"
#include "shard/testing/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t steps_max = 2048;  // bytes; longer inputs find nothing else
  static const zef::shard::testing::Quiet quiet;
  zef::shard::testing::run_scenario({data, size < steps_max ? size : steps_max});
  return 0;
}
