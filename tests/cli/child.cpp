#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace fermata::test {

namespace {

/// A run under sanitizers on a busy machine is slow; one that hangs must end.
constexpr int patience_milliseconds = 120'000;

[[noreturn]] void become(const child_options& options) {
  for (const auto& [name, value] : options.environment)
    ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0)
    ::_exit(126);
  if (options.file_size_limit_bytes) {
    struct rlimit limit {};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = *options.file_size_limit_bytes;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0)
      ::_exit(126);
    std::signal(SIGXFSZ, SIG_IGN);
  }
  std::vector<char*> argv;
  for (const auto& word : options.argv)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::execv(argv.front(), argv.data());
  ::_exit(127);
}

using pipe_ends = std::array<int, 2>;

pipe_ends make_pipe() {
  pipe_ends ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::runtime_error{std::string{"pipe2: "} + std::strerror(errno)};
  return ends;
}

/// Input that fits a pipe's buffer, so that writing it cannot block.
void feed(int fd, std::string_view input) {
  if (input.size() > 60'000)
    throw std::runtime_error{"too much input for this helper"};
  if (::write(fd, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    throw std::runtime_error{"the input could not be written"};
}

/// Appends what is there. False: it has ended.
bool append_from(int fd, std::string& to) {
  std::array<char, 65'536> chunk;
  const auto size = ::read(fd, chunk.data(), chunk.size());
  if (size > 0)
    to.append(chunk.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

} // namespace

child::child(const child_options& options) {
  if (options.terminal)
    start_at_terminal(options);
  else
    start_with_pipes(options);
}

child::~child() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (output_fd_ >= 0)
    ::close(output_fd_);
  if (error_fd_ >= 0)
    ::close(error_fd_);
}

void child::start_with_pipes(const child_options& options) {
  const auto input = make_pipe();
  const auto output = make_pipe();
  const auto error = make_pipe();
  feed(input[1], options.input);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::dup2(error[1], STDERR_FILENO);
    become(options);
  }
  for (const int fd : {input[0], input[1], output[1], error[1]})
    ::close(fd);
  output_fd_ = output[0];
  error_fd_ = error[0];
  if (pid_ < 0)
    throw std::runtime_error{"fork failed"};
}

void child::start_at_terminal(const child_options& options) {
  const winsize size{40, 100, 0, 0};
  pid_ = ::forkpty(&output_fd_, nullptr, nullptr, &size);
  if (pid_ == 0)
    become(options);
  if (pid_ < 0)
    throw std::runtime_error{"forkpty failed"};
}

bool child::read_more() {
  std::array<pollfd, 2> ready{pollfd{output_fd_, POLLIN, 0}, pollfd{error_fd_, POLLIN, 0}};
  if (::poll(ready.data(), ready.size(), patience_milliseconds) <= 0)
    return false;
  if (ready[0].revents != 0 && !append_from(output_fd_, output_)) {
    ::close(std::exchange(output_fd_, -1));
  }
  if (ready[1].revents != 0 && !append_from(error_fd_, error_output_)) {
    ::close(std::exchange(error_fd_, -1));
  }
  return true;
}

bool child::expect(std::string_view text) {
  for (;;) {
    if (const auto found = output_.find(text, expected_); found != std::string::npos) {
      expected_ = found + text.size();
      return true;
    }
    if (output_fd_ < 0 || !read_more())
      return false;
  }
}

void child::type(std::string_view line) {
  feed(output_fd_, std::string{line} + "\n");
}

void child::signal(int number) const {
  ::kill(pid_, number);
}

int child::wait() {
  while (output_fd_ >= 0 || error_fd_ >= 0)
    if (!read_more()) {
      ::kill(pid_, SIGKILL);
      break;
    }
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace fermata::test
