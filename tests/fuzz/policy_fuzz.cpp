// A policy is refused with a reason, or it rules on everything, and is the same policy after JSON.
#include "require.hpp"

#include <fermata/actors/policy.hpp>

using namespace fermata;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = approval_policy::parse({reinterpret_cast<const char*>(data), size});
  if (!policy) {
    fuzz::require(!message_of(policy.error()).empty(), "a refusal says why");
    fuzz::require(is_utf8(message_of(policy.error())), "a refusal is UTF-8");
    return 0;
  }
  static const json arguments = R"({"path": "src/../a.cpp", "argv": ["git", "log", -1, 2.5, null],
                                    "deep": {"a/b": [true, {"": "x"}]}})"_json;
  static const auto tool = *tool_name::parse("write_file");
  static const auto agent = *agent_name::parse("writer");
  const auto ruling = policy->rule_on_call(tool, agent, arguments);
  fuzz::require(ruling.rule <= policy->spec().rules.size(), "a rule of the policy decides");
  const auto again = approval_policy::parse(to_text(to_json(policy->spec())));
  fuzz::require(again.engaged(), "a policy parses again");
  fuzz::require(again->spec() == policy->spec(), "a policy is the same after JSON");
  fuzz::require(again->rule_on_call(tool, agent, arguments).rule == ruling.rule,
                "a policy rules the same after JSON");
  fuzz::require(policy->rule_on_plan({}).rule <= policy->spec().rules.size(), "plans are ruled on");
  return 0;
}
