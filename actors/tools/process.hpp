#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata {

/// A command to run: a program and its arguments, without a shell.
struct process_request {
  /// At least one. A program without `/` is looked for in the `PATH` that the command gets.
  std::vector<std::string> argv;
  std::filesystem::path working_directory; ///< Empty: that of the runtime.
  std::chrono::milliseconds time_limit{std::chrono::seconds{60}};
  /// What is kept of standard output, and of standard error; the rest is read and dropped.
  std::size_t output_limit_bytes = 65'536;
  std::map<std::string, std::string> environment; ///< Added to what the runner passes on.
  /// Called with each piece of standard output as it comes, whole or not, also beyond the limit; on
  /// the thread that calls `run`, until that returns. Absent: nobody listens.
  std::function<void(std::string_view)> on_output;

  process_request() = default;
};

/// How a command ended.
struct process_result {
  std::optional<int> exit_status; ///< 0 to 255, when it exited.
  std::optional<int> signal;      ///< The number of the signal that ended it otherwise.
  bool timed_out = false;         ///< It was ended because it reached its time limit.
  bool stopped = false;           ///< It was ended because the stop token asked for it.
  std::string output;             ///< Standard output; bytes that are not UTF-8 are U+FFFD.
  std::string error_output;       ///< Standard error, likewise.
  bool output_truncated = false;
  bool error_output_truncated = false;
  std::chrono::milliseconds duration{0};

  process_result() = default;
};

/// Runs child processes: a seam, which a simulation replaces.
class process_runner {
public:
  virtual ~process_runner() = default;

  /// Runs a command and waits until it and all its descendants have ended. Blocks; called from
  /// threads of the blocking pool, by several at once. Errors, with the reason: `tool_failed` when
  /// the program cannot be started; `tool_unavailable` when it could not be for now, and nothing
  /// has been (processes, memory or descriptors are short, or somebody still writes its file).
  [[nodiscard]] virtual result<process_result> run(const process_request& request,
                                                   std::stop_token stop) = 0;
};

struct supervised_process_options {
  /// How long `create` waits for the commands of a runtime that was killed.
  std::chrono::milliseconds lock_wait{std::chrono::seconds{10}};
  /// Between SIGTERM and SIGKILL.
  std::chrono::milliseconds termination_grace{std::chrono::seconds{2}};
  /// The variables of the runtime's environment that commands get. The others, API keys among
  /// them, stay out of their sight.
  std::vector<std::string> inherited_environment{"PATH",  "HOME",   "USER",   "LOGNAME",
                                                 "SHELL", "LANG",   "LC_ALL", "LC_CTYPE",
                                                 "TZ",    "TMPDIR", "TERM"};

  supervised_process_options() = default;
};

/// Runs real processes. Each command is the leader of a session and a process group of its own,
/// below a small supervisor process. When the command exits, reaches its time limit, is stopped, or
/// the runtime dies in whatever way, the supervisor ends all that is left of it (SIGTERM, a grace,
/// SIGKILL), also descendants that left the group. So nothing outlives `run`, background processes
/// included. Standard input is empty. Commands cannot gain privileges (`sudo` does not work), since
/// what runs as another user could not be ended.
///
/// A supervisor is a fork of the runtime that does not execute another program: while its command
/// runs, memory that the runtime changes is held twice.
///
/// Supervisors hold the lock on `lock_file` together with the runtime: as long as a command of a
/// killed runtime is alive, no other runner can be made on that file.
class supervised_process_runner : public process_runner {
public:
  /// Takes the lock; the file is made when it is not there. Errors: `store_busy` when another
  /// runtime, or a command of one that was killed, still holds it after `lock_wait`;
  /// `store_unavailable` when the file cannot be opened, or the kernel lacks what is needed (Linux
  /// 5.9 with /proc and CONFIG_PROC_CHILDREN).
  [[nodiscard]] static result<std::shared_ptr<supervised_process_runner>>
  create(const std::filesystem::path& lock_file, supervised_process_options options = {});

  [[nodiscard]] result<process_result> run(const process_request& request,
                                           std::stop_token stop) override;

private:
  /// Only `create` can make one.
  class token {
    friend class supervised_process_runner;
    token() = default;
  };

public:
  supervised_process_runner(token, file_descriptor lock, supervised_process_options options,
                            std::map<std::string, std::string> environment)
      : lock_{std::move(lock)}, options_{std::move(options)}, environment_{std::move(environment)} {
  }

private:
  file_descriptor lock_;
  supervised_process_options options_;
  std::map<std::string, std::string> environment_; ///< As it was at `create`.
};

} // namespace fermata
