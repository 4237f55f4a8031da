// Side effects: tools that the runtime runs, and a process that dies in the middle of three of
// them.
#include "../narrator.hpp"

#include <fermata/actors/coro/delay.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <caf/event_based_actor.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <mutex>

using namespace fermata;
using namespace fermata::example;
using namespace std::chrono_literals;

namespace {

constexpr auto plan_text = R"({"goal": "Release 1.0", "subtasks": [
  {"id": "build", "steps": [{"tool": "compile", "arguments": {}},
                            {"tool": "measure", "arguments": {}},
                            {"tool": "hang", "arguments": {}, "on_error": "continue"}],
   "result": {"$ref": "/steps/1"}},
  {"id": "publish", "depends_on": ["build"], "steps": [{"calls": [
    {"tool": "upload", "arguments": {}}, {"tool": "announce", "arguments": {}},
    {"tool": "tag", "arguments": {}}]}]}]})";

// A blocking function, for which there is a bounded pool of threads.
result<json> compile(const tool_context& ctx) {
  if (ctx.run == 1) // it is tried again after a while
    return make_error(errc::tool_unavailable, "the compile farm is busy");
  ctx.progress("compiled");
  return json{{"objects", 42}};
}

// A coroutine: it waits without a thread.
coro::task<json> measure(caf::event_based_actor* self, const tool_context& ctx) {
  for (int round = 1; round <= 3; ++round) {
    co_await coro::delay(self, 1ms);
    ctx.progress("measured round " + std::to_string(round));
  }
  co_return json{{"milliseconds", 17}};
}

coro::task<json> hang(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, 1h);
  co_return nullptr;
}

// What the world outside sees of a call: a file by the name of its idempotency key.
std::filesystem::path trace_of(const tool_context& ctx) {
  return ctx.workspace / ctx.idempotency_key;
}

// With `doom` the process dies when three tools have had their effect, before one of them says so.
result<json> act(const tool_context& ctx, std::latch* doom) {
  std::filesystem::create_directories(trace_of(ctx).parent_path());
  std::ofstream{trace_of(ctx), std::ios::app} << "done\n";
  if (doom != nullptr) {
    doom->arrive_and_wait();
    std::_Exit(9);
  }
  return json("done");
}

// Only looks; then nobody need be asked what became of a call.
result<reconciliation> find_out(const tool_context& ctx) {
  return std::filesystem::exists(trace_of(ctx)) ? reconciliation::happened("done, as it turns out")
                                                : reconciliation::did_not_happen();
}

void add_tools(tool_registry& tools, std::latch* doom) {
  const auto add = [&](const char* called, decltype(tool::run) run, auto adjust) {
    tool added;
    added.name = must(tool_name::parse(called));
    added.run = std::move(run);
    adjust(added);
    must(tools.add(std::move(added)));
  };
  const blocking_tool effect = [doom](const tool_context& ctx) { return act(ctx, doom); };
  add("compile", blocking_tool{compile}, [](tool& it) { it.retry = {3, 10ms, 100ms}; });
  add("measure", coroutine_tool{measure}, [](tool&) {});
  add("hang", coroutine_tool{hang}, [](tool& it) { it.time_limit = 50ms; });
  add("upload", effect, [](tool& it) { it.reconcile = find_out; });
  add("announce", effect, [](tool&) {});
  add("tag", effect, [](tool& it) { it.idempotent = true; }); // a tag is there once, however often
}

runtime_options options_for(const std::filesystem::path& folder) {
  runtime_options options;
  options.store = must(lmdb_store::open(folder / "store"));
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  for (const auto* tool : {"compile", "measure", "hang"})
    options.policy.prefer(policy_rule::for_tools(tool, policy_action::allow));
  return options;
}

void live_and_die(const std::filesystem::path& folder) {
  std::latch doom{3};
  std::mutex mutex;
  std::string progress;
  auto options = options_for(folder);
  options.on_live = [&](const live_update& shown) {
    const std::lock_guard lock{mutex};
    progress += "   ~ " + shown.content.get<std::string>() + "\n";
  };
  runtime rt{options};
  add_tools(rt.tools(), &doom);
  rt.start();
  const auto session = rt.session(must(session_id::parse("release")));
  must(session.send(propose_plan{must(parse_plan(plan_text)), folder}).get());
  narrator{session}.tell_until<subtask_finished>();
  std::cout << progress;
  heading("all three calls are approved, and start");
  for (const auto& item : must(query_pending(rt.store(), session.id())))
    must(session.send(decide_call{must(call_id::parse(item.id)), call_verdict::approve}).get());
  (void)session.wait_until_paused(1min); // it does not come to rest any more
}

void go_on(const std::filesystem::path& folder) {
  auto options = options_for(folder);
  options.limits.blocking_threads = 1; // one after the other, to print the same each time
  runtime rt{options};
  add_tools(rt.tools(), nullptr);
  rt.start();
  const auto session = rt.session(must(session_id::parse("release")));
  narrator story{session, must(session.status()).events + 1};
  must(session.wake().get());
  expect(story.tell_sorted().waiting.outcome == 1,
         "one call needs somebody who says what became of it");
  heading("somebody has looked, and says that the announcement was made");
  const auto asked = must(query_pending(rt.store(), session.id())).at(0);
  resolve_outcome outcome{must(call_id::parse(asked.id)), outcome_resolution::happened, "seen"};
  outcome.by = "ann";
  must(session.send(outcome).get());
  expect(story.tell().state == session_state::completed, "the release is complete");
}

} // namespace

int main(int count, char** values) try {
  if (count != 2 || std::filesystem::exists(values[1])) {
    std::cerr << "usage: effects FOLDER (which is made)\n";
    return 2;
  }
  const auto folder = std::filesystem::absolute(values[1]);
  heading("a process begins");
  const auto child = ::fork();
  if (child == 0) {
    live_and_die(folder);
    return 1;
  }
  int status = 0;
  expect(::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9,
         "the first process died in the middle of its tools");
  heading("it died; another process goes on");
  go_on(folder);
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
