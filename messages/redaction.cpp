#include <fermata/messages/redaction.hpp>

#include <fermata/messages/limits.hpp>

#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

namespace fermata {

namespace {

constexpr std::size_t max_rules = 100;
constexpr std::size_t max_rule_size_bytes = 1'000;
constexpr std::size_t max_text_size_bytes = std::size_t{4} << 20;
/// Each match is another search of what is behind it, which may look at all of it.
constexpr std::size_t max_matches = 1'000;

/// What a file of rules says.
struct rules_file {
  std::vector<std::string> names;
  std::vector<std::string> patterns;
  std::vector<std::string> variables;

  rules_file() = default;
  static constexpr auto fields() {
    return field_list{optional_field("fields", &rules_file::names),
                      optional_field("patterns", &rules_file::patterns),
                      optional_field("environment", &rules_file::variables)};
  }
};

/// A part of a text, by its offsets.
struct extent {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::string lower(std::string_view text) {
  std::string made{text};
  for (auto& c : made)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return made;
}

bool continues_character(char c) {
  return (static_cast<std::uint8_t>(c) & 0xC0U) == 0x80U;
}

/// Grown to whole characters. In text that is no UTF-8 a character is never longer than in UTF-8.
extent whole_characters(extent part, std::string_view of) {
  constexpr std::size_t longest = 4;
  for (std::size_t i = 1; i < longest && part.begin > 0 && part.begin < of.size()
                          && continues_character(of[part.begin]);
       ++i)
    --part.begin;
  for (std::size_t i = 1; i < longest && part.end < of.size() && continues_character(of[part.end]);
       ++i)
    ++part.end;
  return part;
}

void find_all(const RE2& pattern, std::string_view text, std::vector<extent>& found) {
  const re2::StringPiece all(text.data(), text.size());
  re2::StringPiece match;
  std::size_t matches = 0;
  for (std::size_t from = 0;
       from < text.size() && pattern.Match(all, from, text.size(), RE2::UNANCHORED, &match, 1);) {
    const auto begin = static_cast<std::size_t>(match.data() - text.data());
    const extent one{begin, begin + match.size()};
    if (!match.empty())
      found.push_back(whole_characters(one, text));
    from = std::max(one.end, one.begin + (match.empty() ? 1 : 0));
    if (++matches == max_matches) {
      found.push_back(whole_characters({from, text.size()}, text));
      return;
    }
  }
}

/// In order, with those that touch or overlap as one.
std::vector<extent> merged(std::vector<extent> parts) {
  std::sort(parts.begin(), parts.end(),
            [](const extent& one, const extent& other) { return one.begin < other.begin; });
  std::vector<extent> made;
  for (const auto& part : parts)
    if (!made.empty() && part.begin <= made.back().end)
      made.back().end = std::max(made.back().end, part.end);
    else
      made.push_back(part);
  return made;
}

std::string place(std::string_view list, std::size_t index) {
  return std::string{list} + "[" + std::to_string(index) + "]";
}

caf::error check_rules(std::string_view list, const std::vector<std::string>& rules) {
  if (auto error = check_limit("redaction_rules", rules.size(), max_rules))
    return error;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].empty())
      return make_error(errc::invalid_field, place(list, i) + ": is empty, and would name nothing");
    if (auto error = check_limit("redaction_rule_size", rules[i].size(), max_rule_size_bytes))
      return make_error(errc::limit_exceeded, place(list, i) + ": " + message_of(error));
  }
  return caf::none;
}

result<std::shared_ptr<const RE2>> compile(const std::string& expression) {
  auto made = std::make_shared<const RE2>(expression, RE2::Quiet);
  if (!made->ok())
    return make_error(errc::invalid_field,
                      quoted_excerpt(expression)
                          + " is not a regular expression of RE2: " + made->error());
  if (RE2::FullMatch("", *made))
    return make_error(errc::invalid_field,
                      quoted_excerpt(expression) + " matches the empty text, which is everywhere");
  return result<std::shared_ptr<const RE2>>{std::move(made)};
}

/// As it stands within JSON text.
std::string escaped(const std::string& text, bool in_ascii) {
  const auto quoted = json(text).dump(-1, ' ', in_ascii, json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

/// The lines of a secret that has several, for instance of a private key: programs print them one
/// by one, or indented. Short ones could be anything.
std::vector<std::string> telling_lines(const std::string& secret) {
  constexpr std::size_t least_bytes = 8;
  std::vector<std::string> lines;
  if (secret.find_first_of("\r\n") == std::string::npos)
    return lines;
  for (std::size_t begin = 0; begin < secret.size();) {
    const auto end = std::min(secret.find_first_of("\r\n", begin), secret.size());
    const auto line = std::string_view{secret}.substr(begin, end - begin);
    const auto text = std::min(line.find_first_not_of(" \t"), line.size());
    const auto behind = line.find_last_not_of(" \t") + 1; // 0: there is none
    if (behind >= text + least_bytes)
      lines.emplace_back(line.substr(text, behind - text));
    begin = end + 1;
  }
  return lines;
}

/// Finds exactly these bytes, whatever they are, and what they look like where they are shown.
std::shared_ptr<const RE2> literal(const std::string& secret) {
  auto forms = telling_lines(secret);
  forms.push_back(secret);
  for (std::size_t i = 0, count = forms.size(); i < count; ++i)
    for (const bool in_ascii : {false, true})
      forms.push_back(escaped(forms[i], in_ascii));
  std::sort(forms.begin(), forms.end());
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  std::string expression;
  for (const auto& form : forms)
    expression += (expression.empty() ? "" : "|") + RE2::QuoteMeta(form);
  RE2::Options options{RE2::Latin1};
  options.set_longest_match(true); // the whole secret, rather than its first line
  options.set_log_errors(false);
  // A value of some kilobytes needs more than the default.
  options.set_max_mem(std::max<std::int64_t>(options.max_mem(),
                                             static_cast<std::int64_t>(expression.size()) * 256));
  return std::make_shared<const RE2>(expression, options);
}

std::optional<std::string> variable_of_process(const std::string& name) {
  const auto* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
}

/// The name in `--NAME` or `--NAME=VALUE`; empty: it is neither.
std::string_view option_name(std::string_view word) {
  const auto begin = word.find_first_not_of('-');
  if (begin == 0 || begin == std::string_view::npos)
    return {};
  return word.substr(begin, word.find('=') - begin);
}

} // namespace

struct redactor::rule_set {
  std::set<std::string, std::less<>> names; ///< In lower case.
  std::vector<std::shared_ptr<const RE2>> patterns;
};

result<redactor> redactor::parse(std::string_view rules, const environment& variables) {
  const auto value = parse_json(rules);
  if (!value)
    return value.error();
  const auto file = fermata::from_json<rules_file>(*value);
  if (!file)
    return file.error();
  for (auto error : {check_rules("fields", file->names), check_rules("patterns", file->patterns),
                     check_rules("environment", file->variables)})
    if (error)
      return error;
  auto made = std::make_shared<rule_set>();
  for (const auto& name : file->names)
    made->names.insert(lower(name));
  for (std::size_t i = 0; i < file->patterns.size(); ++i) {
    auto pattern = compile(file->patterns[i]);
    if (!pattern)
      return make_error(code_of(pattern.error()),
                        place("patterns", i) + ": " + message_of(pattern.error()));
    made->patterns.push_back(std::move(*pattern));
  }
  for (std::size_t i = 0; i < file->variables.size(); ++i) {
    const auto secret =
        variables ? variables(file->variables[i]) : variable_of_process(file->variables[i]);
    if (!secret || secret->empty())
      continue;
    auto pattern = literal(*secret);
    // The value itself is not for a message.
    if (!pattern->ok())
      return make_error(errc::invalid_field, place("environment", i) + ": the value of "
                                                 + quoted_excerpt(file->variables[i])
                                                 + " is too long to be looked for");
    made->patterns.push_back(std::move(pattern));
  }
  redactor done;
  if (!made->names.empty() || !made->patterns.empty())
    done.rules_ = std::move(made);
  return done;
}

bool redactor::is_secret(std::string_view field) const {
  return rules_ && !field.empty() && rules_->names.contains(lower(field));
}

std::string redactor::text(std::string_view shown) const {
  if (!rules_ || rules_->patterns.empty())
    return std::string{shown};
  if (shown.size() > max_text_size_bytes)
    return std::string{mark};
  std::vector<extent> secrets;
  for (const auto& pattern : rules_->patterns)
    find_all(*pattern, shown, secrets);
  std::string made;
  std::size_t from = 0;
  for (const auto& secret : merged(std::move(secrets))) {
    made += shown.substr(from, secret.begin - from);
    made += mark;
    from = secret.end;
  }
  made += shown.substr(from);
  return made;
}

json redactor::value(const json& shown) const {
  return rules_ ? hide(shown, 0) : shown;
}

json redactor::hide(const json& shown, std::size_t depth) const {
  // Nothing that was stored is as deep; what is, is not looked through.
  if (depth > max_record_depth)
    return mark;
  if (shown.is_string())
    return text(shown.get_ref<const std::string&>());
  if (shown.is_object())
    return hide_members(shown, depth);
  if (shown.is_array())
    return hide_elements(shown, depth);
  return shown;
}

json redactor::hide_members(const json& shown, std::size_t depth) const {
  auto made = json::object();
  std::map<std::string, std::size_t> uses; // of a name that several members may share now
  for (const auto& [key, member] : shown.items()) {
    const auto name = text(key);
    auto unique = name;
    while (made.contains(unique))
      unique = name + " (" + std::to_string(++uses.try_emplace(name, 1).first->second) + ")";
    made[unique] = is_secret(key) ? json(mark) : hide(member, depth + 1);
  }
  return made;
}

json redactor::hide_elements(const json& shown, std::size_t depth) const {
  auto made = json::array();
  bool names_next = false;
  for (const auto& element : shown) {
    if (std::exchange(names_next, false)) {
      made.push_back(mark);
      continue;
    }
    if (element.is_string()) {
      const auto& word = element.get_ref<const std::string&>();
      const auto option = option_name(word);
      if (is_secret(option)) {
        const auto equals = word.find('=');
        names_next = equals == std::string::npos;
        made.push_back(names_next ? word : word.substr(0, equals + 1) + std::string{mark});
        continue;
      }
    }
    made.push_back(hide(element, depth + 1));
  }
  return made;
}

} // namespace fermata
