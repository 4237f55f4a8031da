#include <fermata/actors/core/call_rules.hpp>

#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/digest.hpp>

namespace fermata::core {

namespace {

/// The JSON Schema of a question's arguments.
const json& question_schema() {
  static const json schema = {
      {"type", "object"},
      {"properties", {{"question", {{"type", "string"}}}, {"schema", {{"type", "object"}}}}},
      {"required", {"question"}},
      {"additionalProperties", false}};
  return schema;
}

} // namespace

tool_kind known_tool::kind() const {
  if (registered)
    return registered->kind();
  return declared ? tool_kind::client : tool_kind::person;
}

const json& known_tool::schema() const {
  if (registered)
    return registered->schema;
  return declared ? declared->schema : question_schema();
}

std::optional<known_tool> find_tool(const std::map<std::string, tool_declaration>& declared,
                                    const tool_name& name, const tool_registry& tools) {
  known_tool found;
  if (name == question_tool())
    return found;
  found.registered = tools.find(name);
  if (found.registered)
    return found;
  const auto declaration = declared.find(name.str());
  if (declaration == declared.end())
    return std::nullopt;
  found.declared = &declaration->second;
  return found;
}

caf::error no_such_tool(const tool_name& name) {
  return make_error(errc::unknown_tool,
                    "no tool is called \"" + name.str()
                        + "\"; tools are registered with the runtime or declared by the plan");
}

result<std::string> fingerprint_of(const known_tool& tool, const json& arguments,
                                   const session_data& data) {
  if (!tool.registered || !tool.registered->fingerprint)
    return std::string{};
  try {
    return tool.registered->fingerprint(arguments, data.head.workspace);
  } catch (const std::exception& thrown) {
    return make_error(errc::tool_failed,
                      std::string{"the tool's fingerprint threw: "} + thrown.what());
  } catch (...) {
    return make_error(errc::tool_failed,
                      "the tool's fingerprint threw something that is not a std::exception");
  }
}

caf::error check_result(const json& content, const environment& env, const tool* of) {
  // The depth first, since all else recurses as deep as the value is nested.
  if (auto error = check_depth(content))
    return error;
  if (auto error = check_utf8(content))
    return error;
  const auto own = of != nullptr ? of->result_size_bytes : 0;
  return check_limit("result_size_bytes", to_text(content).size(),
                     own != 0 ? own : env.limits.result_size_bytes);
}

caf::error check_arguments(const known_tool& tool, const json& arguments, const environment& env) {
  if (!arguments.is_object())
    return make_error(errc::invalid_arguments,
                      std::string{"arguments must be an object, not "} + arguments.type_name());
  if (auto error = check_depth(arguments))
    return error;
  if (auto error = check_utf8(arguments))
    return error;
  if (auto error = check_limit("arguments_size_bytes", to_text(arguments).size(),
                               env.limits.arguments_size_bytes))
    return error;
  if (auto error = check_schema(tool.schema(), arguments))
    return error;
  if (tool.kind() == tool_kind::person && arguments.contains("schema"))
    if (auto error = check_is_schema(arguments.at("schema")))
      return make_error(errc::invalid_arguments, "schema: " + message_of(error));
  return caf::none;
}

caf::error check_time(std::string_view what, timestamp at, const environment& env) {
  const auto text = std::string{what} + ": " + std::to_string(at.time_since_epoch().count());
  if (at <= env.now)
    return make_error(errc::invalid_field, text + " has passed; it is "
                                               + std::to_string(env.now.time_since_epoch().count())
                                               + " now (milliseconds since 1970, UTC)");
  if (at - env.now > env.limits.timer_horizon)
    return make_error(errc::limit_exceeded, text + " is too far ahead; timer_horizon is "
                                                + std::to_string(env.limits.timer_horizon.count())
                                                + " milliseconds");
  return caf::none;
}

std::string shortened(std::string text, const environment& env) {
  // Other people's errors: what is not UTF-8 becomes U+FFFD.
  if (!is_utf8(text))
    text = json::parse(to_text(text)).get<std::string>();
  if (auto end = std::size_t{env.limits.text_size_bytes}; text.size() > end) {
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;
    text.resize(end);
  }
  return text;
}

json error_content(const caf::error& error, const environment& env) {
  return {{"error", std::string{name_of(code_of(error))}},
          {"message", shortened(message_of(error), env)}};
}

event_body answered(std::uint64_t call, tool_answer answer, std::string by) {
  call_answered fact;
  fact.call = call;
  fact.digest = digest_of_answer(answer);
  fact.answer = std::move(answer);
  fact.by = std::move(by);
  return fact;
}

agent_name current_agent(const session_data& data) {
  if (!data.head.running)
    return {};
  if (const auto& handed_to = data.running_subtask().agent; !handed_to.empty())
    return handed_to;
  const auto& own = data.running_spec().agent;
  return own.empty() ? default_agent() : own;
}

policy_action call_ruling::action() const {
  if (remembered == nullptr)
    return policy.action;
  return remembered->verdict == call_verdict::reject ? policy_action::deny : policy_action::allow;
}

std::string call_ruling::name() const {
  return remembered != nullptr ? std::string{remembered_prefix} + std::to_string(remembered->number)
                               : policy.name();
}

std::string known_tool::declaration() const {
  return declared != nullptr ? digest_of(to_json(*declared)) : std::string{};
}

call_ruling rule_on(const session_data& data, const tool_name& name, const known_tool& tool,
                    const json& arguments, const environment& env) {
  call_ruling ruling;
  ruling.policy = env.policy.rule_on_call(name, current_agent(data), arguments);
  if (ruling.policy.action != policy_action::ask || !ruling.policy.may_remember)
    return ruling;
  if (data.remembered.empty())
    return ruling;
  const auto declaration = tool.declaration();
  const auto digest = digest_of(arguments);
  // One about exactly this call goes before one about the tool.
  for (const auto& [number, one] : data.remembered) {
    if (one.tool != name || one.tool_version != tool.version() || one.declaration != declaration)
      continue;
    if (one.scope == decision_scope::tool && ruling.remembered == nullptr)
      ruling.remembered = &one;
    if (one.scope == decision_scope::call && one.arguments_digest == digest)
      ruling.remembered = &one;
  }
  return ruling;
}

caf::error denied(std::string what, const policy_ruling& ruling) {
  return make_error(errc::denied_by_policy, std::move(what) + " by the policy's " + ruling.name()
                                                + (ruling.prompt.empty() ? "" : ": ")
                                                + ruling.prompt);
}

tool_answer rejection(const std::string& feedback) {
  return {call_outcome::rejected, json{{"rejected", true}, {"feedback", feedback}}};
}

call_status granted_status(tool_kind kind) {
  switch (kind) {
  case tool_kind::client:
    return call_status::awaiting_result;
  case tool_kind::person:
    return call_status::awaiting_answer;
  case tool_kind::server:
    break;
  }
  return call_status::queued;
}

json synthetic_content(call_outcome outcome, const std::string& reason) {
  return {{enum_name(outcome), true}, {"reason", reason}};
}

void end_open_calls(const session_data& data, call_outcome outcome, const std::string& reason,
                    std::vector<event_body>& events) {
  if (!data.head.running)
    return;
  const auto& subtask = data.running_subtask();
  for (auto number = subtask.first_call; number < subtask.first_call + subtask.calls; ++number)
    if (data.calls.at(number).status != call_status::answered)
      events.push_back(answered(number, {outcome, synthetic_content(outcome, reason)}));
}

event_body asked_again(const session_data& data, const call_record& call, std::uint32_t revision,
                       std::string reason, const environment& env) {
  call_asked_again fact;
  fact.call = call.number;
  fact.reason = shortened(std::move(reason), env);
  fact.tool_version = call.tool_version;
  if (const auto tool = find_tool(data.active->record.tools, call.tool, env.tools)) {
    fact.tool_version = tool->version();
    if (auto fingerprint = fingerprint_of(*tool, call.arguments, data))
      fact.fingerprint = std::move(*fingerprint);
  }
  fact.digest = approval_digest(data, call.number, revision, call.tool, fact.tool_version,
                                call.arguments, fact.fingerprint);
  return fact;
}

std::string approval_digest(const session_data& data, std::uint64_t call, std::uint32_t revision,
                            const tool_name& tool, std::uint32_t tool_version,
                            const json& arguments, const std::string& fingerprint) {
  std::string text = R"({"arguments":)";
  append_text(text, arguments);
  text += R"(,"call":)";
  append_string(text, call_id{data.head.id, call}.str());
  text += R"(,"fingerprint":)";
  append_string(text, fingerprint);
  text += R"(,"incarnation":)";
  append_string(text, data.head.incarnation);
  text += R"(,"revision":)";
  text += std::to_string(revision);
  text += R"(,"tool":)";
  append_string(text, tool.str());
  text += R"(,"tool_version":)";
  text += std::to_string(tool_version);
  text += '}';
  return sha256(text);
}

std::string digest_of_answer(const tool_answer& answer) {
  std::string text = R"({"content":)";
  append_text(text, answer.content);
  text += R"(,"outcome":")";
  text += enum_name(answer.outcome);
  text += R"("})";
  return sha256(text);
}

} // namespace fermata::core
