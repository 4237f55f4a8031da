#pragma once

#include <fermata/messages/ids.hpp>
#include <fermata/messages/policy.hpp>

#include <cstddef>
#include <string>

/// What an approval policy says by its documentation alone (messages/policy.hpp), read rule by rule
/// each time: monitors hold sessions against it, not against `approval_policy`, which sessions ask.
namespace fermata::sim {

/// What a policy says about one plan or call.
struct reference_ruling {
  policy_action action = policy_action::ask;
  bool may_remember = true;
  std::size_t rule = 0; ///< From 1; 0: the default.

  /// `rule N`, or `default`.
  [[nodiscard]] std::string name() const;
};

/// `proposer` empty: a host proposes the plan.
[[nodiscard]] reference_ruling rule_on_plan(const policy_spec& policy, const agent_name& proposer);
[[nodiscard]] reference_ruling rule_on_call(const policy_spec& policy, const tool_name& tool,
                                            const agent_name& caller, const json& arguments);

/// True if a glob stands for all of a text: * any characters, ? any one, [a-z] and [!a-z] one of a
/// set, {a,b} one of several, \ quotes. With `is_path`, * and ? stay within a folder, ** does not,
/// and **/ is any number of folders.
[[nodiscard]] bool fits_glob(std::string_view glob, std::string_view text, bool is_path = false);

} // namespace fermata::sim
