#pragma once

#include <fermata/messages/json.hpp>
#include <fermata/messages/redaction.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace fermata::command_line {

/// How a piece of text is shown at a terminal that has colours; elsewhere it makes no difference.
enum class paint { plain, heading, faint, good, bad, warning };

/// Standard input, output and error of the command. What is printed must be escaped already.
///
/// A reader of standard output that has gone away (`fermata events S | head`) is no error, and does
/// not stop a plan: the rest is dropped. Any other failed write is remembered.
///
/// This is where secrets are hidden (`--redact`): `print` does it for objects, and whatever puts
/// values from outside into words takes them from `shown`.
class console {
public:
  explicit console(bool as_json, redactor redaction = {});
  ~console();
  console(const console&) = delete;
  console& operator=(const console&) = delete;

  [[nodiscard]] bool as_json() const noexcept { return as_json_; }

  /// True when a person can be asked: standard input and output are terminals, and not `--json`.
  [[nodiscard]] bool is_interactive() const noexcept { return interactive_; }

  /// Prints a line for people, indented where it goes on after the terminal's last column; nothing
  /// with `--json`.
  void say(std::string_view line = {});

  /// Prints a value as one line, only with `--json`. What is in it was `shown`.
  void print(const json& value);

  /// Prints one of Fermata's objects, without secrets.
  template <described T>
  void print(const T& value) {
    if (as_json_)
      print(to_json(shown(value)));
  }
  /// The same as the only member of an object.
  template <described T>
  void print(const std::string& name, const T& value) {
    if (as_json_)
      print(json{{name, to_json(shown(value))}});
  }

  /// One of Fermata's objects without the secrets in it.
  template <described T>
  [[nodiscard]] T shown(T value) const {
    return redacted(std::move(value), redaction_);
  }

  [[nodiscard]] const redactor& redaction() const noexcept { return redaction_; }

  /// Prints text as it is.
  void write(std::string_view text);

  /// Hands on what was printed. Lines of progress are handed on as they come.
  void flush();

  /// Reports an error on standard error, in the form that `--json` asks for.
  void report(std::string_view name, std::string_view message);

  [[nodiscard]] std::string painted(paint style, std::string_view text) const;

  /// True when the terminal's encoding has more than ASCII, so that trees can be drawn with lines.
  [[nodiscard]] bool draws_lines() const noexcept { return draws_lines_; }

  /// Asks a question and reads one line. Nothing: the end of the input, or an interruption.
  [[nodiscard]] std::optional<std::string> ask(std::string_view question);

  /// True when nobody reads the output any more.
  [[nodiscard]] bool has_no_reader() const noexcept { return no_reader_; }

  /// Why a write failed, in words; empty: none did.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

private:
  bool as_json_;
  redactor redaction_;
  bool interactive_;
  bool colours_;
  bool draws_lines_;
  bool no_reader_ = false;
  std::string failure_;
  std::string pending_;
  std::string input_; ///< Read, but not asked for yet.
};

} // namespace fermata::command_line
