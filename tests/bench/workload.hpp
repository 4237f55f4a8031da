#pragma once

#include "bench.hpp"

#include <fermata/actors/runtime.hpp>
#include <fermata/messages/plan.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

/// The work that is measured: sessions whose plans have subtasks of one client tool call each, with
/// arguments and results of 200 bytes of JSON. A resume is a `tool_result` that ends a subtask and
/// leads to the next one's call, durable and visible: one commit of four events.
namespace fermata::bench {

/// `{"text": "xxx..."}`, 200 bytes as text.
[[nodiscard]] json sample_json();

/// A plan of so many subtasks for the agent `script`.
[[nodiscard]] plan_spec calling_plan(std::size_t subtasks);

/// For a runtime that lets every plan and call pass and passivates nothing meanwhile.
[[nodiscard]] runtime_options options_over(std::shared_ptr<store> kept);

/// Ids of so many sessions: `prefix` and a number of eight digits, from 1.
[[nodiscard]] session_id numbered(std::string_view prefix, std::size_t number);
[[nodiscard]] std::vector<session_id> numbered_ids(std::string_view prefix, std::size_t count);

/// What a run took.
struct effort {
  double wall = 0;      ///< Seconds.
  double processor = 0; ///< Seconds, of all threads of the process.
};

/// Sessions that each wait for the result of a call, and a driver that gives it. Used by one thread
/// at a time; must not outlive the runtime.
class workload {
public:
  /// Takes over sessions that wait for a call, as `stored_sessions` writes them, and creates those
  /// that there are not, with plans of so many subtasks. A session whose plan is used up gets
  /// another, within the time that is measured: choose `subtasks` so that few are.
  workload(runtime& rt, const std::vector<session_id>& ids, std::size_t subtasks);

  /// Resumes so often in all, with so many sessions under way at any time: each time a receipt
  /// comes, the session that has waited longest is next.
  effort run(std::size_t resumes, std::size_t under_way) {
    begin(resumes, under_way);
    return wait();
  }
  effort run(std::size_t resumes) { return run(resumes, sessions_.size()); }

  /// The same in two parts, and not to the end after `stop`.
  void begin(std::size_t resumes, std::size_t under_way);
  void stop();
  effort wait();

  /// How long each resume has taken since this was called last, in microseconds: from the result to
  /// the receipt. While nothing runs.
  [[nodiscard]] std::vector<double> take_latencies() { return std::exchange(latencies_, {}); }

  /// Resumes one session and waits for the receipt; returns how long that took, in microseconds.
  double resume_one(std::size_t which = 0);

  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

private:
  struct driven {
    session_handle handle;
    std::uint64_t next_call = 1;
    clock_type::time_point sent{};
    std::size_t calls_left = 0;
  };

  driven take_over(runtime& rt, const session_id& id) const;
  [[nodiscard]] static tool_result next_result(driven& one);
  void go_on();
  void resume(std::size_t which);
  void answered(std::size_t which, const result<receipt>& given);

  std::size_t subtasks_;
  plan_spec plan_;
  json result_ = sample_json();
  std::vector<driven> sessions_;

  effort begun_; ///< When, by both clocks.
  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<std::size_t> rested_;
  std::vector<double> latencies_;
  std::size_t left_ = 0;
  std::size_t under_way_ = 0;
  caf::error failed_;
};

} // namespace fermata::bench
