#pragma once

#include <fermata/messages/fields.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fermata {

/// Puts `[redacted]` in the place of secrets in what is about to be shown, logged or sent to a
/// person. What is stored, and what agents and tools get, is not changed by it, nor is the digest
/// of an approval.
///
/// Its rules are JSON, all of them optional:
///
///     {"fields": ["password", "token"],     members of objects, at any depth
///      "patterns": ["sk-[A-Za-z0-9]+"],     RE2 expressions, within strings
///      "environment": ["API_TOKEN"]}        values of environment variables, within strings
///
/// - A field is compared without regard to the case of ASCII letters. Its value is replaced,
///   whatever its type; its name stays. In an array, `--NAME` hides the element behind it, and
///   `--NAME=VALUE` the value, since command lines are arrays.
/// - Patterns and environment values are looked for in each string, also in the names of members,
///   and independently of each other: where matches overlap, all that any of them covers is one
///   `[redacted]`. A variable that is not set, or empty, hides nothing.
/// - An environment value is also found as it stands in JSON text, with or without non-ASCII
///   characters escaped, and, if it has several lines, by each line of at least 8 bytes.
/// - A secret is only recognised whole: not when it was cut off, divided over several strings or
///   streamed pieces, or encoded in another way.
/// - UTF-8 stays valid: a match is extended to whole characters.
///
/// The work is bounded: expressions run in linear time, and behind the 1,000th match of one of them
/// in a string, the rest of the string is hidden. A string of more than 4 MiB is hidden as a whole.
///
/// Copies share their rules; all calls from any thread.
class redactor {
public:
  /// What stands in the place of a secret.
  static constexpr std::string_view mark = "[redacted]";

  /// Gives the value of an environment variable; nothing: it is not set.
  using environment = std::function<std::optional<std::string>(const std::string& name)>;

  /// Hides nothing.
  redactor() = default;

  /// Reads rules. The values of environment variables are those of now; `variables` absent: those
  /// of the process, which nobody may change meanwhile. Errors: `invalid_json` with line and
  /// column; `invalid_field` with the path of an unknown key, of an empty name, or of an expression
  /// that RE2 refuses or that matches the empty text; `limit_exceeded` (redaction_rules: 100 of a
  /// kind, redaction_rule_size: 1,000 bytes).
  [[nodiscard]] static result<redactor> parse(std::string_view rules,
                                              const environment& variables = {});

  [[nodiscard]] bool hides_nothing() const noexcept { return !rules_; }

  /// True for the name of a field whose value is a secret.
  [[nodiscard]] bool is_secret(std::string_view field) const;

  /// Text without the secrets in it.
  [[nodiscard]] std::string text(std::string_view shown) const;

  /// A JSON value without the secrets in it. No member gets lost: names that become equal are
  /// numbered.
  [[nodiscard]] json value(const json& shown) const;

private:
  struct rule_set;
  [[nodiscard]] json hide(const json& shown, std::size_t depth) const;
  [[nodiscard]] json hide_members(const json& shown, std::size_t depth) const;
  [[nodiscard]] json hide_elements(const json& shown, std::size_t depth) const;

  std::shared_ptr<const rule_set> rules_; ///< Null: hides nothing.
};

namespace detail {

/// Texts that are Fermata's own: they name things, and mean nothing once they are changed.
[[nodiscard]] constexpr bool names_a_thing(std::string_view field) noexcept {
  constexpr std::array<std::string_view, 8> names{
      "id", "incarnation", "fingerprint", "action", "subject", "verdict", "cause", "ruled_by"};
  return std::find(names.begin(), names.end(), field) != names.end() || field.ends_with("digest");
}

/// Hides the secrets in one field of a struct; `name` is the field's.
template <class T>
void redact_field(T& value, std::string_view name, const redactor& by);

template <class T>
struct field_redaction {
  static void apply(T&, std::string_view, const redactor&) {}
};

template <>
struct field_redaction<std::string> {
  static void apply(std::string& value, std::string_view name, const redactor& by) {
    if (!names_a_thing(name))
      value = by.is_secret(name) ? std::string{redactor::mark} : by.text(value);
  }
};

template <>
struct field_redaction<json> {
  static void apply(json& value, std::string_view name, const redactor& by) {
    value = by.is_secret(name) ? json(redactor::mark) : by.value(value);
  }
};

template <class T>
struct field_redaction<std::optional<T>> {
  static void apply(std::optional<T>& value, std::string_view name, const redactor& by) {
    if (value)
      redact_field(*value, name, by);
  }
};

template <class T>
struct field_redaction<std::vector<T>> {
  static void apply(std::vector<T>& values, std::string_view name, const redactor& by) {
    for (auto& value : values)
      redact_field(value, name, by);
  }
};

template <class T>
struct field_redaction<std::map<std::string, T>> {
  static void apply(std::map<std::string, T>& values, std::string_view name, const redactor& by) {
    for (auto& [key, value] : values)
      redact_field(value, name, by);
  }
};

template <class... Ts>
struct field_redaction<std::variant<Ts...>> {
  static void apply(std::variant<Ts...>& value, std::string_view name, const redactor& by) {
    std::visit([&](auto& one) { redact_field(one, name, by); }, value);
  }
};

template <described T>
struct field_redaction<T> {
  static void apply(T& value, std::string_view, const redactor& by) {
    T::fields().for_each([&](const auto& one) { redact_field(value.*one.member, one.name, by); });
  }
};

template <class T>
void redact_field(T& value, std::string_view name, const redactor& by) {
  field_redaction<T>::apply(value, name, by);
}

} // namespace detail

/// One of Fermata's own objects (an event, a chunk, a pending item, a status ...) without the
/// secrets in its texts and in the JSON from outside that it carries. Ids, digests, numbers, times
/// and names of states stay: they are Fermata's, and what a person decides on is named by them.
template <class T>
[[nodiscard]] T redacted(T value, const redactor& by) {
  if (!by.hides_nothing())
    detail::redact_field(value, {}, by);
  return value;
}

} // namespace fermata
