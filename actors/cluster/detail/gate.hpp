#pragma once

#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/actors/cluster/detail/request_desk.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/messages/cluster.hpp>

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <functional>
#include <map>
#include <memory>

namespace fermata::detail {

/// How a node is, of its own knowledge. `slots` are null where it has a store of its own.
[[nodiscard]] node_status status_of(const services& shared, const node_hello& hello,
                                    timestamp started_at, const slot_map* slots);

/// What waits on this node for somebody outside. Errors: `limit_exceeded`, those of the store.
[[nodiscard]] result<pending_list> pending_of(const services& shared, const pending_query& what);

struct gate_options {
  node_hello hello;                           ///< What this node says of itself.
  timestamp started_at;                       ///< Since when it runs.
  caf::actor links;                           ///< Is told who has connected.
  std::shared_ptr<const contact_board> board; ///< Of the links.
  /// Is told of those who are not let in: who they say they are, and why.
  std::function<void(const node_name&, const std::string&)> on_refused;
  desk_options requests;                 ///< Of other nodes' hosts.
  std::shared_ptr<const slot_map> slots; ///< Null: the node has a store of its own.

  gate_options() = default;
};

/// What the other nodes reach of a node. It lets those in who belong to its cluster, and passes on
/// what they have for the sessions that live here.
class gate {
public:
  gate(caf::event_based_actor* self, services_ptr shared, caf::actor directory,
       gate_options options);

  /// A node greets, and says what its own gate is. Errors: `peer_refused`.
  [[nodiscard]] result<node_hello> greet(const caf::strong_actor_ptr& who, const node_hello& hello,
                                         const caf::actor& its_gate);
  /// Whoever sent the message that is handled: errors: `peer_refused`: he has not greeted.
  [[nodiscard]] caf::error check_sender() const;
  /// The same, of something for a session. Errors also if that lives elsewhere: `peer_refused`,
  /// or `node_unavailable` where nodes share a store, and it may have been here just before.
  [[nodiscard]] caf::error check_sender(const session_id& session) const;
  [[nodiscard]] const caf::actor& directory() const noexcept { return directory_; }
  [[nodiscard]] const gate_options& options() const noexcept { return options_; }
  [[nodiscard]] const services& shared() const noexcept { return *shared_; }
  [[nodiscard]] request_desk& requests() noexcept { return requests_; }
  /// Slots were moved to this node, says whoever sent the message that is handled.
  void take_offer();
  void lost(const caf::actor_addr& who);

private:
  struct guest {
    node_name name;
    std::uint64_t life;
  };

  [[nodiscard]] caf::error objection(const node_hello& hello) const;

  caf::event_based_actor* self_;
  services_ptr shared_;
  caf::actor directory_;
  gate_options options_;
  request_desk requests_;
  std::map<caf::actor_addr, guest> guests_;
};

struct gate_state {
  static inline const char* name = "fermata.gate";
  std::unique_ptr<gate> body;
};

/// Ends when it gets `close_down`.
caf::behavior gate_actor(caf::stateful_actor<gate_state>* self, services_ptr shared,
                         caf::actor directory, gate_options options);

} // namespace fermata::detail
