#include "sse.hpp"

#include <charconv>

namespace fermata::service {

std::string sse_event(std::string_view name, const json& data, std::optional<std::uint64_t> id) {
  std::string text;
  if (id)
    text += "id: " + std::to_string(*id) + "\n";
  text += "event: ";
  text += name;
  // JSON texts have no line breaks, which would end the field.
  text += "\ndata: " + to_text(data) + "\n\n";
  return text;
}

std::vector<sse_part> split_events(std::string_view text) {
  constexpr std::string_view end = "\n\n";
  constexpr std::string_view begin_of_id = "id: ";
  std::vector<sse_part> parts;
  while (!text.empty()) {
    const auto found = text.find(end);
    const auto size = found == std::string_view::npos ? text.size() : found + end.size();
    sse_part part;
    part.text = text.substr(0, size);
    if (part.text.starts_with(begin_of_id)) {
      std::uint64_t number = 0;
      const auto* const first = part.text.data() + begin_of_id.size();
      if (std::from_chars(first, part.text.data() + size, number).ec == std::errc{})
        part.id = number;
    }
    parts.push_back(part);
    text.remove_prefix(size);
  }
  return parts;
}

std::string sse_comment(std::string_view text) {
  return ": " + std::string{text} + "\n\n";
}

} // namespace fermata::service
