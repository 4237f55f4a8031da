#pragma once

#include "support.hpp"

#include <prompter.hpp>

/// An agent that says what a test says, and those who listen.
namespace fermata::test {

/// The agent `speaker`.
inline void add_speaker(runtime& to, const std::shared_ptr<prompter>& with) {
  add_agent(to, "speaker", [with](step_context& context) { return speak(context, with); });
}

inline plan_spec speech() {
  return plan(R"({"goal": "speak", "subtasks": [{"id": "a", "agent": "speaker"}]})");
}

/// What is heard of what agents say, to wait for.
class hearing {
public:
  [[nodiscard]] live_observer observer() {
    return [this](const live_update& update) {
      const std::lock_guard lock{mutex_};
      if (update.kind == live_kind::text) {
        text_ += update.content.get<std::string>();
        after_ = update.after;
      }
      changed_.notify_all();
    };
  }
  [[nodiscard]] bool wait_for(const std::string& part, std::chrono::milliseconds most = patience) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, most, [&] { return mentions(text_, part); });
  }
  [[nodiscard]] std::string text() {
    const std::lock_guard lock{mutex_};
    return text_;
  }
  /// The number of the event that the last update comes behind.
  [[nodiscard]] std::uint64_t after() {
    const std::lock_guard lock{mutex_};
    return after_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::uint64_t after_ = 0;
};

/// Has a mark said until it is heard: the session's node does not know at once who listens
/// elsewhere. The one said last is, so that none is on its way that takes the room of what follows.
[[nodiscard]] inline bool is_heard(prompter& by, hearing& at, const std::string& mark) {
  for (std::chrono::milliseconds pause{20}; pause < 2 * patience; pause *= 2) {
    const auto last = mark + std::to_string(pause.count()) + mark;
    by.say(last);
    if (at.wait_for(last, pause))
      return true;
  }
  return false;
}

} // namespace fermata::test
