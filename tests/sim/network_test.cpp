#include "deployment.hpp"

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
