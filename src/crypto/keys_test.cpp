#include "crypto/keys.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "crypto/verify.h"

namespace zef::crypto {
namespace {

bool all_zero(const std::uint8_t* data, std::size_t size) {
  return std::all_of(data, data + size, [](std::uint8_t byte) { return byte == 0; });
}

// The flags that the kernel keeps for the page of this address.
std::string page_flags(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<unsigned long long>(address);
      inside = begin <= at && at < end;
    }
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

TEST(SecretBytes, starts_with_zeros_and_moves) {
  for (const std::size_t size : {0U, 1U, 32U, 64U, 65U, 5000U}) {
    SecretBytes secret(size);
    ASSERT_EQ(secret.size(), size);
    ASSERT_TRUE(all_zero(secret.data(), size));
    std::fill_n(secret.data(), size, 0x77);
    SecretBytes moved = std::move(secret);
    EXPECT_EQ(moved.size(), size);
    EXPECT_EQ(secret.size(), 0U);  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(std::count(moved.data(), moved.data() + size, 0x77), static_cast<std::ptrdiff_t>(size));
  }
}

TEST(SecretBytes, is_zeroed_when_dropped) {
  const std::uint8_t* place = nullptr;
  {
    SecretBytes secret(64);
    std::fill_n(secret.data(), 64, 0x77);
    place = secret.data();
  }
  // Small secrets share memory that stays, so the place may be looked at.
  EXPECT_TRUE(all_zero(place, 64));
}

TEST(SecretBytes, is_zeroed_when_overwritten_by_a_move) {
  SecretBytes secret(64);
  std::fill_n(secret.data(), 64, 0x77);
  const std::uint8_t* place = secret.data();
  secret = SecretBytes(64);
  EXPECT_TRUE(all_zero(place, 64));
  EXPECT_NE(secret.data(), place);
}

// Sanitizers turn mlock() into nothing, for their own shadow memory's sake.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ZEF_TEST_LOCKS_NOTHING
#endif
#endif
#ifdef ZEF_TEST_LOCKS_NOTHING
constexpr bool locks_memory = false;
#else
constexpr bool locks_memory = true;
#endif

TEST(SecretBytes, is_locked_in_memory_and_left_out_of_core_dumps) {
  for (const std::size_t size : {32U, 5000U}) {
    const SecretBytes secret(size);
    const std::string flags = page_flags(secret.view().data());
    EXPECT_EQ(flags.find(" lo ") != std::string::npos, locks_memory) << flags;
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  }
}

TEST(SecretBytes, many_small_ones_do_not_overlap) {
  std::vector<SecretBytes> secrets;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    secrets.emplace_back(64);
    std::fill_n(secrets.back().data(), 64, static_cast<std::uint8_t>(i));
  }
  for (std::uint32_t i = 0; i < 1000; ++i)
    EXPECT_EQ(std::count(secrets[i].data(), secrets[i].data() + 64, static_cast<std::uint8_t>(i)), 64);
}

TEST(SecretBytes, may_be_made_and_dropped_by_many_threads) {
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([thread] {
      for (int i = 0; i < 2000; ++i) {
        SecretBytes secret(64);
        ASSERT_TRUE(all_zero(secret.data(), 64));
        std::fill_n(secret.data(), 64, static_cast<std::uint8_t>(thread + 1));
        ASSERT_EQ(std::count(secret.data(), secret.data() + 64, thread + 1), 64);
      }
    });
}

TEST(SigningKey, signs_what_its_public_key_verifies) {
  const SigningKey key = SigningKey::generate();
  const Signature signature = key.sign(as_bytes("message"));
  EXPECT_TRUE(verify(key.public_key(), as_bytes("message"), signature));
  EXPECT_FALSE(verify(key.public_key(), as_bytes("messagf"), signature));
  EXPECT_TRUE(is_usable(key.public_key()));
}

TEST(SigningKey, comes_back_from_its_seed) {
  const SigningKey key = SigningKey::generate();
  const SigningKey again = SigningKey::from_seed(key.seed());
  EXPECT_EQ(again.public_key(), key.public_key());
  EXPECT_EQ(again.sign(as_bytes("m")), key.sign(as_bytes("m")));
}

TEST(SigningKey, generates_different_keys) {
  EXPECT_NE(SigningKey::generate().public_key(), SigningKey::generate().public_key());
}

TEST(SigningKeyDeathTest, stops_at_a_seed_of_another_size) {
  EXPECT_DEATH((void)SigningKey::from_seed(Bytes(31)), "check failed");
}

// In a process of its own, which the test ends.
TEST(ProtectProcessDeathTest, forbids_core_dumps_and_debuggers) {
  const auto protect_and_report = [] {
    const auto result = protect_process();
    if (!result) {
      std::fprintf(stderr, "%s\n", result.error().message.c_str());
      std::_Exit(1);
    }
    rlimit core{1, 1};
    const bool no_core = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0;
    const bool hidden = prctl(PR_GET_DUMPABLE) == 0;
    std::fprintf(stderr, "no_core=%d hidden=%d\n", no_core ? 1 : 0, hidden ? 1 : 0);
    std::_Exit(0);
  };
  EXPECT_EXIT(protect_and_report(), testing::ExitedWithCode(0), "no_core=1 hidden=1");
}

}  // namespace
}  // namespace zef::crypto
