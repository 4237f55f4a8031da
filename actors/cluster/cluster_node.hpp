#pragma once

#include <fermata/actors/cluster/contact.hpp>
#include <fermata/actors/cluster/slots.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/messages/cluster.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata {

/// The files, in PEM, by which nodes prove to each other who they are. A node takes whoever has a
/// certificate of the authority for a member, so it is to be one of the cluster's own.
struct tls_files {
  std::filesystem::path certificate; ///< Of this node, with those of the chain, if any, behind it.
  std::filesystem::path key;         ///< Its private key, which only its owner may read.
  std::filesystem::path authority;   ///< Who signs the certificates of all members.

  tls_files() = default;
};

/// What a node of a cluster is made of, besides its runtime. `name` and `members` are needed.
struct cluster_options {
  node_name name;      ///< Which of the members it is.
  member_list members; ///< The same for all nodes.
  /// Nothing: plain TCP, which trusts whoever reaches the port with all that is in the process.
  std::optional<tls_files> tls;
  /// True: plain TCP also where a member's host is no loopback address.
  bool trust_network = false;
  /// An IP address of this machine. Empty: all, or loopback alone if the member's host is that.
  std::string listen_address;
  contact_timing timing;
  /// Told of each change in how this node stands with another one; on a thread of the runtime, one
  /// at a time. It must not block.
  std::function<void(const peer_report&)> on_contact;
  /// Told of each node that is not let in: who it says it is (not to be believed), and why.
  std::function<void(const node_name&, const std::string&)> on_refused;
  /// Answers what hosts of other nodes `request` of this one. Called on threads of the node,
  /// `request_threads` of them, while it is started; it may block, and what it throws is
  /// `internal` to whoever asked, as are `peer_refused` and `shutting_down`. Absent: `not_allowed`.
  std::function<result<std::string>(const std::string&)> on_request;
  std::size_t request_threads = 2;
  std::size_t request_size_bytes = 64 * 1'024;        ///< Of one request.
  std::size_t answer_size_bytes = 16 * 1'024 * 1'024; ///< Of the answer to one.
  /// Requests to one other node that are under way at once; those behind them wait.
  std::size_t requests_at_once = 16;

  /// Makes it a node of a cluster that shares a store: `runtime_options::store` is one opening of
  /// that, and this is what the node owns of it, under its `name`. Null: an LMDB cluster.
  std::shared_ptr<session_ownership> ownership;
  /// How long sessions that are to move to another node wait for the end of their tools' runs. Then
  /// the tools are told to stop, and the next node asks what has become of them.
  std::chrono::milliseconds handover_patience{30'000};
  /// How long at least what is for a session waits while no node has that.
  std::chrono::milliseconds handover_wait{2'000};
  /// Told what happens to this node's slots; on a thread of the runtime, one at a time. It must not
  /// block.
  std::function<void(const slot_report&)> on_slots;

  cluster_options() = default;
};

/// What no node can be made of: a name that is no member, a member list that is none, a host that
/// is no loopback address without `tls` or `trust_network`, a `listen_address` that is none, files
/// of `tls` that cannot be read, do not fit together or are out of date, an `ownership` under
/// another name. Errors: `invalid_field`, saying which option it is.
[[nodiscard]] caf::error check(const cluster_options& options);

/// A node that could not be asked, and why.
struct missing_member {
  cluster_member member;
  std::string reason;

  missing_member() = default;
  missing_member(cluster_member which, std::string why)
      : member{std::move(which)}, reason{std::move(why)} {}
};

/// What waits for somebody outside in a whole cluster, as far as it can be told.
struct cluster_pending {
  std::vector<pending_item> items; ///< Node by node, in the order of the member list.
  bool more = false;               ///< Some node has more than was asked for.
  std::vector<missing_member> missing;
  std::vector<std::string> damaged; ///< What could not be read of what nodes have, and why.

  cluster_pending() = default;
};

/// A node as the others see it.
struct member_status {
  cluster_member member;
  std::optional<node_status> status; ///< Nothing: it did not say; `reason` tells why.
  std::string reason;

  member_status() = default;
};

/// What a node has done, and has to do, for other nodes' sessions.
struct cluster_traffic {
  std::uint64_t commands = 0;      ///< That it has forwarded.
  std::uint64_t questions = 0;     ///< Also of readers, and for each piece of hosts' answers.
  std::uint64_t contacts_lost = 0; ///< Connections that broke, or were given up.
  std::size_t errands = 0;         ///< Commands and questions that have no answer yet.
  std::size_t readings = 0; ///< Readers of streams that wait for more, and sessions listened to.
  // Where nodes share a store: slots of sessions that were
  std::uint64_t slots_acquired = 0; ///< Taken over, or moved to this node.
  std::uint64_t slots_given = 0;    ///< Moved to another one.
  std::uint64_t slots_lost = 0;     ///< Lost to another one, as the lease had run out.
  std::size_t slots_served = 0;     ///< That this node has now.

  cluster_traffic() = default;
};

/// One node of a cluster: a runtime which takes commands and questions for all sessions of the
/// cluster. All nodes have the same agents, tools, models and policy. What comes for a session that
/// lives on another node is forwarded; receipts, errors and streams come back as they are.
///
/// In an LMDB cluster each node has a store of its own, and a session lives on the node that its id
/// chooses of the members (`home_of`), for good: there it is stored, there its agents run and its
/// tools. Where that node cannot be reached, the answer is `node_unavailable`, and never a session
/// of that id elsewhere.
///
/// In a cluster that shares a store (`cluster_options::ownership`) sessions move: to nodes that
/// join, from nodes that drain or leave, and from those that are lost, a lease later. The store
/// writes for a session what its owner sends, and nobody else. Errors are those of an LMDB cluster;
/// `node_unavailable` too while no node has the session for longer than `handover_wait`.
///
/// Nodes of one cluster that have different stores refuse each other. Those that serve sessions go
/// on with them; one that has just started, and would be the only one of its store, serves nothing
/// (`slot_change::withheld`). To know that it waits for its first attempts to reach the others, at
/// most `contact_timing::connect_timeout`; not where another node of its store has a lease.
///
///     cluster_options net;
///     net.name = must(node_name::parse("a"));
///     net.members = must(parse_member_list(text));
///     net.ownership = must(postgres_ownership::join(store, 10s)); // or nothing: an LMDB cluster
///     cluster_node node{std::move(net), std::move(options)};
///     node.local().agents().add("writer", writer);
///     if (auto error = node.start())
///       ...
///     auto notes = node.session(id); // wherever it lives
///
/// Threads: as `runtime`.
class cluster_node {
public:
  /// `std::invalid_argument` for options that `check` refuses.
  cluster_node(cluster_options net, runtime_options options);
  cluster_node(const cluster_node&) = delete;
  cluster_node& operator=(const cluster_node&) = delete;
  ~cluster_node(); ///< Stops it.

  /// The runtime of this node: for its agents, tools, models, store and load. Its `session` is as
  /// that of the node. It is started and stopped by the node.
  [[nodiscard]] runtime& local() noexcept;

  /// Starts the runtime, takes connections at the member's port, and begins to connect with the
  /// others, which need not be there. Errors: `cannot_listen`, after which the node is stopped.
  [[nodiscard]] caf::error start();

  /// As `runtime::stop`. To the others it is a node that cannot be reached from then on. Of a
  /// shared store it gives all back that it owns, so that they need not wait for the end of its
  /// lease, nor for tools that run on here: those are waited for last.
  void stop();

  /// Gives all sessions to the other nodes, and waits until they have them. From then on this node
  /// forwards, and takes none until it is made anew, or no other node is left that takes them; it
  /// is to be stopped. Errors: `not_allowed`
  /// where no other node takes them, or this is no cluster that shares a store: it goes on as
  /// before; `timed_out`: so many are left, and it goes on giving; `store_busy`: see `slot_report`;
  /// `shutting_down`.
  [[nodiscard]] caf::error drain(std::chrono::milliseconds timeout);

  /// The same without an end to the waiting: `ended` is called once, on a thread of the node or the
  /// caller's own, with none of the errors or what ended it; it must not block.
  void drain(std::function<void(const caf::error&)> ended);

  [[nodiscard]] session_handle session(session_id id) { return local().session(std::move(id)); }

  /// The member that a session lives on, as far as is known here, whether or not there is such a
  /// session. Null, of a shared store: none at this moment.
  [[nodiscard]] const cluster_member* home_of(const session_id& session) const;

  /// Whether it is a node of a cluster that shares a store, and sessions move.
  [[nodiscard]] bool shares_store() const noexcept;

  /// The identity of the store that the nodes share; empty: each has a store of its own.
  [[nodiscard]] const store_identity& shared_store() const noexcept;

  /// How this node stands with each of the others, in the order of the member list.
  [[nodiscard]] std::vector<peer_report> peers() const;

  /// Asks all nodes, this one too, how they are. Waits until each has answered or cannot be
  /// reached.
  [[nodiscard]] std::vector<member_status> status() const;

  /// The same with a callback, called once, on a thread of the node; it must not block.
  void status(std::function<void(std::vector<member_status>)> callback) const;

  /// Asks the host of another node something of its own, which that one's `on_request` answers. It
  /// is to change nothing there: where it is lost with its node nobody knows whether it was read.
  /// The callback is called once, on a thread of the node or the caller's own; it must not block.
  /// Errors: `invalid_field`: there is no other node of that name; `node_unavailable`;
  /// `limit_exceeded` for more than `request_size_bytes` or `answer_size_bytes`; `overloaded`;
  /// those of the handler.
  void request(const node_name& node, std::string what,
               std::function<void(result<std::string>)> callback) const;

  /// What it has to do with the others. From any thread.
  [[nodiscard]] cluster_traffic traffic() const;

  [[nodiscard]] const node_name& name() const noexcept;
  [[nodiscard]] const member_list& members() const noexcept;

  /// Asks all nodes what waits there for somebody outside: at most `limit` of each. Waits as
  /// `status` does. A shared store is asked once, and has no nodes that are missing.
  [[nodiscard]] cluster_pending pending(std::size_t limit = 1'000) const;

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata
