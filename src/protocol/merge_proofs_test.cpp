#include <gtest/gtest.h>

#include "protocol/testing/fixture.h"

namespace zef::protocol {
namespace {

using testing::Chain;
using testing::TestNetwork;

constexpr std::size_t plenty = 1U << 20;

std::vector<Proof> skips(const TestNetwork& net, Chain& chain, std::size_t count) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < count; ++i) requests.push_back(chain.next(Skip{}));
  return net.proofs(requests, 64);
}

std::vector<Hash> vouched_for(const TestNetwork& net, const std::vector<Proof>& proofs) {
  std::vector<Hash> hashes;
  for (const Proof& proof : proofs) {
    const VerifiedProof verified = net.verified(proof);  // also: each is valid as it stands
    for (const auto& item : verified.requests()) hashes.push_back(item.hash);
  }
  return hashes;
}

TEST(MergeProofs, neighbours_become_one_chain_that_vouches_for_the_same) {
  const TestNetwork net;
  Chain chain(net, 0);
  const auto proofs = skips(net, chain, 100);
  const auto merged = merge_proofs(proofs, plenty);
  ASSERT_EQ(merged.size(), 1U);
  EXPECT_EQ(merged[0].certificate, proofs.back().certificate);
  EXPECT_EQ(vouched_for(net, merged), vouched_for(net, proofs));
  EXPECT_EQ(merge_proofs(merged, plenty).size(), 1U);
}

TEST(MergeProofs, never_across_a_multiple_of_256) {
  const TestNetwork net;
  Chain chain(net, 0);
  const auto proofs = skips(net, chain, 600);
  const auto merged = merge_proofs(proofs, plenty);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[0].earlier.size(), 255U);
  EXPECT_EQ(merged[2].earlier.size(), 87U);
  EXPECT_EQ(vouched_for(net, merged), vouched_for(net, proofs));
}

TEST(MergeProofs, keeps_gaps_and_other_accounts_apart) {
  const TestNetwork net;
  Chain chain(net, 0);
  Chain other(net, 1);
  auto proofs = skips(net, chain, 5);
  proofs.erase(proofs.begin() + 2);
  proofs.push_back(skips(net, other, 1).front());
  const auto merged = merge_proofs(proofs, plenty);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(vouched_for(net, merged), vouched_for(net, proofs));
}

TEST(MergeProofs, stays_within_the_bytes_that_were_asked_for) {
  const TestNetwork net;
  Chain chain(net, 0);
  const auto proofs = skips(net, chain, 40);
  const std::size_t one = encoded_size(std::get<Confirm>(proofs[0].certificate.value.kind).request);
  const auto merged = merge_proofs(proofs, 10 * one);
  EXPECT_EQ(merged.size(), 4U);
  EXPECT_EQ(vouched_for(net, merged), vouched_for(net, proofs));
  EXPECT_EQ(merge_proofs(proofs, 0).size(), proofs.size());
}

TEST(MergeProofs, requests_of_decided_instances_are_links_like_any_other) {
  const TestNetwork net;
  Chain chain(net, 0);
  const Uid instance({1, 0});
  std::vector<Proof> proofs = {chain.proof(Skip{})};
  const Request lock = chain.peek(LockInto{instance, net.account_key(3).public_key()});
  const Request skip = aborted_request(lock);
  chain.advance(skip);
  const Proposal abort{current_epoch, instance, Round(0), Aborted{}};
  proofs.push_back(
      {net.uid(0), {}, net.certificate(Value{Commit{current_epoch, abort, {}}}), net.certificate(Value{Lock{lock}})});
  EXPECT_EQ(merge_proofs(proofs, plenty).size(), 1U);  // the Commit certificate vouches for all
  proofs.push_back(chain.proof(Skip{}));
  const auto merged = merge_proofs(proofs, plenty);
  ASSERT_EQ(merged.size(), 1U);
  EXPECT_FALSE(merged[0].lock);
  ASSERT_EQ(merged[0].earlier.size(), 2U);
  EXPECT_EQ(merged[0].earlier[1], skip);
  EXPECT_EQ(vouched_for(net, merged), vouched_for(net, proofs));
}

TEST(MergeProofs, what_is_no_proof_stays_as_it_is) {
  const TestNetwork net;
  Chain chain(net, 0);
  auto proofs = skips(net, chain, 3);
  proofs[1].certificate.value = Value{Timeout{current_epoch, net.uid(0), Round(0)}};
  const auto merged = merge_proofs(proofs, plenty);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[1], proofs[1]);
}

}  // namespace
}  // namespace zef::protocol
