#include "net/frame_parser.h"

#include <gtest/gtest.h>

#include <random>

namespace zef::net {
namespace {

// Feeds the stream in pieces of the given sizes (the last one is repeated) and returns all frames.
std::vector<Bytes> parse_in_pieces(ByteView stream, std::size_t piece, FrameParser& parser) {
  std::vector<Bytes> frames;
  while (!stream.empty()) {
    const std::size_t take = std::min(piece, stream.size());
    parser.feed(stream.first(take));
    stream = stream.subspan(take);
    for (auto frame = parser.next(); frame && *frame; frame = parser.next()) frames.push_back(to_bytes(**frame));
    parser.save();
  }
  return frames;
}

TEST(FrameParser, finds_the_same_frames_however_the_stream_is_cut) {
  std::mt19937 random(7);
  std::vector<Bytes> sent;
  Bytes stream;
  for (const std::size_t size : {0, 1, 2, 3, 4, 5, 100, 1000, 65536, 0, 0, 7}) {
    Bytes payload(size);
    for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
    append_frame(stream, payload);
    sent.push_back(std::move(payload));
  }
  for (const std::size_t piece : {1, 2, 3, 5, 7, 64, 1000, 4096, 70000, 1000000}) {
    FrameParser parser(65536);
    EXPECT_EQ(parse_in_pieces(stream, piece, parser), sent) << piece;
    EXPECT_EQ(parser.pending_bytes(), 0U);
  }
}

TEST(FrameParser, writes_lengths_in_little_endian) {
  Bytes stream;
  append_frame(stream, as_bytes("abc"));
  EXPECT_EQ(to_hex(stream), "03000000616263");
}

TEST(FrameParser, a_length_above_the_maximum_is_an_error_for_ever) {
  FrameParser parser(10);
  Bytes stream;
  append_frame(stream, Bytes(10, 1));
  append_frame(stream, Bytes(11, 1));
  parser.feed(stream);
  ASSERT_TRUE(parser.next()->has_value());
  EXPECT_EQ(parser.next().error().kind, ErrorKind::invalid_input);
  EXPECT_EQ(parser.next().error().message, "a frame of 11 bytes was announced, at most 10 are allowed");
  parser.save();
  EXPECT_EQ(parser.pending_bytes(), 0U);
  parser.feed(as_bytes("more"));
  EXPECT_FALSE(parser.next().has_value());
}

TEST(FrameParser, finds_a_length_too_long_in_a_header_that_came_in_pieces) {
  FrameParser parser(10);
  const Bytes header = {0, 0, 0, 1};
  for (const std::uint8_t& byte : header) {
    parser.feed({&byte, 1});
    const auto next = parser.next();
    EXPECT_EQ(next.has_value(), &byte != &header.back());
    parser.save();
  }
}

TEST(FrameParser, frames_left_over_are_found_later) {
  FrameParser parser(10);
  Bytes stream;
  for (std::uint8_t i = 0; i < 5; ++i) append_frame(stream, {&i, 1});
  parser.feed(ByteView(stream).first(22));
  EXPECT_EQ((**parser.next())[0], 0);
  parser.save();
  EXPECT_EQ(parser.pending_bytes(), 17U);
  parser.feed(ByteView(stream).subspan(22));
  for (std::uint8_t i = 1; i < 5; ++i) EXPECT_EQ((**parser.next())[0], i);
  EXPECT_FALSE(parser.next()->has_value());
}

}  // namespace
}  // namespace zef::net
