// A place in the chain of an account, as a key of hash tables. The checkers look these up for every frame and record.
#pragma once

#include <functional>

#include "protocol/types.h"

namespace zef::sim {

struct Place {
  protocol::Uid account;
  protocol::SequenceNumber at;
  friend bool operator==(const Place&, const Place&) = default;
};

struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<protocol::Uid>{}(place.account) * 31 + place.at.value() * 0x9e3779b97f4a7c15U;
  }
};

}  // namespace zef::sim
