#pragma once

#include <caf/actor_system_config.hpp>
#include <caf/io/network/test_multiplexer.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fermata::sim::detail {

class simulated_sockets;

/// What sockets are connected with.
class cable {
public:
  virtual ~cable() = default;

  /// A connection with a port of another node is wanted; its local end is `local`. False: refused.
  virtual bool dialed(simulated_sockets& from, caf::io::connection_handle local,
                      const std::string& host, std::uint16_t port) = 0;
  /// These sockets are the ones of a new system.
  virtual void plugged_in(simulated_sockets& sockets) = 0;
  /// Their system is destroyed.
  virtual void unplugged(simulated_sockets& sockets) = 0;
};

/// The sockets of one simulated node: CAF's test multiplexer, which asks a network where its own
/// tests would have prepared every port and connection.
class simulated_sockets final : public caf::io::network::test_multiplexer {
public:
  using bytes = std::vector<char>;

  simulated_sockets(caf::actor_system& system, std::string node, cable& into);
  ~simulated_sockets() override;

  [[nodiscard]] const std::string& node() const noexcept { return node_; }
  /// From here on nothing leads out.
  void unplug() noexcept { cable_ = nullptr; }

  /// True when a message waits for the broker.
  [[nodiscard]] bool has_work() const noexcept { return work_ > 0; }
  /// Lets the broker take one message.
  void work();

  /// True when connections to the port are accepted.
  [[nodiscard]] bool listens(std::uint16_t port);
  /// Accepts one; the port listens. Gives the local end.
  caf::io::connection_handle accept(std::uint16_t port);

  /// True when the broker has taken the connection over, which takes a message to it.
  [[nodiscard]] bool is_taken_over(caf::io::connection_handle connection);
  /// True when it also reads from it.
  [[nodiscard]] bool reads(caf::io::connection_handle connection);
  /// The broker reads this.
  void receive(caf::io::connection_handle connection, const bytes& what);
  /// The other end has closed the connection, which is taken over, or it broke.
  void ended(caf::io::connection_handle connection);

  /// What the broker has written since the last call.
  [[nodiscard]] bytes take_written(caf::io::connection_handle connection);
  /// True when the broker has closed the connection.
  [[nodiscard]] bool has_closed(caf::io::connection_handle connection);
  /// The connection is over; frees what it held, but for a small entry in CAF's table.
  void forget(caf::io::connection_handle connection);

  using test_multiplexer::new_doorman;
  using test_multiplexer::new_scribe;
  caf::expected<caf::io::scribe_ptr> new_tcp_scribe(const std::string& host,
                                                    std::uint16_t port) override;
  caf::expected<caf::io::doorman_ptr> new_tcp_doorman(std::uint16_t port, const char* in,
                                                      bool reuse_address) override;
  bool try_run_once() override;

protected:
  void exec_later(caf::resumable* what) override;

private:
  std::string node_;
  cable* cable_;
  std::map<std::uint16_t, caf::io::accept_handle> ports_;
  std::int64_t handles_ = 0;
  std::size_t work_ = 0;
};

/// Has the system that is made with `config` load CAF's middleman over simulated sockets.
/// `incarnation` is another one at each start of a node; with its name it is the node's identity.
void load_simulated_middleman(caf::actor_system_config& config, std::string node,
                              std::uint32_t incarnation, cable& into);

} // namespace fermata::sim::detail
