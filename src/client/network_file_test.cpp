#include "client/network_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temp_folder.h"
#include "codec/json.h"
#include "protocol/testing/fixture.h"

namespace zef::client {
namespace {

using ::testing::HasSubstr;

class NetworkFileTest : public ::testing::Test {
 protected:
  NetworkFileTest() {
    file.network = net.id();
    for (std::uint16_t i = 0; i < 4; ++i)
      file.validators.push_back(
          {protocol::ValidatorIndex(i), net.genesis().validators[i].name, "127.0.0.1:" + std::to_string(7000 + i)});
  }
  void expect_refused(ErrorKind kind, const std::string& part) {
    const auto parsed = parse_network_file(codec::to_json(file).dump(), net.network());
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().kind, kind);
    EXPECT_THAT(parsed.error().message, HasSubstr(part));
  }

  protocol::testing::TestNetwork net;
  NetworkFile file;
  testing::TempFolder folder;
};

TEST_F(NetworkFileTest, is_read_as_it_was_written) {
  ASSERT_TRUE(write_network_file(folder / "network.json", file));
  ASSERT_TRUE(write_network_file(folder / "network.json", file));  // replaces
  const auto read = read_network_file(folder / "network.json", net.network());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, file);
  EXPECT_EQ(addresses_of(*read)[3], (net::Address{"127.0.0.1", 7003}));
}

TEST_F(NetworkFileTest, of_another_network_is_refused) {
  file.network.bytes[0] ^= 1;
  expect_refused(ErrorKind::refused, "the same network");
}

TEST_F(NetworkFileTest, says_what_is_wrong_where) {
  file.validators[2].address = "nowhere";
  expect_refused(ErrorKind::invalid_input, "validators[2].address");
  file.validators[2].index = protocol::ValidatorIndex(1);
  expect_refused(ErrorKind::invalid_input, "validators[2].index is 1");
  file.validators[1].name = "other";
  expect_refused(ErrorKind::invalid_input, "validators[1].name");
  file.validators.pop_back();
  expect_refused(ErrorKind::invalid_input, "lists 3 validators");
}

TEST_F(NetworkFileTest, that_is_missing_or_no_json_is_refused) {
  EXPECT_EQ(read_network_file(folder / "none.json", net.network()).error().kind, ErrorKind::not_found);
  std::ofstream(folder / "bad.json") << "{";
  EXPECT_EQ(read_network_file(folder / "bad.json", net.network()).error().kind, ErrorKind::invalid_input);
}

}  // namespace
}  // namespace zef::client
