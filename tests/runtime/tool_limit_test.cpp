// Blocking tools that do not end when their time is up or their call is cancelled: with real
// threads, since a simulated one cannot be stuck.

#include "support.hpp"

#include <fermata_catch.hpp>

namespace tool_limit_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A tool with a time limit that is over soon.
tool limited_tool(std::string_view name, blocking_tool run) {
  tool made;
  made.name = tool_named(name);
  made.run = std::move(run);
  made.time_limit = 20ms;
  // One that had to stop before it began, on a busy machine, begins again.
  made.retry = retry_policy{1'000, 1ms, 1ms};
  return made;
}

void add(runtime& to, tool added) {
  if (auto error = to.tools().add(std::move(added)))
    throw std::runtime_error{message_of(error)};
}

/// Waits for the first event of a type. Nothing: it did not come in time.
template <class Fact>
std::optional<Fact> wait_for(const session_handle& session) {
  auto stream = session.follow(1);
  for (;;) {
    auto next = stream.next(patience);
    if (!next || !*next)
      return std::nullopt;
    if (const auto* fact = std::get_if<Fact>(&(*next)->body))
      return *fact;
  }
}

/// A runtime whose tools may go on for a moment after they were told to stop.
runtime_options impatient(const temporary_directory& folder) {
  auto options = unattended(open_store(folder));
  options.tool_grace = 500ms;
  return options;
}

/// A tool that is stuck until it is let go, whatever it is told.
struct stuck_tool {
  signal_flag let_go;
  signal_flag told;
  std::atomic<int> runs{0};

  tool make() {
    return limited_tool("stuck", [this](const tool_context& context) -> result<json> {
      const int run = ++runs;
      const std::stop_callback telling{context.stop, [this] { told.raise(); }};
      let_go.wait();
      return json{{"run", run}};
    });
  }
};

call_record call_of(store& from, const call_id& id) {
  auto found = query_call(from, id);
  if (!found)
    throw std::runtime_error{message_of(found.error())};
  return std::move(*found);
}

call_record call_of(const runtime& rt, const call_id& id) {
  return call_of(rt.store(), id);
}

} // namespace

TEST_CASE(
    "a blocking tool whose time is up is told to stop, and when it does its call has timed out") {
  temporary_directory folder;
  auto options = unattended(open_store(folder)); // with the default grace, in which it does stop
  runtime rt{options};
  add(rt, limited_tool("polite", [](const tool_context& context) -> result<json> {
        signal_flag never;
        never.wait(context.stop);
        return make_error(errc::tool_failed, "I was told to stop");
      }));
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("polite")}));
  REQUIRE(wait_for<call_answered>(session));
  CHECK(paused(session).state == session_state::needs_attention);
  const auto call = call_of(rt, fermata::test::call("s1", 1));
  CHECK(call.answer->outcome == call_outcome::failed);
  CHECK(call.answer->content.at("error") == "tool_timed_out");
}

TEST_CASE("a result that a blocking tool still gives within the grace counts") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  add(rt, limited_tool("late", [](const tool_context& context) -> result<json> {
        signal_flag never;
        never.wait(context.stop);
        return json("just in time");
      }));
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("late")}));
  REQUIRE(wait_for<call_answered>(session));
  CHECK(paused(session).state == session_state::completed);
  CHECK(call_of(rt, call("s1", 1)).answer->content == "just in time");
}

TEST_CASE(
    "P6 P8: a blocking tool that does not stop has an unknown outcome, which its end resolves") {
  temporary_directory folder;
  stuck_tool stuck;
  runtime rt{impatient(folder)};
  add(rt, stuck.make());
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("stuck")}));
  REQUIRE(wait_for<outcome_unknown>(session));
  CHECK(stuck.told.raised());
  auto status = paused(session);
  CHECK(status.state == session_state::waiting);
  CHECK(status.waiting.outcome == 1);
  CHECK(wait_for<outcome_unknown>(session)->reason.find("still runs") != std::string::npos);
  stuck.let_go.raise();
  const auto resolved = wait_for<outcome_resolved>(session);
  REQUIRE(resolved);
  CHECK(resolved->by == "tool");
  CHECK(resolved->resolution == outcome_resolution::happened);
  CHECK(paused(session).state == session_state::completed);
  CHECK(call_of(rt, call("s1", 1)).answer->content == json{{"run", 1}});
  CHECK(stuck.runs == 1);
}

TEST_CASE("P4: what a stuck tool reports after a person has said what became of it is late") {
  temporary_directory folder;
  stuck_tool stuck;
  runtime rt{impatient(folder)};
  add(rt, stuck.make());
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("stuck")}));
  REQUIRE(wait_for<outcome_unknown>(session));
  accept(session.send(
      resolve_outcome{call("s1", 1), outcome_resolution::happened, json("as far as I know")}));
  CHECK(paused(session).state == session_state::completed);
  stuck.let_go.raise();
  CHECK(wait_for<late_result>(session));
  const auto answered = call_of(rt, call("s1", 1));
  CHECK(answered.answer->content == "as far as I know");
  CHECK(answered.late == 1);
}

TEST_CASE("P8: a stuck tool that is to be run again is, when the run before it has ended") {
  temporary_directory folder;
  stuck_tool stuck;
  runtime rt{impatient(folder)};
  add(rt, stuck.make());
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("stuck")}));
  REQUIRE(wait_for<outcome_unknown>(session));
  accept(session.send(resolve_outcome{call("s1", 1), outcome_resolution::rerun}));
  // Two runs of one call never overlap.
  CHECK(call_of(rt, call("s1", 1)).status == call_status::queued);
  CHECK(stuck.runs == 1);
  stuck.let_go.raise();
  REQUIRE(wait_for<call_answered>(session));
  CHECK(paused(session).state == session_state::completed);
  CHECK(stuck.runs == 2);
  CHECK(call_of(rt, call("s1", 1)).answer->content == json{{"run", 2}});
}

TEST_CASE("the thread of a stuck tool is taken until it ends, and then goes to the next in line") {
  temporary_directory folder;
  stuck_tool stuck;
  auto options = impatient(folder);
  options.limits.blocking_threads = 1;
  runtime rt{options};
  add(rt, stuck.make());
  add_tool(rt, "quick", blocking_tool{[](const tool_context&) -> result<json> { return 1; }});
  rt.start();
  const auto first = rt.session(named("s1"));
  const auto second = rt.session(named("s2"));
  accept(first.send(propose_plan{tool_plan("stuck")}));
  REQUIRE(wait_for<outcome_unknown>(first));
  accept(second.send(propose_plan{tool_plan("quick")}));
  CHECK(call_of(rt, call("s2", 1)).status == call_status::queued);
  stuck.let_go.raise();
  CHECK(paused(second).state == session_state::completed);
  REQUIRE(wait_for<call_answered>(first));
}

TEST_CASE(
    "P4: a running blocking tool is told of its call's cancellation, and its result is late") {
  temporary_directory folder;
  signal_flag begun;
  runtime rt{unattended(open_store(folder))};
  add_tool(rt, "polite", blocking_tool{[&](const tool_context& context) -> result<json> {
             begun.raise();
             signal_flag never;
             never.wait(context.stop);
             return json(context.stop.stop_requested());
           }});
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("polite")}));
  REQUIRE(begun.wait());
  SECTION("the call alone") {
    accept(session.send(cancel_call{call("s1", 1), "takes too long"}));
    CHECK(paused(session).state == session_state::needs_attention);
  }
  SECTION("its subtask") {
    accept(session.send(cancel_subtask{*subtask_id::parse("use"), "takes too long"}));
    CHECK(paused(session).state == session_state::needs_attention);
  }
  SECTION("its plan") {
    accept(session.send(cancel_plan{"takes too long"}));
    CHECK(paused(session).state == session_state::cancelled);
  }
  CHECK(wait_for<late_result>(session));
  CHECK(call_of(rt, call("s1", 1)).answer->outcome == call_outcome::cancelled);
}

TEST_CASE("P6 P8: a reconcile that does not end in time is told to stop, and a person is asked") {
  temporary_directory folder;
  const auto store = open_store(folder);
  auto options = unattended(store);
  signal_flag begun;
  auto make_tool = [&begun] {
    auto made = limited_tool("pay", [&begun](const tool_context& context) -> result<json> {
      begun.raise();
      signal_flag never;
      never.wait(context.stop);
      return make_error(errc::tool_failed, "I was told to stop");
    });
    made.time_limit = std::chrono::milliseconds{0};
    return made;
  };
  {
    // Stopping cuts the run off: its claim stays open.
    runtime rt{options};
    add(rt, make_tool());
    rt.start();
    accept(rt.session(named("s1")).send(propose_plan{tool_plan("pay")}));
    REQUIRE(begun.wait());
    rt.stop();
  }
  REQUIRE(call_of(*store, call("s1", 1)).status == call_status::claimed);
  runtime rt{options};
  auto looked_up = make_tool();
  looked_up.time_limit = 1ms;
  looked_up.reconcile = [](const tool_context& context) -> result<reconciliation> {
    signal_flag never;
    never.wait(context.stop);
    return make_error(errc::tool_failed, "I was told to stop");
  };
  add(rt, std::move(looked_up));
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.wake());
  CHECK(wait_for<outcome_unknown>(session));
  CHECK(paused(session).waiting.outcome == 1);
}

TEST_CASE("a blocking tool shows its progress while it runs") {
  temporary_directory folder;
  signal_flag shown;
  signal_flag go_on;
  auto options = unattended(open_store(folder));
  options.on_live = [&](const live_update& update) {
    if (update.kind == live_kind::progress && update.content == 50)
      shown.raise();
  };
  runtime rt{options};
  add_tool(rt, "half", blocking_tool{[&](const tool_context& context) -> result<json> {
             context.progress(50);
             return json(go_on.wait());
           }});
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{tool_plan("half")}));
  CHECK(shown.wait());
  CHECK(session.status()->state == session_state::running);
  go_on.raise();
  CHECK(paused(session).state == session_state::completed);
}

TEST_CASE("a timer fires while a runtime with real threads is up, and after it was down") {
  temporary_directory folder;
  const auto store = open_store(folder);
  const auto napping = [](step_context& ctx) -> coro::task<step> {
    if (ctx.transcript.empty())
      co_return step::sleep(50ms);
    co_return step::finish("rested");
  };
  {
    auto options = unattended(store);
    options.fire_timers = false;
    runtime down{options};
    add_agent(down, "napper", napping);
    down.start();
    accept(down.session(named("s1")).send(propose_plan{agent_plan("napper")}));
    down.stop();
  }
  runtime rt{unattended(store)};
  add_agent(rt, "napper", napping);
  rt.start();
  accept(rt.session(named("s2")).send(propose_plan{agent_plan("napper")}));
  for (const auto* name : {"s1", "s2"})
    CHECK(wait_for<plan_ended>(rt.session(named(name))));
}

} // namespace tool_limit_test
