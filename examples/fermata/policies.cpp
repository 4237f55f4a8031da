#include "policies.hpp"

#include "escape.hpp"
#include "inputs.hpp"
#include "render.hpp"
#include "store_memory.hpp"
#include "stores.hpp"
#include "times.hpp"

#include <utility>

namespace fermata::command_line {

namespace {

constexpr std::size_t policy_size_bytes = 1'000'000;

file_choice choice_of(const std::string& given) {
  return {given, "FERMATA_POLICY", remembered_policy, policy_size_bytes};
}

result<chosen_policy> read_policy(const std::optional<chosen_file>& file) {
  chosen_policy chosen;
  if (!file)
    return chosen;
  auto policy = approval_policy::parse(file->text);
  if (!policy)
    return make_error(code_of(policy.error()), file->name + ": " + message_of(policy.error()));
  chosen.policy = std::move(*policy);
  chosen.source = file->name;
  if (!file->is_remembered)
    chosen.to_remember = file->text;
  return chosen;
}

/// A rule in words, for a list of them.
std::string describe(const policy_rule& rule) {
  const auto& match = rule.match;
  std::string text = enum_name(rule.action);
  if (match.kind)
    text += *match.kind == policy_subject::plan ? "  plans" : "  calls";
  else
    text += match.tool.empty() && match.arguments.empty() ? "  plans and calls" : "  calls";
  if (!match.tool.empty())
    text += " of " + match.tool;
  if (!match.agent.empty())
    text += " by " + match.agent;
  for (const auto& [pointer, operations] : match.arguments)
    for (const auto& [name, operand] : operations)
      text += ", " + (pointer.empty() ? std::string{"arguments"} : pointer) + " " + name + " "
              + to_text(operand);
  if (rule.expires_after.count() > 0)
    text += ", expires after " + show_duration(rule.expires_after);
  if (!rule.may_remember)
    text += ", each time";
  if (!rule.prompt.empty())
    text += ": " + rule.prompt;
  return escape_line(text);
}

void show_rules(console& out, const chosen_policy& chosen) {
  const auto& spec = chosen.policy.spec();
  out.say(escape_line(chosen.source.empty() ? "The policy without a file" : chosen.source) + ": "
          + std::to_string(spec.rules.size()) + " rules, the first that fits decides.");
  for (std::size_t i = 0; i < spec.rules.size(); ++i)
    out.say("  " + std::to_string(i + 1) + "  " + describe(spec.rules[i]));
  out.say("  default  " + enum_name(spec.otherwise));
}

caf::error show_ruling(const arguments& given, console& out, const chosen_policy& chosen) {
  agent_name agent;
  if (!given.agent.empty()) {
    auto named = agent_name::parse(given.agent);
    if (!named)
      return std::move(named.error());
    agent = std::move(*named);
  }
  policy_ruling ruling;
  if (given.tool.empty()) {
    ruling = chosen.policy.rule_on_plan(agent);
  } else {
    const auto tool = tool_name::parse(given.tool);
    if (!tool)
      return tool.error();
    const auto arguments = given.new_arguments.empty()
                               ? result<json>{json::object()}
                               : read_json(given.new_arguments, "--arguments");
    if (!arguments)
      return arguments.error();
    ruling = chosen.policy.rule_on_call(*tool, agent, *arguments);
  }
  json line{{"policy", chosen.source}, {"action", enum_name(ruling.action)}, {"by", ruling.name()}};
  if (ruling.expires_after.count() > 0)
    line["expires_after_ms"] = ruling.expires_after.count();
  if (!ruling.prompt.empty())
    line["prompt"] = ruling.prompt;
  if (ruling.action == policy_action::ask)
    line["may_remember"] = ruling.may_remember;
  out.print(line);
  std::string text = enum_name(ruling.action) + " (" + ruling.name() + ")";
  if (ruling.expires_after.count() > 0)
    text += ", expires after " + show_duration(ruling.expires_after);
  if (!ruling.prompt.empty())
    text += ": " + ruling.prompt;
  out.say(escape_line(text));
  return caf::none;
}

} // namespace

result<chosen_policy> choose_policy(const std::string& given, const std::filesystem::path& store) {
  const auto file = choose_file(choice_of(given), store);
  return file ? read_policy(*file) : file.error();
}

caf::error check_policy(const arguments& given, console& out) {
  std::filesystem::path store;
  // With a file there need not be a store.
  if (auto located = locate_store(given.store); located)
    store = std::move(*located);
  else if (given.policy.empty())
    return std::move(located.error());
  const auto chosen = choose_policy(given.policy, store);
  if (!chosen)
    return chosen.error();
  if (!given.tool.empty() || given.of_plan)
    return show_ruling(given, out, *chosen);
  out.print({{"policy", chosen->source},
             {"rules", chosen->policy.spec().rules.size()},
             {"default", enum_name(chosen->policy.spec().otherwise)}});
  show_rules(out, *chosen);
  return caf::none;
}

} // namespace fermata::command_line
