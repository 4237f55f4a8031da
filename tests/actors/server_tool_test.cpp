// Tools that the runtime itself runs: time limits, unknown outcomes, what their hooks find out, and
// what they may not return. Functions that do not end are in tests/runtime/tool_limit_test.cpp.

#include "faults.hpp"

namespace server_tool_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

coro::task<json> dawdle(caf::event_based_actor* self, const tool_context& context) {
  context.progress({{"percent", 10}});
  co_await coro::delay(self, 5min);
  context.progress({{"percent", 90}});
  co_await coro::delay(self, 5min);
  co_return json("done");
}

coro::task<json> fail_softly(caf::event_based_actor* self, const tool_context& context) {
  if (context.arguments.value("later", false))
    co_await coro::delay(self, 1min);
  throw coro::failure{make_error(errc::tool_failed, "out of tea")};
}

coro::task<json> throw_up(caf::event_based_actor* self, const tool_context& context) {
  if (context.arguments.value("later", false))
    co_await coro::delay(self, 1min);
  throw std::runtime_error("out of \xFFtea");
}

tool named_tool(std::string_view name, decltype(tool::run) run) {
  tool made;
  made.name = tid(name);
  made.run = std::move(run);
  return made;
}

/// A tool that counts what it does, and its `reconcile`, which says what it is told to.
struct bank {
  effects counted;
  std::vector<std::string> looks; ///< The keys that `reconcile` was asked about.
  std::function<result<reconciliation>()> knows;
};

tool pay_tool(bank& of) {
  auto pay = named_tool("pay", blocking_tool{[&of](const tool_context& context) -> result<json> {
                          count_effect(of.counted, context);
                          return json{{"paid", context.run}};
                        }});
  pay.reconcile = [&of](const tool_context& context) -> result<reconciliation> {
    of.looks.push_back(context.idempotency_key);
    return of.knows();
  };
  return pay;
}

sim::world_options banking(bank& of) {
  auto options =
      unattended([&of](agent_registry&, tool_registry& tools) { must(tools.add(pay_tool(of))); });
  options.store = std::make_shared<memory_store>();
  return options;
}

/// Starts the plan and lets the process die when the outcome of its first call is to be stored.
void die_with_an_open_claim(sim::world& world) {
  const auto outcome = world.store().writes() + 2;
  world.store().on_write([=](std::uint64_t number) {
    return number == outcome ? memory_fault::crash_before : memory_fault::none;
  });
  accept(world, propose_plan{script_plan(R"({"tool": "pay"})")});
  REQUIRE(world.crashes() == 1);
}

/// What a parser makes of some hostile "[[[[...": nobody may recurse into it.
json abyss() {
  json deep = 1;
  for (int i = 0; i < 200'000; ++i) {
    auto around = json::array();
    around.push_back(std::move(deep));
    deep = std::move(around);
  }
  return deep;
}

json content_of(sim::world& world, std::uint64_t call) {
  const auto found = call_of(world, call);
  REQUIRE(found.answer);
  return found.answer->content;
}

} // namespace

TEST_CASE(
    "a coroutine tool that runs longer than its time limit is destroyed, and its call fails") {
  sim::world world{1, unattended([](agent_registry&, tool_registry& tools) {
                     auto slow = named_tool("slow", coroutine_tool{dawdle});
                     slow.time_limit = 7min;
                     must(tools.add(std::move(slow)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "slow", "on_error": "continue"})")});
  CHECK(state_of(world) == "running");
  world.advance(6min);
  CHECK(coro::live_frames() > 0);
  CHECK(state_of(world) == "running");
  world.advance(1min);
  CHECK(coro::live_frames() == 0);
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->outcome == call_outcome::failed);
  CHECK(content_of(world, 1).at("error") == "tool_timed_out");
  world.advance(1h);
  CHECK(facts<late_result>(world).empty());
  CHECK(facts<call_answered>(world).size() == 1);
}

TEST_CASE("a coroutine tool that ends within its time limit is not disturbed by it") {
  sim::world world{1, unattended([](agent_registry&, tool_registry& tools) {
                     auto slow = named_tool("slow", coroutine_tool{dawdle});
                     slow.time_limit = 11min;
                     must(tools.add(std::move(slow)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  world.advance(30min);
  CHECK(state_of(world) == "completed");
  CHECK(content_of(world, 1) == "done");
  CHECK(facts<call_answered>(world).size() == 1);
}

TEST_CASE(
    "what a running tool reports is shown to whoever watches, within limits, and not recorded") {
  live_log seen;
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(named_tool("slow", coroutine_tool{dawdle})));
    must(tools.add(
        named_tool("chatty", blocking_tool{[](const tool_context& context) -> result<json> {
                     for (int i = 0; i < 10; ++i)
                       context.progress(i);
                     return 1;
                   }})));
    must(tools.add(
        named_tool("wordy", blocking_tool{[](const tool_context& context) -> result<json> {
                     context.progress(std::string(101, 'x'));
                     json deep = 1;
                     for (int i = 0; i < 200; ++i)
                       deep = json::array({std::move(deep)});
                     context.progress(deep);
                     context.progress("short");
                     return 1;
                   }})));
  });
  options.on_live = seen.observer();
  options.limits.progress_updates = 4;
  options.limits.text_size_bytes = 100;
  sim::world world{1, options};
  accept(world,
         propose_plan{script_plan(R"({"tool": "slow"}, {"tool": "chatty"}, {"tool": "wordy"})")});
  REQUIRE(seen.updates.size() == 1);
  CHECK(seen.updates[0].session == sid());
  CHECK(seen.updates[0].call == cid(1));
  CHECK(seen.updates[0].kind == live_kind::progress);
  CHECK(seen.updates[0].content == json{{"percent", 10}});
  world.advance(1h);
  CHECK(state_of(world) == "completed");
  std::vector<json> of_chatty;
  std::vector<json> of_wordy;
  for (const auto& one : seen.updates)
    (one.call == cid(2) ? of_chatty : of_wordy).push_back(one.content);
  CHECK(of_chatty == std::vector<json>{0, 1, 2, 3}); // the others are more than progress_updates
  CHECK(of_wordy.back() == "short");
  CHECK(of_wordy.size() == 3); // two of the slow tool
  for (const auto& one : world.events(sid()))
    CHECK_FALSE(contains(to_text(to_json(one)), "percent"));
}

TEST_CASE("P10: a tool that returns more than its own limit has failed, and the limit is named") {
  sim::world world{1, unattended([](agent_registry&, tool_registry& tools) {
                     for (const auto* name : {"small", "large"}) {
                       auto one = named_tool(name, blocking_tool{[](const tool_context&) {
                                               return result<json>{json(std::string(500, 'x'))};
                                             }});
                       one.result_size_bytes = name == std::string_view{"small"} ? 501 : 502;
                       must(tools.add(std::move(one)));
                     }
                   })};
  accept(world, propose_plan{script_plan(
                    R"({"tool": "small", "on_error": "continue"}, {"tool": "large"})")});
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->outcome == call_outcome::failed);
  CHECK(content_of(world, 1).at("error") == "limit_exceeded");
  CHECK(contains(content_of(world, 1).at("message").get<std::string>(), "result_size_bytes"));
  CHECK(call_of(world, 2).answer->outcome == call_outcome::succeeded);
}

TEST_CASE("a tool that throws, fails, or returns invalid UTF-8 has a failed call that can be read, "
          "and harms nothing else") {
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(named_tool("std", blocking_tool{[](const tool_context&) -> result<json> {
                                throw std::runtime_error("no \xC3 disk");
                              }})));
    must(tools.add(
        named_tool("odd", blocking_tool{[](const tool_context&) -> result<json> { throw 42; }})));
    must(tools.add(named_tool("error", blocking_tool{[](const tool_context&) -> result<json> {
                                return make_error(errc::tool_failed,
                                                  std::string(200, '.') + "\xFF");
                              }})));
    must(tools.add(named_tool("binary", blocking_tool{[](const tool_context&) -> result<json> {
                                return json{{"text", "\xFF\xFE"}};
                              }})));
    must(tools.add(named_tool("key", blocking_tool{[](const tool_context&) -> result<json> {
                                return json{{"\xFF", 1}};
                              }})));
    must(tools.add(named_tool("no_json", blocking_tool{[](const tool_context&) -> result<json> {
                                return json::parse("{", nullptr, false);
                              }})));
    must(tools.add(named_tool("in_part", blocking_tool{[](const tool_context&) -> result<json> {
                                return json::array({1, json::parse("{", nullptr, false)});
                              }})));
    must(tools.add(named_tool("bytes", blocking_tool{[](const tool_context&) -> result<json> {
                                return json{{"bytes", json::binary({1, 2})}};
                              }})));
    must(tools.add(named_tool(
        "deep", blocking_tool{[](const tool_context&) -> result<json> { return abyss(); }})));
    must(tools.add(named_tool(
        "deep_later",
        coroutine_tool{[](caf::event_based_actor* self, const tool_context&) -> coro::task<json> {
          co_await coro::delay(self, 1min);
          co_return abyss();
        }})));
    must(tools.add(named_tool("soft", coroutine_tool{fail_softly})));
    must(tools.add(named_tool("up", coroutine_tool{throw_up})));
  });
  sim::world world{1, options};
  std::string steps;
  for (const auto* step : {R"("std")", R"("odd")", R"("error")", R"("binary")", R"("key")",
                           R"("soft")", R"("soft", "arguments": {"later": true})", R"("up")",
                           R"("up", "arguments": {"later": true})", R"("no_json")", R"("in_part")",
                           R"("bytes")", R"("deep")", R"("deep_later")"})
    steps += std::string{steps.empty() ? "" : ", "} + R"({"on_error": "continue", "tool": )" + step
             + "}";
  accept(world, propose_plan{script_plan(steps)});
  world.advance(1h);
  CHECK(state_of(world) == "completed");
  for (std::uint64_t call = 1; call <= 14; ++call) {
    CAPTURE(call);
    CHECK(call_of(world, call).answer->outcome == call_outcome::failed);
    CHECK_FALSE(check_utf8(content_of(world, call)));
  }
  CHECK(contains(content_of(world, 1).at("message").get<std::string>(), "the tool threw"));
  CHECK(content_of(world, 1).at("error") == "tool_failed");
  CHECK(content_of(world, 2).at("error") == "tool_failed");
  CHECK(content_of(world, 4).at("error") == "invalid_json");
  CHECK(content_of(world, 6).at("message") == "out of tea");
  for (const auto call : {10, 11, 12})
    CHECK(content_of(world, static_cast<std::uint64_t>(call)).at("error") == "invalid_json");
  for (const auto call : {13, 14})
    CHECK(contains(
        content_of(world, static_cast<std::uint64_t>(call)).at("message").get<std::string>(),
        "json_depth"));
  world.crash();
  wake(world);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P10: a long error is cut where a character ends") {
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(named_tool("wordy", blocking_tool{[](const tool_context&) -> result<json> {
                                std::string text = "x";
                                for (int i = 0; i < 100; ++i)
                                  text += "\u00E4";
                                return make_error(errc::tool_failed, text);
                              }})));
  });
  options.limits.text_size_bytes = 100;
  sim::world world{1, options};
  accept(world, propose_plan{script_plan(R"({"tool": "wordy", "on_error": "continue"})")});
  CHECK_FALSE(check_utf8(content_of(world, 1)));
  CHECK(content_of(world, 1).at("message").get<std::string>().size() <= 100);
  CHECK(content_of(world, 1).at("message").get<std::string>().size() >= 90);
}

TEST_CASE("P8: what a tool's reconcile finds out about an open claim needs no person") {
  bank money;
  sim::world world{1, banking(money)};
  SECTION("it happened: its result is the call's, and nothing runs again") {
    money.knows = [] { return reconciliation::happened({{"paid", "yes"}}); };
    die_with_an_open_claim(world);
    wake(world);
    CHECK(state_of(world) == "completed");
    CHECK(content_of(world, 1) == json{{"paid", "yes"}});
    CHECK(money.counted.begin()->second == 1);
    REQUIRE(facts<outcome_resolved>(world).size() == 1);
    CHECK(facts<outcome_resolved>(world)[0].by == "reconcile");
    CHECK(facts<outcome_unknown>(world).empty());
  }
  SECTION("it did not happen: it runs again, with the same key") {
    money.knows = [] { return reconciliation::did_not_happen(); };
    die_with_an_open_claim(world);
    wake(world);
    CHECK(state_of(world) == "completed");
    CHECK(content_of(world, 1) == json{{"paid", 2}});
    CHECK(money.counted.size() == 1);
    CHECK(call_of(world, 1).runs == 2);
  }
  CHECK(money.looks.size() == 1);
  CHECK(money.looks[0] == money.counted.begin()->first);
}

TEST_CASE("P8: where a tool's reconcile cannot tell, or fails, a person is asked") {
  bank money;
  sim::world world{1, banking(money)};
  std::string expected;
  SECTION("it does not know") {
    money.knows = [] { return reconciliation{}; };
    expected = "could not tell";
  }
  SECTION("it fails") {
    money.knows = []() -> result<reconciliation> {
      return make_error(errc::tool_unavailable, "the bank is closed");
    };
    expected = "the bank is closed";
  }
  SECTION("it throws") {
    money.knows = []() -> result<reconciliation> { throw std::runtime_error("no line"); };
    expected = "no line";
  }
  SECTION("it says what no record can hold") {
    money.knows = [] { return reconciliation::happened("\xFF"); };
    expected = "UTF-8";
  }
  SECTION("it says what no stack can hold") {
    money.knows = [] { return reconciliation::happened(abyss()); };
    expected = "json_depth";
  }
  die_with_an_open_claim(world);
  wake(world);
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).waiting.outcome == 1);
  CHECK(money.counted.begin()->second == 1);
  REQUIRE(facts<outcome_unknown>(world).size() == 1);
  CHECK(contains(facts<outcome_unknown>(world)[0].reason, expected));
  check_no_dead_end(world);
  accept(world, resolve_outcome{cid(1), outcome_resolution::happened, "by hand"});
  CHECK(content_of(world, 1) == "by hand");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P10: what became of a call is told within its tool's own limit, whoever tells it") {
  bank money;
  auto options = unattended([&](agent_registry&, tool_registry& tools) {
    auto pay = pay_tool(money);
    pay.result_size_bytes = 20;
    must(tools.add(std::move(pay)));
  });
  options.store = std::make_shared<memory_store>();
  sim::world world{1, options};
  money.knows = [] { return reconciliation::happened(std::string(30, 'x')); };
  die_with_an_open_claim(world);
  wake(world);
  REQUIRE(facts<outcome_unknown>(world).size() == 1);
  CHECK(contains(facts<outcome_unknown>(world)[0].reason, "result_size_bytes is 20"));
  const resolve_outcome wordy{cid(1), outcome_resolution::happened, std::string(30, 'y')};
  CHECK(is(refuse_unchanged(world, wordy), errc::limit_exceeded));
  accept(world, resolve_outcome{cid(1), outcome_resolution::happened, "yes"});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a tool's reconcile looks again after the process died while it looked") {
  bank money;
  money.knows = [] { return reconciliation::happened("yes"); };
  sim::world world{1, banking(money)};
  die_with_an_open_claim(world);
  world.store().fail_next(memory_fault::crash_before);
  (void)world.wake(sid());
  world.run();
  REQUIRE(world.crashes() == 2);
  wake(world);
  CHECK(state_of(world) == "completed");
  CHECK(content_of(world, 1) == "yes");
  CHECK(money.counted.begin()->second == 1);
}

TEST_CASE("P4: a call that is cancelled while its tool's reconcile looks has one result") {
  int cancelled_in_time = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    bank money;
    money.knows = [] { return reconciliation::happened("yes"); };
    sim::world world{seed, banking(money)};
    die_with_an_open_claim(world);
    const auto cancelled = world.send(sid(), cancel_call{cid(1), "never mind"});
    world.run();
    REQUIRE(cancelled.answer());
    CHECK(call_of(world, 1).answer->outcome
          == (cancelled.accepted() ? call_outcome::cancelled : call_outcome::succeeded));
    cancelled_in_time += cancelled.accepted();
    CHECK(money.counted.begin()->second == 1);
    CHECK(facts<call_answered>(world).size() == 1);
    CHECK(state_of(world) == (cancelled.accepted() ? "needs_attention" : "completed"));
    check_no_dead_end(world);
  }
  CHECK(cancelled_in_time > 0);
}

TEST_CASE("P8: an idempotent tool whose process died is run again with the same key, as run two") {
  std::vector<std::string> runs;
  auto options = unattended([&](agent_registry&, tool_registry& tools) {
    auto put =
        named_tool("pay", blocking_tool{[&](const tool_context& context) -> result<json> {
                     runs.push_back(context.idempotency_key + "#" + std::to_string(context.run));
                     return 1;
                   }});
    put.idempotent = true;
    must(tools.add(std::move(put)));
  });
  options.store = std::make_shared<memory_store>();
  sim::world world{1, options};
  die_with_an_open_claim(world);
  wake(world);
  CHECK(state_of(world) == "completed");
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].substr(0, runs[0].size() - 2) == runs[1].substr(0, runs[1].size() - 2));
  CHECK(runs[0].ends_with("#1"));
  CHECK(runs[1].ends_with("#2"));
  CHECK(facts<outcome_resolved>(world)[0].by == "idempotent");
}

TEST_CASE(
    "P1 P4 P6 P8: server tools of every kind come to their end with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.counted = std::make_shared<effects>();
    story.options = unattended([counted = story.counted](agent_registry&, tool_registry& tools) {
      const auto add = [&](tool added) { must(tools.add(std::move(added))); };
      const auto paying = blocking_tool{[counted](const tool_context& context) -> result<json> {
        count_effect(*counted, context);
        return json{{"run", context.run}};
      }};
      add(named_tool("plain", paying));
      auto put = named_tool("put", paying);
      put.idempotent = true;
      add(std::move(put));
      auto looked_up = named_tool("looked_up", paying);
      looked_up.reconcile = [counted](const tool_context& context) -> result<reconciliation> {
        if (counted->contains(context.idempotency_key))
          return reconciliation::happened("it did");
        return reconciliation::did_not_happen();
      };
      add(std::move(looked_up));
      auto slow = named_tool("slow", coroutine_tool{dawdle});
      slow.time_limit = 7min;
      add(std::move(slow));
    });
    story.first = propose_plan{script_plan(
        R"({"tool": "looked_up"}, {"calls": [{"tool": "plain"}, {"tool": "put"}]},
           {"tool": "slow", "on_error": "continue"})")};
    story.end = "completed";
    story.calls = 4;
    story.check = [counted = story.counted](sim::world& world) {
      // What can be looked up, is: nobody is asked, and it happens once.
      for (const auto& one : facts<outcome_unknown>(world))
        CHECK((one.call == 2 || one.call == 4));
      for (const auto& [key, times] : *counted)
        if (key.ends_with(":c1"))
          CHECK(times == 1);
      CHECK(call_of(world, 4).answer->outcome == call_outcome::failed);
    };
    return story;
  });
}

TEST_CASE("no more blocking tools run at once than the pool has threads") {
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(
        named_tool("work", blocking_tool{[](const tool_context&) -> result<json> { return 1; }})));
  });
  options.limits.blocking_threads = 2;
  sim::world world{1, options};
  world.hold_tools(true);
  accept(world, propose_plan{script_plan(
                    R"({"calls": [{"tool": "work"}, {"tool": "work"}, {"tool": "work"}]})")});
  int claimed = 0;
  int queued = 0;
  for (std::uint64_t call = 1; call <= 3; ++call) {
    claimed += call_of(world, call).status == call_status::claimed;
    queued += call_of(world, call).status == call_status::queued;
  }
  CHECK(claimed == 2);
  CHECK(queued == 1);
  world.hold_tools(false);
  world.run();
  CHECK(state_of(world) == "completed");
}

TEST_CASE(
    "P8: an attempt whose time is up is not tried again by itself while a call of it may have "
    "taken effect") {
  effects counted;
  auto options = unattended([&](agent_registry&, tool_registry& tools) {
    must(
        tools.add(named_tool("pay", blocking_tool{[&](const tool_context& context) -> result<json> {
                               count_effect(counted, context);
                               return 1;
                             }})));
    const auto add_idempotent = [&](std::string_view name, auto run) {
      auto made = named_tool(name, std::move(run));
      made.idempotent = true;
      made.time_limit = 7min;
      made.retry = {2, 2h, 2h};
      must(tools.add(std::move(made)));
    };
    add_idempotent("put", blocking_tool{[&](const tool_context& context) -> result<json> {
                     count_effect(counted, context);
                     return 1;
                   }});
    add_idempotent("crawl", coroutine_tool{dawdle});
    add_idempotent("balk", coroutine_tool{[](caf::event_based_actor* self,
                                             const tool_context& context) -> coro::task<json> {
                     if (context.run > 1)
                       throw coro::failure{make_error(errc::tool_unavailable, "not now")};
                     co_await coro::delay(self, 8min);
                     co_return 1;
                   }});
  });
  options.store = std::make_shared<memory_store>();
  sim::world world{1, options};
  const auto limited = R"(, "time_limit_ms": 3600000, "retry": {"max_attempts": 3})";
  SECTION("a person has not said what became of it") {
    const auto outcome = world.store().writes() + 2;
    world.store().on_write([=](std::uint64_t number) {
      return number == outcome ? memory_fault::crash_before : memory_fault::none;
    });
    accept(world, propose_plan{script_plan(R"({"tool": "pay"})", limited)});
    REQUIRE(world.crashes() == 1);
    wake(world);
    CHECK(status_of(world).waiting.outcome == 1);
    CHECK(counted.size() == 1);
    world.advance(2h);
    CHECK(state_of(world) == "needs_attention");
    CHECK(contains(subtask_of(world, "w").error, "s1:c1 may have taken effect"));
    world.advance(48h);
    CHECK(counted.size() == 1);
    // A person may say so.
    accept(world, retry_subtask{stid("w")});
    CHECK(state_of(world) == "completed");
    CHECK(counted.size() == 2);
  }
  const auto hang = [&](std::string_view step) {
    world.hold_tools(true);
    accept(world, propose_plan{script_plan(step, limited)});
    world.advance(2h);
    world.hold_tools(false);
    world.advance(48h);
    CHECK(state_of(world) == "needs_attention");
    CHECK(subtask_of(world, "w").attempts == 1);
  };
  SECTION("it still runs") {
    hang(R"({"tool": "pay"})");
  }
  SECTION("an idempotent one would be repeated under another key") {
    hang(R"({"tool": "put"})");
  }
  SECTION("so would one that was cut off, and is to run again") {
    accept(world, propose_plan{script_plan(R"({"tool": "crawl"})", limited)});
    world.advance(30min);
    CHECK(status_of(world).waiting.backoff == 1);
    world.advance(48h);
    CHECK(state_of(world) == "needs_attention");
    CHECK(contains(subtask_of(world, "w").error, "s1:c1 may have taken effect"));
    CHECK(subtask_of(world, "w").attempts == 1);
  }
  SECTION("so would one whose process died, and did not come back in time") {
    const auto outcome = world.store().writes() + 2;
    world.store().on_write([=](std::uint64_t number) {
      return number == outcome ? memory_fault::crash_before : memory_fault::none;
    });
    accept(world, propose_plan{script_plan(R"({"tool": "put"})", limited)});
    REQUIRE(world.crashes() == 1);
    world.advance(48h);
    CHECK(state_of(world) == "needs_attention");
    CHECK(subtask_of(world, "w").attempts == 1);
    CHECK(counted.size() == 1);
  }
  SECTION("the agent is told of it where a later run fails") {
    accept(world,
           propose_plan{script_plan(R"({"tool": "balk"})", R"(, "retry": {"max_attempts": 3})")});
    world.advance(48h);
    CHECK(content_of(world, 1).at("error") == "tool_unavailable");
    CHECK(content_of(world, 1).at("may_have_taken_effect") == true);
    CHECK(state_of(world) == "needs_attention");
    CHECK(subtask_of(world, "w").attempts == 1);
  }
  check_no_dead_end(world);
}

TEST_CASE("P1 P4 P6 P8: a tool that hangs is given up on, and its end is heard, with a fault at "
          "every commit") {
  with_a_fault_at_every_commit(
      [] {
        scenario story;
        story.options = unattended([](agent_registry&, tool_registry& tools) {
          auto stuck = named_tool(
              "stuck", blocking_tool{[](const tool_context&) -> result<json> { return "done"; }});
          stuck.time_limit = 10min;
          must(tools.add(std::move(stuck)));
        });
        story.options.tool_grace = 1min;
        story.first = propose_plan{
            script_plan(R"({"sleep_ms": 60000}, {"tool": "stuck", "on_error": "continue"})")};
        story.end = "completed";
        story.calls = 1;
        // All threads hang for two hours. Then the tool says itself what became of it, unless its
        // process has died: for that there is a person an hour later.
        struct time_line {
          std::optional<timestamp> begun;
          std::chrono::milliseconds passed{0};
        };
        const auto line = std::make_shared<time_line>();
        story.act = [line](sim::world& world) -> std::optional<command> {
          if (!line->begun)
            line->begun = world.now();
          line->passed = world.now() - *line->begun;
          world.hold_tools(line->passed < 2h);
          return std::nullopt;
        };
        story.answer = [line](const pending_item& item) -> std::optional<command> {
          if (line->passed < 3h)
            return std::nullopt;
          return resolve_outcome{*call_id::parse(item.id), outcome_resolution::failed};
        };
        story.check = [](sim::world& world) {
          CHECK(call_of(world, 1).answer->outcome == call_outcome::failed);
          // A run that never started, since its claim was not acknowledged, does not say anything.
          const bool hung = contains(facts<outcome_unknown>(world).at(0).reason, "it still runs");
          if (hung && world.crashes() == 0)
            CHECK(facts<outcome_resolved>(world).at(0).by == "tool");
        };
        return story;
      },
      {1, 2}, 4);
}

TEST_CASE(
    "an outcome that cannot be committed is tried again once a second, however long the disk is "
    "full") {
  sim::world world{1, unattended([](agent_registry&, tool_registry& tools) {
                     must(tools.add(named_tool(
                         "slow", coroutine_tool{[](caf::event_based_actor* self,
                                                   const tool_context&) -> coro::task<json> {
                           co_await coro::delay(self, 1min);
                           co_return "done";
                         }})));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  world.store().fail_writes(memory_fault::disk_full);
  // What is told twice would double with each commit that fails.
  world.invariant("few turns", [](sim::world& of) {
    return of.steps() > 2'000 ? std::string{"the session is busy with itself"} : std::string{};
  });
  world.advance(2min);
  world.store().fail_writes({});
  world.advance(5s);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("outcomes that came one after the other on a full disk do not bring each other back") {
  sim::world world{
      1, unattended([](agent_registry&, tool_registry& tools) {
        for (const auto* after : {"100", "400", "700"})
          must(tools.add(
              named_tool(std::string{"takes_"} + after,
                         coroutine_tool{[after](caf::event_based_actor* self,
                                                const tool_context&) -> coro::task<json> {
                           co_await coro::delay(self, std::chrono::milliseconds{std::stoi(after)});
                           co_return "done";
                         }})));
      })};
  accept(
      world,
      propose_plan{script_plan(
          R"({"calls": [{"tool": "takes_100"}, {"tool": "takes_400"}, {"tool": "takes_700"}]})")});
  world.store().fail_writes(memory_fault::disk_full);
  world.invariant("few turns", [](sim::world& of) {
    return of.steps() > 5'000 ? std::string{"the session is busy with itself"} : std::string{};
  });
  world.advance(2min);
  world.store().fail_writes({});
  world.advance(5s);
  CHECK(state_of(world) == "completed");
}

TEST_CASE(
    "P6: sessions that cannot claim on a full disk do not hand a free worker round in a circle") {
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(
        named_tool("work", blocking_tool{[](const tool_context&) -> result<json> { return 1; }})));
  });
  options.limits.blocking_threads = 1;
  sim::world world{1, options};
  world.hold_tools(true);
  for (const auto* session : {"s1", "s2", "s3"})
    accept(world, propose_plan{script_plan(R"({"calls": [{"tool": "work"}, {"tool": "work"}]})")},
           session);
  world.store().fail_writes(memory_fault::disk_full);
  world.invariant("few turns", [](sim::world& of) {
    return of.steps() > 20'000 ? std::string{"the sessions are busy with each other"}
                               : std::string{};
  });
  world.hold_tools(false);
  world.advance(1min);
  world.store().fail_writes({});
  world.advance(10s);
  for (const auto* session : {"s1", "s2", "s3"})
    CHECK(state_of(world, session) == "completed");
}

} // namespace server_tool_test
