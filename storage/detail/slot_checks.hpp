#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fermata::detail {

// What implementations of `session_ownership` refuse, in the same words.

/// Numbers as a text, with commas.
[[nodiscard]] std::string listed(std::span<const std::uint32_t> numbers);

/// Refuses a lease that is too short or too long: `invalid_field`.
[[nodiscard]] caf::error check_lease(std::chrono::milliseconds lease);

/// Refuses slots that do not exist: `invalid_field`.
[[nodiscard]] caf::error check_slots(std::span<const std::uint32_t> slots);

/// `conflict`: a commit of who is not the owner. `owner`: a node's name; empty: nobody. `acquired`:
/// the epoch in which the writer has acquired the slot.
[[nodiscard]] caf::error not_owner_error(const session_id& session, std::string_view owner,
                                         std::uint64_t epoch,
                                         std::optional<std::uint64_t> acquired);

/// `store_busy`: there is nothing to renew.
[[nodiscard]] caf::error no_lease_error(const node_name& node);

/// `not_allowed`: slots that are not moved.
[[nodiscard]] caf::error not_moved_error(std::span<const std::uint32_t> slots,
                                         const node_name& from, const node_name& to);

} // namespace fermata::detail
