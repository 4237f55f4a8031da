#include <fermata/actors/sim/random.hpp>

#include <fermata/actors/detail/splitmix.hpp>

namespace fermata::sim {

seeded_random::seeded_random(std::uint64_t seed, std::string_view name) : state_{seed} {
  for (const char letter : name)
    state_ =
        fermata::detail::mixed(state_ ^ static_cast<std::uint8_t>(letter)) + 0x9E3779B97F4A7C15u;
}

std::uint64_t seeded_random::next() {
  state_ += 0x9E3779B97F4A7C15u;
  return fermata::detail::mixed(state_);
}

bool seeded_random::chance(double probability) {
  // 53 bits: what a double can tell apart.
  constexpr double range = 9007199254740992.0;
  return static_cast<double>(next() >> 11) < probability * range;
}

std::chrono::milliseconds seeded_random::between(std::chrono::milliseconds least,
                                                 std::chrono::milliseconds most) {
  if (most <= least)
    return least;
  const auto width = static_cast<std::uint64_t>((most - least).count());
  return least + std::chrono::milliseconds{static_cast<std::int64_t>(below(width + 1))};
}

} // namespace fermata::sim
