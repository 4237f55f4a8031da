// Plans: what is refused, who decides, in which order subtasks run, and what follows a failure.

#include "support.hpp"

#include <map>

namespace plan_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Fails as long as its session's flag says so; else finishes with the results of its dependencies.
std::map<std::string, bool>& broken() {
  static std::map<std::string, bool> flags;
  return flags;
}

coro::task<step> moody(step_context& ctx) {
  if (broken()[ctx.subtask.id.str()])
    co_return step::fail(ctx.subtask.id.str() + " is broken");
  json seen = json::object();
  for (const auto& one : ctx.dependencies)
    seen[one.subtask.str()] = one.result;
  co_return step::finish(std::move(seen));
}

sim::world_options moody_options(std::vector<std::string> broken_subtasks = {}) {
  broken().clear();
  for (const auto& id : broken_subtasks)
    broken()[id] = true;
  auto options = options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("moody", moody));
    tool saw;
    saw.name = tid("saw");
    must(tools.add(std::move(saw)));
  });
  return options;
}

/// A plan of subtasks for agent moody, as `id` or `id: dependency dependency`.
plan_spec moody_plan(std::vector<std::pair<std::string, std::vector<std::string>>> subtasks,
                     std::string_view description = "") {
  plan_spec made;
  made.goal = "g";
  for (const auto& [id, dependencies] : subtasks) {
    subtask_spec one;
    one.id = stid(id);
    one.agent = *agent_name::parse("moody");
    one.description = description;
    for (const auto& on : dependencies)
      one.depends_on.push_back(stid(on));
    made.subtasks.push_back(std::move(one));
  }
  return made;
}

/// The order in which subtasks were started.
std::vector<std::string> started(sim::world& world) {
  std::vector<std::string> ids;
  for (const auto& one : facts<subtask_started>(world))
    ids.push_back(one.subtask.str());
  return ids;
}

using ids = std::vector<std::string>;
using statuses = std::vector<subtask_status>;

constexpr auto pending = subtask_status::pending;
constexpr auto blocked = subtask_status::blocked;
constexpr auto done = subtask_status::done;
constexpr auto failed = subtask_status::failed;
constexpr auto skipped = subtask_status::skipped;
constexpr auto cancelled = subtask_status::cancelled;

decide_plan decision(std::uint32_t revision, plan_verdict verdict, std::string feedback) {
  decide_plan made{revision, verdict};
  made.feedback = std::move(feedback);
  made.by = "boss";
  return made;
}

} // namespace

TEST_CASE(
    "each way in which a plan is wrong is an error of its own, and leaves no session behind") {
  struct wrong {
    std::string plan;
    errc error;
    std::string said;
  };
  const std::vector<wrong> cases{
      {R"({"goal": "g", "subtasks": []})", errc::empty_plan, "no subtasks"},
      {R"({"goal": "g", "subtasks": [{"id": "a"}, {"id": "a"}]})", errc::duplicate_subtask,
       "\"a\""},
      {R"({"goal": "g", "subtasks": [{"id": "a", "depends_on": ["b"]}]})", errc::unknown_dependency,
       "\"b\""},
      {R"({"goal": "g", "subtasks": [{"id": "a", "depends_on": ["a"]}]})", errc::self_dependency,
       "\"a\""},
      {R"({"goal": "g", "subtasks": [{"id": "a", "depends_on": ["c"]}, {"id": "b", "depends_on": ["a"]},
           {"id": "c", "depends_on": ["b"]}]})",
       errc::dependency_cycle, "a -> c -> b -> a"},
      {R"({"goal": "g", "subtasks": [{"id": "a", "agent": "nobody"}]})", errc::unknown_agent,
       "\"nobody\""},
      {R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "spade"}]}]})",
       errc::unknown_tool, "\"spade\""},
      {R"({"goal": "g", "tools": {"saw": {}}, "subtasks": [{"id": "a"}]})", errc::invalid_field,
       "tools.saw"},
      {R"({"goal": "g", "tools": {"axe": {"schema": {"type": 7}}}, "subtasks": [{"id": "a"}]})",
       errc::invalid_field, "tools.axe.schema"},
      {R"({"goal": "g", "subtasks": [{"id": "a", "agent": "moody", "steps": []}]})",
       errc::invalid_field, "steps"},
      {R"({"goal": "g", "tools": {"axe": {"kind": "server"}}, "subtasks": [{"id": "a"}]})",
       errc::invalid_field, "tools.axe.kind"},
  };
  std::set<std::string> messages;
  for (const auto& one : cases) {
    CAPTURE(one.plan);
    sim::world world{1, moody_options()};
    const auto error = refuse_unchanged(world, propose_plan{plan(one.plan)});
    CAPTURE(message_of(error));
    CHECK(is(error, one.error));
    CHECK(contains(message_of(error), one.said));
    messages.insert(message_of(error));
    CHECK(is(world.status(sid()).error(), errc::unknown_session));
    CHECK(world.resident_sessions() == 0);
    // The same is refused as a revision, and the draft stays as it was.
    accept(world, propose_plan{moody_plan({{"a", {}}})});
    CHECK(is(refuse_unchanged(world, revise_plan{plan(one.plan)}), one.error));
  }
  CHECK(messages.size() == cases.size());
}

TEST_CASE("P10: a plan, a text or a name over a limit is refused with the limit's name") {
  const auto refused = [](auto change, const propose_plan& body) {
    auto options = moody_options();
    change(options.limits);
    sim::world world{1, options};
    const auto error = refuse_unchanged(world, body);
    CHECK(is(error, errc::limit_exceeded));
    return message_of(error);
  };
  const auto two = moody_plan({{"a", {}}, {"b", {}}, {"c", {"a", "b"}}});
  CHECK(contains(refused([](limits& l) { l.plan_subtasks = 2; }, propose_plan{two}),
                 "plan_subtasks is 2, this has 3"));
  CHECK(contains(refused([](limits& l) { l.plan_size_bytes = 20; }, propose_plan{two}),
                 "plan_size_bytes"));
  CHECK(contains(refused([](limits& l) { l.subtask_dependencies = 1; }, propose_plan{two}),
                 "subtask_dependencies"));
  auto wordy = two;
  wordy.goal = std::string(50, 'x');
  const auto short_texts = [](limits& l) { l.text_size_bytes = 40; };
  CHECK(contains(refused(short_texts, propose_plan{wordy}), "text_size_bytes"));
  CHECK(contains(refused(short_texts, propose_plan{two, "/" + std::string(50, 'x')}),
                 "text_size_bytes"));
}

TEST_CASE("P10: what people say with a command is bounded, and so is who they say they are") {
  auto options = moody_options({"a"});
  options.limits.text_size_bytes = 20;
  sim::world world{1, options};
  const std::string too_long(21, 'x');
  const auto refused = [&](command body) {
    const auto error = refuse_unchanged(world, std::move(body));
    CHECK(is(error, errc::limit_exceeded));
    CHECK(contains(message_of(error), "text_size_bytes"));
  };
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  refused(decision(1, plan_verdict::modify, too_long));
  auto by_somebody = approve_plan();
  by_somebody.by = too_long;
  refused(by_somebody);
  refused(cancel_plan{too_long});
  accept(world, approve_plan());
  REQUIRE(state_of(world) == "needs_attention");
  refused(fail_plan{too_long});
  skip_subtask skip{stid("a")};
  skip.reason = too_long;
  refused(skip);
  retry_subtask retry{stid("a")};
  retry.by = too_long;
  refused(retry);
}

TEST_CASE("a relative workspace is refused, and a session keeps the one it has") {
  sim::world world{1, moody_options()};
  const auto easy = moody_plan({{"a", {}}});
  CHECK(is(refuse_unchanged(world, propose_plan{easy, "here"}), errc::invalid_field));
  accept(world, propose_plan{easy, "/here"});
  accept(world, approve_plan());
  CHECK(is(refuse_unchanged(world, propose_plan{easy, "/there"}), errc::invalid_field));
  accept(world, propose_plan{easy});
  CHECK(status_of(world).workspace == "/here");
}

TEST_CASE("an approved plan runs, a rejected one never, and the feedback is kept") {
  sim::world world{1, moody_options()};
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  SECTION("approved") {
    accept(world, decision(1, plan_verdict::approve, ""));
    CHECK(state_of(world) == "completed");
  }
  SECTION("rejected") {
    accept(world, decision(1, plan_verdict::reject, "too vague"));
    CHECK(state_of(world) == "rejected");
    CHECK(status_of(world).plan->feedback == "too vague");
    CHECK(started(world).empty());
    CHECK(statuses_of(world) == statuses{pending});
    // A new plan may follow.
    accept(world, propose_plan{moody_plan({{"b", {}}})});
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "completed");
  }
}

TEST_CASE("a plan that was sent back waits for a revision, which is decided on in its place") {
  sim::world world{1, moody_options()};
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  accept(world, decision(1, plan_verdict::modify, "add b"));
  CHECK(state_of(world) == "planning");
  CHECK(status_of(world).plan->feedback == "add b");
  CHECK(pending_of(world).empty());
  CHECK(is(refuse_unchanged(world, propose_plan{moody_plan({{"b", {}}})}), errc::session_busy));
  accept(world, revise_plan{moody_plan({{"a", {}}, {"b", {}}})});
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(pending_of(world).size() == 1);
  CHECK(pending_of(world)[0].id == "s1:p2");
  CHECK(status_of(world).plan->revision == 2);
  CHECK(is(refuse_unchanged(world, approve_plan(1)), errc::already_decided));
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
  CHECK(started(world) == ids{"a", "b"});
}

TEST_CASE("a decision on a superseded revision is refused, in memory and from the store") {
  sim::world world{1, moody_options()};
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  accept(world, revise_plan{moody_plan({{"b", {}}})});
  CHECK(pending_of(world).size() == 1);
  CHECK(status_of(world).waiting.decision == 1);
  for (const auto verdict : {plan_verdict::approve, plan_verdict::reject, plan_verdict::modify}) {
    CHECK(is(refuse_unchanged(world, decide_plan{1, verdict}), errc::superseded));
    world.crash();
  }
  CHECK(is(refuse_unchanged(world, decide_plan{3, plan_verdict::approve}), errc::unknown_approval));
  CHECK(is(refuse_unchanged(world, decide_plan{0, plan_verdict::approve}), errc::unknown_approval));
  accept(world, approve_plan(2));
  CHECK(started(world) == ids{"b"});
  CHECK(is(refuse_unchanged(world, approve_plan(1)), errc::superseded));
}

TEST_CASE("the same decision again gets the first receipt, and another one is refused, also long "
          "afterwards") {
  for (const auto verdict : {plan_verdict::approve, plan_verdict::reject, plan_verdict::modify}) {
    sim::world world{1, moody_options()};
    accept(world, propose_plan{moody_plan({{"a", {}}})});
    const auto first = accept(world, decide_plan{1, verdict});
    const auto ask_again = [&] {
      const auto before = world.store().fingerprint();
      const auto again = accept(world, decide_plan{1, verdict});
      CHECK(again.kind == receipt_kind::duplicate);
      CHECK(again.event == first.event);
      CHECK(world.store().fingerprint() == before);
      for (const auto other : {plan_verdict::approve, plan_verdict::reject, plan_verdict::modify})
        if (other != verdict)
          CHECK(is(refuse_unchanged(world, decide_plan{1, other}), errc::already_decided));
    };
    ask_again();
    world.crash();
    ask_again();
    // A plan later, it is in the store only.
    if (verdict == plan_verdict::modify)
      accept(world, revise_plan{moody_plan({{"b", {}}})});
    else
      accept(world, propose_plan{moody_plan({{"b", {}}})});
    accept(world, approve_plan(2));
    ask_again();
    world.advance(std::chrono::hours{1});
    ask_again();
  }
}

TEST_CASE("subtasks run in the order of the list, each when its dependencies are done") {
  sim::world world{1, moody_options()};
  accept(world, propose_plan{moody_plan(
                    {{"d", {"b", "c"}}, {"c", {"a"}}, {"a", {}}, {"b", {}}, {"e", {"d"}}})});
  accept(world, approve_plan());
  CHECK(started(world) == ids{"a", "c", "b", "d", "e"});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "d").result
        == json{{"b", json::object()}, {"c", {{"a", json::object()}}}});
}

TEST_CASE("a finished plan makes room for the next, whose results are its own") {
  sim::world world{1, moody_options()};
  for (std::uint32_t revision = 1; revision <= 3; ++revision) {
    accept(world, propose_plan{moody_plan({{"a", {}}, {"b", {"a"}}})});
    accept(world, approve_plan(revision));
    CHECK(state_of(world) == "completed");
    CHECK(status_of(world).plan->revision == revision);
  }
  CHECK(started(world) == ids{"a", "b", "a", "b", "a", "b"});
}

TEST_CASE("P6: what depends on a failed subtask is blocked, the others still run, and then the "
          "session needs attention") {
  sim::world world{1, moody_options({"a"})};
  accept(world,
         propose_plan{moody_plan(
             {{"a", {}}, {"b", {"a"}}, {"c", {"b"}}, {"d", {"c", "e"}}, {"e", {}}, {"f", {"e"}}})});
  accept(world, approve_plan());
  CHECK(state_of(world) == "needs_attention");
  CHECK(statuses_of(world) == statuses{failed, blocked, blocked, blocked, done, done});
  CHECK(started(world) == ids{"a", "e", "f"});
  CHECK(subtask_of(world, "a").error == "a is broken");
  CHECK(subtask_of(world, "b").error == "blocked by a");
  CHECK(subtask_of(world, "c").error == "blocked by b");
  CHECK(subtask_of(world, "d").error == "blocked by c");
}

TEST_CASE("retry: a failed subtask runs again, and what it blocked after it") {
  sim::world world{1, moody_options({"a"})};
  accept(world, propose_plan{moody_plan({{"a", {}}, {"b", {"a"}}, {"c", {"b"}}})});
  accept(world, approve_plan());
  CHECK(is(refuse_unchanged(world, retry_subtask{stid("b")}), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, retry_subtask{stid("x")}), errc::unknown_subtask));
  accept(world, retry_subtask{stid("a")});
  CHECK(statuses_of(world) == statuses{failed, blocked, blocked});
  CHECK(subtask_of(world, "a").attempts == 2);
  CHECK(state_of(world) == "needs_attention");
  broken().clear();
  world.crash();
  accept(world, retry_subtask{stid("a")});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "a").attempts == 3);
  CHECK(subtask_of(world, "a").error.empty());
  CHECK(subtask_of(world, "c").error.empty());
}

TEST_CASE("what two failed subtasks block becomes free when the second is dealt with") {
  sim::world world{1, moody_options({"a", "b"})};
  accept(world, propose_plan{moody_plan({{"a", {}}, {"b", {}}, {"d", {"c"}}, {"c", {"a", "b"}}})});
  accept(world, approve_plan());
  CHECK(statuses_of(world) == statuses{failed, failed, blocked, blocked});
  broken().clear();
  accept(world, retry_subtask{stid("a")});
  CHECK(statuses_of(world) == statuses{done, failed, blocked, blocked});
  CHECK(state_of(world) == "needs_attention");
  accept(world, skip_subtask{stid("b")});
  CHECK(statuses_of(world) == statuses{done, skipped, done, done});
  CHECK(subtask_of(world, "c").result == json{{"a", json::object()}, {"b", nullptr}});
}

TEST_CASE("a subtask can be retried while another one waits") {
  sim::world world{1, moody_options({"a"})};
  auto both = moody_plan({{"a", {}}});
  both.subtasks.push_back(
      plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "saw"}]}]})").subtasks[0]);
  accept(world, propose_plan{both});
  accept(world, approve_plan());
  CHECK(state_of(world) == "waiting");
  broken().clear();
  accept(world, retry_subtask{stid("a")});
  CHECK(statuses_of(world) == statuses{pending, subtask_status::running});
  accept(world, reject(1, "no"));
  CHECK(started(world) == ids{"a", "w", "a"});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P10: a subtask is retried subtask_attempts times and no more") {
  auto options = moody_options({"a"});
  options.limits.subtask_attempts = 3;
  sim::world world{1, options};
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  accept(world, approve_plan());
  accept(world, retry_subtask{stid("a")});
  accept(world, retry_subtask{stid("a")});
  const auto error = refuse_unchanged(world, retry_subtask{stid("a")});
  CHECK(is(error, errc::limit_exceeded));
  CHECK(contains(message_of(error), "subtask_attempts"));
}

TEST_CASE(
    "skip: what depends on the subtask runs, with null as its result, and its reason is kept") {
  sim::world world{1, moody_options({"a"})};
  accept(world, propose_plan{moody_plan({{"a", {}}, {"b", {"a"}}})});
  accept(world, approve_plan());
  CHECK(is(refuse_unchanged(world, skip_subtask{stid("b")}), errc::not_allowed));
  skip_subtask skip{stid("a")};
  skip.reason = "not worth it";
  accept(world, skip);
  CHECK(statuses_of(world) == statuses{skipped, done});
  CHECK(subtask_of(world, "a").error == "not worth it");
  CHECK(subtask_of(world, "b").result == json{{"a", nullptr}});
  CHECK(state_of(world) == "completed");
}

TEST_CASE(
    "replan: unchanged done subtasks are kept, changed ones and what depends on them run again") {
  sim::world world{1, moody_options({"x"})};
  auto first = moody_plan({{"a", {}}, {"b", {"a"}}, {"c", {}}, {"d", {"c"}}, {"x", {}}});
  accept(world, propose_plan{first});
  accept(world, approve_plan());
  REQUIRE(state_of(world) == "needs_attention");
  REQUIRE(statuses_of(world) == statuses{done, done, done, done, failed});
  // c is changed, so that d runs again although it is not; x goes, y comes.
  auto next = moody_plan({{"a", {}}, {"b", {"a"}}, {"c", {}}, {"d", {"c"}}, {"y", {"b", "d"}}});
  next.subtasks[2].description = "better";
  accept(world, revise_plan{next});
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(query_plan(world.store(), sid(), 2)->subtasks.size() == 5);

  SECTION("approved, with a new process") {
    world.crash();
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "completed");
    CHECK(started(world) == ids{"a", "b", "c", "d", "x", "c", "d", "y"});
    CHECK(status_of(world).plan->revision == 2);
    CHECK(subtask_of(world, "y").result
          == json{{"b", {{"a", json::object()}}}, {"d", {{"c", json::object()}}}});
    CHECK(is(refuse_unchanged(world, decide_plan{1, plan_verdict::reject}), errc::already_decided));
  }
  SECTION("rejected: back to where it was") {
    accept(world, decision(2, plan_verdict::reject, "keep x"));
    CHECK(state_of(world) == "needs_attention");
    CHECK(status_of(world).plan->revision == 1);
    CHECK(pending_of(world).empty());
    broken().clear();
    accept(world, retry_subtask{stid("x")});
    CHECK(state_of(world) == "completed");
    CHECK(started(world) == ids{"a", "b", "c", "d", "x", "x"});
  }
  SECTION("sent back, revised, approved: still a replan") {
    accept(world, decision(2, plan_verdict::modify, "without y"));
    CHECK(state_of(world) == "planning");
    accept(world, revise_plan{moody_plan({{"a", {}}, {"b", {"a"}}})});
    accept(world, approve_plan(3));
    CHECK(state_of(world) == "completed");
    CHECK(started(world) == ids{"a", "b", "c", "d", "x"});
  }
  SECTION("cancelled: both the draft and the plan end") {
    accept(world, cancel_plan{"never mind"});
    CHECK(state_of(world) == "cancelled");
    CHECK(status_of(world).waiting.total() == 0);
    CHECK(pending_of(world).empty());
    CHECK(status_of(world).plan->revision == 1);
    CHECK(is(refuse_unchanged(world, approve_plan(2)), errc::superseded));
  }
}

TEST_CASE(
    "replan: a subtask whose dependencies were changed is not kept, nor one that was skipped") {
  sim::world world{1, moody_options({"s", "x"})};
  accept(world,
         propose_plan{moody_plan({{"a", {}}, {"b", {}}, {"s", {}}, {"t", {"s"}}, {"x", {}}})});
  accept(world, approve_plan());
  accept(world, skip_subtask{stid("s")});
  REQUIRE(statuses_of(world) == statuses{done, done, skipped, done, failed});
  broken().clear();
  accept(world, revise_plan{moody_plan({{"a", {}}, {"b", {"a"}}, {"s", {}}, {"t", {"s"}}})});
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
  CHECK(started(world) == ids{"a", "b", "s", "x", "t", "b", "s", "t"});
}

TEST_CASE("fail ends a plan that needs attention, and keeps what was done") {
  sim::world world{1, moody_options({"a"})};
  accept(world, propose_plan{moody_plan({{"a", {}}, {"b", {"a"}}, {"c", {}}})});
  accept(world, approve_plan());
  accept(world, fail_plan{"given up"});
  CHECK(state_of(world) == "failed");
  CHECK(status_of(world).plan->feedback == "given up");
  CHECK(statuses_of(world) == statuses{failed, blocked, done});
  accept(world, propose_plan{moody_plan({{"c", {}}})});
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
}

TEST_CASE("cancel ends a plan in every live state, and nothing of it is pending afterwards") {
  const auto check_cancelled = [](sim::world& world, const statuses& expected) {
    accept(world, cancel_plan{"enough"});
    CHECK(state_of(world) == "cancelled");
    CHECK(status_of(world).plan->status == plan_status::cancelled);
    CHECK(status_of(world).plan->feedback == "enough");
    CHECK(statuses_of(world) == expected);
    check_no_dead_end(world);
    CHECK(pending_of(world).empty());
    CHECK(is(refuse_unchanged(world, cancel_plan{"again"}), errc::not_allowed));
    world.crash();
    CHECK(is(refuse_unchanged(world, cancel_plan{"again"}), errc::not_allowed));
    accept(world, propose_plan{moody_plan({{"a", {}}})});
  };
  sim::world world{1, moody_options({"x"})};
  SECTION("awaiting a decision") {
    accept(world, propose_plan{moody_plan({{"a", {}}})});
    check_cancelled(world, {cancelled});
  }
  SECTION("planning") {
    accept(world, propose_plan{moody_plan({{"a", {}}})});
    accept(world, decide_plan{1, plan_verdict::modify});
    check_cancelled(world, {cancelled});
  }
  SECTION("needs attention") {
    accept(world, propose_plan{moody_plan({{"a", {}}, {"x", {}}, {"b", {"x"}}})});
    accept(world, approve_plan());
    check_cancelled(world, {done, cancelled, cancelled});
  }
  SECTION("waiting for a decision and for a result: open calls are answered as cancelled") {
    accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps":
        [{"calls": [{"tool": "saw"}, {"tool": "saw"}, {"tool": "saw"}]}]}, {"id": "v"}]})")});
    accept(world, approve_plan());
    accept(world, approve(2));
    accept(world, approve(3));
    accept(world, tool_result{cid(3), "real"});
    check_cancelled(world, {cancelled, cancelled});
    for (const std::uint64_t call : {1, 2}) {
      CHECK(call_of(world, call).answer->outcome == call_outcome::cancelled);
      CHECK(call_of(world, call).answer->content
            == json{{"cancelled", true}, {"reason", "enough"}});
    }
    CHECK(call_of(world, 3).answer->content == "real");
    CHECK(is(refuse_unchanged(world, approve(1)), errc::superseded));
  }
}

TEST_CASE("P4 P10: a result after the cancellation is late: audited late_results times, and "
          "nothing else changes") {
  auto options = moody_options();
  options.limits.late_results = 3;
  sim::world world{1, options};
  accept(world, propose_plan{plan(
                    R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "saw"}]}]})")});
  accept(world, approve_plan());
  accept(world, approve(1));
  accept(world, cancel_plan{"enough"});
  const auto answered = call_of(world, 1).answer_event;
  for (int i = 0; i < 6; ++i) {
    if (i == 2)
      world.crash();
    const auto late = accept(world, tool_result{cid(1), i});
    CHECK(late.kind == receipt_kind::late);
    CHECK(late.event == answered);
    CHECK(late.state == session_state::cancelled);
  }
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  CHECK(facts<late_result>(world).size() == 3);
  CHECK(state_of(world) == "cancelled");
}

TEST_CASE("a policy that does not ask for plans starts them at once, and a decision afterwards is "
          "a duplicate") {
  auto options = moody_options();
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  sim::world world{1, options};
  accept(world, propose_plan{moody_plan({{"a", {}}})});
  CHECK(state_of(world) == "completed");
  CHECK(facts<plan_decided>(world).at(0).by == "policy");
  CHECK(accept(world, approve_plan()).kind == receipt_kind::duplicate);
}

} // namespace plan_test
