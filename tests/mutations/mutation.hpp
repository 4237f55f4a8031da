#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string_view>

/// Defects that are planted in copies of the sources, to see whether the simulation finds them. One
/// program has all of them; at most one is selected in a process. Not thread-safe.
namespace fermata::test {

/// One of the files `NAME.mutation`.
struct mutation {
  std::string_view name;
  std::string_view breaks; ///< The promise of the README, such as `P1`.
  std::string_view what;
  std::uint32_t found_within; ///< Seeds of a campaign that are enough to find it.
  bool shares_store;          ///< The nodes of that campaign share a store.
};

/// In the order of their names.
[[nodiscard]] std::span<const mutation> all_mutations() noexcept;

/// Selects the mutation of that name, which outlives the selection; empty: none.
void select_mutation(std::string_view name) noexcept;

/// Whether that mutation is selected: asked by the mutated code each time it comes to the place.
[[nodiscard]] bool mutated(std::string_view name) noexcept;

/// The mutations whose places the process has come to while none was selected. A world that does
/// not come to one's place without it does not with it, since until then both are the same.
[[nodiscard]] const std::set<std::string_view>& places_reached() noexcept;

/// How often the selected mutation's code ran since it was selected.
[[nodiscard]] std::uint64_t times_mutated() noexcept;

} // namespace fermata::test
