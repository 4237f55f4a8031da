#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fermata::test {

/// A node in a process of its own, which is killed and begins anew. It ends with this process,
/// however that ends, since its standard input does.
class victim_process {
public:
  /// The program and its arguments.
  explicit victim_process(std::vector<std::string> words) : words_{std::move(words)} { begin(); }
  victim_process(const victim_process&) = delete;
  victim_process& operator=(const victim_process&) = delete;
  ~victim_process() { end(SIGKILL); }

  void kill_and_begin_anew() {
    kill();
    begin();
  }
  void kill() { end(SIGKILL); }
  void freeze() const { ::kill(process_, SIGSTOP); }
  void thaw() const { ::kill(process_, SIGCONT); }
  /// Waits until it has frozen itself. False: it has ended.
  [[nodiscard]] bool wait_until_frozen() const {
    int status = 0;
    return ::waitpid(process_, &status, WUNTRACED) == process_ && WIFSTOPPED(status);
  }

  void begin() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      throw std::runtime_error{"no pipe"};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    std::vector<char*> arguments;
    for (auto& word : words_)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const auto failed = ::posix_spawn(&process_, words_.front().c_str(), &actions, nullptr,
                                      arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    life_ = ends[1];
    if (failed != 0)
      throw std::runtime_error{"the victim does not start"};
  }

private:
  void end(int signal) {
    if (process_ < 0)
      return;
    ::kill(process_, signal);
    ::waitpid(std::exchange(process_, -1), nullptr, 0);
    ::close(life_);
  }

  std::vector<std::string> words_;
  pid_t process_ = -1;
  int life_ = -1; ///< Closed with this process.
};

} // namespace fermata::test
