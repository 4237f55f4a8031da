#pragma once

#include "../coro/support.hpp"
#include "support.hpp"

#include <fermata/actors/agents/model.hpp>
#include <fermata/actors/conversation.hpp>
#include <fermata/actors/models/scripted.hpp>
#include <fermata/actors/tool.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

/// What the tests of the `model` port and of agent `model` share.
namespace agents_test {

using namespace fermata;
using namespace std::chrono_literals;

using replies = std::vector<scripted_reply>;

/// A step as text, with what `told` leaves out: whether a failure may pass, and what was said along
/// with calls.
inline std::string kind_of(const step& taken) {
  if (const auto* failed = std::get_if<step::failed>(&taken.what()))
    return (failed->retryable ? "fail for now: " : "fail: ") + failed->reason;
  const auto* called = std::get_if<step::called>(&taken.what());
  return (called == nullptr || called->text.empty() ? "" : "say " + called->text + ", ")
         + told(taken);
}

/// A conversation as text, one message a line.
inline std::string told(const std::vector<model_message>& messages) {
  std::string text;
  for (const auto& message : messages) {
    text += enum_name(message.role);
    if (!message.call.empty())
      text += " " + message.call + (message.is_error ? " (error)" : "");
    text += ": " + message.text;
    for (const auto& call : message.calls)
      text += " <" + call.id + " " + call.name + " " + call.arguments + ">";
    text += "\n";
  }
  return text;
}

/// The part of a conversation behind the task.
inline std::string after_task(const std::vector<model_message>& messages) {
  const auto task = std::find_if(messages.begin(), messages.end(), [](const auto& message) {
    return message.role == model_role::user;
  });
  REQUIRE(task != messages.end());
  return told({task + 1, messages.end()});
}

/// The messages of the n-th request, from 0, behind the system text.
inline std::string asked_in(const scripted_model& asked, std::size_t request) {
  const auto messages = asked.requests().at(request).messages;
  REQUIRE_FALSE(messages.empty());
  return told({messages.begin() + 1, messages.end()});
}

/// A session's part in one step of a subtask: an actor in virtual time, and what is recorded.
class desk {
public:
  desk() {
    ctx.goal = "a goal";
    subtask.id = make<subtask_id>("work");
    subtask.description = "Do it.";
    ctx.models = &models;
    ctx.tools = &tools;
    ctx.show_text = [this](std::string_view part) { shown.emplace_back(part); };
    for (const auto* name : {"read_file", "write_file"}) {
      tool added;
      added.name = make<tool_name>(name);
      added.description = std::string{name} + " it";
      CHECK_FALSE(tools.add(std::move(added)));
    }
  }

  std::shared_ptr<scripted_model> add_model(replies says, model_options options = {},
                                            std::string name = "default") {
    auto added = std::make_shared<scripted_model>(std::move(says));
    CHECK_FALSE(models.add(std::move(name), added, options));
    return added;
  }

  transcript_entry& entry(entry_source source, std::string text) {
    auto& added = transcript.emplace_back();
    added.source = source;
    added.text = std::move(text);
    return added;
  }

  answered_call& call(transcript_entry& of, std::string_view tool, json arguments,
                      tool_answer answer) {
    auto& added = of.calls.emplace_back();
    added.id = call_id{make<session_id>("s1"), ++calls_};
    added.tool = make<tool_name>(tool);
    added.proposed = arguments;
    added.ran = std::move(arguments);
    added.answer = std::move(answer);
    return added;
  }

  /// Starts a step of the agent; what becomes of it is in `taken`.
  void start(agent acting) {
    ctx.transcript = transcript;
    ctx.earlier_messages = earlier;
    taken.reset();
    acting_ = std::move(acting);
    world.in(host, [this](coro_test::host_state& st) {
      ctx.self = st.self;
      st.scope.spawn(acting_.run(ctx),
                     [this](caf::expected<step> outcome) { taken = std::move(outcome); });
    });
  }

  /// Takes a step that needs no time.
  std::string next(model_agent_options options = {}) {
    start(model_agent(std::move(options)));
    REQUIRE(taken);
    REQUIRE(*taken);
    return kind_of(**taken);
  }

  /// Starts asking a model; what becomes of it is in `reply`.
  void ask(model_request request, std::string name = "default") {
    reply.reset();
    world.in(host, [this, request = std::move(request),
                    name = std::move(name)](coro_test::host_state& st) {
      ctx.self = st.self;
      st.scope.spawn(complete(ctx, name, request),
                     [this](caf::expected<model_reply> outcome) { reply = std::move(outcome); });
    });
  }

  /// What became of asking: the text, or the error.
  std::string answer() {
    if (!reply)
      return "nothing yet";
    return *reply ? (*reply)->text : verdict_on(reply->error());
  }

  /// Asks a model that needs no time.
  std::string asked(std::string text = "hello") {
    model_request request;
    request.messages.emplace_back(model_role::user, std::move(text));
    ask(std::move(request));
    return answer();
  }

  /// What the model would be asked now.
  std::vector<model_message> conversation(conversation_options options = {}) {
    ctx.transcript = transcript;
    ctx.earlier_messages = earlier;
    return conversation_of(ctx, options);
  }

  model_registry models;
  tool_registry tools;
  std::map<std::string, tool_declaration> declared;
  std::vector<transcript_entry> transcript;
  std::vector<message_record> earlier;
  subtask_spec subtask;
  step_context ctx{subtask};
  std::vector<std::string> shown;
  std::optional<caf::expected<step>> taken;
  std::optional<caf::expected<model_reply>> reply;
  coro_test::world world;
  caf::actor host = world.spawn_host();

private:
  agent acting_;
  std::uint64_t calls_ = 0;
};

inline scripted_reply streaming(std::vector<std::string> parts) {
  scripted_reply made;
  for (const auto& part : parts)
    made.reply.text += part;
  made.parts = std::move(parts);
  return made;
}

inline scripted_reply writes(std::string tool, std::string arguments) {
  std::vector<model_call> written;
  written.emplace_back("call", std::move(tool), std::move(arguments));
  return scripted_reply::calls(std::move(written));
}

inline scripted_reply cut_off(scripted_reply reply) {
  reply.reply.stop = model_stop::cut_off;
  return reply;
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

} // namespace agents_test
