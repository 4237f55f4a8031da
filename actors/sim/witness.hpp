#pragma once

#include <fermata/actors/sim/faults.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/storage/session_ownership.hpp>
#include <fermata/storage/store.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// What can be seen of a simulated world from outside of its sessions: what became durable, what
/// callers were told, what tools did. Monitors judge by it, people and hosts act on it.
namespace fermata::sim {

class world;

/// Something of one session became durable. Seen also where the process died before it heard of it.
struct stored_commit {
  const std::string& node;
  const session_id& session;
  std::span<const event> events; ///< Decoded from what is stored; may be empty.
  /// With the pending entries and timers that have changed, and the records: those that have
  /// changed since they were written last, or, where it `defers_records`, the head alone.
  const commit& raw;
};

/// Somebody said something to a session.
struct sent_command {
  std::uint64_t number;    ///< From 1, in the order of sending.
  const std::string& node; ///< Where it was said; not always the session's home.
  const session_id& session;
  const command& body;
};

/// Somebody was answered. What a dying process, or a broken connection, leaves unanswered is never
/// seen here.
struct command_answer {
  std::uint64_t number; ///< Of the `sent_command`.
  const session_id& session;
  const command& body;
  const result<receipt>& answer;
  timestamp sent_at;
};

/// Who follows a session at its node is told that there are events up to a number.
struct published_events {
  const std::string& node;
  const session_id& session;
  std::uint64_t last; ///< The number of the last one.
};

/// A server tool began to do something outside of the process, or ended.
struct tool_run {
  const std::string& node;
  const tool& what;
  const tool_context& context;
};

struct ended_tool_run {
  const std::string& node;
  const tool& what;
  const tool_context& context;
  const json* content; ///< What it returned; null: it failed, or was cut off.
  bool cut_off;        ///< It was destroyed, or the process died first.
};

/// Where nodes share a store: a slot of sessions has another owner, or the same one under another
/// epoch.
struct changed_slot {
  std::uint32_t slot;
  const slot_owner& before; ///< At the moment of the change: whether it still had a lease.
  const slot_owner& now;
  /// Of the node that it was of, at that moment: whether it began effects of its sessions.
  bool may_begin_effects;
};

/// Sees what happens in a world, one thing at a time, in between its actors' turns, so it may look
/// at everything and send commands. Each function does nothing unless it is overridden.
class witness {
public:
  virtual ~witness() = default;

  virtual void stored(world&, const stored_commit&) {}
  virtual void published(world&, const published_events&) {}
  virtual void sent(world&, const sent_command&) {}
  virtual void answered(world&, const command_answer&) {}
  /// Called from inside of the run, at the moment of its effect: only look.
  virtual void run_began(world&, const tool_run&) {}
  virtual void run_ended(world&, const ended_tool_run&) {}
  /// The process of a node has died, or was stopped, and all that it held in memory is gone.
  virtual void node_down(world&, const std::string& /*node*/) {}
  virtual void node_up(world&, const std::string& /*node*/) {}
  virtual void slot_changed(world&, const changed_slot&) {}
  /// A fault has hit: not only was it planned, the node was up; one of its disk has struck
  /// something that was read or written.
  virtual void fault_hit(world&, const std::string& /*node*/, fault_kind) {}
  /// Nothing can happen any more without the passing of time.
  virtual void quiet(world&) {}
  /// The story is over: no more faults, and everybody had time to act.
  virtual void ended(world&) {}

protected:
  witness() = default;
  witness(const witness&) = default;
  witness& operator=(const witness&) = default;
};

} // namespace fermata::sim
