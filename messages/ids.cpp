#include <fermata/messages/ids.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace fermata {

namespace {

bool is_id_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
         || c == '_' || c == '-';
}

/// Splits `<session>:<letter><number>`; nothing when the text has another form.
struct numbered_id {
  session_id session;
  std::uint64_t number = 0;
};

std::optional<numbered_id> split(std::string_view text, char letter) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon + 2 >= text.size() || text[colon + 1] != letter)
    return std::nullopt;
  auto session = session_id::parse(text.substr(0, colon));
  const auto digits = text.substr(colon + 2);
  numbered_id parsed;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), parsed.number);
  if (!session || error != std::errc{} || end != digits.data() + digits.size()
      || digits.front() == '0')
    return std::nullopt;
  parsed.session = std::move(*session);
  return parsed;
}

} // namespace

caf::error check_id(std::string_view what, std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return make_error(errc::invalid_id, std::string{what} + " refused: " + std::string{why}
                                            + "; accepted are 1 to "
                                            + std::to_string(max_id_size_bytes)
                                            + " of A-Z a-z 0-9 . _ -, not beginning with . or -");
  };
  if (text.empty())
    return refuse("it is empty");
  if (text.size() > max_id_size_bytes)
    return refuse("it has " + std::to_string(text.size()) + " bytes");
  if (text.front() == '.' || text.front() == '-')
    return refuse(std::string{"it begins with "} + text.front());
  const auto odd = std::find_if_not(text.begin(), text.end(), is_id_character);
  if (odd != text.end())
    return refuse("the byte at position " + std::to_string(odd - text.begin())
                  + " is not one that ids have");
  return caf::none;
}

result<call_id> call_id::parse(std::string_view text) {
  if (auto parts = split(text, 'c'))
    return call_id{std::move(parts->session), parts->number};
  return make_error(errc::invalid_id,
                    "call id refused: accepted is <session>:c<number>, as in release-42:c1");
}

std::string call_id::str() const {
  return session_.str() + ":c" + std::to_string(number_);
}

result<plan_id> plan_id::parse(std::string_view text) {
  auto parts = split(text, 'p');
  if (parts && parts->number <= std::numeric_limits<std::uint32_t>::max())
    return plan_id{std::move(parts->session), static_cast<std::uint32_t>(parts->number)};
  return make_error(errc::invalid_id,
                    "plan id refused: accepted is <session>:p<revision>, as in release-42:p1");
}

std::string plan_id::str() const {
  return session_.str() + ":p" + std::to_string(revision_);
}

} // namespace fermata
