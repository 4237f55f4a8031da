#include "sse.hpp"

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

std::string sse_comment(std::string_view text) {
  return ": " + std::string{text} + "\n\n";
}

} // namespace fermata::service
