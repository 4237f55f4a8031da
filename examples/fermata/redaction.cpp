#include "redaction.hpp"

#include "inputs.hpp"

namespace fermata::command_line {

namespace {

/// Some hundred rules of the longest kind.
constexpr std::size_t max_file_bytes = 1'000'000;

} // namespace

result<redactor> choose_redaction(const std::string& given) {
  const auto file = given.empty() ? environment_variable("FERMATA_REDACT") : given;
  if (file.empty())
    return redactor{};
  const auto rules = read_text(file, max_file_bytes);
  if (!rules)
    return rules.error();
  auto made = redactor::parse(*rules);
  if (!made)
    return make_error(code_of(made.error()), file + ": " + message_of(made.error()));
  return made;
}

} // namespace fermata::command_line
