#include "arguments.hpp"
#include "change.hpp"
#include "cluster_status.hpp"
#include "console.hpp"
#include "deletion.hpp"
#include "escape.hpp"
#include "exit_status.hpp"
#include "interruption.hpp"
#include "membership.hpp"
#include "preflight.hpp"
#include "query.hpp"
#include "redaction.hpp"
#include "service/run.hpp"
#include "simulation.hpp"
#include "watch.hpp"

#include <exception>

namespace {

using namespace fermata;
using namespace fermata::command_line;

exit_status report(console& out, const caf::error& error) {
  // JSON has its own escapes; a person must not be shown what a message quotes from outside.
  const auto message = out.redaction().text(message_of(error));
  out.report(name_of(code_of(error)), out.as_json() ? message : escape_line(message));
  return exit_status_of(code_of(error));
}

exit_status run(const arguments& given, console& out) {
  if (const auto error = check_homes(given))
    return report(out, error);
  if (is_change(given) || given.command == "watch") {
    const auto ended = is_change(given) ? run_change(given, out) : run_watch(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  if (given.command == "delete" || given.command == "trim") {
    const auto ended = run_deletion(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  if (given.command == "serve" || given.command == "node") {
    const auto ended = service::run_service(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  if (given.command == "cluster") {
    const auto ended = given.drains ? drain_node(given, out) : run_cluster_status(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  if (given.command == "sim") {
    const auto ended = run_simulation(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  if (given.command == "preflight") {
    const auto ended = run_preflight(given, out);
    return ended ? *ended : report(out, ended.error());
  }
  const auto ended = run_query(given, out);
  if (ended)
    return *ended;
  const auto status = report(out, ended.error());
  return was_interrupted() ? exit_status::interrupted : status;
}

/// What an exception says may quote anything, also what the console hides.
exit_status run_guarded(const arguments& given, console& out) {
  try {
    return run(given, out);
  } catch (const std::exception& error) {
    return report(out, make_error(errc::internal, error.what()));
  }
}

exit_status run_main(int count, const char* const* values) {
  const auto parsed = parse_arguments(count, values);
  const auto redaction = parsed && !parsed->help ? choose_redaction(parsed->given.redact)
                                                 : result<redactor>{redactor{}};
  console out{parsed ? parsed->given.as_json : wants_json(count, values),
              redaction ? *redaction : redactor{}};
  if (!parsed)
    return report(out, parsed.error());
  if (!redaction)
    return report(out, redaction.error());
  auto ended = exit_status::done;
  if (parsed->help)
    out.write(*parsed->help);
  else
    ended = run_guarded(parsed->given, out);
  out.flush();
  if (!out.failure().empty())
    return report(out, make_error(errc::io_error, "standard output: " + out.failure()));
  return ended;
}

} // namespace

int main(int count, char** values) {
  watch_for_interruptions();
  try {
    return static_cast<int>(run_main(count, values));
  } catch (const std::exception& error) {
    // There are no rules yet, and nothing was read that they could hide something of.
    console out{wants_json(count, values)};
    return static_cast<int>(report(out, make_error(errc::internal, error.what())));
  }
}
