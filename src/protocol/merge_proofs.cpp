#include <iterator>
#include <utility>

#include "protocol/verification.h"

namespace zef::protocol {
namespace {

// A proof being made longer, with what decides whether it may be.
struct Chain {
  Proof proof;
  std::vector<Request> requests;  // all that it vouches for
  std::size_t bytes = 0;
};

std::optional<Chain> chain_of(Proof& proof) {
  const auto form = form_of(proof);
  if (!form) return std::nullopt;
  Chain chain;
  for (const auto& item : *form) {
    chain.requests.push_back(*item.request);
    chain.bytes += encoded_size(*item.request);
  }
  chain.proof = std::move(proof);
  return chain;
}

bool fits(const Chain& chain, const Chain& next, std::size_t bytes_max) {
  const auto block = [](const Request& request) { return request.sequence_number.value() / proof_requests_max; };
  return chain.proof.account == next.proof.account &&
         next.requests.front().sequence_number.value() == chain.requests.back().sequence_number.value() + 1 &&
         block(chain.requests.front()) == block(next.requests.back()) && chain.bytes + next.bytes <= bytes_max;
}

// `next` comes to vouch for what `chain` did as well.
void prepend(Chain& chain, Chain next) {
  auto& earlier = next.proof.earlier;
  earlier.insert(earlier.begin(), chain.requests.begin(), chain.requests.end());
  std::ranges::move(next.requests, std::back_inserter(chain.requests));
  chain.proof = std::move(next.proof);
  chain.bytes += next.bytes;
}

}  // namespace

std::vector<Proof> merge_proofs(std::vector<Proof> proofs, std::size_t bytes_max) {
  std::vector<Proof> merged;
  std::optional<Chain> chain;
  const auto finish = [&] {
    if (chain) merged.push_back(std::move(chain->proof));
    chain.reset();
  };
  for (Proof& proof : proofs) {
    auto next = chain_of(proof);
    if (!next) {
      finish();
      merged.push_back(std::move(proof));
    } else if (chain && fits(*chain, *next, bytes_max)) {
      prepend(*chain, std::move(*next));
    } else {
      finish();
      chain = std::move(next);
    }
  }
  finish();
  return merged;
}

}  // namespace zef::protocol
