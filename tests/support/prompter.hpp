#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/coro/coro.hpp>

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace fermata::test {

/// What an agent is to say next, part by part, as a test says.
class prompter {
public:
  /// Empty: it is to finish.
  void say(std::string part) {
    const std::lock_guard lock{mutex_};
    parts_.push_back(std::move(part));
  }
  [[nodiscard]] std::optional<std::string> next() {
    const std::lock_guard lock{mutex_};
    if (parts_.empty())
      return std::nullopt;
    auto first = std::move(parts_.front());
    parts_.pop_front();
    return first;
  }

private:
  std::mutex mutex_;
  std::deque<std::string> parts_;
};

/// An agent that says it.
inline coro::task<step> speak(step_context& context, std::shared_ptr<prompter> with) {
  for (;;) {
    auto part = with->next();
    if (!part)
      co_await coro::delay(context.self, std::chrono::milliseconds{1});
    else if (part->empty())
      co_return step::finish("said");
    else
      context.show_text(*part);
  }
}

} // namespace fermata::test
