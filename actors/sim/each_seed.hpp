#pragma once

#include <fermata/actors/sim/world.hpp>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace fermata::sim {

/// A seed for which a story failed. `what()` is the report for people: the seed, how to run it
/// again, what was violated, and the timeline of a shorter run that fails in the same way, to which
/// no single fault could be spared.
class failed_seed : public std::runtime_error {
public:
  failed_seed(std::uint64_t seed, const std::string& report)
      : std::runtime_error{report}, seed_{seed} {}
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

private:
  std::uint64_t seed_;
};

/// Tells a story: adds nodes and whoever takes part, plans faults, lets time pass, and says what
/// must hold. It is told anew for each run, so what it has to count it makes itself.
using story = std::function<void(world&)>;

/// Runs a story once for each seed, each in a world of its own that is watched by the monitors of
/// P1 to P11. A story fails by throwing: a `violation`, an exception of its own, or whatever a test
/// framework throws (Catch2: REQUIRE, not CHECK; see catch.hpp). What follows from the seed, and
/// what the story says in the world's name (`world::random`), is the same each time; a story that
/// depends on anything else cannot be run again.
///
/// A story that fails is run again with fewer of the faults that it has planned (`world::faults`,
/// `world::plan_faults`), as long as it fails in the same way: by the same promise, or by an
/// exception of the same type. Then `failed_seed` is thrown. What a framework throws is reported
/// by it in these runs as well, so there are only a few of them.
///
/// The environment variable FERMATA_SIM_SEEDS, as in 17 or 1-500, replaces the range: that is how
/// the report says to run one seed again. Errors: `std::invalid_argument` if it is neither, or if
/// `from` is more than `to`.
void each_seed(std::uint64_t from, std::uint64_t to, const story& told);

} // namespace fermata::sim
