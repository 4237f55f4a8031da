#include <fermata/actors/policy.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/reference_policy.hpp>

#include <fermata_catch.hpp>

namespace reference_policy_test {

using namespace fermata;
using namespace fermata::sim;

namespace {

/// Texts that are alike enough for patterns to fit some of them.
constexpr std::array texts = {"",      "a",      "b",   "ab",   "a/b", "a/b/c",    "a//b",
                              "./a/b", "a/../b", "a,b", "{a}",  "a-b", "ab.c",     "b/ab",
                              "/a",    "a/",     "-",   "a\nb", "*",   "a/b/ab.c", "pay",
                              "write", "é",      "éb",  "bé"};
constexpr std::array globs = {
    "",       "*",      "a*",    "?",           "a?",     "[ab]",     "[!a]*",
    "{a,b}",  "{a,b}*", "**",    "a/**",        "**/b",   "a/**/c",   "*/b",
    "\\*",    "a\\,b",  "{,a}b", "{a,{b,ab}}*", "[a-c]?", "a/*",      "p{ay,ush}",
    "**/*.c", "a,b",    "*b*",   "{a/b,a}",     "[-]",    "{a/*,b}*", "{a/**,b/**}/*.c",
    "é",      "[a-é]?", "?b"};

template <class Values>
const auto& pick(seeded_random& random, const Values& from) {
  return from[random.below(std::size(from))];
}

json draw_value(seeded_random& random, int depth = 0) {
  switch (random.below(depth < 2 ? 9 : 7)) {
  case 0:
    return nullptr;
  case 1:
    return random.chance(0.5);
  case 2:
    return random.below(4);
  case 3:
    return -static_cast<std::int64_t>(random.below(4));
  case 4:
    return static_cast<double>(random.below(8)) / 2;
  case 5:
    return random.chance(0.5) ? json(18446744073709551615u) : json(9007199254740993);
  case 6:
    return pick(random, texts);
  case 7: {
    auto list = json::array();
    for (auto count = random.below(3); count > 0; --count)
      list.push_back(draw_value(random, depth + 1));
    return list;
  }
  default: {
    auto object = json::object();
    for (auto count = random.below(3); count > 0; --count)
      object[random.chance(0.5) ? "a" : "/~"] = draw_value(random, depth + 1);
    return object;
  }
  }
}

policy_rule draw_rule(seeded_random& random) {
  constexpr std::array pointers = {"/a", "/b",   "/a/0", "/a/1", "/~1~0",
                                   "",   "/a/a", "/a/-", "/a/00"};
  constexpr std::array actions = {policy_action::allow, policy_action::ask, policy_action::deny};
  constexpr std::array operators = {"equals",    "one_of",  "glob",     "path",      "matches",
                                    "less_than", "at_most", "at_least", "more_than", "exists"};
  policy_rule rule;
  rule.action = pick(random, actions);
  rule.may_remember = random.chance(0.5);
  if (random.chance(0.3))
    rule.match.kind = random.chance(0.5) ? policy_subject::plan : policy_subject::tool;
  if (random.chance(0.4))
    rule.match.tool = pick(random, globs);
  if (random.chance(0.3))
    rule.match.agent = pick(random, globs);
  for (auto count = random.below(3); count > 0; --count) {
    const std::string operation = pick(random, operators);
    auto& operand = rule.match.arguments[pick(random, pointers)][operation];
    if (operation == "exists")
      operand = random.chance(0.5);
    else if (operation == "equals")
      operand = draw_value(random);
    else if (operation == "one_of")
      operand = json::array({draw_value(random), draw_value(random)});
    else if (operation == "matches")
      operand = pick(random, std::array{"a*", "[ab]+", ".*", "a|b"});
    else if (operation == "glob" || operation == "path")
      operand = pick(random, globs);
    else
      operand = random.chance(0.5) ? json(random.below(3)) : json(1.5);
  }
  return rule;
}

} // namespace

TEST_CASE("monitors read policies as sessions do, and by themselves") {
  constexpr std::array tools = {"pay", "a", "ab", "push", "write"};
  constexpr std::array agents = {"a", "b", "ab"};
  seeded_random random{1, "policies"};
  std::size_t compared = 0;
  std::map<policy_action, std::size_t> said;
  for (int round = 0; round < 20'000; ++round) {
    policy_spec spec;
    for (auto count = random.below(4); count > 0; --count)
      spec.rules.push_back(draw_rule(random));
    const auto policy = approval_policy::compile(spec);
    if (!policy) // a path that no path can look like
      continue;
    json arguments = json::object();
    for (const auto* name : {"a", "b", "/~"})
      if (random.chance(0.6))
        arguments[name] = draw_value(random);
    const auto tool = *tool_name::parse(pick(random, tools));
    const auto agent = *agent_name::parse(pick(random, agents));
    const auto expected = policy->rule_on_call(tool, agent, arguments);
    const auto seen = rule_on_call(spec, tool, agent, arguments);
    CAPTURE(to_text(to_json(spec)), tool.str(), agent.str(), to_text(arguments));
    REQUIRE(seen.rule == expected.rule);
    REQUIRE(seen.action == expected.action);
    REQUIRE(seen.may_remember == expected.may_remember);
    REQUIRE(rule_on_plan(spec, agent).rule == policy->rule_on_plan(agent).rule);
    ++said[seen.action];
    compared += seen.rule != 0;
  }
  CHECK(compared > 2'000);
  CHECK(said.size() == 3);
}

TEST_CASE("a glob of the monitors keeps to folders where it is for paths") {
  CHECK(fits_glob("a/*", "a/b", true));
  CHECK_FALSE(fits_glob("a/*", "a/b/c", true));
  CHECK(fits_glob("a/*", "a/b/c"));
  CHECK(fits_glob("**/c", "a/b/c", true));
  CHECK(fits_glob("**/c", "c", true));
  CHECK_FALSE(fits_glob("**/c", "abc", true));
  CHECK(fits_glob("{read,write{,_all}}_*", "write_all_files"));
  CHECK_FALSE(fits_glob("{read,write}_*", "list_files"));
}

} // namespace reference_policy_test
