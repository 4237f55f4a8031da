// A test of an agent of one's own, against time, crashes and people: in each of these worlds a
// release is approved by somebody who clicks twice, and the process dies now and then, wherever it
// is. Seeds decide all of it; a failure names its seed, and the fewest faults that it takes.

#include <fermata/actors/sim/catch.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/actors/sim/people.hpp>
#include <fermata/actors/sim/waking_host.hpp>

using namespace fermata;
using sim::must;
using namespace std::chrono_literals;

namespace {

// What is tested.
coro::task<step> publisher(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("publish", {{"version", "1.0"}});
  co_return step::finish(ctx.tool_results()[0].answer.content);
}

} // namespace

TEST_CASE("a release is published once, whoever clicks twice and whatever crashes") {
  sim::check_each_seed(1, 100, [](sim::world& w) {
    // What the tool does outside survives all crashes; its process does not.
    const auto shop = std::make_shared<sim::outside>();
    sim::node_options node;
    node.setup = [shop, seed = w.seed()](agent_registry& agents, tool_registry& tools) {
      must(agents.add("publisher", publisher));
      sim::server_tool_character slow;
      slow.most_time = 10min;
      must(tools.add(
          sim::make_server_tool(must(tool_name::parse("publish")), {}, slow, shop, seed)));
    };
    w.add_node("n1", node);
    w.add(std::make_unique<sim::waking_host>());
    w.add(std::make_unique<sim::human>("boss", sim::double_clicking_human()));
    // Says what became of a call that a crash cut off: he looks it up in the shop.
    sim::operator_character thorough;
    thorough.reruns = 1;
    w.add(std::make_unique<sim::session_operator>("ops", thorough, shop));

    sim::fault_mix mix{5min};
    mix.weights = {{sim::fault_kind::crash, 1},
                   {sim::fault_kind::crash_inside, 1},
                   {sim::fault_kind::crash_after, 1},
                   {sim::fault_kind::disk_full, 1}};
    w.faults(mix, 24h);

    sim::planned_session release;
    release.id = must(session_id::parse("release"));
    release.plans = {must(parse_plan(
        R"({"goal": "Release 1.0", "subtasks": [{"id": "publish", "agent": "publisher"}]})"))};
    w.add(std::make_unique<sim::session_author>("author", std::vector{release})).begin(w);

    REQUIRE(w.run_until(
        [&] {
          const auto status = w.status(release.id);
          return status && status->state == session_state::completed;
        },
        48h));
    CHECK(shop->effects() == 1);
  });
}
