#pragma once

#include "membership.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/storage/store.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::command_line {

/// A node that has something of a list, and could not be asked for it.
struct missing_node {
  std::string node;
  std::string reason;

  missing_node() = default;
  static constexpr auto fields() {
    return field_list{field("node", &missing_node::node), field("reason", &missing_node::reason)};
  }
};

/// Where a command looks: a store, or a node of a cluster, which answers for all nodes. Errors of
/// all of it: `unknown_session` and the others of queries.hpp; of a node those of `ask_service`.
class records {
public:
  /// Gets a page of a list. False: that is enough.
  template <class T>
  using reader = std::function<bool(std::vector<T>)>;

  virtual ~records() = default;

  [[nodiscard]] virtual result<session_status> status(const session_id& session) = 0;
  [[nodiscard]] virtual result<plan_spec> plan(const session_id& session,
                                               std::optional<std::uint32_t> revision) = 0;
  [[nodiscard]] virtual result<plan_diff> difference(const session_id& session,
                                                     std::optional<std::uint32_t> revision) = 0;
  /// At most `limit`; fewer: there are no more.
  [[nodiscard]] virtual result<std::vector<event>>
  events(const session_id& session, std::uint64_t first, std::size_t limit) = 0;
  [[nodiscard]] virtual result<std::vector<transcript_item>>
  transcript(const session_id& session) = 0;
  [[nodiscard]] virtual result<std::vector<remembered_record>>
  remembered(const session_id& session) = 0;
  [[nodiscard]] virtual caf::error read_history(const session_id& session,
                                                const reader<state_transition>& use) = 0;
  [[nodiscard]] virtual caf::error read_sessions(const std::optional<session_state>& state,
                                                 const reader<session_summary>& use) = 0;
  /// Of one session, or of all; at most `limit`.
  [[nodiscard]] virtual caf::error read_pending(const std::optional<session_id>& session,
                                                std::size_t limit,
                                                const reader<pending_item>& use) = 0;
  [[nodiscard]] virtual caf::error read_audit(const std::optional<session_id>& session,
                                              std::size_t limit,
                                              const reader<audit_entry>& use) = 0;
  /// Of the lists over all sessions that were read.
  [[nodiscard]] virtual std::vector<missing_node> missing() const = 0;

  /// What could not be read of these lists, which keeps nothing else from being listed: why.
  [[nodiscard]] const std::vector<std::string>& damaged() const noexcept { return damaged_; }

  /// The node that a session lives on, where it is another one than the store's.
  [[nodiscard]] virtual std::optional<node_name> elsewhere(const session_id& session) const = 0;
  /// Takes note that something of a list is left out: since its node cannot be asked any more, as
  /// one more of `missing`, or since it cannot be read, as one of `damaged`. False: that is not
  /// why.
  [[nodiscard]] bool leave_out(const session_id& session, const caf::error& why);

  [[nodiscard]] virtual result<std::string> workspace(const session_id& session) = 0;
  /// At most 10,000, as of one moment.
  [[nodiscard]] virtual result<std::vector<pending_item>> pending(const session_id& session) = 0;

protected:
  void add_damaged(const std::vector<std::string>& why);

private:
  /// Takes note that a node could not be asked for what belongs to a session.
  virtual void add_missing(const session_id& session, const caf::error& why) = 0;

  std::vector<std::string> damaged_;
};

/// Those of a store, which is borrowed.
[[nodiscard]] std::unique_ptr<records> records_of(store& from);

/// Those that the service at a socket has, which is that of a node.
[[nodiscard]] std::unique_ptr<records> records_by(std::filesystem::path socket, membership of);

/// Where a question is answered: by the node that runs on a node's store, where it is about a
/// session that lives elsewhere, or, without one, about all; else by the store, which is borrowed.
/// Errors: those of `read_membership`, `find_service`, `check_home` and `own`.
[[nodiscard]] result<std::unique_ptr<records>>
choose_records(const std::filesystem::path& folder, const std::optional<session_id>& session,
               const result<std::shared_ptr<store>>& own);

} // namespace fermata::command_line
