#include <fermata/actors/conversation.hpp>

#include <fermata/actors/agent.hpp>
#include <fermata/actors/tool.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace fermata {

namespace {

/// What is kept of a refused call: it is there to be read.
constexpr std::size_t max_refused_name_bytes = 200;
constexpr std::size_t max_refused_arguments_bytes = 10'000;

/// The start of the character that `at` is in.
std::size_t start_of_character(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80)
    --at;
  return at;
}

/// What a text of ours is in brackets for: nobody in particular said it.
std::string noted(const std::string& note) {
  return "[" + note + "]\n";
}

std::string text_of(const json& content) {
  return content.is_string() ? content.get<std::string>() : to_text(content);
}

std::string member_text(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string{};
}

/// Arguments as a model is shown them: always an object.
std::string shown_arguments(const json& arguments) {
  if (arguments.is_object())
    return to_text(arguments);
  return to_text(json{{"malformed", arguments}});
}

model_call shown_call(const answered_call& call, std::string id) {
  if (call.tool != refused_call())
    return {std::move(id), call.tool.str(), shown_arguments(call.proposed)};
  // The model finds in the conversation what it wrote.
  auto name = member_text(call.proposed, "tool");
  if (!tool_name::parse(name))
    name = refused_call().str();
  const auto written = member_text(call.proposed, "arguments");
  const auto arguments = parse_json(written);
  return {std::move(id), std::move(name), shown_arguments(arguments ? *arguments : json(written))};
}

/// What else the model has to know to understand a call's result.
std::string notes_on(const answered_call& call) {
  std::string notes;
  if (call.ran != call.proposed)
    notes += noted("A person changed the arguments before they approved the call; what ran is "
                   + call.tool.str() + " " + to_text(call.ran));
  if (call.by_person && call.tool != question_tool())
    notes += noted("A person answered in place of the tool, which did not run");
  if (call.proposed.is_string())
    if (const auto parsed = parse_json(call.proposed.get_ref<const std::string&>()); !parsed)
      notes += noted("The arguments were " + message_of(parsed.error()));
  switch (call.answer.outcome) {
  case call_outcome::succeeded:
    break;
  case call_outcome::failed:
    notes += noted("The call failed");
    break;
  case call_outcome::rejected:
    notes += noted("A person rejected the call; the tool did not run");
    break;
  case call_outcome::expired:
    notes += noted("The call expired: nobody decided on it or answered it in time");
    break;
  case call_outcome::cancelled:
    notes += noted("The call was cancelled");
    break;
  }
  return notes;
}

std::string result_text(const answered_call& call, std::size_t limit) {
  if (call.tool == refused_call())
    return noted("The call was refused") + member_text(call.proposed, "why");
  return readable_excerpt(notes_on(call), limit)
         + readable_excerpt(text_of(call.answer.content), limit);
}

/// Builds a conversation message by message.
class conversation {
public:
  explicit conversation(const conversation_options& options) : options_{options} {
    if (!options.system.empty())
      add(model_role::system, options.system);
  }

  void add_user(const std::string& text) {
    if (!text.empty())
      add(model_role::user, readable_excerpt(text, options_.text_size_bytes));
  }

  void add_entry(const transcript_entry& entry) {
    switch (entry.source) {
    case entry_source::agent:
      add_text(entry.text);
      break;
    case entry_source::user:
      add_user(entry.text);
      break;
    case entry_source::handover:
      add_user(noted("The subtask was handed over to you, with this note") + entry.text);
      break;
    case entry_source::runtime:
    case entry_source::refusal:
      add_user(noted("This is from the runtime, not from a person") + entry.text);
      break;
    case entry_source::timer:
      break; // how much time has passed is not for models to know
    }
    add_calls(entry.calls);
  }

  std::vector<model_message> finish() {
    if (messages_.empty() || ends_with_words())
      add_user(options_.go_on);
    return std::move(messages_);
  }

private:
  void add(model_role role, std::string text) { messages_.emplace_back(role, std::move(text)); }

  /// Its last words are the model's own, without a call.
  [[nodiscard]] bool ends_with_words() const {
    return !messages_.empty() && messages_.back().role == model_role::assistant;
  }

  void add_text(const std::string& text) {
    if (text.empty())
      return;
    // It was asked to go on then, too.
    if (ends_with_words())
      add_user(options_.go_on);
    add(model_role::assistant, readable_excerpt(text, text.size()));
  }

  void add_calls(const std::vector<answered_call>& calls) {
    std::vector<const answered_call*> added;
    for (const auto& call : calls)
      if (seen_.insert(call.id.number()).second)
        added.push_back(&call);
    if (added.empty())
      return;
    // What was said along with calls is one message with them.
    if (!ends_with_words())
      add(model_role::assistant, {});
    for (const auto* call : added)
      messages_.back().calls.push_back(shown_call(*call, id_of(*call)));
    for (const auto* call : added) {
      model_message answer{model_role::tool, result_text(*call, options_.text_size_bytes)};
      answer.call = id_of(*call);
      answer.is_error = call->answer.outcome != call_outcome::succeeded;
      messages_.push_back(std::move(answer));
    }
  }

  static std::string id_of(const answered_call& call) {
    return "c" + std::to_string(call.id.number());
  }

  const conversation_options& options_;
  std::set<std::uint64_t> seen_;
  std::vector<model_message> messages_;
};

/// The task as one message.
std::string task_text(const step_context& ctx, std::size_t limit) {
  std::string text = "The goal of the plan:\n" + ctx.goal + "\n";
  text += "\nYour subtask in it (" + ctx.subtask.id.str() + "):\n"
          + (ctx.subtask.description.empty() ? ctx.subtask.id.str() : ctx.subtask.description)
          + "\n";
  for (const auto& dependency : ctx.dependencies) {
    text += "\nWhat subtask " + dependency.subtask.str() + " left";
    text += dependency.status == subtask_status::skipped
                ? ": nothing, it was skipped"
                : ":\n" + readable_excerpt(text_of(dependency.result), limit);
    text += "\n";
  }
  return text;
}

model_tool question() {
  return {question_tool().str(),
          "Asks a person a question and gives you their answer, which may take long. Use it when "
          "you cannot go on without something that only a person knows or may decide.",
          json{{"type", "object"},
               {"properties",
                {{"question", {{"type", "string"}, {"description", "The question, for a person."}}},
                 {"schema",
                  {{"type", "object"},
                   {"description",
                    "A JSON Schema (draft 7) that the answer has to fit. Leave it out for an "
                    "answer in free text."}}}}},
               {"required", json::array({"question"})},
               {"additionalProperties", false}}};
}

/// All tools by name.
std::map<std::string, model_tool> known_tools(const step_context& ctx) {
  std::map<std::string, model_tool> known;
  if (ctx.tools != nullptr)
    for (const auto& [name, each] : ctx.tools->all())
      known.emplace(name.str(), model_tool{name.str(), each.description, each.schema});
  if (ctx.declared_tools != nullptr)
    for (const auto& [name, each] : *ctx.declared_tools)
      known.emplace(name, model_tool{name, each.description, each.schema});
  known.emplace(question_tool().str(), question());
  return known;
}

} // namespace

const tool_name& refused_call() {
  static const auto name = *tool_name::parse("refused_call");
  return name;
}

tool_request refuse_call(const model_call& written, std::string why) {
  json arguments = {{"tool", readable_excerpt(written.name, max_refused_name_bytes)},
                    {"arguments", readable_excerpt(written.arguments, max_refused_arguments_bytes)},
                    {"why", std::move(why)}};
  return {refused_call(), std::move(arguments)};
}

std::vector<model_message> conversation_of(const step_context& ctx,
                                           const conversation_options& options) {
  conversation made{options};
  made.add_user(options.task.empty() ? task_text(ctx, options.text_size_bytes) : options.task);
  for (const auto& message : ctx.earlier_messages)
    made.add_user(message.text);
  for (const auto& entry : ctx.transcript)
    made.add_entry(entry);
  return made.finish();
}

result<std::vector<model_tool>> tools_for(const step_context& ctx,
                                          const std::optional<std::vector<tool_name>>& names) {
  auto known = known_tools(ctx);
  std::vector<model_tool> tools;
  if (!names) {
    for (auto& [unused, each] : known)
      tools.push_back(std::move(each));
    return tools;
  }
  std::set<tool_name> wanted{names->begin(), names->end()};
  for (const auto& name : wanted) {
    const auto found = known.find(name.str());
    if (found == known.end())
      return make_error(errc::unknown_tool, "no tool is called \"" + name.str()
                                                + "\" in this runtime, and the plan declares none");
    tools.push_back(std::move(found->second));
  }
  return tools;
}

std::string readable_excerpt(std::string text, std::size_t limit) {
  if (!is_utf8(text))
    text = json::parse(to_text(text)).get<std::string>();
  if (text.size() <= limit)
    return text;
  // The end often says how it went.
  const auto head = start_of_character(text, limit - limit / 4);
  const auto tail = start_of_character(text, text.size() - limit / 4);
  return text.substr(0, head) + "\n[... " + std::to_string(tail - head)
         + " bytes are left out here ...]\n" + text.substr(tail);
}

} // namespace fermata
