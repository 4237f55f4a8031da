#include "preview.hpp"

#include <algorithm>
#include <exception>
#include <string_view>

namespace fermata::command_line {

namespace {

/// How often something that changes all the time is looked at.
constexpr int max_looks = 4;

std::string text_of(const tool& called, const json& arguments,
                    const std::filesystem::path& workspace) {
  if (!called.preview)
    return {};
  try {
    return called.preview(arguments, workspace);
  } catch (const std::exception& error) {
    return std::string{"This cannot be shown: "} + error.what() + "\n";
  }
}

result<std::string> fingerprint_of(const tool& called, const json& arguments,
                                   const std::filesystem::path& workspace) {
  if (!called.fingerprint)
    return std::string{};
  try {
    return called.fingerprint(arguments, workspace);
  } catch (const std::exception& error) {
    return make_error(errc::tool_failed, error.what());
  }
}

/// Takes the first line off a text, and its end with it.
std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string hide_in_lines(std::string_view text, const redactor& by) {
  std::string hidden;
  while (!text.empty()) {
    const bool has_end = text.find('\n') != std::string_view::npos;
    hidden += by.text(take_line(text));
    if (has_end)
      hidden += '\n';
  }
  return hidden;
}

/// True when a secret would be seen if each line were looked at by itself.
bool goes_over_lines(const std::string& text, const redactor& by) {
  return text.find('\n') != std::string::npos
         && hide_in_lines(by.text(text), by) != hide_in_lines(text, by);
}

/// True when rules hide more of a value than could be found in a text that has its strings, line by
/// line: what is named by a field, or goes over lines.
bool hides_more_than_lines(const json& value, const redactor& by) {
  if (value.is_string())
    return goes_over_lines(value.get_ref<const std::string&>(), by);
  if (value.is_object())
    return std::any_of(value.items().begin(), value.items().end(), [&](const auto& member) {
      return by.is_secret(member.key()) || goes_over_lines(member.key(), by)
             || hides_more_than_lines(member.value(), by);
    });
  if (!value.is_array())
    return false;
  // `--password` hides the element behind it.
  const auto hidden = by.value(value);
  for (std::size_t i = 0; i < value.size(); ++i)
    if (hidden[i] != by.value(value[i]) || hides_more_than_lines(value[i], by))
      return true;
  return false;
}

bool is_diff(std::string_view preview) {
  return preview.starts_with("--- ");
}

/// A name in quotation marks has escapes, behind which no rule would find a secret.
bool has_quoted_name(std::string_view diff) {
  return diff.starts_with("--- a/\"") || diff.starts_with("--- /dev/null\n+++ b/\"");
}

/// How much of a diff's line is the diff's own, before what a file has in it, or its name.
std::size_t own_size(std::string_view line, bool is_header) {
  if (is_header)
    return line.starts_with("--- a/") || line.starts_with("+++ b/") ? 6 : 0;
  // Ranges, and notes that something has no end or is not shown.
  constexpr std::string_view content = " +-";
  return !line.empty() && content.find(line.front()) != std::string_view::npos ? 1 : line.size();
}

/// The same for a diff. The files' lines are looked at without what the diff has put before them,
/// and those of each file in one piece as well.
std::optional<std::string> without_secrets_in_diff(std::string_view diff, const redactor& by) {
  constexpr std::size_t header_lines = 2;
  std::string shown;
  std::string before;
  std::string after;
  for (std::size_t number = 0; !diff.empty(); ++number) {
    const auto line = take_line(diff);
    const bool is_header = number < header_lines;
    const auto own = own_size(line, is_header);
    const auto content = line.substr(own);
    shown.append(line.substr(0, own)).append(by.text(content)).append("\n");
    if (is_header || own != 1)
      continue;
    if (line.front() != '+')
      before.append(content).append("\n");
    if (line.front() != '-')
      after.append(content).append("\n");
  }
  if (goes_over_lines(before, by) || goes_over_lines(after, by))
    return std::nullopt;
  return shown;
}

} // namespace

call_preview take_preview(const tool& called, const json& arguments,
                          const std::filesystem::path& workspace) {
  auto before = fingerprint_of(called, arguments, workspace);
  for (int looks = 1;; ++looks) {
    auto text = text_of(called, arguments, workspace);
    auto after = fingerprint_of(called, arguments, workspace);
    const bool settled = before == after;
    if (settled || looks == max_looks)
      return {std::move(text), std::move(after), settled};
    before = std::move(after);
  }
}

std::optional<std::string> without_secrets(const std::string& preview, const json& arguments,
                                           const redactor& by) {
  if (by.hides_nothing())
    return preview;
  if (by.is_secret("arguments")) // as the field of what waits
    return std::nullopt;
  const bool has_some = by.value(arguments) != arguments;
  if (!is_diff(preview)) {
    // It quotes the arguments, as for a shell: no rule would know a secret of them again.
    if (has_some)
      return std::nullopt;
    return hide_in_lines(by.text(preview), by);
  }
  if (has_some && (has_quoted_name(preview) || hides_more_than_lines(arguments, by)))
    return std::nullopt;
  return without_secrets_in_diff(preview, by);
}

} // namespace fermata::command_line
