#include <fermata/actors/agents/model.hpp>

#include <fermata/actors/conversation.hpp>
#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/messages/limits.hpp>

#include <algorithm>
#include <memory>

namespace fermata {

namespace {

constexpr std::string_view proposing = "propose_plan";
constexpr std::string_view handing_over = "hand_over";

/// What is said along with calls, and a handover's note, fit into a text of `limits` with the mark
/// of what is left out.
constexpr std::size_t max_said_bytes = limits{}.text_size_bytes - 100;

constexpr std::string_view worker_text =
    "You work on one subtask of a plan, without a person at your side. Call tools where they help; "
    "each call's result comes next, and some wait for a person's approval, who may reject a call "
    "or "
    "change its arguments. When the subtask is done, answer with its result as text and without "
    "calling a tool: that ends it, and those who go on from there see nothing else of your work.";

constexpr std::string_view planner_text =
    "You turn what a user says into a plan, which a person approves before anything of it happens. "
    "Call propose_plan with the whole plan: subtasks as few and as simple as the goal allows, each "
    "with a description that can be worked on without knowing this conversation. If something is "
    "missing that only a person knows, ask for it. If no plan is needed, answer in text without "
    "calling a tool.";

/// What a subtask may say.
struct model_parameters {
  std::optional<std::string> model;
  std::string system;
  std::optional<std::vector<tool_name>> tools;
  std::optional<std::uint32_t> max_steps;
  json revises;
  std::string feedback;

  model_parameters() = default;
  static constexpr auto fields() {
    return field_list{optional_field("model", &model_parameters::model),
                      optional_field("system", &model_parameters::system),
                      optional_field("tools", &model_parameters::tools),
                      optional_field("max_steps", &model_parameters::max_steps),
                      optional_field("revises", &model_parameters::revises),
                      optional_field("feedback", &model_parameters::feedback)};
  }
};

/// The arguments of `hand_over`.
struct handover {
  agent_name agent;
  std::string note;

  handover() = default;
  static constexpr auto fields() {
    return field_list{field("agent", &handover::agent), optional_field("note", &handover::note)};
  }
};

/// What a model is asked in one step.
struct turn {
  std::string model;
  model_request request;
  std::vector<std::string> offered; ///< The names of the tools in `request`.

  turn() = default;
};

caf::error refuse_reply(const std::string& path, const std::string& why) {
  return make_error(errc::invalid_field, path + ": " + why);
}

result<model_parameters> read_parameters(const model_agent_options& options,
                                         const subtask_spec& subtask) {
  if (subtask.parameters.is_null())
    return model_parameters{};
  auto read = fermata::from_json<model_parameters>(subtask.parameters, unknown_fields::refuse,
                                                   "parameters");
  if (!read)
    return read;
  if (read->max_steps && (*read->max_steps == 0 || *read->max_steps > options.max_steps))
    return refuse_reply("parameters.max_steps",
                        "expected a number from 1 to " + std::to_string(options.max_steps));
  if (!options.planner && (!read->revises.is_null() || !read->feedback.empty()))
    return refuse_reply(read->revises.is_null() ? "parameters.feedback" : "parameters.revises",
                        "this is for the agent that plans");
  return read;
}

caf::error check_subtask(const model_agent_options& options, const subtask_spec& subtask) {
  for (const auto& [name, value] :
       {std::pair{"steps", &subtask.steps}, std::pair{"result", &subtask.result}})
    if (!value->is_null())
      return refuse_reply(name, "this field is for agent \"" + default_agent().str()
                                    + "\"; an agent that asks a model takes parameters");
  auto read = read_parameters(options, subtask);
  return read ? caf::error{} : std::move(read.error());
}

std::vector<tool_name> tools_of(const model_agent_options& options, const subtask_spec& subtask) {
  const auto read = read_parameters(options, subtask);
  std::vector<tool_name> tools;
  if (read && read->tools)
    tools = *read->tools;
  // Every runtime has it, but not as a tool of its own.
  std::erase(tools, question_tool());
  return tools;
}

// -- what a model is told -------------------------------------------------------------------------

json text_schema(std::string_view description) {
  return {{"type", "string"}, {"description", std::string{description}}};
}

json object_schema(json properties, json required) {
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

using agent_list = std::map<std::string, std::string>;

json agent_schema(const agent_list& agents, std::string_view description) {
  auto schema = text_schema(description);
  for (const auto& [name, unused] : agents)
    schema["enum"].push_back(name);
  return schema;
}

std::string agents_text(const agent_list& agents) {
  std::string text;
  for (const auto& [name, description] : agents)
    text += "\n- " + name + ": " + description;
  return text.empty() ? text : "\nThe agents are:" + text;
}

/// Whom a subtask can be handed over to: not a script, whose steps it does not have.
agent_list successors(const model_agent_options& options) {
  auto agents = options.agents;
  agents.erase(default_agent().str());
  return agents;
}

/// The tools that subtasks of a plan can use, whatever its author may call itself.
std::string tools_text(const step_context& ctx) {
  std::string text;
  if (const auto tools = tools_for(ctx, std::nullopt))
    for (const auto& each : *tools)
      text += "\n- " + each.name + ": " + each.description;
  return text.empty() ? text : "\nThe tools that agents can call are:" + text;
}

model_tool proposing_tool(const model_agent_options& options, const step_context& ctx) {
  auto subtask = object_schema(
      {{"id", text_schema("Names the subtask in this plan: 1 to 64 of A-Z a-z 0-9 . _ -")},
       {"description", text_schema("All that who works on it needs to know.")},
       {"agent", agent_schema(options.agents, "Who works on it.")},
       {"depends_on",
        {{"type", "array"},
         {"items", {{"type", "string"}}},
         {"description", "The ids of subtasks whose results it needs. They are done before."}}},
       {"parameters", {{"type", "object"}, {"description", "What its agent takes, if anything."}}},
       {"steps",
        {{"type", "array"},
         {"items", {{"type", "object"}}},
         {"description", "For agent script alone: the tool calls to make one after the other, each "
                         "{\"tool\": NAME, \"arguments\": {...}}."}}},
       {"result", {{"description", "For agent script alone: its result."}}}},
      json::array({"id", "description"}));
  auto schema = object_schema(
      {{"goal", text_schema("What the plan as a whole is for.")},
       {"subtasks", {{"type", "array"}, {"minItems", 1}, {"items", std::move(subtask)}}}},
      json::array({"goal", "subtasks"}));
  return {std::string{proposing},
          std::string{"Proposes a plan, which a person approves, rejects or sends back. "}
              + (options.planner ? "" : "It takes the place of the plan that you work in. ")
              + "It has to be your only call." + agents_text(options.agents) + tools_text(ctx),
          std::move(schema)};
}

model_tool handing_over_tool(const agent_list& agents) {
  return {std::string{handing_over},
          "Gives your subtask to another agent, which sees all that you have seen. It has to be "
          "your only call."
              + agents_text(agents),
          object_schema({{"agent", agent_schema(agents, "Who goes on.")},
                         {"note", text_schema("What they should know.")}},
                        json::array({"agent"}))};
}

/// The tools to offer. Errors: `unknown_tool`, `invalid_field` for a tool with a name that is ours.
result<std::vector<model_tool>> offered_tools(const model_agent_options& options,
                                              const model_parameters& wanted,
                                              const step_context& ctx) {
  auto names = wanted.tools ? wanted.tools : options.tools;
  if (!names && options.planner)
    names.emplace({question_tool()});
  auto tools = tools_for(ctx, names);
  if (!tools)
    return tools;
  std::vector<model_tool> ours;
  ours.emplace_back().name = refused_call().str();
  if (options.planner || options.may_propose)
    ours.push_back(proposing_tool(options, ctx));
  if (const auto agents = successors(options); options.may_hand_over && !agents.empty())
    ours.push_back(handing_over_tool(agents));
  for (auto& each : ours) {
    const auto name = *tool_name::parse(each.name);
    if ((ctx.tools != nullptr && ctx.tools->find(name) != nullptr)
        || (ctx.declared_tools != nullptr && ctx.declared_tools->contains(each.name)))
      return refuse_reply("tools", "there is a tool called \"" + each.name
                                       + "\", a name that this agent needs for itself");
    if (name != refused_call())
      tools->push_back(std::move(each));
  }
  return tools;
}

/// What a planner is told in place of a subtask.
std::string planner_task(const model_parameters& wanted, const step_context& ctx) {
  std::string text = "Turn what the user says into a plan.\n";
  if (!wanted.revises.is_null())
    text += "\nYou proposed this plan before:\n" + to_text(wanted.revises)
            + "\n\nA person sent it back, and said:\n" + wanted.feedback + "\n";
  // The message that started it is among the others.
  const auto& messages = ctx.earlier_messages;
  if (std::none_of(messages.begin(), messages.end(),
                   [&](const auto& message) { return message.text == ctx.goal; }))
    text += "\nThe user says:\n" + ctx.goal + "\n";
  return text;
}

conversation_options how_to_tell(const model_agent_options& options, const model_parameters& wanted,
                                 const step_context& ctx) {
  conversation_options how;
  how.system = !options.system.empty() ? options.system
                                       : std::string{options.planner ? planner_text : worker_text};
  if (!wanted.system.empty())
    how.system += "\n\n" + wanted.system;
  if (options.planner)
    how.task = planner_task(wanted, ctx);
  return how;
}

/// How many steps this attempt has taken: each left an entry, and calls with a text before them
/// two.
std::size_t steps_taken(const step_context& ctx) {
  std::size_t steps = 0;
  bool said = false;
  for (const auto& entry : ctx.transcript) {
    const bool continues = said && entry.source == entry_source::agent && !entry.calls.empty();
    if (entry.source != entry_source::user && !continues)
      ++steps;
    said = entry.source == entry_source::agent && entry.calls.empty();
  }
  return steps;
}

result<turn> prepare(const model_agent_options& options, const step_context& ctx) {
  const auto wanted = read_parameters(options, ctx.subtask);
  if (!wanted)
    return wanted.error();
  const auto max_steps = wanted->max_steps.value_or(options.max_steps);
  if (steps_taken(ctx) >= max_steps)
    return make_error(errc::limit_exceeded, "the agent has taken " + std::to_string(max_steps)
                                                + " steps without an end (limit max_steps)");
  auto tools = offered_tools(options, *wanted, ctx);
  if (!tools)
    return std::move(tools.error());
  turn made;
  made.model = wanted->model.value_or(options.model);
  made.request.messages = conversation_of(ctx, how_to_tell(options, *wanted, ctx));
  made.request.tools = std::move(*tools);
  for (const auto& each : made.request.tools)
    made.offered.push_back(each.name);
  return made;
}

// -- what a reply becomes -------------------------------------------------------------------------

bool is_offered(const turn& asked, std::string_view name) {
  return std::find(asked.offered.begin(), asked.offered.end(), name) != asked.offered.end();
}

/// Nothing at all is what models write for a tool that takes nothing.
result<json> read_arguments(const model_call& written) {
  if (written.arguments.find_first_not_of(" \t\r\n") == std::string::npos)
    return json::object();
  return parse_json(written.arguments);
}

/// The step that a call of `propose_plan` is.
result<step> read_proposal(const model_call& written, const step_context& ctx) {
  const auto arguments = read_arguments(written);
  if (!arguments)
    return arguments.error();
  auto plan = fermata::from_json<plan_spec>(*arguments);
  if (!plan)
    return std::move(plan.error());
  if (plan->tools.empty() && ctx.declared_tools != nullptr)
    plan->tools = *ctx.declared_tools;
  return step::propose(std::move(*plan));
}

/// The step that a call of `hand_over` is.
result<step> read_handover(const model_agent_options& options, const model_call& written,
                           const std::string& said) {
  const auto arguments = read_arguments(written);
  if (!arguments)
    return arguments.error();
  const auto read = fermata::from_json<handover>(*arguments);
  if (!read)
    return read.error();
  if (const auto agents = successors(options); !agents.contains(read->agent.str()))
    return make_error(errc::unknown_agent, "there is no agent \"" + read->agent.str()
                                               + "\" to hand over to." + agents_text(agents));
  auto note = said;
  if (!said.empty() && !read->note.empty())
    note += "\n\n";
  note += read->note;
  return step::hand_over(read->agent.str(), readable_excerpt(std::move(note), max_said_bytes));
}

/// The step that a reply is as a whole, if its only call is one of ours. Errors: why it is none.
result<std::optional<step>> read_only_call(const model_agent_options& options, const turn& asked,
                                           const step_context& ctx, const model_reply& reply) {
  if (reply.calls.size() != 1 || reply.stop == model_stop::cut_off)
    return std::optional<step>{};
  const auto& only = reply.calls.front();
  if (!is_offered(asked, only.name) || (only.name != proposing && only.name != handing_over))
    return std::optional<step>{};
  auto read =
      only.name == proposing ? read_proposal(only, ctx) : read_handover(options, only, reply.text);
  if (!read)
    return std::move(read.error());
  return std::optional<step>{std::move(*read)};
}

tool_request request_of(const model_call& written, const turn& asked) {
  if (!is_offered(asked, written.name)) {
    std::string names;
    for (const auto& each : asked.offered)
      names += (names.empty() ? "" : ", ") + each;
    return refuse_call(written, "There is no tool called " + quoted_excerpt(written.name)
                                    + " for you; the tools are: "
                                    + (names.empty() ? std::string{"none"} : names));
  }
  if (written.name == proposing || written.name == handing_over)
    return refuse_call(written, written.name + " has to be the only call of a reply.");
  auto arguments = read_arguments(written);
  // A name that was offered is one; what is no object is for the session to refuse.
  return {*tool_name::parse(written.name),
          arguments && arguments->is_object() ? std::move(*arguments) : json(written.arguments)};
}

/// What the agent said last, in several pieces because it was cut off.
std::string unfinished_text(const step_context& ctx) {
  auto from = ctx.transcript.end();
  while (from != ctx.transcript.begin() && (from - 1)->source == entry_source::agent
         && (from - 1)->calls.empty())
    --from;
  std::string text;
  for (; from != ctx.transcript.end(); ++from)
    text += from->text;
  return text;
}

step step_of(const model_agent_options& options, const turn& asked, const step_context& ctx,
             model_reply reply) {
  const bool cut_off = reply.stop == model_stop::cut_off;
  if (reply.calls.empty())
    return cut_off ? step::say(std::move(reply.text))
                   : step::finish(unfinished_text(ctx) + reply.text);
  auto only = read_only_call(options, asked, ctx, reply);
  if (only && *only)
    return std::move(**only);
  std::vector<tool_request> requests;
  for (const auto& written : reply.calls) {
    if (!only)
      requests.push_back(refuse_call(written, message_of(only.error())));
    else if (cut_off && &written == &reply.calls.back())
      requests.push_back(refuse_call(written,
                                     "Your reply was cut off at your limit of output while "
                                     "you wrote this call. Write less at once."));
    else
      requests.push_back(request_of(written, asked));
  }
  return step::calls(readable_excerpt(std::move(reply.text), max_said_bytes), std::move(requests));
}

/// Stateless: what the model is asked follows from the transcript (P7).
coro::task<step> take_turn(std::shared_ptr<const model_agent_options> options, step_context& ctx) {
  auto asked = prepare(*options, ctx);
  if (!asked)
    co_return step::fail(message_of(asked.error()));
  model_reply reply;
  caf::error failed;
  try {
    reply = co_await complete(ctx, asked->model, std::move(asked->request));
  } catch (const coro::failure& thrown) {
    failed = thrown.reason();
  }
  if (failed)
    co_return is(failed, errc::model_failed) ? step::fail_retryable(message_of(failed))
                                             : step::fail(message_of(failed));
  co_return step_of(*options, *asked, ctx, std::move(reply));
}

} // namespace

agent model_agent(model_agent_options options) {
  const auto shared = std::make_shared<const model_agent_options>(std::move(options));
  agent made;
  made.run = [shared](step_context& ctx) { return take_turn(shared, ctx); };
  made.check = [shared](const subtask_spec& subtask) { return check_subtask(*shared, subtask); };
  made.tools_of = [shared](const subtask_spec& subtask) { return tools_of(*shared, subtask); };
  return made;
}

} // namespace fermata
