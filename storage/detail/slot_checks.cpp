#include <fermata/storage/detail/slot_checks.hpp>

#include <fermata/storage/session_slots.hpp>

namespace fermata::detail {

std::string listed(std::span<const std::uint32_t> numbers) {
  std::string text;
  for (const auto number : numbers) {
    if (!text.empty())
      text += ',';
    text += std::to_string(number);
  }
  return text;
}

caf::error check_lease(std::chrono::milliseconds lease) {
  if (lease < std::chrono::milliseconds{100} || lease > std::chrono::hours{1})
    return make_error(errc::invalid_field, "a lease of " + std::to_string(lease.count())
                                               + " ms is refused; it may be from 100 ms to 1 h");
  return caf::none;
}

caf::error check_slots(std::span<const std::uint32_t> slots) {
  for (const auto slot : slots)
    if (slot >= session_slots)
      return make_error(errc::invalid_field, "there is no slot " + std::to_string(slot)
                                                 + "; they are 0 to "
                                                 + std::to_string(session_slots - 1));
  return caf::none;
}

caf::error not_owner_error(const session_id& session, std::string_view owner, std::uint64_t epoch,
                           std::optional<std::uint64_t> acquired) {
  return make_error(errc::conflict,
                    "a commit of session " + session.str() + " is refused: its slot, "
                        + std::to_string(slot_of(session)) + ", is owned by "
                        + (owner.empty() ? "nobody" : "node " + std::string{owner}) + " in epoch "
                        + std::to_string(epoch)
                        + (acquired
                               ? ", and this node acquired it in epoch " + std::to_string(*acquired)
                               : ", and this node has not acquired it"));
}

caf::error no_lease_error(const node_name& node) {
  return make_error(errc::store_busy, "node " + node.str()
                                          + " has left, or another process has come under its "
                                            "name: it has no lease to renew");
}

caf::error not_moved_error(std::span<const std::uint32_t> slots, const node_name& from,
                           const node_name& to) {
  return make_error(errc::not_allowed, "slots " + listed(slots) + " cannot be moved to " + to.str()
                                           + ": node " + from.str()
                                           + " does not own all of them, or " + to.str()
                                           + " has no lease");
}

} // namespace fermata::detail
