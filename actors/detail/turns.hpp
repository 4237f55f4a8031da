#pragma once

#include <fermata/actors/detail/local_messages.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

/// So many commands are with their sessions at a time as keep the disk busy; the others wait in the
/// directory, where a session that was served longest ago goes first. Without that they would wait
/// all the same, in mailboxes and in the journal, but whoever says little behind those who say
/// much.
namespace fermata::detail {

/// Commands that wait for a turn: those of a session in the order in which they came, and of the
/// sessions the one first that was served longest ago. Turns are counted from 1.
class turn_queue {
public:
  /// `served`: the turn in which the session was served last; 0: not known.
  void push(delivery_ptr message, std::uint64_t served);
  /// Takes the first one, which gets this turn. There is one.
  [[nodiscard]] delivery_ptr pop(std::uint64_t turn);
  /// Takes all those of the sessions that `is_wanted` says it of.
  [[nodiscard]] std::vector<delivery_ptr>
  take_all(const std::function<bool(const session_id&)>& is_wanted);
  [[nodiscard]] bool empty() const noexcept { return order_.empty(); }
  /// How many wait of one session.
  [[nodiscard]] std::size_t waiting_for(const session_id& session) const;
  void clear();

private:
  using place = std::pair<std::uint64_t, std::uint64_t>; ///< Served last; counts arrivals.

  std::map<place, session_id> order_;
  /// Mostly one of each, where a deque would take 0.6 KB.
  std::unordered_map<session_id, std::list<delivery_ptr>> waiting_;
  std::uint64_t arrivals_ = 0;
};

/// Learns from transactions how many commits one should hold: no more than keep the disk busy,
/// since each of them would wait longer, and little more would be done.
class transaction_pace {
public:
  /// A transaction with so many commits began at this time of a steady clock, and took so long.
  void observe(std::size_t commits, std::chrono::steady_clock::time_point begin,
               std::chrono::nanoseconds duration) noexcept;

  /// The lesser of what is enough for the disk and for the processor, from 16 to 512; 32 as long as
  /// too little is known.
  [[nodiscard]] std::uint32_t worthwhile_commits() const noexcept;

private:
  /// With so many, half of a transaction's time is what one costs whatever it holds (a sync, for
  /// the most part): the straight line of least squares through those of the recent past.
  [[nodiscard]] double enough_for_disk() const noexcept;
  /// More than there were, as long as transactions take more than 90 % of the time, and fewer where
  /// they wait for the processor: then more only wait for it as well, and whoever says little waits
  /// behind them.
  [[nodiscard]] double enough_for_processor() const noexcept;

  // Means, the older a transaction the less its weight; durations in microseconds.
  double commits_ = 0;
  double duration_ = 0;
  double cycle_ = 0; ///< From the beginning of one to that of the next.
  double commits_squared_ = 0;
  double product_ = 0;
  std::chrono::steady_clock::time_point last_begin_;
  std::uint32_t observed_ = 0;
};

} // namespace fermata::detail
