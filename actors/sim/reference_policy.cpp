#include <fermata/actors/sim/reference_policy.hpp>

#include <re2/re2.h>

#include <algorithm>
#include <filesystem>
#include <vector>

namespace fermata::sim {

namespace {

/// Where the group that begins `glob` with `{` ends; what stands between its commas.
struct alternatives {
  std::vector<std::string_view> texts;
  std::string_view behind;
};

alternatives read_braces(std::string_view glob) {
  alternatives read;
  std::size_t depth = 0;
  std::size_t begin = 1;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      ++i;
    } else if (glob[i] == '[') {
      i = std::min(glob.find(']', i + 2), glob.size() - 1);
    } else if (glob[i] == '{') {
      ++depth;
    } else if (depth == 1 && (glob[i] == ',' || glob[i] == '}')) {
      read.texts.push_back(glob.substr(begin, i - begin));
      begin = i + 1;
    }
    if (glob[i] == '}' && --depth == 0) {
      read.behind = glob.substr(i + 1);
      break;
    }
  }
  return read;
}

/// `set` is what stands within the brackets.
bool is_in_set(char one, std::string_view set) {
  const bool negated = set.front() == '!' || set.front() == '^';
  set.remove_prefix(negated ? 1 : 0);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const bool is_range = i + 2 < set.size() && set[i + 1] == '-';
    found = found || (is_range ? set[i] <= one && one <= set[i + 2] : set[i] == one);
    i += is_range ? 2 : 0;
  }
  return found != negated;
}

/// A wildcard takes as much of the text as lets the rest fit.
bool fits_behind(std::string_view glob, std::string_view text, bool is_path, bool within_folder) {
  for (std::size_t taken = 0;; ++taken) {
    if (fits_glob(glob, text.substr(taken), is_path))
      return true;
    if (taken == text.size() || (within_folder && text[taken] == '/'))
      return false;
  }
}

} // namespace

bool fits_glob(std::string_view glob, std::string_view text, bool is_path) {
  if (glob.empty())
    return text.empty();
  if (is_path && glob.starts_with("**/")) {
    // No folder, or some that end with a slash.
    for (std::size_t taken = 0; taken <= text.size(); ++taken)
      if ((taken == 0 || text[taken - 1] == '/')
          && fits_glob(glob.substr(3), text.substr(taken), true))
        return true;
    return false;
  }
  if (glob.starts_with("**"))
    return fits_behind(glob.substr(2), text, is_path, false);
  switch (glob.front()) {
  case '*':
    return fits_behind(glob.substr(1), text, is_path, is_path);
  case '{': {
    const auto read = read_braces(glob);
    return std::any_of(read.texts.begin(), read.texts.end(), [&](std::string_view one) {
      return fits_glob(std::string{one} + std::string{read.behind}, text, is_path);
    });
  }
  default:
    break;
  }
  if (text.empty())
    return false;
  const auto next = [&](std::size_t taken) {
    return fits_glob(glob.substr(taken), text.substr(1), is_path);
  };
  switch (glob.front()) {
  case '?':
    return !(is_path && text.front() == '/') && next(1);
  case '[': {
    const auto end = glob.find(']', 2);
    return is_in_set(text.front(), glob.substr(1, end - 1)) && next(end + 1);
  }
  case '\\':
    if (glob.size() > 1)
      return glob[1] == text.front() && next(2);
    break;
  default:
    break;
  }
  return glob.front() == text.front() && next(1);
}

namespace {

/// Numbers of up to 64 bits, with a sign or a fraction; the wider type holds them all.
bool is_same(const json& left, const json& right) {
  if (left.is_number() && right.is_number())
    return left.get<long double>() == right.get<long double>();
  if (left.type() != right.type() || left.size() != right.size())
    return false;
  if (left.is_object()) {
    for (const auto& [name, value] : left.items())
      if (!right.contains(name) || !is_same(value, right.at(name)))
        return false;
    return true;
  }
  if (!left.is_array())
    return left == right;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (!is_same(left[i], right[i]))
      return false;
  return true;
}

std::string resolved(const std::string& path) {
  auto text = std::filesystem::path{path}.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/'))
    text.pop_back();
  return text;
}

/// `value` null: the arguments have none there.
bool holds(const std::string& operation, const json& operand, const json* value) {
  if (operation == "exists")
    return (value != nullptr) == operand.get<bool>();
  if (value == nullptr)
    return false;
  if (operation == "equals")
    return is_same(*value, operand);
  if (operation == "one_of")
    return std::any_of(operand.begin(), operand.end(),
                       [&](const json& one) { return is_same(*value, one); });
  if (operand.is_string()) {
    if (!value->is_string())
      return false;
    const auto text = value->get<std::string>();
    const auto pattern = operand.get<std::string>();
    if (operation == "matches")
      return re2::RE2::FullMatch(text, pattern);
    return operation == "path" ? fits_glob(pattern, resolved(text), true)
                               : fits_glob(pattern, text);
  }
  if (!value->is_number())
    return false;
  const auto left = value->get<long double>();
  const auto right = operand.get<long double>();
  return operation == "less_than"  ? left < right
         : operation == "at_most"  ? left <= right
         : operation == "at_least" ? left >= right
                                   : left > right;
}

/// The value that a JSON Pointer (RFC 6901) names; null: there is none.
const json* find_value(const json& arguments, std::string_view pointer) {
  const auto* found = &arguments;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i)
      token += pointer[i] != '~' ? pointer[i] : pointer[++i] == '0' ? '~' : '/';
    pointer.remove_prefix(end);
    if (found->is_object()) {
      const auto member = found->find(token);
      if (member == found->end())
        return nullptr;
      found = &*member;
      continue;
    }
    const bool is_index = !token.empty() && (token == "0" || token.front() != '0')
                          && token.find_first_not_of("0123456789") == std::string::npos;
    constexpr std::size_t longest_index = 9;
    if (!found->is_array() || !is_index || token.size() > longest_index
        || std::stoul(token) >= found->size())
      return nullptr;
    found = &(*found)[std::stoul(token)];
  }
  return found;
}

bool fits_name(const std::string& glob, const std::string& name) {
  return glob.empty() || fits_glob(glob, name);
}

template <class Fits>
reference_ruling first_of(const policy_spec& policy, Fits fits) {
  for (std::size_t i = 0; i < policy.rules.size(); ++i) {
    const auto& rule = policy.rules[i];
    if (fits(rule.match))
      return {rule.action, rule.may_remember, i + 1};
  }
  return {policy.otherwise, true, 0};
}

} // namespace

std::string reference_ruling::name() const {
  return rule == 0 ? "default" : "rule " + std::to_string(rule);
}

reference_ruling rule_on_plan(const policy_spec& policy, const agent_name& proposer) {
  return first_of(policy, [&](const policy_match& match) {
    return match.kind != policy_subject::tool && match.tool.empty() && match.arguments.empty()
           && fits_name(match.agent, proposer.str());
  });
}

reference_ruling rule_on_call(const policy_spec& policy, const tool_name& tool,
                              const agent_name& caller, const json& arguments) {
  return first_of(policy, [&](const policy_match& match) {
    if (match.kind == policy_subject::plan || !fits_name(match.tool, tool.str())
        || !fits_name(match.agent, caller.str()))
      return false;
    for (const auto& [pointer, operations] : match.arguments)
      for (const auto& [operation, operand] : operations)
        if (!holds(operation, operand, find_value(arguments, pointer)))
          return false;
    return true;
  });
}

} // namespace fermata::sim
