#pragma once

#include <fermata/actors/runtime.hpp>

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// What the examples have in common: they tell what happens, and end at what should not happen.
namespace fermata::example {

/// What was refused is thrown, saying why.
template <class T>
T must(result<T> outcome) {
  return outcome ? std::move(*outcome) : throw std::runtime_error{message_of(outcome.error())};
}

inline void must(const caf::error& error) {
  if (error)
    throw std::runtime_error{message_of(error)};
}

inline void expect(bool is_so, const std::string& what) {
  if (!is_so)
    throw std::runtime_error{"this is not so: " + what};
}

inline std::string date_of(timestamp when) {
  const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(when)};
  const auto two_digits = [](unsigned number) {
    return (number < 10 ? "-0" : "-") + std::to_string(number);
  };
  return std::to_string(static_cast<int>(date.year()))
         + two_digits(static_cast<unsigned>(date.month()))
         + two_digits(static_cast<unsigned>(date.day()));
}

/// An event as a line of text; empty: it is not told.
struct line_of {
  std::string operator()(const plan_proposed& it) const {
    return plan(it.revision) + "is proposed: " + it.goal
           + " (subtasks: " + std::to_string(it.subtasks) + ")";
  }
  std::string operator()(const plan_decided& it) const {
    return plan(it.revision) + enum_name(it.verdict) + by(it.by) + why(it.feedback);
  }
  std::string operator()(const plan_ended& it) const {
    return plan(it.revision) + "is " + enum_name(it.status) + by(it.by) + why(it.reason);
  }
  std::string operator()(const subtask_started& it) const {
    return it.subtask.str() + " starts, attempt " + std::to_string(it.attempt);
  }
  std::string operator()(const subtask_finished& it) const {
    return it.subtask.str() + " is done: " + to_text(it.result);
  }
  std::string operator()(const subtask_failed& it) const {
    return it.subtask.str() + (it.retry_at ? " backs off" : " failed") + why(it.reason);
  }
  std::string operator()(const subtask_blocked& it) const {
    return it.subtask.str() + " is blocked by " + it.by.str();
  }
  std::string operator()(const subtask_skipped& it) const {
    return it.subtask.str() + " is skipped" + by(it.by) + why(it.reason);
  }
  std::string operator()(const subtask_cancelled& it) const {
    return it.subtask.str() + " is cancelled" + by(it.by) + why(it.reason);
  }
  std::string operator()(const subtask_slept& it) const {
    return it.subtask.str() + " sleeps until " + date_of(it.until);
  }
  std::string operator()(const subtask_woke& it) const { return it.subtask.str() + " wakes"; }
  std::string operator()(const subtask_handed_over& it) const {
    return it.subtask.str() + " is handed over to " + it.agent.str() + why(it.note);
  }
  std::string operator()(const deadline_set& it) const {
    return (it.subtask ? it.subtask->str() : "the plan") + " has until "
           + (it.at ? date_of(*it.at) : "ever");
  }
  std::string operator()(const message_received& it) const { return "a user says: " + it.text; }
  std::string operator()(const agent_said& it) const {
    return it.subtask.str() + " says: " + it.text;
  }
  std::string operator()(const call_proposed& it) const {
    return call(it.call) + it.tool.str() + " " + to_text(it.arguments) + " is "
           + enum_name(it.status);
  }
  std::string operator()(const call_decided& it) const {
    return call(it.call) + enum_name(it.verdict) + (it.arguments.is_null() ? "" : " to ")
           + (it.arguments.is_null() ? "" : to_text(it.arguments)) + by(it.by) + why(it.feedback);
  }
  std::string operator()(const call_claimed& it) const {
    return call(it.call) + "runs, run " + std::to_string(it.run);
  }
  std::string operator()(const call_backed_off& it) const {
    return call(it.call) + "backs off" + why(it.reason);
  }
  std::string operator()(const outcome_unknown& it) const {
    return call(it.call) + "was running, and nobody knows what it did" + why(it.reason);
  }
  std::string operator()(const outcome_resolved& it) const {
    return call(it.call) + "was running: " + enum_name(it.resolution) + by(it.by) + why(it.reason);
  }
  std::string operator()(const call_answered& it) const {
    return call(it.call) + enum_name(it.answer.outcome) + by(it.by)
           + why(to_text(it.answer.content));
  }
  std::string operator()(const late_result& it) const {
    return call(it.call) + "got a late result";
  }
  std::string operator()(const session_suspended& it) const {
    return "the session is suspended" + by(it.by) + why(it.reason);
  }
  std::string operator()(const session_resumed& it) const {
    return "the session is resumed" + by(it.by);
  }
  std::string operator()(const history_trimmed& it) const {
    return "events before " + std::to_string(it.first_event) + " are dropped" + by(it.by);
  }
  template <class Other>
  std::string operator()(const Other&) const {
    return {};
  }

  static std::string plan(std::uint32_t revision) { return "p" + std::to_string(revision) + " "; }
  static std::string call(std::uint64_t number) { return "c" + std::to_string(number) + " "; }
  static std::string by(const std::string& who) { return who.empty() ? "" : " by " + who; }
  static std::string why(const std::string& reason) { return reason.empty() ? "" : ": " + reason; }
};

/// Tells a session's events, one a line. Must not outlive the runtime.
class narrator {
public:
  explicit narrator(session_handle session, std::uint64_t first = 1, bool with_dates = false)
      : session_{std::move(session)}, events_{session_.follow(first)}, with_dates_{with_dates} {}

  /// Waits until the session does not move on by itself; tells what is new, and how it stands.
  session_status tell() {
    const auto status = pause();
    tell_lines(lines_until(status.events));
    return tell_state(status);
  }

  /// The same, sorted by whom a line is about: for calls that run at the same time.
  session_status tell_sorted() {
    const auto status = pause();
    auto lines = lines_until(status.events);
    std::stable_sort(lines.begin(), lines.end(), [](const auto& left, const auto& right) {
      return left.substr(0, left.find(' ', indent.size()))
             < right.substr(0, right.find(' ', indent.size()));
    });
    tell_lines(lines);
    return tell_state(status);
  }

  /// The same as `tell`, but waits for something that happens by itself, as a timer fires.
  template <class Event>
  session_status tell_until() {
    for (bool happened = false; !happened;) {
      const auto next = next_event();
      happened = std::holds_alternative<Event>(next.body);
      if (const auto line = line_for(next); !line.empty())
        tell_lines({line});
    }
    return tell();
  }

private:
  static constexpr std::chrono::seconds patience{30};
  static constexpr std::string_view indent = "   ";

  [[nodiscard]] session_status pause() const {
    const auto status = must(session_.wait_until_paused(patience));
    expect(status.has_value(), "the session comes to rest");
    return *status;
  }

  event next_event() {
    auto next = must(events_.next(patience));
    expect(next.has_value(), "something happens");
    return std::move(*next);
  }

  std::string line_for(const event& what) const {
    const auto line = std::visit(line_of{}, what.body);
    return line.empty() ? line
                        : std::string{indent} + (with_dates_ ? date_of(what.at) + " " : "") + line;
  }

  std::vector<std::string> lines_until(std::uint64_t last) {
    std::vector<std::string> lines;
    while (events_.position() <= last)
      if (auto line = line_for(next_event()); !line.empty())
        lines.push_back(std::move(line));
    return lines;
  }

  static void tell_lines(const std::vector<std::string>& lines) {
    for (const auto& line : lines)
      std::cout << line << '\n';
  }

  static session_status tell_state(const session_status& status) {
    std::cout << indent << "=> " << enum_name(status.state);
    const auto& waiting = status.waiting;
    for (const auto& [what, count] :
         {std::pair{"outcome", waiting.outcome}, std::pair{"decision", waiting.decision},
          std::pair{"answer", waiting.answer}, std::pair{"result", waiting.result},
          std::pair{"timer", waiting.backoff}})
      if (count > 0)
        std::cout << ", " << what << ": " << count;
    std::cout << std::endl;
    return status;
  }

  session_handle session_;
  event_stream events_;
  bool with_dates_;
};

inline void heading(const std::string& text) {
  std::cout << "-- " << text << std::endl;
}

} // namespace fermata::example
