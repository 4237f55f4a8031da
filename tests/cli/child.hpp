#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace fermata::test {

struct child_options {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment; ///< Added to, or in the place of, what we have.
  std::string directory;                          ///< Empty: ours.
  std::string input;     ///< Standard input of one without a terminal; it then ends.
  bool terminal = false; ///< Standard input, output and error are one terminal.
  /// No file can grow beyond it, as on a disk that is full: writing fails, and no signal comes.
  std::optional<std::uintmax_t> file_size_limit_bytes;
};

/// A real process, started by the constructor and killed by the destructor. Nothing in it waits
/// longer than `patience`; what is waited for is always output, or the end.
class child {
public:
  explicit child(const child_options& options);
  ~child();
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  /// Reads standard output until `text` has come, behind what was expected before. False: it ended
  /// or took too long.
  [[nodiscard]] bool expect(std::string_view text);

  /// Types a line at the terminal.
  void type(std::string_view line);

  void signal(int number) const;

  /// Waits for the end and gives the exit status; 128 and more: the signal that ended it.
  int wait();

  [[nodiscard]] const std::string& output() const noexcept { return output_; }
  [[nodiscard]] const std::string& error_output() const noexcept { return error_output_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
  void start_with_pipes(const child_options& options);
  void start_at_terminal(const child_options& options);
  bool read_more();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  int error_fd_ = -1;
  std::string output_;
  std::string error_output_;
  std::size_t expected_ = 0; ///< How much of the output was matched by `expect`.
};

} // namespace fermata::test
