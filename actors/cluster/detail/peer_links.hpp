#pragma once

#include <fermata/actors/cluster/contact.hpp>
#include <fermata/actors/cluster/detail/errand.hpp>
#include <fermata/actors/cluster/detail/peer_contact.hpp>
#include <fermata/actors/cluster/detail/slot_map.hpp>
#include <fermata/actors/cluster/detail/slot_messages.hpp>
#include <fermata/actors/coro/scope.hpp>
#include <fermata/actors/detail/live_readers.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/session_router.hpp>
#include <fermata/actors/detail/tell.hpp>
#include <fermata/messages/cluster.hpp>

#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace fermata::detail {

/// How a node stands with all others, for any thread.
class contact_board {
public:
  [[nodiscard]] bool is_connected(const node_name& with) const {
    const std::lock_guard lock{mutex_};
    return std::any_of(reports_.begin(), reports_.end(), [&](const peer_report& one) {
      return one.member.name == with && one.state == contact_state::connected;
    });
  }
  [[nodiscard]] std::vector<peer_report> reports() const {
    const std::lock_guard lock{mutex_};
    return reports_;
  }
  void begin(std::vector<peer_report> reports) {
    const std::lock_guard lock{mutex_};
    reports_ = std::move(reports);
  }
  /// False: that is what it says already.
  bool write(std::size_t place, const peer_report& report) {
    const std::lock_guard lock{mutex_};
    if (reports_[place] == report)
      return false;
    reports_[place] = report;
    return true;
  }

private:
  mutable std::mutex mutex_;
  std::vector<peer_report> reports_;
};

/// What links have done and have to do, for any thread.
struct link_counters {
  std::atomic<std::uint64_t> commands{0};  ///< That were sent to other nodes.
  std::atomic<std::uint64_t> questions{0}; ///< Of all kinds.
  std::atomic<std::uint64_t> lost{0};      ///< Connections.
  std::atomic<std::size_t> errands{0};     ///< That have no answer yet.
  std::atomic<std::size_t> readings{0};    ///< Errands that read a stream: they wait for long.
};

/// Something of the host's own for another node.
struct host_request {
  node_name node;
  std::string body;

  host_request() = default;
  host_request(node_name to, std::string what) : node{std::move(to)}, body{std::move(what)} {}
};

/// A host asks another node something of its own.
using request_inquiry = std::shared_ptr<inquiry<host_request, std::string>>;
/// A host asks how another node is.
using node_inquiry = std::shared_ptr<inquiry<node_name, node_status>>;

/// Makes an actor that connects with the node at a host and a port: `(std::string, std::uint16_t)
/// -> caf::actor`, which is that node's gate.
using dialer_factory = std::function<caf::actor(caf::event_based_actor* owner)>;

struct link_options {
  node_hello hello; ///< What this node says of itself.
  contact_timing timing;
  /// So many errands at once, and as many readers of streams; over it: `overloaded`.
  std::size_t max_errands = 0;
  dialer_factory dialer; ///< Called once for each peer.
  std::function<void(const peer_report&)> on_contact;
  std::shared_ptr<contact_board> board;
  std::shared_ptr<link_counters> counters = std::make_shared<link_counters>();
  /// Where sessions live in a cluster that shares a store. Null: where their ids say.
  std::shared_ptr<const slot_map> homes;
  /// How long what is for a session waits while no node has that, at least.
  std::chrono::milliseconds handover_wait{2'000};

  link_options() = default;
};

/// Says to the links that the node is open to others, by this gate.
struct open_links {
  caf::actor gate;
  // Where nodes share a store:
  caf::actor directory; ///< Gets what is for sessions that live here.
  caf::actor keeper;    ///< Of slots; looks when something says that they have moved.

  open_links() = default;
  explicit open_links(caf::actor own) : gate{std::move(own)} {}
};

/// To itself: it is time to ask for live updates again.
struct listen_again {
  session_id session;
  std::uint64_t reader = 0; ///< That was ended.

  listen_again() = default;
  listen_again(session_id of, std::uint64_t which) : session{std::move(of)}, reader{which} {}
};

/// What a node has with the other nodes of its cluster: connections, and what it has asked of them.
///
/// Where nodes share a store, what is for a session waits while no node has it, and is asked again
/// where a node says that it has it no more; and what is for a session that lives here comes back
/// to the directory. What comes for the session meanwhile waits behind it.
class peer_links {
public:
  peer_links(caf::event_based_actor* self, link_options options);

  /// Begins to connect with all; they are told what this node's gate is.
  void open(open_links own);
  void take(delivery_ptr message);
  void take(const status_inquiry& asked);
  void take(const follow_inquiry& asked);
  void take(const request_inquiry& asked);
  void take(const node_inquiry& asked);
  void take(const caf::strong_actor_ptr& who, const follow_chunks& what,
            caf::response_promise promise);
  void unfollow(const caf::strong_actor_ptr& who, const unfollow_chunks& what);
  void take(const abandoned& what);
  /// One begins to listen, or has ceased to.
  void take(const live_ear_ptr& ear);
  /// What another node, or this one's directory, sends of a session that is listened to.
  void take(const live_batch& batch);
  /// Listens again, where that was ended.
  void take(const listen_again& what);
  /// Asks the node that a session lives on.
  template <class What, class Answer>
  void ask(const session_id& session, What what, std::chrono::milliseconds wait_for_node,
           std::function<void(result<Answer>)> answer) {
    auto made = std::make_shared<errand_of<What, Answer>>(std::move(what), std::move(answer));
    made->route.session = session;
    ask(std::move(made), wait_for_node);
  }
  /// Asks a node by its name. Errors: `invalid_field`: there is no other node of that name.
  template <class What, class Answer>
  void ask_node(const node_name& name, What what, std::function<void(result<Answer>)> answer);
  /// The node of that name has connected with this one, and has this gate.
  void sighted(const node_name& name, const caf::actor& gate);
  /// A gate is gone.
  void lost(const caf::actor_addr& gate);
  /// Something says that slots may have moved.
  void look();
  /// Sends what waits to where its sessions live now.
  void homes_changed();
  /// Tells a node that slots were moved to it.
  void tell_offer(const node_name& to);
  void tick();
  void stop();

private:
  using time = peer_contact::time;

  struct peer {
    cluster_member member;
    std::size_t place;
    peer_contact contact;
    caf::actor dialer;
    caf::actor gate; ///< Null: there is no connection.
    coro::root_handle beat;
    coro::root_handle greeting;
    coro::root_handle dialing;
    bool has_other_store = false; ///< That was why one of the two refused the other last.
    std::uint64_t attempt = 0;    ///< At a connection; what an earlier one comes to is ignored.
    std::list<errand_ptr> under_way;
    std::deque<errand_ptr> waiting;
    peer(cluster_member who, std::size_t at, const peer_contact& with)
        : member{std::move(who)}, place{at}, contact{with} {}
  };

  /// One that reads a stream, as its node knows it.
  struct reader {
    errand_ptr what;
    unfollow_chunks end;
  };

  /// Those on this node who listen to one session: they share one errand, which lasts as long as
  /// its node sends.
  struct listening {
    std::vector<live_ear_ptr> ears;
    errand_ptr what;          ///< Null: it was ended, and begins anew a little later.
    std::uint64_t reader = 0; ///< As the session's node knows it.
    live_taken taken;         ///< That the node was not told of yet.
  };

  /// Where a session lives, as far as is known.
  struct whereabouts {
    bool is_here = false;
    peer* at = nullptr; ///< Null, and not here: no node has it at this moment.
  };

  /// Who reads: an inquiry, or an actor with the session and the number of its reader.
  using reader_key = std::tuple<const void*, session_id, std::uint64_t>;

  /// `to`: null: the node that its session lives on.
  void ask(errand_ptr what, std::chrono::milliseconds wait_for_node, peer* to = nullptr);
  /// Sends it to where its session lives, or has it wait.
  void go(errand_ptr what);
  void go_to(peer& of, errand_ptr what);
  void go_here(errand_ptr what);
  void wait_for_home(errand_ptr what);
  /// Among those of its session that have no home, in the order in which they came.
  void put_homeless(errand_ptr what);
  /// It has its answer, an error or none. True: it is to be sent again.
  [[nodiscard]] bool goes_on(const errand_ptr& what, const caf::error& why);
  void refuse(const errand_ptr& what, caf::error why);
  void unfollow(const reader_key& key);
  /// True: it waits to be sent, and is answered.
  bool withdraw(const errand_ptr& what);
  static bool take_out(std::deque<errand_ptr>& of, const errand_ptr& what);
  /// How many there are of its kind.
  [[nodiscard]] std::atomic<std::size_t>& count_of(const errand& what) noexcept {
    return what.is_reading() ? options_.counters->readings : options_.counters->errands;
  }
  void follow(reader_key key, follow_chunks what, std::chrono::milliseconds wait_for_node,
              std::function<void(result<chunk_batch>)> answer);
  /// Sends to the new homes what readers wait for at nodes that do not have their sessions any
  /// more, and may not know.
  void call_readings_back();
  void listen(const session_id& session, listening& of);
  void unlisten(std::unordered_map<session_id, listening>::iterator of);
  /// Puts the pieces of another node's answer together.
  void collect(const request_inquiry& asked, std::shared_ptr<std::string> so_far,
               result<answer_piece> piece);
  void begin(peer& of, errand_ptr what);
  void connect(peer& to);
  void greet(peer& to, caf::actor gate);
  /// Listens to the end of a gate, or of none, and no longer to that of the one before.
  void set_gate(peer& of, caf::actor gate);
  static void drop_questions(peer& of);
  void lose(peer& one, const std::string& why);
  void greeted(peer& by, const node_hello& hello);
  void beat(peer& to);
  /// Those who wait for it have waited long enough.
  void refuse_waiting(peer& of);
  void refuse_homeless();
  void fail_under_way(peer& of);
  /// After anything that may have changed how the peer is reached, or what is due earlier.
  void update(peer& one);
  /// The peer has given a sign of life.
  void heard(peer& from);
  /// For whatever is due first.
  void arm();
  void arm_for(time at);
  [[nodiscard]] whereabouts home_of(const session_id& session);
  [[nodiscard]] peer* find_peer(const node_name& name);
  [[nodiscard]] bool shares_store() const noexcept { return options_.homes != nullptr; }
  /// Until when an errand waits for a node that cannot be reached, or for its session's home.
  [[nodiscard]] static time contact_until(const errand& what);
  [[nodiscard]] time home_until(const errand& what) const;
  [[nodiscard]] caf::error unavailable(const peer& one) const;
  [[nodiscard]] time now() const { return self_->clock().now(); }

  caf::event_based_actor* self_;
  link_options options_;
  caf::actor own_gate_; ///< Null: not open yet.
  caf::actor directory_;
  caf::actor keeper_;
  std::list<peer> peers_; ///< In the order of the members, without this node.
  std::list<errand_ptr> under_way_here_;
  /// To be sent when homes have changed; none is empty.
  std::unordered_map<session_id, std::deque<errand_ptr>> homeless_;
  std::map<reader_key, reader> readers_;
  std::map<const void*, errand_ptr> inquiries_; ///< For a status.
  std::unordered_map<session_id, listening> listenings_;
  std::uint64_t readers_begun_ = 0;
  std::uint64_t errands_begun_ = 0;
  std::optional<time> next_tick_;
  bool stopping_ = false;
  coro::actor_scope scope_;
};

struct peer_links_state {
  static inline const char* name = "fermata.peer_links";
  std::unique_ptr<peer_links> body;
};

/// Says which sessions live on this node, and hands the others to its links.
[[nodiscard]] std::shared_ptr<const session_router> make_router(const node_hello& hello,
                                                                caf::actor links);
/// The same where nodes share a store.
[[nodiscard]] std::shared_ptr<const session_router>
make_router(std::shared_ptr<const slot_map> homes, caf::actor links);

/// Ends when it gets `close_down`.
caf::behavior peer_links_actor(caf::stateful_actor<peer_links_state>* self, link_options options);

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::cluster_member)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::node_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::listen_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::open_links)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::request_inquiry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::node_inquiry)
