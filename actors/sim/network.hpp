#pragma once

#include <fermata/messages/errors.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::sim {

/// What came to pass on a network, for campaigns that count what they have reached.
struct network_counts {
  std::uint64_t accepted = 0;  ///< Connections.
  std::uint64_t refused = 0;   ///< Connections with a node that is down or does not listen.
  std::uint64_t broken = 0;    ///< Connections that ended by `drop` or a crash.
  std::uint64_t delivered = 0; ///< Chunks.
  std::uint64_t delayed = 0;   ///< Chunks that a `delay` made wait.
  std::uint64_t stopped = 0;   ///< Chunks that were sent into a `hold` or a partition.
  std::uint64_t lost = 0;      ///< Chunks that their connection took with it when it broke.
};

/// The links between simulated nodes. CAF's own middleman and broker run on them, so every message
/// between two nodes is bytes on its way, and the rules are those of TCP: nothing is lost or
/// reordered within a connection, but a connection can break, with what was under way in it.
///
/// A node is known by its name, also before it starts and over its restarts; its directory is found
/// at the address `(name, network::port)`. Everything follows from the seed, the names and the
/// order of the calls: CAF's identities, which hold a process id and a counter, are replaced.
///
/// All of it happens on one thread. What CAF offers for blocking calls (`middleman::remote_actor`,
/// `publish` and the like) would wait forever: send requests to `middleman::actor_handle()`, or use
/// `connect`.
class network {
public:
  using time_point = std::chrono::steady_clock::time_point; ///< In virtual time.

  /// Where each node's directory listens.
  static constexpr std::uint16_t port = 4242;

  explicit network(std::uint64_t seed);
  network(const network&) = delete;
  network& operator=(const network&) = delete;
  ~network(); ///< Nodes that are still there go on without a network.

  /// @name Faults, for whoever writes a scenario
  /// They last over crashes and restarts. `from` and `to` are one direction of a link.
  /// @{

  /// Cuts all links between the two sides; no nodes on the other side means all that are not on the
  /// first. What is sent over a cut link stays under way, in its order, and so do attempts to
  /// connect: nobody is told anything. Several partitions add up.
  void partition(std::vector<std::string> one_side, std::vector<std::string> other_side = {});
  /// Lets nothing arrive in this direction, until it is called with false.
  void hold(const std::string& from, const std::string& to, bool held = true);
  /// Ends all partitions and holds; what they stopped arrives, in its order.
  void repair();
  /// From now on each chunk takes a time from `least` to `most` on its way, both included; the seed
  /// decides. Of one connection none overtakes another. Zero, the default, is no delay.
  void delay(const std::string& from, const std::string& to, std::chrono::milliseconds least,
             std::chrono::milliseconds most);
  /// Breaks all connections between two nodes, cut or not. What was under way is lost, and each end
  /// learns it by itself, as when TCP gives up. A request in it is not answered: it times out.
  void drop(const std::string& one, const std::string& other);

  [[nodiscard]] const network_counts& counts() const noexcept;
  /// @}

  /// @name Nodes, for whoever makes them
  /// @{

  /// Prepares the configuration of a node's actor system: with CAF's middleman, on this network.
  /// The system is made with it at once and only once, while no other of that name is there
  /// (`std::logic_error`), and has the scheduler `testing`. CAF has two actors of its own in it and
  /// one for each peer. Making it takes 0.1 ms more than without a network.
  void configure(caf::actor_system_config& config, const std::string& node);

  /// Lets the node, which is there and has not joined yet (`std::logic_error`), listen on `port`:
  /// who connects finds `directory`. Runs the node's broker until it does, and nothing else.
  void join(const std::string& node, const caf::actor& directory);

  /// The node's process ends in order: its connections do, after all that it has sent. Its system
  /// is to be destroyed next, and reaches nobody from here on; nor is it told of anything. (One
  /// that is destroyed without a word leaves by that, and who waits for `connect` hears an error
  /// meanwhile.)
  void leave(const std::string& node);

  /// The node's process is killed: as `leave`, but a part of what it has sent (the seed says which)
  /// is lost, as when a kernel resets the connections of a process that had not read all.
  void kill(const std::string& node);

  /// Lets nothing happen at the node's end, neither arrive nor leave, until it is called with false
  /// or the node leaves. Its actors are frozen by whoever runs them.
  void freeze(const std::string& node, bool frozen = true);

  /// Connects `from`, which is there, with the directory of `to`, and calls `done` once, in a step
  /// of `from`, as production code does with `middleman::actor_handle()`. Two nodes share a
  /// connection. An address is good for one connection: after it broke, what is sent to it is
  /// dropped, so connect again. Not called if `from` leaves first.
  ///
  /// Errors (CAF's): `sec::cannot_connect_to_node` if `to` is down or does not listen;
  /// `sec::request_timeout` if a partition or hold keeps it from being known for so long;
  /// `sec::disconnect_during_handshake`.
  void connect(const std::string& from, const std::string& to, std::chrono::milliseconds timeout,
               std::function<void(result<caf::actor>)> done);
  /// @}

  /// @name Scheduling, for whoever runs the nodes
  /// @{

  /// Looks at what can happen at this time and says how many things that are. Time never goes back.
  /// The order depends only on the names of nodes and the ages of connections. Call it before every
  /// step of anything, with the time of that step: what a node sends is sent then.
  [[nodiscard]] std::size_t ready(time_point now);

  /// Lets one of them happen, counted from 0, before anything else does: one message for a node's
  /// broker, one chunk, one new connection or the end of one.
  void deliver(std::size_t which);

  /// When a delayed chunk arrives next; nothing: none is delayed. Those that a partition, a hold or
  /// a frozen node stops are not among them.
  [[nodiscard]] std::optional<time_point> next() const;

  /// How many chunks, openings and ends of connections have not arrived.
  [[nodiscard]] std::size_t under_way() const noexcept;
  /// @}

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata::sim
