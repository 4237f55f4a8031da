#pragma once

#include <mutation.hpp>

#include <fermata/actors/sim/campaign.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

/// Looks for a planted defect with one seed of a campaign.
namespace fermata::test {

/// What gave a defect away.
struct finding {
  std::string promise; ///< As in `sim::violation`; "died" and "hung" for a process that did so.
  std::string text;
};

/// What became of one seed.
struct hunted_seed {
  std::optional<finding> found;
  /// How often the planted code ran; 0 as well for a process that did not come to its end.
  std::uint64_t times_mutated = 0;
  /// Where nothing was planted: the names of the mutations whose places it came to.
  std::set<std::string, std::less<>> reached = {};
};

/// What is looked for in a seed.
enum class aim {
  broken_promises, ///< Of all promises; P12 is looked at where it is to break, or nothing is
                   ///< planted.
  places           ///< Which mutations' places it comes to.
};

/// The campaign of one seed, of nodes that share a store or do not.
[[nodiscard]] sim::campaign_options campaign_of(std::uint64_t seed, bool shares_store);

/// Runs one seed with `planted`, or with nothing, in a process of its own, since a defect may end
/// or hang it; `shares_store`: in which worlds. Where P12 is looked at the seed runs twice more,
/// and must be the same. Throws `std::system_error` if there can be no process.
[[nodiscard]] hunted_seed hunt(const mutation* planted, std::uint64_t seed, bool shares_store,
                               aim at = aim::broken_promises);

} // namespace fermata::test
