// The test network itself: what other tests rely on.
#include "protocol/testing/fixture.h"

#include <gtest/gtest.h>

namespace zef::protocol::testing {
namespace {

TEST(TestNetwork, is_the_same_for_the_same_options) {
  EXPECT_EQ(TestNetwork().id(), TestNetwork().id());
  EXPECT_NE(TestNetwork().id(), TestNetwork({.seed = 2}).id());
}

TEST(TestNetwork, makes_orders_and_proofs_that_verify) {
  const TestNetwork net;
  Chain alice(net, 0);
  const auto child_key = test_key(7);
  const Request opening = alice.open_child(child_key, Amount(50));
  Chain child = alice.child_of(opening, child_key);
  EXPECT_EQ(child.account().text(), "0/0");

  EXPECT_EQ(net.verified(alice.order(pay(net.uid(1), 10))).order().owner, net.account_key(0).public_key());
  EXPECT_EQ(net.verified(child.order(pay(net.uid(1), 10))).request().previous, hash_of(net.id(), opening));
  EXPECT_EQ(net.verified(net.proof(opening)).requests().size(), 1U);
}

TEST(TestNetwork, makes_votes_in_batches) {
  const TestNetwork net;
  Chain alice(net, 0);
  std::vector<Request> requests;
  for (int i = 0; i < 5; ++i) requests.push_back(alice.next(skip()));
  const auto proofs = net.proofs(requests, 2);
  ASSERT_EQ(proofs.size(), 5U);
  EXPECT_EQ(proofs[0].certificate.votes.size(), 3U);
  EXPECT_EQ(proofs[1].certificate.votes[2].second.size, 2U);
  EXPECT_EQ(proofs[4].certificate.votes[2].second.size, 1U);
  for (const Proof& proof : proofs) EXPECT_EQ(net.verified(proof).requests().size(), 1U);
  EXPECT_EQ(net.verified(net.chain_proof(requests)).requests().size(), 5U);
}

}  // namespace
}  // namespace zef::protocol::testing
