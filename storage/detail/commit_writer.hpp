#pragma once

#include <fermata/storage/detail/entries.hpp>

namespace fermata::detail {

/// Applies the commits of one batch to the tables, within one write transaction of an engine. What
/// a commit means is written here once; engines only keep sorted tables.
class commit_writer {
public:
  explicit commit_writer(table_writer& tables) : tables_{tables} {}

  /// Applies one commit, or refuses it in `outcome.error` without a trace. Returns an error when
  /// the transaction as a whole is lost.
  [[nodiscard]] caf::error apply(const commit& change, commit_outcome& outcome);

  /// Writes what the batch shares; call it before the transaction is committed.
  [[nodiscard]] caf::error finish();

  /// True when something was applied.
  [[nodiscard]] bool dirty() const noexcept { return dirty_; }

private:
  struct target {
    session_number number = 0;
    std::optional<head_entry> head; ///< As stored; nothing for a session to create.
  };

  result<target> check(const commit& change);
  /// Erases what the session is found by; its journal and its records become garbage.
  caf::error delete_session(const commit& change, session_number number, const head_entry& stored);
  caf::error erase_pending(session_number number);
  /// Its events before `below` become garbage.
  caf::error drop_events(std::uint64_t below, session_number number, head_entry& head);
  caf::error put_garbage(session_number number, std::uint64_t below, const garbage_entry& entry);
  caf::error raise_format(std::uint64_t needed);
  caf::error append_log(const commit& change, session_number number, head_entry& head);
  caf::error put_head(const commit& change, session_number number, const head_entry& head);
  caf::error put_status(const commit& change, session_number number,
                        std::optional<std::uint8_t> old_status);
  caf::error put_parts(const commit& change, session_number number);
  caf::error put_pending(const commit& change, session_number number);
  caf::error put_timers(const commit& change, session_number number);
  caf::error put_sealed(table which, byte_view key, byte_view payload);
  caf::error load_counters();

  table_writer& tables_;
  std::optional<std::uint64_t> last_position_;
  std::optional<session_number> next_number_;
  std::optional<std::uint64_t> format_; ///< Once one was needed that is not the first.
  bool created_ = false;
  bool dirty_ = false;
  bytes payload_; ///< Used for one value after the other, as is the next.
  bytes sealed_;
};

/// Refuses a commit before it is looked at; none: it is to be applied.
using commit_check = std::function<caf::error(const commit&)>;

/// Applies a batch within one write transaction: what `store::write` promises of its commits. True:
/// there is something to commit. An error: the transaction as a whole is lost.
[[nodiscard]] result<bool> apply_all(table_writer& tables, std::span<const commit> commits,
                                     std::vector<commit_outcome>& outcomes,
                                     const commit_check& check = {});

/// The transaction is lost: every commit that has no error of its own has this one.
void fail_all(std::vector<commit_outcome>& outcomes, const caf::error& why);

} // namespace fermata::detail
