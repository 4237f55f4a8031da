#include <fermata/actors/cluster/cluster_node.hpp>

#include <fermata/actors/cluster/detail/dialer.hpp>
#include <fermata/actors/cluster/detail/gate.hpp>
#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/actors/cluster/detail/request_desk.hpp>
#include <fermata/actors/cluster/detail/request_lanes.hpp>
#include <fermata/actors/cluster/detail/slot_keeper.hpp>
#include <fermata/actors/cluster/detail/tls_check.hpp>
#include <fermata/actors/cluster/detail/tls_errors.hpp>
#include <fermata/actors/detail/runtime_implementation.hpp>
#include <fermata/actors/system_seams.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/io/middleman.hpp>
#include <caf/logger.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <mutex>
#include <stdexcept>

namespace fermata {

namespace {

/// Each may have a megabyte of arguments.
constexpr std::size_t pending_at_once = 16;

bool is_ip_address(const std::string& text) {
  in_addr four{};
  in6_addr six{};
  return ::inet_pton(AF_INET, text.c_str(), &four) == 1
         || ::inet_pton(AF_INET6, text.c_str(), &six) == 1;
}

bool is_loopback(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) == 1)
    return ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
  return host == "localhost" || host == "::1";
}

/// Whoever talks to a system by a blocking actor counts as a user of its logger from then on, and
/// its end waits for the last of them; but it may be another thread that stops the node.
class logger_guest {
public:
  logger_guest() = default;
  logger_guest(const logger_guest&) = delete;
  logger_guest& operator=(const logger_guest&) = delete;
  ~logger_guest() { caf::logger::set_current_actor_system(nullptr); }
};

/// What `drain` calls back, once: also where the keeper has ended when the order comes.
class drain_answer {
public:
  explicit drain_answer(std::function<void(const caf::error&)> ended) : ended_{std::move(ended)} {}
  drain_answer(const drain_answer&) = delete;
  drain_answer& operator=(const drain_answer&) = delete;
  ~drain_answer() {
    if (ended_)
      give(make_error(errc::shutting_down, "the node is not started, or stopped"));
  }
  void give(const caf::error& how) { detail::tell(std::exchange(ended_, nullptr), how); }

private:
  std::function<void(const caf::error&)> ended_;
};

} // namespace

caf::error check(const cluster_options& net) {
  const auto refuse = [](std::string why) {
    return make_error(errc::invalid_field, std::move(why));
  };
  if (const auto error = check(net.members))
    return refuse("cluster_options::members: " + message_of(error));
  if (find_member(net.members, net.name) == nullptr)
    return refuse("cluster_options::name: " + quoted_excerpt(net.name.str())
                  + " is no member of the cluster");
  const auto& timing = net.timing;
  for (const auto duration :
       {timing.connect_timeout, timing.first_retry, timing.longest_retry, timing.refused_retry,
        timing.heartbeat, timing.silence, timing.connection_timeout})
    if (duration.count() < 1)
      return refuse(
          "cluster_options::timing: all but head_start and idle_heartbeat are 1 millisecond or "
          "more");
  if (timing.head_start.count() < 0 || timing.idle_heartbeat.count() < 0)
    return refuse(
        "cluster_options::timing: head_start and idle_heartbeat are 0 milliseconds or more");
  if (net.request_threads == 0 || net.requests_at_once == 0)
    return refuse("cluster_options: request_threads and requests_at_once are 1 or more");
  if (net.ownership && net.ownership->node() != net.name)
    return refuse("cluster_options::ownership: it was joined as "
                  + quoted_excerpt(net.ownership->node().str()) + ", and the node is "
                  + net.name.str());
  if (net.handover_patience.count() < 0 || net.handover_wait.count() < 0)
    return refuse(
        "cluster_options: handover_patience and handover_wait are 0 milliseconds or more");
  if (!net.listen_address.empty() && !is_ip_address(net.listen_address))
    return refuse("cluster_options::listen_address: " + quoted_excerpt(net.listen_address)
                  + " is no IP address; accepted is one of this machine, as 10.0.0.1 or ::1");
  if (net.tls) {
    if (const auto why = detail::objection_to(*net.tls); !why.empty())
      return refuse("cluster_options::tls: " + why);
  } else if (!net.trust_network) {
    for (const auto& member : net.members.members)
      if (!is_loopback(member.host))
        return refuse(
            "cluster_options: member " + member.name.str() + " is at " + member.host
            + ", and plain TCP trusts whoever reaches it; give it tls, or say trust_network");
    if (!net.listen_address.empty() && !is_loopback(net.listen_address))
      return refuse(
          "cluster_options::listen_address: " + net.listen_address
          + " is no loopback address, and plain TCP trusts whoever reaches it; give it tls, or "
            "say trust_network");
  }
  return caf::none;
}

struct cluster_node::implementation {
  implementation(cluster_options with, runtime_options options) : net{std::move(with)} {
    if (const auto refused = check(net))
      throw std::invalid_argument(message_of(refused));
    configure(config);
    config.load<caf::io::middleman>();
    config.set("scheduler.policy", caf::atom("sharing"));
    config.set("middleman.app-identifiers", std::vector<std::string>{"fermata"});
    config.set("middleman.enable-automatic-connections", false);
    config.set("middleman.heartbeat-interval", caf::timespan{net.timing.heartbeat});
    config.set("middleman.connection-timeout", caf::timespan{net.timing.connection_timeout});
    if (net.tls) {
      config.load<caf::openssl::manager>();
      config.openssl_certificate = net.tls->certificate.string();
      config.openssl_key = net.tls->key.string();
      config.openssl_cafile = net.tls->authority.string();
    }
    const logger_guest guest;
    system = std::make_unique<caf::actor_system>(config);
    if (net.tls)
      detail::keep_tls_errors_apart(*system);
    if (!options.random)
      options.random = system_random();
    if (!options.clock)
      options.clock = system_clock();

    hello.software = FERMATA_VERSION;
    hello.name = net.name;
    hello.life = options.random->next();
    hello.members = net.members;
    hello.shares_store = net.ownership != nullptr;
    if (net.ownership)
      hello.store = net.ownership->identity();
    started_at = options.clock->now();
    detail::link_options to_others;
    to_others.hello = hello;
    to_others.timing = net.timing;
    to_others.max_errands = options.limits.runtime_queue;
    to_others.dialer = detail::dialer_by(net.tls ? by_tls() : by_tcp(), net.timing.connect_timeout);
    to_others.on_contact = net.on_contact;
    to_others.board = board;
    to_others.counters = counters;
    max_waiting = options.limits.runtime_queue;
    if (net.ownership)
      slots = std::make_shared<detail::slot_map>(net.name, net.members, options.clock);
    to_others.homes = slots;
    to_others.handover_wait = net.handover_wait;
    clock = options.clock;
    keeper_has_thread = options.journal_thread;
    links = system->spawn(detail::peer_links_actor, std::move(to_others));
    lanes = std::make_shared<detail::request_lanes>(
        [to = links](const node_name& node, std::string what, auto answer) {
          caf::anon_send(to, std::make_shared<detail::request_inquiry::element_type>(
                                 detail::host_request{node, std::move(what)},
                                 std::chrono::milliseconds{0}, std::move(answer)));
        },
        net.requests_at_once, max_waiting);

    options.router = slots ? detail::make_router(slots, links) : detail::make_router(hello, links);
    local = std::make_unique<runtime>(*system, std::move(options));
  }

  [[nodiscard]] caf::actor by_tcp() const {
    return caf::actor_cast<caf::actor>(system->middleman().actor_handle());
  }
  [[nodiscard]] caf::actor by_tls() const {
    return caf::actor_cast<caf::actor>(system->openssl_manager().actor_handle());
  }

  /// Empty: all.
  [[nodiscard]] std::string listen_address(const cluster_member& member) const {
    if (!net.listen_address.empty() || !is_loopback(member.host))
      return net.listen_address;
    return member.host == "::1" ? "::1" : "127.0.0.1";
  }

  /// Takes connections.
  [[nodiscard]] caf::error listen() {
    const auto& member = *find_member(net.members, net.name);
    const auto listens = listen_address(member);
    const auto* address = listens.empty() ? nullptr : listens.c_str();
    const auto bound = net.tls ? caf::openssl::publish(gate, member.port, address, true)
                               : system->middleman().publish(gate, member.port, address, true);
    if (bound)
      return caf::none;
    return make_error(
        errc::cannot_listen,
        "node " + net.name.str() + " cannot take connections at port " + std::to_string(member.port)
            + (listens.empty() ? listens : " of " + listens) + ": is another node running there? ("
            + system->render(bound.error()) + ")");
  }

  [[nodiscard]] result<pending_list> pending_on(const node_name& node, const pending_query& what);

  [[nodiscard]] detail::desk_options desk() {
    request_pool = thread_pool(net.request_threads);
    detail::desk_options made;
    made.handler = net.on_request;
    made.pool = request_pool;
    made.max_waiting = max_waiting;
    made.request_size_bytes = net.request_size_bytes;
    made.answer_size_bytes = net.answer_size_bytes;
    return made;
  }

  /// Begins to own sessions of the shared store.
  void spawn_keeper() {
    detail::keeper_options options;
    options.ownership = net.ownership;
    options.map = slots;
    options.clock = clock;
    options.directory = local->directory();
    options.links = links;
    options.busy = [shared = local->implementation_->shared] {
      detail::slot_set busy;
      for (const auto& call : shared->workers.calls())
        busy.set(slot_of(call.session()));
      return busy;
    };
    // Until the links have begun they have said nothing of anybody.
    options.peers = [says = board, others = net.members.members.size() - 1] {
      auto reports = says->reports();
      reports.resize(others);
      return reports;
    };
    options.handover_patience = net.handover_patience;
    options.on_slots = net.on_slots;
    options.counters = slot_counters;
    const std::lock_guard lock{keeper_mutex};
    keeper = keeper_has_thread
                 ? system->spawn<caf::detached>(detail::slot_keeper_actor, std::move(options))
                 : system->spawn(detail::slot_keeper_actor, std::move(options));
  }

  [[nodiscard]] caf::actor current_keeper() {
    const std::lock_guard lock{keeper_mutex};
    return keeper;
  }

  /// Whoever ends it must not hold the mutex: those whose orders end with it may come back here.
  [[nodiscard]] caf::actor take_keeper() {
    const std::lock_guard lock{keeper_mutex};
    return std::exchange(keeper, {});
  }

  /// Gives the port back.
  void hang_up() {
    if (!gate)
      return;
    const auto port = find_member(net.members, net.name)->port;
    // By the broker, which TLS has no other one of. An error says that the port was not taken.
    static_cast<void>(system->middleman().unpublish(gate, port));
  }

  void end(const caf::actor& which) {
    if (!which)
      return;
    caf::scoped_actor waiter{*system};
    waiter->send(which, detail::close_down{});
    waiter->wait_for(which);
  }

  void stop() {
    if (std::exchange(stopped, true))
      return;
    const logger_guest guest;
    // Nobody new comes in, then what is here ends, and says so, then what goes out.
    hang_up();
    // A tool that does not listen may run on for long, and nobody is to wait for it with what comes
    // before the last line: without a directory the node has no use for its slots.
    auto pool = local->implementation_->shared->options.pool;
    local->stop();
    // Before the others see that it is gone, and look what has become of its slots.
    end(take_keeper());
    end(gate);
    gate = {};
    request_pool.reset(); // waits for the handler, which nobody calls any more
    lanes->close();
    end(links);
    pool.reset(); // waits for tools that run, unless the host has the pool as well
  }

  cluster_options net;
  node_hello hello;
  timestamp started_at;
  std::shared_ptr<detail::contact_board> board = std::make_shared<detail::contact_board>();
  std::shared_ptr<detail::link_counters> counters = std::make_shared<detail::link_counters>();
  std::shared_ptr<detail::request_lanes> lanes;
  std::shared_ptr<blocking_pool> request_pool; ///< Null: not started.
  std::size_t max_waiting = 0;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<wall_clock> clock;
  std::shared_ptr<detail::slot_map> slots; ///< Null: the store is this node's own.
  std::shared_ptr<detail::slot_counters> slot_counters = std::make_shared<detail::slot_counters>();
  bool keeper_has_thread = true;
  caf::actor links;
  caf::actor gate;
  std::mutex keeper_mutex; ///< For `drain` and `stop`, which other threads may call.
  caf::actor keeper;       ///< Null: not started, or it owns nothing.
  std::unique_ptr<runtime> local;
  bool stopped = false;
};

cluster_node::cluster_node(cluster_options net, runtime_options options)
    : implementation_{std::make_unique<implementation>(std::move(net), std::move(options))} {}

cluster_node::~cluster_node() {
  stop();
}

runtime& cluster_node::local() noexcept {
  return *implementation_->local;
}

caf::error cluster_node::start() {
  auto& self = *implementation_;
  const logger_guest guest;
  self.local->start();
  detail::gate_options options;
  options.hello = self.hello;
  options.started_at = self.started_at;
  options.links = self.links;
  options.board = self.board;
  options.on_refused = self.net.on_refused;
  options.requests = self.desk();
  options.slots = self.slots;
  self.gate = self.system->spawn(detail::gate_actor, self.local->implementation_->shared,
                                 self.local->directory(), std::move(options));
  if (auto error = self.listen()) {
    stop();
    return error;
  }
  detail::open_links opened{self.gate};
  if (self.slots) {
    self.spawn_keeper();
    opened.directory = self.local->directory();
    opened.keeper = self.keeper;
  }
  caf::anon_send(self.links, std::move(opened));
  return caf::none;
}

void cluster_node::stop() {
  implementation_->stop();
}

void cluster_node::drain(std::function<void(const caf::error&)> ended) {
  auto& self = *implementation_;
  if (!self.slots)
    return ended(
        make_error(errc::not_allowed,
                   "the nodes of this cluster do not share a store: each keeps its own sessions"));
  const auto keeper = self.current_keeper();
  const auto answer = std::make_shared<drain_answer>(std::move(ended));
  if (keeper)
    caf::anon_send(keeper,
                   detail::drain_order{[answer](const caf::error& how) { answer->give(how); }});
}

caf::error cluster_node::drain(std::chrono::milliseconds timeout) {
  const auto promise = std::make_shared<std::promise<caf::error>>();
  auto future = promise->get_future();
  drain([promise](const caf::error& how) { promise->set_value(how); });
  if (future.wait_for(timeout) == std::future_status::ready)
    return future.get();
  const auto& self = *implementation_;
  return make_error(errc::timed_out, "node " + self.net.name.str() + " still serves "
                                         + std::to_string(self.slots->served().count()) + " of "
                                         + std::to_string(session_slots)
                                         + " slots of sessions; it goes on giving them");
}

const cluster_member* cluster_node::home_of(const session_id& session) const {
  const auto& self = *implementation_;
  if (!self.slots)
    return &fermata::home_of(self.net.members, session);
  const auto home = self.slots->home_of(session);
  return home ? find_member(self.net.members, *home) : nullptr;
}

bool cluster_node::shares_store() const noexcept {
  return implementation_->slots != nullptr;
}

const store_identity& cluster_node::shared_store() const noexcept {
  return implementation_->hello.store;
}

std::vector<peer_report> cluster_node::peers() const {
  return implementation_->board->reports();
}

namespace {

/// Puts the answers of all nodes together.
class status_collection {
public:
  using callback = std::function<void(std::vector<member_status>)>;

  status_collection(std::vector<member_status> all, std::size_t awaited, callback tell)
      : all_{std::move(all)}, awaited_{awaited}, tell_{std::move(tell)} {}

  void put(std::size_t place, result<node_status> given) {
    {
      const std::lock_guard lock{mutex_};
      if (given)
        all_[place].status = std::move(*given);
      else
        all_[place].reason = message_of(given.error());
      if (--awaited_ > 0)
        return;
    }
    tell_(std::move(all_)); // nobody else comes any more
  }

private:
  std::mutex mutex_;
  std::vector<member_status> all_;
  std::size_t awaited_;
  callback tell_;
};

} // namespace

void cluster_node::status(std::function<void(std::vector<member_status>)> callback) const {
  const auto& self = *implementation_;
  const auto& members = self.net.members.members;
  std::vector<member_status> all(members.size());
  std::transform(members.begin(), members.end(), all.begin(), [](const cluster_member& member) {
    member_status one;
    one.member = member;
    return one;
  });
  const auto collection =
      std::make_shared<status_collection>(std::move(all), members.size(), std::move(callback));
  for (std::size_t place = 0; place < members.size(); ++place) {
    if (members[place].name == self.net.name)
      collection->put(place, detail::status_of(*self.local->implementation_->shared, self.hello,
                                               self.started_at, self.slots.get()));
    else
      caf::anon_send(self.links, std::make_shared<detail::node_inquiry::element_type>(
                                     members[place].name, std::chrono::milliseconds{0},
                                     [collection, place](result<node_status> given) {
                                       collection->put(place, std::move(given));
                                     }));
  }
}

std::vector<member_status> cluster_node::status() const {
  const auto promise = std::make_shared<std::promise<std::vector<member_status>>>();
  auto future = promise->get_future();
  status([promise](std::vector<member_status> all) { promise->set_value(std::move(all)); });
  return future.get();
}

void cluster_node::request(const node_name& node, std::string what,
                           std::function<void(result<std::string>)> callback) const {
  const auto& net = implementation_->net;
  if (node == net.name || find_member(net.members, node) == nullptr)
    return callback(
        make_error(errc::invalid_field, "there is no other node " + quoted_excerpt(node.str())));
  if (auto error = check_limit("request_size_bytes", what.size(), net.request_size_bytes))
    return callback(std::move(error));
  implementation_->lanes->ask(node, std::move(what), std::move(callback));
}

cluster_traffic cluster_node::traffic() const {
  const auto& counters = *implementation_->counters;
  cluster_traffic made;
  made.commands = counters.commands;
  made.questions = counters.questions;
  made.contacts_lost = counters.lost;
  made.errands = counters.errands;
  made.readings = counters.readings;
  const auto& slots = *implementation_->slot_counters;
  made.slots_acquired = slots.acquired;
  made.slots_given = slots.given;
  made.slots_lost = slots.lost;
  if (implementation_->slots)
    made.slots_served = implementation_->slots->served().count();
  return made;
}

const node_name& cluster_node::name() const noexcept {
  return implementation_->net.name;
}

const member_list& cluster_node::members() const noexcept {
  return implementation_->net.members;
}

result<pending_list> cluster_node::implementation::pending_on(const node_name& node,
                                                              const pending_query& what) {
  if (node == net.name)
    return detail::pending_of(*local->implementation_->shared, what);
  result<pending_list> found{pending_list{}};
  const logger_guest guest;
  caf::scoped_actor asker{*system};
  asker->request(links, caf::infinite, node, what)
      .receive([&](pending_list& given) { found = std::move(given); },
               [&](caf::error& why) { found = std::move(why); });
  return found;
}

cluster_pending cluster_node::pending(std::size_t limit) const {
  auto& self = *implementation_;
  cluster_pending all;
  for (const auto& member : self.net.members.members) {
    // A shared store has what waits on all nodes.
    if (self.slots && member.name != self.net.name)
      continue;
    pending_query what;
    for (std::size_t got = 0; got < limit;) {
      what.limit = static_cast<std::uint32_t>(std::min(limit - got, pending_at_once));
      auto page = self.pending_on(member.name, what);
      if (!page) {
        all.missing.push_back({member, message_of(page.error())});
        break;
      }
      got += page->items.size();
      std::move(page->items.begin(), page->items.end(), std::back_inserter(all.items));
      std::move(page->damaged.begin(), page->damaged.end(), std::back_inserter(all.damaged));
      if (!page->more)
        break;
      all.more = all.more || got >= limit;
      what.after_session = page->last_session;
      what.after_item = page->last_item;
    }
  }
  return all;
}

} // namespace fermata
