#include "arguments.hpp"

#include "help.hpp"
#include "version.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>

namespace fermata::command_line {

namespace {

CLI::App* add_command(CLI::App& app, const char* name, const char* does) {
  return app.add_subcommand(name, does);
}

void add_session(CLI::App* command, arguments& given) {
  command->add_option("SESSION", given.session, "The session's id")->required();
}

void add_id(CLI::App* command, arguments& given, const char* name, const char* what) {
  command->add_option(name, given.id, what)->required();
}

void add_plan_file(CLI::App* command, arguments& given) {
  command->add_option("PLAN", given.plan_file, "A plan file, or - for standard input")->required();
}

void add_reason(CLI::App* command, arguments& given, const char* what) {
  command->add_option("--reason", given.reason, what)->option_text("TEXT");
}

void add_workspace(CLI::App* command, arguments& given, const char* what) {
  command->add_option("--workspace", given.workspace, what)->option_text("DIR");
}

void add_approve(CLI::App* command, arguments& given) {
  const std::map<std::string, approval_mode> modes{
      {"none", approval_mode::none}, {"reads", approval_mode::reads}, {"all", approval_mode::all}};
  command
      ->add_option("--approve", given.approve, "What needs no decision: none, reads (default), all")
      ->option_text("none|reads|all")
      ->transform(CLI::CheckedTransformer(modes).description(""));
}

void add_running_commands(CLI::App& app, arguments& given) {
  auto* run =
      add_command(app, "run", "Propose a plan, in a new session unless --session names one");
  add_plan_file(run, given);
  run->add_option("--session", given.session, "The session's id; absent: a new one")
      ->option_text("ID");
  add_workspace(run, given, "The folder that tools work in; absent: the current one");
  add_approve(run, given);

  auto* resume = add_command(app, "resume", "Continue a session, after an interruption or a crash");
  add_session(resume, given);
  add_workspace(resume, given, "Work in this folder, for this invocation (it was moved)");
  add_approve(resume, given);

  auto* revise = add_command(app, "revise", "Propose a new revision of a session's plan");
  add_session(revise, given);
  add_plan_file(revise, given);
}

void add_queries(CLI::App& app, arguments& given) {
  add_session(add_command(app, "status", "Show where a session stands"), given);
  auto* plan = add_command(app, "plan", "Show a session's plan");
  add_session(plan, given);
  plan->add_option("--revision", given.revision, "Absent: the one that counts")->option_text("N");
  auto* events = add_command(app, "events", "Show what happened in a session");
  add_session(events, given);
  events->add_option("--from", given.from, "Begin with event number N")
      ->option_text("N")
      ->check(
          CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()).description(""));
  add_session(add_command(app, "transcript", "Show what agents said and called"), given);
  auto* sessions = add_command(app, "sessions", "List the sessions of the store");
  sessions->add_option("--state", given.state, "Only those in this state")->option_text("STATE");
  auto* pending = add_command(app, "pending", "List what waits for somebody");
  pending->add_option("SESSION", given.session, "Only this session's");
  add_command(app, "verify", "Check the store's files");
  add_command(app, "version", "Print the version");
}

void add_decisions(CLI::App& app, arguments& given) {
  auto* approve = add_command(app, "approve", "Approve a call or a plan");
  add_id(approve, given, "ID", "The call's or the plan's id");
  approve
      ->add_option("--digest", given.digest,
                   "Refuse unless the call has this digest, as `pending --json` shows it")
      ->option_text("DIGEST");

  auto* reject = add_command(app, "reject", "Reject a call or a plan");
  add_id(reject, given, "ID", "The call's or the plan's id");
  add_reason(reject, given, "What the agent or the planner is told");
  reject->add_flag("--modify", given.modify, "Send a plan back: a new revision is expected");

  auto* edit = add_command(app, "edit", "Approve a call with other arguments");
  add_id(edit, given, "CALL", "The call's id");
  edit->add_option("--arguments", given.new_arguments, "The new arguments")
      ->option_text("JSON")
      ->required();
  edit->add_option("--digest", given.digest, "As for approve")->option_text("DIGEST");

  auto* answer = add_command(app, "result", "Post the result of a client tool's call");
  add_id(answer, given, "CALL", "The call's id");
  answer->add_option("JSON", given.content, "The result")->required();
  answer->add_flag("--error", given.is_error, "The tool failed; the result says why");

  auto* outcome =
      add_command(app, "outcome", "Say what became of a call whose outcome is not known");
  add_id(outcome, given, "CALL", "The call's id");
  outcome->add_option("RESOLUTION", given.resolution, "happened, rerun or failed")
      ->required()
      ->check(CLI::IsMember({"happened", "rerun", "failed"}).description(""));
  outcome->add_option("JSON", given.content, "The tool's result, when it happened");
  add_reason(outcome, given, "Why it failed, for the agent");
}

void add_operations(CLI::App& app, arguments& given) {
  for (const auto& [name, does] :
       {std::pair{"retry", "Run a failed subtask again"},
        std::pair{"skip", "Give a failed subtask up; those that depend on it run without"}}) {
    auto* command = add_command(app, name, does);
    add_session(command, given);
    command->add_option("SUBTASK", given.subtask, "The subtask's id")->required();
    if (std::string_view{name} == "skip")
      add_reason(command, given, "Why");
  }
  for (const auto& [name, does] : {std::pair{"fail", "End a plan that needs attention as failed"},
                                   std::pair{"cancel", "End a plan that is not over yet"}}) {
    auto* command = add_command(app, name, does);
    add_session(command, given);
    add_reason(command, given, "Why");
  }
}

caf::error usage(std::string why) {
  return make_error(errc::invalid_field, std::move(why));
}

/// What CLI11 cannot say of options that go together.
caf::error check_together(const arguments& given) {
  if (given.command != "outcome")
    return caf::none;
  if (given.resolution == "happened" && given.content.empty())
    return usage("outcome CALL happened JSON: the tool's result is missing");
  if (given.resolution != "happened" && !given.content.empty())
    return usage("outcome CALL " + given.resolution + " takes no JSON");
  if (given.resolution != "failed" && !given.reason.empty())
    return usage("--reason goes with `outcome CALL failed`");
  return caf::none;
}

} // namespace

result<parsed_arguments> parse_arguments(int count, const char* const* values) {
  parsed_arguments parsed;
  auto& given = parsed.given;
  given.program = count > 0 ? values[0] : "fermata";
  CLI::App app{description, "fermata"};
  app.footer(footer);
  app.fallthrough();
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string{"fermata "} + version);
  app.add_option("--store", given.store, "The folder that sessions are kept in")
      ->option_text("DIR");
  app.add_flag("--json", given.as_json, "Print one JSON object per line; see below");
  add_running_commands(app, given);
  add_queries(app, given);
  add_decisions(app, given);
  add_operations(app, given);
  try {
    app.parse(count, values);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    parsed.help = chosen.empty() ? app.help() : chosen.front()->help();
    return parsed;
  } catch (const CLI::CallForVersion& version_text) {
    parsed.help = std::string{version_text.what()} + "\n";
    return parsed;
  } catch (const CLI::RequiredError& error) {
    const auto left = app.remaining();
    if (app.get_subcommands().empty() && !left.empty())
      return usage("there is no command " + left.front() + "; `fermata --help` lists them");
    return usage(std::string{error.what()} + "; `fermata --help` tells how it is used");
  } catch (const CLI::ParseError& error) {
    return usage(std::string{error.what()} + "; `fermata --help` tells how it is used");
  }
  given.command = app.get_subcommands().front()->get_name();
  if (auto error = check_together(given))
    return error;
  return parsed;
}

bool wants_json(int count, const char* const* values) {
  return std::any_of(values + std::min(count, 1), values + count,
                     [](const char* value) { return std::string_view{value} == "--json"; });
}

} // namespace fermata::command_line
