#include "console.hpp"

#include "fold.hpp"
#include "interruption.hpp"

#include <langinfo.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>

namespace fermata::command_line {

namespace {

constexpr std::size_t buffer_size_bytes = 65'536;

/// Zero, or the error number.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

bool terminal_has_colours() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr && term != nullptr
         && std::strcmp(term, "dumb") != 0;
}

const char* escape_code_of(paint style) {
  switch (style) {
  case paint::plain:
    return "";
  case paint::heading:
    return "\x1b[1m";
  case paint::faint:
    return "\x1b[2m";
  case paint::good:
    return "\x1b[32m";
  case paint::bad:
    return "\x1b[31m";
  case paint::warning:
    return "\x1b[33m";
  }
  return "";
}

} // namespace

console::console(bool as_json, redactor redaction)
    : as_json_{as_json}, redaction_{std::move(redaction)},
      interactive_{!as_json && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1},
      colours_{!as_json && terminal_has_colours()}, draws_lines_{false} {
  std::setlocale(LC_CTYPE, "");
  draws_lines_ = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
}

console::~console() {
  flush();
}

void console::say(std::string_view line) {
  if (as_json_)
    return;
  if (!interactive_) {
    write(line);
    write("\n");
    return;
  }
  constexpr std::string_view indent = "    ";
  for (auto prefix = std::string_view{};
       const auto piece : fold(line, terminal_columns() - indent.size())) {
    write(prefix);
    write(piece);
    write("\n");
    prefix = indent;
  }
}

void console::print(const json& value) {
  if (!as_json_)
    return;
  write(to_text(value));
  write("\n");
}

void console::write(std::string_view text) {
  if (no_reader_ || !failure_.empty())
    return;
  pending_ += text;
  if (pending_.size() >= buffer_size_bytes)
    flush();
}

void console::flush() {
  if (pending_.empty())
    return;
  const int error = write_all(STDOUT_FILENO, pending_);
  pending_.clear();
  if (error == EPIPE)
    no_reader_ = true;
  else if (error != 0)
    failure_ = std::strerror(error);
}

void console::report(std::string_view name, std::string_view message) {
  flush();
  const auto shown_message = redaction_.text(message);
  std::string text;
  if (as_json_)
    text = to_text({{"error", name}, {"message", shown_message}});
  else
    text.append("fermata: ").append(shown_message).append(" (").append(name).append(")");
  // When standard error cannot be written either, the exit status is all there is.
  static_cast<void>(write_all(STDERR_FILENO, text + "\n"));
}

std::string console::painted(paint style, std::string_view text) const {
  if (!colours_ || style == paint::plain)
    return std::string{text};
  return escape_code_of(style) + std::string{text} + "\x1b[0m";
}

std::optional<std::string> console::ask(std::string_view question) {
  write(question);
  flush();
  for (;;) {
    if (const auto end = input_.find('\n'); end != std::string::npos) {
      auto line = input_.substr(0, end);
      input_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4'096> chunk;
    const auto size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR && !was_interrupted())
      continue;
    // What was typed together with the interruption is not an answer.
    if (size <= 0 || was_interrupted()) {
      say();
      return std::nullopt;
    }
    input_.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

} // namespace fermata::command_line
