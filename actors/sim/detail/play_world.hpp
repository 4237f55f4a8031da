#pragma once

#include <fermata/actors/sim/detail/campaign_loop.hpp>

namespace fermata::sim::detail {

/// Plays worlds as these options say, which outlive it: with real nodes, random sessions, people
/// and faults, and the monitors watching. Throws `std::runtime_error` if `campaign_options::store`
/// cannot be read.
[[nodiscard]] player real_worlds(const campaign_options& options);

} // namespace fermata::sim::detail
