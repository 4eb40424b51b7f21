#include "protocol/verification.h"

#include <gtest/gtest.h>

#include "protocol/testing/fixture.h"
#include "protocol/testing/generate.h"

namespace zef::protocol {
namespace {

using namespace testing;

Ruled<VerifiedOrder> verify_order(const TestNetwork& net, RootCaches& caches, RequestOrder order) {
  VerificationBatch batch(net.network(), caches);
  const std::size_t place = batch.add(std::move(order));
  batch.run();
  return batch.take_order(place);
}

Ruled<VerifiedProof> verify_proof(const TestNetwork& net, RootCaches& caches, Proof proof) {
  VerificationBatch batch(net.network(), caches);
  const std::size_t place = batch.add(std::move(proof));
  batch.run();
  return batch.take_proof(place);
}

template <class T>
void expect_invalid(const Ruled<T>& result, const std::string& why) {
  ASSERT_FALSE(result.has_value()) << "expected: " << why;
  EXPECT_EQ(result.error(), Refusal(InvalidCertificate{why})) << describe(result.error());
}

struct Verification : ::testing::Test {
  TestNetwork net;
  RootCaches caches = test_caches();
  Chain alice{net, 0};
  Request request = alice.next(pay(net.uid(1), 10));

  void expect_refused(const Proof& proof, const std::string& why) {
    expect_invalid(verify_proof(net, caches, proof), why);
  }
  [[nodiscard]] Proof proof_by(std::vector<std::size_t> signers) const {
    return net.proof(request, std::move(signers));
  }
};

// ---- orders (R3)

TEST_F(Verification, accepts_an_order_and_gives_its_hash) {
  const auto order = verify_order(net, caches, net.order(request, alice.key()));
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->request(), request);
  EXPECT_EQ(order->request_hash(), hash_of(net.id(), request));
}

TEST_F(Verification, refuses_an_order_with_a_wrong_signature) {
  RequestOrder order = net.order(request, alice.key());
  order.signature.signature.bytes[5] ^= 1;
  EXPECT_EQ(verify_order(net, caches, order).error(), Refusal(InvalidSignature{}));
  order = net.order(request, alice.key());
  order.owner = net.account_key(1).public_key();
  EXPECT_EQ(verify_order(net, caches, order).error(), Refusal(InvalidSignature{}));
  order = net.order(request, alice.key());
  order.request.operation = pay(net.uid(1), 11);
  EXPECT_EQ(verify_order(net, caches, order).error(), Refusal(InvalidSignature{}));
  order = net.order(request, alice.key());
  order.signature.path.push_back(Hash{});
  EXPECT_EQ(verify_order(net, caches, order).error(), Refusal(InvalidSignature{}));
}

TEST_F(Verification, accepts_orders_of_a_client_batch) {
  std::vector<Request> requests;
  for (int i = 0; i < 7; ++i) requests.push_back(alice.next(skip()));
  VerificationBatch batch(net.network(), caches);
  for (RequestOrder& order : net.orders(requests, alice.key())) batch.add(std::move(order));
  batch.run();
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(batch.take_order(i)->request(), requests[i]);
}

// ---- certificates (C1)

TEST_F(Verification, accepts_a_quorum_and_gives_the_request_with_its_hash) {
  const auto proof = verify_proof(net, caches, proof_by({0, 1, 2}));
  ASSERT_TRUE(proof.has_value());
  ASSERT_EQ(proof->requests().size(), 1U);
  EXPECT_EQ(*proof->requests()[0].request, request);
  EXPECT_EQ(proof->requests()[0].hash, hash_of(net.id(), request));
  EXPECT_EQ(proof->requests()[0].request, &std::get<Confirm>(proof->proof().certificate.value.kind).request);
  EXPECT_TRUE(verify_proof(net, caches, proof_by({1, 2, 3})).has_value());
  EXPECT_TRUE(verify_proof(net, caches, proof_by({0, 1, 2, 3})).has_value());
}

TEST_F(Verification, refuses_a_quorum_minus_one) { expect_refused(proof_by({0, 3}), "the signers are no quorum"); }

TEST_F(Verification, refuses_a_repeated_signer) {
  expect_refused(proof_by({0, 1, 1}), "validator 1 signed twice");
  expect_refused(proof_by({0, 1, 2, 2}), "validator 2 signed twice");
}

TEST_F(Verification, refuses_signers_out_of_order) {
  expect_refused(proof_by({0, 2, 1}), "signers that are not in ascending order");
}

TEST_F(Verification, refuses_an_unknown_signer) {
  Proof proof = proof_by({0, 1, 2, 3});
  proof.certificate.votes.back().first = ValidatorIndex(4);
  expect_refused(proof, "validator 4 does not exist");
}

TEST_F(Verification, refuses_a_signer_without_weight_even_beside_a_quorum) {
  const TestNetwork weighted({.validators = 5, .weights = {1, 1, 1, 1, 0}});
  const Request made = Chain(weighted, 0).next(skip());
  RootCaches fresh = test_caches();
  EXPECT_TRUE(verify_proof(weighted, fresh, weighted.proof(made, {0, 1, 2})).has_value());
  expect_invalid(verify_proof(weighted, fresh, weighted.proof(made, {0, 1, 2, 4})), "validator 4 has no weight");
}

TEST_F(Verification, counts_weights_and_not_heads) {
  const TestNetwork weighted({.validators = 4, .weights = {10, 1, 1, 1}});  // quorum 9
  const Request made = Chain(weighted, 0).next(skip());
  RootCaches fresh = test_caches();
  EXPECT_TRUE(verify_proof(weighted, fresh, weighted.proof(made, {0})).has_value());
  expect_invalid(verify_proof(weighted, fresh, weighted.proof(made, {1, 2, 3})), "the signers are no quorum");
}

TEST_F(Verification, refuses_one_wrong_signature_and_names_its_signer) {
  Proof proof = proof_by({0, 1, 3});
  proof.certificate.votes[2].second.signature.bytes[1] ^= 1;
  expect_refused(proof, "the signature of validator 3 is not valid");
  proof = proof_by({0, 1, 3});
  std::swap(proof.certificate.votes[0].second, proof.certificate.votes[1].second);
  expect_refused(proof, "the signature of validator 0 is not valid");
}

TEST_F(Verification, refuses_votes_for_another_value) {
  Proof proof = proof_by({0, 1, 2});
  proof.certificate.votes[1].second = net.vote(Value{Confirm{alice.next(skip())}}, 1).signature;
  expect_refused(proof, "the signature of validator 1 is not valid");
}

TEST_F(Verification, refuses_a_batch_signature_of_a_wrong_form) {
  Proof proof = proof_by({0, 1, 2});
  proof.certificate.votes[1].second.size = 0;
  expect_refused(proof, "the batch signature of validator 1 has a wrong form");
  proof.certificate.votes[1].second.size = BatchSignature::batch_size_max + 1;
  expect_refused(proof, "the batch signature of validator 1 has a wrong form");
}

TEST_F(Verification, refuses_a_certificate_of_another_network) {
  const TestNetwork other({.seed = 2});
  EXPECT_FALSE(verify_proof(other, caches, proof_by({0, 1, 2})).has_value());
}

// ---- forms of proofs

TEST_F(Verification, accepts_a_chain_and_gives_all_its_requests) {
  const std::vector<Request> chain{request, alice.next(skip()), alice.next(pay(net.uid(2), 5))};
  const auto proof = verify_proof(net, caches, net.chain_proof(chain));
  ASSERT_TRUE(proof.has_value());
  ASSERT_EQ(proof->requests().size(), 3U);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    EXPECT_EQ(*proof->requests()[i].request, chain[i]);
    EXPECT_EQ(proof->requests()[i].hash, hash_of(net.id(), chain[i]));
  }
}

TEST_F(Verification, refuses_a_chain_that_is_not_linked) {
  std::vector<Request> chain{request, alice.next(skip()), alice.next(skip())};
  std::get<Transfer>(chain[0].operation).payments[0].amount = Amount(11);  // not what was certified
  expect_refused(net.chain_proof(chain), "requests that are not linked");
}

TEST_F(Verification, refuses_a_chain_that_is_not_consecutive) {
  const std::vector<Request> chain{request, alice.next(skip()), alice.next(skip())};
  expect_refused(net.chain_proof(std::vector<Request>{chain[0], chain[2]}), "requests that are not consecutive");
  expect_refused(net.chain_proof(std::vector<Request>{chain[1], chain[0], chain[2]}),
                 "requests that are not consecutive");
}

TEST_F(Verification, refuses_requests_of_another_account) {
  Proof proof = proof_by({0, 1, 2});
  proof.account = net.uid(1);
  expect_refused(proof, "a request of another account");
  Proof mixed = net.chain_proof(std::vector<Request>{Chain(net, 1).next(skip()), alice.next(skip())});
  expect_refused(mixed, "a request of another account");
}

TEST_F(Verification, a_proof_holds_a_block_of_256_requests_and_never_crosses_it) {
  std::vector<Request> chain{request};
  while (chain.size() < 260) chain.push_back(alice.next(skip()));
  const std::span<const Request> all(chain);
  const auto whole = verify_proof(net, caches, net.chain_proof(all.first(256)));
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->requests().size(), 256U);
  expect_refused(net.chain_proof(all.first(257)), "a proof across a multiple of 256 operations");
  expect_refused(net.chain_proof(all.subspan(255, 2)), "a proof across a multiple of 256 operations");
  EXPECT_TRUE(verify_proof(net, caches, net.chain_proof(all.subspan(256))).has_value());
}

TEST_F(Verification, refuses_what_no_honest_quorum_certifies) {
  Request odd = request;
  odd.epoch = Epoch(1);
  expect_refused(net.proof(odd), "a request of another epoch");
  odd = request;
  odd.sequence_number = SequenceNumber(SequenceNumber::max);
  expect_refused(net.proof(odd), "a sequence number beyond the last");
  odd = request;
  odd.operation = pay_all({{net.uid(1), ~0ULL}, {net.uid(2), 1}});
  expect_refused(net.proof(odd), "a request that spends more than 64 bits can count");
  Transfer large;
  large.payments.resize(256, {.recipient = Account{Uid({1, 2, 3})}, .amount = Amount(5), .memo = {}});
  odd.operation = large;
  expect_refused(net.proof(odd), "a request that is too long");
  odd.operation = LockInto{Uid({0, 0}), alice.key().public_key()};
  expect_refused(net.proof(odd), "a lock is not executed itself");
}

TEST_F(Verification, refuses_kinds_of_certificates_that_execute_nothing) {
  Proof proof = proof_by({0, 1, 2});
  proof.certificate = net.certificate(Value{Timeout{.epoch = {}, .instance = Uid({0, 0}), .round = Round(0)}});
  expect_refused(proof, "this kind of certificate executes no request");
  proof.certificate = net.certificate(Value{PreCommit{}});
  expect_refused(proof, "this kind of certificate executes no request");
  proof = proof_by({0, 1, 2});
  proof.lock = proof.certificate;
  expect_refused(proof, "a lock certificate belongs to an aborted instance only");
}

// ---- votes

TEST_F(Verification, accepts_a_vote_of_the_committee_only) {
  const TestNetwork weighted({.validators = 5, .weights = {1, 1, 1, 1, 0}});
  const Value value{Confirm{Chain(weighted, 0).next(skip())}};
  EXPECT_TRUE(verify_vote(weighted.network(), caches, weighted.vote(value, 3)));
  EXPECT_FALSE(verify_vote(weighted.network(), caches, weighted.vote(value, 4))) << "no weight";
  Vote vote = weighted.vote(value, 3);
  vote.validator = ValidatorIndex(2);
  EXPECT_FALSE(verify_vote(weighted.network(), caches, vote)) << "by another validator";
  vote.validator = ValidatorIndex(9);
  EXPECT_FALSE(verify_vote(weighted.network(), caches, vote)) << "unknown";
  vote = weighted.vote(value, 3);
  vote.value = Value{Confirm{Chain(weighted, 1).next(skip())}};
  EXPECT_FALSE(verify_vote(weighted.network(), caches, vote)) << "for another value";
}

// ---- caches and batches

TEST_F(Verification, a_known_root_is_found_and_an_invalid_one_is_never_kept) {
  const Proof good = proof_by({0, 1, 2});
  const auto known = [&](const Proof& proof, std::size_t vote) {
    const auto& [signer, signature] = proof.certificate.votes[vote];
    const auto root = crypto::batch_root(signing_leaf(net.id(), proof.certificate.value), signature);
    return caches.validators.contains(net.network().committee.find(signer)->public_key, *root, signature.signature);
  };
  Proof bad = good;
  bad.certificate.votes[1].second.signature.bytes[9] ^= 1;
  EXPECT_FALSE(verify_proof(net, caches, bad).has_value());
  EXPECT_TRUE(known(bad, 0));  // a valid signature stays valid in a certificate that is not
  EXPECT_FALSE(known(bad, 1));
  EXPECT_FALSE(verify_proof(net, caches, bad).has_value()) << "and again";
  EXPECT_TRUE(verify_proof(net, caches, good).has_value());
  for (std::size_t vote = 0; vote < 3; ++vote) EXPECT_TRUE(known(good, vote));
  EXPECT_TRUE(verify_proof(net, caches, good).has_value()) << "and again, from the cache";
}

TEST_F(Verification, clients_fill_only_the_cache_of_clients) {
  RequestOrder order = net.order(request, alice.key());
  const auto root = crypto::batch_root(signing_leaf(net.id(), request), order.signature);
  EXPECT_TRUE(verify_order(net, caches, order).has_value());
  EXPECT_TRUE(caches.clients.contains(order.owner, *root, order.signature.signature));
  EXPECT_FALSE(caches.validators.contains(order.owner, *root, order.signature.signature));
}

// A random mix of good and damaged messages gives in one batch what each gives alone.
TEST_F(Verification, of_a_batch_is_that_of_each_alone) {
  std::vector<Request> requests{request};
  while (requests.size() < 12) requests.push_back(alice.next(skip()));
  const auto orders = net.orders(requests, alice.key());
  const auto proofs = net.proofs(requests, 5, {0, 1, 2});
  const auto damage = [](Source& source, BatchSignature& signature) {
    switch (source.below(5)) {
      case 0: signature.signature.bytes[source.below(64)] ^= static_cast<std::uint8_t>(1 + source.below(255)); break;
      case 1:
        if (!signature.path.empty()) signature.path[source.below(signature.path.size())].bytes[0] ^= 1;
        break;
      case 2: signature.index = static_cast<std::uint32_t>(source.below(6)); break;
      case 3: signature.size = static_cast<std::uint32_t>(source.below(6)); break;
      default: break;
    }
  };
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Source source(seed);
    RootCaches batch_caches = test_caches();
    VerificationBatch batch(net.network(), batch_caches);
    std::vector<RequestOrder> added_orders;
    std::vector<Proof> added_proofs;
    for (int i = 0; i < 10; ++i) {
      RequestOrder order = orders[source.below(orders.size())];
      if (source.below(2) == 0) damage(source, order.signature);
      if (source.below(8) == 0) order.owner = net.account_key(1).public_key();
      batch.add(order);
      added_orders.push_back(order);
      Proof proof = proofs[source.below(proofs.size())];
      auto& votes = proof.certificate.votes;
      if (source.below(2) == 0) damage(source, votes[source.below(votes.size())].second);
      if (source.below(8) == 0) votes.pop_back();
      if (source.below(8) == 0) proof.account = net.uid(2);
      batch.add(proof);
      added_proofs.push_back(proof);
    }
    batch.run();
    for (std::size_t i = 0; i < added_orders.size(); ++i) {
      RootCaches fresh = test_caches();
      const auto alone = verify_order(net, fresh, added_orders[i]);
      const auto together = batch.take_order(i);
      ASSERT_EQ(together.has_value(), alone.has_value()) << "seed " << seed;
      if (!alone) ASSERT_EQ(together.error(), alone.error()) << "seed " << seed;
    }
    for (std::size_t i = 0; i < added_proofs.size(); ++i) {
      RootCaches fresh = test_caches();
      const auto alone = verify_proof(net, fresh, added_proofs[i]);
      const auto together = batch.take_proof(i);
      ASSERT_EQ(together.has_value(), alone.has_value()) << "seed " << seed;
      if (!alone) ASSERT_EQ(together.error(), alone.error()) << "seed " << seed;
    }
  }
}

TEST_F(Verification, an_empty_batch_runs) {
  VerificationBatch batch(net.network(), caches);
  batch.run();
}

}  // namespace
}  // namespace zef::protocol
