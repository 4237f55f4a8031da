// Nodes in processes of their own, which are killed again and again while sessions go on by way of
// another one.

#include "drivers.hpp"
#include "victim_process.hpp"

#include <fermata_catch.hpp>

#include <set>

namespace node_kill_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Starts the node of a name.
std::vector<std::string> victim_of(const temporary_directory& folder, std::string name) {
  return {FERMATA_CLUSTER_VICTIM, folder.path().string(), std::move(name)};
}

/// Sends until there is an answer that says what became of it.
result<receipt> insist(const session_handle& session, const command& body) {
  for (;;) {
    auto answered = answer(session.send(body, send_options{patience}));
    if (answered || !is(answered.error(), errc::timed_out))
      return answered;
  }
}

/// Takes a session from its plan to its end. What it was acknowledged.
std::vector<receipt> drive(const session_handle& session) {
  acknowledgements acknowledged{session.id().str()};
  // The first one may have been taken, and its receipt lost.
  acknowledged.note(insist(session, propose_plan{shop_plan()}), errc::session_busy);
  for (;;) {
    acknowledged.note(insist(session, tool_result{call(session.id().str(), 1), "green"}),
                      errc::unknown_call);
    const auto status = session.wait_until_paused(patience);
    if (status && *status && (*status)->state == session_state::completed)
      return std::move(acknowledged.receipts);
  }
}

} // namespace

TEST_CASE("P1 P4 P6 what a cluster acknowledges is there, whichever nodes are killed meanwhile") {
  test_cluster all{{"a", "b", "c"}};
  temporary_directory folder;
  folder.put("members.json", to_json(all.members).dump());
  all["a"].start();
  victim_process b{victim_of(folder, "b")};
  victim_process c{victim_of(folder, "c")};
  drivers driving{[&](const std::string& id) { return drive(all["a"].session(id)); }};
  for (int i = 0; i < kills(6) && driving.failure().empty(); ++i) {
    (i % 2 == 0 ? b : c).kill_and_begin_anew();
    // The next one when some have come to their end meanwhile.
    const auto before = driving.done();
    CHECK(driving.wait_for(before + 8) > before);
  }
  const auto& acknowledged = driving.finish();
  CHECK(driving.failure() == "");
  CHECK(acknowledged.size() >= 8);
  std::set<std::string> homes;
  for (const auto& [id, receipts] : acknowledged) {
    CAPTURE(id);
    homes.insert(fermata::home_of(all.members, named(id)).name.str());
    const auto status = all["a"].session(id).status();
    REQUIRE(status);
    CHECK(status->state == session_state::completed);
    int answers = 0;
    auto stream = all["a"].session(id).follow(1);
    while (stream.position() <= status->events) {
      const auto one = stream.next(patience);
      REQUIRE(one);
      REQUIRE(*one);
      answers += std::holds_alternative<call_answered>((*one)->body) ? 1 : 0;
    }
    CHECK(answers == 1);
    for (const auto& one : receipts)
      CHECK(one.event <= status->events);
  }
  CHECK(homes.size() == 3);
}

TEST_CASE("a node that freezes is unavailable, loses its connection, and goes on when it thaws") {
  test_cluster all{{"a", "b"}};
  temporary_directory folder;
  folder.put("members.json", to_json(all.members).dump());
  auto& a = all["a"];
  a.timing.heartbeat = 500ms;
  a.timing.idle_heartbeat = 500ms;
  a.timing.silence = 3s;
  a.timing.connection_timeout = 6s;
  a.start();
  const victim_process b{victim_of(folder, "b")};
  REQUIRE(a.log.wait_for("b connected"));
  const auto id = all.session_on("b");
  accept(a.session(id).send(propose_plan{shop_plan()}));
  for (const auto* earlier : {"b silent", "b apart"})
    a.log.forget(earlier);
  b.freeze();
  REQUIRE(a.log.wait_for("b silent it gives no sign of life"));
  CHECK(refusal(a.session(id).send(cancel_plan{})) == errc::node_unavailable);
  REQUIRE(a.log.wait_for("b apart the connection was lost"));
  auto patient = a.session(id).send(tool_result{call(id, 1), "green"}, send_options{patience});
  b.thaw();
  accept(std::move(patient));
  CHECK(paused(a.session(id)).state == session_state::completed);
}

} // namespace node_kill_test
