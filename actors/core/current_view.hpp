#pragma once

#include <fermata/storage/store.hpp>

namespace fermata::core {

/// A view of a store whose records are as the last event has left them, whether or not they are
/// written yet: no head says that there is a tail, and there is no base. Of a session with a tail
/// all is loaded when the first of its records is read but the head: that is linear in its plan.
/// The view keeps what has changed of some of them. Errors of `read` and `scan`: also those of
/// `load`.
[[nodiscard]] result<std::unique_ptr<store::view>> read_current(store& from);

} // namespace fermata::core
