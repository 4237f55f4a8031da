// A session that is exported at any moment and imported elsewhere stands where it stood, and goes
// on to its end in another world.

#include "stories.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/storage/session_export.hpp>

#include <sstream>

namespace session_export_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::string exported(store& from, std::string_view session = "s1",
                     const export_options& options = {}) {
  std::string text;
  const auto take = [&](std::string_view line) -> caf::error {
    text += line;
    return caf::none;
  };
  const auto done = export_session(from, sid(session), take, options);
  INFO(message_of(done ? caf::error{} : done.error()));
  REQUIRE(done);
  return text;
}

imported_session import_text(store& into, const std::string& text) {
  std::istringstream lines{text};
  const auto read = import_session(into, lines_of(lines));
  INFO(message_of(read ? caf::error{} : read.error()));
  REQUIRE(read);
  return *read;
}

/// A store in which session `other` waits for a decision; so others get other numbers.
std::shared_ptr<memory_store> inhabited_store() {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()}, "other");
  return world.store().clone();
}

/// What is known of a session, besides its events and records.
json known_of(store& of) {
  const auto status = query_status(of, sid());
  const auto pending = query_pending(of, sid());
  REQUIRE(status);
  REQUIRE(pending);
  auto known = json{{"status", to_json(*status)}, {"pending", json::array()}};
  for (const auto& item : *pending)
    known["pending"].push_back(to_json(item));
  return known;
}

/// The states and the waits that were seen.
using sights = std::set<std::string>;

void see(sights& seen, const session_status& status) {
  seen.insert(enum_name(status.state));
  const auto waiting = to_json(status.waiting);
  for (const auto& [name, count] : waiting.items())
    if (count != 0)
      seen.insert("waits for " + name);
}

/// Runs a story, and continues it in another world from each of its commits.
void move_at_every_commit(const std::function<scenario()>& make, sights& seen) {
  auto story = make();
  const auto kept = std::make_shared<commit_keeper>();
  story.options.observer = kept;
  {
    sim::world world{1, story.options};
    kept->store = &world.store();
    const auto receipts = test::drive(world, story);
    test::check_end(world, story, receipts);
  }
  REQUIRE(kept->stores.size() >= 2);
  const auto others = inhabited_store();
  for (std::size_t commits = 1; commits <= kept->stores.size(); ++commits) {
    CAPTURE(commits);
    auto& from = *kept->stores[commits - 1];
    see(seen, *query_status(from, sid()));
    auto next = make();
    const auto store = others->clone();
    const auto text = exported(from);
    const auto moved = import_text(*store, text);
    CHECK(moved.number == 2);
    CHECK(exported(*store) == text);
    CHECK(known_of(*store) == known_of(from));
    CHECK(store->verify().problems == std::vector<std::string>{});
    next.options.store = store;

    sim::world world{commits, next.options};
    world.set_clock(moved.last_event);
    const auto receipts = test::drive(world, next);
    test::check_end(world, next, receipts);
    CHECK(world.store().verify().sound());
    CHECK(state_of(world, "other") == "awaiting_plan_decision");
  }
}

/// A world that the session of another one goes on in, from the time of its last event.
struct moved_world {
  moved_world(sim::world& from, sim::world_options options, const export_options& exporting = {})
      : store{inhabited_store()}, moved{import_text(*store,
                                                    exported(from.store(), "s1", exporting))},
        world{2, (options.store = store, std::move(options))} {
    world.set_clock(moved.last_event);
  }

  std::shared_ptr<memory_store> store;
  imported_session moved;
  sim::world world;
};

} // namespace

TEST_CASE("a session that is exported at any commit goes on elsewhere to the same end") {
  sights seen;
  move_at_every_commit(long_story, seen);
  move_at_every_commit(planners_story, seen);
  move_at_every_commit(revised_story, seen);
  move_at_every_commit([] { return ended_story("cancelled", cancel_plan{"enough"}); }, seen);
  move_at_every_commit([] { return ended_story("failed", fail_plan{"enough"}); }, seen);
  move_at_every_commit(
      [] {
        return ended_story("rejected", decide_plan{1, plan_verdict::reject});
      },
      seen);
  const sights everything{"awaiting_plan_decision",
                          "planning",
                          "running",
                          "waiting",
                          "needs_attention",
                          "suspended",
                          "completed",
                          "failed",
                          "cancelled",
                          "rejected",
                          "waits for decision",
                          "waits for answer",
                          "waits for result",
                          "waits for backoff"};
  for (const auto& one : everything) {
    INFO(one);
    CHECK(seen.contains(one));
  }
}

TEST_CASE("P7: a session whose plan was replaced while its calls were open goes on elsewhere") {
  const bool is_decided = GENERATE(false, true);
  const auto revision = [](std::string_view more) {
    return agent_plan(R"({"id": "w", "steps": [{"tool": "ask"}]})" + std::string{more});
  };
  sim::world world{1, options_of(std::make_shared<effects>())};
  accept(world, propose_plan{revision("")});
  accept(world, approve_plan());
  if (is_decided)
    accept(world, approve(1));
  accept(world, revise_plan{revision(R"(, {"id": "v", "steps": []})")});
  accept(world, approve_plan(2));
  const auto waiting = status_of(world).waiting;
  REQUIRE((is_decided ? waiting.result : waiting.decision) == 1);
  REQUIRE(subtask_of(world, "w").attempts == 1);

  moved_world there{world, options_of(std::make_shared<effects>())};
  auto& elsewhere = there.world;
  if (!is_decided)
    accept(elsewhere, approve(1));
  accept(elsewhere, tool_result{cid(1), 1});
  CHECK(state_of(elsewhere) == "completed");
}

TEST_CASE("P8: a run that was cut off is the same run elsewhere, under the same key") {
  auto counted = std::make_shared<effects>();
  sim::world world{1, options_of(counted)};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "steps": [{"tool": "flaky"}]})")});
  accept(world, approve_plan());
  world.hold_tools(true);
  accept(world, approve(1));
  world.crash();
  world.hold_tools(false);
  wake(world);
  REQUIRE(status_of(world).waiting.outcome == 1);

  moved_world there{world, options_of(counted)};
  auto& elsewhere = there.world;
  wake(elsewhere);
  CHECK(status_of(elsewhere).waiting.outcome == 1);
  for (auto* one : {&world, &elsewhere})
    accept(*one, resolve_outcome{cid(1), outcome_resolution::rerun});
  REQUIRE(counted->size() == 1);
  CHECK(counted->begin()->second == 2);
}

TEST_CASE("a timer that was armed fires elsewhere at its time") {
  sim::world world{1, options_of(std::make_shared<effects>())};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "steps": [{"sleep_ms": 7200000}]})")});
  accept(world, approve_plan());
  const auto due = status_of(world).next_timer;
  REQUIRE(due);

  moved_world there{world, options_of(std::make_shared<effects>())};
  auto& elsewhere = there.world;
  elsewhere.advance(*due - elsewhere.now() - 1ms);
  CHECK(state_of(elsewhere) == "waiting");
  elsewhere.advance(1ms);
  CHECK(state_of(elsewhere) == "completed");
}

TEST_CASE("P9: what was shown can be approved elsewhere, and what was redacted is asked again") {
  auto counted = std::make_shared<effects>();
  sim::world world{1, options_of(counted)};
  accept(world, propose_plan{agent_plan(
                    R"({"id": "w", "steps": [{"tool": "flaky", "arguments": {"key": "sk-1"}}]})")});
  accept(world, approve_plan());
  const auto shown = test::pending_of(world).at(0);
  export_options exporting;
  SECTION("as it was: nobody is asked again") {}
  SECTION("redacted: the arguments are not those that were shown") {
    const auto rules = redactor::parse(R"({"patterns": ["sk-[0-9]"]})");
    REQUIRE(rules);
    exporting.redaction = *rules;
  }
  const bool redacted = !exporting.redaction.hides_nothing();
  moved_world there{world, options_of(counted), exporting};
  auto& elsewhere = there.world;
  CHECK(there.moved.redacted == redacted);
  CHECK(test::pending_of(elsewhere).at(0).digest == shown.digest);
  decide_call decision{cid(1), call_verdict::approve};
  decision.digest = shown.digest;
  accept(elsewhere, decision);
  CHECK(counted->size() == (redacted ? 0 : 1));
  if (redacted) {
    CHECK(facts<call_asked_again>(elsewhere).size() == 1);
    const auto again = test::pending_of(elsewhere).at(0);
    CHECK(again.digest != shown.digest);
    CHECK(again.arguments == json{{"key", "[redacted]"}});
    accept(elsewhere, approve(1));
  }
  elsewhere.advance(1h);
  CHECK(state_of(elsewhere) == "completed");
}

} // namespace session_export_test
