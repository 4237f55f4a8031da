#include <fermata/actors/sim/reference_policy.hpp>

#include <re2/re2.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

namespace fermata::sim {

namespace {

/// How many bytes the first character of a text has (UTF-8).
std::size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(size, text.size());
}

/// Where the set that begins a glob with `[` ends, behind its `]`.
std::size_t end_of_set(std::string_view glob) {
  return glob.find(']', 2) + 1;
}

/// `set` is what stands within the brackets.
bool is_in_set(std::string_view one, std::string_view set) {
  const bool negated = set.front() == '!' || set.front() == '^';
  set.remove_prefix(negated ? 1 : 0);
  bool found = false;
  while (!set.empty()) {
    const auto first = set.substr(0, character_size(set));
    set.remove_prefix(first.size());
    auto last = first;
    if (set.size() > 1 && set.front() == '-') {
      set.remove_prefix(1);
      last = set.substr(0, character_size(set));
      set.remove_prefix(last.size());
    }
    // UTF-8 sorts as its code points do.
    found = found || (first <= one && one <= last);
  }
  return found != negated;
}

/// What stands between the commas of a group that begins a glob with `{`, and where it ends.
struct alternatives {
  std::vector<std::string_view> globs;
  std::string_view behind;
};

alternatives read_braces(std::string_view glob) {
  alternatives read;
  std::size_t depth = 0;
  std::size_t begin = 1;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      ++i;
      continue;
    }
    if (glob[i] == '[') {
      i += end_of_set(glob.substr(i)) - 1;
      continue;
    }
    depth += glob[i] == '{';
    if (depth == 1 && (glob[i] == ',' || glob[i] == '}')) {
      read.globs.push_back(glob.substr(begin, i - begin));
      begin = i + 1;
    }
    if (glob[i] == '}' && --depth == 0) {
      read.behind = glob.substr(i + 1);
      break;
    }
  }
  return read;
}

/// Whether what a glob leaves of a text fits what comes behind the glob.
using fits_rest = std::function<bool(std::string_view)>;

/// Tries all ways in which a glob fits the beginning of a text: slow with many wildcards, and easy
/// to read.
class glob_matcher {
public:
  explicit glob_matcher(bool is_path) : is_path_{is_path} {}

  [[nodiscard]] bool fits(std::string_view glob, std::string_view text,
                          const fits_rest& behind) const {
    if (glob.empty())
      return behind(text);
    if (is_path_ && glob.starts_with("**/"))
      return fits_folders(glob.substr(3), text, behind);
    if (glob.starts_with("**"))
      return fits_any(glob.substr(2), text, behind, false);
    switch (glob.front()) {
    case '*':
      return fits_any(glob.substr(1), text, behind, is_path_);
    case '{': {
      const auto read = read_braces(glob);
      return std::any_of(read.globs.begin(), read.globs.end(), [&](std::string_view one) {
        return fits(one, text,
                    [&](std::string_view rest) { return fits(read.behind, rest, behind); });
      });
    }
    default:
      return !text.empty() && fits_character(glob, text, behind);
    }
  }

private:
  /// No folder, or some that end with a slash.
  [[nodiscard]] bool fits_folders(std::string_view glob, std::string_view text,
                                  const fits_rest& behind) const {
    for (std::size_t taken = 0; taken <= text.size(); ++taken)
      if ((taken == 0 || text[taken - 1] == '/') && fits(glob, text.substr(taken), behind))
        return true;
    return false;
  }

  [[nodiscard]] bool fits_any(std::string_view glob, std::string_view text, const fits_rest& behind,
                              bool within_folder) const {
    for (;;) {
      if (fits(glob, text, behind))
        return true;
      if (text.empty() || (within_folder && text.front() == '/'))
        return false;
      text.remove_prefix(character_size(text));
    }
  }

  [[nodiscard]] bool fits_character(std::string_view glob, std::string_view text,
                                    const fits_rest& behind) const {
    const auto one = text.substr(0, character_size(text));
    const auto rest = text.substr(one.size());
    if (glob.front() == '?')
      return !(is_path_ && one == "/") && fits(glob.substr(1), rest, behind);
    if (glob.front() == '[') {
      const auto end = end_of_set(glob);
      return is_in_set(one, glob.substr(1, end - 2)) && fits(glob.substr(end), rest, behind);
    }
    if (glob.front() == '\\' && glob.size() > 1)
      glob.remove_prefix(1);
    return glob.starts_with(one) && fits(glob.substr(one.size()), rest, behind);
  }

  bool is_path_;
};

} // namespace

bool fits_glob(std::string_view glob, std::string_view text, bool is_path) {
  return glob_matcher{is_path}.fits(glob, text, [](std::string_view rest) { return rest.empty(); });
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
