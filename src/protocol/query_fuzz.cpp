// Whatever a client sends: decoding ends, what it accepts encodes to the same bytes, and the rules that need no account
// answer it.
#include <cstddef>
#include <cstdint>

#include "protocol/instance_rules.h"
#include "protocol/messages.h"
#include "protocol/testing/fixture.h"

namespace {

using namespace zef;
using namespace zef::protocol;

// No fuzzer finds a signature: what is looked at are the forms of certificates and proofs.
void verify(const testing::TestNetwork& net, const InstanceMessage& message) {
  RootCaches caches = testing::test_caches(4);
  VerificationBatch batch(net.network(), caches);
  const std::size_t place = batch.add(message);
  batch.run();
  const auto verified = batch.take_instance_message(place);
  if (verified && verified->start() != nullptr)
    ZEF_CHECK(started_by(*verified->start()).new_id == instance_of(message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const testing::TestNetwork net({.fees = testing::test_fees});
  const ByteView input(data, size);
  const auto query = codec::decode<Query>(input);
  if (!query) return 0;
  const Bytes again = codec::encode(*query);
  ZEF_CHECK(std::ranges::equal(again, input));

  std::visit(
      [&]<class Q>(const Q& message) {
        if constexpr (std::constructible_from<InstanceMessage, const Q&>) verify(net, message);
      },
      *query);
  const auto* submitted = std::get_if<SubmitOrder>(&*query);
  if (!submitted) return 0;
  const Request& request = submitted->order.request;
  ZEF_CHECK(encoded_size(request) == codec::encode(request).size());
  const AccountFacts account{.owner = submitted->order.owner,
                             .balance = Balance(1) << 70,
                             .next = request.sequence_number,
                             .head = request.previous};
  const bool well_formed = check_shape(request).has_value();
  const bool allowed = check_operation(net.network(), account, request).has_value();
  if (well_formed && allowed) {
    Balance carried = amount_burned(request);
    for (const Effect& effect : effects_of(request, Hash{})) carried += amount_of(effect).value();
    const auto spent = amount_spent(request);
    if (spent) ZEF_CHECK(carried == Balance(spent->value()));  // nothing is lost between debit and credits
  }
  return 0;
}
