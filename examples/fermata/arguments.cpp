#include "arguments.hpp"

#include "help.hpp"
#include "times.hpp"
#include "version.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
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

void add_digest(CLI::App* command, arguments& given, const char* what) {
  command->add_option("--digest", given.digest, what)->option_text("DIGEST");
}

void add_duration(CLI::App* command, const char* name, arguments& given, const char* what) {
  const auto read = [&given, option = std::string{name}](const std::string& text) {
    const auto duration = parse_duration(text);
    if (!duration)
      throw CLI::ValidationError{option, message_of(duration.error())};
    given.after = *duration;
  };
  command->add_option_function<std::string>(name, read, what)->option_text("DURATION");
}

void add_time(CLI::App* command, const char* name, arguments& given, const char* what) {
  const auto read = [&given, option = std::string{name}](const std::string& text) {
    const auto time = parse_time(text);
    if (!time)
      throw CLI::ValidationError{option, message_of(time.error())};
    given.at = *time;
  };
  command->add_option_function<std::string>(name, read, what)->option_text("TIME");
}

void add_limit(CLI::App* command, arguments& given, const char* what) {
  command->add_option("--limit", given.limit, what)
      ->option_text("N")
      ->check(
          CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()).description(""));
}

void add_from(CLI::App* command, arguments& given) {
  command->add_option("--from", given.from, "Begin with event number N; absent: 1")
      ->option_text("N")
      ->check(
          CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()).description(""));
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
      ->transform(CLI::CheckedTransformer(modes).description(""))
      ->each([&given](const std::string&) { given.gives_approve = true; });
}

void add_running_commands(CLI::App& app, arguments& given) {
  auto* run =
      add_command(app, "run", "Propose a plan, in a new session unless --session names one");
  add_plan_file(run, given);
  run->add_option("--session", given.session, "The session's id; absent: a new one")
      ->option_text("ID");
  add_workspace(run, given, "The folder that tools work in; absent: the current one");
  add_approve(run, given);

  auto* resume = add_command(app, "resume",
                             "Continue a session: after an interruption or a crash, when it was "
                             "suspended, when a timer is due");
  resume->add_option("SESSION", given.session, "The session's id");
  resume->add_flag("--due", given.due, "Instead: all sessions with a timer that is due, in turn");
  add_workspace(resume, given, "Work in this folder, for this invocation (it was moved)");
  add_approve(resume, given);

  auto* revise = add_command(app, "revise",
                             "Propose a new revision of a session's plan: of one that waits for a "
                             "decision, was sent back, or is in progress");
  add_session(revise, given);
  add_plan_file(revise, given);
}

void add_queries(CLI::App& app, arguments& given) {
  add_session(add_command(app, "status", "Show where a session stands"), given);
  auto* plan = add_command(app, "plan", "Show a session's plan");
  add_session(plan, given);
  plan->add_option("--revision", given.revision, "Absent: the one that counts")->option_text("N");
  plan->add_flag("--diff", given.diff, "What the proposed revision does to the plan in progress");
  auto* events = add_command(app, "events", "Show what happened in a session");
  add_session(events, given);
  add_from(events, given);
  auto* watch =
      add_command(app, "watch", "Show a session's events, and each further one as it comes");
  add_session(watch, given);
  add_from(watch, given);
  watch->add_flag("--until-paused", given.until_paused,
                  "End when the session pauses, with the exit status of its state");
  add_session(add_command(app, "transcript", "Show what agents said and called"), given);
  add_session(add_command(app, "history", "Show a session's states and what brought them about"),
              given);
  auto* audit = add_command(app, "audit", "List who decided what, when");
  audit->add_option("SESSION", given.session, "Only this session's; absent: of all sessions");
  add_limit(audit, given, "At most so many; absent: all");
  auto* exported = add_command(app, "export", "Write a session as JSON lines, to keep or to test");
  add_session(exported, given);
  exported
      ->add_option("--out", given.out, "Make this file, for nobody else; absent: standard output")
      ->option_text("FILE");
  auto* sessions = add_command(app, "sessions", "List the sessions of the store");
  sessions->add_option("--state", given.state, "Only those in this state")->option_text("STATE");
  auto* pending =
      add_command(app, "pending", "List what waits for somebody, the most urgent first");
  pending->add_option("SESSION", given.session, "Only this session's");
  add_limit(pending, given, "At most so many; absent: the 200 most urgent, with --json all");
  auto* timers =
      add_command(app, "timers", "List when sessions go on by themselves, earliest first");
  add_limit(timers, given, "At most so many; absent: 1000");
}

void add_ids(CLI::App* command, arguments& given) {
  command
      ->add_option("ID", given.ids,
                   "A plan's id, or the ids of calls, all of which are decided on "
                   "or none")
      ->required();
}

void add_remember(CLI::App* command, arguments& given) {
  const std::map<std::string, decision_scope> scopes{{"call", decision_scope::call},
                                                     {"tool", decision_scope::tool}};
  command
      ->add_option("--remember", given.remember,
                   "From now on in this session, too: for exactly this call, or for its tool "
                   "whatever the arguments")
      ->option_text("call|tool")
      ->transform(CLI::CheckedTransformer(scopes).description(""));
}

void add_policies(CLI::App& app, arguments& given) {
  auto* policy = add_command(app, "policy", "Look at the approval policy");
  policy->require_subcommand(1);
  auto* check = policy->add_subcommand(
      "check", "Check a policy file, and say what it has, or what it says of one call or plan");
  check->add_option("FILE", given.policy,
                    "Absent: the one that --policy, $FERMATA_POLICY or the "
                    "store names");
  auto* tool = check->add_option("--tool", given.tool, "What does it say of a call of this tool?")
                   ->option_text("NAME");
  check->add_option("--arguments", given.new_arguments, "With these arguments")
      ->option_text("JSON")
      ->needs(tool);
  check->add_option("--agent", given.agent, "By this agent")->option_text("NAME");
  check->add_flag("--plan", given.of_plan, "What does it say of a plan?")->excludes(tool);

  add_session(
      add_command(app, "remembered", "List a session's decisions that hold for later calls"),
      given);
  auto* forget = add_command(app, "forget", "Revoke one of them: such calls are asked for again");
  add_session(forget, given);
  forget->add_option("NUMBER", given.decision, "Its number, as `remembered` shows it")->required();
}

void add_decisions(CLI::App& app, arguments& given) {
  auto* approve = add_command(app, "approve", "Approve calls or a plan");
  add_ids(approve, given);
  add_digest(approve, given,
             "Refuse unless the call has this digest, as `pending --json` shows it");
  add_remember(approve, given);

  auto* reject = add_command(app, "reject", "Reject calls or a plan");
  add_ids(reject, given);
  add_remember(reject, given);
  add_reason(reject, given, "What the agent or the planner is told");
  reject->add_flag("--modify", given.modify, "Send a plan back: a new revision is expected");

  auto* edit = add_command(app, "edit", "Approve a call with other arguments");
  add_id(edit, given, "CALL", "The call's id");
  edit->add_option("--arguments", given.new_arguments, "The new arguments")
      ->option_text("JSON")
      ->required();
  add_digest(edit, given, "As for approve");

  auto* respond = add_command(app, "respond", "Answer a call in place of its tool");
  add_id(respond, given, "CALL", "The call's id");
  respond->add_option("JSON", given.content, "What the agent gets as its result")->required();
}

void add_answers(CLI::App& app, arguments& given) {
  auto* answer = add_command(app, "answer", "Answer an agent's question");
  add_id(answer, given, "CALL", "The question's id");
  answer->add_option("JSON", given.content, "The answer")->required();

  auto* result = add_command(app, "result", "Post the result of a client tool's call");
  add_id(result, given, "CALL", "The call's id");
  result->add_option("JSON", given.content, "The result")->required();
  result->add_flag("--error", given.is_error, "The tool failed; the result says why");

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
       {std::pair{"retry",
                  "Run a failed or cancelled subtask again, or one that backs off at once"},
        std::pair{"skip", "Give a failed or cancelled subtask up; those that depend on it run "
                          "without"}}) {
    auto* command = add_command(app, name, does);
    add_session(command, given);
    command->add_option("SUBTASK", given.subtask, "The subtask's id")->required();
    if (std::string_view{name} == "skip")
      add_reason(command, given, "Why");
  }
  auto* fail = add_command(app, "fail", "End a plan that needs attention as failed");
  add_session(fail, given);
  add_reason(fail, given, "Why");

  auto* cancel = add_command(app, "cancel", "End a plan, a subtask or a call that is not over yet");
  add_id(cancel, given, "ID", "The session's id, or the call's");
  cancel->add_option("--subtask", given.subtask, "Only this subtask of the session's plan")
      ->option_text("ID");
  add_reason(cancel, given, "Why, for the agent");

  auto* message =
      add_command(app, "message",
                  "Say something to a session's agents; with no live plan, to the planner, "
                  "who proposes one");
  add_session(message, given);
  message->add_option("TEXT", given.text, "What every later step sees")->required();
  add_workspace(message, given, "For a new session: as for `run`");
  add_approve(message, given);
}

/// Refuses an empty text, as a variable of the shell that is not set gives one.
CLI::Validator says_something() {
  return CLI::Validator{[](const std::string& text) {
                          return text.empty() ? std::string{"is empty; leave it out, or say which"}
                                              : std::string{};
                        },
                        "", ""};
}

/// What `serve` and `node` have in common.
void add_serving(CLI::App* serve, arguments& given) {
  serve->add_option("--socket", given.socket, "Absent: service.sock in the store's folder")
      ->option_text("PATH");
  serve
      ->add_option("--listen", given.listen,
                   "Also listen on a loopback address; needs --token-file")
      ->option_text("ADDRESS:PORT");
  serve
      ->add_option("--database", given.database,
                   "Keep sessions in PostgreSQL instead of the store's folder, which remembers it")
      ->option_text("CONNECTION")
      ->check(says_something());
  serve
      ->add_option("--schema", given.schema, "Of the database; absent: the remembered one, or fermata")
      ->option_text("NAME")
      ->check(says_something());
  serve->add_option("--token-file", given.token_file, "What clients that come by --listen show")
      ->option_text("FILE");
  serve->add_option("--connections", given.connections, "At most so many (1024)")
      ->option_text("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}).description(""));
  add_duration(serve, "--delete-finished-after", given,
               "Delete a session so long after its plan is over; absent: keep it");
  serve
      ->add_option("--keep-events", given.keep,
                   "At the end of a plan drop all events but so many; absent: keep them")
      ->option_text("N")
      ->check(
          CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()).description(""));
  add_approve(serve, given);
}

void add_service(CLI::App& app, arguments& given) {
  add_serving(add_command(app, "serve",
                          "Own the store, fire its timers, and serve its sessions over HTTP until "
                          "SIGINT or SIGTERM"),
              given);
  auto* node = add_command(app, "node",
                           "Serve as one node of a cluster: each has a store of its own, or they "
                           "share a database, and any of them takes what is for any session");
  add_serving(node, given);
  node->add_option("--members", given.members, "Who belongs to the cluster: the same for all nodes")
      ->option_text("FILE")
      ->required();
  node->add_option("--name", given.name, "Which of the members this is")
      ->option_text("NAME")
      ->required();
  node->add_option_function<std::string>(
          "--lease",
          [&given](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration)
              throw CLI::ValidationError{"--lease", message_of(duration.error())};
            given.lease = *duration;
            given.gives_lease = true;
          },
          "With a database: for how long other nodes leave a silent one its sessions (10s)")
      ->option_text("DURATION");
  node->add_option("--certificate", given.certificate, "Of this node, for the others, in PEM")
      ->option_text("FILE");
  node->add_option("--key", given.key, "The certificate's private key")->option_text("FILE");
  node->add_option("--authority", given.authority, "Who signs the certificates of all nodes")
      ->option_text("FILE");
  node->add_flag("--trust-network", given.trust_network,
                 "Without certificates: the network keeps strangers out");
  node->add_option("--listen-address", given.listen_address,
                   "Take the other nodes' connections at this address only")
      ->option_text("IP");
  auto* cluster = add_command(app, "cluster", "Look at a cluster, or take a node out of it");
  cluster->require_subcommand(1);
  cluster->add_subcommand("status", "Ask the node that runs on the store how all nodes are");
  cluster
      ->add_subcommand("drain", "Have the node that runs on the store give its sessions to the "
                                "others, where all share a database")
      ->callback([&given] { given.drains = true; });
}

/// Reads places in a list: `3,17`, or `none`.
std::vector<std::size_t> parse_places(const std::string& option, const std::string& text) {
  std::vector<std::size_t> places;
  if (text == "none")
    return places;
  for (std::string_view rest = text;;) {
    const auto word = rest.substr(0, rest.find(','));
    std::size_t place = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), place);
    if (error != std::errc{} || end != word.data() + word.size())
      throw CLI::ValidationError{option, "expected places, counted from 0, as in 3,17, or none"};
    places.push_back(place);
    if (word.size() == rest.size())
      break;
    rest.remove_prefix(word.size() + 1);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

void add_places(CLI::App* sim, const std::string& option,
                std::optional<std::vector<std::size_t>>& into, const std::string& help) {
  sim->add_option_function<std::string>(
         option, [option, &into](const std::string& text) { into = parse_places(option, text); },
         help)
      ->option_text("PLACES");
}

void add_simulation(CLI::App& app, arguments& given) {
  auto& simulation = given.simulation;
  auto* sim = add_command(app, "sim",
                          "Look for defects in simulated worlds: sessions, people, crashes and "
                          "time, all from a seed");
  const auto read = [&simulation](const std::string& text) {
    const auto seeds = sim::parse_seed_range(text);
    if (!seeds)
      throw CLI::ValidationError{"--seeds", message_of(seeds.error())};
    simulation.seeds = *seeds;
  };
  sim->add_option_function<std::string>("--seeds", read,
                                        "A world for each of these; absent: 1-1000, with --for "
                                        "seeds that nobody has run yet")
      ->option_text("FROM-TO");
  add_duration(sim, "--for", given, "End after so long, of real time");
  sim->add_option("--nodes", simulation.nodes,
                  "In each world, 1 to 16; absent: 1 to 3, as the seed says")
      ->option_text("N")
      ->check(CLI::Range(1, 16).description(""));
  sim->add_option("--sessions", simulation.sessions,
                  "In each world, 1 to 10000; absent: 1 to 8, as the seed says")
      ->option_text("N")
      ->check(CLI::Range(1, 10'000).description(""));
  sim->add_flag("--shared-store", simulation.share_store,
                "The nodes of a world share one store, as several do with PostgreSQL; absent: each "
                "has its own");
  sim->add_flag("--no-faults", simulation.without_faults,
                "Nothing crashes or breaks; people are as difficult as ever");
  add_places(sim, "--only-faults", simulation.only_faults,
             "Of each world only these faults, as a smallest run names them: 3,17, or none");
  add_places(sim, "--only-sessions", simulation.only_sessions,
             "Of each world only these random sessions, in the same way");
  const auto names_file = [](const std::string& name) {
    return name.empty() ? std::string{"the name of the file is missing"} : std::string{};
  };
  sim->add_option("--session", simulation.session_file,
                  "Each world begins with this session, as `fermata export` wrote it")
      ->option_text("FILE")
      ->check(names_file);
  sim->add_flag("--edited", simulation.edited, "Take that file although somebody has edited it");
  sim->add_option("--trace", simulation.trace_file, "Write what happens in each world to this file")
      ->option_text("FILE")
      ->check(names_file);
}

void add_timing(CLI::App& app, arguments& given) {
  auto* suspend = add_command(app, "suspend", "Let nothing of a session start until it is resumed");
  add_session(suspend, given);
  add_time(suspend, "--until", given, "Resume it by itself then");
  add_duration(suspend, "--for", given, "Resume it by itself after so long");
  add_reason(suspend, given, "Why");

  auto* deadline =
      add_command(app, "deadline", "Set when a plan or a subtask fails if it is not over");
  add_session(deadline, given);
  add_duration(deadline, "--in", given, "So long from now");
  add_time(deadline, "--at", given, "At this time");
  deadline->add_flag("--clear", given.clear, "There is none any more");
  deadline->add_option("--subtask", given.subtask, "Of this subtask; absent: of the plan")
      ->option_text("ID");
}

void add_deletion(CLI::App& app, arguments& given) {
  auto* deletion = add_command(app, "delete", "Delete sessions that are over, for good");
  deletion->add_option("SESSION", given.ids, "Their ids");
  auto* finished =
      deletion->add_flag("--finished", given.finished, "Instead: all sessions whose plan is over");
  add_duration(deletion, "--older-than", given,
               "Of these, those to which nothing has happened for so long");
  deletion->get_option("--older-than")->needs(finished);
  deletion->add_flag("--dry-run", given.dry_run, "Only list what would be deleted")
      ->needs(finished);
  add_reason(deletion, given, "Why");

  auto* trim = add_command(app, "trim", "Drop all events of a session but the last ones");
  add_session(trim, given);
  trim->add_option("--keep", given.keep, "How many are kept")
      ->option_text("N")
      ->required()
      ->check(
          CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()).description(""));

  add_command(app, "compact", "Give the space of what was deleted back to the system");
}

void add_maintenance(CLI::App& app, arguments& given) {
  add_command(app, "verify", "Check the store's files");
  add_command(app, "preflight",
              "List what of the store's sessions would not go on with this program");
  auto* imported = add_command(app, "import", "Take a session from a file that export has written");
  imported->add_option("FILE", given.export_file, "- for standard input")->required();
  imported->add_flag("--edited", given.accept_edited,
                     "Take that file although somebody has edited it");
  auto* backup = add_command(app, "backup", "Copy the store while it is in use");
  backup->add_option("DIRECTORY", given.directory, "Becomes a store; must not be one")->required();
  backup->add_option("--rate", given.rate, "At most so many megabytes a second; absent: no limit")
      ->option_text("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}).description(""));
  add_command(app, "version", "Print the version");
  add_command(app, "metrics", "Print the metrics of the service that runs on the store");
}

/// Groups the commands by what they are for, and gives each its example.
void explain_commands(CLI::App& app) {
  for (auto* command : app.get_subcommands({})) {
    const auto help =
        std::find_if(command_helps.begin(), command_helps.end(),
                     [&](const auto& one) { return one.command == command->get_name(); });
    if (help == command_helps.end())
      continue;
    command->group(std::string{help->group});
    command->footer("\nFor example:\n" + std::string{help->example}
                    + "\n`fermata --help` has the options of all commands, and what they print.");
  }
}

caf::error usage(std::string why) {
  return make_error(errc::invalid_field, std::move(why));
}

caf::error check_decision(const arguments& given) {
  if (given.ids.size() > 1 && !given.digest.empty())
    return usage("--digest goes with one call: each has its own");
  if (given.ids.size() > 1 && given.modify)
    return usage("--modify goes with one plan");
  return caf::none;
}

caf::error check_outcome(const arguments& given) {
  if (given.resolution == "happened" && given.content.empty())
    return usage("outcome CALL happened JSON: the tool's result is missing");
  if (given.resolution != "happened" && !given.content.empty())
    return usage("outcome CALL " + given.resolution + " takes no JSON");
  if (given.resolution != "failed" && !given.reason.empty())
    return usage("--reason goes with `outcome CALL failed`");
  return caf::none;
}

caf::error check_simulation(const arguments& given) {
  for (const auto& [option, value] :
       {std::pair{"--store", &given.store}, std::pair{"--models", &given.models},
        std::pair{"--policy", &given.policy}, std::pair{"--log", &given.log}})
    if (!value->empty())
      return usage(std::string{"sim takes no "} + option + ": its worlds have their own");
  if (given.simulation.edited && given.simulation.session_file.empty())
    return usage("--edited goes with --session FILE");
  if (given.after && given.after->count() == 0)
    return usage("--for: in no time no world can be run");
  return caf::none;
}

/// What CLI11 cannot say of options that go together.
caf::error check_together(const arguments& given) {
  if (given.command == "outcome")
    return check_outcome(given);
  if (given.command == "approve" || given.command == "reject")
    return check_decision(given);
  if (given.command == "resume" && given.due == !given.session.empty())
    return usage("resume takes either a SESSION or --due");
  if (given.command == "resume" && given.due && !given.workspace.empty())
    return usage("--workspace goes with `resume SESSION`: each session has its own");
  const bool serves = given.command == "serve" || given.command == "node";
  if (serves && given.approve == approval_mode::all)
    return usage(given.command + " approves nothing by itself; --approve takes none or reads");
  if (serves && !given.listen.empty() && given.token_file.empty())
    return usage("--listen needs --token-file FILE: the secret that clients show");
  if (!given.schema.empty() && given.database.empty())
    return usage("--schema goes with --database CONNECTION");
  if (given.command == "sim")
    return check_simulation(given);
  if (given.command == "delete" && given.finished == !given.ids.empty())
    return usage("delete takes either SESSIONs or --finished");
  if (given.command == "suspend" && given.at && given.after)
    return usage("suspend takes --until TIME or --for DURATION, not both");
  if (given.command == "deadline"
      && int{given.at.has_value()} + given.after.has_value() + given.clear != 1)
    return usage("deadline takes one of --in DURATION, --at TIME and --clear");
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
  app.add_option("--models", given.models, "A file of language models and the agents that ask them")
      ->option_text("FILE");
  app.add_option("--policy", given.policy, "A file that says which plans and calls need a decision")
      ->option_text("FILE");
  app.add_option("--redact", given.redact, "Hide the secrets that the rules in this file describe")
      ->option_text("FILE");
  app.add_option("--log", given.log, "Log what happens, as JSON lines; - is standard error")
      ->option_text("FILE");
  app.add_option("--log-level", given.log_level, "debug, info (default), warn, error")
      ->option_text("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}).description(""));
  app.add_flag("--json", given.as_json, "Print one JSON object per line; see below");
  add_running_commands(app, given);
  add_queries(app, given);
  add_decisions(app, given);
  add_answers(app, given);
  add_policies(app, given);
  add_operations(app, given);
  add_timing(app, given);
  add_service(app, given);
  add_simulation(app, given);
  add_deletion(app, given);
  add_maintenance(app, given);
  explain_commands(app);
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
