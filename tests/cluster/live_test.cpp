// What agents are saying, heard on other nodes: real threads and sockets.

#include "speech.hpp"

#include <fermata_catch.hpp>

namespace live_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Waits until a node reads so many streams.
bool reads(const cluster_node& node, std::size_t count) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (node.traffic().readings != count) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::yield();
  }
  return true;
}

} // namespace

TEST_CASE("what an agent is saying is heard on another node, in order, and before its events") {
  test_cluster all{{"a", "b"}};
  const auto prompts = std::make_shared<prompter>();
  for (auto& [name, one] : all.nodes)
    one.setup = [&](runtime& local) { add_speaker(local, prompts); };
  all.start();
  const auto id = all.session_on("b");
  hearing far;
  hearing near;
  hearing other;
  auto listens = all["a"].session(id).listen(far.observer());
  auto here = all["b"].session(id).listen(near.observer());
  auto elsewhere = all["a"].session(all.session_on("b", 1)).listen(other.observer());
  accept(all["a"].session(id).send(propose_plan{speech()}));
  REQUIRE(is_heard(*prompts, far, "<begin>"));
  const auto last = all["b"].session(id).status().value().events;
  std::string said;
  for (int number = 0; number < 200; ++number) {
    const auto part = std::to_string(number) + " ";
    said += part;
    prompts->say(part);
    // Not more than may be on its way: the question goes behind the news of what has been taken.
    if (number % 20 == 19) {
      REQUIRE(far.wait_for(" " + part));
      REQUIRE(all["a"].session(id).status());
    }
  }
  prompts->say("<end>");
  REQUIRE(far.wait_for("<end>"));
  CHECK(far.text().ends_with(said + "<end>"));
  CHECK(far.after() == last);
  REQUIRE(near.wait_for("<end>"));
  CHECK(near.text().ends_with(said + "<end>"));
  CHECK(near.after() == last);

  // What is heard behind this was said before the next event.
  auto stream = all["a"].session(id).follow(last + 1);
  prompts->say("<last>");
  prompts->say("");
  REQUIRE(stream.next(patience).value());
  CHECK(far.text().ends_with("<last>"));
  CHECK(paused(all["a"].session(id)).state == session_state::completed);
  CHECK(other.text().empty());
}

TEST_CASE("all who listen to a session on one node cost one reading, which ends with the last") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  hearing first;
  hearing second;
  {
    auto one = all["a"].session(id).listen(first.observer());
    auto other = all["a"].session(id).listen(second.observer());
    CHECK(reads(*all["a"].running, 1));
    one = {};
    auto elsewhere = all["a"].session(all.session_on("b", 1)).listen(first.observer());
    CHECK(reads(*all["a"].running, 2));
  }
  CHECK(reads(*all["a"].running, 0));
}

TEST_CASE("who listens to a session of a node that is lost hears it again when it is back") {
  test_cluster all{{"a", "b"}};
  const auto prompts = std::make_shared<prompter>();
  for (auto& [name, one] : all.nodes)
    one.setup = [&](runtime& local) { add_speaker(local, prompts); };
  all.start();
  const auto id = all.session_on("b");
  hearing far;
  auto listens = all["a"].session(id).listen(far.observer());
  accept(all["a"].session(id).send(propose_plan{speech()}));
  REQUIRE(is_heard(*prompts, far, "<before>"));
  prompts->say("");
  paused(all["a"].session(id));
  all["b"].stop();
  REQUIRE(all["a"].log.wait_for("b apart"));
  all["b"].start();
  accept(all["a"].session(id).send(propose_plan{speech()}, send_options{patience}));
  CHECK(is_heard(*prompts, far, "<after>"));
  prompts->say("");
  paused(all["b"].session(id));
}

} // namespace live_test
