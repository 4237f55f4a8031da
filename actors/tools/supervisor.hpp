#pragma once

#include <cstdint>
#include <type_traits>

/// Part of process.cpp: the process between the runtime and one command.
namespace fermata::detail {

/// What a supervisor is told. Prepared before the fork, because afterwards nothing may be
/// allocated. All descriptors are above 2 and close on exec.
struct supervisor_task {
  const char* program = nullptr;           ///< A path.
  char* const* argv = nullptr;             ///< Ends with a null pointer.
  char* const* environment = nullptr;      ///< Ends with a null pointer.
  const char* working_directory = nullptr; ///< Null: that of the runtime.
  int null_device = -1;                    ///< /dev/null, for reading and writing.
  int output = -1;                         ///< Where the command writes.
  int error_output = -1;
  int status = -1;   ///< Where `supervisor_message`s go.
  int lifeline = -1; ///< Readable, or hung up: the command must end.
  int lock = -1;     ///< Only kept open, until the supervisor has ended.
  std::int64_t time_limit_milliseconds = 0;
  std::int64_t grace_milliseconds = 0;
};

/// What a supervisor says. Written whole, since it is smaller than PIPE_BUF.
struct supervisor_message {
  enum class kind : std::int32_t {
    ended,        ///< `value` is the status of waitpid.
    no_directory, ///< The working directory cannot be entered; `value` is errno.
    no_program,   ///< The program cannot be executed; `value` is errno.
    no_process,   ///< The system gave no process; `value` is errno.
  };
  kind what = kind::ended;
  std::int32_t value = 0;
  std::int32_t timed_out = 0;
};
static_assert(std::is_trivially_copyable_v<supervisor_message>);

/// Runs the command and stays until it and all its descendants have ended. Called in a process that
/// was just forked, with all signals blocked; calls nothing but async-signal-safe functions, since
/// other threads of the runtime may have held any lock at the time of the fork.
[[noreturn]] void run_supervisor(const supervisor_task& task) noexcept;

} // namespace fermata::detail
