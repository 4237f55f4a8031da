// Nodes in processes of their own, which are killed again and again while sessions go on by way of
// another one.

#include "support.hpp"
#include "victim_process.hpp"

#include <fermata_catch.hpp>

#include <cstdlib>
#include <set>

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
  std::vector<receipt> acknowledged;
  const auto note = [&](const result<receipt>& answered, errc accepted) {
    if (answered)
      acknowledged.push_back(*answered);
    else if (!is(answered.error(), accepted))
      throw std::runtime_error{session.id().str() + ": " + message_of(answered.error())};
  };
  // The first one may have been taken, and its receipt lost.
  note(insist(session, propose_plan{shop_plan()}), errc::session_busy);
  for (;;) {
    note(insist(session, tool_result{call(session.id().str(), 1), "green"}), errc::unknown_call);
    const auto status = session.wait_until_paused(patience);
    if (status && *status && (*status)->state == session_state::completed)
      return acknowledged;
  }
}

/// How many are to be killed: a few, or as FERMATA_CLUSTER_KILLS says.
int kills() {
  const auto* text = std::getenv("FERMATA_CLUSTER_KILLS");
  return text != nullptr ? std::max(1, std::atoi(text)) : 6;
}

} // namespace

TEST_CASE("P1 P4 P6 what a cluster acknowledges is there, whichever nodes are killed meanwhile") {
  test_cluster all{{"a", "b", "c"}};
  temporary_directory folder;
  folder.put("members.json", to_json(all.members).dump());
  all["a"].start();
  victim_process b{victim_of(folder, "b")};
  victim_process c{victim_of(folder, "c")};
  std::atomic<bool> enough{false};
  std::atomic<int> next{0};
  std::mutex mutex;
  std::map<std::string, std::vector<receipt>> acknowledged;
  std::condition_variable_any changed;
  std::string failure;
  std::vector<std::jthread> drivers;
  for (int i = 0; i < 4; ++i)
    drivers.emplace_back([&] {
      try {
        while (!enough) {
          const auto id = "s" + std::to_string(next++);
          auto receipts = drive(all["a"].session(id));
          const std::lock_guard lock{mutex};
          acknowledged.emplace(id, std::move(receipts));
          changed.notify_all();
        }
      } catch (const std::exception& error) {
        const std::lock_guard lock{mutex};
        failure = error.what();
        changed.notify_all();
      }
    });
  for (int i = 0; i < kills() && failure.empty(); ++i) {
    (i % 2 == 0 ? b : c).kill_and_begin_anew();
    // The next one when some have come to their end meanwhile.
    std::unique_lock lock{mutex};
    const auto before = acknowledged.size();
    changed.wait_for(lock, patience,
                     [&] { return acknowledged.size() >= before + 8 || !failure.empty(); });
    CHECK(acknowledged.size() > before);
  }
  enough = true;
  drivers.clear();
  CHECK(failure == "");
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
  a.timing.heartbeat = 100ms;
  a.timing.idle_heartbeat = 100ms;
  a.timing.silence = 300ms;
  a.timing.connection_timeout = 1s;
  a.start();
  const victim_process b{victim_of(folder, "b")};
  REQUIRE(a.log.wait_for("b connected"));
  const auto id = all.session_on("b");
  accept(a.session(id).send(propose_plan{shop_plan()}));
  b.freeze();
  REQUIRE(a.log.wait_for("b silent it gives no sign of life"));
  CHECK(refusal(a.session(id).send(cancel_plan{})) == errc::node_unavailable);
  REQUIRE(a.log.wait_for("b apart the connection was lost"));
  auto patient = a.session(id).send(tool_result{call(id, 1), "green"}, send_options{patience});
  b.thaw();
  accept(std::move(patient));
  CHECK(paused(a.session(id)).state == session_state::completed);
}
