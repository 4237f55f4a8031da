#pragma once

#include <fermata/actors/cluster/detail/slot_plan.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

namespace fermata::detail {

/// Which nodes have let a lease pass without renewing it, by the time that passes here. A lease is
/// renewed before that can be seen, so by then its owner does not go by it any more, to whatever
/// the store's clock was set meanwhile. Without actors, stores or clocks.
class renewal_watch {
public:
  using time = std::chrono::steady_clock::time_point;

  /// `lease`: that of the node that looks. Others may have shorter and longer ones.
  explicit renewal_watch(std::chrono::milliseconds lease) : lease_{lease} {}

  /// Takes what was seen, which was there `at` the latest, and tells whose slots are forsaken: the
  /// store says that their owner has no lease, and all looks for as long as his was that he has not
  /// renewed it. Who has not looked for the length of his own begins anew: the store may have been
  /// away for all, who come back one after the other.
  [[nodiscard]] slot_set look_at(const ownership_table& table, time at);

  /// When the next slots can be forsaken, if their owner stays silent; nothing: not without a look
  /// before that. Behind the last look.
  [[nodiscard]] std::optional<time> next() const;

private:
  struct sighting {
    std::uint64_t renewal = 0;
    std::chrono::milliseconds lease{0};
    time since;
  };

  std::chrono::milliseconds lease_;
  std::optional<time> looked_at_;
  std::map<node_name, sighting> seen_;
};

} // namespace fermata::detail
