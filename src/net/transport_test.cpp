#include "net/transport.h"

#include <gtest/gtest.h>

namespace zef::net {
namespace {

TEST(Address, reads_names_and_numbers) {
  EXPECT_EQ(parse_address("127.0.0.1:9000"), (Address{"127.0.0.1", 9000}));
  EXPECT_EQ(parse_address("node-1.example.com:0"), (Address{"node-1.example.com", 0}));
  EXPECT_EQ(parse_address("[::1]:65535"), (Address{"::1", 65535}));
}

TEST(Address, writes_what_it_reads) {
  for (const char* text : {"127.0.0.1:9000", "localhost:1", "[fe80::2]:80"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address);
    EXPECT_EQ(to_string(*address), text);
  }
}

TEST(Address, refuses_everything_else) {
  for (const char* text : {"", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:+1", "host:8x", "a b:80",
                           "::1:80", "[::1:80", "[]:80", "[host]:80", "a/b:80", "host:80 "}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().kind, ErrorKind::invalid_input);
  }
}

}  // namespace
}  // namespace zef::net
