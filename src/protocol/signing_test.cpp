// What a signature is bound to: its key, the content, the type's name, and the network.
#include "protocol/signing.h"

#include <gtest/gtest.h>

#include "protocol/testing/fixture.h"

namespace zef::protocol {
namespace {

using namespace testing;

struct Signing : ::testing::Test {
  TestNetwork net;
  Request request = Chain(net, 0).next(pay(net.uid(1), 10));
  BatchSignature signature = net.sign(request, net.account_key(0));

  template <class T>
  [[nodiscard]] bool valid(const TestNetwork& on, const T& value, const PublicKey& key) const {
    crypto::RootCache cache(4);
    return verify_signed(on.network(), cache, key, value, signature);
  }
};

TEST_F(Signing, accepts_what_was_signed) { EXPECT_TRUE(valid(net, request, net.account_key(0).public_key())); }

TEST_F(Signing, is_bound_to_the_key) { EXPECT_FALSE(valid(net, request, net.account_key(1).public_key())); }

TEST_F(Signing, is_bound_to_the_content) {
  Request other = request;
  std::get<Transfer>(other.operation).payments[0].amount = Amount(11);
  EXPECT_FALSE(valid(net, other, net.account_key(0).public_key()));
}

// The same fields under another name: equal bytes, another type.
struct Imitation {
  Epoch epoch;
  Uid account;
  SequenceNumber sequence_number;
  Hash previous;
  Operation operation;
  static constexpr auto fields = codec::fields<&Imitation::epoch, &Imitation::account, &Imitation::sequence_number,
                                               &Imitation::previous, &Imitation::operation>;
};

TEST_F(Signing, is_bound_to_the_name_of_the_type) {
  const Imitation imitation{request.epoch, request.account, request.sequence_number, request.previous,
                            request.operation};
  ASSERT_EQ(codec::encode(imitation), codec::encode(request));
  EXPECT_FALSE(valid(net, imitation, net.account_key(0).public_key()));
}

TEST_F(Signing, is_bound_to_the_network) {
  const TestNetwork other({.seed = 2});
  EXPECT_FALSE(valid(other, request, net.account_key(0).public_key()));
}

TEST_F(Signing, is_bound_to_its_place_in_the_batch) {
  const std::vector<Request> requests{request, Chain(net, 0).next(skip())};
  const auto signatures = net.sign_all(std::span(requests), net.account_key(0));
  signature = signatures[0];
  EXPECT_TRUE(valid(net, requests[0], net.account_key(0).public_key()));
  EXPECT_FALSE(valid(net, requests[1], net.account_key(0).public_key()));
  signature.index = 1;
  EXPECT_FALSE(valid(net, requests[0], net.account_key(0).public_key()));
  signature = signatures[0];
  signature.size = 3;  // leaf 0 of three has a path of two hashes
  EXPECT_FALSE(valid(net, requests[0], net.account_key(0).public_key()));
  signature.size = 0;
  EXPECT_FALSE(valid(net, requests[0], net.account_key(0).public_key()));
  signature = signatures[0];
  signature.path.push_back(Hash{});
  EXPECT_FALSE(valid(net, requests[0], net.account_key(0).public_key()));
}

TEST_F(Signing, signed_messages_have_the_documented_form) {
  Bytes expected = to_bytes(std::string_view("zefchain/1"));
  append(expected, net.id().view());
  append(expected, as_bytes("Request::"));
  append(expected, codec::encode(request));
  EXPECT_EQ(signed_message(net.id(), request), expected);
  EXPECT_EQ(hash_of(net.id(), request), crypto::sha256(expected));

  Bytes root = to_bytes(std::string_view("zefchain/1"));
  append(root, net.id().view());
  append(root, as_bytes("BatchRoot::"));
  EXPECT_EQ(batch_root_prefix(net.id()), root);
}

TEST_F(Signing, names_in_signed_messages_are_those_of_the_types) {
  EXPECT_EQ(codec::type_name<Value>, "Value");
  EXPECT_EQ(codec::type_name<Request>, "Request");
  EXPECT_EQ(codec::type_name<Proposal>, "Proposal");
}

// Computed outside of this project: python3 -c 'import hashlib; ...' over the bytes that the comment spells out.
TEST(RequestHash, is_that_of_a_hand_made_message) {
  // "zefchain/1" || 07 x 32 || "Request::" || epoch 0 || [5] || number 3 || previous 09 x 32 || Skip (variant 4)
  NetworkId network;
  network.bytes.fill(7);
  Request request{.epoch = Epoch(0),
                  .account = Uid::genesis(5),
                  .sequence_number = SequenceNumber(3),
                  .previous = {},
                  .operation = Skip{}};
  request.previous.bytes.fill(9);
  EXPECT_EQ(hash_of(network, request).hex(), "feb9a56f53f335a627eab6f7694ecbdbaba3520dab96933156bddfd9d4e2269d");
}

}  // namespace
}  // namespace zef::protocol
