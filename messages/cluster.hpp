#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/status.hpp>
#include <fermata/messages/store_identity.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What the nodes of a cluster are and tell each other.
namespace fermata {

/// What nodes say to each other has this version. Nodes of different ones refuse each other.
inline constexpr std::uint32_t cluster_protocol = 3;

/// A node, and where the others reach it.
struct cluster_member {
  node_name name;
  std::string host; ///< A name or an address.
  std::uint16_t port = 0;

  cluster_member() = default;
  cluster_member(node_name called, std::string at, std::uint16_t on)
      : name{std::move(called)}, host{std::move(at)}, port{on} {}
  friend bool operator==(const cluster_member&, const cluster_member&) = default;
  static constexpr auto fields() {
    return field_list{field("name", &cluster_member::name), field("host", &cluster_member::host),
                      field("port", &cluster_member::port)};
  }
};

/// Who belongs to a cluster. All members share it, word for word. In an LMDB cluster the names say
/// where a session lives (`home_of`), so they are fixed once there are sessions; hosts and ports,
/// and names where nodes share a store, may change, with a new version.
struct member_list {
  static constexpr std::size_t max_members = 64;

  node_name cluster;         ///< The name of the whole.
  std::uint32_t version = 1; ///< Of this list: 1 or more, and greater with each change.
  std::vector<cluster_member> members;

  member_list() = default;
  friend bool operator==(const member_list&, const member_list&) = default;
  static constexpr auto fields() {
    return field_list{field("cluster", &member_list::cluster),
                      field("version", &member_list::version),
                      field("members", &member_list::members)};
  }
};

/// Reads a member list from its JSON text:
///
///     {"cluster": "shop", "version": 1, "members": [
///       {"name": "a", "host": "10.0.0.1", "port": 4242},
///       {"name": "b", "host": "10.0.0.2", "port": 4242}]}
///
/// Errors: `invalid_json`, `invalid_field`, and those of `check`.
[[nodiscard]] result<member_list> parse_member_list(std::string_view text);

/// Errors: `invalid_field` for a list without members, a name or an address that is there twice, an
/// empty host, port or version 0; `limit_exceeded` for more than `max_members`.
[[nodiscard]] caf::error check(const member_list& list);

/// The member of that name; null: there is none.
[[nodiscard]] const cluster_member* find_member(const member_list& list, const node_name& name);

/// In what `theirs` differs from `mine`, for a person; empty: in nothing. The order of members is
/// no difference.
[[nodiscard]] std::string difference(const member_list& mine, const member_list& theirs);

/// Where a session of an LMDB cluster lives: the member whose name, hashed together with the
/// session's id, gives the greatest number (rendezvous hashing: Thaler and Ravishankar, Using
/// Name-Based Mappings to Increase Hit Rates, 1998). All nodes find the same one, of any order of
/// members. The list has members.
[[nodiscard]] const cluster_member& home_of(const member_list& list, const session_id& session);

/// The first that a node says to another, and what that answers.
struct node_hello {
  static constexpr const char* wire_name = "fermata::node_hello";
  std::uint32_t protocol = cluster_protocol;
  std::string software; ///< The version of Fermata, for people.
  node_name name;
  std::uint64_t life = 0; ///< Another one with each start of the node.
  member_list members;
  bool shares_store = false; ///< With the others; false: it has a store of its own.
  store_identity store; ///< Which, where it shares it. Empty: its version does not say that yet.

  node_hello() = default;
  friend bool operator==(const node_hello&, const node_hello&) = default;
  static constexpr auto fields() {
    return field_list{field("protocol", &node_hello::protocol),
                      field("software", &node_hello::software),
                      field("name", &node_hello::name),
                      field("life", &node_hello::life),
                      field("members", &node_hello::members),
                      optional_field("shares_store", &node_hello::shares_store),
                      optional_field("store", &node_hello::store)};
  }
};

/// How full a node is: what it answers to the atom `status`.
struct node_status {
  static constexpr const char* wire_name = "fermata::node_status";
  node_name name;
  std::string software;
  timestamp started_at;
  std::uint32_t resident = 0;  ///< Sessions in memory.
  std::uint32_t under_way = 0; ///< Commands that have no answer yet.
  std::uint32_t slots = 0;     ///< Of sessions, that it serves of a shared store.
  bool draining = false;       ///< It gives them to the others.

  node_status() = default;
  friend bool operator==(const node_status&, const node_status&) = default;
  static constexpr auto fields() {
    return field_list{field("name", &node_status::name),
                      field("software", &node_status::software),
                      field("started_at", &node_status::started_at),
                      field("resident", &node_status::resident),
                      field("under_way", &node_status::under_way),
                      optional_field("slots", &node_status::slots),
                      optional_field("draining", &node_status::draining)};
  }
};

/// A piece of what a node's host has answered another one's. Pieces are asked for one by one, so
/// that something else gets between them: `next_piece` gives the next.
struct answer_piece {
  static constexpr std::size_t max_size_bytes = 128 * 1024;

  std::uint64_t number = 0;     ///< Of the answer, at the node that gives it.
  std::uint64_t left_bytes = 0; ///< How much comes behind it; 0: this is the last piece.
  std::string bytes;

  answer_piece() = default;
  friend bool operator==(const answer_piece&, const answer_piece&) = default;
};

/// It travels as it is: a record would be a second copy of the bytes.
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, answer_piece& value) {
  return f(caf::meta::type_name("fermata::answer_piece"), value.number, value.left_bytes,
           value.bytes);
}

struct next_piece {
  static constexpr const char* wire_name = "fermata::next_piece";
  std::uint64_t number = 0; ///< Of the answer.

  next_piece() = default;
  explicit next_piece(std::uint64_t of) : number{of} {}
  friend bool operator==(const next_piece&, const next_piece&) = default;
  static constexpr auto fields() { return field_list{field("number", &next_piece::number)}; }
};

/// A node asks another one what waits there for somebody outside, a page at a time; the answer is a
/// `pending_list`.
struct pending_query {
  static constexpr const char* wire_name = "fermata::pending_query";
  std::uint64_t after_session = 0; ///< Where the page begins: behind this item.
  std::uint64_t after_item = 0;
  std::uint32_t limit = 64; ///< At most so many; 1 to 64.

  pending_query() = default;
  friend bool operator==(const pending_query&, const pending_query&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("after_session", &pending_query::after_session),
                      optional_field("after_item", &pending_query::after_item),
                      optional_field("limit", &pending_query::limit)};
  }
};

/// Not more items than end with the one by which their records have `max_size_bytes`.
struct pending_list {
  static constexpr const char* wire_name = "fermata::pending_list";
  static constexpr std::size_t max_size_bytes = 256 * 1024;

  std::vector<pending_item> items;
  std::vector<std::string> damaged; ///< What cannot be read of this page, and why.
  bool more = false; ///< There is a next page, behind `last_session` and `last_item`.
  std::uint64_t last_session = 0;
  std::uint64_t last_item = 0;

  pending_list() = default;
  friend bool operator==(const pending_list&, const pending_list&) = default;
  static constexpr auto fields() {
    return field_list{field("items", &pending_list::items), field("more", &pending_list::more),
                      field("last_session", &pending_list::last_session),
                      field("last_item", &pending_list::last_item),
                      optional_field("damaged", &pending_list::damaged)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<cluster_member>;
extern template struct struct_codec<member_list>;
extern template struct struct_codec<node_hello>;
extern template struct struct_codec<node_status>;
extern template struct struct_codec<next_piece>;
extern template struct struct_codec<pending_query>;
extern template struct struct_codec<pending_list>;

} // namespace fermata::detail
