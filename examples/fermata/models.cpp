#include "models.hpp"

#include "store_memory.hpp"

#include <algorithm>
#include <fermata/actors/agents/model.hpp>
#include <fermata/actors/models/scripted.hpp>
#include <memory>
#include <utility>

namespace fermata::command_line {

namespace {

caf::error refuse(const std::string& path, const std::string& why) {
  return make_error(errc::invalid_field, path + ": " + why);
}

template <class Map>
std::string names_of(const Map& entries) {
  std::string names;
  for (const auto& [name, unused] : entries)
    names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

caf::error check(const std::string& path, const reply_script& reply) {
  if (!reply.text.empty() && !reply.parts.empty())
    return refuse(path, "text and parts: a reply has one of them");
  const bool says = !reply.text.empty() || !reply.parts.empty() || !reply.calls.empty();
  if (!reply.failure.empty() && says)
    return refuse(path, "a reply that is a failure says and calls nothing");
  return caf::none;
}

caf::error check(const model_setup& setup) {
  for (const auto& [name, model] : setup.models) {
    if (name.empty())
      return refuse("models", "a model needs a name");
    for (std::size_t i = 0; i < model.replies.size(); ++i)
      if (auto error =
              check("models." + name + ".replies[" + std::to_string(i) + "]", model.replies[i]))
        return error;
  }
  for (const auto& [name, agent] : setup.agents) {
    if (const auto parsed = agent_name::parse(name); !parsed)
      return make_error(code_of(parsed.error()), "agents: " + message_of(parsed.error()));
    if (name == default_agent().str())
      return refuse("agents." + name, "there is an agent of this name already");
    if (!setup.models.contains(agent.model))
      return refuse("agents." + name + ".model", "there is no model " + quoted_excerpt(agent.model)
                                                     + "; the file has: " + names_of(setup.models));
    if (agent.max_steps == 0U)
      return refuse("agents." + name + ".max_steps", "expected a number from 1");
  }
  if (!setup.planner.empty() && !setup.agents.contains(setup.planner.str()))
    return refuse("planner", "there is no agent " + quoted_excerpt(setup.planner.str())
                                 + "; the file has: " + names_of(setup.agents));
  return caf::none;
}

scripted_reply reply_of(const reply_script& given) {
  scripted_reply made;
  if (!given.failure.empty())
    made.failure = make_error(errc::model_failed, given.failure);
  made.parts = given.parts;
  made.delay = given.delay;
  made.pause = given.pause;
  auto& reply = made.reply;
  reply.text = given.text;
  for (const auto& part : given.parts)
    reply.text += part;
  for (const auto& call : given.calls) {
    auto arguments = call.arguments.is_string() ? call.arguments.get<std::string>()
                     : call.arguments.is_null() ? std::string{}
                                                : to_text(call.arguments);
    reply.calls.emplace_back(std::string{}, call.tool, std::move(arguments));
  }
  reply.stop = given.cut_off ? model_stop::cut_off : model_stop::finished;
  reply.input_tokens = given.input_tokens;
  reply.output_tokens = given.output_tokens;
  return made;
}

/// True if a message since the model's last one contains `text`.
bool was_told(const model_request& request, const std::string& text) {
  for (auto message = request.messages.rbegin();
       message != request.messages.rend() && message->role != model_role::assistant; ++message)
    if (message->text.find(text) != std::string::npos)
      return true;
  return false;
}

std::shared_ptr<model> model_of(const model_script& script) {
  struct conditional {
    std::string told;
    scripted_reply reply;
  };
  std::vector<conditional> conditionals;
  std::vector<scripted_reply> others;
  for (const auto& each : script.replies) {
    if (each.condition.empty())
      others.push_back(reply_of(each));
    else
      conditionals.push_back({each.condition, reply_of(each)});
  }
  return std::make_shared<scripted_model>([conditionals, in_turn = by_turn(std::move(others))](
                                              const model_request& request) {
    const auto found = std::find_if(conditionals.begin(), conditionals.end(),
                                    [&](const auto& one) { return was_told(request, one.told); });
    return found != conditionals.end() ? found->reply : in_turn(request);
  });
}

result<model_setup> parse_models(const std::string& text) {
  const auto value = parse_json(text);
  if (!value)
    return value.error();
  auto setup = fermata::from_json<model_setup>(*value);
  if (setup)
    if (auto error = check(*setup))
      return error;
  return setup;
}

/// Whom a model can name in plans, and hand over to.
std::map<std::string, std::string> workers_of(const model_setup& setup) {
  std::map<std::string, std::string> workers{
      {default_agent().str(), "makes the tool calls that its steps list, one after the other"}};
  for (const auto& [name, agent] : setup.agents)
    if (name != setup.planner.str())
      workers[name] = agent.description;
  return workers;
}

} // namespace

result<chosen_models> choose_models(const std::string& given, const std::filesystem::path& store) {
  auto file =
      choose_file({given, "FERMATA_MODELS", remembered_models, limits{}.plan_size_bytes}, store);
  if (!file)
    return std::move(file.error());
  chosen_models chosen;
  if (!*file)
    return chosen;
  auto setup = parse_models((*file)->text);
  if (!setup)
    return make_error(code_of(setup.error()), (*file)->name + ": " + message_of(setup.error()));
  chosen.setup = std::move(*setup);
  if (!(*file)->is_remembered)
    chosen.to_remember = std::move((*file)->text);
  return chosen;
}

caf::error add_models(runtime& to, const model_setup& setup) {
  for (const auto& [name, script] : setup.models)
    if (auto error = to.models().add(name, model_of(script)))
      return error;
  const auto workers = workers_of(setup);
  for (const auto& [name, script] : setup.agents) {
    model_agent_options options;
    options.model = script.model;
    options.system = script.system;
    options.tools = script.tools;
    options.max_steps = script.max_steps.value_or(options.max_steps);
    options.agents = workers;
    options.may_propose = script.may_propose;
    options.may_hand_over = script.may_hand_over;
    options.planner = name == setup.planner.str();
    if (auto error = to.agents().add(name, model_agent(std::move(options))))
      return error;
  }
  return caf::none;
}

} // namespace fermata::command_line
