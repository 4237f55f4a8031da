#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

namespace fermata::sim {

/// Replays what is stored with the reference model, which says what is impossible: subtasks out of
/// order (P3), a second answer or none (P4), a state that does not follow (P5), timers before their
/// time (P6), runs that nobody has claimed or allowed again (P8), approvals of something else (P9).
/// Keeps the ledger, so it must see things before the others do.
class journal_monitor final : public monitor {
public:
  explicit journal_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override {
    return "reference: each journal is one that the reference model can have written";
  }
  void stored(world& in, const stored_commit& what) override;
  void sent(world& in, const sent_command& what) override;
  void answered(world& in, const command_answer& what) override;
  void run_began(world& in, const tool_run& run) override;
  void run_ended(world& in, const ended_tool_run& run) override;
  void node_down(world& in, const std::string& node) override;
  void node_up(world& in, const std::string& node) override;
  void slot_changed(world& in, const changed_slot& what) override;
  void fault_hit(world& in, const std::string& node, fault_kind kind) override;

private:
  void note_activity(const world& in, const std::string& node);

  ledger_ptr known_;
};

} // namespace fermata::sim
