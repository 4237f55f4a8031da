// A runtime over the store, with real threads, while its database comes and goes.

#include "postgres_server.hpp"
#include "storage_helpers.hpp"

#include <fermata/actors/runtime.hpp>

#include <fermata_catch.hpp>

namespace postgres_runtime_test {

using namespace fermata;
using namespace fermata::test;

using namespace std::chrono_literals;

namespace {

coro::task<step> worker(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("look", {{"at", "it"}});
  co_return step::finish(ctx.tool_results()[0].answer.content);
}

/// Gives a command until it is not refused for the database's sake.
result<receipt> send_until_heard(const session_handle& session, const command& what) {
  for (;;) {
    auto answer = session.send(what).get();
    if (answer || !(is(answer.error(), errc::io_error) || is(answer.error(), errc::internal)))
      return answer;
  }
}

} // namespace

TEST_CASE("P1: a runtime whose database is lost for a while refuses, loses nothing, and goes on") {
  postgres_server server;
  auto where = server.new_store();
  must(postgres_store::open(where)).reset(); // to make it may take longer
  where.timeout = 1s;
  runtime_options options;
  options.store = must(postgres_store::open(where));
  options.policy = approval_policy::allow_everything();
  runtime rt{options};
  REQUIRE_FALSE(rt.agents().add("worker", worker));
  rt.start();
  const auto plan = must(parse_plan(
      R"({"goal": "Outlive", "tools": {"look": {"kind": "client"}},
          "subtasks": [{"id": "one", "agent": "worker"}, {"id": "two", "agent": "worker"}]})"));
  const auto session = rt.session(named("s"));
  must(session.send(propose_plan{plan}).get());
  must(session.wait_until_paused(60s));
  server.stop();
  const auto refused = session.send(tool_result{call_id{named("s"), 1}, "first"}).get();
  CHECK(is(refused.error(), errc::io_error));
  server.start();
  must(send_until_heard(session, tool_result{call_id{named("s"), 1}, "first"}));
  must(session.wait_until_paused(60s));
  server.kill();
  server.start();
  must(send_until_heard(session, tool_result{call_id{named("s"), 2}, "second"}));
  must(session.wait_until_paused(60s));
  CHECK(must(session.status()).state == session_state::completed);
}

} // namespace postgres_runtime_test
