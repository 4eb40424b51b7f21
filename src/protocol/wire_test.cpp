// The wire format: examples checked by hand, round trips of every message, refusal of everything that is not the one
// encoding of a value, and a snapshot of all types that fails when any of them changes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "codec/json.h"
#include "protocol/effects.h"
#include "protocol/testing/generate.h"

namespace zef::protocol {
namespace {

using testing::generate;
using testing::Source;

// ---- checked by hand against the grammar at the top of codec/bcs.h

template <class T>
std::string hex_of(const T& value) {
  return to_hex(codec::encode(value));
}

template <class T>
T filled(std::uint8_t byte) {
  T value;
  value.bytes.fill(byte);
  return value;
}

std::string repeated(const char* byte, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += byte;
  return text;
}

TEST(WireByHand, uid) {
  EXPECT_EQ(hex_of(Uid({1, 258})),
            "02"
            "0100000000000000"
            "0201000000000000");
}

TEST(WireByHand, addresses) {
  EXPECT_EQ(hex_of(Address(Burn{})), "00");
  EXPECT_EQ(hex_of(Address(Account{Uid::genesis(7)})),
            "01"
            "010700000000000000");
}

TEST(WireByHand, request_with_one_payment) {
  Transfer transfer;
  transfer.payments.push_back({.recipient = Account{Uid::genesis(2)}, .amount = Amount(1000), .memo = {0xaa, 0xbb}});
  const Request request{.epoch = Epoch(0),
                        .account = Uid::genesis(1),
                        .sequence_number = SequenceNumber(5),
                        .previous = filled<Hash>(0x11),
                        .operation = transfer};
  EXPECT_EQ(hex_of(request),
            "0000000000000000"          // epoch
            "010100000000000000"        // account [1]
            "0500000000000000" +        // sequence number
                repeated("11", 32) +    // previous
                "00"                    // Transfer
                "01"                    // one payment
                "01010200000000000000"  // to account [2]
                "e803000000000000"      // 1000
                "02aabb");              // memo
}

TEST(WireByHand, operations) {
  EXPECT_EQ(hex_of(Operation(OpenAccount{Uid({1, 0}), filled<PublicKey>(0x22), Amount(3)})),
            "01"
            "0201000000000000000000000000000000" +
                repeated("22", 32) + "0300000000000000");
  EXPECT_EQ(hex_of(Operation(ChangeOwner{filled<PublicKey>(0x22)})), "02" + repeated("22", 32));
  EXPECT_EQ(hex_of(Operation(CloseAccount{})), "03");
  EXPECT_EQ(hex_of(Operation(Skip{})), "04");
  StartInstance start{.new_id = Uid::genesis(9), .functionality = AtomicSwap{}, .accounts = {}};
  start.accounts.push_back({Uid::genesis(1), SequenceNumber(4)});
  start.accounts.push_back({Uid::genesis(2), SequenceNumber(5)});
  EXPECT_EQ(hex_of(Operation(start)),
            "05"
            "010900000000000000"
            "00"
            "02"
            "0101000000000000000400000000000000"
            "0102000000000000000500000000000000");
  EXPECT_EQ(hex_of(Operation(LockInto{Uid::genesis(9), filled<PublicKey>(0x33)})),
            "06010900000000000000" + repeated("33", 32));
}

TEST(WireByHand, batch_signature) {
  crypto::BatchSignature signature{.signature = filled<Signature>(0x44), .index = 1, .size = 2, .path = {}};
  signature.path.push_back(filled<Hash>(0x55));
  EXPECT_EQ(hex_of(signature), repeated("44", 64) + "01000000" + "02000000" + "01" + repeated("55", 32));
}

TEST(WireByHand, certificate) {
  const Request request{.epoch = Epoch(0),
                        .account = Uid::genesis(1),
                        .sequence_number = SequenceNumber(0),
                        .previous = Hash{},
                        .operation = Skip{}};
  Certificate certificate{.value = Value{Confirm{request}}, .votes = {}};
  certificate.votes.emplace_back(ValidatorIndex(3), crypto::BatchSignature{});
  EXPECT_EQ(hex_of(certificate),
            "00" + hex_of(request) + "01" + "0300" + repeated("00", 64) + "00000000" + "01000000" + "00");
}

TEST(WireByHand, refusals_and_answers) {
  EXPECT_EQ(hex_of(Answer(Refused{InsufficientFunds{.balance = -1, .needed = 2}})),
            "00"
            "09" +
                repeated("ff", 16) + "02" + repeated("00", 15));
  EXPECT_EQ(hex_of(Answer(Refused{Malformed{"no"}})),
            "0000"
            "02"
            "6e6f");
  EXPECT_EQ(hex_of(Query(QueryNetwork{})), "05");
  EXPECT_EQ(hex_of(Query(QueryExecuted{Uid::genesis(0), SequenceNumber(1), 2})),
            "03"
            "010000000000000000"
            "0100000000000000"
            "02000000");
}

// ---- round trips of everything

template <class T>
class RoundTrip : public ::testing::Test {};
using Messages = ::testing::Types<Query, Answer, Refusal, Value, Vote, Certificate, Proof, RequestOrder, Request,
                                  Genesis, Effect, AccountState, crypto::BatchSignature>;
TYPED_TEST_SUITE(RoundTrip, Messages);

constexpr std::uint64_t seeds = 300;

TYPED_TEST(RoundTrip, gives_the_same_value_and_the_same_bytes) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    Source source(seed);
    const auto value = generate<TypeParam>(source);
    const Bytes bytes = codec::encode(value);
    const auto decoded = codec::decode<TypeParam>(bytes);
    ASSERT_TRUE(decoded.has_value()) << "seed " << seed << ": " << codec::to_string(decoded.error());
    ASSERT_EQ(codec::encode(*decoded), bytes) << "seed " << seed;
    if constexpr (!codec::detail::is_variant<TypeParam>)  // the messages of a Query or Answer compare by their bytes
      ASSERT_TRUE(*decoded == value) << "seed " << seed;

    Source again(seed);
    ASSERT_EQ(codec::encode(generate<TypeParam>(again)), bytes) << "the generator must depend on the seed only";
  }
}

TYPED_TEST(RoundTrip, refuses_truncation_at_every_byte_and_more_bytes_than_the_value) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Source source(seed);
    Bytes bytes = codec::encode(generate<TypeParam>(source));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto decoded = codec::decode<TypeParam>(ByteView(bytes).first(size));
      ASSERT_FALSE(decoded.has_value()) << "seed " << seed << ", " << size << " of " << bytes.size() << " bytes";
    }
    bytes.push_back(0);
    ASSERT_EQ(codec::decode<TypeParam>(bytes).error(), codec::DecodeError::trailing_bytes) << "seed " << seed;
  }
}

TYPED_TEST(RoundTrip, accepts_changed_bytes_only_as_another_value) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Source source(seed);
    const Bytes bytes = codec::encode(generate<TypeParam>(source));
    for (int change = 0; change < 200; ++change) {
      Bytes changed = bytes;
      changed[source.below(changed.size())] ^= static_cast<std::uint8_t>(1 + source.below(255));
      const auto decoded = codec::decode<TypeParam>(changed);
      if (decoded) ASSERT_EQ(codec::encode(*decoded), changed) << "seed " << seed;
    }
  }
}

TEST(WireJson, of_every_query_and_answer_leads_back) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    Source source(seed);
    const auto query = generate<Query>(source);
    const auto query_again = codec::from_json<Query>(codec::to_json(query).dump());
    ASSERT_TRUE(query_again.has_value()) << "seed " << seed << ": " << query_again.error();
    EXPECT_EQ(codec::encode(*query_again), codec::encode(query)) << "seed " << seed;
    const auto answer = generate<Answer>(source);
    const auto answer_again = codec::from_json<Answer>(codec::to_json(answer).dump());
    ASSERT_TRUE(answer_again.has_value()) << "seed " << seed << ": " << answer_again.error();
    EXPECT_EQ(codec::encode(*answer_again), codec::encode(answer)) << "seed " << seed;
  }
}

// ---- sizes that a type excludes

TEST(WireLimits, refuses_more_elements_than_a_type_allows) {
  Transfer transfer;
  transfer.payments.resize(256, {.recipient = Burn{}, .amount = Amount(1), .memo = {}});
  EXPECT_TRUE(codec::decode<Transfer>(codec::encode(transfer)).has_value());
  transfer.payments.resize(257, {.recipient = Burn{}, .amount = Amount(1), .memo = {}});
  EXPECT_EQ(codec::decode<Transfer>(codec::encode(transfer)).error(), codec::DecodeError::too_long);
  EXPECT_FALSE(codec::decode<Transfer>(codec::encode(Transfer{})).has_value());

  Payment payment{.recipient = Burn{}, .amount = Amount(1), .memo = {}};
  payment.memo.resize(65);
  EXPECT_EQ(codec::decode<Payment>(codec::encode(payment)).error(), codec::DecodeError::too_long);

  crypto::BatchSignature signature;
  signature.path.resize(17);
  EXPECT_EQ(codec::decode<crypto::BatchSignature>(codec::encode(signature)).error(), codec::DecodeError::too_long);

  Certificate certificate{.value = Value{Timeout{}}, .votes = {}};
  EXPECT_FALSE(codec::decode<Certificate>(codec::encode(certificate)).has_value()) << "no votes";
  certificate.votes.resize(257);
  EXPECT_EQ(codec::decode<Certificate>(codec::encode(certificate)).error(), codec::DecodeError::too_long);

  Proof proof;
  proof.certificate.votes.resize(1);
  proof.earlier.resize(257);
  EXPECT_EQ(codec::decode<Proof>(codec::encode(proof)).error(), codec::DecodeError::too_long);
}

TEST(WireLimits, a_claimed_length_that_the_input_cannot_hold_is_refused_before_anything_is_allocated) {
  const Bytes claim{0xff, 0xff, 0xff, 0xff, 0x07};  // a sequence of 2^31 - 1 elements
  Bytes page{0x03};                                 // ExecutedPage
  append(page, claim);
  EXPECT_FALSE(codec::decode<Answer>(page).has_value());
  page[0] = 0x04;  // ReceivedPage
  EXPECT_FALSE(codec::decode<Answer>(page).has_value());
}

// ---- the snapshot

// One line for every alternative of every message: its name and the bytes of an example made from that name.
class Snapshot {
 public:
  template <class T>
  void add(const std::string& name) {
    std::uint64_t seed = 0xcbf29ce484222325U;  // FNV-1a of the name: a new type leaves the other examples as they are
    for (const char c : name) seed = (seed ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
    Source source(seed);
    lines_[name] = to_hex(codec::encode(generate<T>(source)));
  }
  template <class V, std::size_t I = 0>
  void add_alternatives(const std::string& name) {
    if constexpr (I < std::variant_size_v<V>) {
      using A = std::variant_alternative_t<I, V>;
      const std::string alternative = name + "." + std::string(codec::type_name<A>);
      add<A>(alternative);
      lines_[alternative] = to_hex(Bytes{static_cast<std::uint8_t>(I)}) + lines_[alternative];
      add_alternatives<V, I + 1>(name);
    }
  }
  [[nodiscard]] const std::map<std::string, std::string>& lines() const { return lines_; }

 private:
  std::map<std::string, std::string> lines_;
};

std::map<std::string, std::string> current_wire_format() {
  Snapshot snapshot;
  snapshot.add_alternatives<Query>("Query");
  snapshot.add_alternatives<Answer>("Answer");
  snapshot.add_alternatives<Refusal>("Refusal");
  snapshot.add_alternatives<decltype(Value::kind)>("Value");
  snapshot.add_alternatives<Operation>("Operation");
  snapshot.add_alternatives<Functionality>("Functionality");
  snapshot.add_alternatives<Effect>("Effect");
  snapshot.add_alternatives<Address>("Address");
  snapshot.add_alternatives<decltype(Proposal::decision)>("Decision");
  snapshot.add<Genesis>("Genesis");
  snapshot.add<Request>("Request");
  snapshot.add<RequestOrder>("RequestOrder");
  snapshot.add<Vote>("Vote");
  snapshot.add<Certificate>("Certificate");
  snapshot.add<Proof>("Proof");
  snapshot.add<Uid>("Uid");
  snapshot.add<crypto::BatchSignature>("BatchSignature");
  return snapshot.lines();
}

std::map<std::string, std::string> committed_wire_format() {
  return {
#include "protocol/wire_format.inc"
  };
}

TEST(WireFormat, is_the_committed_one) {
  const auto current = current_wire_format();
  if (const char* path = std::getenv("ZEF_WRITE_WIRE_FORMAT")) {
    std::ofstream out(path);
    for (const auto& [name, hex] : current) out << "{\"" << name << "\", \"" << hex << "\"},\n";
    ASSERT_TRUE(out.flush().good()) << "cannot write " << path;
    GTEST_SUCCEED() << "wrote " << path << ": build again to compare with it";
    return;
  }
  const auto committed = committed_wire_format();
  std::string changes;
  for (const auto& [name, hex] : current) {
    const auto found = committed.find(name);
    if (found == committed.end()) changes += "  new:     " + name + "\n";
    if (found != committed.end() && found->second != hex) changes += "  changed: " + name + "\n";
  }
  for (const auto& [name, hex] : committed)
    if (!current.contains(name)) changes += "  gone:    " + name + "\n";
  EXPECT_TRUE(changes.empty())
      << "The wire format is not the committed one:\n"
      << changes
      << "Nodes and wallets of before would not understand this one, and stored certificates would not be found "
         "valid.\n"
         "If that is meant, run this test with ZEF_WRITE_WIRE_FORMAT=<repository>/src/protocol/wire_format.inc\n"
         "and commit the file together with the change.";
}

}  // namespace
}  // namespace zef::protocol
