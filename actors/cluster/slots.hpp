#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// What happens to a node's slots of sessions, in a cluster that shares a store.
enum class slot_change : std::uint8_t {
  acquired,    ///< They are served here from now on.
  given,       ///< They were moved to another node, as that one's share or since this one drains.
  lost,        ///< Another node may have them: the lease had run out.
  not_renewed, ///< The lease could not be renewed; it is tried again and again.
  renewed,     ///< It could, after that.
  replaced,    ///< Another process has come under this node's name: this one serves nothing more.
  /// Members of the cluster have another store, and no other node this one's: so this node, which
  /// has just started, serves nothing, until those have this store, or another node has a lease of
  /// it.
  withheld,
};
constexpr std::array<std::string_view, 7> enum_names(slot_change) {
  return {"acquired", "given", "lost", "not_renewed", "renewed", "replaced", "withheld"};
}

/// What has changed, for an operator.
struct slot_report {
  slot_change change = slot_change::acquired;
  std::vector<std::uint32_t> slots; ///< Which; none where the lease is what is told of.
  node_name to;                     ///< `given`: who has them now.
  /// `not_renewed` and `replaced`: what the store says; `withheld`: who has another one.
  std::string reason;
  std::size_t served = 0; ///< How many this node serves by now.

  slot_report() = default;
  friend bool operator==(const slot_report&, const slot_report&) = default;
};

} // namespace fermata
