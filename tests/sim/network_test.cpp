#include "deployment.hpp"

#include <algorithm>
#include <set>

namespace network_test {

using namespace fermata;
using namespace fermata::test;

namespace {

session_id sid(const std::string& text) {
  return *session_id::parse(text);
}

/// A plan that a session accepts and that then waits for its decision.
propose_plan proposal() {
  auto parsed = parse_plan(R"({"goal": "wait", "subtasks": [{"id": "only"}]})");
  REQUIRE(parsed);
  return propose_plan{std::move(*parsed)};
}

session_command propose(const std::string& session) {
  return session_command{sid(session), proposal()};
}

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("P1 a command to a session on another node is answered with a receipt") {
  deployment all{7};
  const auto store = std::make_shared<memory_store>();
  all.start("home", store);
  all.start("desk");
  all.ask<receipt>("desk", "home", "propose", propose("s1"));
  all.run();
  CHECK(all.trace == lines{"0 propose gets accepted"});
  const auto events = query_events(*store, sid("s1"), 1, 10);
  REQUIRE(events);
  CHECK_FALSE(events->empty());
  CHECK(all.net.counts().accepted == 1);
  CHECK(all.net.under_way() == 0);
}

TEST_CASE("an error travels over the network as itself") {
  deployment all{7};
  all.start("home", std::make_shared<memory_store>());
  all.start("desk");
  all.ask<receipt>("desk", "home", "cancel", session_command{sid("s1"), cancel_plan{}});
  all.run();
  CHECK(all.trace == lines{"0 cancel fails: unknown_session"});
}

TEST_CASE("a delay holds up each chunk and keeps their order") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.send("desk", "home", {"0"});
  all.run();
  CHECK(all.trace == lines{"0 home got 0"});
  all.net.delay("desk", "home", 10ms, 50ms);
  all.trace.clear();
  all.send("desk", "home", {"1", "2", "3", "4", "5"});
  all.run();
  CHECK(all.trace.empty());
  REQUIRE(all.net.next());
  CHECK(*all.net.next() >= all.now + 10ms);
  all.advance(50ms);
  REQUIRE(all.trace.size() == 5);
  std::vector<int> times;
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(all.trace[i].ends_with(" home got " + std::to_string(i + 1)));
    times.push_back(std::stoi(all.trace[i]));
  }
  CHECK(std::is_sorted(times.begin(), times.end()));
  CHECK(times.front() >= 10);
  CHECK(times.back() <= 50);
  CHECK(times.front() < times.back());
  CHECK(all.net.counts().delayed == 5);
  CHECK_FALSE(all.net.next());
}

TEST_CASE("a delay there and one back add up") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.ask<std::string>("desk", "home", "first", std::string{"1"});
  all.run();
  all.net.delay("desk", "home", 30ms, 30ms);
  all.net.delay("home", "desk", 20ms, 20ms);
  all.trace.clear();
  all.ask<std::string>("desk", "home", "second", std::string{"2"});
  all.advance(60ms);
  CHECK(all.trace == lines{"30 home got 2", "50 second gets pong 2"});
}

TEST_CASE("what is delayed least is what comes next") {
  deployment all{7};
  for (const auto* name : {"home", "desk", "shop"})
    all.start(name);
  all.send("desk", "home", {"0"});
  all.send("shop", "home", {"0"});
  all.run();
  all.net.delay("desk", "home", 30ms, 30ms);
  all.net.delay("shop", "home", 20ms, 20ms);
  all.send("desk", "home", {"slow"});
  all.send("shop", "home", {"fast"});
  all.run();
  CHECK(all.net.next() == all.now + 20ms);
  all.net.partition({"shop"});
  CHECK(all.net.next() == all.now + 30ms);
  all.net.freeze("home");
  CHECK_FALSE(all.net.next());
}

TEST_CASE("a node finds its own directory, also cut off from all others") {
  deployment all{7};
  all.start("home");
  all.net.partition({"home"});
  all.ask<std::string>("home", "home", "self", std::string{"x"});
  all.run();
  CHECK(all.trace == lines{"0 home got x", "0 self gets pong x"});
  CHECK(all.net.under_way() == 0);
}

TEST_CASE("what a partition stops arrives after the repair") {
  deployment all{7};
  const auto store = std::make_shared<memory_store>();
  all.start("home", store);
  all.start("desk");
  all.ask<receipt>("desk", "home", "first", propose("s1"));
  all.run();
  all.net.partition({"home"}, {"desk"});
  all.ask<receipt>("desk", "home", "second", propose("s2"));
  all.advance(10s);
  CHECK(all.trace == lines{"0 first gets accepted"});
  CHECK_FALSE(query_status(*store, sid("s2")));
  CHECK(all.net.under_way() > 0);
  CHECK(all.net.counts().stopped > 0);
  all.net.repair();
  all.advance(1s);
  CHECK(all.trace == lines{"0 first gets accepted", "10000 second gets accepted"});
  CHECK(all.net.under_way() == 0);
}

TEST_CASE("a partition of one side cuts it off from all others, and from no other link") {
  deployment all{7};
  for (const auto* name : {"a", "b", "c"})
    all.start(name);
  all.net.partition({"a"});
  all.ask<std::string>("a", "b", "ab", std::string{"x"}, 5s);
  all.ask<std::string>("c", "a", "ca", std::string{"x"}, 5s);
  all.ask<std::string>("b", "c", "bc", std::string{"x"}, 5s);
  all.run();
  CHECK(all.trace == lines{"0 c got x", "0 bc gets pong x"});
  all.trace.clear();
  all.advance(5s);
  std::sort(all.trace.begin(), all.trace.end());
  CHECK(all.trace
        == lines{"5000 ab is not connected: request_timeout",
                 "5000 ca is not connected: request_timeout"});
  all.net.repair();
  all.trace.clear();
  all.ask<std::string>("a", "b", "ab", std::string{"y"}, 5s);
  all.run();
  CHECK(all.trace == lines{"5000 b got y", "5000 ab gets pong y"});
}

TEST_CASE("a command is applied although its receipt is held") {
  deployment all{7};
  const auto store = std::make_shared<memory_store>();
  all.start("home", store);
  all.start("desk");
  all.watch("desk", "home", "home");
  all.run();
  all.net.hold("home", "desk");
  all.ask<receipt>("desk", "home", "propose", propose("s1"), 5s);
  all.advance(5s);
  CHECK(all.trace == lines{"5000 propose fails: request_timeout"});
  CHECK(query_status(*store, sid("s1")));
  all.net.hold("home", "desk", false);
  all.ask<receipt>("desk", "home", "again", propose("s1"), 5s);
  all.run();
  REQUIRE(all.trace.size() == 2);
  CHECK(all.trace[1].starts_with("5000 again"));
}

TEST_CASE("who connects with a node that is down is refused at once") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.crash("home");
  all.trace.clear();
  all.ask<std::string>("desk", "home", "down", std::string{"x"});
  all.ask<std::string>("desk", "nowhere", "unknown", std::string{"x"});
  all.run();
  std::sort(all.trace.begin(), all.trace.end());
  CHECK(all.trace
        == lines{"0 down is not connected: cannot_connect_to_node",
                 "0 unknown is not connected: cannot_connect_to_node"});
  CHECK(all.net.counts().refused == 2);
}

TEST_CASE("who connects over a cut link with a node that is down learns it after the repair") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    deployment all{seed};
    all.start("home");
    all.start("desk");
    if (seed % 2 == 0)
      all.crash("home");
    all.net.partition({"desk"});
    all.ask<std::string>("desk", "home", "down", std::string{"x"});
    // The repair comes as soon as there is something to hear, also before the broker has heard of
    // the connection.
    while (all.net.under_way() == 0)
      REQUIRE(all.step());
    if (seed % 3 == 0)
      all.advance(1s);
    if (all.is_up("home"))
      all.crash("home");
    CHECK(all.trace.size() == 1);
    all.net.repair();
    all.run();
    REQUIRE(all.trace.size() == 2);
    CHECK(all.trace[1].ends_with("down is not connected: disconnect_during_handshake"));
    CHECK(all.net.under_way() == 0);
  }
}

TEST_CASE("both ends learn of a dropped connection, and a request in it times out") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.watch("desk", "home", "home");
  all.watch("home", "desk", "desk");
  all.run();
  all.net.hold("desk", "home");
  all.ask<std::string>("desk", "home", "lost", std::string{"x"}, 5s);
  all.run();
  all.net.drop("home", "desk");
  all.run();
  std::sort(all.trace.begin(), all.trace.end());
  CHECK(all.trace
        == lines{"0 desk is gone: remote_link_unreachable",
                 "0 home is gone: remote_link_unreachable"});
  CHECK(all.net.counts().lost == 1);
  CHECK(all.net.counts().broken >= 1);
  all.trace.clear();
  all.net.repair();
  all.ask<std::string>("desk", "home", "next", std::string{"y"}, 5s);
  all.advance(5s);
  CHECK(all.trace
        == lines{"0 home got y", "0 next gets pong y", "5000 lost fails: request_timeout"});
}

TEST_CASE("a node that has crashed is reached again after its restart, with what it had said") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    deployment all{seed};
    all.start("home", std::make_shared<memory_store>());
    all.start("desk");
    all.watch("desk", "home", "home");
    all.ask<receipt>("desk", "home", "first", propose("s1"), 5s);
    all.run();
    all.ask<receipt>("desk", "home", "cut off", propose("s2"), 5s);
    for (int i = 0; i < 4; ++i)
      static_cast<void>(all.step());
    all.crash("home");
    all.run();
    CHECK(all.trace
          == lines{"0 first gets accepted", "0 home crashes",
                   "0 home is gone: remote_link_unreachable"});
    all.restart("home");
    all.trace.clear();
    all.ask<receipt>("desk", "home", "second", propose("s1"), 5s);
    all.run();
    // It is the same session still, which takes the plan for the one that it has.
    REQUIRE(all.trace.size() == 1);
    CHECK(all.trace[0] != "0 second gets accepted");
    all.advance(5s);
    REQUIRE(all.trace.size() == 2);
    CHECK(all.trace[1] == "5000 cut off fails: request_timeout");
  }
}

TEST_CASE("of what a killed process had sent a part arrives, and of one that stops all") {
  std::set<std::size_t> arrived;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    deployment all{seed};
    all.start("home");
    all.start("desk");
    all.watch("desk", "home", "home");
    all.run();
    all.net.hold("desk", "home");
    for (const auto* what : {"a", "b", "c"})
      all.ask<std::string>("desk", "home", what, std::string{what});
    all.run();
    const auto killed = seed % 2 == 0;
    if (killed)
      all.crash("desk");
    else
      all.stop("desk");
    all.net.repair();
    all.trace.clear();
    all.run();
    if (killed)
      arrived.insert(all.trace.size());
    else
      CHECK(all.trace.size() == 3);
  }
  CHECK(arrived == std::set<std::size_t>{0, 1, 2, 3});
}

TEST_CASE("a system that is destroyed without a word leaves its connections in order") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.watch("desk", "home", "home");
  all.watch("home", "desk", "desk");
  all.run();
  all.net.hold("desk", "home");
  all.send("desk", "home", {"a", "b"});
  all.run();
  all.processes.at("desk").reset();
  all.net.repair();
  all.run();
  std::sort(all.trace.begin(), all.trace.end());
  REQUIRE(all.trace.size() == 3);
  CHECK(all.trace[0].starts_with("0 desk is gone: "));
  CHECK(all.trace[1] == "0 home got a");
  CHECK(all.trace[2] == "0 home got b");
  CHECK(all.net.counts().broken == 0);
  all.restart("desk");
  all.trace.clear();
  all.ask<std::string>("desk", "home", "back", std::string{"x"});
  all.run();
  CHECK(all.trace == lines{"0 home got x", "0 back gets pong x"});
}

TEST_CASE("a system that is destroyed while it connects leaves nothing under way") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    deployment all{seed};
    all.start("home");
    all.start("desk");
    all.net.hold("desk", "home");
    all.send("desk", "home", {"a"});
    while (all.net.under_way() == 0)
      REQUIRE(all.step());
    all.processes.at("desk").reset();
    all.net.repair();
    all.run();
    CHECK(all.net.under_way() == 0);
    CHECK(all.trace.empty());
  }
}

TEST_CASE("nobody at a node that has left is told of anything") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    deployment all{seed};
    all.start("home");
    all.start("desk");
    int told = 0;
    all.net.connect("desk", "home", 1s, [&](const result<caf::actor>&) { ++told; });
    for (auto steps = seed; steps > 0 && told == 0; --steps)
      static_cast<void>(all.step());
    const auto before = told;
    if (seed % 2 == 0)
      all.crash("desk");
    else
      all.stop("desk");
    all.advance(2s);
    CHECK(told == before);
  }
}

TEST_CASE("nothing arrives at a frozen node, or leaves it") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  all.watch("desk", "home", "home");
  all.run();
  all.net.freeze("home");
  all.ask<std::string>("desk", "home", "cold", std::string{"x"});
  all.run();
  CHECK(all.trace.empty());
  all.net.freeze("home", false);
  all.run();
  CHECK(all.trace == lines{"0 home got x", "0 cold gets pong x"});
}

TEST_CASE("two nodes that connect with each other at once end up connected") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    deployment all{seed};
    all.start("a");
    all.start("b");
    all.ask<std::string>("a", "b", "ab", std::string{"x"}, 1s);
    all.ask<std::string>("b", "a", "ba", std::string{"x"}, 1s);
    all.advance(2s);
    all.trace.clear();
    all.ask<std::string>("a", "b", "ab", std::string{"y"}, 1s);
    all.run();
    CHECK(all.trace == lines{"2000 b got y", "2000 ab gets pong y"});
  }
}

TEST_CASE("a node of the 300th restart takes no other for itself") {
  deployment all{7};
  all.start("home");
  all.start("desk");
  for (int i = 0; i < 300; ++i) {
    all.crash("desk");
    all.restart("desk");
    all.trace.clear();
    all.ask<std::string>("desk", "home", "hello", std::string{"x"});
    all.run();
    REQUIRE(all.trace == lines{"0 home got x", "0 hello gets pong x"});
  }
}

TEST_CASE("a node may not be on the network twice, nor connect from where it is not") {
  deployment all{7};
  all.start("home");
  caf::actor_system_config config;
  configure(config);
  config.set("scheduler.policy", caf::atom("testing"));
  all.net.configure(config, "home");
  CHECK_THROWS_AS(caf::actor_system{config}, std::logic_error);
  CHECK_THROWS_AS(all.net.join("home", all.processes.at("home")->greeter), std::logic_error);
  CHECK_THROWS_AS(all.net.connect("desk", "home", 1s, [](const result<caf::actor>&) {}),
                  std::logic_error);
}

} // namespace network_test
