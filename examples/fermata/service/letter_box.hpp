#pragma once

#include <mutex>
#include <optional>
#include <utility>

namespace fermata::service {

/// Where a thread of the runtime leaves an answer, which may come when nobody waits any more: both
/// sides share it. From any thread.
template <class Answer>
class letter_box {
public:
  void put(Answer answered) {
    const std::lock_guard lock{mutex_};
    answered_.emplace(std::move(answered));
  }
  [[nodiscard]] std::optional<Answer> take() {
    const std::lock_guard lock{mutex_};
    return std::exchange(answered_, std::nullopt);
  }

private:
  std::mutex mutex_;
  std::optional<Answer> answered_;
};

} // namespace fermata::service
