#pragma once

#include <fermata/storage/detail/entries.hpp>

namespace fermata::detail {

/// What `store::view` promises, over the tables of any engine.
class table_view final : public store::view {
public:
  /// Owns the transaction that it reads in.
  explicit table_view(std::unique_ptr<table_reader> tables) : tables_{std::move(tables)} {}

  result<std::optional<bytes>> read(session_number session, record_key key) override;
  result<std::vector<record>> scan(session_number session, record_key first, record_key last,
                                   std::size_t limit) override;
  result<std::optional<session_anchor>> find(const session_id& session) override;

  /// Both follow the chain of the session's log entries back from its end, once: the cost is
  /// proportional to the number of commits between event `first` and the last one, whatever the
  /// limit. At most `limit` positions of commits are kept, and the memory of `visit_events` is that
  /// and one commit.
  result<std::vector<stored_event>> events(session_number session, std::uint64_t first,
                                           std::size_t limit) override;
  caf::error visit_events(session_number session, std::uint64_t first, std::size_t limit,
                          const store::event_visitor& visit) override;
  result<std::vector<stored_event>> journal(std::uint64_t& position, std::size_t limit) override;
  result<std::vector<session_anchor>> sessions(std::optional<std::uint8_t> status,
                                               session_number after, std::size_t limit) override;
  result<std::vector<pending_entry>> pending(std::optional<session_number> session,
                                             session_number after, std::uint64_t after_item,
                                             std::size_t limit) override;
  result<std::vector<due_timer>> due(timestamp until, std::size_t limit,
                                     const std::optional<due_timer>& after) override;

private:
  std::unique_ptr<table_reader> tables_;
};

/// As `store::find`.
[[nodiscard]] result<std::optional<session_anchor>> find_session(table_reader& tables,
                                                                 const session_id& session);

} // namespace fermata::detail
