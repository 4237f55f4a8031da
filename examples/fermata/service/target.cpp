#include "target.hpp"

#include <fermata/messages/json.hpp>

#include <charconv>
#include <optional>

namespace fermata::service {

namespace {

std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    if (text.front() != '%') {
      plain += text.front();
      text.remove_prefix(1);
      continue;
    }
    unsigned char code = 0;
    if (text.size() < 3
        || std::from_chars(text.data() + 1, text.data() + 3, code, 16).ptr != text.data() + 3)
      return std::nullopt;
    plain += static_cast<char>(code);
    text.remove_prefix(3);
  }
  return plain;
}

std::string_view take_until(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

caf::error refuse(std::string_view text) {
  return make_error(errc::invalid_field,
                    quoted_excerpt(text)
                        + " is no target of a request: a path that begins with /, "
                          "with percent codes where it must");
}

} // namespace

result<request_target> parse_target(std::string_view text) {
  if (!text.starts_with('/'))
    return refuse(text);
  request_target target;
  auto query = text;
  auto path = take_until(query, '?').substr(1);
  for (;;) {
    const bool is_last = path.find('/') == std::string_view::npos;
    auto segment = decoded(take_until(path, '/'));
    if (!segment)
      return refuse(text);
    target.path.push_back(std::move(*segment));
    if (is_last)
      break;
  }
  while (!query.empty()) {
    auto value_text = take_until(query, '&');
    const auto name = decoded(take_until(value_text, '='));
    auto value = decoded(value_text);
    if (!name || !value)
      return refuse(text);
    if (!target.query.emplace(*name, std::move(*value)).second)
      return make_error(errc::invalid_field,
                        "the query parameter " + quoted_excerpt(*name) + " appears twice");
  }
  return target;
}

} // namespace fermata::service
