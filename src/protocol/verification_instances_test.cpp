// What is verified of proofs by Lock and Commit certificates, of orders that show a proof, and of messages to
// instances (docs/protocol.md, sections 2 and 6).
#include <gtest/gtest.h>

#include "protocol/testing/agreement.h"

namespace zef::protocol {
namespace {

using namespace testing;

constexpr Round first_round{0};

struct VerifiedInstances : ::testing::Test {
  TestNetwork net;
  RootCaches caches = test_caches();
  Chain alice{net, 0};
  Chain bob{net, 1};
  Chain carol{net, 2};
  std::vector<Request> before{alice.next(skip()), alice.next(pay(net.uid(3), 5))};  // of alice, before her lock
  Agreement swap{net, carol, {&alice, &bob}};
  Agreement other{net, carol, {&alice, &bob}, AtomicSwap{}, 8000};

  Ruled<VerifiedProof> verify(const Proof& proof) {
    VerificationBatch batch(net.network(), caches);
    const std::size_t place = batch.add(proof);
    batch.run();
    return batch.take_proof(place);
  }
  Ruled<VerifiedOrder> verify(const RequestOrder& order, bool proof_too = true) {
    VerificationBatch batch(net.network(), caches);
    const std::size_t place = batch.add(order, proof_too);
    batch.run();
    return batch.take_order(place);
  }
  Ruled<VerifiedInstanceMessage> verify(const InstanceMessage& message) {
    VerificationBatch batch(net.network(), caches);
    const std::size_t place = batch.add(message);
    batch.run();
    return batch.take_instance_message(place);
  }
  // Whether a certificate's vote was found valid, and so is known from now on.
  [[nodiscard]] bool known(const Certificate& certificate, std::size_t vote) const {
    const auto& [signer, signature] = certificate.votes.at(vote);
    const auto root = crypto::batch_root(signing_leaf(net.id(), certificate.value), signature);
    return caches.validators.contains(net.network().committee.find(signer)->public_key, *root, signature.signature);
  }
  void expect_refused(const Proof& proof, const std::string& why) {
    const auto result = verify(proof);
    ASSERT_FALSE(result.has_value()) << "expected: " << why;
    EXPECT_EQ(result.error(), Refusal(InvalidCertificate{why})) << describe(result.error());
    EXPECT_EQ(requests_of(net.network(), proof).has_value(), false) << "the form alone shows it";
  }
  void expect_refused(const InstanceMessage& message, const Refusal& why) {
    const auto result = verify(message);
    ASSERT_FALSE(result.has_value()) << "expected: " << describe(why);
    EXPECT_EQ(result.error(), why) << describe(result.error());
  }
  void expect_requests(const Ruled<VerifiedProof>& proof, const std::vector<Request>& expected) {
    ASSERT_TRUE(proof.has_value()) << describe(proof.error());
    ASSERT_EQ(proof->requests().size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(*proof->requests()[i].request, expected[i]);
      EXPECT_EQ(proof->requests()[i].hash, hash_of(net.id(), expected[i]));
    }
  }
};

Certificate spoiled(Certificate certificate, std::size_t vote) {
  certificate.votes.at(vote).second.signature.bytes[3] ^= 1;
  return certificate;
}

// ---- proofs by a Lock certificate

TEST_F(VerifiedInstances, a_lock_vouches_for_the_requests_before_it_and_not_for_itself) {
  expect_requests(verify(swap.proof_by_lock(0, before)), before);
  expect_requests(verify(swap.proof_by_lock(0, std::span(before).last(1))), {before[1]});
}

TEST_F(VerifiedInstances, a_lock_with_nothing_before_it_is_no_proof) {
  expect_refused(swap.proof_by_lock(1, {}), "a lock vouches for the requests before it, and there are none");
}

TEST_F(VerifiedInstances, a_lock_vouches_only_for_what_it_is_linked_to) {
  expect_refused(swap.proof_by_lock(0, std::span(before).first(1)), "requests that are not consecutive");
  std::vector<Request> forged = before;
  forged[1].operation = pay(net.uid(3), 6);
  expect_refused(swap.proof_by_lock(0, forged), "requests that are not linked");
  Proof proof = swap.proof_by_lock(0, before);
  proof.account = net.uid(1);
  expect_refused(proof, "a request of another account");
  proof = swap.proof_by_lock(0, before);
  proof.certificate = swap.lock(1);
  expect_refused(proof, "a request of another account");
}

TEST_F(VerifiedInstances, a_lock_of_anything_but_LockInto_or_of_another_epoch_is_invalid) {
  Proof proof = swap.proof_by_lock(0, before);
  proof.certificate = net.certificate(Value{Lock{alice.peek(skip())}});
  expect_refused(proof, "a Lock value of another operation");
  Request odd = swap.lock_request(0);
  odd.epoch = Epoch(1);
  proof.certificate = net.certificate(Value{Lock{odd}});
  expect_refused(proof, "a request of another epoch");
  proof = swap.proof_by_lock(0, before);
  proof.certificate.value = Value{Confirm{swap.lock_request(0)}};
  expect_refused(proof, "a lock is not executed itself");
}

TEST_F(VerifiedInstances, a_lock_needs_a_quorum_like_every_certificate) {
  Proof proof = swap.proof_by_lock(0, before);
  proof.certificate = net.certificate(proof.certificate.value, {0, 1});
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signers are no quorum"}));
  proof.certificate = spoiled(swap.lock(0), 1);
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signature of validator 1 is not valid"}));
}

TEST_F(VerifiedInstances, a_lock_at_the_start_of_a_block_vouches_for_the_whole_block_before) {
  while (before.size() < 256) before.push_back(alice.next(skip()));
  const Agreement late(net, carol, {&alice, &bob});
  expect_requests(verify(late.proof_by_lock(0, before)), before);
}

// ---- proofs by a Commit certificate

TEST_F(VerifiedInstances, a_commit_to_confirm_executes_the_derived_request_of_each_account) {
  expect_requests(verify(swap.proof(1, Confirmed{})), {swap.derived(1, Confirmed{})});
  expect_requests(verify(swap.proof(0, Confirmed{}, before)), {before[0], before[1], swap.derived(0, Confirmed{})});
}

TEST_F(VerifiedInstances, a_commit_to_abort_executes_a_skip_with_the_lock_of_the_account) {
  expect_requests(verify(swap.proof(1, Aborted{})), {swap.derived(1, Aborted{})});
  expect_requests(verify(swap.proof(0, Aborted{}, before)), {before[0], before[1], swap.derived(0, Aborted{})});
}

TEST_F(VerifiedInstances, a_commit_to_abort_alone_executes_nothing) {
  Proof proof = swap.proof(1, Aborted{});
  proof.lock.reset();
  expect_refused(proof, "an aborted instance needs the account's Lock certificate");
  proof.lock = net.certificate(Value{Confirm{bob.peek(skip())}});
  expect_refused(proof, "an aborted instance needs the account's Lock certificate");
}

TEST_F(VerifiedInstances, a_commit_to_abort_releases_no_lock_of_another_instance) {
  Proof proof = swap.proof(1, Aborted{});
  proof.lock = other.lock(1);
  expect_refused(proof, "the Lock certificate is of another instance");
  proof.lock = net.certificate(Value{Lock{bob.peek(skip())}});
  expect_refused(proof, "the Lock certificate is of another instance");
}

TEST_F(VerifiedInstances, a_commit_to_abort_releases_no_other_account) {
  Proof proof = swap.proof(1, Aborted{});
  proof.lock = swap.lock(0);
  expect_refused(proof, "a request of another account");
}

TEST_F(VerifiedInstances, both_certificates_of_an_abort_are_checked) {
  Proof proof = swap.proof(1, Aborted{});
  proof.lock = spoiled(swap.lock(1), 2);
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signature of validator 2 is not valid"}));
  proof = swap.proof(1, Aborted{});
  proof.certificate = spoiled(proof.certificate, 0);
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signature of validator 0 is not valid"}));
  proof = swap.proof(1, Aborted{});
  proof.lock = net.certificate(proof.lock->value, {0, 2});
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signers are no quorum"}));
}

TEST_F(VerifiedInstances, a_lock_certificate_beside_any_other_proof_is_refused) {
  for (Proof proof : {swap.proof(1, Confirmed{}), net.proof(bob.peek(skip())), swap.proof_by_lock(0, before)}) {
    proof.lock = swap.lock(1);
    expect_refused(proof, "a lock certificate belongs to an aborted instance only");
  }
}

TEST_F(VerifiedInstances, a_commit_says_nothing_of_an_account_that_it_does_not_contain) {
  Proof proof = swap.proof(1, Confirmed{});
  proof.account = carol.account();
  expect_refused(proof, "the instance decided nothing about this account");
}

TEST_F(VerifiedInstances, a_commit_continues_the_chain_before_it) {
  expect_refused(swap.proof(0, Confirmed{}, std::span(before).first(1)), "requests that are not consecutive");
  std::vector<Request> forged = before;
  forged[1].operation = skip();
  expect_refused(swap.proof(0, Confirmed{}, forged), "requests that are not linked");
  expect_refused(swap.proof(0, Aborted{}, forged), "requests that are not linked");
}

TEST_F(VerifiedInstances, refuse_agreements_of_another_epoch_or_with_requests_that_do_not_fit) {
  Proof proof = swap.proof(1, Confirmed{});
  Commit commit = std::get<Commit>(proof.certificate.value.kind);
  const auto expect = [&](const Commit& odd, const std::string& why) {
    proof.certificate = net.certificate(Value{odd});
    expect_refused(proof, why);
  };
  Commit odd = commit;
  odd.epoch = Epoch(1);
  expect(odd, "an agreement of another epoch");
  odd = commit;
  odd.proposal.epoch = Epoch(1);
  expect(odd, "an agreement of another epoch");
  odd = commit;
  odd.requests.clear();
  expect(odd, "an agreement to abort executes nothing, one to confirm something");
  odd = commit;
  odd.proposal.decision = Aborted{};
  expect(odd, "an agreement to abort executes nothing, one to confirm something");
  odd = commit;
  odd.requests[1].epoch = Epoch(1);
  expect(odd, "a request of another epoch");
  odd = commit;
  odd.requests[1] = swap.lock_request(1);
  expect(odd, "a lock is not executed itself");
}

TEST_F(VerifiedInstances, votes_of_other_kinds_execute_nothing) {
  Proof proof = swap.proof(1, Confirmed{});
  for (const Value& value : {swap.precommit(first_round, Confirmed{}), swap.timeout(first_round)}) {
    proof.certificate = net.certificate(value);
    expect_refused(proof, "this kind of certificate executes no request");
  }
  // Nor do the votes of one kind certify another.
  proof = swap.proof(1, Confirmed{});
  proof.certificate.votes = net.certificate(swap.precommit(first_round, Confirmed{})).votes;
  EXPECT_EQ(verify(proof).error(), Refusal(InvalidCertificate{"the signature of validator 0 is not valid"}));
}

// ---- orders that lock (L2)

TEST_F(VerifiedInstances, an_order_to_lock_shows_the_start_of_its_instance) {
  const auto order = verify(swap.lock_order(1));
  ASSERT_TRUE(order.has_value()) << describe(order.error());
  ASSERT_NE(order->start(), nullptr);
  EXPECT_EQ(*order->start(), swap.start());
}

TEST_F(VerifiedInstances, the_proof_of_an_order_is_left_aside_if_it_is_not_wanted) {
  RequestOrder order = swap.lock_order(1);
  order.proof->certificate = spoiled(order.proof->certificate, 0);
  const auto verified = verify(order, false);
  ASSERT_TRUE(verified.has_value());
  EXPECT_EQ(verified->start(), nullptr);
  EXPECT_FALSE(known(order.proof->certificate, 1)) << "and costs nothing";
}

TEST_F(VerifiedInstances, refuse_an_order_to_lock_whose_proof_is_not_of_its_instance) {
  RequestOrder order = swap.lock_order(1);
  order.proof = other.start_proof();
  EXPECT_EQ(verify(order).error(),
            Refusal(InvalidCertificate{"the proof does not show what started instance " + swap.uid().text()}));
  order.proof = net.proof(before[0]);
  EXPECT_EQ(verify(order).error(),
            Refusal(InvalidCertificate{"the proof does not show what started instance " + swap.uid().text()}));
  order = swap.lock_order(1);
  order.proof->certificate = spoiled(order.proof->certificate, 2);
  EXPECT_EQ(verify(order).error(), Refusal(InvalidCertificate{"the signature of validator 2 is not valid"}));
}

TEST_F(VerifiedInstances, an_order_to_lock_with_a_bad_signature_costs_one_verification) {
  RequestOrder order = swap.lock_order(1);
  order.signature.signature.bytes[0] ^= 1;
  EXPECT_EQ(verify(order).error(), Refusal(InvalidSignature{}));
  for (std::size_t vote = 0; vote < 3; ++vote) EXPECT_FALSE(known(order.proof->certificate, vote));
}

// ---- messages to instances

TEST_F(VerifiedInstances, accept_every_kind_of_message_with_and_without_the_start) {
  const Certificate precommit = net.certificate(swap.precommit(first_round, Aborted{}));
  const std::vector<InstanceMessage> messages{
      swap.propose(first_round, Confirmed{}, 1),
      swap.propose(Round(1), Aborted{}, 1, precommit),
      swap.show(swap.precommit(first_round, Confirmed{})),
      swap.show(swap.commit(first_round, Aborted{})),
      swap.show(swap.timeout(Round(3))),
      swap.ask_timeout(first_round, 0),
      swap.show_locks({1, 0}),
  };
  for (const InstanceMessage& message : messages) {
    auto verified = verify(message);
    ASSERT_TRUE(verified.has_value()) << describe(verified.error());
    EXPECT_EQ(verified->start(), nullptr);
    EXPECT_EQ(instance_of(verified->message()), swap.uid());
    verified = verify(swap.with_start(message));
    ASSERT_TRUE(verified.has_value()) << describe(verified.error());
    ASSERT_NE(verified->start(), nullptr);
    EXPECT_EQ(*verified->start(), swap.start());
  }
}

TEST_F(VerifiedInstances, a_bad_signature_of_a_delegate_costs_one_verification) {
  SubmitProposal proposal = swap.propose(first_round, Confirmed{}, 1);
  proposal.proposal.decision = Aborted{};  // not what was signed
  expect_refused(proposal, InvalidSignature{});
  for (const Certificate& lock : proposal.locks)
    for (std::size_t vote = 0; vote < 3; ++vote) EXPECT_FALSE(known(lock, vote));

  AskTimeout ask = swap.ask_timeout(first_round, 0);
  ask.round = Round(1);
  expect_refused(ask, InvalidSignature{});
  EXPECT_FALSE(known(ask.lock, 0));
  ask = swap.ask_timeout(first_round, 0);
  ask.delegate = swap.delegate(1).public_key();
  expect_refused(ask, InvalidSignature{});
}

TEST_F(VerifiedInstances, a_signature_by_anybody_makes_worthless_certificates_cost_no_more) {  // C1
  const crypto::SigningKey nobody = test_key(4711);
  SubmitProposal proposal = swap.propose(first_round, Confirmed{}, 1);
  proposal.delegate = nobody.public_key();
  proposal.signature = net.sign(proposal.proposal, nobody);
  proposal.locks[0] = spoiled(proposal.locks[0], 0);
  expect_refused(proposal, InvalidCertificate{"the signature of validator 0 is not valid"});
  for (const Certificate& lock : proposal.locks)
    for (std::size_t vote = 0; vote < 3; ++vote) EXPECT_FALSE(known(lock, vote)) << "stopped at the first bad one";
}

TEST_F(VerifiedInstances, refuse_a_certificate_that_is_not_valid_wherever_it_stands) {
  const Refusal bad = InvalidCertificate{"the signature of validator 2 is not valid"};
  SubmitProposal proposal = swap.propose(first_round, Confirmed{}, 1);
  proposal.locks[1] = spoiled(proposal.locks[1], 2);
  expect_refused(proposal, bad);
  proposal = swap.propose(Round(1), Aborted{}, 1, spoiled(net.certificate(swap.precommit(first_round, Aborted{})), 2));
  expect_refused(proposal, bad);
  SubmitInstanceCertificate shown = swap.show(swap.commit(first_round, Confirmed{}));
  shown.certificate = spoiled(shown.certificate, 2);
  expect_refused(shown, bad);
  AskTimeout ask = swap.ask_timeout(first_round, 0);
  ask.lock = spoiled(ask.lock, 2);
  expect_refused(ask, bad);
  ShowLocks locks = swap.show_locks({0, 1});
  locks.locks[1] = spoiled(locks.locks[1], 2);
  expect_refused(locks, bad);
  locks = swap.show_locks({0});
  locks.start = swap.start_proof();
  locks.start->certificate = spoiled(locks.start->certificate, 2);
  expect_refused(locks, bad);
  shown = swap.show(swap.timeout(first_round));
  shown.certificate = net.certificate(shown.certificate.value, {0, 1});
  expect_refused(shown, InvalidCertificate{"the signers are no quorum"});
}

TEST_F(VerifiedInstances, refuse_certificates_of_kinds_that_do_not_belong_there) {
  SubmitProposal proposal = swap.propose(first_round, Confirmed{}, 1);
  proposal.locks[0] = net.certificate(Value{Confirm{bob.peek(skip())}});
  expect_refused(proposal, InvalidCertificate{"not a Lock certificate"});
  proposal = swap.propose(first_round, Confirmed{}, 1, swap.lock(0));
  expect_refused(proposal, InvalidCertificate{"not a certificate of an agreement"});
  expect_refused(swap.show(Value{Lock{swap.lock_request(0)}}), InvalidCertificate{"not a certificate of an agreement"});
  AskTimeout ask = swap.ask_timeout(first_round, 0);
  ask.lock = net.certificate(swap.timeout(first_round));
  expect_refused(ask, InvalidCertificate{"not a Lock certificate"});
}

TEST_F(VerifiedInstances, refuse_certificates_of_another_epoch) {
  const Epoch other_epoch(1);
  Request lock = swap.lock_request(0);
  lock.epoch = other_epoch;
  ShowLocks locks = swap.show_locks({1});
  locks.locks[0] = net.certificate(Value{Lock{lock}});
  expect_refused(locks, InvalidCertificate{"a request of another epoch"});
  expect_refused(swap.show(Value{Timeout{other_epoch, swap.uid(), first_round}}),
                 InvalidCertificate{"a Timeout of another epoch"});
  PreCommit precommit = std::get<PreCommit>(swap.precommit(first_round, Confirmed{}).kind);
  precommit.proposal.epoch = other_epoch;
  expect_refused(swap.show(Value{precommit}), InvalidCertificate{"an agreement of another epoch"});
}

TEST_F(VerifiedInstances, refuse_a_start_that_shows_another_instance) {
  for (InstanceMessage message : std::vector<InstanceMessage>{swap.propose(first_round, Confirmed{}, 1),
                                                              swap.show(swap.commit(first_round, Confirmed{})),
                                                              swap.ask_timeout(first_round, 0), swap.show_locks({0})}) {
    std::visit([&](auto& it) { it.start = other.start_proof(); }, message);
    expect_refused(message, InvalidCertificate{"the proof does not show what started instance " + swap.uid().text()});
  }
}

TEST_F(VerifiedInstances, in_one_batch_are_what_each_is_alone) {
  SubmitProposal bad = swap.propose(first_round, Aborted{}, 0);
  bad.signature.signature.bytes[8] ^= 1;
  const std::vector<InstanceMessage> messages{swap.propose(first_round, Confirmed{}, 1), bad, swap.show_locks({0, 1}),
                                              swap.show(swap.precommit(first_round, Aborted{})),
                                              other.ask_timeout(first_round, 1)};
  VerificationBatch batch(net.network(), caches);
  for (const InstanceMessage& message : messages) batch.add(message);
  batch.run();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto verified = batch.take_instance_message(i);
    EXPECT_EQ(verified.has_value(), i != 1) << i;
    if (!verified) EXPECT_EQ(verified.error(), Refusal(InvalidSignature{}));
  }
}

TEST_F(VerifiedInstances, certificates_of_every_kind_are_checked_for_clients) {
  for (const Value& value : {Value{Lock{swap.lock_request(0)}}, swap.precommit(first_round, Confirmed{}),
                             swap.commit(first_round, Aborted{}), swap.timeout(Round(2))}) {
    const Certificate good = net.certificate(value);
    EXPECT_TRUE(verify_certificate(net.network(), caches, good));
    EXPECT_FALSE(verify_certificate(net.network(), caches, spoiled(good, 1)));
    EXPECT_FALSE(verify_certificate(net.network(), caches, net.certificate(value, {0, 3})));
    Certificate changed = good;
    changed.value = swap.timeout(Round(5));
    EXPECT_FALSE(verify_certificate(net.network(), caches, changed));
  }
}

}  // namespace
}  // namespace zef::protocol
