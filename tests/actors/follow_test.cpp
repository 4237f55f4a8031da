// What CAF actors see of sessions: commands, status and chunks as messages.

#include "support.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

namespace follow_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// What a host actor has heard; outlives the actor.
struct host_log {
  std::vector<std::uint64_t> numbers;
  std::vector<chunk_kind> kinds;
  std::vector<std::string> errors;
  int receipts = 0;
};

class host : public caf::event_based_actor {
public:
  host(caf::actor_config& config, caf::actor directory, host_log& log)
      : caf::event_based_actor{config}, directory_{std::move(directory)}, log_{log} {}

  caf::behavior make_behavior() override {
    follow(1);
    request(directory_, caf::infinite, session_command{sid(), propose_plan{seed_plan()}})
        .then([this](const receipt&) { ++log_.receipts; });
    return {[](int) {}};
  }

private:
  void follow(std::uint64_t first) {
    request(directory_, caf::infinite, follow_chunks{sid(), first})
        .then(
            [this](const chunk_batch& batch) {
              for (const auto& one : batch.chunks) {
                log_.numbers.push_back(one.number);
                log_.kinds.push_back(one.kind);
                answer(one);
              }
              follow(batch.chunks.back().number + 1);
            },
            [this, first](const caf::error& error) {
              log_.errors.emplace_back(name_of(code_of(error)));
              if (is(error, errc::unknown_session))
                follow(first); // the proposal is on its way
            });
  }

  /// A host that approves everything and runs the client tool.
  void answer(const chunk& one) {
    command reply;
    if (std::holds_alternative<plan_proposed>(one.body))
      reply = approve_plan(std::get<plan_proposed>(one.body).revision);
    else if (const auto* call = std::get_if<call_proposed>(&one.body))
      reply = approve(call->call);
    else if (const auto* decided = std::get_if<call_decided>(&one.body))
      reply = tool_result{cid(decided->call), "tea"};
    else
      return;
    request(directory_, caf::infinite, session_command{sid(), std::move(reply)})
        .then([this](const receipt&) { ++log_.receipts; });
  }

  caf::actor directory_;
  host_log& log_;
};

/// Asks a directory for chunks, one time.
result<chunk_batch> ask_chunks(sim::world& in, follow_chunks what) {
  std::optional<result<chunk_batch>> answered;
  const auto asker = in.system().spawn(
      [&](caf::event_based_actor* self, const caf::actor& directory) {
        self->request(directory, caf::infinite, std::move(what))
            .then([&](chunk_batch& batch) { answered = std::move(batch); },
                  [&](caf::error& why) { answered = std::move(why); });
      },
      in.directory());
  in.run();
  REQUIRE(answered);
  return std::move(*answered);
}

} // namespace

TEST_CASE("a reader of one session is not given the events of the next one of its id") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, cancel_plan{});
  const auto before = ask_chunks(world, follow_chunks{sid(), 1}).value();
  REQUIRE(before.incarnation != 0);
  CHECK(before.last == before.chunks.back().number);
  accept(world, delete_session{});
  for (int plans = 0; plans < 2; ++plans) {
    accept(world, propose_plan{seed_plan()});
    accept(world, cancel_plan{});
  }
  follow_chunks behind{sid(), before.last + 1};
  const auto others = ask_chunks(world, behind).value();
  CHECK(others.incarnation != before.incarnation);
  REQUIRE_FALSE(others.chunks.empty());
  behind.incarnation = before.incarnation;
  behind.await_creation = true;
  const auto ended = ask_chunks(world, behind);
  REQUIRE_FALSE(ended);
  CHECK(is(ended.error(), errc::unknown_session));
}

TEST_CASE("a reader that asks which session it is is told at once, without chunks if need be") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  follow_chunks what{sid(), 1'000};
  what.identify = true;
  const auto told = ask_chunks(world, what).value();
  CHECK(told.incarnation != 0);
  CHECK(told.last == status_of(world).events);
  CHECK(told.chunks.empty());
}

TEST_CASE("one answer has no more chunks than end with the one that makes it large") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  const std::string text(60'000, 'x');
  for (int i = 0; i < 8; ++i)
    accept(world, post_message{text});
  const auto all = status_of(world).events;
  std::uint64_t number = 1;
  std::size_t most = 0;
  while (number <= all) {
    const auto batch = ask_chunks(world, follow_chunks{sid(), number}).value();
    REQUIRE_FALSE(batch.chunks.empty());
    CHECK(batch.chunks.front().number == number);
    std::size_t texts = 0;
    for (const auto& one : batch.chunks)
      texts += std::holds_alternative<message_received>(one.body);
    most = std::max(most, texts);
    number = batch.chunks.back().number + 1;
  }
  CHECK(most == 5); // which passes 256 KB
}

TEST_CASE("a page of what waits ends with the item that makes it large, and the next goes on") {
  sim::world world{1, {}};
  for (const auto* session : {"s1", "s2", "s3"})
    accept(world, propose_plan{seed_plan()}, session);
  std::vector<std::string> ids;
  std::size_t pages = 0;
  pending_cursor after;
  for (bool more = true; more; ++pages) {
    const auto page = query_pending_page(world.store(), {}, after, 10, 1).value();
    REQUIRE(page.items.size() <= 1);
    for (const auto& one : page.items)
      ids.push_back(one.id);
    more = page.next.has_value();
    after = page.next.value_or(after);
  }
  CHECK(ids == std::vector<std::string>{"s1:p1", "s2:p1", "s3:p1"});
  CHECK(pages <= 4); // the last one may be empty
  CHECK(query_pending_page(world.store(), {}, {}, 10)->items.size() == 3);
}

TEST_CASE("a host that is an actor drives a session by messages alone, and sees every chunk once") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    CAPTURE(seed);
    host_log log;
    sim::world world{seed, {}};
    world.system().spawn<host>(world.directory(), log);
    world.run();
    CHECK(state_of(world) == "completed");
    CHECK(log.receipts == 4);
    const auto events = world.events(sid());
    REQUIRE(log.numbers.size() == events.size());
    for (std::size_t i = 0; i < events.size(); ++i)
      CHECK(log.numbers[i] == i + 1);
    CHECK(std::count(log.kinds.begin(), log.kinds.end(), chunk_kind::approval) == 3);
    // The follower that still waits is told when the runtime stops.
    world.restart();
    CHECK(log.errors.back() == "shutting_down");
  }
}

TEST_CASE("P10: as many wait for chunks as the limit says, and one more when one has them") {
  sim::world_options options;
  options.limits.followers = 2;
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  const auto last = status_of(world).events;
  std::vector<std::string> heard;
  const auto ask = [&](std::uint64_t first) {
    world.system().spawn(
        [&heard, first](caf::event_based_actor* self, const caf::actor& directory) {
          self->request(directory, caf::infinite, follow_chunks{sid(), first})
              .then([&heard](const chunk_batch&) { heard.emplace_back("chunks"); },
                    [&heard](const caf::error& why) { heard.emplace_back(message_of(why)); });
        },
        world.directory());
    world.run();
  };
  ask(last + 1);
  ask(last + 1);
  CHECK(heard.empty());
  ask(last + 1);
  REQUIRE(heard.size() == 1);
  CHECK(contains(heard[0], "`followers`"));
  ask(1); // which does not wait
  CHECK(heard.back() == "chunks");
  accept(world, approve_plan());
  CHECK(heard.size() == 4);
  ask(status_of(world).events + 1);
  CHECK(heard.size() == 4);
}

TEST_CASE("an actor that asks for the status of a session gets it, or the error's name") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  std::optional<session_state> state;
  std::optional<errc> error;
  world.system().spawn(
      [&](caf::event_based_actor* self, const caf::actor& directory) {
        self->request(directory, caf::infinite, status_query{sid()})
            .then([&](const session_status& status) { state = status.state; });
        self->request(directory, caf::infinite, status_query{sid("nobody")})
            .then([](const session_status&) {},
                  [&](const caf::error& why) { error = code_of(why); });
      },
      world.directory());
  world.run();
  CHECK(state == session_state::awaiting_plan_decision);
  CHECK(error == errc::unknown_session);
}

TEST_CASE("P6: work whose commit failed with nobody to tell is taken up again by itself") {
  int runs = 0;
  sim::world_options options;
  options.policy = approval_policy::ask_for_plans();
  options.setup = [&runs](agent_registry&, tool_registry& tools) {
    tool count;
    count.name = tid("count");
    count.run =
        blocking_tool{[&runs](const tool_context&) -> result<json> { return json(++runs); }};
    CHECK_FALSE(tools.add(std::move(count)));
  };
  sim::world world{1, options};
  accept(world, propose_plan{plan(
                    R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "count"}]}]})")});
  // The decision's own commit claims the call; the next one, of the tool's outcome, fails.
  const auto outcome = world.store().writes() + 2;
  world.store().on_write([=](std::uint64_t write) {
    return write == outcome ? memory_fault::disk_full : memory_fault::none;
  });
  accept(world, approve_plan());
  CHECK(state_of(world) == "running");
  world.advance(std::chrono::seconds{2});
  CHECK(state_of(world) == "completed");
  CHECK(runs == 1);
}

} // namespace follow_test
