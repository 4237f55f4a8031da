#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <cstdint>
#include <map>
#include <vector>

namespace fermata::sim {

/// Who follows a session hears of what is stored (P1). What was stored once is stored for good, or
/// until it is deleted or dropped, and then it is gone for good: journals only grow, without a gap
/// (P1), and a process that starts again finds the same events and the same heads that there were
/// before (P7).
class durability_monitor final : public monitor {
public:
  [[nodiscard]] std::string_view name() const override {
    return "P1 P7: what was stored is still there after a crash";
  }
  void stored(world& in, const stored_commit& what) override;
  void published(world& in, const published_events& what) override;
  void node_up(world& in, const std::string& node) override;
  void ended(world& in) override;

private:
  /// What is known to be stored of a session, as checksums.
  struct trail {
    std::string node;
    /// The first event that this monitor has seen being stored, and that is kept.
    std::uint64_t first = 1;
    std::uint64_t events = 0;
    std::uint64_t fresh = 1; ///< The first event since the last time that a process started.
    std::vector<std::uint32_t> checksums; ///< Of each event from `first` on.
    bool deleted = false;
    std::uint32_t head = 0;
    std::uint8_t status = 0;
  };

  void check_fresh(world& in, store::view& view, const session_id& session, trail& of);
  void check_all(world& in, store::view& view, const session_id& session, const trail& of);

  std::map<session_id, trail> sessions_;
};

} // namespace fermata::sim
