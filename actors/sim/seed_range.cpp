#include <fermata/actors/sim/seed_range.hpp>

#include <charconv>
#include <optional>

namespace fermata::sim {

namespace {

std::optional<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, seed);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != end)
    return std::nullopt;
  return seed;
}

} // namespace

result<seed_range> parse_seed_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = parse_seed(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_seed(text.substr(dash + 1));
  if (!first || !last || *first > *last)
    return make_error(
        errc::invalid_field,
        "\"" + std::string{text}
            + "\" names no seeds: expected a number as in 17, or a range as in 1-500, "
              "from 0 to 18446744073709551615, the smaller one first");
  return seed_range{*first, *last};
}

std::string to_text(const seed_range& range) {
  return range.first == range.last ? std::to_string(range.first)
                                   : std::to_string(range.first) + "-" + std::to_string(range.last);
}

} // namespace fermata::sim
