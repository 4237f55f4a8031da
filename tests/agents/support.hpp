#pragma once

#include <fermata/actors/agent.hpp>

#include <fermata_catch.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace agents_test {

namespace coro = fermata::coro;

/// "<errc>: <message>", or "accepted".
inline std::string verdict_on(const caf::error& error) {
  if (!error)
    return "accepted";
  return std::string{fermata::name_of(fermata::code_of(error))} + ": " + fermata::message_of(error);
}

template <class T>
T value_of(fermata::result<T> value) {
  if (!value)
    throw std::runtime_error{verdict_on(value.error())};
  return std::move(*value);
}

template <class Id>
Id make(std::string_view text) {
  return value_of(Id::parse(text));
}

inline fermata::json parsed(std::string_view text) {
  return value_of(fermata::parse_json(text));
}

/// Runs a task that never suspends, as the smallest possible actor.
class driver final : public coro::detail::completion {
public:
  fermata::step run(coro::task<fermata::step> work) {
    work.prepare(*this, nullptr).resume();
    if (!done_)
      throw std::runtime_error{"the agent awaits something"};
    return work.take();
  }

  std::coroutine_handle<> completed() noexcept override {
    done_ = true;
    return std::noop_coroutine();
  }

private:
  bool done_ = false;
};

/// A step as text: "say TEXT", "call TOOL ARGUMENTS; TOOL ARGUMENTS", "finish RESULT", "fail
/// REASON".
inline std::string told(const fermata::step& taken) {
  struct teller {
    std::string operator()(const fermata::step::said& it) const { return "say " + it.text; }
    std::string operator()(const fermata::step::finished& it) const {
      return "finish " + fermata::to_text(it.result);
    }
    std::string operator()(const fermata::step::failed& it) const { return "fail " + it.reason; }
    std::string operator()(const fermata::step::called& it) const {
      std::string text = "call";
      for (const auto& request : it.requests)
        text += (text == "call" ? " " : "; ") + request.tool.str() + " "
                + fermata::to_text(request.arguments);
      return text;
    }
    std::string operator()(const fermata::step::slept& it) const {
      return it.until ? "sleep until " + std::to_string(it.until->time_since_epoch().count())
                      : "sleep " + std::to_string(it.duration.count());
    }
    std::string operator()(const fermata::step::proposed& it) const {
      return "propose " + fermata::to_text(fermata::to_json(it.plan));
    }
    std::string operator()(const fermata::step::handed_over& it) const {
      return "hand over to " + it.agent.str() + ": " + it.note;
    }
  };
  return std::visit(teller{}, taken.what());
}

} // namespace agents_test
