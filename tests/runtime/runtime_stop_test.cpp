// A runtime that stops at a bad moment: nobody is left waiting, and nothing that was acknowledged
// is lost.

#include "support.hpp"

#include <fermata_catch.hpp>

#include <atomic>
#include <map>
#include <random>
#include <thread>

namespace runtime_stop_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

coro::task<step> sleeping_agent(step_context& context) {
  co_await coro::delay(context.self, 24h);
  co_return step::finish("slept");
}

coro::task<step> quick_agent(step_context& context) {
  co_await coro::yield(context.self);
  co_return step::finish("did not sleep");
}

coro::task<json> sleeping_tool(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, 24h);
  co_return "slept";
}

coro::task<json> short_tool(caf::event_based_actor* self, const tool_context& context) {
  co_await coro::delay(self, 1ms);
  co_return context.arguments;
}

/// Waits until commands are refused because the runtime stops.
void wait_until_stopping(const session_handle& session) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (refusal(session.send(cancel_plan{})) != errc::shutting_down)
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error{"it does not stop"};
}

bool has_event(store& in, const session_id& session, const receipt& given,
               std::string_view expected) {
  const auto events = query_events(in, session, given.event, 1);
  return events && events->size() == 1 && name_of(events->front().body) == expected;
}

} // namespace

TEST_CASE("a session handle before start and after stop is told shutting_down") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  const auto session = rt.session(named("s1"));
  CHECK(refusal(session.send(propose_plan{shop_plan()})) == errc::shutting_down);
  rt.start();
  accept(session.send(propose_plan{shop_plan()}));
  rt.stop();
  CHECK(refusal(session.send(tool_result{call("s1", 1), "green"})) == errc::shutting_down);
  CHECK(refusal(session.wake()) == errc::shutting_down);
  std::promise<errc> told;
  session.send(cancel_plan{}, [&](const result<receipt>& given) {
    told.set_value(given ? errc{} : code_of(given.error()));
  });
  CHECK(told.get_future().get() == errc::shutting_down);
  // What is recorded can still be asked for.
  CHECK(session.status().value().state == session_state::waiting);
  CHECK(session.follow(1).next(1ms).value().value().number == 1);
  rt.stop();
}

TEST_CASE("a runtime that is started after another was stopped continues on the same store") {
  temporary_directory folder;
  {
    runtime rt{unattended(open_store(folder))};
    rt.start();
    accept(rt.session(named("s1")).send(propose_plan{shop_plan()}));
  }
  runtime rt{unattended(open_store(folder))};
  rt.start();
  const auto session = rt.session(named("s1"));
  CHECK(accept(session.wake()).state == session_state::waiting);
  CHECK(accept(session.send(tool_result{call("s1", 1), "green"})).state
        == session_state::completed);
}

TEST_CASE("stop answers commands whose commit is under way with their receipt, and those behind "
          "them with shutting_down") {
  temporary_directory folder;
  const auto gate = std::make_shared<gated_store>(open_store(folder));
  runtime rt{unattended(gate)};
  rt.start();
  const auto session = rt.session(named("s1"));
  gate->close_gate();
  auto first = session.send(propose_plan{shop_plan()});
  gate->wait_for_writer();
  auto behind = session.send(tool_result{call("s1", 1), "green"});
  std::thread stopper{[&] { rt.stop(); }};
  wait_until_stopping(rt.session(named("nobody")));
  gate->open_gate();
  stopper.join();
  const auto given = accept(std::move(first));
  CHECK(has_event(rt.store(), named("s1"), given, "session_created"));
  CHECK(refusal(std::move(behind)) == errc::shutting_down);
  CHECK(session.status().value().state == session_state::waiting);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE(
    "stop tells running tools, drops suspended steps, and the next runtime finds them as after "
    "a crash") {
  temporary_directory folder;
  host_system host;
  signal_flag started;
  std::atomic<bool> saw_stop{false};
  {
    runtime rt{host.system(), unattended(open_store(folder))};
    add_agent(rt, "sleeper", sleeping_agent);
    add_tool(rt, "sleep", coroutine_tool{sleeping_tool});
    add_tool(rt, "hold", blocking_tool{[&](const tool_context& context) -> result<json> {
               started.raise();
               signal_flag never;
               CHECK_NOTHROW(never.wait(context.stop));
               saw_stop = context.stop.stop_requested();
               return make_error(errc::shutting_down, "told to stop");
             }});
    rt.start();
    accept(rt.session(named("agent")).send(propose_plan{agent_plan("sleeper")}));
    accept(rt.session(named("coroutine")).send(propose_plan{tool_plan("sleep")}));
    accept(rt.session(named("blocking")).send(propose_plan{tool_plan("hold")}));
    REQUIRE(started.wait());
    rt.stop();
    CHECK(saw_stop);
    CHECK(host.guests() == 0);
    CHECK(coro::live_frames() == 0);
  }
  runtime rt{host.system(), unattended(open_store(folder))};
  add_agent(rt, "sleeper", quick_agent);
  add_tool(rt, "sleep", coroutine_tool{short_tool});
  add_tool(rt, "hold", blocking_tool{[](const tool_context&) -> result<json> { return "held"; }});
  rt.start();
  accept(rt.session(named("agent")).wake());
  CHECK(paused(rt.session(named("agent"))).state == session_state::completed);
  for (const auto* name : {"coroutine", "blocking"}) {
    const auto session = rt.session(named(name));
    accept(session.wake());
    CHECK(paused(session).waiting.outcome == 1);
    accept(session.send(resolve_outcome{call(name, 1), outcome_resolution::rerun}));
    CHECK(paused(session).state == session_state::completed);
  }
}

TEST_CASE("a tool whose claim is committed while the runtime stops is told to stop") {
  temporary_directory folder;
  const auto gate = std::make_shared<gated_store>(open_store(folder));
  std::atomic<int> runs{0};
  std::atomic<int> told{0};
  {
    runtime rt{unattended(gate)};
    add_tool(rt, "hold", blocking_tool{[&](const tool_context& context) -> result<json> {
               ++runs;
               signal_flag never;
               never.wait(context.stop);
               told += context.stop.stop_requested() ? 1 : 0;
               return "held";
             }});
    rt.start();
    gate->close_gate();
    auto sent = rt.session(named("s1")).send(propose_plan{tool_plan("hold")});
    gate->wait_for_writer();
    std::thread stopper{[&] { rt.stop(); }};
    wait_until_stopping(rt.session(named("nobody")));
    gate->open_gate();
    stopper.join();
    accept(std::move(sent));
  }
  CHECK(runs == told);
}

TEST_CASE("stopped at any moment, a runtime fulfils every future, keeps what it acknowledged, and "
          "repeats nothing by itself") {
  constexpr int sessions = 6;
  const auto steps = plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [
    {"id": "a", "steps": [{"calls": [{"tool": "ask", "arguments": {}}, {"tool": "effect", "arguments": {}}]}]},
    {"id": "b", "agent": "thinker"},
    {"id": "c", "steps": [{"tool": "short", "arguments": {}}, {"tool": "effect", "arguments": {}}]}]})");
  const std::uint64_t base = 20'261'123;
  for (std::uint64_t seed = base; seed < base + 4; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    temporary_directory folder;
    std::mutex mutex;
    std::map<std::string, int> effects;
    std::map<std::string, int> reruns;
    int done = 0;
    int stops = 0;
    for (; done < sessions && stops < 400; ++stops) {
      host_system host;
      std::vector<std::pair<session_id, std::future<result<receipt>>>> sent;
      auto store = open_store(folder);
      {
        runtime rt{host.system(), unattended(store)};
        add_agent(rt, "thinker", quick_agent);
        add_tool(rt, "short", coroutine_tool{short_tool});
        add_tool(rt, "effect", blocking_tool{[&](const tool_context& context) -> result<json> {
                   const std::lock_guard lock{mutex};
                   return ++effects[context.idempotency_key];
                 }});
        rt.start();
        std::thread host_thread{[&] {
          // One round over all sessions: whatever they wait for, they get.
          for (int i = 0; i < sessions; ++i) {
            const auto id = named("s" + std::to_string(i));
            const auto session = rt.session(id);
            if (!session.status())
              sent.emplace_back(id, session.send(propose_plan{steps}));
            else
              sent.emplace_back(id, session.wake());
            const auto pending = query_pending(rt.store(), id);
            if (!pending)
              continue;
            for (const auto& item : *pending) {
              const auto waiting = call_id::parse(item.id).value();
              if (item.waiting_for == wait_cause::result) {
                sent.emplace_back(id, session.send(tool_result{waiting, "answer"}));
              } else {
                const std::lock_guard lock{mutex};
                ++reruns[item.id];
                sent.emplace_back(
                    id, session.send(resolve_outcome{waiting, outcome_resolution::rerun}));
              }
            }
          }
        }};
        // Stop it somewhere: while the host sends, some time later, or when all is quiet.
        const auto when = random() % 4;
        if (when >= 2)
          host_thread.join();
        for (auto spins = random() % 2'000'000; spins > 0; --spins)
          std::atomic_signal_fence(std::memory_order_seq_cst);
        if (when == 3)
          for (const auto& [id, one] : sent)
            if (one.wait_for(patience) == std::future_status::ready && rt.session(id).status())
              paused(rt.session(id));
        rt.stop();
        if (host_thread.joinable())
          host_thread.join();
        CHECK(host.guests() == 0);
        CHECK(coro::live_frames() == 0);
        done = 0;
        for (int i = 0; i < sessions; ++i) {
          const auto status = query_status(rt.store(), named("s" + std::to_string(i)));
          done += status && status->state == session_state::completed ? 1 : 0;
        }
      }
      for (auto& [id, one] : sent) {
        REQUIRE(one.wait_for(0s) == std::future_status::ready);
        const auto given = one.get();
        if (!given) {
          INFO(message_of(given.error()));
          const auto code = code_of(given.error());
          CHECK((code == errc::shutting_down || code == errc::not_allowed
                 || code == errc::unknown_session));
          continue;
        }
        CHECK(query_events(*store, id, given->event, 1).value().size() == 1);
      }
    }
    CHECK(done == sessions);
    CHECK(stops > 1);
    CHECK(effects.size() == sessions * 2);
    for (const auto& [key, times] : effects)
      CHECK(times <= 1 + reruns[key.substr(key.find('/') + 1)]);
  }
}

} // namespace runtime_stop_test
