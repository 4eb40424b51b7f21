#include "crypto/passphrase.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/testing/temp_folder.h"
#include "crypto/private_file.h"

namespace zef::crypto {
namespace {

Result<std::string> text_of(const Result<SecretBytes>& secret) {
  if (!secret) return std::unexpected(secret.error());
  return std::string(as_text(secret->view()));
}

// From a pipe that holds `text`.
Result<std::string> from_pipe(std::string_view text, std::string* rest = nullptr) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  const auto passphrase = text_of(passphrase_from_descriptor(ends[0]));
  if (rest != nullptr) {
    char buffer[100];
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    rest->assign(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  ::close(ends[0]);
  return passphrase;
}

TEST(PassphraseFromDescriptor, takes_one_line) {
  EXPECT_EQ(from_pipe("secret\n"), "secret");
  EXPECT_EQ(from_pipe("secret"), "secret");
  EXPECT_EQ(from_pipe("secret\r\n"), "secret");
  EXPECT_EQ(from_pipe(" with spaces \n"), " with spaces ");
}

TEST(PassphraseFromDescriptor, leaves_what_follows_the_line) {
  std::string rest;
  EXPECT_EQ(from_pipe("first\nsecond\n", &rest), "first");
  EXPECT_EQ(rest, "second\n");
}

TEST(PassphraseFromDescriptor, refuses_nothing_and_too_much) {
  for (const char* empty : {"", "\n", "\r\n"}) EXPECT_EQ(from_pipe(empty).error().kind, ErrorKind::invalid_input);
  const std::string longest(passphrase_size_max, 'x');
  EXPECT_EQ(from_pipe(longest), longest);
  EXPECT_EQ(from_pipe(longest + "\r\n"), longest);
  EXPECT_EQ(from_pipe(longest + "x").error().kind, ErrorKind::invalid_input);
  EXPECT_EQ(from_pipe(longest + longest).error().kind, ErrorKind::invalid_input);
  EXPECT_EQ(text_of(passphrase_from_descriptor(-1)).error().kind, ErrorKind::io);
}

TEST(PassphraseFromFile, takes_the_line_and_nothing_wider_than_0600) {
  const testing::TempFolder folder;
  const auto path = folder.path() / "passphrase";
  ASSERT_TRUE(write_private_file(path, as_bytes("secret\n")).has_value());
  EXPECT_EQ(text_of(passphrase_from_file(path)), "secret");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto wide = text_of(passphrase_from_file(path));
  EXPECT_EQ(wide.error().kind, ErrorKind::refused);
  EXPECT_NE(wide.error().message.find("chmod 600"), std::string::npos);
  EXPECT_EQ(text_of(passphrase_from_file(folder.path() / "none")).error().kind, ErrorKind::not_found);
}

TEST(PassphraseFromFile, refuses_several_lines_and_none) {
  const testing::TempFolder folder;
  ASSERT_TRUE(write_private_file(folder.path() / "two", as_bytes("one\ntwo\n")).has_value());
  EXPECT_EQ(text_of(passphrase_from_file(folder.path() / "two")).error().kind, ErrorKind::invalid_input);
  ASSERT_TRUE(write_private_file(folder.path() / "empty", as_bytes("\n")).has_value());
  EXPECT_EQ(text_of(passphrase_from_file(folder.path() / "empty")).error().kind, ErrorKind::invalid_input);
}

// A child process at a terminal of its own asks for a passphrase; the test sits at the keyboard.
class Prompt : public ::testing::Test {
 protected:
  void start(Confirm confirm) {
    char name[100];
    ASSERT_EQ(::openpty(&keyboard_, &terminal_, name, nullptr, nullptr), 0);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      ::setsid();
      ::signal(SIGINT, SIG_DFL);             // a shell starts background jobs with it ignored, and so would this child
      const int own = ::open(name, O_RDWR);  // becomes the terminal that sends Ctrl-C
      const auto passphrase = passphrase_from_prompt("Passphrase: ", confirm);
      const std::string answer =
          passphrase ? "got " + std::string(as_text(passphrase->view())) : "failed " + passphrase.error().message;
      [[maybe_unused]] const ssize_t written = ::write(ends[1], answer.data(), answer.size());
      ::close(own);
      ::_exit(0);
    }
    ::close(ends[1]);
    answer_ = ends[0];
  }
  void TearDown() override {
    if (child_ > 0 && !reaped_) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    for (const int fd : {keyboard_, terminal_, answer_})
      if (fd >= 0) ::close(fd);
  }

  // Reads the screen until it has shown `text` (again).
  void wait_for(std::string_view text) {
    while (screen_.find(text, seen_) == std::string::npos) {
      char buffer[200];
      const ssize_t got = ::read(keyboard_, buffer, sizeof buffer);
      ASSERT_GT(got, 0) << screen_;
      screen_.append(buffer, static_cast<std::size_t>(got));
    }
    seen_ = screen_.find(text, seen_) + text.size();
  }
  void type(std::string_view keys) {
    ASSERT_EQ(::write(keyboard_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  std::string answer() {
    std::string text;
    char buffer[200];
    for (ssize_t got = 0; (got = ::read(answer_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }
  int wait_for_end() {
    int status = 0;
    EXPECT_EQ(::waitpid(child_, &status, 0), child_);
    reaped_ = true;
    return status;
  }
  [[nodiscard]] bool echoes() const {
    termios settings{};
    EXPECT_EQ(::tcgetattr(terminal_, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
  }

  std::string screen_;

 private:
  int keyboard_ = -1;
  int terminal_ = -1;
  int answer_ = -1;
  pid_t child_ = -1;
  bool reaped_ = false;
  std::size_t seen_ = 0;
};

TEST_F(Prompt, takes_a_line_without_showing_it) {
  start(Confirm::no);
  wait_for("Passphrase: ");
  EXPECT_FALSE(echoes());
  type("open sesame\n");
  EXPECT_EQ(answer(), "got open sesame");
  EXPECT_EQ(wait_for_end(), 0);
  wait_for("\n");
  EXPECT_EQ(screen_.find("sesame"), std::string::npos);
  EXPECT_TRUE(echoes());
}

TEST_F(Prompt, asks_twice_for_a_new_one) {
  start(Confirm::yes);
  wait_for("Passphrase: ");
  type("new one\n");
  wait_for("Again: ");
  type("new one\n");
  EXPECT_EQ(answer(), "got new one");
}

TEST_F(Prompt, refuses_two_different_ones) {
  start(Confirm::yes);
  wait_for("Passphrase: ");
  type("new one\n");
  wait_for("Again: ");
  type("new two\n");
  EXPECT_EQ(answer(), "failed the two passphrases differ");
}

TEST_F(Prompt, an_interrupt_ends_the_program_with_the_terminal_restored) {
  start(Confirm::no);
  wait_for("Passphrase: ");
  EXPECT_FALSE(echoes());
  type("half\x03");
  EXPECT_EQ(answer(), "");
  const int status = wait_for_end();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
  EXPECT_TRUE(echoes());
}

TEST_F(Prompt, asks_again_after_a_stop) {
  start(Confirm::no);
  wait_for("Passphrase: ");
  type("\x1a");  // Ctrl-Z; this child has no shell to go back to, so it goes on at once
  wait_for("Passphrase: ");
  EXPECT_FALSE(echoes());
  type("after\n");
  EXPECT_EQ(answer(), "got after");
}

TEST_F(Prompt, an_end_of_input_is_an_empty_passphrase) {
  start(Confirm::no);
  wait_for("Passphrase: ");
  type("\x04");
  EXPECT_EQ(answer(), "failed the passphrase is empty");
}

TEST(PassphraseFromPrompt, says_how_to_do_without_a_terminal) {
  const auto none = passphrase_from_prompt("Passphrase: ", Confirm::no, "/nonexistent/terminal");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().kind, ErrorKind::unavailable);
  EXPECT_NE(none.error().message.find("file descriptor"), std::string::npos);
  EXPECT_EQ(passphrase_from_prompt("Passphrase: ", Confirm::no, "/dev/null").error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace zef::crypto
