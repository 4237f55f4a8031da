// Tool calls: one result each, decided on as shown, answered in any order.

#include "support.hpp"

#include <algorithm>
#include <numeric>

namespace call_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A file of the outside world that the tool `write` replaces, which anybody else may change as
/// well.
struct outside_file {
  std::string content = "old";
  std::vector<std::string> keys;                 ///< Of the runs.
  std::optional<std::string> changed_before_use; ///< Written by somebody else just before a run.
};

tool write_tool(outside_file& file) {
  tool write;
  write.name = tid("write");
  write.schema =
      R"({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]})"_json;
  write.fingerprint = [&file](const json&, const std::filesystem::path&) -> result<std::string> {
    return "was " + file.content;
  };
  write.run = blocking_tool{[&file](const tool_context& context) -> result<json> {
    file.keys.push_back(context.idempotency_key);
    if (auto changed = std::exchange(file.changed_before_use, std::nullopt))
      file.content = *changed;
    if (context.approved_fingerprint && *context.approved_fingerprint != "was " + file.content)
      return make_error(errc::stale_approval, "the file has changed");
    file.content = context.arguments.at("text").get<std::string>();
    return json{{"wrote", file.content}};
  }};
  return write;
}

/// Throws what is no exception of anybody's when it looks at a file.
tool blind_tool() {
  tool made;
  made.name = tid("blind");
  made.fingerprint = [](const json&, const std::filesystem::path&) -> result<std::string> {
    throw 42;
  };
  made.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
  return made;
}

sim::world_options writing(outside_file& file) {
  return options_with(
      [&file](agent_registry&, tool_registry& tools) { must(tools.add(write_tool(file))); });
}

plan_spec writing_plan() {
  return plan(
      R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "write", "arguments": {"text": "new"}}]}]})");
}

/// Two steps: `width` client calls at once, then one more.
plan_spec wide_plan(int width) {
  std::string calls;
  for (int i = 0; i < width; ++i)
    calls += (i == 0 ? "" : ",") + std::string{R"({"tool": "ask", "arguments": {"n": )"}
             + std::to_string(i) + "}}";
  return plan(
      R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [{"id": "w", "steps": [{"calls": [)"
      + calls + R"(]}, {"tool": "ask", "arguments": {"all": {"$ref": "/steps/0"}}}]}]})");
}

void start(sim::world& world, const plan_spec& what, std::uint32_t revision = 1) {
  accept(world, propose_plan{what});
  accept(world, approve_plan(revision));
}

decide_call with_digest(decide_call decision, std::string digest) {
  decision.digest = std::move(digest);
  return decision;
}

coro::task<json> run_slowly(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, std::chrono::minutes{5});
  co_return json("done after all");
}

json nested(int depth) {
  json value = 1;
  for (int i = 0; i < depth; ++i)
    value = json::array({std::move(value)});
  return value;
}

} // namespace

TEST_CASE("P3: calls of one step are decided and answered in any order, and the next step comes "
          "after the last") {
  std::vector<std::uint64_t> order(4);
  std::iota(order.begin(), order.end(), 1);
  do {
    sim::world world{order[0] * 10 + order[1], {}};
    start(world, wide_plan(4));
    // Decided in one order, answered in the reverse one: the second step must wait for all.
    for (const auto call : order)
      accept(world, approve(call));
    CHECK(status_of(world).waiting.result == 4);
    for (auto call = order.rbegin(); call != order.rend(); ++call) {
      CHECK(facts<call_proposed>(world).size() == 4);
      accept(world, tool_result{cid(*call), "r" + std::to_string(*call)});
    }
    REQUIRE(facts<call_proposed>(world).size() == 5);
    CHECK(call_of(world, 5).arguments == json{{"all", {"r1", "r2", "r3", "r4"}}});
    accept(world, approve(5));
    accept(world, tool_result{cid(5), "end"});
    CHECK(state_of(world) == "completed");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("P5: one step's calls can wait for a decision and for a result at the same time, and "
          "each is counted") {
  sim::world world{1, {}};
  start(world, wide_plan(3));
  accept(world, approve(2));
  CHECK(status_of(world).waiting.decision == 2);
  CHECK(status_of(world).waiting.result == 1);
  accept(world, tool_result{cid(2), 1});
  CHECK(status_of(world).waiting.decision == 2);
  CHECK(status_of(world).waiting.result == 0);
  check_no_dead_end(world);
}

TEST_CASE("P4: unknown calls, calls of another session and calls that nobody approved are errors") {
  sim::world world{1, {}};
  start(world, wide_plan(2));
  accept(world, propose_plan{wide_plan(2)}, "s2");
  accept(world, approve_plan(), "s2");
  accept(world, approve(1));
  for (const auto& foreign : {cid(1, "s2"), cid(2, "s2"), cid(7), cid(0), cid(1, "s3")}) {
    CHECK(is(refuse_unchanged(world, tool_result{foreign, "x"}), errc::unknown_call));
    CHECK(is(refuse_unchanged(world, decide_call{foreign, call_verdict::approve}),
             errc::unknown_call));
    CHECK(is(refuse_unchanged(world, decide_call{foreign, call_verdict::reject}),
             errc::unknown_call));
    CHECK(is(refuse_unchanged(world, resolve_outcome{foreign, outcome_resolution::failed}),
             errc::unknown_call));
  }
  CHECK(is(refuse_unchanged(world, tool_result{cid(2), "x"}), errc::not_approved));
  CHECK(is(refuse_unchanged(world, tool_result{cid(1), "x"}, "nowhere"), errc::unknown_session));
}

TEST_CASE(
    "P4: the same result again gets the first receipt, and another one is refused, however late") {
  sim::world world{1, {}};
  start(world, wide_plan(2));
  accept(world, approve(1));
  const auto first = accept(world, tool_result{cid(1), json{{"price", 7}}});
  const auto ask_again = [&] {
    const auto before = world.store().fingerprint();
    const auto again = accept(world, tool_result{cid(1), json{{"price", 7}}});
    CHECK(again.kind == receipt_kind::duplicate);
    CHECK(again.event == first.event);
    CHECK(world.store().fingerprint() == before);
    CHECK(is(refuse_unchanged(world, tool_result{cid(1), json{{"price", 8}}}),
             errc::already_answered));
    CHECK(is(refuse_unchanged(world, tool_result{cid(1), json{{"price", 7}}, true}),
             errc::already_answered));
    CHECK(is(refuse_unchanged(world, resolve_outcome{cid(1), outcome_resolution::rerun}),
             errc::not_allowed));
    CHECK(accept(world, approve(1)).kind == receipt_kind::duplicate);
    CHECK(is(refuse_unchanged(world, reject(1, "no")), errc::already_decided));
  };
  CHECK(call_of(world, 1).answer_event == first.event);
  ask_again();
  world.crash();
  ask_again();
  accept(world, reject(2, "no"));
  ask_again();
  accept(world, reject(3, "no"));
  REQUIRE(state_of(world) == "completed");
  ask_again();
  start(world, wide_plan(1), 2);
  ask_again();
  world.advance(std::chrono::hours{1});
  REQUIRE(world.resident_sessions() == 0);
  ask_again();
  CHECK(facts<call_answered>(world).size() == 3);
}

TEST_CASE("P4: a rejected call has its result, and a real one comes too late") {
  sim::world world{1, {}};
  start(world, wide_plan(1));
  accept(world, reject(1, "no"));
  CHECK(is(refuse_unchanged(world, tool_result{cid(1), "x"}), errc::already_answered));
  CHECK(is(refuse_unchanged(world, approve(1)), errc::already_decided));
  CHECK(accept(world, reject(1, "no")).kind == receipt_kind::duplicate);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::rejected);
}

TEST_CASE("a result that reports an error is a failed one") {
  sim::world world{1, {}};
  start(world, wide_plan(1));
  accept(world, approve(1));
  accept(world, tool_result{cid(1), "out of stock", true});
  CHECK(call_of(world, 1).answer->outcome == call_outcome::failed);
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "w").error, "out of stock"));
}

TEST_CASE("P10: results and arguments over a limit are refused by name, and the call stays open") {
  sim::world_options options;
  options.limits.result_size_bytes = 100;
  options.limits.arguments_size_bytes = 100;
  sim::world world{1, options};
  start(world, wide_plan(1));
  const std::string large(101, 'x');
  const auto refused = [&](command body, std::string_view name) {
    const auto error = refuse_unchanged(world, std::move(body));
    CHECK(is(error, errc::limit_exceeded));
    CHECK(contains(message_of(error), name));
  };
  refused(edit(1, json{{"n", large}}), "arguments_size_bytes");
  refused(edit(1, json{{"n", nested(100)}}), "json_depth");
  accept(world, approve(1));
  refused(tool_result{cid(1), large}, "result_size_bytes");
  refused(tool_result{cid(1), nested(100)}, "json_depth");
  refused(resolve_outcome{cid(1), outcome_resolution::happened, nested(100)}, "json_depth");
  accept(world, tool_result{cid(1), "x"});
  world.crash();
  CHECK(state_of(world) == "waiting");
  accept(world, approve(2));
}

TEST_CASE(
    "P10: a tool that returns what no record can hold has failed, and the session stays readable") {
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool deep;
    deep.name = tid("deep");
    deep.run = blocking_tool{[](const tool_context&) -> result<json> { return nested(200); }};
    must(tools.add(std::move(deep)));
    tool wordy;
    wordy.name = tid("wordy");
    wordy.run = blocking_tool{[](const tool_context&) -> result<json> {
      return make_error(errc::tool_failed, std::string(5'000, 'x'));
    }};
    must(tools.add(std::move(wordy)));
  });
  options.policy = approval_policy::ask_for_plans();
  options.limits.text_size_bytes = 1'000;
  sim::world world{1, options};
  start(
      world,
      plan(
          R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "deep", "on_error": "continue"},
                      {"tool": "wordy", "on_error": "continue"}]}]})"));
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->content.at("error") == "limit_exceeded");
  CHECK(call_of(world, 2).answer->content.at("message").get<std::string>().size() == 1'000);
  world.crash();
  wake(world);
}

TEST_CASE("the default policy lets reading run freely and asks for the rest; others ask for all or "
          "for none") {
  const auto asked = [](approval_policy policy) {
    auto options = options_with([](agent_registry&, tool_registry& tools) {
      for (const auto* name : {"read_file", "list_files", "search_files", "write_file"}) {
        tool one;
        one.name = tid(name);
        one.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
        must(tools.add(std::move(one)));
      }
    });
    options.policy = std::move(policy);
    sim::world world{1, options};
    accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"calls": [
        {"tool": "read_file"}, {"tool": "list_files"}, {"tool": "search_files"}, {"tool": "write_file"}]}]}]})")});
    accept(world, approve_plan());
    std::vector<std::string> tools;
    for (const auto& item : pending_of(world))
      tools.push_back(item.tool->str());
    if (tools.empty())
      CHECK(state_of(world) == "completed");
    // Nobody has to decide what the policy allowed.
    for (std::uint64_t call = 1; call <= 4; ++call)
      if (call_of(world, call).status == call_status::answered)
        CHECK(is(refuse_unchanged(world, approve(call)), errc::already_decided));
    return tools;
  };
  using names = std::vector<std::string>;
  CHECK(asked(approval_policy::reads()) == names{"write_file"});
  CHECK(asked(approval_policy::ask_everything())
        == names{"read_file", "list_files", "search_files", "write_file"});
  CHECK(asked(approval_policy::ask_for_plans()).empty());
}

TEST_CASE("arguments that do not fit the schema are the agent's to correct: it sees a failed call, "
          "and nobody is asked") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
      {"tool": "write", "arguments": {"text": 5}, "on_error": "continue"}], "result": {"$ref": "/steps/0"}}]})"));
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result.at("error").at("error") == "invalid_arguments");
  CHECK(facts<call_decided>(world).empty());
  CHECK(file.keys.empty());
}

TEST_CASE("P9: edited arguments are validated like proposed ones, and the agent sees both") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto shown = pending_of(world).at(0);
  for (const auto& wrong : {R"({"text": 5})"_json, R"({})"_json, R"([])"_json, json{}})
    CHECK(is(refuse_unchanged(world, edit(1, wrong)), errc::invalid_arguments));
  accept(world, with_digest(edit(1, json{{"text", "edited"}}), shown.digest));
  CHECK(file.content == "edited");
  const auto call = call_of(world, 1);
  CHECK(call.proposed_arguments == json{{"text", "new"}});
  CHECK(call.digest != shown.digest);
  CHECK(accept(world, edit(1, json{{"text", "edited"}})).kind == receipt_kind::duplicate);
  CHECK(is(refuse_unchanged(world, edit(1, json{{"text", "other"}})), errc::already_decided));
}

TEST_CASE("P9: a decision with the digest of what is shown is taken, with any other one refused") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto shown = pending_of(world).at(0);
  CHECK(shown.fingerprint == "was old");
  CHECK(is(refuse_unchanged(world, with_digest(approve(1), std::string(64, '0'))),
           errc::stale_approval));
  CHECK(is(refuse_unchanged(world, with_digest(edit(1, json{{"text", "x"}}), "y")),
           errc::stale_approval));
  SECTION("the digest as shown") {
    accept(world, with_digest(approve(1), shown.digest));
  }
  SECTION("no digest: the recorded proposal") {
    accept(world, approve(1));
  }
  CHECK(file.content == "new");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P9: a digest is of one session, call, revision, tool version, arguments and content") {
  std::set<std::string> digests;
  const auto add = [&](std::string_view session, std::string content, std::uint32_t version,
                       const std::string& text, std::uint64_t seed) {
    outside_file file;
    file.content = std::move(content);
    auto options = options_with([&](agent_registry&, tool_registry& tools) {
      auto write = write_tool(file);
      write.version = version;
      must(tools.add(write));
    });
    sim::world world{seed, options};
    auto two = writing_plan();
    two.subtasks[0].steps[0] = {{"calls", json::array()}};
    for (int i = 0; i < 2; ++i)
      two.subtasks[0].steps[0]["calls"].push_back(
          {{"tool", "write"}, {"arguments", {{"text", text}}}});
    accept(world, propose_plan{two}, session);
    accept(world, revise_plan{two}, session);
    accept(world, approve_plan(2), session);
    for (const auto& item : pending_of(world, session))
      digests.insert(item.digest);
  };
  add("s1", "old", 1, "new", 1);
  CHECK(digests.size() == 2); // two calls
  add("s1", "old", 1, "new", 1);
  CHECK(digests.size() == 2); // the same again
  add("s2", "old", 1, "new", 1);
  add("s1", "old", 1, "new", 2); // another incarnation
  add("s1", "other", 1, "new", 1);
  add("s1", "old", 2, "new", 1);
  add("s1", "old", 1, "newer", 1);
  CHECK(digests.size() == 12);
}

TEST_CASE("P9: what changed between proposal and approval is not approved by an old digest") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto shown = pending_of(world).at(0);
  file.content = "theirs";
  // The old picture approves the old picture: at execution it does not fit, and the person is asked
  // again.
  accept(world, with_digest(approve(1), shown.digest));
  CHECK(file.content == "theirs");
  CHECK(state_of(world) == "waiting");
  const auto again = pending_of(world).at(0);
  CHECK(again.waiting_for == wait_cause::decision);
  CHECK(again.fingerprint == "was theirs");
  CHECK(again.digest != shown.digest);
  CHECK(is(refuse_unchanged(world, with_digest(approve(1), shown.digest)), errc::stale_approval));
  world.crash();
  accept(world, with_digest(approve(1), again.digest));
  CHECK(file.content == "new");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P9: edited arguments approve no content that came after what was shown") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto shown = pending_of(world).at(0);
  file.content = "theirs";
  const auto edited = json{{"text", "edited"}};
  accept(world,
         GENERATE(true, false) ? with_digest(edit(1, edited), shown.digest) : edit(1, edited));
  CHECK(file.content == "theirs");
  const auto again = pending_of(world).at(0);
  CHECK(again.waiting_for == wait_cause::decision);
  CHECK(again.fingerprint == "was theirs");
  CHECK(again.arguments == edited);
  accept(world, with_digest(approve(1), again.digest));
  CHECK(file.content == "edited");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P6: a fingerprint that throws fails its call") {
  sim::world world{1, options_with([](agent_registry&, tool_registry& tools) {
                     must(tools.add(blind_tool()));
                   })};
  start(world, plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "blind"}]}]})"));
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(status_of(world).subtasks.at(0).error, "fingerprint threw something"));
}

TEST_CASE("P9: a person who looked again approves what is there now") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto stale = pending_of(world).at(0);
  file.content = "theirs";
  // A prompt that shows the thing anew computes the same digest as an equal proposal would have.
  outside_file same;
  same.content = "theirs";
  sim::world twin{1, writing(same)};
  start(twin, writing_plan());
  const auto shown = pending_of(twin).at(0);
  REQUIRE(shown.digest != stale.digest);
  accept(world, with_digest(approve(1), shown.digest));
  CHECK(file.content == "new");
  CHECK(facts<call_asked_again>(world).empty());
}

TEST_CASE("P9: what changes between approval and execution is asked about again") {
  outside_file file;
  file.changed_before_use = "theirs";
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto shown = pending_of(world).at(0);
  accept(world, with_digest(approve(1), shown.digest));
  CHECK(file.content == "theirs");
  CHECK(status_of(world).waiting.decision == 1);
  CHECK(facts<call_asked_again>(world).size() == 1);
  const auto again = pending_of(world).at(0);
  CHECK(again.fingerprint == "was theirs");
  SECTION("approved: it runs again, under the same key") {
    accept(world, with_digest(approve(1), again.digest));
    CHECK(file.content == "new");
    REQUIRE(file.keys.size() == 2);
    CHECK(file.keys[0] == file.keys[1]);
    CHECK(call_of(world, 1).runs == 2);
  }
  SECTION("rejected: theirs stays") {
    accept(world, reject(1, "keep theirs"));
    CHECK(file.content == "theirs");
    CHECK(state_of(world) == "completed");
  }
}

TEST_CASE("P9: what is asked about again after its commit's acknowledgement was lost can still be "
          "approved") {
  outside_file file;
  file.changed_before_use = "theirs";
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  const auto asking = world.store().writes() + 2; // the claim, then what it came to
  world.store().on_write([=](std::uint64_t number) {
    return number == asking ? memory_fault::lose_ack : memory_fault::none;
  });
  accept(world, approve(1));
  wake(world);
  REQUIRE(status_of(world).waiting.decision == 1);
  accept(world, approve(1));
  CHECK(file.content == "new");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a fingerprint that throws fails the call and not the session") {
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool odd;
    odd.name = tid("odd");
    odd.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    odd.fingerprint = [](const json&, const std::filesystem::path&) -> result<std::string> {
      throw std::runtime_error("no such disk");
    };
    must(tools.add(std::move(odd)));
  });
  sim::world world{1, options};
  start(world, plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "odd"}]}]})"));
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "w").error, "no such disk"));
}

TEST_CASE("P8: the idempotency key is the session's incarnation and the call, so no two calls "
          "share one") {
  outside_file file;
  sim::world world{1, writing(file)};
  for (std::uint32_t revision = 1; revision <= 2; ++revision) {
    start(world, writing_plan(), revision);
    accept(world, approve(revision));
  }
  accept(world, propose_plan{writing_plan()}, "s2");
  accept(world, approve_plan(), "s2");
  accept(world, decide_call{cid(1, "s2"), call_verdict::approve}, "s2");
  REQUIRE(file.keys.size() == 3);
  CHECK(std::set<std::string>(file.keys.begin(), file.keys.end()).size() == 3);
  CHECK(contains(file.keys[1], "/s1:c2"));
}

TEST_CASE("P8: a tool starts after the commit that claims it, never before") {
  outside_file file;
  sim::world world{1, writing(file)};
  start(world, writing_plan());
  SECTION("the claim's commit fails: nothing runs") {
    world.store().fail_next(memory_fault::disk_full);
    CHECK(is(refuse(world, approve(1)), errc::disk_full));
    CHECK(file.keys.empty());
    CHECK(status_of(world).waiting.decision == 1);
    accept(world, approve(1));
    CHECK(file.keys.size() == 1);
  }
  SECTION("the process dies before the claim is stored: nothing has run, and the person is still "
          "asked") {
    world.store().fail_next(memory_fault::crash_before);
    (void)world.send(sid(), approve(1));
    world.run();
    REQUIRE(world.crashes() == 1);
    wake(world);
    CHECK(file.keys.empty());
    CHECK(status_of(world).waiting.decision == 1);
  }
}

TEST_CASE("a running coroutine tool is destroyed when its plan is cancelled, and nothing of it is "
          "heard any more") {
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool slow;
    slow.name = tid("slow");
    slow.run = coroutine_tool{run_slowly};
    must(tools.add(std::move(slow)));
  });
  sim::world world{1, options};
  start(world, plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "slow"}]}]})"));
  accept(world, approve(1));
  CHECK(state_of(world) == "running");
  CHECK(is(refuse_unchanged(world, tool_result{cid(1), "x"}), errc::not_allowed));
  CHECK(coro::live_frames() > 0);
  accept(world, cancel_plan{"enough"});
  CHECK(state_of(world) == "cancelled");
  CHECK(coro::live_frames() == 0);
  world.advance(std::chrono::minutes{10});
  CHECK(facts<late_result>(world).empty());
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  CHECK(state_of(world) == "cancelled");
}

TEST_CASE(
    "P6: every queued call gets its worker, also when one in the line does not need it any more") {
  int runs = 0;
  auto options = options_with([&runs](agent_registry&, tool_registry& tools) {
    tool dig;
    dig.name = tid("dig");
    dig.run = blocking_tool{[&runs](const tool_context&) -> result<json> { return ++runs; }};
    must(tools.add(std::move(dig)));
  });
  options.limits.blocking_threads = 1;
  options.policy = approval_policy::allow_everything();
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(seed);
    runs = 0;
    sim::world world{seed, options};
    std::vector<sim::ticket> sent;
    const auto digging = plan(
        R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"calls": [{"tool": "dig"}, {"tool": "dig"}]}]}]})");
    for (int i = 0; i < 6; ++i) {
      sent.push_back(world.send(sid("s" + std::to_string(i)), propose_plan{digging}));
      if (i % 2 == 1)
        sent.push_back(world.send(sid("s" + std::to_string(i)), cancel_plan{"no"}));
    }
    world.run();
    for (int i = 0; i < 6; ++i) {
      const auto state = state_of(world, "s" + std::to_string(i));
      CHECK((state == "completed" || (i % 2 == 1 && state == "cancelled")));
    }
  }
}

TEST_CASE("P6: a worker that a failed claim gives back goes to the next in line") {
  auto options = options_with([](agent_registry&, tool_registry& tools) {
    tool dig;
    dig.name = tid("dig");
    dig.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    must(tools.add(std::move(dig)));
  });
  options.limits.blocking_threads = 1;
  options.policy = approval_policy::ask_for_plans();
  const auto digging =
      plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "dig"}]}]})");
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    options.store = std::make_shared<memory_store>();
    sim::world world{seed, options};
    accept(world, propose_plan{digging}, "a");
    accept(world, propose_plan{digging}, "b");
    world.store().fail_next(memory_fault::io_error);
    const auto first = world.send(sid("a"), approve_plan());
    const auto second = world.send(sid("b"), approve_plan());
    // A commit has failed: the next in line hears of it a second later.
    world.advance(std::chrono::seconds{2});
    for (const auto& [id, ticket] : {std::pair{"a", first}, std::pair{"b", second}})
      CHECK(state_of(world, id) == (ticket.accepted() ? "completed" : "awaiting_plan_decision"));
  }
}

TEST_CASE("a call that was approved for a tool which this process does not run any more fails, and "
          "nothing else does") {
  outside_file file;
  auto now = std::make_shared<tool>(write_tool(file));
  auto options =
      options_with([now](agent_registry&, tool_registry& tools) { must(tools.add(*now)); });
  sim::world world{1, options};
  start(world, writing_plan());
  now->run = std::monostate{}; // the next process has it as a client tool
  world.crash();
  accept(world, approve(1));
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "w").error, "no tool write"));
  CHECK(file.keys.empty());
}

} // namespace call_test
