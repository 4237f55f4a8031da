// Following a session from another process.
#include "sandbox.hpp"
#include "scripted_service.hpp"

#include <fermata/messages/chunk.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <fermata_catch.hpp>

#include <csignal>
#include <sstream>

namespace watch_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session `s` that waits for the approval of its plan after three events.
void stop_at_plan(const sandbox& box) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"}).status == 3);
}

json said_chunk(std::uint64_t number, std::string text) {
  event happened;
  happened.number = number;
  agent_said said;
  said.subtask = *subtask_id::parse("first");
  said.text = std::move(text);
  happened.body = std::move(said);
  return to_json(chunk{*session_id::parse("s"), std::move(happened)});
}

json text_update(std::string_view part) {
  return {{"kind", "text"}, {"subtask", "first"}, {"content", part}};
}

} // namespace

TEST_CASE("without a service watch shows what is recorded, and what other commands add") {
  const sandbox box;
  stop_at_plan(box);
  child watcher{box.invocation({"watch", "s", "--from", "2", "--json"})};
  REQUIRE(watcher.expect(R"("number":3)"));
  CHECK_FALSE(contains(watcher.output(), R"("number":1,)"));
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  REQUIRE(watcher.expect("plan_decided"));
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  REQUIRE(watcher.expect("call_decided"));
  watcher.signal(SIGINT);
  CHECK(watcher.wait() == 130);

  // Each once, and in order, just as they are recorded.
  std::vector<json> shown;
  std::istringstream lines{watcher.output()};
  for (std::string line; std::getline(lines, line);)
    shown.push_back(parse_json(line)->at("event"));
  auto recorded = box.run({"events", "s", "--from", "2"}).lines;
  REQUIRE(shown.size() <= recorded.size());
  recorded.resize(shown.size());
  CHECK(shown == recorded);
}

TEST_CASE("watch --until-paused ends with the status, and the exit status of the state") {
  const sandbox box;
  stop_at_plan(box);
  const auto waiting = box.run({"watch", "s", "--until-paused"});
  CHECK(waiting.status == 3);
  REQUIRE(waiting.lines.size() == 4);
  CHECK(waiting.last() == box.run({"status", "s"}).last());
  CHECK(contains(box.run_plainly({"watch", "s", "--until-paused"}).out, "awaiting plan decision"));
  REQUIRE(box.run({"reject", "s:p1"}).status == 0);
  CHECK(box.run({"watch", "s", "--until-paused"}).status == 1);
}

TEST_CASE("watch refuses a session and a number that do not exist") {
  const sandbox box;
  stop_at_plan(box);
  CHECK(box.run({"watch", "t"}).error()["error"] == "unknown_session");
  CHECK(box.run({"watch", "../s"}).error()["error"] == "invalid_id");
  CHECK(box.run({"watch", "s", "--from", "0"}).status == 2);
  const auto beyond = box.run({"watch", "s", "--from", "5"});
  CHECK(beyond.status == 2);
  CHECK(beyond.error()["error"] == "unknown_chunk");
  CHECK(box.run({"watch", "s", "--from", "4", "--until-paused"}).lines.size() == 1);
}

TEST_CASE("through a service watch shows live updates between the events") {
  const sandbox box;
  stop_at_plan(box);
  const auto told = stream_head() + sse("live", text_update("Hel")) + sse("live", text_update("lo"))
                    + sse("chunk", said_chunk(4, "Hello"))
                    + sse("live", {{"kind", "progress"}, {"call", "s:c1"}, {"content", "half"}})
                    + sse("behind", {{"dropped", 2}}) + sse("chunk", said_chunk(5, "the end"));
  const auto socket = box.store() / "service.sock";
  {
    scripted_service service{socket, {{told, true}}};
    child watcher{box.invocation({"watch", "s", "--from", "4"})};
    REQUIRE(watcher.expect("the end"));
    watcher.signal(SIGINT);
    CHECK(watcher.wait() == 130);
    INFO(watcher.output());
    CHECK(contains(watcher.output(), "first says:\n  | Hello\n"));
    // What was shown as it came is not shown again.
    CHECK(watcher.output().find("Hello") == watcher.output().rfind("Hello"));
    CHECK(contains(watcher.output(), "s:c1: \"half\"\n"));
    CHECK(service.requests().at(0).starts_with("GET /v1/sessions/s/stream?first=4 "));
  }
  const scripted_service service{socket, {{told, true}}};
  child watcher{box.invocation({"watch", "s", "--from", "4", "--json"})};
  REQUIRE(watcher.expect("the end"));
  watcher.signal(SIGINT);
  CHECK(watcher.wait() == 130);
  std::vector<json> lines;
  std::istringstream text{watcher.output()};
  for (std::string line; std::getline(text, line);)
    lines.push_back(*parse_json(line));
  REQUIRE(lines.size() == 6);
  CHECK(lines[0] == json{{"live", text_update("Hel")}});
  CHECK(lines[2]["event"]["body"]["text"] == "Hello");
  CHECK(lines[4] == json{{"behind", {{"dropped", 2}}}});
}

TEST_CASE("when the service goes away watch goes on with what is recorded") {
  const sandbox box;
  stop_at_plan(box);
  const scripted_service service{box.store() / "service.sock", {{stream_head()}}};
  child watcher{box.invocation({"watch", "s"})};
  REQUIRE(watcher.expect("The service has gone"));
  REQUIRE(watcher.expect("s:p1 proposed"));
  REQUIRE(box.run({"reject", "s:p1", "--reason", "no more"}).status == 0);
  REQUIRE(watcher.expect("no more"));
  watcher.signal(SIGTERM);
  CHECK(watcher.wait() == 130);
}

TEST_CASE("watch reports what a service refuses or garbles") {
  const sandbox box;
  stop_at_plan(box);
  const auto socket = box.store() / "service.sock";
  {
    const json refusal{{"error", "unknown_chunk"}, {"message", "too far"}};
    const scripted_service service{socket, {answer_of("404 Not Found", refusal)}};
    const auto ended = box.run({"watch", "s"});
    CHECK(ended.status == 2);
    CHECK(ended.error() == refusal);
  }
  const scripted_service service{socket, {{stream_head() + "event: chunk\ndata: {]\n\n", true}}};
  const auto ended = box.run({"watch", "s"});
  CHECK(ended.status == 4);
  CHECK(ended.error()["error"] == "internal");
}

TEST_CASE("a watch whose reader has gone ends") {
  const sandbox box;
  stop_at_plan(box);
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c", std::string{FERMATA_COMMAND} + " watch s --json | head -n 1"};
  child process{options};
  REQUIRE(process.expect("session_created"));
  // It notices with the next event that it shows.
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  CHECK(process.wait() == 0);
}

} // namespace watch_test
