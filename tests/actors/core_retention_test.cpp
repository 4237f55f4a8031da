// When retention deletes a finished session, as the core decides it: without actors, clocks or I/O.

#include "support.hpp"

#include <fermata/actors/core/apply.hpp>
#include <fermata/actors/core/decide.hpp>

namespace core_retention_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

const timestamp start{24h};

/// A session whose plan was over at `start`, and what its runtime says.
class finished_session {
public:
  explicit finished_session(std::optional<std::chrono::milliseconds> retention) {
    data.head.id = sid();
    data.head.last_revision = 1;
    env.retention.delete_finished_after = retention;
    record(start, session_created{});
  }

  void record(timestamp at, event_body body) {
    event fact;
    fact.number = data.head.events + 1;
    fact.at = at;
    fact.body = std::move(body);
    core::apply(data, std::move(fact));
  }

  void schedule(timestamp at, timestamp deletion) {
    deletion_scheduled fact;
    fact.at = deletion;
    record(at, fact);
  }

  /// The one event that comes about at `now`, if there is one.
  std::optional<event_body> fires_at(timestamp now) {
    env.now = now;
    auto events = core::fire_due(data, env);
    CHECK(events.size() <= 1);
    return events.empty() ? std::nullopt : std::optional{std::move(events.front())};
  }

  /// When the deletion is put off to at `now`; it has to be.
  std::optional<timestamp> put_off_at(timestamp now) {
    const auto fact = fires_at(now);
    REQUIRE(fact);
    REQUIRE(std::holds_alternative<deletion_scheduled>(*fact));
    return std::get<deletion_scheduled>(*fact).at;
  }

  bool is_deleted_at(timestamp now) {
    const auto fact = fires_at(now);
    return fact && std::holds_alternative<session_deleted>(*fact);
  }

  core::session_data data;

private:
  limits limits_;
  approval_policy policy_;
  agent_registry agents_;
  tool_registry tools_;

public:
  core::environment env{limits_, policy_, agents_, tools_};
};

} // namespace

TEST_CASE("a finished session is deleted when its time has come, and not before") {
  finished_session session{1h};
  session.schedule(start, start + 1h);
  CHECK_FALSE(session.fires_at(start + 1h - 1ms));
  CHECK(session.is_deleted_at(start + 1h));
}

TEST_CASE("a longer retention counts from the last event that does not schedule a deletion") {
  finished_session session{30h};
  session.schedule(start, start + 1h);
  session.schedule(start + 1h, start + 2h);
  CHECK(session.put_off_at(start + 2h) == start + 30h);
  session.schedule(start + 2h, start + 30h);
  CHECK(session.is_deleted_at(start + 30h));
}

TEST_CASE(
    "where the last event's time is not known a deletion is put off by all of the retention") {
  finished_session session{30h};
  session.schedule(start, start + 1h);
  session.data.last_change.reset();
  CHECK(session.put_off_at(start + 2h) == start + 32h);
}

TEST_CASE("a clock that was set back puts a deletion off by the retention at most") {
  finished_session session{30h};
  session.schedule(start, start - 20h);
  CHECK(session.put_off_at(start - 10h) == start + 20h);
}

TEST_CASE("a deletion that is due is taken back where nothing is deleted any more") {
  finished_session session{{}};
  session.schedule(start, start + 1h);
  CHECK_FALSE(session.put_off_at(start + 1h));
}

TEST_CASE("P8: a run that has not ended puts a deletion off") {
  finished_session session{1ms};
  session.schedule(start, start + 1ms);
  session.env.runs_tools = true;
  CHECK(session.put_off_at(start + 1h) == start + 1h + 1min);
}

} // namespace core_retention_test
