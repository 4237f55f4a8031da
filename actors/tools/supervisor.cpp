#include <fermata/actors/tools/supervisor.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>

namespace fermata::detail {

namespace {

using kind = supervisor_message::kind;

/// prctl without the library's function: that of AddressSanitizer takes a lock, which another
/// thread may have held at the fork.
void control(int option, unsigned long value) noexcept {
  ::syscall(SYS_prctl, option, value, 0UL, 0UL, 0UL);
}

std::int64_t now_milliseconds() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000;
}

void say(int status, kind what, int value, bool timed_out = false) noexcept {
  supervisor_message message;
  message.what = what;
  message.value = value;
  message.timed_out = timed_out ? 1 : 0;
  // When the runtime is gone nobody reads, and there is nobody to tell.
  [[maybe_unused]] const auto put = ::write(status, &message, sizeof message);
}

/// Without the library's function: for SIGABRT, that of glibc 2.41 waits for a lock which other
/// threads may have held at the fork, as those do that fork as well.
void reset_signal_handlers() noexcept {
  // The kernel's own struct: SIG_DFL, no flags, an empty mask of so many bytes.
  constexpr std::array<unsigned long, 8> standard{};
  constexpr unsigned long mask_size_bytes = 8;
  for (int signal = 1; signal < NSIG; ++signal)
    ::syscall(SYS_rt_sigaction, signal, standard.data(), nullptr, mask_size_bytes);
}

/// Closes everything above 2 that is not in `kept`: sockets and files of the runtime, and the ends
/// of other commands' pipes that this process has inherited by chance.
void close_all_but(std::array<int, 6> kept) noexcept {
  std::sort(kept.begin(), kept.end());
  unsigned next = 3;
  for (const int fd : kept) {
    const auto here = static_cast<unsigned>(fd);
    if (here > next)
      ::syscall(SYS_close_range, next, here - 1, 0U);
    next = std::max(next, here + 1);
  }
  ::syscall(SYS_close_range, next, ~0U, 0U);
}

[[noreturn]] void become_command(const supervisor_task& task, pid_t supervisor) noexcept {
  ::setsid();
  // If somebody kills the supervisor, at least the command goes too. Safe here, where the thread
  // that forks is the only one of its process.
  control(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor)
    ::_exit(127);
  control(PR_SET_NO_NEW_PRIVS, 1);
  ::dup2(task.null_device, STDIN_FILENO);
  ::dup2(task.output, STDOUT_FILENO);
  ::dup2(task.error_output, STDERR_FILENO);
  if (task.working_directory != nullptr && ::chdir(task.working_directory) != 0) {
    say(task.status, kind::no_directory, errno);
    ::_exit(127);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(task.program, task.argv, task.environment);
  say(task.status, kind::no_program, errno);
  ::_exit(127);
}

/// The processes below the supervisor. Whoever loses its parent becomes a child of the supervisor
/// (PR_SET_CHILD_SUBREAPER), whatever session or group it has gone to; so ending the children again
/// and again ends them all.
class descendants {
public:
  explicit descendants(pid_t command) noexcept : command_{command} {
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    changes_ = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  /// Becomes readable when a child has ended.
  [[nodiscard]] int changes() const noexcept { return changes_; }

  void forget_changes() const noexcept {
    signalfd_siginfo info;
    while (::read(changes_, &info, sizeof info) > 0) {
    }
  }

  /// True when the command itself has ended; it is left for `reap`, so that the number of its group
  /// stays taken for as long as the group is needed.
  [[nodiscard]] bool command_ended() const noexcept {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(command_), &info, WEXITED | WNOHANG | WNOWAIT) == 0
           && info.si_pid == command_;
  }

  /// Reaps the children that have ended, but not the command.
  void reap_orphans() const noexcept {
    for_each_child([this](pid_t child) {
      if (child != command_)
        ::waitpid(child, nullptr, WNOHANG);
    });
  }

  /// Reaps all that have ended. False when there is no child left.
  [[nodiscard]] bool reap() noexcept {
    for (;;) {
      int status = 0;
      const auto child = ::waitpid(-1, &status, WNOHANG);
      if (child < 0)
        return false;
      if (child == 0)
        return true;
      if (child == command_)
        status_ = status;
    }
  }

  /// Sends a signal to the group of every child. A child that was not reaped keeps the numbers of
  /// its process and its group taken, so this reaches no stranger.
  void signal(int number) const noexcept {
    const auto own = ::getpgrp();
    for_each_child([&](pid_t child) {
      const auto group = ::getpgid(child);
      if (group > 1 && group != own)
        ::kill(-group, number);
      else
        ::kill(child, number);
    });
  }

  [[nodiscard]] int command_status() const noexcept { return status_; }

private:
  template <class Function>
  static void for_each_child(Function visit) noexcept {
    const int list = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    std::array<char, 8'192> text;
    const auto size = list < 0 ? 0 : ::read(list, text.data(), text.size());
    if (list >= 0)
      ::close(list);
    // Numbers, each followed by a space; what does not fit is seen the next time.
    pid_t child = 0;
    for (ssize_t i = 0; i < size; ++i) {
      const char c = text[static_cast<std::size_t>(i)];
      if (c >= '0' && c <= '9') {
        child = child * 10 + (c - '0');
      } else {
        if (child > 0)
          visit(child);
        child = 0;
      }
    }
  }

  pid_t command_;
  int changes_ = -1;
  int status_ = 0;
};

/// Waits until a child ends, the runtime hangs up (when `lifeline` is given) or the time is over.
/// Gives what happened on the lifeline.
bool wait_for_change(const descendants& below, int lifeline, std::int64_t milliseconds) noexcept {
  std::array<pollfd, 2> watched{};
  watched[0].fd = below.changes();
  watched[0].events = POLLIN;
  watched[1].fd = lifeline; // A negative one is ignored.
  watched[1].events = POLLIN;
  const auto timeout = std::clamp<std::int64_t>(milliseconds, 0, INT_MAX);
  if (::poll(watched.data(), watched.size(), static_cast<int>(timeout)) <= 0)
    return false;
  if (watched[0].revents != 0)
    below.forget_changes();
  return watched[1].revents != 0;
}

/// Waits for the command. True when its time is over.
bool watch(const descendants& below, const supervisor_task& task) noexcept {
  const auto end = now_milliseconds() + task.time_limit_milliseconds;
  while (!below.command_ended()) {
    const auto left = end - now_milliseconds();
    if (left <= 0)
      return true;
    if (wait_for_change(below, task.lifeline, left))
      return false;
    below.reap_orphans();
  }
  return false;
}

void end_all(descendants& below, std::int64_t grace_milliseconds) noexcept {
  const auto end = now_milliseconds() + grace_milliseconds;
  below.signal(SIGTERM);
  while (below.reap()) {
    const auto left = end - now_milliseconds();
    if (left <= 0)
      break;
    wait_for_change(below, -1, left);
    // Those whose parents have just ended are new here.
    if (below.reap())
      below.signal(SIGTERM);
  }
  while (below.reap()) {
    below.signal(SIGKILL);
    wait_for_change(below, -1, 50);
  }
}

} // namespace

void run_supervisor(const supervisor_task& task) noexcept {
  // Out of the runtime's session: what a terminal sends to the runtime's group is not for it.
  ::setsid();
  reset_signal_handlers();
  control(PR_SET_NAME, reinterpret_cast<unsigned long>("fermata-run"));
  control(PR_SET_CHILD_SUBREAPER, 1);
  // The runtime's own input and outputs may be pipes whose other ends wait for them to close.
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    ::dup2(task.null_device, fd);
  close_all_but(
      {task.null_device, task.output, task.error_output, task.status, task.lifeline, task.lock});

  const auto self = ::getpid();
  // For the same reason not the library's.
  const auto command =
      static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (command == 0)
    become_command(task, self);
  if (command < 0) {
    say(task.status, kind::no_process, errno);
    ::_exit(1);
  }
  ::close(task.output);
  ::close(task.error_output);
  ::close(task.null_device);

  descendants below{command};
  const bool timed_out = watch(below, task);
  end_all(below, task.grace_milliseconds);
  say(task.status, kind::ended, below.command_status(), timed_out);
  ::_exit(0);
}

} // namespace fermata::detail
