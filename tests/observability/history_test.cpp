// What queries tell of the past: states and what brought them about, and who decided what.
#include "faults.hpp"

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

template <class Command>
Command by(std::string_view who, Command body) {
  body.by = who;
  return body;
}

/// "from -> to cause by", for each move.
std::vector<std::string> moves(sim::world& world, std::uint64_t first = 1,
                               std::size_t limit = 100) {
  const auto history = query_history(world.store(), sid(), first, limit);
  REQUIRE(history);
  std::vector<std::string> told;
  for (const auto& one : *history) {
    const auto line = to_json(one);
    told.push_back(line["from"].get<std::string>() + " -> " + line["to"].get<std::string>() + " "
                   + one.cause + " " + one.by);
  }
  return told;
}

std::vector<audit_entry> audit(sim::world& world, const std::optional<session_id>& session = sid(),
                               std::size_t page = 1'000) {
  std::vector<audit_entry> all;
  for (std::optional<audit_cursor> after{std::in_place}; after;) {
    auto read = query_audit(world.store(), session, *after, page);
    REQUIRE(read);
    CHECK(read->entries.size() <= page);
    std::move(read->entries.begin(), read->entries.end(), std::back_inserter(all));
    after = read->next;
  }
  return all;
}

std::vector<std::string> actions(const std::vector<audit_entry>& entries) {
  std::vector<std::string> told;
  for (const auto& one : entries)
    told.push_back(one.action + " " + one.subject + " " + one.verdict + " " + one.by);
  return told;
}

} // namespace

TEST_CASE("a session's history has each of its moves, with what brought it about and by whom") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, by("ann", approve_plan()));
  accept(world, by("bob", approve(1)));
  accept(world, by("ann", suspend_session{"lunch"}));
  accept(world, resume_session{"bob"});
  accept(world, tool_result{cid(1), "tea"});
  CHECK(moves(world)
        == std::vector<std::string>{"idle -> awaiting_plan_decision plan_proposed ",
                                    "awaiting_plan_decision -> waiting call_proposed ",
                                    "waiting -> suspended session_suspended ann",
                                    "suspended -> waiting session_resumed bob",
                                    "waiting -> completed plan_ended "});
  const auto history = query_history(world.store(), sid());
  CHECK((*history)[2].reason == "lunch");
  CHECK((*history)[2].at == world.now());
}

TEST_CASE("what only follows from a decision is not its session's cause to move") {
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool slow;
    slow.name = tid("slow");
    slow.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    must(tools.add(std::move(slow)));
  });
  sim::world world{1, std::move(options)};
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  accept(world, approve_plan());
  world.hold_tools(true);
  accept(world, by("ann", approve(1)));
  CHECK(moves(world).back() == "waiting -> running call_decided ann");
  world.hold_tools(false);
  world.run();
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a history is read from any event on, and so far") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  for (int i = 0; i < 400; ++i) {
    accept(world, by("ann", suspend_session{"again"}));
    accept(world, resume_session{"bob"});
  }
  const auto all = moves(world, 1, 10'000);
  CHECK(all.size() == 802);
  CHECK(moves(world, 1, 3) == std::vector<std::string>(all.begin(), all.begin() + 3));
  const auto history = query_history(world.store(), sid());
  const auto from = (*history)[500].number;
  CHECK(moves(world, from, 2) == std::vector<std::string>{all[500], all[501]});
  CHECK(moves(world, from + 1, 1) == std::vector<std::string>{all[501]});
  CHECK(moves(world, 1'000'000).empty());
  CHECK(is(query_history(world.store(), sid("nobody")).error(), errc::unknown_session));
}

TEST_CASE("the audit log says who decided what, on which digest") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  const auto plan_digest = pending_of(world)[0].digest;
  accept(world, by("ann", approve_plan()));
  const auto shown = pending_of(world)[0].digest;
  world.advance(1h);
  accept(world, by("bob", edit(1, {{"item", "coffee"}})));
  accept(world, tool_result{cid(1), "cup"});
  const auto entries = audit(world);
  CHECK(
      actions(entries)
      == std::vector<std::string>{"plan_decided s1:p1 approve ann", "call_decided s1:c1 edit bob"});
  CHECK(entries[0].digest == plan_digest);
  CHECK_FALSE(entries[1].digest.empty());
  CHECK(entries[1].digest != shown); // of what runs
  CHECK(entries[1].details["tool"] == "ask_shop");
  CHECK(entries[1].details["proposed"] == json{{"item", "tea"}});
  CHECK(entries[1].details["ran"] == json{{"item", "coffee"}});
  CHECK(entries[1].at == world.now());
  CHECK(entries[1].session == sid());
}

TEST_CASE("an answer in place of a tool, and a result, are no entries beside the decision") {
  sim::world world{1, {}};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"}, {"tool": "ask"})")});
  accept(world, by("ann", approve_plan()));
  decide_call respond{cid(1), call_verdict::respond};
  respond.content = "mine";
  accept(world, by("bob", respond));
  accept(world, by("bob", approve(2)));
  accept(world, tool_result{cid(2), "done"});
  CHECK(actions(audit(world))
        == std::vector<std::string>{"plan_decided s1:p1 approve ann",
                                    "call_decided s1:c1 respond bob",
                                    "call_decided s1:c2 approve bob"});
}

TEST_CASE(
    "the audit log has answers, cancellations, suspensions, deadlines and what is remembered") {
  sim::world world{1, {}};
  accept(world,
         propose_plan{script_plan(R"({"tool": "ask_human", "arguments": {"question": "why?"}},
                                     {"tool": "ask", "arguments": {"n": 1}},
                                     {"tool": "ask", "arguments": {"n": 1}})")});
  accept(world, by("ann", approve_plan()));
  auto answer = answer_question{cid(1), "because"};
  accept(world, by("bob", answer));
  accept(world, by("ann", set_deadline{world.now() + 24h}));
  accept(world, by("ann", suspend_session{"lunch"}));
  accept(world, resume_session{"bob"});
  auto remembered = reject(2, "never");
  remembered.remember = decision_scope::call;
  accept(world, by("ann", remembered));
  const auto entries = audit(world);
  const auto all = actions(entries);
  const std::vector<std::string> expected{"plan_decided s1:p1 approve ann",
                                          "call_answered s1:c1 succeeded bob",
                                          "deadline_set   ann",
                                          "session_suspended   ann",
                                          "session_resumed   bob",
                                          "call_decided s1:c2 reject ann",
                                          "decision_remembered s1:c2 reject ann"};
  for (const auto& line : expected)
    CHECK(std::count(all.begin(), all.end(), line) == 1);
  CHECK(entries[1].details["arguments"]["question"] == "why?");
  CHECK(entries[1].details["answer"] == "because");
  CHECK(entries[3].reason == "lunch");
  // What the decision rejects later is there as well.
  CHECK(std::count(all.begin(), all.end(), "call_answered s1:c3 rejected ann") == 1);

  accept(world, by("bob", forget_decision{1}));
  if (state_of(world) == "completed")
    accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  accept(world, by("bob", cancel_plan{"enough"}));
  const auto later = actions(audit(world));
  CHECK(std::count(later.begin(), later.end(), "decision_forgotten   bob") == 1);
  CHECK(std::count(later.begin(), later.end(), "plan_ended s1:p2 cancelled bob") == 1);
}

TEST_CASE(
    "the audit log of all sessions is in the order of commits, and the same in pages of any size") {
  sim::world world{1, {}};
  const std::vector<std::string> sessions{"a", "b", "c"};
  for (const auto& session : sessions)
    accept(world, propose_plan{seed_plan()}, session);
  for (const auto& session : {"c", "a", "b"})
    accept(world, by("ann", approve_plan()), session);
  for (int i = 0; i < 20; ++i)
    for (const auto& session : sessions) {
      accept(world, by("ann", suspend_session{"again"}), session);
      accept(world, resume_session{"bob"}, session);
    }
  // Several entries of one commit.
  auto both = decide_calls{{decide_call{cid(1, "b"), call_verdict::approve}}};
  both.decisions[0].by = "ann";
  both.decisions[0].remember = decision_scope::tool;
  accept(world, both, "b");

  const auto whole = audit(world, std::nullopt);
  REQUIRE(whole.size() == 3 + 20 * 3 * 2 + 2);
  CHECK(whole[0].session == sid("c"));
  CHECK(whole[1].session == sid("a"));
  CHECK(whole[2].session == sid("b"));
  for (const std::size_t size : {1, 2, 7, 124})
    CHECK(audit(world, std::nullopt, size) == whole);
  const auto of_b = audit(world, sid("b"));
  CHECK(of_b.size() == 1 + 40 + 2);
  for (const std::size_t size : {1, 2, 7})
    CHECK(audit(world, sid("b"), size) == of_b);
  CHECK(is(query_audit(world.store(), sid("nobody"), {}, 1).error(), errc::unknown_session));
}

TEST_CASE("a page of the audit log ends before it takes too much memory") {
  sim::world world{1, {}};
  const std::string large(900'000, 'x');
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  accept(world, edit(1, {{"item", large}}));
  const auto entries = audit(world);
  REQUIRE(entries.size() == 2);
  CHECK(entries[1].details["omitted_bytes"] > 900'000);
  CHECK(to_text(to_json(entries[1])).size() < 1'000);
}

TEST_CASE("a status tells how far its plan is") {
  sim::world world{1, {}};
  accept(world,
         propose_plan{plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [
      {"id": "a"}, {"id": "b", "steps": [{"tool": "ask"}]}, {"id": "c", "depends_on": ["b"]}]})")});
  CHECK(status_of(world).progress.total == 3);
  CHECK(status_of(world).progress.pending == 3);
  accept(world, approve_plan());
  plan_progress expected;
  expected.total = 3;
  expected.done = 1;
  expected.running = 1;
  expected.pending = 1;
  expected.percent = 33;
  CHECK(status_of(world).progress == expected);
  accept(world, cancel_subtask{stid("b"), "no"});
  CHECK(status_of(world).progress.cancelled == 1);
  accept(world, skip_subtask{stid("b")});
  CHECK(status_of(world).progress.done == 3);
  CHECK(status_of(world).progress.percent == 100);
}
