#pragma once

#include <array>
#include <string_view>

/// What `fermata --help` says beyond the list of commands and options.
namespace fermata::command_line {

inline constexpr const char* description =
    "fermata: runs plans of an agent session that stop, durably, wherever a person or a host must\n"
    "act. Each invocation opens the store, applies one command, runs until the next pause and "
    "exits.";

/// The group of a command in `fermata --help`, and the example in its own help.
struct command_help {
  std::string_view command;
  std::string_view group;
  std::string_view example;
};

inline constexpr std::string_view starting = "Start and go on";
inline constexpr std::string_view looking = "Look";
inline constexpr std::string_view deciding = "Decide and answer";
inline constexpr std::string_view operating = "Operate";
inline constexpr std::string_view serving = "Serve";
inline constexpr std::string_view testing = "Test";

inline constexpr std::array<command_help, 44> command_helps{{
    {"run", starting,
     "  fermata run plan.json --session release-42 --workspace ~/src/project\n"
     "proposes the plan in a new session, release-42. It stops for the approval of the plan.\n"},
    {"resume", starting,
     "  fermata resume release-42\n"
     "goes on where a crash or Ctrl-C cut it off. From cron, for all sessions with a timer:\n"
     "  */5 * * * *  fermata resume --due\n"},
    {"revise", starting,
     "  fermata revise release-42 better-plan.json\n"
     "proposes a revision. `fermata plan release-42 --diff` shows what it changes, and\n"
     "`fermata approve release-42:p2` approves it.\n"},
    {"message", starting,
     "  fermata message release-42 \"Leave the changelog alone\"\n"
     "tells the agents that are at work; with no live plan, the planner makes one of it.\n"},
    {"status", looking,
     "  fermata status release-42\n"
     "shows each subtask, and the command that goes on.\n"},
    {"plan", looking,
     "  fermata plan release-42 --diff\n"
     "shows what the revision that waits for a decision would change.\n"},
    {"events", looking,
     "  fermata events release-42 --from 100\n"
     "shows what happened since event 100.\n"},
    {"watch", looking,
     "  fermata watch release-42 --from 100\n"
     "shows event 100 and all since, and stays until Ctrl-C. In a script that waits:\n"
     "  fermata watch release-42 --until-paused --json\n"
     "Through a running service each comes at once, and between them what agents are saying and\n"
     "how far tools are; without one the store is looked at every 500 ms.\n"},
    {"transcript", looking,
     "  fermata transcript release-42\n"
     "shows what each subtask's agent said and called, and what it was answered.\n"},
    {"history", looking,
     "  fermata history release-42\n"
     "shows when it moved from which state to which, and what brought that about.\n"},
    {"audit", looking,
     "  fermata audit release-42\n"
     "lists who decided what on which digest; without a session, in all of them.\n"},
    {"export", looking,
     "  fermata export release-42 --out release-42.jsonl\n"
     "keeps all that there is of it in a new file, also beside its owner. A test can begin with "
     "it\n"
     "(fermata::import_session). Without secrets:\n"
     "  fermata export release-42 --redact rules.json > release-42.jsonl\n"
     "What was hidden is gone: whoever continues it gets [redacted], and is asked again about "
     "calls\n"
     "of server tools that it was in.\n"},
    {"sessions", looking,
     "  fermata sessions --state needs_attention\n"
     "lists the sessions that somebody has to look after.\n"},
    {"pending", looking,
     "  fermata pending\n"
     "lists what waits for somebody in all sessions, what expires soonest first, with the command\n"
     "that decides on each or answers it.\n"},
    {"timers", looking,
     "  fermata timers --limit 20\n"
     "lists the twenty sessions that go on by themselves next.\n"},
    {"remembered", looking,
     "  fermata remembered release-42\n"
     "lists the decisions that hold for later calls too; `fermata forget release-42 N` revokes "
     "one.\n"},
    {"approve", deciding,
     "  fermata approve release-42:c3\n"
     "lets the call run, as `fermata pending` shows it. A plan is approved by its id:\n"
     "  fermata approve release-42:p1\n"},
    {"reject", deciding,
     "  fermata reject release-42:p1 --modify --reason \"Without the last step\"\n"
     "sends the plan back for a revision. Without --modify it is over.\n"},
    {"edit", deciding,
     "  fermata edit release-42:c3 --arguments '{\"path\": \"notes.txt\", \"content\": \"x\"}'\n"
     "approves the call with these arguments instead of its own.\n"},
    {"respond", deciding,
     "  fermata respond release-42:c3 '{\"exit_status\": 0}'\n"
     "is the call's result; its tool does not run.\n"},
    {"answer", deciding,
     "  fermata answer release-42:c4 '\"Yes, on Friday\"'\n"
     "answers the question. A text is JSON as well: it has quotes of its own.\n"},
    {"result", deciding,
     "  fermata result release-42:c5 @result.json\n"
     "posts what the host's own tool gave, from a file.\n"},
    {"outcome", deciding,
     "  fermata outcome release-42:c3 happened '{\"exit_status\": 0}'\n"
     "says that the call that a crash cut off was done after all; rerun runs it again.\n"},
    {"forget", deciding,
     "  fermata forget release-42 3\n"
     "lets a person be asked again, as `fermata remembered release-42` numbers it.\n"},
    {"retry", operating,
     "  fermata retry release-42 build\n"
     "runs the failed subtask `build` again.\n"},
    {"skip", operating,
     "  fermata skip release-42 build --reason \"built by hand\"\n"
     "goes on without it; those that depend on it get null as its result.\n"},
    {"fail", operating,
     "  fermata fail release-42 --reason \"the release was withdrawn\"\n"
     "ends a plan that needs attention as failed.\n"},
    {"cancel", operating,
     "  fermata cancel release-42:c3 --reason \"takes too long\"\n"
     "stops one tool, and tells its agent. A subtask, and all of the plan:\n"
     "  fermata cancel release-42 --subtask build\n"
     "  fermata cancel release-42\n"},
    {"suspend", operating,
     "  fermata suspend release-42 --for 2h --reason \"the network is down\"\n"
     "lets nothing start for two hours.\n"},
    {"deadline", operating,
     "  fermata deadline release-42 --at 2026-12-01T08:00:00Z\n"
     "lets the plan fail if it is not over then.\n"},
    {"policy", operating,
     "  fermata policy check careful.json --tool execute_command --arguments '{\"argv\": "
     "[\"ls\"]}'\n"
     "says which rule decides on that call, and how.\n"},
    {"preflight", operating,
     "  fermata preflight --store /var/lib/fermata --models models.json\n"
     "lists what would not go on if this program, the next build, took over from the service: "
     "agents\n"
     "and tools that it does not have, calls that do not fit a tool's schema any more. It only "
     "reads.\n"},
    {"import", operating,
     "  fermata import release-42.jsonl --store /var/lib/elsewhere\n"
     "takes a session from another store, where it stood: what was shown there can be approved "
     "here,\n"
     "and its timers are armed. The two must not both go on. No service may own the store "
     "meanwhile.\n"},
    {"backup", operating,
     "  fermata backup /var/backups/fermata-monday --rate 50\n"
     "copies the store, beside the service that works on it, at 50 MB a second at most. The copy "
     "is a\n"
     "store: `fermata verify --store` checks it, and whoever starts on it goes on from there.\n"},
    {"verify", operating,
     "  fermata verify --store /var/lib/fermata\n"
     "reads all of the store and checks it, also beside its owner.\n"},
    {"delete", operating,
     "  fermata delete release-42\n"
     "deletes it, with all that is stored of it, if its plan is over. From cron, all that were "
     "over\n"
     "for a month:\n"
     "  fermata delete --finished --older-than 30d\n"},
    {"trim", operating,
     "  fermata trim release-42 --keep 1000\n"
     "drops all events but the last thousand. What was asked and answered is known on.\n"},
    {"compact", operating,
     "  fermata compact --store /var/lib/fermata\n"
     "makes the store's file as small as it can be. No service, and nobody else, may have it open "
     "meanwhile.\n"},
    {"version", operating,
     "  fermata version --json\n"
     "prints {\"version\": ...}.\n"},
    {"serve", serving,
     "  fermata serve --store /var/lib/fermata\n"
     "owns the store, fires its timers, and is what other commands on this store go through. It "
     "deletes\n"
     "sessions a month after their plan was over, and keeps a thousand events of each:\n"
     "  fermata serve --delete-finished-after 30d --keep-events 1000\n"
     "keeps sessions in PostgreSQL, which all commands on this store know from then on:\n"
     "  fermata serve --store /var/lib/fermata --database 'host=/run/postgresql dbname=work'\n"},
    {"node", serving,
     "  fermata node --members members.json --name lima --store /var/lib/fermata\n"
     "serves as node lima of the cluster in members.json, which all of its nodes have:\n"
     "  {\"cluster\": \"market\", \"version\": 1, \"members\": [\n"
     "    {\"name\": \"lima\", \"host\": \"10.0.0.1\", \"port\": 4242},\n"
     "    {\"name\": \"paris\", \"host\": \"10.0.0.2\", \"port\": 4242}]}\n"
     "Elsewhere than on loopback addresses it takes --certificate, --key and --authority. Nodes "
     "that\n"
     "share a database share their sessions: each has its part of them, and of those of a node "
     "that "
     "ends:\n"
     "  fermata node --members members.json --name lima --store /var/lib/fermata \\\n"
     "    --database 'host=db dbname=work' --lease 10s\n"},
    {"cluster", serving,
     "  fermata cluster status --store /var/lib/fermata\n"
     "asks the node that runs there how all nodes of its cluster are.\n"
     "  fermata cluster drain --store /var/lib/fermata\n"
     "has it give its sessions to the others, before it is stopped.\n"},
    {"metrics", serving,
     "  fermata metrics --store /var/lib/fermata\n"
     "prints what the service there counts, as Prometheus reads it.\n"},
    {"sim", testing,
     "  fermata sim --seeds 1-1000\n"
     "runs a thousand worlds of random sessions, people, crashes and broken disks in virtual "
     "time,\n"
     "and checks what Fermata promises after each event. The same seed is the same world:\n"
     "  fermata sim --seeds 413 --trace 413.txt\n"
     "writes what happened in the world of seed 413. For half a minute, with seeds of its own:\n"
     "  fermata sim --for 30s\n"
     "A session from production, as `fermata export` wrote it, under faults; tools and agents "
     "that\n"
     "are not known here are played by stand-ins:\n"
     "  fermata sim --session release-42.jsonl --seeds 1-200\n"
     "A failure is reported with a shorter run that still fails, as a timeline, and with the "
     "command "
     "that\nruns just that. No store is touched.\n"},
}};

inline constexpr const char* footer = R"(
A call is named SESSION:cN, the approval of a plan SESSION:pN; `fermata pending` lists both.
JSON can be given as text, as @FILE, or as - for standard input; a negative number goes behind --.
A DURATION is 90s, 15m, 2h, 3d or 1h30m (also ms); a TIME is 2026-12-01T08:00:00Z, in UTC, or
milliseconds since 1970.
The store is --store DIR, else $FERMATA_STORE, else ${XDG_DATA_HOME:-~/.local/share}/fermata/store.

Agents that ask a language model, and a planner that turns messages into plans, come from a JSON file
that --models FILE names, else $FERMATA_MODELS; the store remembers the last one for later commands:
  {"models": {NAME: {"replies": [{"text": T, "calls": [{"tool": NAME, "arguments": {...}}]}, ...]}},
   "agents": {NAME: {"model": NAME, "description": T, "system": T, "tools": [NAME],
                     "max_steps": N, "may_propose": BOOLEAN, "may_hand_over": BOOLEAN}},
   "planner": NAME}
Its models are scripted: each gives the n-th of its replies that have no "if", where n - 1 is the
number of models' messages in the conversation, or the first one whose "if": T is in what it was told
since the last of these. A reply may have "parts": [T] for text, "delay_ms" before the first and
"pause_ms" between two of them, "cut_off", "failure": T, "input_tokens" and "output_tokens".

Which plans and calls need a decision comes from a JSON file that --policy FILE names, else
$FERMATA_POLICY; the store remembers the last one. The first rule that fits decides:
  {"rules": [{"match": {"kind": "plan" or "tool", "tool": GLOB, "agent": GLOB,
                        "arguments": {POINTER: {OPERATOR: OPERAND, ...}, ...}},
              "action": "allow", "ask" or "deny", "expires_after_ms": N, "prompt": T,
              "may_remember": BOOLEAN}, ...], "default": ACTION}
Operators: equals, one_of, glob, path (a glob for paths: ** crosses folders, .. is resolved), matches
(RE2, all of the text), less_than, at_most, at_least, more_than, exists. `fermata policy check` shows
what a policy says.

--redact FILE, else $FERMATA_REDACT, hides secrets in all that is printed and logged; all optional:
  {"fields": [NAME], "patterns": [RE2 EXPRESSION], "environment": [VARIABLE]}
--log FILE appends a JSON object for each event of the sessions that run, and for refused commands and
failed commits: {time, level, event, session, number, revision, subtask, call, tool, waited_ms, body}.

execute_command runs programs with all rights of this user: they start in the workspace but are NOT
confined to it. All other tools never leave the workspace.

Nothing runs between two commands: deadlines, sleeps and retries that fell due meanwhile take effect
when their session is addressed next. `fermata resume --due` addresses all of them, for cron;
`fermata serve` stays, and lets them take effect at once. It serves HTTP/1.1 at STORE/service.sock:
`curl --unix-socket STORE/service.sock http://fermata/openapi.json` describes what it answers.

While `fermata serve` owns the store, commands go through it by themselves and print the same. Then
Ctrl-C ends the command, and not the session; `fermata watch` shows it again. --models, --policy,
--log, --approve none, --approve reads and `resume --workspace` are refused, and $FERMATA_MODELS and
$FERMATA_POLICY are not looked at: the service has its own.
`fermata node` is a service that is one node of a cluster: it answers for all sessions, and so do commands
on its store while it runs; a session without a name begins on that node. When it does not run, they
are for the sessions that live there, and say of others on which node these do. With --database all
nodes have the same sessions, and queries work on the store of each, also while it does not run.
The service fires timers itself; `resume --due` follows what is due until it pauses.

At a terminal, run, resume, revise and message ask at each pause. Elsewhere, and with --json, they
print what is pending and the command that continues. --approve holds for one invocation: none asks for
everything; reads (the default) leaves it to the policy, which without a file lets list_files, read_file
and search_files run freely; all approves the plan and its calls where the policy asks, but never says
what became of a call.

Exit status:
  0    the plan completed, the query was answered, `reject` or `cancel` applied
  1    the plan failed, was cancelled or rejected otherwise, or needs attention
  2    bad usage or bad input; nothing changed
  3    paused: something waits for a decision, a result, an answer, an outcome, a timer or a new
       revision, or the session is suspended
  4    the environment: store busy, disk full, store corrupt or unreadable; nothing changed, unless
       the message says that the service went away, and what is known of the command
  130  interrupted (SIGINT, SIGTERM) while the plan was running; `fermata resume` continues it, where
       no service does
`watch` ends with 130 when it is interrupted, with --until-paused as its session: 0, 1 or 3.
`export`, `backup` and `compact` end with 130 when they are interrupted, and leave no file.
`resume --due` has the gravest of its sessions': 4, 2, 1, 3, 0; 0 also when nothing was due.
`preflight` ends with 1 when it found something, `cluster status` when some node could not be asked.
`sim` ends with 1 when a promise was broken, or when 1000 worlds or more of seeds that were named
never reached something that they should; with 130 when it was interrupted before that, after it has
printed what there is.

With --json, standard output has one JSON object per line:
  run, resume, revise, approve, reject, edit, respond, answer, result, outcome, retry, skip, fail,
  cancel, suspend, deadline, message, forget (resume --due: all of this for each session):
    {"receipt": {session, event, kind, state}}  a command is durable; kind: accepted, duplicate, late
    {"event": {number, at, body}}               each event as it is committed; body.type names it
    {"pending": {...}}                          at the end, each thing that waits, as `pending` has it
    {session, state, waiting, plan, subtasks, workspace, events, next_timer, suspended_until, usage,
     progress, first_event, delete_at}                                  the last line: the status object
  status       the status object; waiting: {outcome, decision, answer, result, backoff};
               plan: {status, revision, goal, feedback, deadline} or null;
               subtasks: [{id, status, attempts, result, error, description, agent, depends_on,
               deadline, next_step}]; usage: {requests, input_tokens, output_tokens}; progress:
               {total, done, failed, running, pending, cancelled, percent}
  plan         the plan as it was proposed, in the format of plan files
  plan --diff  {revision, replaces, goal_before, subtasks: [{subtask, fate, because}]}; fate: kept,
               continued, unchanged, again, changed, added, dropped
  events       {number, at, body}
  watch        {"event": {number, at, body}}; through a service also {"live": {kind, subtask, call,
               content}} (kind: text, progress, restarted) and {"behind": {dropped}}: some of these
               are missing; at the end of --until-paused the status object
  transcript   {subtask, text, source} (source: agent, user, handover, runtime) or
               {subtask, call, tool, arguments, status, answer: {outcome, content}}
  sessions     {session, state}
  pending      {id, session, kind, waiting_for, tool, arguments, subtask, digest, fingerprint, goal,
               prompt, since, expires_at}; kind: plan, call, input; waiting_for: decision, result, answer,
               outcome
  sessions, pending, audit on a node's store: at the end {"missing": {node, reason}} for each node of
               its cluster that could not be asked, and exit status 1
  sessions, pending of a damaged store: at the end {"damaged": {reason}} for each of them that cannot be
               read, and exit status 1
  remembered   {number, call, verdict, scope, tool, tool_version, declaration, arguments_digest,
               arguments, feedback, by, at}
  policy check {policy, rules, default}; with --tool or --plan {policy, action, by, prompt,
               expires_after_ms, may_remember}
  history      {number, at, from, to, cause, by, reason}
  audit        {session, number, at, action, subject, verdict, by, reason, digest, details}
  export       with and without --json: {format, version, session, redacted}, then {event}, {record},
               {pending}, {timer}, a line for each, and {"end": {counts, crc32c}}; with --out:
               {"exported": {session, file, events, records, pending, timers}}
  timers       {session, due, is_due, damage}, earliest first
  serve        {"serving": {store, socket, port}} once it serves
  node         the same with node: {name, cluster, host, port}; on standard error
               {"contact": {node, host, port, state, reason}} for each change of it,
               {"slots": {change, slots, to, served, reason}} for its part of a shared database, and
               {"refused": {node, reason}}
  cluster status  {cluster, version, name, members: [{name, host, port, contact, status, reason}]};
               contact: here, connecting, connected, silent, apart, refused; status: null or {name,
               software, started_at, resident, under_way}
  delete       {"deleted": {session, state, events}} for each; with --dry-run "would_delete"
  trim         {"trimmed": {session, first_event, events}}
  compact      {"compacted": {store, erased, size_before_bytes, size_after_bytes}}
  version      {version}
  verify       {store, sound, sessions, events, records, garbage, size_bytes}
  preflight    for each thing {session, error, message, subtask, call}, then
               {"preflight": {sessions, findings, complete}}
  import       {"imported": {session, events, redacted}}
  backup       {"backup": {directory, size_bytes}}
  metrics      {metrics}: the text
  sim          {first_seed, last_seed, worlds, resumes, steps, crashes, simulated_ms, took_ms,
               interrupted, given, stand_ins, reached, missed, failure}; given: {STATE: how often} of
               the session of --session, in the end; stand_ins: ["agent NAME", "tool NAME"];
               reached: {NAME: how often} of faults, events, states, answers, receipts, refusals and
               rare states; missed: [NAME]; failure: null or
               {seed, promise, text, faults: [PLACE], faults_before, sessions: [PLACE],
               sessions_before, runs, timeline: [{at_ms, step, node, session, text}]}; PLACE: for
               --only-faults and --only-sessions
Errors go to standard error as {"error": NAME, "message": TEXT}. Times are milliseconds since 1970.
Fields that are empty or have their default may be absent.
)";

} // namespace fermata::command_line
