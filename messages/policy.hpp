#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/json.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// An approval policy as it is written: plain data, and the JSON that policies load from.
namespace fermata {

/// What a rule is about.
enum class policy_subject : std::uint8_t { plan, tool };
constexpr std::array<std::string_view, 2> enum_names(policy_subject) {
  return {"plan", "tool"};
}

enum class policy_action : std::uint8_t {
  allow, ///< It goes on; nobody is asked.
  ask,   ///< A person decides.
  deny   ///< A call is rejected at once, a plan is refused.
};
constexpr std::array<std::string_view, 3> enum_names(policy_action) {
  return {"allow", "ask", "deny"};
}

/// What a rule holds for: all of it must fit. Empty: everything.
struct policy_match {
  /// Nothing: tool calls and plans; a rule with `tool` or `arguments` is about tool calls anyway.
  std::optional<policy_subject> kind;
  std::string tool;  ///< A glob for the tool's name; empty: any.
  std::string agent; ///< A glob for the agent that calls or proposes; empty: any, or none at all.
  /// Conditions on the arguments: by JSON Pointer (RFC 6901), operators with their operands:
  ///
  ///     equals V            the same value (numbers by value, so 1 equals 1.0)
  ///     one_of [V, ...]     one of these values
  ///     glob TEXT           a string: * any text, ? any character, [a-z] {a,b} one of; \ quotes
  ///     path TEXT           a string that is a path, its ".", ".." and needless slashes resolved
  ///     as
  ///                         text (links are not followed): * and ? stay within a folder, ** does
  ///                         not, and **/ is any number of folders
  ///     matches TEXT        a string that an RE2 expression matches from end to end
  ///     less_than N, at_most N, at_least N, more_than N     a number
  ///     exists BOOLEAN      there is, or is not, such a value
  ///
  /// All of them must hold. An operator on a value that is not there, or of another type, does not.
  std::map<std::string, std::map<std::string, json>> arguments;

  policy_match() = default;
  friend bool operator==(const policy_match&, const policy_match&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("kind", &policy_match::kind),
                      optional_field("tool", &policy_match::tool),
                      optional_field("agent", &policy_match::agent),
                      optional_field("arguments", &policy_match::arguments)};
  }
};

/// One rule.
struct policy_rule {
  policy_match match;
  policy_action action = policy_action::ask;
  /// How long what it holds for may wait for a decision, a result or an answer before it expires
  /// (a plan: is cancelled); of a call's own limit and this the shorter counts. 0: for ever.
  std::chrono::milliseconds expires_after{0};
  /// What the person who decides is told; with deny: what the agent, or who proposed a plan, is.
  std::string prompt;
  /// False, with ask: each call is decided, whatever is remembered.
  bool may_remember = true;

  policy_rule() = default;
  friend bool operator==(const policy_rule&, const policy_rule&) = default;

  /// A rule for all plans.
  [[nodiscard]] static policy_rule for_plans(policy_action action) {
    policy_rule rule;
    rule.match.kind = policy_subject::plan;
    rule.action = action;
    return rule;
  }
  /// A rule for the calls of all tools whose name fits the glob.
  [[nodiscard]] static policy_rule for_tools(std::string glob, policy_action action) {
    policy_rule rule;
    rule.match.kind = policy_subject::tool;
    rule.match.tool = std::move(glob);
    rule.action = action;
    return rule;
  }
  [[nodiscard]] policy_rule expiring(std::chrono::milliseconds after) && {
    expires_after = after;
    return std::move(*this);
  }

  static constexpr auto fields() {
    return field_list{optional_field("match", &policy_rule::match),
                      field("action", &policy_rule::action),
                      optional_field("expires_after_ms", &policy_rule::expires_after),
                      optional_field("prompt", &policy_rule::prompt),
                      optional_field("may_remember", &policy_rule::may_remember)};
  }
};

/// Rules in order: the first that fits decides.
struct policy_spec {
  std::vector<policy_rule> rules;
  policy_action otherwise = policy_action::ask; ///< `default`: where no rule fits.

  policy_spec() = default;
  friend bool operator==(const policy_spec&, const policy_spec&) = default;
  static constexpr auto fields() {
    return field_list{field("rules", &policy_spec::rules),
                      field("default", &policy_spec::otherwise)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<policy_match>;
extern template struct struct_codec<policy_rule>;
extern template struct struct_codec<policy_spec>;

} // namespace fermata::detail
