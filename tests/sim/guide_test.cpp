// What the guide for users (actors/sim/README.md) shows does what it says.
#include <fermata/actors/sim/catch.hpp>
#include <fermata/actors/sim/people.hpp>
#include <fermata/actors/sim/waking_host.hpp>

#include <fermata_catch.hpp>

using namespace fermata;
using namespace std::chrono_literals;

namespace {

const session_id order = *session_id::parse("order");

plan_spec two_calls() {
  return *parse_plan(R"({"goal": "order tea", "tools": {"ask": {"kind": "client"}}, "subtasks": [
    {"id": "buy", "steps": [{"tool": "ask", "arguments": {}}, {"tool": "ask", "arguments": {}}]}]})");
}

bool is_over(const sim::world& w) {
  const auto status = w.status(order);
  return status && accepts_new_plan(status->state);
}

command approval_of(const pending_item& item) {
  if (const auto plan = plan_id::parse(item.id))
    return decide_plan{plan->revision(), plan_verdict::approve};
  return decide_call{*call_id::parse(item.id), call_verdict::approve};
}

/// Approves on Mondays.
class monday_human final : public sim::participant {
public:
  monday_human() : participant{"ann", "", {wait_cause::decision}} {}

private:
  std::optional<milliseconds> came_up(sim::world& in, const task&) override {
    const auto today = std::chrono::floor<std::chrono::days>(in.now());
    const auto days = std::chrono::Monday - std::chrono::weekday{today};
    return days.count() == 0 ? milliseconds{0} : milliseconds{today + days - in.now()};
  }
  std::optional<sim::ticket> act(sim::world& in, const task& what, const caf::error&) override {
    return say(in, what.item.session, approval_of(what.item));
  }
};

/// Counts what the guide says that a monitor sees.
class own_monitor final : public sim::monitor {
public:
  [[nodiscard]] std::string_view name() const override { return "two calls"; }
  void stored(sim::world& in, const sim::stored_commit& what) override {
    for (const auto& fact : what.events)
      calls_ += std::holds_alternative<call_proposed>(fact.body);
    if (calls_ > 2)
      violate(in, "two calls", "the agent made call " + std::to_string(calls_));
  }

private:
  int calls_ = 0;
};

} // namespace

TEST_CASE("a story with people, hosts and faults comes to its end for each seed") {
  sim::check_each_seed(1, 10, [](sim::world& w) {
    sim::node_options node;
    node.policy = approval_policy::ask_for_plans();
    w.add_node("n1", node);
    w.add(std::make_unique<sim::waking_host>());
    w.add(std::make_unique<sim::human>("ann", sim::slow_human(2h)));
    w.add(std::make_unique<sim::tool_host>("shop"));
    w.add(std::make_unique<own_monitor>());
    w.invariant("stock", [](sim::world& seen) {
      return seen.pending(order).size() > 2 ? "sold what was not there" : "";
    });
    w.faults(sim::fault_mix{10min}, 24h);
    sim::planned_session wanted;
    wanted.id = order;
    wanted.plans = {two_calls()};
    w.add(std::make_unique<sim::session_author>("author", std::vector{wanted})).begin(w);
    REQUIRE(w.run_until([&] { return is_over(w); }, 48h));
    w.stop_faults();
    w.run();
    w.end();
  });
}

TEST_CASE("a participant of one's own acts when it means to") {
  sim::world w{1};
  w.add_node("n1");
  w.add(std::make_unique<monday_human>());
  w.add(std::make_unique<sim::tool_host>("shop"));
  const auto sent = w.send(order, propose_plan{two_calls()});
  // The world begins on the first day of 2030, a Tuesday.
  w.advance(24h * 5);
  CHECK(w.status(order)->state == session_state::awaiting_plan_decision);
  w.advance(24h * 2);
  CHECK(is_over(w));
}
