#include <fermata/actors/sim/network.hpp>

#include <fermata/actors/sim/detail/simulated_sockets.hpp>
#include <fermata/actors/sim/world.hpp>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace fermata::sim {

using detail::simulated_sockets;
using std::chrono::milliseconds;

namespace {

/// One direction between two nodes.
struct link {
  milliseconds least{0};
  milliseconds most{0};
  bool held = false;
};

/// Something on its way to one end of a connection.
struct parcel {
  enum class kind {
    opening, ///< Somebody wants to connect.
    chunk,   ///< What a broker has written in one go.
    closing, ///< The other end is closed, or never came to be.
    breaking ///< The end's own system has given the connection up; no link stops it.
  };
  kind what;
  network::time_point due;
  simulated_sockets::bytes bytes;
};

struct end {
  enum class state {
    unopened, ///< Of the node that is connected with: it has not accepted yet.
    open,
    closed
  };
  std::string node;
  state is = state::unopened;
  simulated_sockets* sockets = nullptr; ///< While it is open.
  caf::io::connection_handle handle;
  link* inbound = nullptr;
  std::deque<parcel> inbox;
};

struct connection {
  /// The one that has connected, and the one that has accepted.
  std::array<end, 2> ends;
  std::uint16_t port = 0;
};

/// Two sides that do not reach each other; `other` without nodes is the rest.
struct cut {
  std::set<std::string> one;
  std::set<std::string> other;

  [[nodiscard]] bool separates(const std::string& from, const std::string& to) const {
    return (one.contains(from) && is_other(to)) || (one.contains(to) && is_other(from));
  }

private:
  [[nodiscard]] bool is_other(const std::string& node) const {
    return other.empty() ? !one.contains(node) : other.contains(node);
  }
};

struct node {
  simulated_sockets* sockets = nullptr; ///< While its system is there.
  std::uint32_t incarnation = 0;
  bool frozen = false;
  std::shared_ptr<const bool> up; ///< Gone when the node has left.
};

/// Something that can happen now: to a node's broker, or at an end of a connection.
struct offer {
  node* broker = nullptr;
  connection* along = nullptr;
  std::size_t side = 0;
};

void dial(caf::event_based_actor* self, const std::string& to, milliseconds timeout,
          const std::function<void(result<caf::actor>)>& done,
          const std::weak_ptr<const bool>& up) {
  const auto answer = [done, up](result<caf::actor> found) {
    if (!up.expired())
      done(std::move(found));
  };
  self->request(self->system().middleman().actor_handle(), timeout, caf::connect_atom_v, to,
                network::port)
      .then(
          [answer](const caf::node_id&, const caf::strong_actor_ptr& found,
                   const std::set<std::string>&) {
            if (found)
              answer(caf::actor_cast<caf::actor>(found));
            else
              answer(caf::make_error(caf::sec::no_actor_published_at_port, network::port));
          },
          [answer](caf::error& error) { answer(std::move(error)); });
}

} // namespace

struct network::implementation final : detail::cable {
  explicit implementation(std::uint64_t seed) : random{seed} {}
  ~implementation() override {
    for (auto& [name, one] : nodes)
      if (one.sockets)
        one.sockets->unplug();
  }

  // From the sockets of a node.
  bool dialed(simulated_sockets& from, caf::io::connection_handle local, const std::string& host,
              std::uint16_t to_port) override;
  void plugged_in(simulated_sockets& sockets) override;
  void unplugged(simulated_sockets& sockets) override;

  enum class manner { in_order, killed };
  /// The node is there no more.
  void depart(node& gone, manner how);

  [[nodiscard]] node& node_there(const std::string& name);
  [[nodiscard]] node* find(const std::string& name);
  [[nodiscard]] bool is_stopped(const connection& one, std::size_t side) const;
  [[nodiscard]] bool can_arrive(connection& one, std::size_t side);

  /// Puts something on its way to one end.
  void send(connection& one, std::size_t side, parcel::kind what,
            simulated_sockets::bytes bytes = {});
  /// Of what is on its way to this end, only the first `kept` still are.
  void lose(end& at, std::size_t kept = 0);
  void close(end& at);
  /// Sends what the node's broker has written, and ends what it has closed.
  void collect(simulated_sockets& sockets);
  void erase_ended();

  void arrive(connection& one, std::size_t side);
  void accept(connection& one);

  seeded_random random;
  time_point now;
  network_counts counts;
  std::map<std::string, node> nodes;
  std::map<std::pair<std::string, std::string>, link> links; ///< By from and to.
  std::vector<cut> cuts;
  std::list<connection> connections; ///< The oldest first.
  std::vector<offer> offers;         ///< What `ready` has found.
};

// -- nodes ----------------------------------------------------------------------------------------

node* network::implementation::find(const std::string& name) {
  const auto found = nodes.find(name);
  return found != nodes.end() && found->second.sockets ? &found->second : nullptr;
}

node& network::implementation::node_there(const std::string& name) {
  if (auto* found = find(name))
    return *found;
  throw std::logic_error("no node \"" + name + "\" is on the network");
}

void network::implementation::plugged_in(simulated_sockets& sockets) {
  auto& one = nodes[sockets.node()];
  if (one.sockets)
    throw std::logic_error("two nodes \"" + sockets.node() + "\" are on the network");
  one.sockets = &sockets;
  one.up = std::make_shared<const bool>(true);
}

void network::implementation::unplugged(simulated_sockets& sockets) {
  collect(sockets);
  depart(nodes.at(sockets.node()), manner::in_order);
}

void network::implementation::depart(node& gone, manner how) {
  for (auto& one : connections)
    for (std::size_t side = 0; side < 2; ++side) {
      auto& peer = one.ends[1 - side];
      if (one.ends[side].sockets != gone.sockets)
        continue;
      close(one.ends[side]);
      if (how == manner::killed && peer.is != end::state::closed) {
        ++counts.broken;
        // What the process had not read makes its kernel reset the connection, which overtakes what
        // it had sent.
        lose(peer, random.below(peer.inbox.size() + 1));
      }
      if (peer.is == end::state::unopened)
        close(peer); // nobody has heard of it, nor of anything that was sent in it
      else
        send(one, 1 - side, parcel::kind::closing);
    }
  gone.sockets->unplug();
  gone.sockets = nullptr;
  gone.frozen = false;
  gone.up.reset();
  erase_ended();
}

void network::configure(caf::actor_system_config& config, const std::string& node) {
  detail::load_simulated_middleman(config, node, ++implementation_->nodes[node].incarnation,
                                   *implementation_);
}

void network::join(const std::string& node, const caf::actor& directory) {
  auto& sockets = *implementation_->node_there(node).sockets;
  auto doorman = sockets.new_tcp_doorman(port, nullptr, true);
  if (!doorman)
    throw std::logic_error("the node \"" + node + "\" has joined already");
  // What CAF's middleman actor does, which would first have to be run by whoever runs the node.
  const auto broker =
      sockets.system().middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
  caf::anon_send(broker, caf::publish_atom_v, std::move(*doorman), port,
                 caf::actor_cast<caf::strong_actor_ptr>(directory), std::set<std::string>{});
  while (sockets.has_work())
    sockets.work();
}

void network::leave(const std::string& node) {
  auto& self = *implementation_;
  self.depart(self.node_there(node), implementation::manner::in_order);
}

void network::kill(const std::string& node) {
  auto& self = *implementation_;
  self.depart(self.node_there(node), implementation::manner::killed);
}

void network::freeze(const std::string& node, bool frozen) {
  implementation_->node_there(node).frozen = frozen;
}

void network::connect(const std::string& from, const std::string& to, milliseconds timeout,
                      std::function<void(result<caf::actor>)> done) {
  auto& node = implementation_->node_there(from);
  // Hidden: a node whose actors are counted has no more for it.
  node.sockets->system().spawn<caf::hidden>(dial, to, timeout, std::move(done),
                                            std::weak_ptr<const bool>{node.up});
}

// -- connections ----------------------------------------------------------------------------------

bool network::implementation::dialed(simulated_sockets& from, caf::io::connection_handle local,
                                     const std::string& host, std::uint16_t to_port) {
  connection made;
  made.port = to_port;
  made.ends[0] = {from.node(), end::state::open, &from, local, &links[{host, from.node()}], {}};
  made.ends[1].node = host;
  made.ends[1].inbound = &links[{from.node(), host}];
  auto* to = find(host);
  // Who can be reached and does not listen says so; who cannot be reached says nothing.
  if (!is_stopped(made, 1) && (to == nullptr || !to->sockets->listens(to_port))) {
    ++counts.refused;
    return false;
  }
  connections.push_back(std::move(made));
  send(connections.back(), 1, parcel::kind::opening);
  return true;
}

void network::implementation::accept(connection& one) {
  auto& at = one.ends[1];
  auto* to = find(at.node);
  if (to == nullptr || !to->sockets->listens(one.port)) {
    ++counts.refused;
    close(at);
    return send(one, 0, parcel::kind::closing);
  }
  ++counts.accepted;
  at.sockets = to->sockets;
  at.handle = to->sockets->accept(one.port);
  at.is = end::state::open;
}

bool network::implementation::is_stopped(const connection& one, std::size_t side) const {
  const auto& to = one.ends[side];
  const auto& from = one.ends[1 - side];
  return to.inbound->held || std::any_of(cuts.begin(), cuts.end(), [&](const cut& each) {
           return each.separates(from.node, to.node);
         });
}

void network::implementation::send(connection& one, std::size_t side, parcel::kind what,
                                   simulated_sockets::bytes bytes) {
  auto& to = one.ends[side];
  if (to.is == end::state::closed) {
    counts.lost += what == parcel::kind::chunk ? 1 : 0;
    return;
  }
  const auto& way = *to.inbound;
  auto due = now;
  if (way.most.count() > 0) {
    const auto choices = static_cast<std::uint64_t>((way.most - way.least).count()) + 1;
    due += way.least + milliseconds{random.below(choices)};
  }
  if (what == parcel::kind::chunk) {
    counts.delayed += due > now ? 1 : 0;
    counts.stopped += is_stopped(one, side) ? 1 : 0;
  }
  to.inbox.push_back({what, due, std::move(bytes)});
}

void network::implementation::lose(end& at, std::size_t kept) {
  const auto first = at.inbox.begin() + static_cast<std::ptrdiff_t>(kept);
  counts.lost += static_cast<std::uint64_t>(std::count_if(
      first, at.inbox.end(), [](const parcel& each) { return each.what == parcel::kind::chunk; }));
  at.inbox.erase(first, at.inbox.end());
}

void network::implementation::close(end& at) {
  lose(at);
  at.is = end::state::closed;
  if (auto* sockets = std::exchange(at.sockets, nullptr))
    sockets->forget(at.handle);
}

void network::implementation::collect(simulated_sockets& sockets) {
  for (auto& one : connections)
    for (std::size_t side = 0; side < 2; ++side) {
      auto& at = one.ends[side];
      if (at.sockets != &sockets)
        continue;
      if (auto written = sockets.take_written(at.handle); !written.empty())
        send(one, 1 - side, parcel::kind::chunk, std::move(written));
      if (sockets.has_closed(at.handle)) {
        close(at);
        send(one, 1 - side, parcel::kind::closing);
      }
    }
  erase_ended();
}

void network::implementation::erase_ended() {
  // What was found to be ready may be about them.
  offers.clear();
  connections.remove_if([](const connection& one) {
    return one.ends[0].is == end::state::closed && one.ends[1].is == end::state::closed;
  });
}

// -- faults ---------------------------------------------------------------------------------------

network::network(std::uint64_t seed) : implementation_{std::make_unique<implementation>(seed)} {}

network::~network() = default;

void network::partition(std::vector<std::string> one_side, std::vector<std::string> other_side) {
  cut made;
  made.one = {one_side.begin(), one_side.end()};
  made.other = {other_side.begin(), other_side.end()};
  implementation_->cuts.push_back(std::move(made));
}

void network::hold(const std::string& from, const std::string& to, bool held) {
  implementation_->links[{from, to}].held = held;
}

void network::repair() {
  implementation_->cuts.clear();
  for (auto& [ends, link] : implementation_->links)
    link.held = false;
}

void network::delay(const std::string& from, const std::string& to, milliseconds least,
                    milliseconds most) {
  assert(milliseconds{0} <= least && least <= most);
  auto& link = implementation_->links[{from, to}];
  link.least = least;
  link.most = most;
}

void network::drop(const std::string& one, const std::string& other) {
  auto& self = *implementation_;
  for (auto& each : self.connections) {
    auto& ends = each.ends;
    if (!(ends[0].node == one && ends[1].node == other)
        && !(ends[0].node == other && ends[1].node == one))
      continue;
    ++self.counts.broken;
    for (auto& at : ends) {
      self.lose(at);
      if (at.is == end::state::open)
        at.inbox.push_back({parcel::kind::breaking, self.now, {}});
      else
        self.close(at);
    }
  }
  self.erase_ended();
}

const network_counts& network::counts() const noexcept {
  return implementation_->counts;
}

// -- scheduling -----------------------------------------------------------------------------------

bool network::implementation::can_arrive(connection& one, std::size_t side) {
  auto& at = one.ends[side];
  if (at.inbox.empty() || at.inbox.front().due > now)
    return false;
  const auto what = at.inbox.front().what;
  if (what != parcel::kind::breaking && is_stopped(one, side))
    return false;
  if (const auto* to = find(at.node); to && to->frozen)
    return false;
  switch (what) {
  case parcel::kind::opening:
    return true;
  case parcel::kind::chunk:
    return at.sockets->reads(at.handle);
  default:
    return at.sockets->is_taken_over(at.handle);
  }
}

std::size_t network::ready(time_point at) {
  auto& self = *implementation_;
  assert(at >= self.now);
  self.now = at;
  self.offers.clear();
  for (auto& [name, one] : self.nodes)
    if (one.sockets && !one.frozen && one.sockets->has_work())
      self.offers.push_back({&one, nullptr, 0});
  for (auto& one : self.connections)
    for (std::size_t side = 0; side < 2; ++side)
      if (self.can_arrive(one, side))
        self.offers.push_back({nullptr, &one, side});
  return self.offers.size();
}

void network::implementation::arrive(connection& one, std::size_t side) {
  auto& at = one.ends[side];
  const auto came = std::move(at.inbox.front());
  at.inbox.pop_front();
  switch (came.what) {
  case parcel::kind::opening:
    return accept(one);
  case parcel::kind::chunk:
    ++counts.delivered;
    return at.sockets->receive(at.handle, came.bytes);
  case parcel::kind::closing:
  case parcel::kind::breaking:
    at.sockets->ended(at.handle);
    return close(at);
  }
}

void network::deliver(std::size_t which) {
  auto& self = *implementation_;
  assert(which < self.offers.size() && "something else has happened since `ready`");
  const auto chosen = self.offers[which];
  self.offers.clear();
  // It may be closed, and then nobody says any more where it was.
  auto* sockets = chosen.broker ? chosen.broker->sockets : nullptr;
  if (chosen.broker) {
    sockets->work();
  } else {
    auto* to = self.find(chosen.along->ends[chosen.side].node);
    sockets = to ? to->sockets : nullptr;
    self.arrive(*chosen.along, chosen.side);
  }
  if (sockets)
    self.collect(*sockets);
  else
    self.erase_ended();
}

std::optional<network::time_point> network::next() const {
  const auto& self = *implementation_;
  std::optional<time_point> earliest;
  for (const auto& one : self.connections)
    for (std::size_t side = 0; side < 2; ++side) {
      const auto& at = one.ends[side];
      if (at.inbox.empty() || at.inbox.front().due <= self.now || self.is_stopped(one, side))
        continue;
      if (const auto* to = implementation_->find(at.node); to && to->frozen)
        continue;
      if (!earliest || at.inbox.front().due < *earliest)
        earliest = at.inbox.front().due;
    }
  return earliest;
}

std::size_t network::under_way() const noexcept {
  std::size_t sum = 0;
  for (const auto& one : implementation_->connections)
    sum += one.ends[0].inbox.size() + one.ends[1].inbox.size();
  return sum;
}

} // namespace fermata::sim
