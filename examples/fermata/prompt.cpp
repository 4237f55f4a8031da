#include "prompt.hpp"

#include "answers.hpp"
#include "escape.hpp"
#include "inputs.hpp"
#include "render.hpp"
#include "tools.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace fermata::command_line {

namespace {

/// What one question came to: a command, the wish to quit, or neither (the question is asked
/// again).
struct answer {
  std::optional<command> chosen;
  bool quit = false;

  answer() = default;
  explicit answer(command body) : chosen{std::move(body)} {}
};

answer quit() {
  answer made;
  made.quit = true;
  return made;
}

/// The choice that `word` means: the first with this first letter, or the only one that begins so.
std::optional<std::string> find_choice(const std::vector<std::string>& choices,
                                       const std::string& word) {
  const auto means = [&](const std::string& one) { return !word.empty() && one.starts_with(word); };
  const auto found = std::find_if(choices.begin(), choices.end(), means);
  if (found == choices.end())
    return std::nullopt;
  const bool is_only = std::find_if(found + 1, choices.end(), means) == choices.end();
  return word.size() == 1 || is_only ? std::optional{*found} : std::nullopt;
}

/// Asks until one of `choices` is named. The last one, `quit`, is also the answer of an input that
/// has ended.
std::string choose(console& out, const std::vector<std::string>& choices) {
  std::string question;
  for (const auto& one : choices)
    question += (question.empty() ? "" : " / ") + one;
  question += " ? ";
  for (;;) {
    auto line = out.ask(out.painted(paint::heading, question));
    if (!line)
      return choices.back();
    std::transform(line->begin(), line->end(), line->begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto end = line->find_last_not_of(" \t\r");
    const auto word = line->substr(0, end == std::string::npos ? 0 : end + 1);
    if (auto chosen = find_choice(choices, word))
      return std::move(*chosen);
  }
}

/// Says what is wrong with something that was typed, without the secrets that it may quote.
void say_wrong(console& out, const caf::error& error, const std::string& what = {}) {
  out.say(out.painted(paint::bad, what + escape_line(out.redaction().text(message_of(error)))));
}

/// Asks for JSON. Nothing: it was left empty, or is not JSON, which was said.
std::optional<json> ask_for_json(console& out, const std::string& question) {
  const auto text = out.ask(question + " (JSON or @FILE; empty: back): ");
  if (!text || text->empty() || *text == "-")
    return std::nullopt;
  auto value = read_json(*text, "input");
  if (value)
    return std::move(*value);
  say_wrong(out, value.error());
  return std::nullopt;
}

std::optional<command> ask_for_revision(console& out) {
  const auto file = out.ask("File with the new plan (empty: back): ");
  if (!file || file->empty() || *file == "-")
    return std::nullopt;
  auto plan = read_plan(*file);
  if (plan)
    return revise_plan{std::move(*plan)};
  say_wrong(out, plan.error());
  return std::nullopt;
}

answer from(std::optional<command> chosen) {
  return chosen ? answer{std::move(*chosen)} : answer{};
}

answer decide_on_plan(console& out, const plan_id& id, const pause_view& view) {
  out.say();
  out.say("Plan " + id.str() + " waits for your decision.");
  show_proposal(out, view);
  const auto choice = choose(out, {"approve", "reject", "edit", "modify", "quit"});
  if (choice == "quit")
    return quit();
  if (choice == "edit")
    return from(ask_for_revision(out));
  decide_plan decision{id.revision(), plan_verdict::approve};
  if (choice != "approve") {
    decision.verdict = choice == "reject" ? plan_verdict::reject : plan_verdict::modify;
    const auto feedback = out.ask(choice == "reject" ? "Why: " : "What is to change: ");
    if (!feedback)
      return quit();
    decision.feedback = *feedback;
  }
  decision.by = user_name();
  return answer{std::move(decision)};
}

/// For what else an approval is to hold. Nothing: the person thought better of it.
std::optional<decision_scope> ask_for_scope(console& out) {
  out.say("Approve it, and from now on in this session: calls of this tool whatever their "
          "arguments, or exactly this call?");
  const auto choice = choose(out, {"tool", "call", "back"});
  if (choice == "back")
    return std::nullopt;
  return choice == "tool" ? decision_scope::tool : decision_scope::call;
}

answer decide_on_call(console& out, const call_id& id, const pending_item& item) {
  const auto choice = choose(out, {"approve", "reject", "edit", "respond", "always", "quit"});
  if (choice == "quit")
    return quit();
  decide_call decision{id, call_verdict::approve};
  decision.by = user_name();
  decision.digest = item.digest;
  if (choice == "always") {
    const auto scope = ask_for_scope(out);
    if (!scope)
      return {};
    decision.remember = *scope;
  }
  if (choice == "reject") {
    decision.verdict = call_verdict::reject;
    const auto feedback = out.ask("What the agent is told: ");
    if (!feedback)
      return quit();
    decision.feedback = *feedback;
  } else if (choice == "edit") {
    auto edited = ask_for_json(out, "The new arguments");
    if (!edited)
      return {};
    decision.verdict = call_verdict::edit;
    decision.arguments = std::move(*edited);
  } else if (choice == "respond") {
    auto content = ask_for_json(out, "What the agent gets as its result, without the tool");
    if (!content)
      return {};
    decision.verdict = call_verdict::respond;
    decision.content = std::move(*content);
  }
  return answer{std::move(decision)};
}

answer answer_for_agent(console& out, const call_id& call, const pending_item& item) {
  const auto schema = item.arguments.is_object() ? item.arguments.value("schema", json{}) : json{};
  // What does not fit is told with parts of the schema, in which no field can be hidden any more.
  const bool may_quote = out.redaction().value(schema) == schema;
  for (;;) {
    const auto line = out.ask(out.painted(paint::heading, "Your answer")
                              + " (JSON, @FILE or text; empty: quit): ");
    if (!line || line->find_first_not_of(" \t") == std::string::npos)
      return quit();
    auto content = read_answer(*line, schema);
    if (content) {
      answer_question answered{call, std::move(*content)};
      answered.by = user_name();
      return answer{std::move(answered)};
    }
    if (may_quote)
      say_wrong(out, content.error(), "This does not fit: ");
    else
      out.say(out.painted(paint::bad, "This does not fit the JSON Schema above."));
  }
}

answer post_result(console& out, const call_id& id) {
  out.say("A host has to run this; you can answer for it.");
  const auto choice = choose(out, {"result", "error", "quit"});
  if (choice == "quit")
    return quit();
  auto content = ask_for_json(out, choice == "error" ? "What went wrong" : "The result");
  if (!content)
    return {};
  return answer{tool_result{id, std::move(*content), choice == "error"}};
}

answer say_what_happened(console& out, const call_id& id) {
  out.say("This was started, and its end is not known. Look before you answer: has it happened?");
  const auto choice = choose(out, {"happened", "rerun", "failed", "quit"});
  if (choice == "quit")
    return quit();
  resolve_outcome resolved{id, outcome_resolution::rerun};
  resolved.by = user_name();
  if (choice == "happened") {
    auto content = ask_for_json(out, "Its result");
    if (!content)
      return {};
    resolved.resolution = outcome_resolution::happened;
    resolved.content = std::move(*content);
  } else if (choice == "failed") {
    resolved.resolution = outcome_resolution::failed;
    const auto reason = out.ask("Why it failed: ");
    if (!reason)
      return quit();
    resolved.reason = *reason;
  }
  return answer{std::move(resolved)};
}

/// The failed or cancelled subtask that is meant: the only one, or the one that is named.
std::optional<subtask_id> choose_subtask(console& out, const session_status& status) {
  std::vector<subtask_id> failed;
  for (const auto& one : status.subtasks)
    if (one.status == subtask_status::failed || one.status == subtask_status::cancelled)
      failed.push_back(one.id);
  if (failed.size() == 1)
    return failed.front();
  const auto named = subtask_id::parse(out.ask("Which subtask: ").value_or(std::string{}));
  if (named && std::find(failed.begin(), failed.end(), *named) != failed.end())
    return *named;
  out.say("That is none of those that failed or were cancelled.");
  return std::nullopt;
}

answer cancel(console& out) {
  const auto reason = out.ask("Why: ");
  if (!reason)
    return quit();
  cancel_plan cancelled{*reason};
  cancelled.by = user_name();
  return answer{std::move(cancelled)};
}

answer attend(console& out, const session_status& status) {
  out.say();
  show_status(out, status);
  out.say("A subtask failed or was cancelled, and nothing else can run.");
  const auto choice = choose(out, {"retry", "skip", "revise", "fail", "cancel", "quit"});
  if (choice == "quit")
    return quit();
  if (choice == "revise")
    return from(ask_for_revision(out));
  const auto by = user_name();
  if (choice == "retry" || choice == "skip") {
    auto subtask = choose_subtask(out, status);
    if (!subtask)
      return {};
    if (choice == "retry") {
      retry_subtask retried{std::move(*subtask)};
      retried.by = by;
      return answer{std::move(retried)};
    }
    skip_subtask skipped{std::move(*subtask)};
    skipped.by = by;
    return answer{std::move(skipped)};
  }
  if (choice == "cancel")
    return cancel(out);
  const auto reason = out.ask("Why: ");
  if (!reason)
    return quit();
  fail_plan failed{*reason};
  failed.by = by;
  return answer{std::move(failed)};
}

answer revise_or_cancel(console& out, const session_status& status) {
  out.say();
  show_status(out, status);
  out.say("The plan was sent back; a new revision is expected.");
  const auto choice = choose(out, {"revise", "cancel", "quit"});
  if (choice == "quit")
    return quit();
  if (choice == "revise")
    return from(ask_for_revision(out));
  return cancel(out);
}

answer resume_or_cancel(console& out, const session_status& status) {
  out.say();
  show_status(out, status);
  out.say("It was suspended: nothing of it starts.");
  const auto choice = choose(out, {"resume", "cancel", "quit"});
  if (choice == "quit")
    return quit();
  if (choice == "resume")
    return answer{resume_session{user_name()}};
  return cancel(out);
}

answer ask_about(console& out, const pending_item& item, const pause_view& view) {
  if (const auto plan = plan_id::parse(item.id))
    return decide_on_plan(out, *plan, view);
  const auto call = call_id::parse(item.id);
  if (!call)
    return quit();
  out.say();
  show_pending(out, item, make_tools_for_showing(), view.workspace, view.elsewhere);
  switch (item.waiting_for) {
  case wait_cause::decision:
    return decide_on_call(out, *call, item);
  case wait_cause::outcome:
    return say_what_happened(out, *call);
  case wait_cause::answer:
    return answer_for_agent(out, *call, item);
  default:
    return post_result(out, *call);
  }
}

answer ask_once(console& out, const pause_view& view) {
  // Decisions would be taken, but nothing would follow from them.
  if (view.status.state == session_state::suspended)
    return resume_or_cancel(out, view.status);
  if (!view.items.empty() && view.items.front().waiting_for != wait_cause::backoff)
    return ask_about(out, view.items.front(), view);
  if (view.status.state == session_state::needs_attention)
    return attend(out, view.status);
  if (view.status.state == session_state::planning)
    return revise_or_cancel(out, view.status);
  return quit();
}

} // namespace

std::optional<command> ask_at_pause(console& out, const pause_view& view) {
  for (;;) {
    auto made = ask_once(out, view);
    if (made.quit)
      return std::nullopt;
    if (made.chosen)
      return std::move(made.chosen);
  }
}

} // namespace fermata::command_line
