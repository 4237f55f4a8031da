#pragma once

/// What `fermata --help` says beyond the list of commands and options.
namespace fermata::command_line {

inline constexpr const char* description =
    "fermata: runs plans of an agent session that stop, durably, wherever a person or a host must\n"
    "act. Each invocation opens the store, applies one command, runs until the next pause and "
    "exits.";

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
when their session is addressed next. `fermata resume --due` addresses all of them, for cron.

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
  4    the environment: store busy, disk full, store corrupt or unreadable; nothing changed
  130  interrupted (SIGINT, SIGTERM) while the plan was running; `fermata resume` continues it
`resume --due` has the gravest of its sessions': 4, 2, 1, 3, 0; 0 also when nothing was due.

With --json, standard output has one JSON object per line:
  run, resume, revise, approve, reject, edit, respond, answer, result, outcome, retry, skip, fail,
  cancel, suspend, deadline, message, forget (resume --due: all of this for each session):
    {"receipt": {session, event, kind, state}}  a command is durable; kind: accepted, duplicate, late
    {"event": {number, at, body}}               each event as it is committed; body.type names it
    {"pending": {...}}                          at the end, each thing that waits, as `pending` has it
    {session, state, waiting, plan, subtasks, workspace, events, next_timer, suspended_until, usage,
     progress}                                  the last line: the status object
  status       the status object; waiting: {outcome, decision, answer, result, backoff};
               plan: {status, revision, goal, feedback, deadline} or null;
               subtasks: [{id, status, attempts, result, error, description, agent, depends_on,
               deadline, next_step}]; usage: {requests, input_tokens, output_tokens}; progress:
               {total, done, failed, running, pending, cancelled, percent}
  plan         the plan as it was proposed, in the format of plan files
  plan --diff  {revision, replaces, goal_before, subtasks: [{subtask, fate, because}]}; fate: kept,
               continued, unchanged, again, changed, added, dropped
  events       {number, at, body}
  transcript   {subtask, text, source} (source: agent, user, handover, runtime) or
               {subtask, call, tool, arguments, status, answer: {outcome, content}}
  sessions     {session, state}
  pending      {id, session, kind, waiting_for, tool, arguments, subtask, digest, fingerprint, goal,
               prompt, since, expires_at}; kind: plan, call, input; waiting_for: decision, result, answer,
               outcome
  remembered   {number, call, verdict, scope, tool, tool_version, arguments, feedback, by, at}
  policy check {policy, rules, default}; with --tool or --plan {policy, action, by, prompt,
               expires_after_ms, may_remember}
  history      {number, at, from, to, cause, by, reason}
  audit        {session, number, at, action, subject, verdict, by, reason, digest, details}
  timers       {session, due, is_due, damage}, earliest first
  version      {version}
  verify       {store, sound}
Errors go to standard error as {"error": NAME, "message": TEXT}. Times are milliseconds since 1970.
Fields that are empty or have their default may be absent.
)";

} // namespace fermata::command_line
