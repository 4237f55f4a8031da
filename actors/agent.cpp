#include <fermata/actors/agent.hpp>

#include <algorithm>
#include <utility>

namespace fermata {

namespace {

/// Why a request cannot become a call, or nothing.
caf::error check_request(const tool_request& request) {
  // A default-constructed name has not passed `tool_name::parse`.
  if (auto error = check_id("tool name", request.tool.str()))
    return error;
  return check_depth(request.arguments);
}

caf::error threw(const agent_name& agent, std::string_view function, std::string_view what) {
  return make_error(errc::agent_failed, "the " + std::string{function} + " of agent \""
                                            + agent.str() + "\" threw: " + std::string{what});
}

} // namespace

step step::say(std::string text) {
  return step{said{std::move(text)}};
}

step step::call(std::string_view tool, json arguments) {
  auto name = tool_name::parse(tool);
  if (!name)
    return fail("the agent called a tool by " + quoted_excerpt(tool) + ": "
                + message_of(name.error()));
  std::vector<tool_request> requests;
  requests.emplace_back(std::move(*name), std::move(arguments));
  return calls(std::move(requests));
}

step step::calls(std::vector<tool_request> requests) {
  return calls({}, std::move(requests));
}

step step::calls(std::string text, std::vector<tool_request> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (auto error = check_request(requests[i]))
      return fail("the agent's call " + std::to_string(i + 1) + " of "
                  + std::to_string(requests.size()) + " is refused: " + message_of(error));
  called made;
  made.text = std::move(text);
  made.requests = std::move(requests);
  return step{std::move(made)};
}

step step::ask(std::string question, json schema, std::chrono::milliseconds expires_after) {
  json arguments = {{"question", std::move(question)}};
  if (!schema.is_null())
    arguments["schema"] = std::move(schema);
  std::vector<tool_request> requests;
  requests.emplace_back(question_tool(), std::move(arguments));
  requests.back().expires_after = expires_after;
  return calls(std::move(requests));
}

step step::sleep(std::chrono::milliseconds duration) {
  slept made;
  made.duration = duration;
  return step{made};
}

step step::sleep_until(timestamp when) {
  slept made;
  made.until = when;
  return step{made};
}

step step::propose(plan_spec plan) {
  return step{proposed{std::move(plan)}};
}

step step::hand_over(std::string_view agent, std::string note) {
  auto name = agent_name::parse(agent);
  if (!name)
    return fail("the agent handed over to " + quoted_excerpt(agent) + ": "
                + message_of(name.error()));
  handed_over made;
  made.agent = std::move(*name);
  made.note = std::move(note);
  return step{std::move(made)};
}

step step::finish(json result) {
  if (auto error = check_depth(result))
    return fail("the subtask's result is refused: " + message_of(error));
  finished end;
  end.result = std::move(result);
  return step{std::move(end)};
}

step step::fail(std::string reason) {
  return step{failed{std::move(reason), false}};
}

step step::fail_retryable(std::string reason) {
  return step{failed{std::move(reason), true}};
}

const std::vector<answered_call>& step_context::tool_results() const noexcept {
  static const std::vector<answered_call> none;
  const auto last = std::find_if(transcript.rbegin(), transcript.rend(), [](const auto& entry) {
    return entry.source != entry_source::user;
  });
  return last == transcript.rend() ? none : last->calls;
}

caf::error agent_registry::add(std::string_view name, agent_function run) {
  agent added;
  added.run = std::move(run);
  return add(name, std::move(added));
}

caf::error agent_registry::add(std::string_view name, agent added) {
  auto parsed = agent_name::parse(name);
  if (!parsed)
    return std::move(parsed.error());
  if (!added.run)
    return make_error(errc::invalid_field,
                      "agent " + quoted_excerpt(name) + " refused: it has no function to run");
  if (!agents_.emplace(std::move(*parsed), std::move(added)).second)
    return make_error(errc::invalid_field,
                      "agent " + quoted_excerpt(name) + " refused: there is one of that name");
  return caf::none;
}

const agent* agent_registry::find(const agent_name& name) const noexcept {
  const auto found = agents_.find(name.empty() ? default_agent() : name);
  return found == agents_.end() ? nullptr : &found->second;
}

caf::error agent_registry::check(const subtask_spec& subtask) const {
  const auto& name = subtask.agent.empty() ? default_agent() : subtask.agent;
  const auto* found = find(name);
  if (found == nullptr) {
    std::string registered;
    for (const auto& [each, unused] : agents_)
      registered += (registered.empty() ? "" : ", ") + each.str();
    return make_error(errc::unknown_agent,
                      "no agent is called \"" + name.str() + "\"; registered are: "
                          + (registered.empty() ? std::string{"none"} : registered));
  }
  if (found->check)
    try {
      return found->check(subtask);
    } catch (const std::exception& thrown) {
      return threw(name, "check", thrown.what());
    } catch (...) {
      return threw(name, "check", "something that is not a std::exception");
    }
  for (const auto& [field, value] :
       {std::pair{"steps", &subtask.steps}, std::pair{"result", &subtask.result}})
    if (!value->is_null())
      return make_error(errc::invalid_field, std::string{field} + ": this field is for agent \""
                                                 + default_agent().str() + "\"; agent \""
                                                 + name.str() + "\" takes parameters");
  return caf::none;
}

result<std::vector<tool_name>> agent_registry::tools_of(const subtask_spec& subtask) const {
  const auto* found = find(subtask.agent);
  if (found == nullptr || !found->tools_of)
    return std::vector<tool_name>{};
  try {
    return found->tools_of(subtask);
  } catch (const std::exception& thrown) {
    return threw(subtask.agent, "tools_of", thrown.what());
  } catch (...) {
    return threw(subtask.agent, "tools_of", "something that is not a std::exception");
  }
}

const agent_name& default_agent() {
  static const auto name = *agent_name::parse("script");
  return name;
}

} // namespace fermata
