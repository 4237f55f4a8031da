// The tables of the session core: every command in every state, and every transition of random
// whole runs.

#include "support.hpp"

#include <fermata/actors/core/transitions.hpp>

#include <map>
#include <optional>

namespace core_table_test {

using namespace fermata;
using namespace fermata::test;

namespace {

coro::task<step> sleeper(step_context& ctx) {
  co_await coro::delay(ctx.self, std::chrono::hours{1});
  co_return step::finish("slept");
}

coro::task<step> faulty(step_context&) {
  co_return step::fail("as always");
}

/// Sleeps durably, once.
coro::task<step> napper(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep(std::chrono::minutes{30});
  co_return step::finish("rested");
}

coro::task<step> asker(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::ask("How many?", {{"type", "integer"}}, std::chrono::hours{20});
  co_return step::finish(ctx.tool_results()[0].answer.content);
}

/// Fails in a way that may pass, until its third attempt.
coro::task<step> retrier(step_context& ctx) {
  if (ctx.attempt < 3)
    co_return step::fail_retryable("not yet");
  co_return step::finish(ctx.attempt);
}

/// Proposes another plan, once; hands over to another agent when that is rejected.
coro::task<step> proposer(step_context& ctx) {
  if (!ctx.transcript.empty())
    co_return step::hand_over("napper", "I give up");
  plan_spec other;
  other.goal = "better";
  other.subtasks.emplace_back().id = stid("t0");
  other.subtasks.back().agent = *agent_name::parse("asker");
  co_return step::propose(std::move(other));
}

coro::task<step> planner(step_context& ctx) {
  plan_spec made;
  made.goal = ctx.goal;
  made.subtasks.emplace_back().id = stid("t0");
  made.subtasks.back().agent = *agent_name::parse("napper");
  co_return step::propose(std::move(made));
}

sim::world_options table_options() {
  return options_with([](agent_registry& agents, tool_registry&) {
    must(agents.add("sleeper", sleeper));
    must(agents.add("faulty", faulty));
    must(agents.add("napper", napper));
    must(agents.add("asker", asker));
    must(agents.add("retrier", retrier));
    must(agents.add("proposer", proposer));
    must(agents.add("planner", planner));
  });
}

/// A point in virtual time that is far ahead, and not too far.
constexpr timestamp later{std::chrono::sys_days{std::chrono::year{2032} / 1 / 1}};

plan_spec plan_of(std::string_view subtask) {
  return plan(R"({"goal": "g", "tools": {"ask_shop": {"kind": "client"}}, "subtasks": [)"
              + std::string{subtask} + "]}");
}

plan_spec easy_plan() {
  return plan_of(R"({"id": "first", "result": 1})");
}

void propose_and_approve(sim::world& world, std::string_view subtask) {
  accept(world, propose_plan{plan_of(subtask)});
  accept(world, approve_plan());
}

constexpr auto faulty_subtask = R"({"id": "first", "agent": "faulty"})";

/// Brings session s1 into a state. False: no history leads there.
bool reach(sim::world& world, session_state state) {
  switch (state) {
  case session_state::idle:
    return false;
  case session_state::suspended:
    propose_and_approve(world, R"({"id": "first", "steps": [{"tool": "ask_shop"}]})");
    accept(world, suspend_session{"lunch"});
    break;
  case session_state::planning:
    accept(world, propose_plan{easy_plan()});
    accept(world, decide_plan{1, plan_verdict::modify});
    break;
  case session_state::awaiting_plan_decision:
    accept(world, propose_plan{easy_plan()});
    break;
  case session_state::running:
    propose_and_approve(world, R"({"id": "first", "agent": "sleeper"})");
    break;
  case session_state::waiting:
    propose_and_approve(world, R"({"id": "first", "steps": [{"tool": "ask_shop"}]})");
    break;
  case session_state::needs_attention:
    propose_and_approve(world, faulty_subtask);
    break;
  case session_state::completed:
    propose_and_approve(world, R"({"id": "first", "result": 1})");
    break;
  case session_state::failed:
    propose_and_approve(world, faulty_subtask);
    accept(world, fail_plan{"enough"});
    break;
  case session_state::cancelled:
    accept(world, propose_plan{easy_plan()});
    accept(world, cancel_plan{"no"});
    break;
  case session_state::rejected:
    accept(world, propose_plan{easy_plan()});
    accept(world, decide_plan{1, plan_verdict::reject});
    break;
  }
  return true;
}

std::vector<command> one_of_each() {
  return {propose_plan{easy_plan()},
          revise_plan{easy_plan()},
          approve_plan(),
          approve(1),
          tool_result{cid(1), "x"},
          resolve_outcome{cid(1), outcome_resolution::failed},
          retry_subtask{stid("first")},
          skip_subtask{stid("first")},
          fail_plan{"enough"},
          cancel_plan{"no"},
          answer_question{cid(1), 1},
          cancel_call{cid(1), "no"},
          cancel_subtask{stid("first"), "no"},
          suspend_session{"lunch"},
          resume_session{},
          set_deadline{later},
          post_message{"hello"},
          decide_calls{{approve(1)}},
          forget_decision{1},
          delete_session{},
          trim_history{1}};
}

/// What becomes of a command that the table allows: nothing, or the error of what it names.
std::optional<errc> expected_error(session_state state, std::string_view command) {
  const bool waiting = state == session_state::waiting || state == session_state::suspended;
  if (command == decide_plan::type) {
    if (state == session_state::planning || state == session_state::rejected)
      return errc::already_decided;
    if (state == session_state::cancelled)
      return errc::superseded;
    return std::nullopt;
  }
  if (command == forget_decision::type)
    return errc::unknown_decision;
  if (command == decide_call::type || command == decide_calls::type)
    return waiting ? std::nullopt : std::optional{errc::unknown_call};
  if (command == tool_result::type)
    return waiting ? errc::not_approved : errc::unknown_call;
  if (command == resolve_outcome::type || command == answer_question::type)
    return waiting ? errc::not_allowed : errc::unknown_call;
  if (command == cancel_call::type)
    return waiting ? std::nullopt : std::optional{errc::unknown_call};
  if (command == post_message::type && accepts_new_plan(state))
    return errc::not_allowed; // there is no planner
  if ((state == session_state::awaiting_plan_decision || state == session_state::planning)
      && (command == cancel_subtask::type || command == set_deadline::type))
    return errc::not_allowed; // the first plan is not in force
  if (command == retry_subtask::type || command == skip_subtask::type)
    return state == session_state::needs_attention ? std::nullopt
                                                   : std::optional{errc::not_allowed};
  return std::nullopt;
}

std::string allowed_list(session_state state) {
  std::string list;
  for (const auto& rule : core::command_rules)
    if (rule.allowed[static_cast<std::size_t>(state)])
      list += (list.empty() ? "" : ", ") + std::string{rule.command};
  return list;
}

/// Replays a session's events against the transition tables, without the core's own code.
class history {
public:
  void check(const std::vector<event>& events) {
    for (const auto& one : events) {
      INFO("event " << one.number << " " << name_of(one.body));
      CHECK(one.number == ++last_number_);
      std::visit([this](const auto& fact) { take(fact); }, one.body);
    }
  }

  [[nodiscard]] session_state state() const { return state_; }
  [[nodiscard]] const std::map<std::uint64_t, call_status>& calls() const { return calls_; }

private:
  template <class Fact>
  void take(const Fact&) {}

  void take(const session_created&) { CHECK(last_number_ == 1); }
  void take(const plan_proposed& fact) {
    CHECK(fact.revision == ++revisions_);
    plans_[fact.revision] = plan_status::draft;
    by_agent_[fact.revision] = !fact.planner.empty();
  }
  void take(const plan_decided& fact) {
    if (fact.verdict == plan_verdict::modify) {
      CHECK(plans_.at(fact.revision) == plan_status::draft);
      if (by_agent_.at(fact.revision))
        move_plan(fact.revision, plan_status::cancelled);
      return;
    }
    move_plan(fact.revision, fact.verdict == plan_verdict::approve ? plan_status::approved
                                                                   : plan_status::rejected);
    if (fact.verdict == plan_verdict::approve) {
      for (auto& [revision, status] : plans_)
        if (status == plan_status::in_progress
            || (status == plan_status::approved && revision != fact.revision))
          status = plan_status::cancelled; // replaced
      active_ = fact.revision;
      // What is under way may go on in the revision, if it is unchanged.
      std::erase_if(subtasks_, [](const auto& one) {
        return one.second != subtask_status::running && one.second != subtask_status::backing_off;
      });
      for (const auto& [id, status] : subtasks_)
        perhaps_kept_.insert(id);
    }
  }
  void take(const plan_started& fact) { move_plan(fact.revision, plan_status::in_progress); }
  void take(const plan_ended& fact) {
    move_plan(fact.revision, fact.status);
    if (fact.revision != active_)
      return;
    if (fact.status == plan_status::completed) {
      CHECK((running_.empty() || perhaps_kept_.contains(running_)));
      for (const auto& [id, status] : subtasks_)
        CHECK((perhaps_kept_.contains(id) || status == subtask_status::done
               || status == subtask_status::skipped));
    }
    running_.clear();
    subtasks_.clear();
    perhaps_kept_.clear();
  }
  void take(const subtask_started& fact) {
    if (perhaps_kept_.contains(running_))
      running_.clear();      // it was not
    CHECK(running_.empty()); // P3: one at a time
    move_subtask(fact.subtask, subtask_status::running);
    running_ = fact.subtask.str();
  }
  void take(const subtask_finished& fact) { end(fact.subtask, subtask_status::done); }
  void take(const subtask_failed& fact) {
    end(fact.subtask, fact.retry_at ? subtask_status::backing_off : subtask_status::failed);
  }
  void take(const subtask_cancelled& fact) { end(fact.subtask, subtask_status::cancelled); }
  void take(const subtask_slept& fact) { CHECK(fact.subtask.str() == running_); }
  void take(const subtask_woke& fact) { CHECK(fact.subtask.str() == running_); }
  void take(const subtask_blocked& fact) { move_subtask(fact.subtask, subtask_status::blocked); }
  void take(const subtask_unblocked& fact) { move_subtask(fact.subtask, subtask_status::pending); }
  void take(const subtask_retried& fact) { move_subtask(fact.subtask, subtask_status::pending); }
  void take(const subtask_skipped& fact) { move_subtask(fact.subtask, subtask_status::skipped); }
  void take(const call_proposed& fact) {
    CHECK(fact.subtask.str() == running_);
    CHECK(fact.call == calls_.size() + 1);
    calls_[fact.call] = fact.status;
    answered_at_once_ = fact.status == call_status::answered ? fact.call : 0;
  }
  void take(const call_decided& fact) {
    if (fact.verdict != call_verdict::reject && fact.verdict != call_verdict::respond)
      move_call(fact.call, fact.status);
  }
  void take(const call_backed_off& fact) { move_call(fact.call, call_status::backing_off); }
  void take(const call_requeued& fact) { move_call(fact.call, call_status::queued); }
  void take(const call_claimed& fact) { move_call(fact.call, call_status::claimed); }
  void take(const call_asked_again& fact) { move_call(fact.call, call_status::awaiting_decision); }
  void take(const outcome_unknown& fact) { move_call(fact.call, call_status::awaiting_outcome); }
  void take(const outcome_resolved& fact) {
    if (fact.resolution == outcome_resolution::rerun)
      move_call(fact.call, call_status::queued);
  }
  void take(const call_answered& fact) {
    // What cannot or must not run is proposed as answered; its answer is the next event.
    if (std::exchange(answered_at_once_, 0) != fact.call)
      move_call(fact.call, call_status::answered);
  }
  void take(const late_result& fact) { CHECK(calls_.at(fact.call) == call_status::answered); }
  void take(const state_changed& fact) {
    CHECK(fact.from == state_);
    CHECK(fact.to != state_);
    state_ = fact.to;
  }

  void end(const subtask_id& id, subtask_status status) {
    // One that does not run can only be cancelled, or fail at its deadline.
    if (status == subtask_status::done || status == subtask_status::backing_off)
      CHECK(id.str() == running_);
    if (id.str() == running_) {
      running_.clear();
      for (const auto& [number, call] : calls_)
        CHECK(call == call_status::answered); // P3: with its results seen
    }
    move_subtask(id, status);
  }
  void move_plan(std::uint32_t revision, plan_status to) {
    CHECK(core::allows(core::plan_transitions, plans_.at(revision), to));
    plans_[revision] = to;
  }
  void move_subtask(const subtask_id& id, subtask_status to) {
    auto& status = subtasks_[id.str()];
    if (perhaps_kept_.erase(id.str()) > 0 && !core::allows(core::subtask_transitions, status, to))
      status = subtask_status::pending; // it was not
    CHECK(core::allows(core::subtask_transitions, status, to));
    status = to;
  }
  void move_call(std::uint64_t call, call_status to) {
    CHECK(core::allows(core::call_transitions, calls_.at(call), to));
    calls_[call] = to;
  }

  std::uint64_t last_number_ = 0;
  std::uint32_t revisions_ = 0;
  session_state state_ = session_state::idle;
  std::map<std::uint32_t, plan_status> plans_;
  std::map<std::uint32_t, bool> by_agent_;
  std::uint32_t active_ = 0;
  std::set<std::string> perhaps_kept_;
  std::map<std::string, subtask_status> subtasks_; // of the plan in force; absent: pending
  std::uint64_t answered_at_once_ = 0;
  std::map<std::uint64_t, call_status> calls_;
  std::string running_;
};

/// Fails every third time; what it does is counted by key.
struct workshop {
  std::map<std::string, int> effects;
  int runs = 0;
};

tool work_tool(workshop& of) {
  tool work;
  work.name = tid("work");
  work.run = blocking_tool{[&of](const tool_context& context) -> result<json> {
    ++of.effects[context.idempotency_key];
    if (++of.runs % 3 == 0)
      return make_error(errc::tool_failed, "the third time it fails");
    return json{{"run", of.runs}};
  }};
  return work;
}

/// Is not available every other time, and is tried again.
tool flaky_tool(workshop& of) {
  tool flaky;
  flaky.name = tid("flaky");
  flaky.retry = retry_policy{3, std::chrono::seconds{10}, std::chrono::minutes{10}};
  flaky.run = blocking_tool{[&of](const tool_context& context) -> result<json> {
    ++of.effects[context.idempotency_key];
    if (++of.runs % 2 == 0)
      return make_error(errc::tool_unavailable, "try again later");
    return json{{"run", of.runs}};
  }};
  return flaky;
}

plan_spec random_plan(sim::seeded_random& random) {
  static const std::vector<std::string> shapes{
      R"("steps": [{"tool": "work"}])",
      R"("steps": [{"calls": [{"tool": "work"}, {"tool": "ask_shop"}]}])",
      R"("steps": [{"tool": "ask_shop"}, {"tool": "read_file"}])",
      R"("steps": [{"tool": "flaky"}])",
      R"("agent": "faulty")",
      R"("agent": "sleeper")",
      R"("agent": "napper")",
      R"("agent": "asker")",
      R"("agent": "proposer")",
      R"("agent": "retrier", "retry": {"max_attempts": 4, "initial_backoff_ms": 60000})",
      R"("agent": "sleeper", "time_limit_ms": 600000)",
      R"("result": 1)",
  };
  std::string subtasks;
  const auto count = 2 + random.below(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    subtasks += (i == 0 ? "" : ", ") + std::string{R"({"id": "t)"} + std::to_string(i) + R"(", )"
                + shapes[random.below(shapes.size())];
    if (i > 0 && random.below(2) == 0)
      subtasks += R"(, "depends_on": ["t)" + std::to_string(random.below(i)) + R"("])";
    subtasks += "}";
  }
  return plan(
      R"({"goal": "g", "tools": {"ask_shop": {"kind": "client"}, "read_file": {"kind": "client"}}, "subtasks": [)"
      + subtasks + "]}");
}

/// Somebody who does whatever comes to mind, sensible or not.
command random_command(sim::seeded_random& random, sim::world& world) {
  const auto call = [&] {
    const auto pending = query_pending(world.store(), sid());
    if (pending && !pending->empty() && random.below(4) != 0)
      if (const auto id = call_id::parse((*pending)[random.below(pending->size())].id))
        return *id;
    return cid(1 + random.below(12));
  };
  const auto subtask = [&] { return stid("t" + std::to_string(random.below(6))); };
  const auto revision = [&] {
    std::uint32_t last = 1;
    for (const auto& one : world.events(sid()))
      if (const auto* proposed = std::get_if<plan_proposed>(&one.body))
        last = proposed->revision;
    return random.below(5) == 0 ? last + 1 - static_cast<std::uint32_t>(random.below(3)) : last;
  };
  switch (random.below(34)) {
  case 0:
    return propose_plan{random_plan(random)};
  case 1:
    return revise_plan{random_plan(random)};
  case 2:
    return decide_plan{revision(), plan_verdict::reject};
  case 3:
    return decide_plan{revision(), plan_verdict::modify};
  case 4:
  case 5:
    return approve_plan(revision());
  case 6:
    return decide_call{call(), call_verdict::reject};
  case 7: {
    decide_call edited{call(), call_verdict::edit};
    edited.arguments = {{"n", random.below(3)}};
    return edited;
  }
  case 8:
  case 9:
  case 10:
    return decide_call{call(), call_verdict::approve};
  case 11:
  case 12:
  case 13:
    return tool_result{call(), random.below(2), random.below(4) == 0};
  case 14:
    return resolve_outcome{call(), static_cast<outcome_resolution>(random.below(3)), "said"};
  case 15:
  case 16:
    return retry_subtask{subtask()};
  case 17:
    return skip_subtask{subtask()};
  case 18:
    return fail_plan{"enough"};
  case 19:
  case 20:
  case 21:
    return answer_question{call(), random.below(4) == 0 ? json("many") : json(random.below(3))};
  case 22:
    return cancel_call{call(), "no need"};
  case 23:
    return cancel_subtask{subtask(), "no need"};
  case 24: {
    suspend_session suspended{"lunch"};
    if (random.below(2) == 0)
      suspended.until = world.now() + std::chrono::hours{1};
    return suspended;
  }
  case 25:
  case 26:
    return resume_session{};
  case 27: {
    set_deadline deadline{world.now() + std::chrono::hours{3}};
    if (random.below(2) == 0)
      deadline.subtask = subtask();
    return deadline;
  }
  case 28:
  case 29:
    return post_message{"hello"};
  case 30: {
    decide_call response{call(), call_verdict::respond};
    response.content = {{"by", "hand"}};
    return response;
  }
  case 31: {
    decide_calls several;
    for (const auto verdict : {call_verdict::approve, call_verdict::reject})
      several.decisions.emplace_back(call(), verdict);
    several.decisions.front().remember = static_cast<decision_scope>(random.below(3));
    return several;
  }
  case 32:
    return forget_decision{1 + random.below(3)};
  default:
    return random.below(3) == 0 ? command{cancel_plan{"no"}} : command{approve_plan(revision())};
  }
}

} // namespace

TEST_CASE("every command in every state does what the table says, or says what is allowed and "
          "changes nothing") {
  std::size_t pairs = 0;
  for (std::size_t s = 0; s < enum_names(session_state{}).size(); ++s) {
    const auto state = static_cast<session_state>(s);
    for (const auto& body : one_of_each()) {
      CAPTURE(enum_name(state), name_of(body));
      ++pairs;
      sim::world world{1, table_options()};
      if (!reach(world, state)) {
        // Before its first plan a session is not there at all.
        const auto sent = world.send(sid(), body);
        world.run();
        REQUIRE(sent.answer());
        const bool begins = std::holds_alternative<propose_plan>(body);
        CHECK(sent.accepted() == begins);
        if (!begins)
          CHECK(is(sent.answer()->error(), errc::unknown_session));
        CHECK(query_sessions(world.store())->size() == (begins ? 1 : 0));
        continue;
      }
      REQUIRE(status_of(world).state == state);
      const auto before = world.store().fingerprint();
      const auto sent = world.send(sid(), body);
      world.run();
      REQUIRE(sent.answer());
      if (!core::allows(state, name_of(body))) {
        REQUIRE_FALSE(sent.accepted());
        const auto& error = sent.answer()->error();
        CHECK(is(error, std::holds_alternative<propose_plan>(body) ? errc::session_busy
                                                                   : errc::not_allowed));
        CHECK(message_of(error)
              == std::string{name_of(body)} + " refused: the session is " + enum_name(state)
                     + "; allowed are " + allowed_list(state));
      } else if (const auto expected = expected_error(state, name_of(body))) {
        REQUIRE_FALSE(sent.accepted());
        CHECK(is(sent.answer()->error(), *expected));
        CHECK_FALSE(contains(message_of(sent.answer()->error()), "allowed are"));
      } else {
        REQUIRE(sent.accepted());
        if ((*sent.answer())->kind == receipt_kind::accepted)
          CHECK(world.store().fingerprint() != before);
      }
      if (!sent.accepted())
        CHECK(world.store().fingerprint() == before);
      if (sent.accepted() && std::holds_alternative<delete_session>(body))
        CHECK(is(world.status(sid()).error(), errc::unknown_session));
      else
        check_no_dead_end(world);
    }
  }
  CHECK(pairs == core::command_rules.size() * enum_names(session_state{}).size());
}

TEST_CASE("the error of a command that does not fit lists something to do in every state") {
  for (std::size_t s = 0; s < enum_names(session_state{}).size(); ++s)
    CHECK_FALSE(allowed_list(static_cast<session_state>(s)).empty());
}

TEST_CASE("P4 P5 P6: whatever people do, and whenever the process dies, every event fits the "
          "transition tables, no effect is repeated silently, and there is no dead end") {
  std::set<session_state> visited;
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    workshop works;
    auto options = table_options();
    options.setup = [&works, basic = options.setup](agent_registry& agents, tool_registry& tools) {
      basic(agents, tools);
      must(tools.add(work_tool(works)));
      must(tools.add(flaky_tool(works)));
    };
    options.planner = *agent_name::parse("planner");
    options.policy.prefer(
        policy_rule::for_tools("work", policy_action::ask).expiring(std::chrono::hours{5}));
    options.policy.prefer(
        policy_rule::for_plans(policy_action::ask).expiring(std::chrono::hours{50}));
    sim::world world{seed, options};
    sim::seeded_random random{seed * 7919};
    accept(world, propose_plan{random_plan(random)});
    for (int i = 0; i < 60; ++i) {
      const auto before = world.store().fingerprint();
      const auto body = random_command(random, world);
      const auto sent = world.send(sid(), body);
      world.run();
      CAPTURE(i, name_of(body));
      REQUIRE(sent.answer());
      if (!sent.accepted())
        CHECK(world.store().fingerprint() == before);
      switch (random.below(12)) {
      case 0:
        world.crash();
        wake(world);
        break;
      case 1:
        world.restart();
        wake(world);
        break;
      case 2:
        world.advance(std::chrono::hours{2});
        break;
      default:
        break;
      }
      check_no_dead_end(world);
      visited.insert(status_of(world).state);
    }
    const auto events = world.events(sid());
    history replayed;
    replayed.check(events);
    CHECK(replayed.state() == status_of(world).state);
    for (const auto& [number, status] : replayed.calls())
      CHECK(call_of(world, number).status == status);
    for (const auto& [key, times] : works.effects) {
      // An effect is repeated only after somebody said `rerun`.
      const auto call = call_id::parse(key.substr(key.find('/') + 1));
      REQUIRE(call);
      int allowed = 1;
      for (const auto& one : facts<outcome_resolved>(world))
        allowed += one.call == call->number() && one.resolution == outcome_resolution::rerun;
      for (const auto& one : facts<call_requeued>(world))
        allowed += one.call == call->number();
      CHECK(times <= allowed);
    }
    for (const auto& name : types(events))
      seen.insert(name);
    CHECK(world.store().verify().sound());
  }
  CHECK(coro::live_frames() == 0);
  // The walk goes everywhere: every reachable state, and all that can happen.
  CHECK(visited.size() == enum_names(session_state{}).size() - 1);
  CHECK(seen.size() >= 30);
}

} // namespace core_table_test
