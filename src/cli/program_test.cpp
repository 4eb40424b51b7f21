#include "cli/program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/testing/temp_folder.h"
#include "cli/genesis_file.h"
#include "codec/json.h"

namespace zef::cli {
namespace {

using zef::testing::TempFolder;

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> words) {
  words.insert(words.begin(), "zef");
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.status = run_program(static_cast<int>(arguments.size()), arguments.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void write(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  std::ofstream(path) << text;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

class Commands : public ::testing::Test {
 protected:
  void SetUp() override { write(passphrase, "open sesame\n", 0600); }

  // A genesis of two validators and three accounts.
  Outcome create_genesis() {
    return run({"genesis", "create", "--out", genesis, "--validators", "2", "--keys-dir", folder / "keys", "--accounts",
                "3", "--balance", "500", "--wallet", folder / "wallet.sqlite", "--passphrase-file", passphrase,
                "--json"});
  }

  TempFolder folder;
  std::string passphrase = folder / "passphrase";
  std::string genesis = folder / "genesis.json";
};

TEST(Program, unknown_flag_is_a_usage_error_with_the_nearest_help) {
  const Outcome outcome = run({"net", "up", "--dir", "x", "--validaters", "4"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(first_line(outcome.err).find("--validaters"), std::string::npos) << outcome.err;
  EXPECT_NE(first_line(outcome.err).find("'zef net up'"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("--validators"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

TEST(Program, missing_or_unknown_commands_are_usage_errors) {
  EXPECT_EQ(run({}).status, 2);
  EXPECT_EQ(run({"wallet"}).status, 2);
  EXPECT_EQ(run({"genesis"}).status, 2);
  EXPECT_EQ(run({"frobnicate"}).status, 2);
  EXPECT_EQ(run({"net", "up"}).status, 2);                                        // --dir is required
  EXPECT_EQ(run({"net", "up", "--dir", "x", "--validators", "many"}).status, 2);  // no number
}

TEST(Program, what_is_unknown_is_named_before_what_is_missing) {
  const auto said = [](std::vector<std::string> words) {
    const Outcome outcome = run(std::move(words));
    EXPECT_EQ(outcome.status, 2);
    return first_line(outcome.err);
  };
  EXPECT_TRUE(said({"--nonsense"}).starts_with("zef: there is no flag '--nonsense'")) << said({"--nonsense"});
  EXPECT_TRUE(said({"frobnicate"}).starts_with("zef: there is no command 'frobnicate'")) << said({"frobnicate"});
  EXPECT_TRUE(said({"wallet", "frobnicate"}).starts_with("zef: there is no command 'frobnicate'"));
  EXPECT_TRUE(said({"wallet", "transfer", "--nonsense"}).starts_with("zef: there is no flag '--nonsense'"));
  EXPECT_TRUE(said({"net", "up", "--nonsense", "7"}).starts_with("zef: there is no flag '--nonsense'"));
  EXPECT_TRUE(said({"genesis", "check", "a", "b"}).starts_with("zef: there is no place for 'b'"));
  EXPECT_TRUE(said({"balancer", "--unsafe-no-sync"}).starts_with("zef: there is no flag '--unsafe-no-sync'"));
}

TEST(Program, help_goes_to_stdout_and_names_the_exit_statuses) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.out.find("Exit status"), std::string::npos);
  for (const char* command : {"net", "genesis", "keys", "worker", "balancer", "store", "wallet", "demo", "bench"})
    EXPECT_NE(outcome.out.find(command), std::string::npos) << command;
  EXPECT_NE(run({"genesis", "check", "--help"}).out.find("genesis check"), std::string::npos);
}

TEST_F(Commands, a_key_is_made_shown_and_never_replaced) {
  const std::string file = folder / "key";
  const Outcome made = run({"keys", "create", file, "--passphrase-file", passphrase});
  ASSERT_EQ(made.status, 0) << made.err;
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);

  const Outcome shown = run({"keys", "show", file, "--verify", "--passphrase-file", passphrase});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_EQ(shown.out, made.out);
  const auto json = codec::Json::parse(run({"keys", "show", file, "--json"}).out);
  EXPECT_EQ(json["public_key"].get<std::string>() + "\n", made.out);

  EXPECT_EQ(run({"keys", "create", file, "--passphrase-file", passphrase}).status, 4);
  EXPECT_EQ(run({"keys", "show", file}).out, made.out);
}

TEST_F(Commands, certificates_are_made_once_and_more_of_them_later) {
  const std::filesystem::path tls(folder / "tls");
  const auto make = [&](const char* workers) {
    return run({"keys", "certificates", tls, "--workers", workers, "--json"});
  };
  const auto content = [&](const char* name) {
    std::ifstream file(tls / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const Outcome first = make("1");
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(codec::Json::parse(first.out)["names"], (std::vector<std::string>{"controller", "w0"}));
  const std::string ca = content("ca.pem");
  const std::string w0 = content("w0.pem");
  EXPECT_TRUE(ca.contains("BEGIN CERTIFICATE"));
  EXPECT_FALSE(std::filesystem::exists(tls / "w1.pem"));
  ASSERT_EQ(make("3").status, 0);
  EXPECT_EQ(content("ca.pem"), ca);
  EXPECT_EQ(content("w0.pem"), w0);
  for (const char* name : {"controller.key", "w0.key", "w2.key"}) {
    struct stat found{};
    ASSERT_EQ(::stat((tls / name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_mode & 0777U, 0600U) << name;
  }
  EXPECT_EQ(run({"keys", "certificates", tls, "--workers", "0"}).status, 2);
  EXPECT_EQ(run({"keys", "certificates", "/proc/none/tls"}).status, 7);
}

TEST_F(Commands, a_wrong_passphrase_and_one_that_others_may_read_are_refused) {
  const std::string file = folder / "key";
  ASSERT_EQ(run({"keys", "create", file, "--passphrase-file", passphrase}).status, 0);
  write(folder / "other", "wrong\n", 0600);
  EXPECT_EQ(run({"keys", "show", file, "--verify", "--passphrase-file", folder / "other"}).status, 4);
  write(folder / "wide", "open sesame\n", 0644);
  const Outcome wide = run({"keys", "show", file, "--verify", "--passphrase-file", folder / "wide"});
  EXPECT_EQ(wide.status, 4);
  EXPECT_TRUE(wide.err.starts_with("zef: ")) << wide.err;
  EXPECT_EQ(wide.err.find('\n'), wide.err.size() - 1) << "one line: " << wide.err;
}

TEST_F(Commands, genesis_create_makes_what_genesis_check_accepts) {
  const Outcome made = create_genesis();
  ASSERT_EQ(made.status, 0) << made.err;
  const Outcome checked = run({"genesis", "check", genesis, "--json"});
  ASSERT_EQ(checked.status, 0) << checked.err;
  EXPECT_EQ(checked.out, made.out);
  const auto json = codec::Json::parse(checked.out);
  EXPECT_EQ(json["validators"].size(), 2U);
  EXPECT_EQ(json["accounts"], 5);  // and two for the validators' fees
  EXPECT_EQ(json["supply"], "1500");
  EXPECT_EQ(run({"keys", "show", folder / "keys/validator-1.key"}).out,
            json["validators"][1]["public_key"].get<std::string>() + "\n");
  EXPECT_EQ(create_genesis().status, 4) << "nothing is replaced";
}

TEST_F(Commands, a_genesis_file_says_the_same_as_json_and_as_canonical_bytes) {
  ASSERT_EQ(create_genesis().status, 0);
  const auto read = read_genesis(genesis);
  ASSERT_TRUE(read);
  const std::string bytes = folder / "genesis.bcs";
  ASSERT_TRUE(write_genesis(bytes, *read));
  EXPECT_EQ(run({"genesis", "check", bytes}).out, run({"genesis", "check", genesis}).out);
}

TEST_F(Commands, wrong_genesis_files_are_refused_with_the_place) {
  EXPECT_EQ(run({"genesis", "check", folder / "absent.json"}).status, 2);
  write(genesis, "{\"network_name\": 7}", 0644);
  const Outcome typed = run({"genesis", "check", genesis});
  EXPECT_EQ(typed.status, 2);
  EXPECT_NE(typed.err.find("network_name"), std::string::npos) << typed.err;
  write(folder / "genesis.bcs", "not canonical bytes", 0644);
  EXPECT_EQ(run({"genesis", "check", folder / "genesis.bcs"}).status, 2);
}

TEST_F(Commands, a_genesis_without_validators_or_with_strange_keys_is_a_usage_error) {
  EXPECT_EQ(run({"genesis", "create", "--out", genesis, "--account", "00:5"}).status, 2);
  EXPECT_EQ(run({"genesis", "create", "--out", genesis, "--validator", "a:" + std::string(64, '0')}).status, 2);
  EXPECT_EQ(run({"genesis", "create", "--out", genesis, "--validator", "a"}).status, 2);
  EXPECT_EQ(run({"genesis", "create", "--out", genesis, "--validators", "2"}).status, 2) << "no --keys-dir";
  EXPECT_FALSE(std::filesystem::exists(genesis));
}

TEST_F(Commands, a_store_is_prepared_once_and_refused_to_another_validator) {
  ASSERT_EQ(create_genesis().status, 0);
  const std::string url = "file://" + (folder / "store");
  const auto init = [&](const std::string& validator) {
    return run({"store", "init", "--genesis", genesis, "--validator", validator, "--workers", "2", "--store", url});
  };
  EXPECT_EQ(init("0").status, 0);
  EXPECT_EQ(init("0").status, 0) << "repeating it changes nothing";
  const Outcome foreign = init("1");
  EXPECT_EQ(foreign.status, 4);
  EXPECT_NE(foreign.err.find("belongs to validator 0"), std::string::npos) << foreign.err;
  EXPECT_EQ(init("2").status, 2) << "no such validator";
}

TEST_F(Commands, waiting_for_a_network_ends_with_the_time_given) {
  EXPECT_EQ(run({"net", "wait", "--dir", folder / "none", "--seconds", "0"}).status, 2) << "no such network";
  std::filesystem::create_directory(folder / "net");
  write(folder / "net/net.json", "{}", 0644);
  // Nothing listens on port 1.
  write(folder / "net/network.json",
        "{\"network\": \"" + std::string(64, '1') +
            "\", \"validators\": [{\"index\": 0, \"name\": \"a\", \"address\": \"127.0.0.1:1\"}]}",
        0644);
  const Outcome outcome = run({"net", "wait", "--dir", folder / "net", "--seconds", "0"});
  EXPECT_EQ(outcome.status, 3);
  EXPECT_NE(outcome.err.find("a at 127.0.0.1:1"), std::string::npos) << outcome.err;
}

TEST_F(Commands, servers_refuse_addresses_and_stores_that_make_no_sense) {
  const std::string url = "file://" + (folder / "store");
  EXPECT_EQ(run({"balancer", "--store", url, "--listen", "nowhere"}).status, 2);
  EXPECT_EQ(run({"balancer", "--store", "floppy:"}).status, 2);
  EXPECT_EQ(run({"balancer", "--store", "file://relative/path"}).status, 2);
  EXPECT_EQ(run({"balancer"}).status, 2);
}

TEST_F(Commands, a_balancer_does_not_serve_a_store_that_is_nobodys) {
  std::filesystem::create_directory(folder / "store");
  const Outcome outcome = run({"balancer", "--store", "file://" + (folder / "store")});
  EXPECT_EQ(outcome.status, 4);
  EXPECT_EQ(outcome.out, "") << "it was ready";
  EXPECT_NE(outcome.err.find("zef store init"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace zef::cli
