// What the guide for users (actors/sim/README.md) shows does what it says.
#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/queries.hpp>
#include <fermata/actors/sim/catch.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/actors/sim/people.hpp>
#include <fermata/actors/sim/waking_host.hpp>
#include <fermata/storage/session_export.hpp>

#include <caf/event_based_actor.hpp>

#include <fermata_catch.hpp>

#include <sstream>

namespace guide_test {

using namespace fermata;
using sim::must;
using namespace std::chrono_literals;

namespace {

const session_id order = must(session_id::parse("order"));

plan_spec two_calls() {
  return must(
      parse_plan(R"({"goal": "order tea", "tools": {"ask": {"kind": "client"}}, "subtasks": [
    {"id": "buy", "steps": [{"tool": "ask", "arguments": {}}, {"tool": "ask", "arguments": {}}]}]})"));
}

bool is_over(const sim::world& w) {
  const auto status = w.status(order);
  return status && accepts_new_plan(status->state);
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
    return say(in, what.item.session, sim::approval_of(what.item));
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

coro::task<json> pay_slowly(sim::outside& shop, caf::event_based_actor* self,
                            const tool_context& context) {
  co_await coro::delay(self, 10min);
  co_return shop.happen(context.call, context.idempotency_key, json{{"paid", true}}, false);
}

sim::node_options paying(const std::shared_ptr<sim::outside>& shop) {
  sim::node_options node;
  node.policy = approval_policy::ask_everything();
  node.setup = [shop](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = must(tool_name::parse("pay"));
    pay.run = coroutine_tool{[shop](caf::event_based_actor* self, const tool_context& context) {
      return pay_slowly(*shop, self, context);
    }};
    must(tools.add(std::move(pay)));
  };
  return node;
}

} // namespace

TEST_CASE("a story with people, hosts and faults comes to its end for each seed") {
  sim::check_each_seed(1, 10, [](sim::world& w) {
    sim::node_options node;
    node.policy = approval_policy::ask_for_plans();
    w.add_node("n1", node);
    w.add(std::make_unique<sim::waking_host>());
    auto& ann = w.add(std::make_unique<sim::human>("ann", sim::slow_human(2h)));
    w.add(std::make_unique<sim::tool_host>("shop"));
    w.add(std::make_unique<sim::session_operator>("ops"));
    w.add(std::make_unique<own_monitor>());
    w.invariant("stock", [](sim::world& seen) {
      return seen.pending(order).size() > 2 ? "sold what was not there" : "";
    });
    w.faults(sim::fault_mix{10min}, 24h);
    sim::planned_session wanted;
    wanted.id = order;
    wanted.plans = {two_calls()};
    w.add(std::make_unique<sim::session_author>("author", std::vector{wanted})).begin(w);
    w.advance(24h);
    w.stop_faults();
    ann.settle(w);
    REQUIRE(w.run_until([&] { return is_over(w); }, 48h));
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

TEST_CASE("a session that was exported goes on in each world, with a tool of one's own") {
  std::string exported;
  {
    sim::world w{1};
    w.add_node("n1", paying(std::make_shared<sim::outside>()));
    const auto sent = w.send(
        order, propose_plan{must(parse_plan(
                   R"({"goal": "pay", "subtasks": [{"id": "t", "steps": [{"tool": "pay"}]}]})"))});
    w.run();
    const auto keep = [&](std::string_view line) {
      exported += line;
      return caf::error{};
    };
    static_cast<void>(must(export_session(w.store(), order, keep)));
  }
  sim::check_each_seed(1, 5, [&](sim::world& w) {
    const auto store = std::make_shared<memory_store>();
    std::istringstream lines{exported};
    const auto moved = must(import_session(*store, lines_of(lines)));
    w.set_clock(moved.last_event);
    const auto shop = std::make_shared<sim::outside>();
    auto node = paying(shop);
    node.store = store;
    w.add_node("n1", node);
    w.add(std::make_unique<sim::waking_host>());
    auto& boss = w.add(std::make_unique<sim::human>("boss", sim::prompt_human()));
    boss.look_at(w, moved.session);
    w.add(std::make_unique<sim::session_operator>("ops", sim::operator_character{}, shop));
    static_cast<void>(w.wake(moved.session));
    REQUIRE(w.run_until([&] { return is_over(w); }, 48h));
    CHECK(shop->effects() == 1);
  });
}

} // namespace guide_test
