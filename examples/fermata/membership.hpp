#pragma once

#include "arguments.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/messages/cluster.hpp>
#include <fermata/storage/store.hpp>

#include <filesystem>
#include <optional>
#include <string>

/// Which node of a cluster `fermata node` is, and a store belongs to.
namespace fermata::command_line {

/// A store keeps its own in this file, from the first `fermata node` on: as long as it has one,
/// whoever opens the store knows which sessions are to be looked for elsewhere.
inline constexpr const char* remembered_node = "node.json";

struct membership {
  node_name name;
  member_list members;
  bool shares_store = false; ///< All nodes have the same sessions.

  membership() = default;
  membership(node_name called, member_list of, bool shares = false)
      : name{std::move(called)}, members{std::move(of)}, shares_store{shares} {}
  static constexpr auto fields() {
    return field_list{field("name", &membership::name), field("members", &membership::members),
                      optional_field("shares_store", &membership::shares_store)};
  }

  /// Whether the store has what there is of it.
  [[nodiscard]] bool is_home_of(const session_id& session) const {
    return shares_store || home_of(members, session).name == name;
  }
  /// As a person reads it: `lima of cluster market`.
  [[nodiscard]] std::string text() const {
    return name.str() + " of cluster " + members.cluster.str();
  }
};

/// The node that a store belongs to; nothing: to none. Errors: those of `read_text`, `parse_json`,
/// `from_json` and of `check` for member lists; `invalid_field` where its name is no member.
[[nodiscard]] result<std::optional<membership>> read_membership(const std::filesystem::path& store);

/// What `node` was told: --members, --name, the files of TLS and the rest. Errors: `invalid_field`,
/// those of `parse_member_list` and of `check` for nodes.
[[nodiscard]] result<cluster_options> read_cluster_options(const arguments& given);

/// Errors: `invalid_field` where a store belongs to another node than `as` says; nothing: to no
/// node.
[[nodiscard]] caf::error check_store_of(const std::filesystem::path& store,
                                        const std::optional<membership>& as);

/// Of a store that belongs to no node yet, before it becomes that of `as`. Errors: `invalid_field`
/// where it has sessions that would live on other nodes; `store_corrupt` where that cannot be told
/// of one; those of `query_session_page`.
[[nodiscard]] caf::error check_sessions_of(store& of, const membership& as);

/// Why a session is not here, for `check_home`.
inline constexpr const char* node_is_down = ", which does not run";

/// For whoever looks for a session in a store itself. Errors: `invalid_field` where it lives on
/// another node than the one that the store belongs to; says on which.
[[nodiscard]] caf::error check_home(const std::filesystem::path& store,
                                    const std::optional<membership>& of, const session_id& session,
                                    const char* why_not_here = node_is_down);

/// The same for all sessions that a command names.
[[nodiscard]] caf::error check_homes(const std::filesystem::path& store,
                                     const std::optional<membership>& of, const arguments& given);

/// Before anything is done: the same, unless the node runs, which can be asked for them (but not
/// for an export). Errors: also those of `read_membership` and `find_service`.
[[nodiscard]] caf::error check_homes(const arguments& given);

} // namespace fermata::command_line
