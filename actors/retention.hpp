#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace fermata {

/// What becomes of sessions whose work is over, and of long histories. Both are off by default:
/// everything is kept. What happens here is decided as the commands `delete_session` and
/// `trim_history` are.
struct retention {
  /// A session whose last plan is over is deleted so long after it ended. Its own timer does it,
  /// which begins anew with whatever is recorded of it later, and ends with a new plan. One that
  /// was over before this was set is found when it is addressed.
  std::optional<std::chrono::milliseconds> delete_finished_after;
  /// When a plan ends, all events but the last so many (at least 1) are dropped, if that is a fifth
  /// of them; also when half of them while no plan is live. Records stay: answered ids are known.
  std::optional<std::uint64_t> keep_events;

  retention() = default;
};

} // namespace fermata
