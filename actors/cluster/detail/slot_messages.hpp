#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <functional>
#include <memory>

/// What a node's keeper of slots and its links tell each other, and are told. These never leave the
/// process.
namespace fermata::detail {

/// To the keeper, by way of the links: something says that a slot may have another owner.
struct look_at_slots {
  look_at_slots() = default;
};

/// To the links: the keeper has looked, and where sessions live may have changed.
struct homes_changed {
  homes_changed() = default;
};

/// To the links: slots were moved to a node, which is to be told.
struct slots_offered {
  node_name to;

  slots_offered() = default;
  explicit slots_offered(node_name whom) : to{std::move(whom)} {}
};

/// To the keeper: nothing is in memory any more of what has departed.
struct departure_cleared {
  std::uint64_t departure = 0;

  departure_cleared() = default;
  explicit departure_cleared(std::uint64_t which) : departure{which} {}
};

/// To the keeper: it is to give all slots away. `ended` is called once, by the keeper: see
/// `cluster_node::drain` for the errors.
struct drain_order {
  std::function<void(const caf::error&)> ended;

  drain_order() = default;
  explicit drain_order(std::function<void(const caf::error&)> then) : ended{std::move(then)} {}
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::look_at_slots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::homes_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::slots_offered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::departure_cleared)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::drain_order)
