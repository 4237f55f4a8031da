#pragma once

#include <fermata/messages/ids.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace fermata {

/// Sessions are owned by slots: a fixed number of them, so that there is a row for each. The number
/// is part of what nodes share, and never changes.
inline constexpr std::uint32_t session_slots = 256;

/// The slot that a session belongs to, from 0: a function of its id.
[[nodiscard]] std::uint32_t slot_of(const session_id& session);

/// Who should own which slot: as many for each node, give or take one, with as few changes as
/// possible. `owners` has the owner of each slot, an empty name for nobody; whoever is not among
/// `nodes`, which are different names, owns nothing any more. Where there are no nodes, nobody owns
/// anything. The same for all who ask, whatever the order of `nodes`.
[[nodiscard]] std::vector<node_name> fair_owners(std::span<const node_name> owners,
                                                 std::span<const node_name> nodes);

} // namespace fermata
