#include <fermata/actors/sim/detail/simulated_sockets.hpp>

#include <fermata/actors/detail/splitmix.hpp>

#include <caf/actor_system.hpp>
#include <caf/atom.hpp>
#include <caf/io/abstract_broker.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/scribe.hpp>
#include <caf/node_id.hpp>
#include <caf/sec.hpp>

#include <cassert>
#include <utility>

namespace fermata::sim::detail {

using caf::io::accept_handle;
using caf::io::connection_handle;

namespace {

/// True when the broker has taken a port or connection over.
template <class Servant>
bool is_attached(const Servant& servant) {
  return servant && servant->parent() != nullptr
         && servant->parent()->getf(caf::abstract_actor::is_initialized_flag);
}

} // namespace

simulated_sockets::simulated_sockets(caf::actor_system& system, std::string node, cable& into)
    : test_multiplexer{&system}, node_{std::move(node)}, cable_{&into} {
  into.plugged_in(*this);
}

simulated_sockets::~simulated_sockets() {
  if (cable_)
    cable_->unplugged(*this);
}

void simulated_sockets::exec_later(caf::resumable* what) {
  // All others go on to the scheduler.
  if (what->subtype() == caf::resumable::io_actor
      || what->subtype() == caf::resumable::function_object)
    ++work_;
  test_multiplexer::exec_later(what);
}

void simulated_sockets::work() {
  assert(has_work());
  --work_;
  try_exec_runnable();
}

// What CAF calls when the system is destroyed.
bool simulated_sockets::try_run_once() {
  if (!has_work())
    return false;
  work();
  return true;
}

caf::expected<caf::io::scribe_ptr> simulated_sockets::new_tcp_scribe(const std::string& host,
                                                                     std::uint16_t port) {
  const auto local = connection_handle::from_int(++handles_);
  if (cable_ == nullptr || !cable_->dialed(*this, local, host, port))
    return caf::sec::cannot_connect_to_node;
  return new_scribe(local);
}

caf::expected<caf::io::doorman_ptr>
simulated_sockets::new_tcp_doorman(std::uint16_t port, const char* /*in*/, bool /*reuse_address*/) {
  constexpr std::uint16_t first_free_choice = 49152; // RFC 6335: the dynamic ports
  if (port == 0)
    for (port = first_free_choice; ports_.contains(port); ++port)
      continue;
  // One that its broker has closed is free again.
  if (const auto taken = ports_.find(port);
      taken != ports_.end() && !stopped_reading(taken->second))
    return caf::sec::cannot_open_port;
  const auto handle = accept_handle::from_int(++handles_);
  ports_[port] = handle;
  return new_doorman(handle, port);
}

bool simulated_sockets::listens(std::uint16_t port) {
  const auto found = ports_.find(port);
  return found != ports_.end() && is_attached(impl_ptr(found->second));
}

connection_handle simulated_sockets::accept(std::uint16_t port) {
  assert(listens(port));
  const auto local = connection_handle::from_int(++handles_);
  add_pending_connect(ports_.at(port), local);
  accept_connection(ports_.at(port));
  return local;
}

bool simulated_sockets::is_taken_over(connection_handle connection) {
  return is_attached(impl_ptr(connection));
}

bool simulated_sockets::reads(connection_handle connection) {
  return !passive_mode(connection) && is_taken_over(connection);
}

void simulated_sockets::receive(connection_handle connection, const bytes& what) {
  auto& buffer = virtual_network_buffer(connection);
  buffer.insert(buffer.end(), what.begin(), what.end());
  // Not `read_data`, which would also run what waits for the broker.
  while (try_read_data(connection))
    continue;
}

void simulated_sockets::ended(connection_handle connection) {
  assert(is_taken_over(connection));
  const auto scribe = impl_ptr(connection); // it may be the last reference
  scribe->io_failure(this, caf::io::network::operation::read);
}

simulated_sockets::bytes simulated_sockets::take_written(connection_handle connection) {
  return std::exchange(output_buffer(connection), {});
}

bool simulated_sockets::has_closed(connection_handle connection) {
  return stopped_reading(connection);
}

void simulated_sockets::forget(connection_handle connection) {
  impl_ptr(connection).reset();
  output_buffer(connection) = bytes{};
  input_buffer(connection) = bytes{};
  virtual_network_buffer(connection) = bytes{};
}

namespace {

/// CAF's own identity holds the process id and a counter that wraps at 256 systems: two nodes would
/// take each other for themselves, and the order in CAF's tables would differ between processes.
caf::node_id identity_of(const std::string& node, std::uint32_t incarnation) {
  std::uint64_t state = incarnation;
  for (const auto character : node)
    state = fermata::detail::mixed((state + 1) ^ static_cast<unsigned char>(character));
  caf::node_id::default_data::host_id_type host;
  for (auto& byte : host) {
    state = fermata::detail::mixed(state + 1);
    byte = static_cast<std::uint8_t>(state);
  }
  return caf::make_node_id(incarnation, host);
}

class simulated_middleman final : public caf::io::middleman {
public:
  simulated_middleman(caf::actor_system& system, std::string node, std::uint32_t incarnation,
                      cable& into)
      : middleman{system}, identity_{identity_of(node, incarnation)}, sockets_{system,
                                                                               std::move(node),
                                                                               into} {}

  caf::io::network::multiplexer& backend() override { return sockets_; }

  void init(caf::actor_system_config& config) override {
    middleman::init(config);
    // Where CAF's middleman has just set the system's identity, which only it may: no actor has
    // been spawned yet that could have seen another one.
    const_cast<caf::node_id&>(system().node()) = identity_;
  }

private:
  caf::node_id identity_;
  simulated_sockets sockets_;
};

} // namespace

void load_simulated_middleman(caf::actor_system_config& config, std::string node,
                              std::uint32_t incarnation, cable& into) {
  config.set("middleman.network-backend", caf::atom("testing"));
  config.set("middleman.manual-multiplexing", true);
  config.set("middleman.attach-utility-actors", true);
  // Neither threads nor messages by themselves.
  config.set("middleman.workers", std::size_t{0});
  config.set("middleman.heartbeat-interval", caf::timespan{0});
  config.module_factories.push_back(
      [node = std::move(node), incarnation, &into](caf::actor_system& system) {
        return static_cast<caf::actor_system::module*>(
            std::make_unique<simulated_middleman>(system, node, incarnation, into).release());
      });
}

} // namespace fermata::sim::detail
