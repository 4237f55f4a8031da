#pragma once

#include <fermata/actors/seams.hpp>

#include <cassert>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace fermata::sim {

/// Random numbers that depend on nothing but their seed (splitmix64: Steele, Lea and Flood, OOPSLA
/// 2014).
class seeded_random final : public random_source {
public:
  explicit seeded_random(std::uint64_t seed) : state_{seed} {}
  /// A stream of its own for something that has a name, so that what one part of a world draws
  /// does not shift what the others draw.
  seeded_random(std::uint64_t seed, std::string_view name);

  std::uint64_t next() override;

  /// A number below `bound`, which is not 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
    assert(bound > 0);
    return next() % bound;
  }

  /// True with this probability, from 0 to 1.
  [[nodiscard]] bool chance(double probability);

  /// A duration from `least` to `most`, both included.
  [[nodiscard]] std::chrono::milliseconds between(std::chrono::milliseconds least,
                                                  std::chrono::milliseconds most);

private:
  std::uint64_t state_;
};

} // namespace fermata::sim
