#include <fermata/actors/policy.hpp>

#include <fermata/messages/limits.hpp>

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fermata {

namespace {

constexpr std::size_t max_rules = 1'000;

/// Memory that one expression may use; RE2 matches in time linear to the text.
constexpr std::int64_t expression_memory_bytes = 1 << 20;

caf::error refuse(const std::string& path, const std::string& why) {
  return make_error(errc::invalid_field, path + ": " + why);
}

using expression_ptr = std::shared_ptr<const re2::RE2>;

result<expression_ptr> compile_expression(const std::string& pattern, const std::string& path) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(expression_memory_bytes);
  auto made = std::make_shared<const re2::RE2>(pattern, options);
  if (!made->ok())
    return refuse(path, "not an RE2 expression: " + made->error());
  return expression_ptr{std::move(made)};
}

/// How a glob's wildcards read as an expression.
struct glob_style {
  std::string_view any;       ///< *
  std::string_view any_depth; ///< **
  std::string_view one;       ///< ?
  bool has_folders = false;   ///< `**/` stands for any number of folders, also for none.
};
constexpr glob_style text_glob{".*", ".*", "."};
constexpr glob_style path_glob{"[^/]*", ".*", "[^/]", true};

/// Translates a glob, so that it matches in linear time as all expressions do.
class glob_translator {
public:
  glob_translator(const std::string& glob, const glob_style& style) : rest_{glob}, style_{style} {}

  /// The expression, or what is wrong with the glob.
  result<std::string> translate(const std::string& path) {
    while (!rest_.empty())
      if (!take_one())
        return refuse(path, "the glob has a [ without its ]; \\[ stands for the character");
    if (open_braces_ > 0)
      return refuse(path, "the glob has a { without its }; \\{ stands for the character");
    return std::move(pattern_);
  }

private:
  bool take_one() {
    if (style_.has_folders && rest_.starts_with("**/"))
      return take(3, "(?:.*/)?");
    if (rest_.starts_with("**"))
      return take(2, style_.any_depth);
    switch (rest_.front()) {
    case '*':
      return take(1, style_.any);
    case '?':
      return take(1, style_.one);
    case '[':
      return take_set();
    case '{':
      ++open_braces_;
      return take(1, "(?:");
    case '\\':
      if (rest_.size() > 1)
        rest_.remove_prefix(1);
      break;
    case ',':
      if (open_braces_ > 0)
        return take(1, "|");
      break;
    case '}':
      if (open_braces_ > 0) {
        --open_braces_;
        return take(1, ")");
      }
      break;
    default:
      break;
    }
    return take(1, re2::RE2::QuoteMeta(re2::StringPiece{rest_.data(), 1}));
  }

  bool take(std::size_t length, std::string_view pattern) {
    rest_.remove_prefix(length);
    pattern_ += pattern;
    return true;
  }

  bool take_set() {
    const auto end = rest_.find(']', 2);
    if (end == std::string_view::npos)
      return false;
    auto set = std::string{rest_.substr(1, end - 1)};
    if (set.front() == '!')
      set.front() = '^';
    return take(end + 1, "[" + set + "]");
  }

  std::string_view rest_;
  glob_style style_;
  std::string pattern_ = "(?s)"; // a line break is a character as any other
  std::size_t open_braces_ = 0;
};

result<expression_ptr> compile_glob(const std::string& glob, const glob_style& style,
                                    const std::string& path) {
  const auto pattern = glob_translator{glob, style}.translate(path);
  return pattern ? compile_expression(*pattern, path) : pattern.error();
}

bool matches(const re2::RE2& expression, const std::string& text) {
  return re2::RE2::FullMatch(text, expression);
}

/// Compares numbers by value: an integer never loses digits to a comparison with another integer.
std::partial_ordering compare_numbers(const json& left, const json& right) {
  if (left.is_number_float() || right.is_number_float())
    return left.get<double>() <=> right.get<double>();
  const bool left_negative = !left.is_number_unsigned() && left.get<std::int64_t>() < 0;
  const bool right_negative = !right.is_number_unsigned() && right.get<std::int64_t>() < 0;
  if (left_negative != right_negative)
    return left_negative ? std::partial_ordering::less : std::partial_ordering::greater;
  if (left_negative)
    return left.get<std::int64_t>() <=> right.get<std::int64_t>();
  return left.get<std::uint64_t>() <=> right.get<std::uint64_t>();
}

/// Numbers by value at any depth, which nlohmann's own comparison is not exact about.
bool same_value(const json& left, const json& right) {
  if (left.is_number() && right.is_number())
    return compare_numbers(left, right) == 0;
  if (left.type() != right.type() || left.size() != right.size())
    return false;
  if (left.is_array())
    return std::equal(left.begin(), left.end(), right.begin(), same_value);
  if (!left.is_object())
    return left == right;
  return std::equal(left.items().begin(), left.items().end(), right.items().begin(),
                    [](const auto& one, const auto& other) {
                      return one.key() == other.key() && same_value(one.value(), other.value());
                    });
}

/// What an operator makes of the value that a pointer names; null: there is none.
using condition = std::function<bool(const json*)>;

/// A path without what leads nowhere: `.`, `..` and doubled slashes, as far as the text tells, and
/// a slash at its end, which tools do without.
std::string normal_path(const std::string& text) {
  auto path = std::filesystem::path{text}.lexically_normal().string();
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return path;
}

/// A condition on a string.
condition on_text(expression_ptr expression, bool as_path = false) {
  return [expression = std::move(expression), as_path](const json* value) {
    if (value == nullptr || !value->is_string())
      return false;
    const auto& text = value->get_ref<const std::string&>();
    return matches(*expression, as_path ? normal_path(text) : text);
  };
}

using operator_compiler = result<condition> (*)(const json& operand, const std::string& path);

result<condition> compile_equals(const json& operand, const std::string&) {
  return condition{
      [operand](const json* value) { return value != nullptr && same_value(*value, operand); }};
}

result<condition> compile_one_of(const json& operand, const std::string& path) {
  if (!operand.is_array() || operand.empty())
    return refuse(path, "expected an array of at least one value");
  return condition{[operand](const json* value) {
    return value != nullptr && std::any_of(operand.begin(), operand.end(), [&](const json& one) {
             return same_value(*value, one);
           });
  }};
}

result<condition> compile_exists(const json& operand, const std::string& path) {
  if (!operand.is_boolean())
    return refuse(path, "expected true or false");
  return condition{[expected = operand.get<bool>()](const json* value) {
    return (value != nullptr) == expected;
  }};
}

/// A condition on a string, by the expression that `compile` makes of the operand's text.
template <class Compile>
result<condition> compile_text(const json& operand, const std::string& path, Compile compile,
                               bool as_path = false) {
  if (!operand.is_string())
    return refuse(path, std::string{"expected a string, got "} + operand.type_name());
  auto expression = compile(operand.get_ref<const std::string&>());
  if (!expression)
    return std::move(expression.error());
  return on_text(std::move(*expression), as_path);
}

result<condition> compile_glob_condition(const json& operand, const std::string& path) {
  return compile_text(operand, path,
                      [&](const std::string& text) { return compile_glob(text, text_glob, path); });
}

result<condition> compile_path_condition(const json& operand, const std::string& path) {
  const auto compile = [&](const std::string& text) -> result<expression_ptr> {
    if (text.empty() || normal_path(text) != text)
      return refuse(path, "no path looks like it once it is resolved; accepted is a pattern "
                          "without .., ., doubled slashes and a slash at its end");
    return compile_glob(text, path_glob, path);
  };
  return compile_text(operand, path, compile, true);
}

result<condition> compile_matches(const json& operand, const std::string& path) {
  return compile_text(operand, path,
                      [&](const std::string& text) { return compile_expression(text, path); });
}

template <bool (*Holds)(std::partial_ordering)>
result<condition> compile_comparison(const json& operand, const std::string& path) {
  if (!operand.is_number())
    return refuse(path, std::string{"expected a number, got "} + operand.type_name());
  return condition{[operand](const json* value) {
    return value != nullptr && value->is_number() && Holds(compare_numbers(*value, operand));
  }};
}

bool is_less(std::partial_ordering order) {
  return order < 0;
}
bool is_at_most(std::partial_ordering order) {
  return order <= 0;
}
bool is_at_least(std::partial_ordering order) {
  return order >= 0;
}
bool is_more(std::partial_ordering order) {
  return order > 0;
}

constexpr std::array<std::pair<std::string_view, operator_compiler>, 10> operators{{
    {"equals", compile_equals},
    {"one_of", compile_one_of},
    {"glob", compile_glob_condition},
    {"path", compile_path_condition},
    {"matches", compile_matches},
    {"less_than", compile_comparison<is_less>},
    {"at_most", compile_comparison<is_at_most>},
    {"at_least", compile_comparison<is_at_least>},
    {"more_than", compile_comparison<is_more>},
    {"exists", compile_exists},
}};

result<condition> compile_operator(const std::string& name, const json& operand,
                                   const std::string& path) {
  const auto found = std::find_if(operators.begin(), operators.end(),
                                  [&](const auto& one) { return one.first == name; });
  if (found != operators.end())
    return found->second(operand, path + "." + name);
  std::string names;
  for (const auto& one : operators)
    names += (names.empty() ? "" : ", ") + std::string{one.first};
  return refuse(path + "." + name, "there is no such operator; there are: " + names);
}

/// A condition with the place in the arguments that it is on.
struct placed_condition {
  json::json_pointer at;
  condition holds;
};

/// A rule as it is looked at.
struct compiled_rule {
  bool for_plans = true;
  bool for_tools = true;
  expression_ptr tool;  ///< Null: any.
  expression_ptr agent; ///< Null: any.
  std::vector<placed_condition> conditions;
};

caf::error compile_conditions(const policy_match& match, const std::string& path,
                              compiled_rule& into) {
  for (const auto& [pointer, operations] : match.arguments) {
    const auto where = path + ".arguments[" + quoted_excerpt(pointer) + "]";
    std::optional<json::json_pointer> at;
    try {
      at.emplace(pointer);
    } catch (const json::exception&) {
      return refuse(where, "not a JSON Pointer: it is empty, or begins with / and has ~ only as ~0 "
                           "and ~1");
    }
    if (operations.empty())
      return refuse(where, "a condition needs an operator");
    for (const auto& [name, operand] : operations) {
      auto holds = compile_operator(name, operand, where);
      if (!holds)
        return std::move(holds.error());
      into.conditions.push_back({*at, std::move(*holds)});
    }
  }
  return caf::none;
}

/// Compiles a glob for a name; null for an empty one.
caf::error compile_name(const std::string& glob, const std::string& path, expression_ptr& into) {
  if (glob.empty())
    return caf::none;
  auto made = compile_glob(glob, text_glob, path);
  if (!made)
    return std::move(made.error());
  into = std::move(*made);
  return caf::none;
}

result<compiled_rule> compile_rule(const policy_rule& rule, const std::string& path) {
  compiled_rule made;
  const auto& match = rule.match;
  const bool about_tools = !match.tool.empty() || !match.arguments.empty();
  if (match.kind == policy_subject::plan && about_tools)
    return refuse(path + ".match", "a rule for plans has neither tool nor arguments");
  made.for_plans = match.kind != policy_subject::tool && !about_tools;
  made.for_tools = match.kind != policy_subject::plan;
  if (rule.expires_after.count() < 0)
    return refuse(path + ".expires_after_ms", "expected milliseconds from 0");
  if (rule.action == policy_action::deny && rule.expires_after.count() > 0)
    return refuse(path + ".expires_after_ms", "what is denied does not wait, so it cannot expire");
  if (auto error = compile_name(match.tool, path + ".match.tool", made.tool))
    return error;
  if (auto error = compile_name(match.agent, path + ".match.agent", made.agent))
    return error;
  if (auto error = compile_conditions(match, path + ".match", made))
    return error;
  return made;
}

bool fits_agent(const compiled_rule& rule, const agent_name& agent) {
  return !rule.agent || matches(*rule.agent, agent.str());
}

/// The value that a pointer names; null: there is none. nlohmann throws where a token cannot be an
/// index of the array that it meets.
const json* value_at(const json& arguments, const json::json_pointer& at) {
  try {
    return arguments.contains(at) ? &arguments.at(at) : nullptr;
  } catch (const json::exception&) {
    return nullptr;
  }
}

bool hold(const std::vector<placed_condition>& conditions, const json& arguments) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const placed_condition& one) {
    return one.holds(value_at(arguments, one.at));
  });
}

} // namespace

std::string policy_ruling::name() const {
  return rule == 0 ? "default" : "rule " + std::to_string(rule);
}

struct approval_policy::compiled {
  policy_spec spec;
  std::vector<compiled_rule> rules;

  /// What the first rule that fits says, else the default.
  template <class Fits>
  [[nodiscard]] policy_ruling first(Fits fits) const {
    policy_ruling ruling;
    ruling.action = spec.otherwise;
    const auto found = std::find_if(rules.begin(), rules.end(), fits);
    if (found == rules.end())
      return ruling;
    const auto position = static_cast<std::size_t>(found - rules.begin());
    const auto& rule = spec.rules[position];
    ruling.rule = position + 1;
    ruling.action = rule.action;
    ruling.expires_after = rule.expires_after;
    ruling.prompt = rule.prompt;
    ruling.may_remember = rule.may_remember;
    return ruling;
  }
};

result<approval_policy> approval_policy::compile(policy_spec spec) {
  if (auto error = check_limit("rules", spec.rules.size(), max_rules))
    return error;
  auto made = std::make_shared<compiled>();
  for (std::size_t i = 0; i < spec.rules.size(); ++i) {
    auto rule = compile_rule(spec.rules[i], "rules[" + std::to_string(i) + "]");
    if (!rule)
      return std::move(rule.error());
    made->rules.push_back(std::move(*rule));
  }
  made->spec = std::move(spec);
  return approval_policy{std::move(made)};
}

result<approval_policy> approval_policy::parse(std::string_view text) {
  const auto value = parse_json(text);
  if (!value)
    return value.error();
  auto spec = fermata::from_json<policy_spec>(*value);
  if (!spec)
    return std::move(spec.error());
  return compile(std::move(*spec));
}

approval_policy::approval_policy() : approval_policy{reads()} {}

approval_policy approval_policy::reads() {
  // Compiled once: it is every runtime's until it gets another one.
  static const auto made = [] {
    policy_spec spec;
    for (const auto* tool : {"list_files", "read_file", "search_files"})
      spec.rules.push_back(policy_rule::for_tools(tool, policy_action::allow));
    return *compile(std::move(spec));
  }();
  return made;
}

approval_policy approval_policy::ask_everything() {
  return *compile(policy_spec{});
}

approval_policy approval_policy::allow_everything() {
  policy_spec spec;
  spec.otherwise = policy_action::allow;
  return *compile(std::move(spec));
}

approval_policy approval_policy::ask_for_plans() {
  policy_spec spec;
  spec.rules.push_back(policy_rule::for_tools("*", policy_action::allow));
  return *compile(std::move(spec));
}

approval_policy approval_policy::allowing_nothing() const {
  auto stricter = spec();
  const auto ask_instead = [](policy_action& action) {
    if (action == policy_action::allow)
      action = policy_action::ask;
  };
  for (auto& rule : stricter.rules)
    ask_instead(rule.action);
  ask_instead(stricter.otherwise);
  return *compile(std::move(stricter));
}

approval_policy& approval_policy::prefer(policy_rule rule) {
  auto more = spec();
  more.rules.insert(more.rules.begin(), std::move(rule));
  auto made = compile(std::move(more));
  if (!made)
    throw std::invalid_argument(message_of(made.error()));
  return *this = std::move(*made);
}

const policy_spec& approval_policy::spec() const noexcept {
  return rules_->spec;
}

policy_ruling approval_policy::rule_on_plan(const agent_name& proposer) const {
  return rules_->first(
      [&](const compiled_rule& rule) { return rule.for_plans && fits_agent(rule, proposer); });
}

policy_ruling approval_policy::rule_on_call(const tool_name& tool, const agent_name& caller,
                                            const json& arguments) const {
  return rules_->first([&](const compiled_rule& rule) {
    return rule.for_tools && (!rule.tool || matches(*rule.tool, tool.str()))
           && fits_agent(rule, caller) && hold(rule.conditions, arguments);
  });
}

} // namespace fermata
