#pragma once

#include <fermata/storage/records.hpp>
#include <fermata/storage/store.hpp>

#include <vector>

namespace fermata::detail {

/// Checks that the records of one session fit each other and its head, as decisions and activations
/// take for granted: nothing is beyond what the head counts, the plans that it names are there, and
/// so are the calls of the running attempt, among which all open ones are. Each record must be
/// readable by itself, and the head as of the last event. Errors: `store_corrupt`, naming the
/// record and both numbers.
[[nodiscard]] caf::error check_records(const head_record& head,
                                       const std::vector<record_change>& records);

} // namespace fermata::detail
