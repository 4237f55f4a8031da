#pragma once

#include <functional>
#include <type_traits>

namespace fermata::detail {

/// Tells an observer, if there is one. What he throws is his own affair: it must not end who tells.
template <class... Args>
void tell(const std::function<void(Args...)>& observer,
          const std::decay_t<Args>&... what) noexcept {
  if (!observer)
    return;
  try {
    observer(what...);
  } catch (...) {
  }
}

} // namespace fermata::detail
