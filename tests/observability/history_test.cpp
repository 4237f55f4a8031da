// What queries tell of the past: states and what brought them about, and who decided what.
#include "faults.hpp"

#include <fermata/storage/memory_store.hpp>

#include <set>

namespace history_test {

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
  for (const auto& one : history->moves) {
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

/// The entries of one action.
std::vector<audit_entry> of_action(std::vector<audit_entry> entries, std::string_view action) {
  std::erase_if(entries, [&](const audit_entry& one) { return one.action != action; });
  return entries;
}

/// A server tool that answers with 1.
tool server_tool(std::string_view name) {
  tool made;
  made.name = tid(name);
  made.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
  return made;
}

/// Session s1 with these events, and nothing else.
std::shared_ptr<memory_store> store_with(const std::vector<event_body>& bodies) {
  constexpr std::size_t events_of_commit = 100;
  auto made = std::make_shared<memory_store>();
  commit writing;
  writing.session = sid();
  for (const auto& body : bodies) {
    event fact;
    fact.number = writing.expected_events + writing.events.size() + 1;
    fact.body = body;
    writing.events.push_back(to_record(fact));
    if (writing.events.size() < events_of_commit && fact.number < bodies.size())
      continue;
    const auto outcomes = made->write({&writing, 1});
    REQUIRE_FALSE(outcomes[0].error);
    writing.number = outcomes[0].number;
    writing.expected_events = fact.number;
    writing.events.clear();
  }
  return made;
}

state_changed moved(session_state from, session_state to) {
  state_changed made;
  made.from = from;
  made.to = to;
  return made;
}

/// How many records a call reads.
template <class Call>
std::uint64_t reads_of(memory_store& store, const Call& call) {
  const auto before = store.reads();
  call();
  return store.reads() - before;
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
  CHECK(history->moves[2].reason == "lunch");
  CHECK(history->moves[2].at == world.now());
  CHECK_FALSE(history->next);
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
  const auto from = history->moves[500].number;
  CHECK(moves(world, from, 2) == std::vector<std::string>{all[500], all[501]});
  CHECK(moves(world, from + 1, 1) == std::vector<std::string>{all[501]});
  CHECK(moves(world, 1'000'000).empty());
  CHECK(is(query_history(world.store(), sid("nobody")).error(), errc::unknown_session));
  std::vector<state_transition> paged;
  for (std::optional<std::uint64_t> next = 1; next;) {
    const auto page = query_history(world.store(), sid(), *next, 7);
    REQUIRE(page);
    paged.insert(paged.end(), page->moves.begin(), page->moves.end());
    next = page->next;
  }
  CHECK(paged == history->moves);
}

TEST_CASE("what is remembered along with a decision is not its session's cause to move") {
  sim::world world{1, options_with([](agent_registry&, tool_registry& tools) {
                     must(tools.add(server_tool("work")));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "work"})")});
  accept(world, approve_plan());
  world.hold_tools(true);
  auto decision = by("ann", approve(1));
  decision.remember = decision_scope::tool;
  accept(world, decision);
  CHECK(moves(world).back() == "waiting -> running call_decided ann");
  world.hold_tools(false);
  world.run();
}

TEST_CASE("P11: reading a history or an audit of twice as many commits costs twice as much") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  const auto live = [&] {
    for (int i = 0; i < 300; ++i) {
      accept(world, by("ann", suspend_session{"again"}));
      accept(world, resume_session{"bob"});
    }
  };
  const auto read_history = [&] { CHECK(query_history(world.store(), sid())); };
  const auto read_audit = [&] { CHECK(query_audit(world.store(), sid(), {}, 10'000)); };
  live();
  const auto history = reads_of(world.store(), read_history);
  const auto audited = reads_of(world.store(), read_audit);
  live();
  CHECK(reads_of(world.store(), read_history) * 10 < history * 22);
  CHECK(reads_of(world.store(), read_audit) * 10 < audited * 22);
}

TEST_CASE("P10: one call looks at a bounded number of events, and says where to go on") {
  std::vector<event_body> bodies{session_created{},
                                 moved(session_state::idle, session_state::running)};
  bodies.resize(25'000, message_received{});
  bodies.emplace_back(moved(session_state::running, session_state::waiting));
  const auto store = store_with(bodies);
  std::vector<state_transition> found;
  std::size_t pages = 0;
  for (std::optional<std::uint64_t> next = 1; next; ++pages) {
    const auto page = query_history(*store, sid(), *next);
    REQUIRE(page);
    CHECK((!page->next || *page->next <= *next + 10'000));
    found.insert(found.end(), page->moves.begin(), page->moves.end());
    next = page->next;
  }
  CHECK(pages == 3);
  REQUIRE(found.size() == 2);
  CHECK(found[1].cause == "message_received");
  audit_cursor after;
  after.position = 1;
  const auto audited = query_audit(*store, sid(), after, 10);
  REQUIRE(audited);
  REQUIRE(audited->next);
  CHECK(audited->next->position == 10'001);
}

TEST_CASE("a cause is found however much else follows from it") {
  std::vector<event_body> bodies{session_created{},
                                 moved(session_state::idle, session_state::running)};
  subtask_failed cause;
  cause.subtask = stid("a");
  cause.reason = "broken";
  bodies.emplace_back(cause);
  subtask_blocked blocked;
  blocked.subtask = stid("b");
  blocked.by = stid("a");
  bodies.resize(2'000, blocked);
  bodies.emplace_back(moved(session_state::running, session_state::needs_attention));
  const auto store = store_with(bodies);
  const auto page = query_history(*store, sid(), 1'990);
  REQUIRE(page);
  REQUIRE(page->moves.size() == 1);
  CHECK(page->moves[0].cause == "subtask_failed");
  CHECK(page->moves[0].reason == "broken");
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
  CHECK(entries[1].details["arguments"] == json{{"item", "tea"}});
  CHECK(entries[1].details["edited_to"] == json{{"item", "coffee"}});
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
  const auto entries = audit(world);
  CHECK(actions(entries)
        == std::vector<std::string>{"plan_decided s1:p1 approve ann",
                                    "call_decided s1:c1 respond bob",
                                    "call_decided s1:c2 approve bob"});
  CHECK(entries[1].details["answer"] == "mine");
}

TEST_CASE("P9: an entry has the arguments that were decided on, not those that came later") {
  int runs = 0;
  sim::world world{1, options_with([&runs](agent_registry&, tool_registry& tools) {
                     auto work = server_tool("work");
                     work.run = blocking_tool{[&runs](const tool_context&) -> result<json> {
                       if (++runs < 3)
                         return make_error(errc::stale_approval, "it has changed meanwhile");
                       return 1;
                     }};
                     must(tools.add(std::move(work)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "work", "arguments": {"n": 1}})")});
  accept(world, approve_plan());
  accept(world, edit(1, {{"n", 2}}));
  accept(world, edit(1, {{"n", 3}}));
  accept(world, approve(1));
  REQUIRE(state_of(world) == "completed");
  for (const auto& session : {std::optional{sid()}, std::optional<session_id>{}})
    for (const std::size_t page : {1, 100}) {
      const auto decisions = of_action(audit(world, session, page), "call_decided");
      REQUIRE(decisions.size() == 3);
      CHECK(decisions[0].details["arguments"] == json{{"n", 1}});
      CHECK(decisions[0].details["edited_to"] == json{{"n", 2}});
      CHECK(decisions[1].details["arguments"] == json{{"n", 2}});
      CHECK(decisions[1].details["edited_to"] == json{{"n", 3}});
      CHECK(decisions[2].details["arguments"] == json{{"n", 3}});
      CHECK_FALSE(decisions[2].details.contains("edited_to"));
    }
}

TEST_CASE("what was decided is in the audit log although nobody said who did it") {
  sim::world world{1, {}};
  accept(world,
         propose_plan{script_plan(R"({"tool": "ask_human", "arguments": {"question": "why?"}},
                                     {"tool": "ask"}, {"tool": "ask"})")});
  accept(world, approve_plan());
  accept(world, answer_question{cid(1), "because"});
  auto remembered = reject(2, "never");
  remembered.remember = decision_scope::tool;
  accept(world, remembered);
  const auto entries = of_action(audit(world), "call_answered");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].details["answer"] == "because");
  CHECK(entries[1].subject == "s1:c3");
  CHECK(entries[1].verdict == "rejected");
  CHECK(entries[1].reason == "never");
  CHECK(entries[1].details["ruled_by"] == "decision 1");
}

TEST_CASE("a cancellation has its reason, and what comes after it is late") {
  sim::world world{1, {}};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"}, {"tool": "ask"})")});
  accept(world, approve_plan());
  accept(world, approve(1));
  accept(world, by("bob", cancel_call{cid(1), "too slow"}));
  accept(world, tool_result{cid(1), "done"});
  const auto cancelled = of_action(audit(world), "call_answered");
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled[0].verdict == "cancelled");
  CHECK(cancelled[0].reason == "too slow");
  const auto late = of_action(audit(world), "late_result");
  REQUIRE(late.size() == 1);
  CHECK(late[0].subject == "s1:c1");
  CHECK_FALSE(late[0].details["result_digest"].get<std::string>().empty());
}

TEST_CASE("a call that a remembered decision let run is in the audit log") {
  sim::world world{1, {}};
  accept(world, propose_plan{script_plan(R"({"tool": "ask", "arguments": {"n": 1}},
                                            {"tool": "ask", "arguments": {"n": 2}})")});
  accept(world, approve_plan());
  auto remembered = approve(1);
  remembered.remember = decision_scope::tool;
  accept(world, remembered);
  accept(world, tool_result{cid(1), "done"});
  const auto entries = of_action(audit(world), "call_proposed");
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].subject == "s1:c2");
  CHECK(entries[0].verdict == "approve");
  CHECK(entries[0].details["ruled_by"] == "decision 1");
  CHECK(entries[0].details["arguments"] == json{{"n", 2}});
}

TEST_CASE("an outcome that somebody told has an entry, and one that the tool told has none") {
  sim::world world{1, options_with([](agent_registry&, tool_registry& tools) {
                     must(tools.add(server_tool("work")));
                     auto repeatable = server_tool("repeatable");
                     repeatable.idempotent = true;
                     must(tools.add(std::move(repeatable)));
                     auto limited = server_tool("limited");
                     limited.time_limit = 1min;
                     must(tools.add(std::move(limited)));
                   })};
  world.hold_tools(true);
  for (const auto* name : {"work", "repeatable"}) {
    accept(world, propose_plan{script_plan(R"({"tool": ")" + std::string{name} + "\"}")}, name);
    accept(world, approve_plan(), name);
    accept(world, decide_call{cid(1, name), call_verdict::approve}, name);
  }
  world.crash();
  wake(world, "work");
  wake(world, "repeatable");
  resolve_outcome resolution{cid(1, "work"), outcome_resolution::happened, "by hand"};
  resolution.reason = "I looked";
  accept(world, by("bob", resolution), "work");
  accept(world, propose_plan{script_plan(R"({"tool": "limited"})")}, "limited");
  accept(world, approve_plan(), "limited");
  accept(world, decide_call{cid(1, "limited"), call_verdict::approve}, "limited");
  world.advance(10min);
  world.hold_tools(false);
  world.run(); // it ends after all
  std::set<std::string> resolved_by;
  for (const auto* name : {"work", "repeatable", "limited"})
    for (const auto& one : facts<outcome_resolved>(world, name))
      resolved_by.insert(one.by);
  CHECK(resolved_by == std::set<std::string>{"bob", "idempotent", "tool"});
  const auto entries = of_action(audit(world, std::nullopt), "outcome_resolved");
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].by == "bob");
  CHECK(entries[0].reason == "I looked");
  CHECK(entries[0].details["tool"] == "work");
  CHECK(entries[0].details["answer"] == "by hand");
}

TEST_CASE("what is damaged is an entry of the audit log, and does not end it") {
  sim::world world{1, {}};
  for (const auto* session : {"a", "b", "c", "d"}) {
    accept(world, propose_plan{seed_plan()}, session);
    accept(world, by("ann", approve_plan()), session);
  }
  REQUIRE(audit(world, std::nullopt).size() == 4);
  const auto decision = [&](std::string_view session) {
    for (const auto& one : world.events(sid(session)))
      if (std::holds_alternative<plan_decided>(one.body))
        return one.number;
    return std::uint64_t{0};
  };
  const auto in_a = decision("a");
  REQUIRE(world.store().corrupt_event(1, in_a));
  REQUIRE(world.store().corrupt_record(2, plan_key(1)));
  REQUIRE(world.store().corrupt_record(3, head_key()));
  const auto entries = audit(world, std::nullopt);
  REQUIRE(entries.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(entries[i].action == "damaged");
    CHECK_FALSE(entries[i].details["damage"].get<std::string>().empty());
  }
  CHECK(entries[1].session == sid("b"));
  CHECK(entries[1].subject == "b:p1");
  CHECK(entries[1].by == "ann");
  CHECK(entries[1].details["event"] == "plan_decided");
  CHECK(entries[2].session.empty());
  CHECK(entries[3].action == "plan_decided");
  CHECK(entries[3].session == sid("d"));
  for (const std::size_t size : {1, 2, 3})
    CHECK(audit(world, std::nullopt, size) == entries);
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
  CHECK(std::count(all.begin(), all.end(), "call_answered s1:c3 rejected decision 1") == 1);

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

} // namespace history_test
