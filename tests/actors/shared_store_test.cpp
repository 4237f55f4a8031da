// Several runtimes over one store: sessions leave one and arrive at another, whatever they are
// amid, and nothing is done twice.

#include "faults.hpp"
#include "two_homes.hpp"

namespace shared_store_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// What the tools and agents of both runtimes do, as the world outside sees it.
struct village {
  effects counted;
  int thoughts = 0;
  int begun = 0;                  ///< Runs of `slow`.
  std::function<void()> amid;     ///< Called once, within a blocking tool, after its effect.
  std::vector<std::string> looks; ///< The keys that `reconcile` was asked about.

  result<json> act(const tool_context& context) {
    count_effect(counted, context);
    if (const auto now = std::exchange(amid, nullptr))
      now();
    return json{{"run", context.run}};
  }
  [[nodiscard]] int effects_of(std::uint64_t call, std::string_view session = "s1") const {
    int times = 0;
    for (const auto& [key, count] : counted)
      if (key.ends_with("/" + cid(call, session).str()))
        times += count;
    return times;
  }
};

coro::task<step> think(village& of, step_context& ctx) {
  ++of.thoughts;
  co_await coro::delay(ctx.self, 10min);
  co_return step::finish("thought");
}

coro::task<json> dawdle(village& of, caf::event_based_actor* self) {
  ++of.begun;
  co_await coro::delay(self, 5min);
  co_return json("done");
}

tool named_tool(std::string_view name, decltype(tool::run) run) {
  tool made;
  made.name = tid(name);
  made.run = std::move(run);
  return made;
}

setup_function people_of(village& of) {
  return [&of](agent_registry& agents, tool_registry& tools) {
    must(agents.add("thinker", [&of](step_context& ctx) { return think(of, ctx); }));
    const blocking_tool acts = [&of](const tool_context& context) { return of.act(context); };
    must(tools.add(named_tool("pay", acts)));
    auto hasty = named_tool("hasty", acts);
    hasty.time_limit = 1min;
    must(tools.add(std::move(hasty)));
    auto put = named_tool("put", acts);
    put.idempotent = true;
    must(tools.add(put));
    put.name = tid("hasty_put");
    put.time_limit = 1min;
    must(tools.add(std::move(put)));
    auto traced = named_tool("traced", acts);
    traced.reconcile = [&of](const tool_context& context) -> result<reconciliation> {
      of.looks.push_back(context.idempotency_key);
      return reconciliation::did_not_happen();
    };
    must(tools.add(std::move(traced)));
    auto slow =
        named_tool("slow", coroutine_tool{[&of](caf::event_based_actor* self, const tool_context&) {
                     return dawdle(of, self);
                   }});
    slow.time_limit = 6min;
    must(tools.add(slow));
    slow.name = tid("slow_put");
    slow.idempotent = true;
    must(tools.add(std::move(slow)));
  };
}

propose_plan calling(std::string_view tool) {
  return propose_plan{script_plan(R"({"tool": ")" + std::string{tool} + R"("})")};
}

propose_plan thinking() {
  return propose_plan{agent_plan(R"({"id": "w", "agent": "thinker"})")};
}

bool is_accepted(const asked& one) {
  return *one && **one;
}

bool is_refused(const asked& one, errc code) {
  return *one && !**one && is((*one)->error(), code);
}

/// Ids of sessions that do not live in the slot of one.
std::vector<std::string> names_beside(const session_id& one, std::size_t count) {
  std::vector<std::string> names;
  for (int i = 0; names.size() < count; ++i)
    if (const auto name = "n" + std::to_string(i); slot_of(sid(name)) != slot_of(one))
      names.push_back(name);
  return names;
}

} // namespace

// -- whose messages

TEST_CASE("what people ask of a session that lives elsewhere goes there, and activates nothing") {
  village of;
  two_homes world{people_of(of)};
  const auto proposed = world.send(world.b, sid(), calling("ask"));
  const auto woken = world.send(world.b, sid(), fermata::detail::wake{});
  world.run();
  CHECK(world.b.passed == std::vector<std::string>{"s1", "s1"});
  CHECK_FALSE(*proposed);
  CHECK_FALSE(*woken);
  CHECK(world.b.residents() == 0);
  CHECK(world.b.shared->under_way == 2);
  for (auto& one : std::exchange(world.b.kept, {}))
    caf::anon_send(world.a.actors.directory, std::move(one));
  world.run();
  CHECK(is_accepted(proposed));
  CHECK(is_accepted(woken));
  CHECK(world.a.residents() == 1);
  CHECK(world.b.shared->under_way == 0);
}

TEST_CASE(
    "what a runtime has to say to a session that lives elsewhere is dropped, with an answer") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  const auto before = world.stored->fingerprint();
  fermata::detail::wake again;
  again.retried_after = 1s;
  fermata::detail::run_overdue overdue;
  overdue.call = overdue.run = 1;
  for (const auto& sent :
       {world.send(world.b, sid(), again), world.send(world.b, sid(), fermata::detail::timer_due{}),
        world.send(world.b, sid(), overdue),
        world.send(world.b, sid(), fermata::detail::worker_freed{})}) {
    world.run();
    CHECK(is_refused(sent, errc::node_unavailable));
  }
  CHECK(world.b.passed.empty());
  CHECK(world.b.residents() == 0);
  CHECK(world.stored->fingerprint() == before);
}

TEST_CASE("the outcome of a run of a session that lives elsewhere is forgotten") {
  village of;
  two_homes world{people_of(of)};
  auto& workers = world.b.shared->workers;
  REQUIRE(workers.reserve(cid(1), 1, true));
  CHECK_FALSE(workers.finish(cid(1), json(1)));
  fermata::detail::run_finished finished;
  finished.call = finished.run = 1;
  world.send(world.b, sid(), finished);
  world.run();
  CHECK(world.b.runs() == 0);
}

TEST_CASE("a free worker is offered to the next in line, if the first lives elsewhere by now") {
  village of;
  limits bounds;
  bounds.blocking_threads = 1;
  two_homes world{people_of(of), bounds};
  auto& workers = world.a.shared->workers;
  REQUIRE(workers.reserve(cid(1, "busy"), 1, true));
  world.accept(world.a, calling("pay"));
  world.accept(world.a, calling("pay"), "s2");
  world.depart(world.a, sid());
  world.run();
  workers.release(cid(1, "busy"));
  const auto first = workers.next_waiting();
  REQUIRE(first == sid());
  world.send(world.a, *first, fermata::detail::worker_freed{});
  world.run();
  CHECK(world.state("s2") == "completed");
}

// -- departing

TEST_CASE("a command for a session that has not left yet goes on to where it lives") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  world.a.slots.erase(slot_of(sid())); // the message that says so is on its way
  const auto sent = world.send(world.a, sid(), tool_result{cid(1), 7});
  world.run();
  CHECK(world.a.passed == std::vector<std::string>{"s1"});
  CHECK_FALSE(*sent);
  CHECK(world.state() == "waiting");
}

TEST_CASE("a command that is under way when its session departs is answered, and durable") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  world.held = "fermata.journal";
  const auto sent = world.send(world.a, sid(), tool_result{cid(1), 7});
  world.run();
  world.depart(world.a, sid());
  world.run();
  CHECK_FALSE(*sent);
  CHECK(world.cleared == 0);
  CHECK(world.a.residents() == 1);
  world.held.clear();
  world.run();
  CHECK(is_accepted(sent));
  CHECK(world.state() == "completed");
  CHECK(world.a.residents() == 0);
  CHECK(world.cleared == 1);
  CHECK(world.a.passed.empty());
}

TEST_CASE("commands in the queue of a session that departs go on to where it lives") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  world.held = "fermata.journal";
  std::vector<asked> sent;
  for (int i = 0; i < 5; ++i)
    sent.push_back(world.send(world.a, sid(), post_message{"hello " + std::to_string(i)}));
  world.run();
  world.depart(world.a, sid());
  world.run();
  CHECK(world.a.passed.empty());
  world.held.clear();
  world.run();
  CHECK(world.cleared == 1);
  REQUIRE(is_accepted(sent[0]));
  CHECK(world.a.passed.size() == 4);
  CHECK(world.a.shared->under_way == 4);
  world.arrive(world.b, sid());
  for (auto& one : std::exchange(world.a.kept, {}))
    caf::anon_send(world.b.actors.directory, std::move(one));
  world.run();
  for (const auto& one : sent)
    CHECK(is_accepted(one));
  CHECK(world.facts<message_received>().size() == 5);
  CHECK(world.a.shared->under_way == 0);
  CHECK(world.a.residents() == 0);
}

TEST_CASE("commands that wait for a turn when their session departs go on to where it lives") {
  village of;
  limits bounds;
  bounds.commands_at_once = 1;
  two_homes world{people_of(of), bounds};
  world.accept(world.a, calling("ask"));
  world.accept(world.a, calling("ask"), "s2");
  world.held = "fermata.journal";
  const auto other = world.send(world.a, sid("s2"), post_message{"takes the turn"});
  const auto first = world.send(world.a, sid(), post_message{"1"});
  const auto second = world.send(world.a, sid(), post_message{"2"});
  world.run();
  world.depart(world.a, sid());
  world.run();
  CHECK(world.a.passed == std::vector<std::string>{"s1", "s1"});
  CHECK_FALSE(*other);
  world.held.clear();
  world.run();
  CHECK(is_accepted(other));
  CHECK_FALSE(*first);
  CHECK_FALSE(*second);
  CHECK(world.a.residents() == 1);
  // They take nobody's turn while they are away.
  world.accept(world.a, post_message{"3"}, "s2");
}

TEST_CASE("the commands of a session that departs go on in the order in which they came") {
  village of;
  limits bounds;
  bounds.commands_at_once = 2;
  two_homes world{people_of(of), bounds};
  world.accept(world.a, calling("ask"));
  world.accept(world.a, calling("ask"), "s2");
  world.held = "fermata.journal";
  const auto first = world.send(world.a, sid(), post_message{"is written"});
  world.send(world.a, sid(), post_message{"1"}); // waits in the session's queue
  world.run();
  world.send(world.a, sid("s2"), post_message{"is for the next turn"});
  world.send(world.a, sid(), post_message{"2"}); // waits for a turn
  world.run();
  SECTION("whenever it is said that it departs") {
    world.depart(world.a, sid());
    world.run();
    world.send(world.a, sid(), post_message{"3"});
  }
  SECTION("also before that is said") {
    world.a.slots.erase(slot_of(sid()));
    world.send(world.a, sid(), post_message{"3"});
    world.tell_departed(world.a);
  }
  world.run();
  CHECK(world.a.kept.empty());
  world.held.clear();
  world.run();
  CHECK(is_accepted(first));
  std::vector<std::string> texts;
  for (const auto& one : world.a.kept)
    texts.push_back(std::get<post_message>(std::get<command>(one->body)).text);
  CHECK(texts == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("a command whose turn comes when its session has departed does not activate it") {
  village of;
  limits bounds;
  bounds.commands_at_once = 1;
  two_homes world{people_of(of), bounds};
  world.accept(world.a, calling("ask"), "s2");
  world.held = "fermata.journal";
  const auto other = world.send(world.a, sid("s2"), post_message{"takes the turn"});
  world.send(world.a, sid(), calling("ask"));
  world.run();
  world.a.slots.erase(slot_of(sid())); // the message that says so is on its way
  world.held.clear();
  world.run();
  CHECK(is_accepted(other));
  CHECK(world.a.passed == std::vector<std::string>{"s1"});
  CHECK(world.a.residents() == 1);
  world.accept(world.a, post_message{"the turn was given back"}, "s2");
}

TEST_CASE("commands that wait for room when their session departs go on to where it lives") {
  village of;
  limits bounds;
  bounds.resident_sessions = 1;
  two_homes world{people_of(of), bounds};
  world.accept(world.a, thinking(), "s2");
  const auto parked = world.send(world.a, sid(), calling("ask"));
  const auto stays = world.send(world.a, sid("s3"), calling("ask"));
  world.run();
  REQUIRE(world.a.shared->parked == 2);
  SECTION("when it is told so") {
    world.depart(world.a, sid());
    world.run();
    CHECK(world.a.shared->parked == 1);
  }
  SECTION("when there is room, and the message that says so is on its way") {
    world.a.slots.erase(slot_of(sid()));
  }
  world.advance(11min);
  CHECK(world.a.passed == std::vector<std::string>{"s1"});
  CHECK_FALSE(*parked);
  CHECK(is_accepted(stays));
}

TEST_CASE("those who wait for chunks of a session that departs are told to ask again") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  const auto events = must(query_status(*world.stored, sid())).events;
  auto answer = std::make_shared<std::optional<result<chunk_batch>>>();
  world.system().spawn(
      [=](caf::event_based_actor* self, const caf::actor& directory) {
        self->request(directory, caf::infinite, follow_chunks{sid(), events + 1})
            .then([=](chunk_batch& batch) { *answer = std::move(batch); },
                  [=](caf::error& error) { *answer = std::move(error); });
      },
      world.a.actors.directory);
  world.run();
  REQUIRE_FALSE(*answer);
  world.depart(world.a, sid("unrelated"));
  world.run();
  REQUIRE_FALSE(*answer);
  world.depart(world.a, sid());
  world.run();
  REQUIRE(*answer);
  REQUIRE_FALSE(**answer);
  CHECK(is((*answer)->error(), errc::node_unavailable));
}

TEST_CASE("a departure is over when all have left that had to, and only these leave") {
  village of;
  two_homes world{people_of(of)};
  world.tell_departed(world.a);
  world.run();
  CHECK(world.cleared == 1); // there was nobody
  for (const auto* name : {"s1", "s2", "s3"})
    world.accept(world.a, thinking(), name);
  REQUIRE(world.a.residents() == 3);
  world.depart(world.a, sid("s1"));
  world.depart(world.a, sid("s2"));
  world.a.slots.insert(slot_of(sid("s2"))); // it comes back at once
  world.run();
  CHECK(world.cleared == 3);
  CHECK(world.a.residents() == 2);
  CHECK(of.thoughts == 3);
  world.depart(world.a, sid("s3"));
  caf::anon_send(world.a.actors.directory, atoms::stop_atom_v);
  world.run();
  CHECK(world.cleared == 4); // also where the runtime stops meanwhile
  CHECK(world.a.residents() == 0);
}

// -- what a session is amid when it departs

TEST_CASE("a step that is cut off by a departure is taken again by the next home") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, thinking());
  world.advance(9min);
  CHECK(of.thoughts == 1);
  world.depart(world.a, sid());
  world.run();
  CHECK(coro::live_frames() == 0);
  CHECK(world.a.residents() == 0);
  world.arrive(world.b, sid());
  world.run();
  CHECK(of.thoughts == 2);
  CHECK(world.facts<step_restarted>().size() == 1);
  world.advance(9min);
  CHECK(world.state() == "running");
  world.advance(1min);
  CHECK(world.state() == "completed");
  CHECK(world.a.residents() == 0);
}

TEST_CASE("the next home asks for the outcome of a run that it finds open; the run's end changes "
          "nothing") {
  village of;
  two_homes world{people_of(of)};
  std::uint32_t before = 0;
  of.amid = [&] {
    world.move(sid(), world.a, world.b);
    CHECK(world.call(1).status == call_status::awaiting_outcome);
    before = world.stored->fingerprint();
  };
  world.accept(world.a, calling("pay"));
  CHECK(of.effects_of(1) == 1);
  CHECK(world.stored->fingerprint() == before);
  CHECK(world.a.runs() == 0);
  CHECK(world.a.residents() == 0);
  CHECK(world.a.passed.empty());
  world.advance(1h);
  CHECK(world.call(1).status == call_status::awaiting_outcome);
  world.accept(world.b, resolve_outcome{cid(1), outcome_resolution::happened, 1});
  CHECK(world.state() == "completed");
  CHECK(of.effects_of(1) == 1);
}

TEST_CASE("a run that ends while its session departs is not lost as long as the session is there") {
  village of;
  two_homes world{people_of(of)};
  of.amid = [&] { world.a.slots.erase(slot_of(sid())); }; // the message is on its way
  world.accept(world.a, calling("pay"));
  CHECK(world.state() == "completed");
  world.tell_departed(world.a);
  world.run();
  CHECK(world.a.residents() == 0);
}

TEST_CASE("the next home runs an idempotent tool again; the first run's end changes nothing") {
  village of;
  two_homes world{people_of(of)};
  of.amid = [&] {
    world.move(sid(), world.a, world.b);
    CHECK(world.state() == "completed");
  };
  world.accept(world.a, calling("put"));
  CHECK(of.effects_of(1) == 2);
  CHECK(world.call(1).answer->content == json{{"run", 2}});
  CHECK(world.facts<late_result>().empty());
  CHECK(world.a.runs() == 0);
  CHECK(world.a.residents() == 0);
}

TEST_CASE("a run of a coroutine ends at once when its session departs") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("slow"));
  world.advance(1min);
  REQUIRE(coro::live_frames() > 0);
  world.move(sid(), world.a, world.b);
  CHECK(coro::live_frames() == 0);
  CHECK(world.a.runs() == 0);
  CHECK(world.call(1).status == call_status::awaiting_outcome);
  world.advance(1h);
  CHECK(world.call(1).status == call_status::awaiting_outcome);
  CHECK(of.begun == 1);
}

TEST_CASE("a run that a session had is told to stop also where the session was not in memory") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("slow"));
  // The next commit fails, so the session is out of memory for a second.
  world.stored->fail_next(memory_fault::io_error);
  const auto sent = world.send(world.a, sid(), post_message{"hello"});
  world.run();
  REQUIRE(is_refused(sent, errc::io_error));
  REQUIRE(world.a.residents() == 0);
  REQUIRE(world.a.runs() == 1);
  world.move(sid(), world.a, world.b);
  CHECK(world.a.runs() == 0);
  CHECK(world.call(1).status == call_status::awaiting_outcome);
  world.advance(10s);
  CHECK(world.a.residents() == 0);
  CHECK(world.a.passed.empty());
}

TEST_CASE("a session that comes back runs a call again only when the run from before has ended") {
  village of;
  two_homes world{people_of(of)};
  world.b.pool_runs = false;
  of.amid = [&] {
    world.move(sid(), world.a, world.b);
    CHECK(world.call(1).runs == 2); // claimed, and not begun
    CHECK(world.call(1).status == call_status::claimed);
    world.move(sid(), world.b, world.a);
    CHECK(world.call(1).status == call_status::queued);
    CHECK(of.effects_of(1) == 1);
  };
  world.accept(world.a, calling("put"));
  CHECK(of.effects_of(1) == 2);
  CHECK(world.state() == "completed");
  CHECK(world.call(1).answer->content == json{{"run", 3}});
  CHECK(world.a.runs() == 0);
}

TEST_CASE("a session that comes back does not take the run from before for the one that is open") {
  village of;
  two_homes world{people_of(of)};
  of.amid = [&] {
    world.depart(world.a, sid());
    world.run();
    world.arrive(world.a, sid());
    world.run();
    CHECK(world.call(1).status == call_status::awaiting_outcome);
  };
  world.accept(world.a, calling("pay"));
  CHECK(world.call(1).status == call_status::awaiting_outcome);
  world.accept(world.a, resolve_outcome{cid(1), outcome_resolution::happened, 1});
  CHECK(world.state() == "completed");
}

TEST_CASE("a session that comes back before its coroutine has ended runs the call again then") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("slow_put"));
  world.held = "fermata.tool_worker";
  world.depart(world.a, sid());
  world.run();
  REQUIRE(world.cleared == 1);
  world.arrive(world.a, sid());
  world.run();
  CHECK(world.call(1).status == call_status::queued);
  world.held.clear();
  world.run();
  CHECK(world.call(1).status == call_status::claimed);
  CHECK(of.begun == 2);
  world.advance(5min);
  CHECK(world.state() == "completed");
}

TEST_CASE("a session that comes back is not told that a run from before is overdue") {
  village of;
  two_homes world{people_of(of)};
  world.a.pool_runs = world.b.pool_runs = false;
  world.accept(world.a, calling("hasty_put"));
  world.advance(2min); // it does not end, although it was told to
  REQUIRE(world.call(1).status == call_status::awaiting_outcome);
  world.move(sid(), world.a, world.b);
  world.accept(world.b, resolve_outcome{cid(1), outcome_resolution::rerun});
  REQUIRE(world.call(1).status == call_status::claimed);
  world.move(sid(), world.b, world.a);
  CHECK(world.call(1).status == call_status::queued);
  world.a.pool_runs = true;
  world.run();
  CHECK(of.effects_of(1) == 1);
  CHECK(world.state() == "completed");
}

TEST_CASE("a call that is to be claimed when its session has moved is claimed where it lives") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, propose_plan{script_plan(R"({"tool": "ask"}, {"tool": "pay"})")});
  world.held = "fermata.session";
  const auto answered = world.send(world.a, sid(), tool_result{cid(1), 1});
  world.run();
  world.a.slots.erase(slot_of(sid())); // the message that says so is on its way
  world.held.clear();
  world.run();
  REQUIRE(is_accepted(answered));
  CHECK(world.call(2).status == call_status::queued);
  CHECK(world.a.runs() == 0);
  world.move(sid(), world.a, world.b);
  CHECK(world.state() == "completed");
  CHECK(of.effects_of(2) == 1);
}

// -- arriving

TEST_CASE("sessions of a dead home go on where they arrive, without anybody addressing them") {
  village of;
  limits bounds;
  bounds.blocking_threads = 1'000;
  two_homes world{people_of(of), bounds};
  world.a.pool_runs = false;
  std::set<std::uint32_t> half;
  for (std::uint32_t slot = 0; slot < session_slots; slot += 2)
    half.insert(slot);
  const auto all = world.a.slots;
  const auto names = names_beside(sid(), 600);
  for (const auto& name : names)
    world.send(world.a, sid(name), calling("pay"));
  world.run();
  const auto suspended = *std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return half.contains(slot_of(sid(name)));
  });
  world.accept(world.a, suspend_session{"for a while"}, suspended);
  REQUIRE(world.call(1, suspended).status == call_status::claimed);
  world.kill(world.a);
  const auto check = [&](const std::set<std::uint32_t>& arrived) {
    for (const auto& name : names)
      CHECK(world.call(1, name).status
            == (arrived.contains(slot_of(sid(name))) ? call_status::awaiting_outcome
                                                     : call_status::claimed));
  };
  world.b.slots = half;
  caf::anon_send(world.b.actors.directory,
                 fermata::detail::sessions_arrived{{half.begin(), half.end()}});
  SECTION("those of the slots that are said to have arrived, and no others") {
    world.b.slots = all;
    world.run();
    check(half);
  }
  SECTION("so many at once as are not too many") {
    // Those that there is no room for are counted, and take no turns.
    world.b.shared->options.limits.resident_sessions = 10;
    world.held = "fermata.journal";
    world.run();
    CHECK(world.b.shared->parked == 54);
    world.b.shared->options.limits.resident_sessions = bounds.resident_sessions;
    world.held.clear();
    world.advance(1s);
    check(half);
  }
  SECTION("also where more arrive meanwhile") {
    std::set<std::uint32_t> rest;
    for (std::uint32_t slot = 1; slot < session_slots; slot += 2)
      rest.insert(slot);
    for (int i = 0; i < 20; ++i)
      REQUIRE(world.step());
    world.b.slots.insert(rest.begin(), rest.end());
    caf::anon_send(world.b.actors.directory,
                   fermata::detail::sessions_arrived{{rest.begin(), rest.end()}});
    world.run();
    check(world.b.slots);
  }
  SECTION("also where it does not work the first time") {
    world.stored->fail_next_read(memory_read_fault::io_error);
    world.run();
    world.stored->fail_next(memory_fault::io_error);
    world.advance(10s);
    check(half);
  }
  SECTION("those that have gone on to yet another home are left alone") {
    for (int i = 0; i < 20; ++i)
      REQUIRE(world.step());
    world.b.slots.clear();
    world.advance(10s);
    CHECK(must(query_pending(*world.stored, {})).size() <= 64); // those under way
    CHECK(world.b.passed.empty());
  }
}

TEST_CASE("sessions that arrive go on beside those whose records are damaged") {
  village of;
  two_homes world{people_of(of)};
  world.a.pool_runs = false;
  const std::vector<std::string> names{"s1", "s2", "s3", "s4", "s5"};
  for (const auto& name : names)
    world.accept(world.a, calling("put"), name);
  world.kill(world.a);
  const std::set<std::string> damaged{"s2", "s3", "s5"};
  for (const auto& name : damaged)
    REQUIRE(world.stored->corrupt_record(must(world.stored->find(sid(name)))->number,
                                         record_key{record_kind::head, 0, 0}));
  fermata::detail::sessions_arrived all;
  for (std::uint32_t slot = 0; slot < session_slots; ++slot)
    all.slots.push_back(slot);
  world.b.slots = {all.slots.begin(), all.slots.end()};
  caf::anon_send(world.b.actors.directory, all);
  SECTION("which are passed over") {}
  SECTION("also where the store fails amid that") {
    for (int i = 0; i < 2; ++i)
      REQUIRE(world.step());
    world.stored->fail_next_read(memory_read_fault::io_error);
  }
  world.advance(10s);
  for (const auto& name : names)
    if (!damaged.contains(name)) {
      CHECK(world.state(name) == "completed");
      CHECK(of.effects_of(1, name) == 1);
    }
}

// -- commits that come too late

TEST_CASE("a commit that comes too late is refused, and what it had claimed is released") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, propose_plan{script_plan(R"({"tool": "ask"}, {"tool": "pay"})")});
  world.a.opening->stale.insert(sid());
  const auto before = world.stored->fingerprint();
  const auto sent = world.send(world.a, sid(), tool_result{cid(1), 1});
  world.run();
  REQUIRE(is_refused(sent, errc::node_unavailable));
  CHECK(contains(message_of((*sent)->error()), "has moved to another node: nothing was done"));
  CHECK(world.a.stale_commits == 1);
  CHECK(world.a.runs() == 0);
  CHECK(world.a.residents() == 0);
  CHECK(of.effects_of(2) == 0);
  CHECK(world.stored->fingerprint() == before);
  SECTION("it is not activated again where it does not live any more") {
    world.depart(world.a, sid());
    world.advance(1min);
    CHECK(world.a.residents() == 0);
    CHECK(world.a.passed.empty());
    world.arrive(world.b, sid());
    world.run();
    world.accept(world.b, tool_result{cid(1), 1});
    CHECK(world.state() == "completed");
    CHECK(of.effects_of(2) == 1);
  }
  SECTION("it is, where it lives here after all") {
    world.a.opening->stale.clear();
    world.advance(1s);
    CHECK(world.a.residents() == 1);
    world.accept(world.a, tool_result{cid(1), 1});
    CHECK(world.state() == "completed");
  }
}

// -- timers

namespace {

propose_plan sleeping(std::chrono::milliseconds duration) {
  return propose_plan{script_plan(R"({"sleep_ms": )" + std::to_string(duration.count()) + "}")};
}

} // namespace

TEST_CASE("a timer fires where its session lives, and nowhere else") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, sleeping(10min));
  world.accept(world.a, sleeping(10min), "s2");
  REQUIRE(slot_of(sid("s1")) != slot_of(sid("s2")));
  world.move(sid("s2"), world.a, world.b);
  world.advance(2min); // nobody is in memory any more
  REQUIRE(world.a.residents() == 0);
  REQUIRE(world.b.residents() == 0);
  world.advance(8min);
  CHECK(world.state("s1") == "completed");
  CHECK(world.state("s2") == "completed");
  CHECK(world.a.residents() == 1);
  CHECK(world.b.residents() == 1);
}

TEST_CASE("timers of sessions of which nobody is the home are passed over, and fire when they have "
          "one") {
  village of;
  two_homes world{people_of(of)};
  const auto names = names_beside(sid(), 600);
  for (const auto& name : names)
    world.send(world.a, sid(name), sleeping(1min));
  world.run();
  world.move(sid(), world.a, world.b);
  world.kill(world.a);
  world.advance(2min);
  REQUIRE(must(query_timers(*world.stored, world.clock->now())).size() == 600);
  // Behind three pages of others, and later than all of them.
  world.accept(world.b, sleeping(10min));
  world.advance(9min);
  CHECK(world.state() == "waiting");
  const auto looks = world.stored->reads();
  world.advance(1min);
  CHECK(world.state() == "completed");
  CHECK(world.stored->reads() - looks < 2'000); // and not in a circle
  CHECK(world.b.residents() == 1);
  for (const auto& name : names)
    world.b.slots.insert(slot_of(sid(name)));
  caf::anon_send(world.b.actors.directory,
                 fermata::detail::sessions_arrived{{world.b.slots.begin(), world.b.slots.end()}});
  world.run();
  CHECK(must(query_timers(*world.stored, world.clock->now())).empty());
  CHECK(world.state(names.back()) == "completed");
}

TEST_CASE("a timer that is armed while later ones are passed over fires") {
  village of;
  two_homes world{people_of(of)};
  for (const auto& name : names_beside(sid(), 1'300)) // six pages
    world.send(world.a, sid(name), sleeping(90s));
  world.run();
  world.move(sid(), world.a, world.b);
  world.kill(world.a);
  world.advance(80s);
  // It is decided before the others are due, and stored when a pass is amid them.
  world.held = "fermata.journal";
  world.send(world.b, sid(), sleeping(5s));
  world.advance(20s);
  caf::anon_send(world.b.actors.directory,
                 fermata::detail::sessions_arrived{{slot_of(sid("unrelated"))}});
  for (int i = 0; i < 3; ++i)
    REQUIRE(world.step());
  world.held = "fermata.directory"; // it is behind the first page
  world.run();
  world.held.clear();
  world.run();
  CHECK(world.state() == "completed");
}

// -- garbage

TEST_CASE("what a dead home has deleted is reclaimed where its sessions arrive") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("pay"));
  REQUIRE(world.state() == "completed");
  const auto deleted = world.send(world.a, sid(), delete_session{"over"});
  while (world.stored->find(sid())->has_value())
    REQUIRE(world.step());
  world.kill(world.a);
  REQUIRE(must(world.stored->reclaim(0)).more);
  world.arrive(world.b, sid());
  world.run();
  CHECK_FALSE(must(world.stored->reclaim(0)).more);
}

// -- effects

TEST_CASE("an effect begins only while the session certainly lives here") {
  village of;
  two_homes world{people_of(of)};
  const std::string tool = GENERATE("hasty", "slow");
  const auto effects = [&] { return tool == "slow" ? of.begun : of.effects_of(1); };
  world.a.is_certain = false;
  world.accept(world.a, calling(tool));
  CHECK(world.call(1).status == call_status::claimed);
  world.advance(10min); // longer than it may take, once it has begun
  CHECK(world.call(1).status == call_status::claimed);
  CHECK(effects() == 0);
  CHECK(world.a.runs() == 1);
  SECTION("it begins as soon as that is so") {
    world.a.is_certain = true;
    world.advance(200ms);
    CHECK(effects() == 1);
    world.advance(5min);
    CHECK(world.state() == "completed");
    CHECK(effects() == 1);
  }
  SECTION("it does not begin at all where the session departs first") {
    world.move(sid(), world.a, world.b);
    CHECK(world.a.runs() == 0);
    world.a.is_certain = true;
    world.advance(10min);
    CHECK(effects() == 0);
    CHECK(world.call(1).status == call_status::awaiting_outcome);
    CHECK(world.facts<late_result>().empty());
  }
  SECTION("it does not begin at all where it is cancelled first") {
    world.accept(world.a, cancel_plan{"not needed"});
    CHECK(world.a.runs() == 0);
    world.a.is_certain = true;
    world.advance(10min);
    CHECK(effects() == 0);
    CHECK(world.state() == "cancelled");
  }
}

TEST_CASE("a blocking function is not called if the lease ran out while it waited for a thread") {
  village of;
  two_homes world{people_of(of)};
  world.a.pool_runs = false;
  world.accept(world.a, calling("hasty"));
  world.a.is_certain = false;
  REQUIRE(world.run_function(world.a));
  world.run();
  CHECK(of.effects_of(1) == 0);
  CHECK(world.call(1).status == call_status::claimed);
  world.advance(10min);
  CHECK(world.call(1).status == call_status::claimed);
  world.a.is_certain = true;
  world.a.pool_runs = true;
  world.advance(1s);
  CHECK(of.effects_of(1) == 1);
  CHECK(world.state() == "completed");
}

TEST_CASE("a tool that looks at what became of a run does so where its session arrives") {
  village of;
  two_homes world{people_of(of)};
  world.a.pool_runs = false;
  world.accept(world.a, calling("traced"));
  world.kill(world.a);
  world.b.is_certain = false; // looking changes nothing outside
  world.arrive(world.b, sid());
  world.run();
  CHECK(of.looks.size() == 1);
  CHECK(of.effects_of(1) == 0);
  CHECK(world.call(1).runs == 2);
  world.b.is_certain = true;
  world.advance(1s);
  CHECK(of.effects_of(1) == 1);
  CHECK(world.state() == "completed");
}

// -- reading

TEST_CASE("a status is read on whichever node it is asked for") {
  village of;
  two_homes world{people_of(of)};
  world.accept(world.a, calling("ask"));
  auto answer = std::make_shared<std::optional<result<session_status>>>();
  world.system().spawn(
      [=](caf::event_based_actor* self, const caf::actor& directory) {
        self->request(directory, caf::infinite, status_query{sid()})
            .then([=](session_status& status) { *answer = std::move(status); },
                  [=](caf::error& error) { *answer = std::move(error); });
      },
      world.b.actors.directory);
  world.run();
  REQUIRE(*answer);
  REQUIRE(static_cast<bool>(**answer));
  CHECK((*answer)->value().state == session_state::waiting);
  CHECK(world.b.passed.empty());
}

} // namespace shared_store_test
