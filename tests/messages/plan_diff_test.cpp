// What a revision changes, and how long what failed backs off.

#include "support.hpp"

#include <fermata/messages/plan_diff.hpp>

#include <set>

namespace plan_diff_test {

using namespace fermata;
using namespace messages_test;
using namespace std::chrono_literals;

namespace {

using ids = std::initializer_list<std::string_view>;

subtask_spec subtask(std::string_view id, ids depends_on = {}, std::string description = "") {
  subtask_spec spec;
  spec.id = make<subtask_id>(id);
  spec.description = std::move(description);
  for (const auto each : depends_on)
    spec.depends_on.push_back(make<subtask_id>(each));
  return spec;
}

/// "a kept, b again, ...", in the order of the answer.
std::string fates(const std::vector<subtask_spec>& before,
                  const std::vector<subtask_status>& statuses,
                  const std::vector<subtask_spec>& next) {
  std::string text;
  for (const auto& change : compare_plans(before, statuses, next)) {
    CHECK_FALSE(change.because.empty());
    text += (text.empty() ? "" : ", ") + change.subtask.str() + " " + enum_name(change.fate);
  }
  return text;
}

constexpr auto done = subtask_status::done;
constexpr auto running = subtask_status::running;
constexpr auto pending = subtask_status::pending;

} // namespace

TEST_CASE("a plan that is revised to itself keeps what is done, goes on with what runs, and leaves "
          "the rest") {
  const std::vector plan{subtask("a"), subtask("b", {"a"}), subtask("c", {"b"})};
  CHECK(fates(plan, {done, running, pending}, plan) == "a kept, b continued, c unchanged");
  CHECK(fates(plan, {done, subtask_status::backing_off, pending}, plan)
        == "a kept, b continued, c unchanged");
  CHECK(fates(plan, {done, done, done}, plan) == "a kept, b kept, c kept");
}

TEST_CASE("what failed, was skipped, cancelled or blocked is unchanged, and will run") {
  const std::vector plan{subtask("a"), subtask("b"), subtask("c"), subtask("d")};
  CHECK(fates(plan,
              {subtask_status::failed, subtask_status::skipped, subtask_status::cancelled,
               subtask_status::blocked},
              plan)
        == "a unchanged, b unchanged, c unchanged, d unchanged");
}

TEST_CASE("what depends on a changed, added or unfinished subtask runs again, however far away") {
  const std::vector before{subtask("a"), subtask("b", {"a"}), subtask("c", {"b"}), subtask("d")};
  const std::vector changed{subtask("a", {}, "otherwise"), subtask("b", {"a"}), subtask("c", {"b"}),
                            subtask("d")};
  CHECK(fates(before, {done, done, running, done}, changed)
        == "a changed, b again, c again, d kept");
  // A skipped dependency is tried again, so its dependants' results are not kept.
  CHECK(fates(before, {subtask_status::skipped, done, done, done}, before)
        == "a unchanged, b again, c again, d kept");
}

TEST_CASE("every field of a subtask counts as a change") {
  const auto differs = [](auto change) {
    const std::vector before{subtask("a"), subtask("x")};
    auto next = before;
    change(next[0]);
    return fates(before, {done, done}, next) == "a changed, x kept";
  };
  CHECK(differs([](subtask_spec& spec) { spec.description = "other"; }));
  CHECK(differs([](subtask_spec& spec) { spec.agent = make<agent_name>("other"); }));
  CHECK(differs([](subtask_spec& spec) { spec.depends_on = {make<subtask_id>("x")}; }));
  CHECK(differs([](subtask_spec& spec) { spec.steps = json::array(); }));
  CHECK(differs([](subtask_spec& spec) { spec.result = 1; }));
  CHECK(differs([](subtask_spec& spec) { spec.parameters = 1; }));
  CHECK(differs([](subtask_spec& spec) { spec.retry.max_attempts = 2; }));
  CHECK(differs([](subtask_spec& spec) { spec.time_limit = 1s; }));
}

TEST_CASE(
    "a revision's subtasks come in its own order, and then those that are dropped in theirs") {
  const std::vector before{subtask("a"), subtask("b"), subtask("c"), subtask("d", {"a"})};
  const std::vector next{subtask("d", {"a"}), subtask("new"), subtask("a")};
  CHECK(fates(before, {done, running, done, done}, next)
        == "d kept, new added, a kept, b dropped, c dropped");
}

TEST_CASE("all of a plan's subtasks are new where there was none") {
  CHECK(fates({}, {}, {subtask("a"), subtask("b", {"a"})}) == "a added, b added");
  CHECK(fates({subtask("a")}, {done}, {}) == "a dropped");
}

TEST_CASE("an id that is used for something else is a change, and moving it is none") {
  const std::vector before{subtask("a", {}, "one"), subtask("b", {}, "two")};
  CHECK(fates(before, {done, done}, {subtask("b", {}, "two"), subtask("a", {}, "one")})
        == "b kept, a kept");
  CHECK(fates(before, {done, done}, {subtask("a", {}, "two"), subtask("b", {}, "one")})
        == "a changed, b changed");
}

TEST_CASE("P10: plans of the largest size are compared in time that is linear in them") {
  std::vector<subtask_spec> chain;
  for (int i = 0; i < 10'000; ++i) {
    chain.push_back(subtask("s" + std::to_string(i)));
    if (i > 0)
      chain.back().depends_on.push_back(chain[static_cast<std::size_t>(i) - 1].id);
  }
  const std::vector<subtask_status> statuses(chain.size(), done);
  auto next = chain;
  next[0].description = "otherwise";
  const auto changes = compare_plans(chain, statuses, next);
  CHECK(changes[0].fate == subtask_fate::changed);
  CHECK(changes.back().fate == subtask_fate::again);
}

TEST_CASE("a plan diff and a retry policy are the same after JSON") {
  plan_diff diff;
  diff.revision = 2;
  diff.replaces = 1;
  diff.goal_before = "old";
  diff.subtasks.emplace_back().subtask = make<subtask_id>("a");
  diff.subtasks[0].fate = subtask_fate::again;
  diff.subtasks[0].because = "so";
  CHECK(value_of(from_json<plan_diff>(to_json(diff))) == diff);
  CHECK(to_json(diff).at("subtasks")[0].at("fate") == "again");
  const retry_policy policy{3, 5s, 1min};
  CHECK(value_of(from_json<retry_policy>(to_json(policy))) == policy);
  CHECK(to_json(policy).at("initial_backoff_ms") == 5'000);
}

TEST_CASE("a backoff doubles with each attempt up to the longest") {
  const retry_policy policy{10, 1s, 10s};
  const auto at_most = [&](std::uint32_t failed) {
    // The largest that the jitter gives: the whole is `half` plus at most the other half.
    std::chrono::milliseconds longest{0};
    for (std::uint64_t random = 0; random < 20'000; ++random)
      longest = std::max(longest, backoff_after(policy, failed, random));
    return longest;
  };
  CHECK(at_most(1) == 1s);
  CHECK(at_most(2) == 2s);
  CHECK(at_most(3) == 4s);
  CHECK(at_most(4) == 8s);
  CHECK(at_most(5) == 10s);
  CHECK(at_most(100) == 10s);
}

TEST_CASE("a half of a backoff is fixed, and the random number decides on the other") {
  const retry_policy policy{10, 10s, 60s};
  std::set<std::chrono::milliseconds> seen;
  for (std::uint64_t random = 0; random < 5'001; ++random) {
    const auto length = backoff_after(policy, 1, random);
    CHECK(length >= 5s);
    CHECK(length <= 10s);
    seen.insert(length);
  }
  CHECK(seen.size() == 5'001); // each millisecond from 5 s to 10 s
  CHECK(backoff_after(policy, 1, 7) == backoff_after(policy, 1, 7));
}

TEST_CASE("a backoff of odd or extreme policies stays within them") {
  const auto most = std::numeric_limits<std::uint64_t>::max();
  for (const auto random : {std::uint64_t{0}, std::uint64_t{1}, most}) {
    CHECK(backoff_after({9, 1ms, 1ms}, 1, random) <= 1ms);
    CHECK(backoff_after({9, 3ms, 3ms}, 1, random) >= 1ms);
    CHECK(backoff_after({9, 3ms, 3ms}, 1, random) <= 3ms);
    // Nonsense that has not passed `check_retry` does no harm.
    CHECK(backoff_after({9, 10s, 1s}, 5, random) <= 10s);
    CHECK(backoff_after({9, 0ms, 0ms}, 5, random) <= 1ms);
    CHECK(backoff_after({9, -5ms, -5ms}, 5, random) >= 0ms);
    CHECK(backoff_after({9, std::chrono::milliseconds::max(), std::chrono::milliseconds::max()},
                        4'000'000'000, random)
          <= max_duration);
    CHECK(backoff_after({9, 1ms, max_duration}, 4'000'000'000, random) >= max_duration / 2);
  }
}

TEST_CASE("a retry policy that cannot be is refused, and the limit is named") {
  const limits with;
  const auto checking = [&](const retry_policy& policy) {
    return verdict_on(check_retry(policy, with));
  };
  CHECK(checking({}) == "accepted");
  CHECK(checking({1, 1ms, 1ms}) == "accepted");
  CHECK(checking({with.subtask_attempts, 1s, with.timer_horizon}) == "accepted");
  CHECK(checking({0, 1s, 1s}).starts_with("invalid_field"));
  CHECK(checking({1, 0ms, 1s}).starts_with("invalid_field"));
  CHECK(checking({1, 2s, 1s}).starts_with("invalid_field"));
  const auto often = checking({with.subtask_attempts + 1, 1s, 1s});
  CHECK(often.starts_with("limit_exceeded"));
  CHECK(contains(often, "subtask_attempts"));
  const auto late = checking({2, 1s, with.timer_horizon + 1ms});
  CHECK(late.starts_with("limit_exceeded"));
  CHECK(contains(late, "timer_horizon"));
}

TEST_CASE("a plan with a bad retry or time limit is refused, and the subtask is named") {
  plan_spec plan;
  plan.subtasks.push_back(subtask("fine"));
  plan.subtasks.push_back(subtask("bad"));
  plan.subtasks[1].retry.max_attempts = 0;
  CHECK(contains(verdict_on(check_plan(plan, {})), "\"bad\""));
  plan.subtasks[1].retry = {};
  plan.subtasks[1].time_limit = limits{}.timer_horizon + 1ms;
  CHECK(contains(verdict_on(check_plan(plan, {})), "timer_horizon"));
  CHECK(contains(verdict_on(check_plan(plan, {})), "\"bad\""));
  plan.subtasks[1].time_limit = -1ms;
  CHECK(verdict_on(check_plan(plan, {})) != "accepted");
}

} // namespace plan_diff_test
