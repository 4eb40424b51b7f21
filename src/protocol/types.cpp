#include "protocol/types.h"

#include <charconv>

#include "crypto/sha256.h"

namespace zef::protocol {

Uid::Uid(std::vector<std::uint64_t> parts) : parts_(std::move(parts)) {
  ZEF_CHECK(!parts_.empty() && parts_.size() <= depth_max);
}

Uid Uid::child(SequenceNumber created_at) const {
  ZEF_CHECK(depth() < depth_max);
  std::vector<std::uint64_t> parts;
  parts.reserve(parts_.size() + 1);
  parts = parts_;
  parts.push_back(created_at.value());
  return Uid(std::move(parts));
}

std::optional<Uid> Uid::parent() const {
  if (parts_.size() == 1) return std::nullopt;
  return Uid(std::vector(parts_.begin(), parts_.end() - 1));
}

std::string Uid::text() const {
  std::string text;
  for (const std::uint64_t part : parts_) {
    if (!text.empty()) text.push_back('/');
    text += std::to_string(part);
  }
  return text;
}

std::optional<Uid> Uid::parse(std::string_view text) {
  std::vector<std::uint64_t> parts;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    std::uint64_t part = 0;
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc() || parts.size() == depth_max) return std::nullopt;
    parts.push_back(part);
    if (next == end) return Uid(std::move(parts));
    if (*next != '/') return std::nullopt;
    at = next + 1;
  }
}

void Uid::encode(codec::Writer& writer) const {
  writer.length(parts_.size());
  for (const std::uint64_t part : parts_) writer.fixed(part);
}

Uid Uid::decode(codec::Reader& reader) {
  const std::size_t count = reader.length(depth_max);
  if (!reader.error() && count == 0) reader.fail(codec::DecodeError::out_of_range);
  std::vector<std::uint64_t> parts;
  parts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) parts.push_back(reader.fixed<std::uint64_t>());
  return reader.error() ? Uid() : Uid(std::move(parts));
}

ShardId shard_of(const Uid& uid) {
  const Hash hash = crypto::sha256(codec::encode(uid));
  return ShardId(static_cast<std::uint16_t>(hash.bytes[0] << 2 | hash.bytes[1] >> 6));
}

}  // namespace zef::protocol

std::size_t std::hash<zef::protocol::Uid>::operator()(const zef::protocol::Uid& uid) const {
  // splitmix64's finaliser over the parts: cheap, and all bits of the input reach all bits of the result.
  std::uint64_t state = uid.parts().size();
  for (const std::uint64_t part : uid.parts()) {
    state = (state ^ part) + 0x9e3779b97f4a7c15;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
    state ^= state >> 31;
  }
  return static_cast<std::size_t>(state);
}
