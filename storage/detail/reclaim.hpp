#pragma once

#include <fermata/storage/detail/entries.hpp>

namespace fermata::detail {

/// Whether there is something to reclaim.
[[nodiscard]] result<bool> has_garbage(table_reader& tables);

/// What `store::reclaim` promises, within one write transaction of any engine. How far it has come
/// is in table `garbage`, so that the next one, or the next process, goes on from there. What is
/// not what it should be is `damage`: then nothing is erased that may be somebody else's.
[[nodiscard]] result<reclaim_outcome> reclaim(table_writer& tables, std::size_t limit);

} // namespace fermata::detail
