#include <fermata/actors/sim/monitors/journal_monitor.hpp>

namespace fermata::sim {

void journal_monitor::stored(world& in, const stored_commit& what) {
  note_activity(in, what.node);
  const auto found = known_->replay(in, what);
  const auto& known = *known_->find(in, what.session);
  if (found)
    return violate(in, found->promise, about(what.session, found->event) + found->text);
  if (known.node != what.node && !in.shares_store()) // else it is for the ownership_monitor
    violate(in, "P1",
            about(what.session) + "it lives on " + known.node
                + ", and something of it is stored on " + what.node);
}

void journal_monitor::sent(world& in, const sent_command& what) {
  note_activity(in, in.home(what.session));
  if (auto* known = known_->find(in, what.session))
    known->is_interrupted = false;
}

void journal_monitor::answered(world& in, const command_answer& what) {
  note_activity(in, in.home(what.session));
}

void journal_monitor::run_began(world& in, const tool_run& run) {
  note_activity(in, run.node);
  known_->running[{run.context.call, run.context.run}] = run.node;
}

void journal_monitor::run_ended(world& in, const ended_tool_run& run) {
  note_activity(in, run.node);
  known_->running.erase({run.context.call, run.context.run});
}

void journal_monitor::node_down(world& in, const std::string& node) {
  note_activity(in, node);
  known_->interrupt(node, in.shares_store());
}

void journal_monitor::node_up(world& in, const std::string& node) {
  known_->look_at(in, node);
}

void journal_monitor::slot_changed(world& in, const changed_slot& what) {
  if (what.now.node.empty())
    return;
  note_activity(in, what.now.node.str());
  known_->move(what.slot, what.now.node.str());
}

void journal_monitor::fault_hit(world& in, const std::string& node, fault_kind) {
  note_activity(in, node);
}

void journal_monitor::note_activity(const world& in, const std::string& node) {
  known_->node(node).active = in.elapsed();
}

} // namespace fermata::sim
