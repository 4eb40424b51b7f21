#include "crypto/passphrase.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "crypto/private_file.h"

namespace zef::crypto {
namespace {

Result<SecretBytes> checked_line(ByteView line) {
  if (!line.empty() && line.back() == '\r') line = line.first(line.size() - 1);
  if (line.empty()) return fail(ErrorKind::invalid_input, "the passphrase is empty");
  if (line.size() > passphrase_size_max)
    return fail(ErrorKind::invalid_input, "the passphrase is longer than 1024 bytes");
  SecretBytes passphrase(line.size());
  std::ranges::copy(line, passphrase.data());
  return passphrase;
}

// The line end may be "\r\n" and not counted, hence two bytes more than a passphrase may have.
constexpr std::size_t line_size_max = passphrase_size_max + 2;

// The signals that end or stop a program that waits at a prompt.
constexpr std::array caught_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};

std::atomic<int> wake_up_pipe = -1;
static_assert(std::atomic<int>::is_always_lock_free);  // used in a signal handler

extern "C" void remember_signal(int number) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = ::write(wake_up_pipe.load(), &byte, 1);
  errno = saved;
}

// While it lives, the caught signals are written to a pipe instead of taking their effect: whichever thread the system
// hands them to, the reader of the prompt wakes up.
class SignalsHeld {
 public:
  SignalsHeld() {
    if (::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) return;
    wake_up_pipe = pipe_[1];
    struct sigaction action{};
    action.sa_handler = remember_signal;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < caught_signals.size(); ++i) {
      ::sigaction(caught_signals[i], nullptr, &old_[i]);
      // What is ignored (nohup) stays ignored.
      if (old_[i].sa_handler != SIG_IGN) ::sigaction(caught_signals[i], &action, nullptr);
    }
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld() {
    if (!ok()) return;
    for (std::size_t i = 0; i < caught_signals.size(); ++i) ::sigaction(caught_signals[i], &old_[i], nullptr);
    wake_up_pipe = -1;
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  [[nodiscard]] bool ok() const { return pipe_[0] >= 0; }
  [[nodiscard]] int wake_up() const { return pipe_[0]; }
  // The next signal that arrived, or 0.
  [[nodiscard]] int arrived() const {
    unsigned char number = 0;
    return ::read(pipe_[0], &number, 1) == 1 ? number : 0;
  }

 private:
  int pipe_[2] = {-1, -1};
  std::array<struct sigaction, caught_signals.size()> old_{};
};

class EchoOff {
 public:
  explicit EchoOff(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal_, &old_) != 0) return;
    termios quiet = old_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
    quiet.c_lflag |= ICANON | ISIG;
    ok_ = ::tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  ~EchoOff() {
    if (ok_) ::tcsetattr(terminal_, TCSAFLUSH, &old_);
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  int terminal_;
  termios old_{};
  bool ok_ = false;
};

void show(int terminal, std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(terminal, text.data(), text.size());
}

struct Line {
  Result<SecretBytes> passphrase;
  int signal = 0;  // arrived meanwhile; to be raised once everything is as it was
};

// Waits for a line of the terminal or for a signal.
Line read_line(int terminal, const SignalsHeld& signals) {
  SecretBytes buffer(line_size_max);
  std::size_t size = 0;
  while (true) {
    std::array<pollfd, 2> waiting{{{terminal, POLLIN, 0}, {signals.wake_up(), POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      return {fail(ErrorKind::io, std::string("cannot wait for the terminal: ") + std::strerror(errno))};
    if (const int signal = signals.arrived())
      return {fail(ErrorKind::cancelled, "interrupted while asking for the passphrase"), signal};
    if (waiting[0].revents == 0) continue;
    std::uint8_t byte = 0;
    const ssize_t got = ::read(terminal, &byte, 1);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return {fail(ErrorKind::io, std::string("cannot read the terminal: ") + std::strerror(errno))};
    if (got == 0 || byte == '\n') return {checked_line(buffer.view().first(size))};
    if (size < buffer.size()) buffer.data()[size++] = byte;  // the rest of a line that is too long is dropped
  }
}

Line ask_quietly(int terminal, std::string_view prompt, const SignalsHeld& signals) {
  const EchoOff quiet(terminal);
  if (!quiet.ok())
    return {fail(ErrorKind::io, std::string("cannot switch off the terminal's echo: ") + std::strerror(errno))};
  show(terminal, prompt);
  Line line = read_line(terminal, signals);
  show(terminal, "\n");
  return line;
}

Line ask_once(int terminal, std::string_view prompt) {
  const SignalsHeld signals;
  if (!signals.ok()) return {fail(ErrorKind::io, std::string("cannot make a pipe: ") + std::strerror(errno))};
  Line line = ask_quietly(terminal, prompt, signals);
  // One that came after the line must not get lost.
  if (line.signal == 0) line.signal = signals.arrived();
  return line;
}

// Asks until a line came; a signal takes its effect in between, and after a stop (Ctrl-Z, fg) the prompt returns.
Result<SecretBytes> ask(int terminal, std::string_view prompt) {
  while (true) {
    Line line = ask_once(terminal, prompt);
    if (line.signal == 0) return std::move(line.passphrase);
    ::kill(::getpid(), line.signal);
    const bool stops = line.signal == SIGTSTP || line.signal == SIGTTIN || line.signal == SIGTTOU;
    if (!stops) return std::move(line.passphrase);
  }
}

}  // namespace

Result<SecretBytes> passphrase_from_prompt(std::string_view prompt, Confirm confirm,
                                           const std::filesystem::path& terminal) {
  const int fd = ::open(terminal.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return fail(ErrorKind::unavailable,
                "no terminal to ask for the passphrase: give it by a file descriptor or a file of mode 0600");
  auto passphrase = ask(fd, prompt);
  if (passphrase && confirm == Confirm::yes) {
    const auto again = ask(fd, "Again: ");
    if (!again) {
      passphrase = std::unexpected(again.error());
    } else if (!std::ranges::equal(passphrase->view(), again->view())) {
      passphrase = fail(ErrorKind::invalid_input, "the two passphrases differ");
    }
  }
  ::close(fd);
  return passphrase;
}

Result<SecretBytes> passphrase_from_descriptor(int descriptor) {
  SecretBytes buffer(line_size_max);
  std::size_t size = 0;
  while (size < buffer.size()) {
    std::uint8_t* next = buffer.data() + size;
    const ssize_t got = ::read(descriptor, next, 1);  // byte by byte: what follows the line is somebody else's
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(ErrorKind::io, "cannot read the passphrase from file descriptor " + std::to_string(descriptor) +
                                     ": " + std::strerror(errno));
    if (got == 0 || *next == '\n') break;
    ++size;
  }
  return checked_line(buffer.view().first(size));
}

Result<SecretBytes> passphrase_from_file(const std::filesystem::path& path) {
  const auto content = read_private_file(path, line_size_max);
  if (!content) return std::unexpected(content.error());
  ByteView line = content->view();
  if (!line.empty() && line.back() == '\n') line = line.first(line.size() - 1);
  if (std::ranges::find(line, '\n') != line.end())
    return fail(ErrorKind::invalid_input, path.string() + ": more than one line; a passphrase is one line");
  auto passphrase = checked_line(line);
  if (!passphrase) return fail(passphrase.error().kind, path.string() + ": " + passphrase.error().message);
  return passphrase;
}

}  // namespace zef::crypto
