// What tests of workers begin with: one validator of two workers, and sixteen accounts spread over both.
#pragma once

#include <gtest/gtest.h>

#include "worker/testing/test_validator.h"

namespace zef::worker::testing {

struct TwoWorkers : ::testing::Test {
  protocol::testing::TestNetwork net{
      protocol::testing::TestNetworkOptions{.validators = 4, .accounts = 16, .fees = protocol::testing::test_fees}};
  TestValidator validator{net, {"w0", "w1"}};

  // An account on another shard owner than account [0], so that payments cross workers.
  protocol::Uid on_other_worker() {
    const bool first = protocol::shard_of(net.uid(0)).value() < 512;
    for (std::uint64_t i = 1; i < 16; ++i)
      if ((protocol::shard_of(net.uid(i)).value() < 512) != first) return net.uid(i);
    ADD_FAILURE();
    return net.uid(1);
  }
  protocol::Refusal refusal_of(const protocol::Answer& answer) {
    const auto* refused = std::get_if<protocol::Refused>(&answer);
    EXPECT_TRUE(refused);
    return refused ? refused->why : protocol::Refusal{};
  }
  void expect_supply() {
    const protocol::Totals t = validator.totals();
    EXPECT_EQ(t.balances + (t.caused - t.received) + (t.fees - t.fees_credited) + t.burned,
              protocol::supply_of(net.genesis()));
  }
};

}  // namespace zef::worker::testing
