#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

#include <fermata/actors/sim/campaign.hpp>

namespace fermata::command_line {

/// Runs a campaign of simulated worlds (`fermata sim`) and reports it: on standard output for
/// people, or as the object that `campaign_report` is. Progress is shown on standard error where
/// that is a terminal. Ends early, with what there is, on SIGINT and SIGTERM.
///
/// `done` when nothing was found; `attention` when a promise was broken, or something was never
/// reached that such a campaign must reach; `interrupted`. Errors: `invalid_field` for files that
/// cannot be read or written, and those of `import_session`; `io_error` when the trace cannot be
/// written to its end.
[[nodiscard]] result<exit_status> run_simulation(const arguments& given, console& out);

/// The command line that runs one seed of a campaign again, with its trace.
[[nodiscard]] std::string replay_line(const arguments& given, std::uint64_t seed);

/// What is said of a campaign that is over, for people.
void show_report(console& out, const arguments& given, const sim::campaign_report& report);

} // namespace fermata::command_line
