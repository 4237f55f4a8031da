#include "due.hpp"

#include "escape.hpp"
#include "interruption.hpp"
#include "pause.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace fermata::command_line {

namespace {

/// How many due timers are read at a time.
constexpr std::size_t page = 256;

/// The gravest last.
constexpr std::array<exit_status, 5> by_gravity{exit_status::done, exit_status::paused,
                                                exit_status::attention, exit_status::bad_input,
                                                exit_status::environment};

exit_status graver(exit_status one, exit_status other) {
  const auto gravity = [](exit_status status) {
    return std::find(by_gravity.begin(), by_gravity.end(), status);
  };
  return gravity(one) < gravity(other) ? other : one;
}

/// One invocation for all sessions that are due.
class due_sessions {
public:
  due_sessions(const arguments& given, console& out, gateway& way)
      : given_{given}, out_{out}, gateway_{way} {}

  result<exit_status> run() {
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    for (;;) {
      const auto sessions = next_page(now);
      if (!sessions)
        return sessions.error();
      if (sessions->empty())
        break;
      for (const auto& session : *sessions) {
        visit(session);
        if (was_interrupted())
          return exit_status::interrupted;
        // Should its timer be due again, it is left for the next invocation.
        visited_.insert(session);
      }
    }
    if (!any_)
      out_.say("No timer is due.");
    return gravest_;
  }

private:
  /// Sessions that are due and were not visited yet. Those that were and are not due any more are
  /// forgotten, so that only what is stuck takes memory.
  result<std::vector<session_id>> next_page(timestamp until) {
    for (;;) {
      const auto timers = query_timers(gateway_.store(), until, page + visited_.size() + damaged_);
      if (!timers)
        return timers.error();
      std::vector<session_id> fresh;
      std::set<session_id> stuck;
      std::size_t damaged = 0;
      for (const auto& timer : *timers) {
        if (!timer.damage.empty() && ++damaged > damaged_)
          report(make_error(errc::store_corrupt, timer.damage));
        else if (timer.damage.empty() && visited_.contains(timer.session))
          stuck.insert(timer.session);
        else if (timer.damage.empty() && fresh.size() < page)
          fresh.push_back(timer.session);
      }
      any_ = any_ || !timers->empty();
      const bool may_hide_others = damaged > damaged_;
      damaged_ = damaged;
      visited_ = std::move(stuck);
      if (!fresh.empty() || !may_hide_others)
        return fresh;
    }
  }

  void visit(const session_id& session) {
    out_.say(out_.painted(paint::heading, "== " + session.str()));
    const auto ended = go_on(session);
    if (ended) {
      gravest_ = graver(gravest_, *ended);
      return;
    }
    report(ended.error());
  }

  void report(const caf::error& error) {
    const auto message = message_of(error);
    out_.report(name_of(code_of(error)), out_.as_json() ? message : escape_line(message));
    gravest_ = graver(gravest_, exit_status_of(code_of(error)));
  }

  result<exit_status> go_on(const session_id& session) {
    const auto link = gateway_.link_to(session);
    auto halted = link->wake();
    if (halted && given_.approve == approval_mode::all)
      halted = approve_all(*link, gateway_.records_of(session), session, *halted);
    if (!halted)
      return std::move(halted.error());
    const auto view = link->look();
    if (!view)
      return view.error();
    show_pause(out_, given_, *view);
    out_.print(view->status);
    out_.say();
    return exit_status_of(view->status.state, false);
  }

  const arguments& given_;
  console& out_;
  gateway& gateway_;
  exit_status gravest_ = exit_status::done;
  bool any_ = false;
  std::set<session_id> visited_;
  std::size_t damaged_ = 0; ///< Timers on the last page whose sessions cannot be read.
};

} // namespace

result<exit_status> run_due(const arguments& given, console& out, gateway_options& options) {
  auto opened = gateway::open(options, given, out);
  if (!opened)
    return std::move(opened.error());
  if ((*opened)->is_service())
    out.say("A service owns the store, and goes on by itself with sessions whose timers are due. "
            "Those that are due now are followed until they pause.");
  return due_sessions{given, out, **opened}.run();
}

} // namespace fermata::command_line
