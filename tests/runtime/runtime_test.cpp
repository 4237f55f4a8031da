// The runtime as a host uses it: real threads, a real store.

#include "support.hpp"

#include <fermata/messages/type_ids.hpp>

#include <fermata_catch.hpp>

#include <caf/scoped_actor.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

namespace runtime_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

coro::task<json> delayed_echo(caf::event_based_actor* self, const tool_context& context) {
  co_await coro::delay(self, 1ms);
  co_return context.arguments;
}

coro::task<json> failing_tool(caf::event_based_actor* self, const tool_context&) {
  co_await coro::yield(self);
  throw coro::failure{make_error(errc::tool_failed, "out of tea")};
}

/// Takes a step that awaits something, then finishes.
coro::task<step> patient_agent(step_context& context) {
  co_await coro::delay(context.self, 1ms);
  co_return step::finish({{"after", "a while"}});
}

std::size_t threads_of_this_process() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator{"/proc/self/task"})
    ++count;
  return count;
}

std::vector<std::uint64_t> numbers_up_to(std::uint64_t last) {
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t number = 1; number <= last; ++number)
    numbers.push_back(number);
  return numbers;
}

/// Reads a stream until it has given event `last`.
std::vector<std::uint64_t> read_up_to(event_stream& stream, std::uint64_t last) {
  std::vector<std::uint64_t> numbers;
  while (numbers.empty() || numbers.back() < last) {
    auto next = stream.next(patience);
    if (!next || !*next)
      break;
    numbers.push_back((*next)->number);
  }
  return numbers;
}

void run_shop_plan(const session_handle& session) {
  const auto& id = session.id().str();
  accept(session.send(propose_plan{shop_plan()}));
  accept(session.send(decide_plan{1, plan_verdict::approve}));
  accept(session.send(decide_call{call(id, 1), call_verdict::approve}));
  accept(session.send(tool_result{call(id, 1), "green"}));
}

} // namespace

TEST_CASE("a runtime with an actor system of its own runs a plan through futures") {
  temporary_directory folder;
  runtime_options options;
  options.store = open_store(folder);
  runtime rt{options};
  rt.start();
  const auto session = rt.session(named("s1"));
  CHECK(refusal(session.send(decide_plan{1, plan_verdict::approve})) == errc::unknown_session);
  CHECK(accept(session.send(propose_plan{shop_plan()})).state
        == session_state::awaiting_plan_decision);
  CHECK(accept(session.send(decide_plan{1, plan_verdict::approve})).state
        == session_state::waiting);
  CHECK(paused(session).waiting.decision == 1);
  CHECK(refusal(session.send(tool_result{call("s1", 1), "early"})) == errc::not_approved);
  accept(session.send(decide_call{call("s1", 1), call_verdict::approve}));
  CHECK(paused(session).waiting.result == 1);
  const auto given = accept(session.send(tool_result{call("s1", 1), "green"}));
  CHECK(given.state == session_state::completed);
  CHECK(accept(session.send(tool_result{call("s1", 1), "green"})).kind == receipt_kind::duplicate);
  const auto status = paused(session);
  CHECK(status.state == session_state::completed);
  CHECK(status.subtasks[1].result == json{{"got", "green"}});
  rt.stop();
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a runtime that joined a host's actor system leaves no actor in it") {
  temporary_directory folder;
  host_system host;
  {
    runtime_options options;
    options.store = open_store(folder);
    runtime rt{host.system(), options};
    rt.start();
    run_shop_plan(rt.session(named("s1")));
    CHECK(paused(rt.session(named("s1"))).state == session_state::completed);
    CHECK(host.guests() == 4); // journal, directory, tool worker, one session
    rt.stop();
    CHECK(host.guests() == 0);
    CHECK(coro::live_frames() == 0);
  }
  // The store is not held by anything that was left behind.
  CHECK(open_store(folder)->find(named("s1")).value());
}

TEST_CASE("a callback is called once, with the receipt or the error") {
  temporary_directory folder;
  std::atomic<int> calls{0};
  std::promise<result<receipt>> accepted;
  std::promise<result<receipt>> refused;
  runtime_options options;
  options.store = open_store(folder);
  {
    runtime rt{options};
    rt.start();
    const auto session = rt.session(named("s1"));
    session.send(propose_plan{shop_plan()}, [&](result<receipt> given) {
      ++calls;
      accepted.set_value(std::move(given));
    });
    const auto first = answer(accepted.get_future());
    REQUIRE(first);
    CHECK(first->event == 1);
    session.send(propose_plan{shop_plan()}, [&](result<receipt> given) {
      ++calls;
      refused.set_value(std::move(given));
    });
    CHECK(refusal(refused.get_future()) == errc::session_busy);
  }
  CHECK(calls == 2);
}

TEST_CASE("an actor commands a session by asking the directory") {
  temporary_directory folder;
  host_system host;
  runtime_options options;
  options.store = open_store(folder);
  runtime rt{host.system(), options};
  rt.start();
  {
    caf::scoped_actor asker{host.system()};
    const auto ask = [&](command body) {
      result<receipt> answered = make_error(errc::internal, "unanswered");
      asker->request(rt.directory(), patience, session_command{named("s1"), std::move(body)})
          .receive([&](const receipt& given) { answered = given; },
                   [&](const caf::error& error) { answered = error; });
      return answered;
    };
    CHECK(is(ask(decide_plan{1, plan_verdict::approve}).error(), errc::unknown_session));
    const auto proposed = ask(propose_plan{shop_plan()});
    REQUIRE(proposed);
    CHECK(proposed->session == named("s1"));
    CHECK(proposed->state == session_state::awaiting_plan_decision);
    CHECK(is(ask(propose_plan{shop_plan()}).error(), errc::session_busy));
    CHECK(ask(decide_plan{1, plan_verdict::approve}));
    CHECK(ask(decide_call{call("s1", 1), call_verdict::approve}));
    const auto ended = ask(tool_result{call("s1", 1), "green"});
    REQUIRE(ended);
    CHECK(ended->state == session_state::completed);
  }
  // One that asks a stopped runtime hears of it, too.
  const auto directory = rt.directory();
  rt.stop();
  caf::scoped_actor late{host.system()};
  late->request(directory, patience,
                session_command{named("s1"), decide_plan{1, plan_verdict::approve}})
      .receive([](const receipt&) { FAIL("a stopped runtime accepted a command"); },
               [](const caf::error& error) { CHECK(code_of(error) == errc::shutting_down); });
}

TEST_CASE("coroutine tools and blocking tools run, and their failures are results") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  add_tool(rt, "echo", coroutine_tool{delayed_echo});
  add_tool(rt, "fail", coroutine_tool{failing_tool});
  add_tool(rt, "add", blocking_tool{[](const tool_context& context) -> result<json> {
             return context.arguments.at("a").get<int>() + context.arguments.at("b").get<int>();
           }});
  add_tool(rt, "throw", blocking_tool{[](const tool_context&) -> result<json> {
             throw std::runtime_error{"out of milk"};
           }});
  rt.start();
  const auto session = rt.session(named("s1"));
  accept(session.send(propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "all", "steps": [
    {"tool": "echo", "arguments": {"a": 1}},
    {"calls": [{"tool": "echo", "arguments": {"b": 2}}, {"tool": "add", "arguments": {"a": 3, "b": 4}}]},
    {"tool": "fail", "arguments": {}, "on_error": "continue"},
    {"tool": "throw", "arguments": {}, "on_error": "continue"}],
    "result": {"one": {"$ref": "/steps/0"}, "two": {"$ref": "/steps/1"}}}]})")}));
  const auto status = paused(session);
  CHECK(status.state == session_state::completed);
  CHECK(status.subtasks[0].result == json::parse(R"({"one": {"a": 1}, "two": [{"b": 2}, 7]})"));
  for (const std::uint64_t number : {4, 5}) {
    const auto failed = query_call(rt.store(), call("s1", number)).value();
    CHECK(failed.answer->outcome == call_outcome::failed);
    CHECK(failed.answer->content.dump().find(number == 4 ? "out of tea" : "out of milk")
          != std::string::npos);
  }
  rt.stop();
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("an agent whose step awaits something is not waited for by its command") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  add_agent(rt, "patient", patient_agent);
  rt.start();
  const auto session = rt.session(named("s1"));
  CHECK(accept(session.send(propose_plan{agent_plan("patient")})).state == session_state::running);
  CHECK(paused(session).state == session_state::completed);
}

TEST_CASE("P6 P8: what a host's callbacks throw ends no session, and loses no run") {
  temporary_directory folder;
  auto options = unattended(open_store(folder));
  options.policy = approval_policy::ask_everything();
  options.on_live = [](const live_update&) { throw 1; };
  runtime rt{options};
  std::atomic<int> runs{0};
  add_tool(rt, "effect", blocking_tool{[&](const tool_context& context) -> result<json> {
             context.progress("half");
             return ++runs;
           }});
  rt.start();
  const auto session = rt.session(named("s1"));
  const auto watch = session.watch([](std::uint64_t) { throw 2; });
  const auto send = [&](command what) {
    const auto given = std::make_shared<std::promise<result<receipt>>>();
    session.send(std::move(what), [given](result<receipt> answer) {
      given->set_value(std::move(answer));
      throw 3;
    });
    accept(given->get_future());
    paused(session);
  };
  accept(session.send(propose_plan{tool_plan("effect")}));
  send(decide_plan{1, plan_verdict::approve});
  send(decide_call{call("s1", 1), call_verdict::approve});
  CHECK(paused(session).state == session_state::completed);
  CHECK(runs == 1);
  CHECK(accept(rt.session(named("s2")).send(propose_plan{tool_plan("effect")})).event == 1);
}

TEST_CASE("wait_until_paused waits while the session moves by itself, and no longer") {
  temporary_directory folder;
  signal_flag go;
  runtime rt{unattended(open_store(folder))};
  add_tool(rt, "hold", blocking_tool{[&](const tool_context& context) -> result<json> {
             return go.wait(context.stop);
           }});
  rt.start();
  const auto session = rt.session(named("s1"));
  CHECK(is(session.wait_until_paused(patience).error(), errc::unknown_session));
  CHECK(accept(session.send(propose_plan{tool_plan("hold")})).state == session_state::running);
  const auto early = session.wait_until_paused(5ms);
  REQUIRE(early);
  CHECK_FALSE(*early);
  go.raise();
  CHECK(paused(session).state == session_state::completed);
}

TEST_CASE("streams replay from any event and follow live, without gap or repetition, across "
          "passivations") {
  temporary_directory folder;
  runtime_options options = unattended(open_store(folder));
  // There is room for one session, so whenever the other is addressed this one leaves memory.
  options.limits.resident_sessions = 1;
  runtime rt{options};
  rt.start();
  const auto followed = rt.session(named("followed"));
  const auto other = rt.session(named("other"));
  constexpr std::uint64_t rounds = 20;
  constexpr std::uint64_t readers = 4;
  std::string steps;
  for (std::uint64_t i = 0; i < rounds; ++i)
    steps += (i == 0 ? "" : ", ") + std::string{R"({"tool": "ask", "arguments": {}})"};
  const auto asking = plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
      "subtasks": [{"id": "a", "steps": [)"
                           + steps + "]}]}");

  // One that starts before the session exists, and others at different events.
  std::vector<std::future<std::vector<std::uint64_t>>> read;
  std::promise<std::uint64_t> last_event;
  const auto last = last_event.get_future().share();
  const auto follow_from = [&](std::uint64_t first) {
    read.push_back(std::async(std::launch::async, [&rt, first, last] {
      auto stream = rt.session(named("followed")).follow(first);
      // The end is known later than most events come: read what there is until then.
      std::vector<std::uint64_t> numbers;
      while (last.wait_for(0s) != std::future_status::ready) {
        auto next = stream.next(1ms);
        if (next && *next)
          numbers.push_back((*next)->number);
      }
      if (numbers.empty() || numbers.back() < last.get()) {
        const auto rest = read_up_to(stream, last.get());
        numbers.insert(numbers.end(), rest.begin(), rest.end());
      }
      return numbers;
    }));
  };
  follow_from(1);
  accept(followed.send(propose_plan{asking}));
  accept(other.send(propose_plan{asking}));
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    if (round % (rounds / readers) == 0)
      follow_from(1 + (round % 3) * 2);
    accept(followed.send(tool_result{call("followed", round), round}));
    accept(other.send(tool_result{call("other", round), round}));
  }
  const auto events = paused(followed).events;
  CHECK(events > rounds * 2);
  last_event.set_value(events);
  const auto all = numbers_up_to(events);
  CHECK(read.size() == readers + 1);
  for (auto& one : read) {
    const auto numbers = one.get();
    REQUIRE_FALSE(numbers.empty());
    CHECK(numbers
          == std::vector<std::uint64_t>(
              all.begin() + static_cast<std::ptrdiff_t>(numbers.front()) - 1, all.end()));
  }
  // A stream that begins at the end waits, and ends with the runtime.
  auto at_end = followed.follow(events + 1);
  CHECK_FALSE(at_end.next(1ms).value().has_value());
}

TEST_CASE(
    "who follows a session is told when it is deleted, and does not get another one's events") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  rt.start();
  auto session = rt.session(named("s"));
  const auto quick = plan(R"({"goal": "g", "subtasks": [{"id": "a", "result": 1}]})");
  accept(session.send(propose_plan{quick}));
  REQUIRE(session.wait_until_paused(patience).value());
  auto stream = session.follow(1);
  const auto events = session.status()->events;
  CHECK(read_up_to(stream, events) == numbers_up_to(events));
  auto reader = std::async(std::launch::async, [&] { return stream.next(patience); });
  accept(session.send(trim_history{2}));
  const auto trimmed = reader.get();
  REQUIRE(trimmed);
  CHECK((*trimmed)->number == events + 1);
  // One that begins with what was dropped begins with what is kept.
  auto late = session.follow(1);
  CHECK(late.next(patience).value()->number == events - 1);

  reader = std::async(std::launch::async, [&] { return stream.next(patience); });
  accept(session.send(delete_session{}));
  const auto ended = reader.get();
  REQUIRE_FALSE(ended);
  CHECK(is(ended.error(), errc::unknown_session));
  accept(session.send(propose_plan{quick}));
  CHECK(is(stream.next(1ms).error(), errc::unknown_session));
  auto another = session.follow(1);
  CHECK(another.next(patience).value()->number == 1);
  // Its numbers are smaller than those of the old one, and are waited for all the same.
  REQUIRE(session.wait_until_paused(patience).value());
  auto at_end = session.follow(session.status()->events + 1);
  reader = std::async(std::launch::async, [&] { return at_end.next(patience); });
  CHECK(reader.wait_for(20ms) == std::future_status::timeout);
  accept(session.send(trim_history{2}));
  const auto next = reader.get();
  REQUIRE(next);
  REQUIRE(*next);
  CHECK((*next)->number == session.status()->events);
}

TEST_CASE("two hundred sessions from eight threads all complete, and every command is answered") {
  temporary_directory folder;
  host_system host;
  runtime_options options = unattended(open_store(folder));
  options.limits.resident_sessions = 64; // fewer than there are: they come and go
  runtime rt{host.system(), options};
  add_tool(rt, "echo", coroutine_tool{delayed_echo});
  std::atomic<int> effects{0};
  add_tool(rt, "effect",
           blocking_tool{[&](const tool_context&) -> result<json> { return ++effects; }});
  rt.start();
  constexpr int threads = 8;
  constexpr int sessions_per_thread = 25;
  const auto steps = plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [
    {"id": "a", "steps": [{"calls": [{"tool": "ask", "arguments": {}}, {"tool": "effect", "arguments": {}}]}]},
    {"id": "b", "depends_on": ["a"], "steps": [{"tool": "echo", "arguments": {}}, {"tool": "ask", "arguments": {}}]}]})");
  std::atomic<int> completed{0};
  std::vector<std::future<std::string>> workers;
  for (int t = 0; t < threads; ++t)
    workers.push_back(std::async(std::launch::async, [&, t]() -> std::string {
      std::vector<session_handle> mine;
      std::vector<std::future<result<receipt>>> sent;
      for (int i = 0; i < sessions_per_thread; ++i) {
        mine.push_back(rt.session(named("s" + std::to_string(t) + "-" + std::to_string(i))));
        sent.push_back(mine.back().send(propose_plan{steps}));
      }
      try {
        for (auto& one : sent)
          accept(std::move(one));
        sent.clear();
        for (const auto& session : mine)
          sent.push_back(session.send(tool_result{call_id{session.id(), 1}, "first"}));
        for (auto& one : sent)
          accept(std::move(one));
        for (const auto& session : mine) {
          paused(session);
          const auto done = accept(session.send(tool_result{call_id{session.id(), 4}, "second"}));
          completed += done.state == session_state::completed ? 1 : 0;
        }
      } catch (const std::exception& failure) {
        return failure.what();
      }
      return {};
    }));
  for (auto& one : workers)
    CHECK(one.get() == "");
  CHECK(completed == threads * sessions_per_thread);
  CHECK(effects == threads * sessions_per_thread);
  rt.stop();
  CHECK(host.guests() == 0);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("P2: a thousand waiting sessions hold no thread and no frame, and after passivation no "
          "actor") {
  constexpr std::size_t waiting = 1'000;
  temporary_directory folder;
  host_system host;
  runtime_options options = unattended(open_store(folder));
  options.passivate_after = 24h;
  {
    runtime rt{host.system(), options};
    rt.start();
    accept(rt.session(named("first")).send(propose_plan{shop_plan()}));
    const auto threads = threads_of_this_process();
    std::vector<std::future<result<receipt>>> sent;
    for (std::size_t i = 1; i < waiting; ++i)
      sent.push_back(rt.session(named("s" + std::to_string(i))).send(propose_plan{shop_plan()}));
    for (auto& one : sent)
      CHECK(accept(std::move(one)).state == session_state::waiting);
    CHECK(threads_of_this_process() <= threads);
    CHECK(coro::live_frames() == 0);
    CHECK(host.guests() == waiting + 3); // one actor a session; journal, directory, tool worker
  }
  REQUIRE(host.guests() == 0);
  // The same sessions, addressed again: they leave memory by themselves.
  options.store = nullptr;
  options.store = open_store(folder);
  options.passivate_after = 1ms;
  runtime rt{host.system(), options};
  rt.start();
  std::vector<std::future<result<receipt>>> sent;
  for (std::size_t i = 1; i < waiting; ++i)
    sent.push_back(rt.session(named("s" + std::to_string(i))).wake());
  for (auto& one : sent)
    CHECK(accept(std::move(one)).state == session_state::waiting);
  CHECK(host.wait_for_guests(3));
  CHECK(coro::live_frames() == 0);
  // And each is still there for whoever addresses it.
  CHECK(accept(rt.session(named("s7")).send(tool_result{call("s7", 1), "green"})).state
        == session_state::completed);
}

TEST_CASE("more commands than runtime_queue are refused as overloaded, and room is made by "
          "answering") {
  temporary_directory folder;
  const auto gate = std::make_shared<gated_store>(open_store(folder));
  runtime_options options = unattended(gate);
  options.limits.runtime_queue = 8;
  runtime rt{options};
  rt.start();
  gate->close_gate();
  std::vector<std::future<result<receipt>>> sent;
  for (int i = 0; i < 8; ++i)
    sent.push_back(rt.session(named("s" + std::to_string(i))).send(propose_plan{shop_plan()}));
  const auto refused = answer(rt.session(named("one-more")).send(propose_plan{shop_plan()}));
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::overloaded));
  CHECK(message_of(refused.error()).find("runtime_queue") != std::string::npos);
  gate->open_gate();
  for (auto& one : sent)
    accept(std::move(one));
  accept(rt.session(named("one-more")).send(propose_plan{shop_plan()}));
}

TEST_CASE("more commands than session_queue for one session are refused as overloaded") {
  temporary_directory folder;
  const auto gate = std::make_shared<gated_store>(open_store(folder));
  runtime_options options = unattended(gate);
  options.limits.session_queue = 4;
  runtime rt{options};
  rt.start();
  const auto session = rt.session(named("s1"));
  gate->close_gate();
  std::vector<std::future<result<receipt>>> sent;
  sent.push_back(session.send(propose_plan{shop_plan()}));
  gate->wait_for_writer();
  // The first is with the journal; these wait behind it.
  for (int i = 0; i < 5; ++i)
    sent.push_back(session.send(propose_plan{shop_plan()}));
  CHECK(refusal(std::move(sent.back())) == errc::overloaded);
  sent.pop_back();
  // Another session is not held up by this one's queue.
  auto other = rt.session(named("s2")).send(propose_plan{shop_plan()});
  gate->open_gate();
  accept(std::move(sent.front()));
  for (std::size_t i = 1; i < sent.size(); ++i)
    CHECK(refusal(std::move(sent[i])) == errc::session_busy);
  accept(std::move(other));
}

TEST_CASE("a worker that is freed is offered on when the session it was meant for has no use for "
          "it") {
  temporary_directory folder;
  signal_flag go;
  runtime_options options = unattended(open_store(folder));
  options.limits.blocking_threads = 1;
  runtime rt{options};
  add_tool(rt, "hold", blocking_tool{[&](const tool_context& context) -> result<json> {
             return go.wait(context.stop);
           }});
  rt.start();
  const auto first = rt.session(named("first"));
  const auto second = rt.session(named("second"));
  const auto third = rt.session(named("third"));
  for (const auto& session : {first, second, third})
    CHECK(accept(session.send(propose_plan{tool_plan("hold")})).state == session_state::running);
  accept(second.send(cancel_plan{"not needed any more"}));
  go.raise();
  CHECK(paused(first).state == session_state::completed);
  CHECK(paused(second).state == session_state::cancelled);
  CHECK(paused(third).state == session_state::completed);
}

TEST_CASE("a session that is ended by a defect takes no other with it") {
  temporary_directory folder;
  const auto broken = std::make_shared<gated_store>(open_store(folder));
  runtime rt{unattended(broken)};
  rt.start();
  const auto other = rt.session(named("other"));
  accept(other.send(propose_plan{shop_plan()}));
  const auto session = rt.session(named("s1"));
  broken->break_reading(true);
  CHECK_FALSE(answer(session.send(propose_plan{shop_plan()})));
  // The others go on, and so does this one once the cause is gone.
  CHECK(accept(other.send(tool_result{call("other", 1), "green"})).state
        == session_state::completed);
  broken->break_reading(false);
  CHECK(accept(session.send(propose_plan{shop_plan()})).state == session_state::waiting);
  CHECK(accept(session.send(tool_result{call("s1", 1), "green"})).state
        == session_state::completed);
}

TEST_CASE("a watch tells of a session from before it exists, and of nothing once it is gone") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  rt.start();
  const auto session = rt.session(named("s1"));
  std::atomic<std::uint64_t> last{0};
  signal_flag reached;
  {
    const auto watch = session.watch([&](std::uint64_t number) {
      CHECK(number > last);
      last = number;
      if (number >= 1)
        reached.raise();
    });
    accept(session.send(propose_plan{shop_plan()}));
    CHECK(reached.wait());
  }
  const auto told = last.load();
  const auto events = paused(session).events;
  CHECK(told <= events);
  accept(session.send(tool_result{call("s1", 1), "green"}));
  CHECK(paused(session).events > events);
  CHECK(last == told);
}

TEST_CASE("who reads after each call of a watch sees every event") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  rt.start();
  const auto session = rt.session(named("s1"));
  std::atomic<std::uint64_t> last{0};
  const auto watch = session.watch([&](std::uint64_t number) { last = number; });
  accept(session.send(propose_plan{shop_plan()}));
  accept(session.send(tool_result{call("s1", 1), "green"}));
  const auto events = paused(session).events;
  rt.stop(); // after which nothing is under way any more
  CHECK(last == events);
  CHECK(query_events(rt.store(), session.id(), 1, 1'000)->size() == events);
}

TEST_CASE("a wake answers by callback, too") {
  temporary_directory folder;
  runtime rt{unattended(open_store(folder))};
  rt.start();
  std::promise<result<receipt>> strange;
  rt.session(named("strange")).wake([&](result<receipt> answered) {
    strange.set_value(std::move(answered));
  });
  CHECK(refusal(strange.get_future()) == errc::unknown_session);
}

} // namespace runtime_test
