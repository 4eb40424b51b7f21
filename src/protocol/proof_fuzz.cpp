// Whatever proof comes: its form and signatures are checked to the end, and what is accepted is well formed. Inputs are
// either raw bytes of a proof, or (first byte odd) changes to a proof that is valid, of each kind, so that the deeper
// checks are reached as well.
#include <cstddef>
#include <cstdint>

#include "protocol/testing/agreement.h"

namespace {

using namespace zef;
using namespace zef::protocol;

struct Base {
  testing::TestNetwork net;
  std::vector<Bytes> proofs;  // one of each kind of certificate
  Base() {
    testing::Chain chain(net, 0);
    testing::Chain other(net, 1);
    std::vector<Request> requests;
    for (int i = 0; i < 3; ++i) requests.push_back(chain.next(testing::pay(net.uid(1), 5)));
    const testing::Agreement swap(net, other, {&chain, &other});
    for (const Proof& proof : {net.chain_proof(requests), swap.proof_by_lock(0, requests),
                               swap.proof(0, Confirmed{}, requests), swap.proof(0, Aborted{}, requests)})
      proofs.push_back(codec::encode(proof));
  }
};

void check(const Base& base, const Proof& proof) {
  const auto form = requests_of(base.net.network(), proof);
  RootCaches caches = testing::test_caches(4);
  VerificationBatch batch(base.net.network(), caches);
  const std::size_t place = batch.add(proof);
  batch.run();
  const auto verified = batch.take_proof(place);
  if (!verified) return;
  ZEF_CHECK(form.has_value() && form->size() == verified->requests().size());
  for (std::size_t i = 0; i < form->size(); ++i) {
    const auto& item = verified->requests()[i];
    ZEF_CHECK(item.hash == (*form)[i].hash && item.hash == hash_of(base.net.id(), *item.request));
    ZEF_CHECK(i == 0 || item.request->previous == verified->requests()[i - 1].hash);
    ZEF_CHECK(amount_spent(*item.request).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Base base;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  Bytes bytes = to_bytes(input);
  if (data[0] % 2 == 1) {  // pairs of place (two bytes) and new byte
    bytes = base.proofs[data[0] / 2 % base.proofs.size()];
    for (std::size_t at = 0; at + 2 < input.size(); at += 3)
      bytes[(input[at] | input[at + 1] << 8) % bytes.size()] = input[at + 2];
  }
  const auto proof = codec::decode<Proof>(bytes);
  if (!proof) return 0;
  ZEF_CHECK(codec::encode(*proof) == bytes);
  check(base, *proof);
  return 0;
}
