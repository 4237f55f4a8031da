// Each monitor is told a true story with one lie in it, and says which promise that breaks.

#include "../actors/support.hpp"

#include <fermata/actors/sim/monitors/bound_monitor.hpp>
#include <fermata/actors/sim/monitors/cluster_monitor.hpp>
#include <fermata/actors/sim/monitors/effect_monitor.hpp>
#include <fermata/actors/sim/monitors/journal_monitor.hpp>
#include <fermata/actors/sim/monitors/progress_monitor.hpp>
#include <fermata/storage/records.hpp>

namespace monitor_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

using monitors = std::vector<std::unique_ptr<sim::monitor>>;

/// Passes what it sees on to monitors, but not always as it is.
class liar final : public sim::witness {
public:
  explicit liar(monitors told) : monitors_{std::move(told)} {}

  /// Changes a commit before the monitors see it. False: they do not.
  std::function<bool(commit&, std::vector<event>&)> on_commit;
  std::function<void(result<receipt>&)> on_answer;
  std::function<void(tool_context&)> on_run;
  bool tells_runs_twice = false;
  std::uint64_t publishes_too_much = 0;

  void stored(sim::world& in, const sim::stored_commit& what) override {
    auto raw = what.raw;
    std::vector<event> events{what.events.begin(), what.events.end()};
    if (on_commit && !on_commit(raw, events))
      return;
    const sim::stored_commit told{what.node, what.session, events, raw};
    tell([&](auto& one) { one.stored(in, told); });
  }
  void published(sim::world& in, const sim::published_events& what) override {
    const sim::published_events told{what.node, what.session, what.last + publishes_too_much};
    tell([&](auto& one) { one.published(in, told); });
  }
  void sent(sim::world& in, const sim::sent_command& what) override {
    tell([&](auto& one) { one.sent(in, what); });
  }
  void answered(sim::world& in, const sim::command_answer& what) override {
    auto answer = what.answer;
    if (on_answer)
      on_answer(answer);
    const sim::command_answer told{what.number, what.session, what.body, answer, what.sent_at};
    tell([&](auto& one) { one.answered(in, told); });
  }
  void run_began(sim::world& in, const sim::tool_run& run) override {
    auto context = run.context;
    if (on_run)
      on_run(context);
    const sim::tool_run told{run.node, run.what, context};
    tell([&](auto& one) { one.run_began(in, told); });
    if (tells_runs_twice)
      tell([&](auto& one) { one.run_began(in, told); });
  }
  void run_ended(sim::world& in, const sim::ended_tool_run& run) override {
    tell([&](auto& one) { one.run_ended(in, run); });
  }
  void node_down(sim::world& in, const std::string& node) override {
    tell([&](auto& one) { one.node_down(in, node); });
  }
  void node_up(sim::world& in, const std::string& node) override {
    tell([&](auto& one) { one.node_up(in, node); });
  }
  void quiet(sim::world& in) override {
    tell([&](auto& one) { one.quiet(in); });
  }
  void ended(sim::world& in) override {
    tell([&](auto& one) { one.ended(in); });
  }

private:
  template <class Tell>
  void tell(Tell with) {
    for (auto& one : monitors_)
      with(*one);
  }

  monitors monitors_;
};

template <class Record, class Change>
void change_record(commit& raw, record_key key, Change change) {
  for (auto& one : raw.records)
    if (one.key == key && one.value) {
      auto record = *from_record<Record>(*one.value);
      change(record);
      one.value = to_record(record);
    }
}

template <class Change>
void change_head(commit& raw, Change change) {
  change_record<head_record>(raw, head_key(), change);
}

/// Changes events of one type.
template <class Fact, class Change>
bool change_facts(std::vector<event>& events, Change change) {
  bool found = false;
  for (auto& one : events)
    if (auto* fact = std::get_if<Fact>(&one.body)) {
      change(*fact);
      found = true;
    }
  return found;
}

/// Server tools `buy` and, which is idempotent, `look`.
sim::world_options with_shop() {
  return options_with([](agent_registry&, tool_registry& tools) {
    for (const auto* name : {"buy", "look"}) {
      tool made;
      made.name = tid(name);
      made.idempotent = made.name == tid("look");
      made.run = blocking_tool{[](const tool_context& context) -> result<json> {
        return json{{"bought", context.arguments}};
      }};
      must(tools.add(std::move(made)));
    }
  });
}

/// Buys something, asks for something and sleeps; everybody answers at once.
void live(sim::world& world) {
  accept(world, propose_plan{plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
    "subtasks": [{"id": "a", "steps": [
      {"tool": "buy", "arguments": {"item": "tea"}}, {"tool": "ask"}, {"sleep_ms": 3600000}]},
      {"id": "b"}]})")});
  accept(world, approve_plan());
  accept(world, approve(1));
  accept(world, approve(2));
  accept(world, tool_result{cid(2), 1});
  const auto again = accept(world, tool_result{cid(2), 1});
  CHECK(again.kind == receipt_kind::duplicate);
  world.advance(2h);
  CHECK(state_of(world) == "completed");
  world.end();
}

/// One subtask that buys tea.
plan_spec one_purchase() {
  return plan(R"({"goal": "g", "subtasks": [
    {"id": "a", "steps": [{"tool": "buy", "arguments": {"item": "tea"}}]}]})");
}

/// The promise that is broken, and why, when the monitors are told a lie about a true story.
std::string caught(const std::function<void(liar&)>& lie,
                   const std::function<void(sim::world&)>& story = live,
                   sim::world_options options = with_shop(),
                   const std::function<monitors(const sim::world&)>& with = sim::promise_monitors) {
  sim::world world{1, std::move(options)};
  lie(world.add(std::make_unique<liar>(with(world))));
  try {
    story(world);
  } catch (const sim::violation& found) {
    return found.what();
  }
  return "nothing";
}

/// As `caught`, for a lie about commits.
std::string caught_in(std::function<bool(commit&, std::vector<event>&)> lie) {
  return caught([&](liar& teller) { teller.on_commit = std::move(lie); });
}

/// As `caught_in`, where every commit writes its records.
std::string caught_in_records(std::function<bool(commit&, std::vector<event>&)> lie) {
  auto options = with_shop();
  options.limits.tail_events = 0;
  return caught([&](liar& teller) { teller.on_commit = std::move(lie); }, live, options);
}

/// One of the promises' monitors, with the one that keeps the ledger.
template <class Monitor>
monitors only(const sim::world& of) {
  const auto known = std::make_shared<sim::ledger>(of);
  monitors made;
  made.push_back(std::make_unique<sim::journal_monitor>(known));
  made.push_back(std::make_unique<Monitor>(known));
  return made;
}

void begins(const std::string& text, std::string_view with) {
  CAPTURE(text);
  CHECK(text.starts_with(with));
}

void has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  CHECK(contains(text, part));
}

} // namespace

TEST_CASE("a true story breaks no promise") {
  CHECK(caught([](liar&) {}) == "nothing");
}

TEST_CASE("P1: a receipt for what is not stored is found") {
  const auto text =
      caught([](liar& teller) { teller.on_answer = [](auto& answer) { answer->event += 100; }; });
  begins(text, "P1: session s1: propose_plan was answered: accepted, event 101");
}

TEST_CASE("P1: a receipt before its commit is stored is found") {
  // All but the first are hidden: of a session that it has not heard of a monitor reads the store.
  begins(caught_in([](commit& made, auto&) { return made.expected_events == 0; }), "P1: ");
}

TEST_CASE("P1: followers who are told of an event that is not stored are found") {
  has(caught([](liar& teller) { teller.publishes_too_much = 1; }),
      "P1: session s1: followers are told of event 4, but only 3 are stored");
}

TEST_CASE("P1: a receipt that names the event of another command is found") {
  const auto text =
      caught([](liar& teller) { teller.on_answer = [](auto& answer) { answer->event = 1; }; });
  begins(text, "P4: ");
  has(text, "another command was accepted as that event");
}

TEST_CASE("P1: a receipt that names an event of another kind is found") {
  const auto lies = [](liar& teller) {
    teller.on_answer = [](auto& answer) {
      answer->event += answer->state == session_state::suspended;
    };
  };
  const auto suspends = [](sim::world& world) {
    accept(world, propose_plan{seed_plan()});
    accept(world, suspend_session{"wait"});
  };
  has(caught(lies, suspends),
      "P1: session s1: suspend_session was answered: accepted, event 5, but "
      "that event is state_changed");
}

TEST_CASE("P1: a commit that is missing is found") {
  begins(caught_in([n = 0](commit&, auto&) mutable { return ++n != 3; }), "P1: ");
}

TEST_CASE("P1: what is not there any more after a crash is found") {
  const auto story = [](sim::world& world) {
    accept(world, propose_plan{seed_plan()});
    accept(world, approve_plan());
    CHECK(world.store().corrupt_event(1, 2));
    world.crash();
    world.run();
  };
  begins(caught([](liar&) {}, story), "P1: session s1: after a start of n1, ");
}

TEST_CASE("P1: a run whose claim is not stored is found") {
  const auto hides_claims = [](commit&, std::vector<event>& events) {
    return !change_facts<call_claimed>(events, [](auto&) {});
  };
  has(caught([&](liar& teller) { teller.on_commit = hides_claims; }, live, with_shop(),
             only<sim::effect_monitor>),
      "P1: session s1: run 1 of s1:c1 (buy) begins on n1, but the last run whose claim is stored "
      "is 0");
}

TEST_CASE("P2: a coroutine that is left over is found") {
  struct keeper {
    static coro::task<int> idle() { co_return 1; }
  };
  const auto story = [](sim::world& world) {
    accept(world, propose_plan{seed_plan()});
    const auto left = keeper::idle();
    accept(world, approve_plan());
  };
  begins(caught([](liar&) {}, story), "P2: nothing is under way");
}

TEST_CASE("P2: a session that stays in memory although nothing happens is found") {
  const auto story = [](sim::world& world) {
    accept(world, propose_plan{seed_plan()});
    for (int i = 0; i < 60; ++i) { // nobody is seen to wake it
      wake(world);
      world.advance(10s);
    }
  };
  begins(caught([](liar&) {}, story), "P2: n1 has 1 sessions in memory");
}

TEST_CASE("P3: a subtask that is done without its agent is found") {
  const auto text = caught_in([](commit&, std::vector<event>& events) {
    change_facts<subtask_finished>(events, [](auto& fact) { fact.result = "made up"; });
    return true;
  });
  begins(text, "P3: session s1");
}

TEST_CASE("P4: a wrong answer to a command is found") {
  const auto with = [](auto change) {
    return caught([&](liar& teller) { teller.on_answer = change; });
  };
  const auto refused = [](result<receipt>& answer) {
    if (answer && answer->kind == receipt_kind::duplicate)
      answer = make_error(errc::already_answered, "no");
  };
  has(with(refused), "tool_result was answered: already_answered (no); right was "
                     "duplicate of event");
  const auto accepted = [](result<receipt>& answer) {
    if (answer && answer->kind == receipt_kind::duplicate)
      answer->kind = receipt_kind::accepted;
  };
  begins(with(accepted), "P4: ");
  const auto internal = [](result<receipt>& answer) { answer = make_error(errc::internal, ""); };
  has(with(internal), "a defect");
}

TEST_CASE("P4: another result than the one that the tool brought is found") {
  const auto lies = [](liar& teller) {
    teller.on_commit = [](commit&, std::vector<event>& events) {
      change_facts<call_answered>(events, [](auto& fact) { fact.answer.content = "made up"; });
      change_facts<subtask_finished>(events, [](auto& fact) { fact.result = "made up"; });
      return true;
    };
  };
  const auto buys = [](sim::world& world) {
    accept(world, propose_plan{one_purchase()});
    accept(world, approve_plan());
    accept(world, approve(1));
  };
  const auto text = caught(lies, buys, with_shop(), only<sim::effect_monitor>);
  begins(text, "P4: session s1");
  has(text, "but its run has ended with {\"bought\"");
}

TEST_CASE("P5: a state, a count or a receipt's state that is not the one of the journal is found") {
  begins(caught_in([](commit& raw, auto&) {
           change_head(raw, [](auto& head) { head.state = session_state::idle; });
           return true;
         }),
         "P5: session s1, event 3: state is \"idle\"");
  begins(caught_in([](commit& raw, auto&) {
           raw.status = 0;
           return true;
         }),
         "P5: session s1, event 3: index of sessions by status");
  begins(caught_in([](commit& raw, auto&) {
           change_head(raw,
                       [](auto& head) { std::swap(head.waiting.decision, head.waiting.result); });
           return true;
         }),
         "P5: session s1, event 3: waiting is");
  begins(caught([](liar& teller) {
           teller.on_answer = [](auto& answer) { answer->state = session_state::failed; };
         }),
         "P5: session s1: propose_plan");
}

TEST_CASE("P5: an index of what is pending that is not the one of the journal is found") {
  begins(caught_in([](commit& raw, auto&) {
           raw.pending.clear();
           return true;
         }),
         "P5: session s1, event 3: the index");
  begins(caught_in([](commit& raw, auto&) {
           for (auto& one : raw.pending)
             one.value.reset();
           return true;
         }),
         "P5: session s1, event 3: revision 1 waits for somebody");
  has(caught_in([](commit& raw, auto&) {
        for (auto& one : raw.pending)
          if (one.value && one.item == 1) {
            auto item = *from_record<pending_item>(*one.value);
            item.digest = "another";
            one.value = to_record(item);
          }
        return true;
      }),
      "what is pending of call 1: item is");
}

TEST_CASE("P6: a timer that is not armed, or does not fire, is found") {
  has(caught_in([](commit& raw, auto&) {
        raw.timers.clear();
        return true;
      }),
      "P6: session s1");
  has(caught_in([](commit& raw, auto&) {
        change_head(raw, [](auto& head) { head.armed.reset(); });
        return true;
      }),
      "the armed timer of the head is null");
  const auto hides_waking = [](liar& teller) {
    teller.on_commit = [](commit&, std::vector<event>& events) {
      return !change_facts<subtask_woke>(events, [](auto&) {});
    };
  };
  const auto waits_long = [](sim::world& world) {
    live(world);
    for (int i = 0; i < 100; ++i)
      world.advance(1h);
  };
  has(caught(hides_waking, waits_long, with_shop(), only<sim::progress_monitor>),
      "and has not fired");
}

TEST_CASE("P6: a session that is running with nothing under way is found") {
  const auto hides_the_end = [](liar& teller) {
    teller.on_commit = [](commit&, std::vector<event>& events) {
      return !change_facts<call_answered>(events, [](auto&) {});
    };
  };
  const auto buys = [](sim::world& world) {
    accept(world, propose_plan{one_purchase()});
    accept(world, approve_plan());
    accept(world, approve(1));
  };
  SECTION("at the end of the story") {
    begins(caught(
               hides_the_end,
               [&](sim::world& world) {
                 buys(world);
                 world.end();
               },
               with_shop(), only<sim::progress_monitor>),
           "P6: session s1, event ");
  }
  SECTION("or after a day") {
    begins(caught(
               hides_the_end,
               [&](sim::world& world) {
                 buys(world);
                 world.advance(25h);
               },
               with_shop(), only<sim::progress_monitor>),
           "P6: session s1, event ");
  }
}

TEST_CASE("P6: a session that nobody wakes after a crash is found at the end of the story") {
  const auto claims = [](sim::world& world) {
    accept(world, propose_plan{one_purchase()});
    accept(world, approve_plan());
    world.hold_tools(true);
    accept(world, approve(1));
    world.crash();
    world.hold_tools(false);
    world.advance(50h);
  };
  const auto is_found = [&](auto story) { return caught([](liar&) {}, story); };
  CHECK(is_found(claims) == "nothing");
  has(is_found([&](sim::world& world) {
        claims(world);
        world.end();
      }),
      "nobody has woken it since n1 was started again");
  CHECK(is_found([&](sim::world& world) {
          claims(world);
          wake(world);
          world.end();
        })
        == "nothing");
}

TEST_CASE("P7: records that are not those of the journal are found") {
  const auto lies = [](auto lie) {
    return caught_in_records([=](commit& raw, auto&) {
      lie(raw);
      return true;
    });
  };
  begins(lies([](commit& raw) { change_head(raw, [](auto& head) { ++head.entries; }); }),
         "P7: session s1, event 3: head: entries is 1");
  has(lies([](commit& raw) {
        std::erase_if(raw.records, [](const auto& one) { return one.key == head_key(); });
      }),
      "its head was not written");
  has(lies([](commit& raw) {
        change_record<plan_record>(raw, plan_key(1),
                                   [](auto& one) { one.verdict = plan_verdict::reject; });
        change_record<call_record>(raw, call_key(1), [](auto& one) { one.runs += 7; });
        change_record<call_record>(raw, call_key(2), [](auto& one) { one.runs += 7; });
        change_record<subtask_record>(raw, subtask_key(1, 0), [](auto& one) { one.attempts += 7; });
      }),
      "P7: session s1");
}

TEST_CASE("P8: a run that begins twice, or with another key, is found") {
  has(caught([](liar& teller) { teller.tells_runs_twice = true; }),
      "P8: session s1: run 1 of s1:c1 (buy) begins on n1, but run 1 has begun before");
  has(caught([](liar& teller) {
        teller.on_run = [](auto& context) { context.idempotency_key += "2"; };
      }),
      "with the key");
  has(caught([](liar& teller) { teller.on_run = [](auto& context) { ++context.run; }; }),
      "the last run whose claim is stored is 1");
}

/// Buys, and dies before it is stored what became of that.
void lose_run(sim::world& world) {
  accept(world, propose_plan{one_purchase()});
  accept(world, approve_plan());
  const auto outcome = world.store().writes() + 2; // the claim is one write, the outcome the next
  world.store().on_write([=](std::uint64_t number) {
    return number == outcome ? memory_fault::crash_before : memory_fault::none;
  });
  (void)world.send(sid(), approve(1));
  world.run();
  REQUIRE(world.crashes() == 1);
  wake(world);
}

TEST_CASE("P8: a run that was lost with its process, and whose call fails by itself, is found") {
  const auto story = [](sim::world& world) {
    lose_run(world);
    accept(world, resolve_outcome{cid(1), outcome_resolution::failed});
  };
  const auto hides_who_said_so = [](liar& teller) {
    teller.on_commit = [](commit&, std::vector<event>& events) {
      change_facts<outcome_resolved>(events, [](auto& fact) { fact.by = "tool"; });
      return true;
    };
  };
  CHECK(caught([](liar&) {}, story, with_shop(), only<sim::effect_monitor>) == "nothing");
  const auto text = caught(hides_who_said_so, story, with_shop(), only<sim::effect_monitor>);
  begins(text, "P8: session s1");
  has(text, "its run 1 was lost with the process");
}

TEST_CASE("P9: a run with other arguments than those that were approved is found") {
  has(caught([](liar& teller) {
        teller.on_run = [](auto& context) { context.arguments = {{"item", "rum"}}; };
      }),
      "P9: session s1: run 1 of s1:c1 (buy) begins on n1 with the arguments "
      "{\"item\":\"rum\"}; approved were {\"item\":\"tea\"}");
}

TEST_CASE("P9: a call that the policy denies, or asks for, and that is let run is found") {
  auto options = with_shop();
  options.policy = *approval_policy::parse(R"({"rules": [
    {"match": {"tool": "buy", "arguments": {"/item": {"equals": "rum"}}}, "action": "deny"}],
    "default": "ask"})");
  const auto edits = [](sim::world& world) {
    accept(world, propose_plan{one_purchase()});
    accept(world, approve_plan());
    accept(world, edit(1, {{"item", "gin"}}));
  };
  const auto caught_in_edits = [&](std::function<bool(commit&, std::vector<event>&)> lie) {
    return caught([&](liar& teller) { teller.on_commit = std::move(lie); }, edits, options,
                  only<sim::effect_monitor>);
  };
  CHECK(caught([](liar&) {}, edits, options) == "nothing");
  has(caught_in_edits([](commit&, std::vector<event>& events) {
        change_facts<call_decided>(events, [](auto& fact) { fact.arguments["item"] = "rum"; });
        return true;
      }),
      "is allowed with {\"item\":\"rum\"}, but the policy's rule 1 denies it");
  has(caught_in_edits([](commit&, std::vector<event>& events) {
        change_facts<call_proposed>(events, [](auto& fact) { fact.arguments["item"] = "rum"; });
        return true;
      }),
      "is awaiting_decision, but the policy's rule 1 denies it");
  has(caught_in_edits([](commit&, std::vector<event>& events) {
        if (change_facts<call_proposed>(events,
                                        [](auto& fact) { fact.status = call_status::queued; }))
          change_facts<state_changed>(events, [](auto& fact) { fact.to = session_state::running; });
        return true;
      }),
      "is queued, but the policy's default asks for a decision");
}

TEST_CASE("P9: a run with edited arguments that its tool does not accept is found") {
  const auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool made;
    made.name = tid("buy");
    made.schema = {{"properties", {{"item", {{"type", "string"}}}}}};
    made.run = blocking_tool{[](const tool_context&) -> result<json> { return json(1); }};
    must(tools.add(std::move(made)));
  });
  const auto edits = [](sim::world& world) {
    accept(world, propose_plan{one_purchase()});
    accept(world, approve_plan());
    accept(world, edit(1, {{"item", "gin"}}));
  };
  const auto lies = [](liar& teller) {
    teller.on_commit = [](commit&, std::vector<event>& events) {
      change_facts<call_decided>(events, [](auto& fact) { fact.arguments["item"] = 5; });
      return true;
    };
    teller.on_run = [](auto& context) { context.arguments["item"] = 5; };
  };
  CHECK(caught([](liar&) {}, edits, options) == "nothing");
  has(caught(lies, edits, options, only<sim::effect_monitor>),
      "with edited arguments that it does not accept: at \"/item\"");
}

TEST_CASE("P10: messages that wait for room although there is room are found") {
  struct slow_shop {
    static coro::task<json> sell(caf::event_based_actor* self, const tool_context&) {
      co_await coro::delay(self, 1h);
      co_return 1;
    }
  };
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool made;
    made.name = tid("buy");
    made.run = coroutine_tool{slow_shop::sell};
    must(tools.add(std::move(made)));
  });
  options.limits.resident_sessions = 1;
  sim::world world{1, options};
  const auto known = std::make_shared<sim::ledger>(world);
  world.add(std::make_unique<sim::journal_monitor>(known));
  world.add(std::make_unique<sim::bound_monitor>(known));
  accept(world, propose_plan{one_purchase()});
  accept(world, approve_plan());
  accept(world, approve(1)); // it runs, so that the session cannot leave
  (void)world.send(sid("s2"), propose_plan{one_purchase()});
  world.advance(2min);
  known->node("n1").limits.resident_sessions = 2; // the node itself has less
  CHECK_THROWS_WITH(world.advance(2min), "P10: n1 has counted 1 messages that wait for room, "
                                         "although there is room");
}

TEST_CASE("P10: what is larger, or more, than its limit is found") {
  has(caught_in([](commit& raw, auto&) {
        raw.events.front().resize(100'000'000);
        return true;
      }),
      "an event of 100000000 bytes is stored");
  has(caught([](liar& teller) {
        teller.on_answer = [](auto& answer) {
          answer = make_error(errc::limit_exceeded, "too much");
        };
      }),
      "limit_exceeded names no limit");
  sim::world world{1, {}};
  const auto known = std::make_shared<sim::ledger>(world);
  known->node("n1").limits.resident_sessions = 0; // the node itself may have more
  world.add(std::make_unique<sim::journal_monitor>(known));
  world.add(std::make_unique<sim::bound_monitor>(known));
  (void)world.send(sid(), propose_plan{seed_plan()});
  CHECK_THROWS_WITH(world.run(), "P10: n1 has 1 sessions in memory; resident_sessions is 0");
}

TEST_CASE("a session that is stored on another node than its home is found") {
  sim::world world{1};
  world.add_cluster({{"n1", {}}, {"n2", {}}});
  REQUIRE(world.home(sid()) == "n2");
  sim::cluster_monitor judge;
  const commit raw;
  const std::string home = "n2";
  judge.stored(world, {home, sid(), {}, raw});
  CHECK_NOTHROW(world.run());
  const std::string elsewhere = "n1";
  judge.stored(world, {elsewhere, sid(), {}, raw});
  CHECK_THROWS_WITH(world.end(), "owned once: session s1 is stored on n1, and lives on n2");
}

TEST_CASE("P10: a session whose records are further behind than they may be is found") {
  const auto lies = [](std::size_t size_bytes) {
    return [size_bytes](commit& raw, auto&) {
      if (raw.number == 0)
        return true;
      raw.defers_records = true;
      std::erase_if(raw.records, [](const auto& one) { return one.key != head_key(); });
      raw.events.back().resize(std::max(raw.events.back().size(), size_bytes));
      return true;
    };
  };
  const auto told = [&](std::uint32_t tail_events, std::size_t size_bytes) {
    auto options = with_shop();
    options.limits.tail_events = tail_events;
    return caught([&](liar& teller) { teller.on_commit = lies(size_bytes); }, live, options,
                  only<sim::bound_monitor>);
  };
  CHECK(told(100, 0) == "nothing");
  begins(told(7, 0), "P10: session s1, event ");
  has(told(7, 0), "tail_events is 7");
  has(told(100, 20'000), "bytes of events are not in its records, more than 32768");
}

TEST_CASE("P11: records that are written by a commit that leaves them behind are found") {
  has(caught_in([](commit& raw, auto&) { return raw.defers_records = raw.number != 0, true; }),
      "P11: session s1, event ");
}

TEST_CASE("P11: a step that writes records of the whole plan is found") {
  begins(caught_in_records([](commit& raw, std::vector<event>& events) {
           if (change_facts<call_decided>(events, [](auto&) {}))
             for (std::uint32_t i = 0; i < 100; ++i) {
               auto& added = raw.records.emplace_back();
               added.key = spec_key(9, i);
               added.value = bytes{0};
             }
           return true;
         }),
         "P11: session s1: ");
}

} // namespace monitor_test
