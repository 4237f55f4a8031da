#pragma once

#include <fermata/messages/ids.hpp>
#include <fermata/messages/policy.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace fermata {

/// What a policy says about one plan or one tool call.
struct policy_ruling {
  policy_action action = policy_action::ask;
  std::size_t rule = 0;                       ///< Which rule decided, from 1; 0: the default.
  std::chrono::milliseconds expires_after{0}; ///< 0: for ever.
  std::string prompt;
  bool may_remember = true;

  policy_ruling() = default;
  /// `rule N`, or `default`: as events and messages name it.
  [[nodiscard]] std::string name() const;
};

/// Which plans and tool calls run freely, need a person's decision, or are denied: a `policy_spec`,
/// checked and compiled. Immutable but for `prefer`; copies are cheap; to be read by any thread.
class approval_policy {
public:
  /// As `reads`.
  approval_policy();

  /// Errors: `invalid_field`, naming the rule and the part of it that is refused: an unknown
  /// operator, an operand of the wrong type, a bad expression or pointer, a rule for plans with a
  /// condition on tools, a negative expiry. `limit_exceeded`: more than 1,000 rules.
  [[nodiscard]] static result<approval_policy> compile(policy_spec spec);

  /// Reads a policy from JSON text. Errors: as `compile`; `invalid_json` with line and column.
  [[nodiscard]] static result<approval_policy> parse(std::string_view text);

  /// `list_files`, `read_file` and `search_files` run freely; every plan and every other call is
  /// asked for.
  [[nodiscard]] static approval_policy reads();
  /// Every plan and every call is asked for.
  [[nodiscard]] static approval_policy ask_everything();
  /// No plan and no call is asked for.
  [[nodiscard]] static approval_policy allow_everything();
  /// Every plan is asked for, no call is.
  [[nodiscard]] static approval_policy ask_for_plans();

  /// The same policy, but where this one allows, the other one asks.
  [[nodiscard]] approval_policy allowing_nothing() const;

  /// Puts a rule in front of the others. Throws `std::invalid_argument`, with the message of
  /// `compile`, for a rule that cannot be.
  approval_policy& prefer(policy_rule rule);

  [[nodiscard]] const policy_spec& spec() const noexcept;

  /// On a plan that `proposer` proposes; empty: a host does.
  [[nodiscard]] policy_ruling rule_on_plan(const agent_name& proposer) const;

  /// On a call. A question (`question_tool`) is a call as well; no action but deny matters to it.
  [[nodiscard]] policy_ruling rule_on_call(const tool_name& tool, const agent_name& caller,
                                           const json& arguments) const;

private:
  struct compiled;
  explicit approval_policy(std::shared_ptr<const compiled> rules) : rules_{std::move(rules)} {}
  std::shared_ptr<const compiled> rules_;
};

} // namespace fermata
