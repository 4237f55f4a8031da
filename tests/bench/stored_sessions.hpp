#pragma once

#include "workload.hpp"

#include <fermata/actors/agent.hpp>
#include <fermata/storage/records.hpp>

#include <functional>

/// Stores of a great many sessions. Making a million through the runtime would take hours, so one
/// of a kind is made by a runtime over a `memory_store`, and its records are written again and
/// again with other ids and times.
namespace fermata::bench {

/// An agent, named `sleeper`, that sleeps for a year.
coro::task<step> sleeper(step_context& context);

/// A session as it is stored when it has come to rest, to be written again under other ids.
class template_session {
public:
  /// Has the agents `script` and `sleeper`. `results`: how many calls are answered before it rests.
  explicit template_session(const plan_spec& plan,
                            approval_policy policy = approval_policy::allow_everything(),
                            std::size_t results = 0);

  /// The session with another id, and with its timer, if it has one, armed for `due`.
  [[nodiscard]] commit copy(const session_id& id, timestamp due = {}) const;

  /// What its records, without its events, take in the store.
  [[nodiscard]] std::size_t record_bytes() const;

private:
  [[nodiscard]] pending_change waiting_of(const session_id& session) const;

  commit base_;
  std::optional<pending_item> item_;
  std::uint64_t item_number_ = 0;
};

/// Writes commits in large transactions; `flush` writes the last.
class bulk_writer {
public:
  explicit bulk_writer(store& to) : to_{to} {}
  void add(commit one);
  void flush();

private:
  store& to_;
  std::vector<commit> batch_;
};

/// A folder with a store that `fill` writes, unless `--keep` has one from before. The name says all
/// that it depends on.
[[nodiscard]] std::filesystem::path
filled_store(const context& in, const std::string& name,
             const std::function<void(const std::shared_ptr<store>&)>& fill);

/// A store in which so many sessions of one subtask wait for the result of a call, `small-1` and so
/// on, and others among them.
struct paused_store {
  std::filesystem::path directory;
  std::size_t count = 0;   ///< Of the small ones.
  std::size_t special = 0; ///< Of each of the kinds that follow.

  /// Sessions of 10 subtasks, evenly spread.
  [[nodiscard]] std::vector<session_id> cold() const { return numbered_ids("cold-", special); }
  /// As many, whose records are about as many events behind as there may be.
  [[nodiscard]] std::vector<session_id> tailed() const { return numbered_ids("tailed-", special); }
  /// Sessions of `active_subtasks`, evenly spread.
  [[nodiscard]] std::vector<session_id> spread() const { return numbered_ids("spread-", special); }
  /// As many, created together at the end.
  [[nodiscard]] std::vector<session_id> together() const {
    return numbered_ids("together-", special);
  }
};

inline constexpr std::size_t active_subtasks = 60;

/// The store with so many; written unless there is one from before.
[[nodiscard]] paused_store paused_sessions(const context& in, std::size_t count);

/// The same with few, to compare.
[[nodiscard]] paused_store few_paused_sessions(const context& in);

} // namespace fermata::bench
