#pragma once

#include <fermata/actors/tool.hpp>
#include <fermata/actors/tools/process.hpp>

#include <memory>
#include <string>
#include <vector>

namespace fermata {

/// The tool `execute_command`: runs a program, without a shell, in the session's workspace or a
/// directory of it. The command is not confined to it: it can do whatever the runtime's user can.
/// Arguments: `argv`, and optionally `time_limit_seconds` (60), `output_limit_bytes` (65,536, for
/// each of the two outputs) and `working_directory`. Result: `exit_status` or `signal`, `stdout`,
/// `stderr`, `timed_out`, `truncated`; an exit status other than 0 is a result like any other.
/// While it runs, `{"output": LINE}` is reported, the last whole line that it has printed, at most
/// five times a second, and 1,000 times in the command's time limit. Errors: `shutting_down` when
/// the stop token ended it; otherwise those of the runner. What could not be started for now is
/// tried three times more, 1 to 10 seconds apart (`tool::retry`).
[[nodiscard]] tool execute_command_tool(std::shared_ptr<process_runner> runner);

/// A command line that a POSIX shell reads as exactly these arguments.
[[nodiscard]] std::string shell_quoted(const std::vector<std::string>& argv);

} // namespace fermata
