#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace fermata::sim {

/// Everything is bounded, and an error says by what (P10): sessions in memory, commands under way
/// and those that wait for one session, blocking functions, the sizes of what is stored, the events
/// of a fold (P1), the tail of a journal that records are behind. The reference model counts what
/// one session may have of anything. What a step writes does not depend on how many subtasks there
/// are (P11).
class bound_monitor final : public monitor {
public:
  explicit bound_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override { return "P10 P11: everything is bounded"; }
  void stored(world& in, const stored_commit& what) override;
  void sent(world& in, const sent_command& what) override;
  void answered(world& in, const command_answer& what) override;
  void node_down(world& in, const std::string& node) override;
  void run_began(world& in, const tool_run& run) override;
  void quiet(world& in) override;

private:
  /// A command that was said at its session's own node.
  struct waiting_command {
    std::string node;
    session_id session;
  };

  void check_waiting(world& in);
  void check_values(world& in, const stored_commit& what);
  void check_load(world& in, const std::string& node);
  void check_sizes(world& in, const stored_commit& what);
  void check_fold(world& in, const stored_commit& what);
  void check_records(world& in, const stored_commit& what);

  /// The events of a session that were committed since its records were written last.
  struct tail {
    std::optional<std::uint64_t> recorded; ///< The event behind which it begins; nothing: unknown.
    std::uint64_t size_bytes = 0;
    std::size_t linear_records = 0; ///< What events that are linear in their plan may have changed.
  };

  void check_deferring(world& in, const stored_commit& what, const tail& of);

  ledger_ptr known_;
  std::vector<tail> tails_;                          ///< By the places of their sessions.
  std::map<std::uint64_t, waiting_command> waiting_; ///< Without an answer, by their numbers.
  std::uint32_t largest_result_ = 0; ///< That any tool may have, by its own account.
};

} // namespace fermata::sim
