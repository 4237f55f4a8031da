#include <fermata/actors/cluster/cluster_node.hpp>

#include <fermata/actors/cluster/detail/dialer.hpp>
#include <fermata/actors/cluster/detail/gate.hpp>
#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/actors/cluster/detail/tls_check.hpp>
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
#include <iterator>
#include <stdexcept>

namespace fermata {

namespace {

/// Each may have a megabyte of arguments.
constexpr std::size_t pending_at_once = 16;

bool is_loopback(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) == 1)
    return ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
  return host == "localhost" || host == "::1";
}

void check(const cluster_options& net) {
  const auto refuse = [](const std::string& why) { throw std::invalid_argument(why); };
  if (const auto error = check(net.members))
    refuse("cluster_options::members: " + message_of(error));
  if (find_member(net.members, net.name) == nullptr)
    refuse("cluster_options::name: " + quoted_excerpt(net.name.str())
           + " is no member of the cluster");
  const auto& timing = net.timing;
  for (const auto duration :
       {timing.connect_timeout, timing.first_retry, timing.longest_retry, timing.refused_retry,
        timing.heartbeat, timing.silence, timing.connection_timeout})
    if (duration.count() < 1)
      refuse("cluster_options::timing: all but head_start and idle_heartbeat are 1 millisecond or "
             "more");
  if (timing.head_start.count() < 0 || timing.idle_heartbeat.count() < 0)
    refuse("cluster_options::timing: head_start and idle_heartbeat are 0 milliseconds or more");
  if (net.tls) {
    if (const auto why = detail::objection_to(*net.tls); !why.empty())
      refuse("cluster_options::tls: " + why);
  } else if (!net.trust_network) {
    for (const auto& member : net.members.members)
      if (!is_loopback(member.host))
        refuse("cluster_options: member " + member.name.str() + " is at " + member.host
               + ", and plain TCP trusts whoever reaches it; give it tls, or say trust_network");
    if (!net.listen_address.empty() && !is_loopback(net.listen_address))
      refuse("cluster_options::listen_address: " + net.listen_address
             + " is no loopback address, and plain TCP trusts whoever reaches it; give it tls, or "
               "say trust_network");
  }
}

} // namespace

struct cluster_node::implementation {
  implementation(cluster_options with, runtime_options options) : net{std::move(with)} {
    check(net);
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
    system = std::make_unique<caf::actor_system>(config);
    if (!options.random)
      options.random = system_random();
    if (!options.clock)
      options.clock = system_clock();

    hello.software = FERMATA_VERSION;
    hello.name = net.name;
    hello.life = options.random->next();
    hello.members = net.members;
    started_at = options.clock->now();
    detail::link_options to_others;
    to_others.hello = hello;
    to_others.timing = net.timing;
    to_others.max_errands = options.limits.runtime_queue;
    to_others.dialer = detail::dialer_by(net.tls ? by_tls() : by_tcp(), net.timing.connect_timeout);
    to_others.on_contact = net.on_contact;
    to_others.board = board;
    links = system->spawn(detail::peer_links_actor, std::move(to_others));

    options.router = detail::make_router(hello, links);
    local = std::make_unique<runtime>(*system, std::move(options));
    caf::logger::set_current_actor_system(nullptr);
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
    // Nobody new comes in, then what is here ends, and says so, then what goes out.
    hang_up();
    local->stop();
    end(gate);
    end(links);
  }

  cluster_options net;
  node_hello hello;
  timestamp started_at;
  std::shared_ptr<detail::contact_board> board = std::make_shared<detail::contact_board>();
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  caf::actor links;
  caf::actor gate;
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
  self.local->start();
  detail::gate_options options;
  options.hello = self.hello;
  options.started_at = self.started_at;
  options.links = self.links;
  options.board = self.board;
  options.on_refused = self.net.on_refused;
  self.gate = self.system->spawn(detail::gate_actor, self.local->implementation_->shared,
                                 self.local->directory(), std::move(options));
  if (auto error = self.listen()) {
    stop();
    return error;
  }
  caf::anon_send(self.links, detail::open_links{self.gate});
  return caf::none;
}

void cluster_node::stop() {
  implementation_->stop();
}

const cluster_member& cluster_node::home_of(const session_id& session) const {
  return fermata::home_of(implementation_->net.members, session);
}

std::vector<peer_report> cluster_node::peers() const {
  return implementation_->board->reports();
}

std::vector<member_status> cluster_node::status() const {
  auto& self = *implementation_;
  caf::scoped_actor asker{*self.system};
  using answer =
      decltype(asker->request(self.links, caf::infinite, node_name{}, atoms::status_atom_v));
  std::vector<member_status> all;
  std::vector<std::pair<std::size_t, answer>> asked;
  for (const auto& member : self.net.members.members) {
    auto& one = all.emplace_back();
    one.member = member;
    if (member.name == self.net.name)
      one.status =
          detail::status_of(*self.local->implementation_->shared, self.hello, self.started_at);
    else
      asked.emplace_back(all.size() - 1, asker->request(self.links, caf::infinite, member.name,
                                                        atoms::status_atom_v));
  }
  for (auto& [place, response] : asked)
    response.receive([&, at = place](node_status& given) { all[at].status = std::move(given); },
                     [&, at = place](const caf::error& why) { all[at].reason = message_of(why); });
  return all;
}

result<pending_list> cluster_node::implementation::pending_on(const node_name& node,
                                                              const pending_query& what) {
  if (node == net.name)
    return detail::pending_of(*local->implementation_->shared, what);
  result<pending_list> found{pending_list{}};
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
      if (!page->more || page->items.empty())
        break;
      all.more = all.more || got >= limit;
      what.after_session = page->last_session;
      what.after_item = page->last_item;
    }
  }
  return all;
}

} // namespace fermata
