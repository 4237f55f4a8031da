// The approval policy by itself: which rule fits, and what a policy must look like.

#include "support.hpp"

#include <fermata/actors/policy.hpp>

namespace policy_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

approval_policy policy_of(std::string_view text) {
  auto parsed = approval_policy::parse(text);
  if (!parsed)
    throw std::runtime_error(message_of(parsed.error()));
  return *parsed;
}

std::string refusal_of(std::string_view text) {
  const auto parsed = approval_policy::parse(text);
  if (parsed)
    return "accepted";
  return std::string{name_of(code_of(parsed.error()))} + ": " + message_of(parsed.error());
}

/// A policy that allows a call when this condition on /a holds, and asks otherwise.
bool holds(const std::string& condition, const json& arguments) {
  const auto policy = policy_of(R"({"rules": [{"match": {"arguments": {"/a": )" + condition
                                + R"(}}, "action": "allow"}], "default": "ask"})");
  return policy.rule_on_call(tid("t"), {}, arguments).action == policy_action::allow;
}

agent_name named(std::string_view name) {
  return *agent_name::parse(name);
}

} // namespace

TEST_CASE("the first rule that fits decides, and the default where none does") {
  const auto policy = policy_of(R"({"rules": [
      {"match": {"tool": "read_*"}, "action": "allow"},
      {"match": {"tool": "read_secret"}, "action": "deny"},
      {"match": {"tool": "write_file", "agent": "intern*"}, "action": "deny", "prompt": "not yet"},
      {"match": {"tool": "write_file"}, "action": "ask", "expires_after_ms": 60000,
       "prompt": "Is it yours?", "may_remember": false},
      {"match": {"kind": "plan", "agent": "planner"}, "action": "ask"},
      {"match": {"kind": "plan"}, "action": "allow"}], "default": "deny"})");
  const auto on = [&](std::string_view tool, std::string_view by = "worker") {
    return policy.rule_on_call(tid(tool), named(by), json::object());
  };
  CHECK(on("read_file").name() == "rule 1");
  CHECK(on("read_secret").action == policy_action::allow); // the first one, not the stricter one
  CHECK(on("write_file", "intern_7").action == policy_action::deny);
  CHECK(on("write_file", "intern_7").prompt == "not yet");
  const auto write = on("write_file");
  CHECK(write.rule == 4);
  CHECK(write.action == policy_action::ask);
  CHECK(write.expires_after == 60s);
  CHECK(write.prompt == "Is it yours?");
  CHECK_FALSE(write.may_remember);
  CHECK(on("delete_file").action == policy_action::deny);
  CHECK(on("delete_file").name() == "default");
  CHECK(policy.rule_on_plan(named("planner")).action == policy_action::ask);
  CHECK(policy.rule_on_plan({}).action == policy_action::allow);
}

TEST_CASE("a rule without a kind is about plans and calls, unless it names what only calls have") {
  const auto everything = policy_of(R"({"rules": [{"action": "deny"}], "default": "allow"})");
  CHECK(everything.rule_on_plan({}).action == policy_action::deny);
  CHECK(everything.rule_on_call(tid("t"), {}, {}).action == policy_action::deny);
  const auto calls =
      policy_of(R"({"rules": [{"match": {"tool": "*"}, "action": "deny"}], "default": "allow"})");
  CHECK(calls.rule_on_plan({}).action == policy_action::allow);
  CHECK(calls.rule_on_call(tid("t"), {}, {}).action == policy_action::deny);
}

TEST_CASE("conditions on arguments hold for the values that they name, and for no others") {
  CHECK(holds(R"({"equals": 1})", {{"a", 1}}));
  CHECK(holds(R"({"equals": 1})", {{"a", 1.0}}));
  CHECK_FALSE(holds(R"({"equals": 1})", {{"a", "1"}}));
  CHECK_FALSE(holds(R"({"equals": 1})", {{"b", 1}}));
  CHECK(holds(R"({"equals": null})", {{"a", nullptr}}));
  CHECK_FALSE(holds(R"({"equals": null})", json::object()));
  CHECK(holds(R"({"equals": {"x": [1, 2]}})", {{"a", {{"x", {1, 2}}}}}));
  CHECK(holds(R"({"one_of": ["git", "ls"]})", {{"a", "ls"}}));
  CHECK_FALSE(holds(R"({"one_of": ["git", "ls"]})", {{"a", "rm"}}));
  CHECK(holds(R"({"exists": true})", {{"a", nullptr}}));
  CHECK(holds(R"({"exists": false})", json::object()));
  CHECK_FALSE(holds(R"({"exists": false})", {{"a", 1}}));
  // All operators of a condition must hold.
  CHECK(holds(R"({"at_least": 1, "less_than": 3})", {{"a", 2}}));
  CHECK_FALSE(holds(R"({"at_least": 1, "less_than": 3})", {{"a", 3}}));
}

TEST_CASE("numbers are compared by value, whole ones exactly, and nothing else is a number") {
  CHECK(holds(R"({"at_most": 5})", {{"a", 5}}));
  CHECK_FALSE(holds(R"({"less_than": 5})", {{"a", 5}}));
  CHECK(holds(R"({"more_than": -1})", {{"a", 0u}}));
  CHECK(holds(R"({"more_than": 9007199254740992})", {{"a", 9007199254740993}}));
  CHECK(holds(R"({"more_than": 9223372036854775807})", {{"a", 18446744073709551615u}}));
  CHECK_FALSE(holds(R"({"less_than": 0})", {{"a", 18446744073709551615u}}));
  CHECK_FALSE(holds(R"({"equals": -1})", {{"a", 18446744073709551615u}}));
  CHECK_FALSE(holds(R"({"equals": {"x": [-1]}})", {{"a", {{"x", {18446744073709551615u}}}}}));
  CHECK(holds(R"({"equals": {"x": [1]}})", {{"a", {{"x", {1.0}}}}}));
  CHECK_FALSE(holds(R"({"equals": {"x": 1}})", {{"a", {{"y", 1}}}}));
  CHECK(holds(R"({"at_least": 0.5})", {{"a", 1}}));
  CHECK_FALSE(holds(R"({"at_most": 5})", {{"a", "4"}}));
  CHECK_FALSE(holds(R"({"at_most": 5})", {{"a", true}}));
  CHECK_FALSE(holds(R"({"at_most": 5})", {{"a", nullptr}}));
}

TEST_CASE("an expression must match the whole text, and long texts cost linear time") {
  CHECK(holds(R"({"matches": "[a-z]+"})", {{"a", "abc"}}));
  CHECK_FALSE(holds(R"({"matches": "[a-z]+"})", {{"a", "abc; rm"}}));
  CHECK_FALSE(holds(R"({"matches": "git .*"})", {{"a", "git log\nrm -rf /"}}));
  CHECK_FALSE(holds(R"({"matches": "[0-9]+"})", {{"a", 12}}));
  const std::string text(300'000, 'a');
  CHECK_FALSE(holds(R"({"matches": "(a*)*b"})", {{"a", text}}));
  CHECK_FALSE(holds(R"({"glob": "*a*a*a*a*a*a*a*a*b"})", {{"a", text}}));
}

TEST_CASE("a glob fits whole texts; one for paths is not fooled by dots, and keeps to a folder") {
  CHECK(holds(R"({"glob": "v?.[0-9]*"})", {{"a", "v1.2.3"}}));
  CHECK_FALSE(holds(R"({"glob": "v?.[0-9]*"})", {{"a", "v1.x"}}));
  CHECK(holds(R"({"glob": "[!a]\\*.+x"})", {{"a", "b*.+x"}}));
  CHECK_FALSE(holds(R"({"glob": "[!a]\\*"})", {{"a", "bc"}}));
  CHECK(holds(R"({"glob": "*"})", {{"a", "two\nlines"}}));
  CHECK(holds(R"({"glob": "{read,write{,_all}}_*"})", {{"a", "write_all_files"}}));
  CHECK(holds(R"({"glob": "{read,write}_\\{a,b}"})", {{"a", "read_{a,b}"}}));
  CHECK_FALSE(holds(R"({"glob": "{read,write}_*"})", {{"a", "list_files"}}));
  CHECK(holds(R"({"path": "src/*.cpp"})", {{"a", "src/a.cpp"}}));
  CHECK(holds(R"({"path": "src/*.cpp"})", {{"a", "./src//a.cpp"}}));
  CHECK_FALSE(holds(R"({"path": "src/*.cpp"})", {{"a", "src/deep/a.cpp"}}));
  CHECK(holds(R"({"path": "src/**"})", {{"a", "src/deep/a.cpp"}}));
  CHECK_FALSE(holds(R"({"path": "src/**"})", {{"a", "src/../secrets/key"}}));
  CHECK(holds(R"({"path": "secrets/**"})", {{"a", "src/../secrets/key"}}));
  // Tools take no notice of a slash at the end.
  CHECK(holds(R"({"path": "*.lock"})", {{"a", "Cargo.lock/"}}));
  CHECK(holds(R"({"path": "secrets/key"})", {{"a", "secrets/key/x/.."}}));
  CHECK(holds(R"({"path": "/"})", {{"a", "/"}}));
  // Any number of folders, also none.
  CHECK(holds(R"({"path": "**/.env"})", {{"a", ".env"}}));
  CHECK(holds(R"({"path": "**/.env"})", {{"a", "a/b/.env"}}));
  CHECK_FALSE(holds(R"({"path": "**/.env"})", {{"a", "a/x.env"}}));
}

TEST_CASE("conditions reach into objects and arrays, and a place that is none has no value") {
  const auto policy = policy_of(R"({"rules": [{"match": {"arguments": {
      "/argv/0": {"equals": "git"}, "/argv/1": {"one_of": ["log", "status"]}, "/argv/9": {"exists": false},
      "/options/a~1b": {"equals": 1}}}, "action": "allow"}], "default": "ask"})");
  const auto allows = [&](const json& arguments) {
    return policy.rule_on_call(tid("t"), {}, arguments).action == policy_action::allow;
  };
  CHECK(allows({{"argv", {"git", "log"}}, {"options", {{"a/b", 1}}}}));
  CHECK_FALSE(allows({{"argv", {"git", "push"}}, {"options", {{"a/b", 1}}}}));
  CHECK_FALSE(allows({{"argv", "git"}, {"options", {{"a/b", 1}}}}));
  CHECK_FALSE(allows({{"argv", {{"0", "git"}}}}));
  CHECK_FALSE(allows(json::object()));
  CHECK_FALSE(allows(nullptr));
}

TEST_CASE("a pointer that can be no index of the array that it meets names no value") {
  const auto policy = policy_of(R"({"rules": [{"match": {"arguments": {
      "/argv/": {"exists": true}}}, "action": "deny"}, {"match": {"arguments": {
      "/accounts/99999999999999999999/limit": {"exists": true}}}, "action": "deny"}], "default": "ask"})");
  const auto action = [&](const json& arguments) {
    return policy.rule_on_call(tid("t"), {}, arguments).action;
  };
  CHECK(action({{"argv", {"a", "b"}}}) == policy_action::ask);
  CHECK(action({{"accounts", {1, 2}}}) == policy_action::ask);
  CHECK(action({{"accounts", {{"99999999999999999999", {{"limit", 1}}}}}}) == policy_action::deny);
  CHECK(action({{"argv", {{"", 1}}}}) == policy_action::deny);
}

TEST_CASE("a policy that allows nothing asks instead, and denies as before") {
  const auto policy = policy_of(R"({"rules": [{"match": {"tool": "read"}, "action": "allow"},
      {"match": {"tool": "drop"}, "action": "deny"}], "default": "allow"})")
                          .allowing_nothing();
  CHECK(policy.rule_on_call(tid("read"), {}, {}).action == policy_action::ask);
  CHECK(policy.rule_on_call(tid("drop"), {}, {}).action == policy_action::deny);
  CHECK(policy.rule_on_call(tid("other"), {}, {}).action == policy_action::ask);
  CHECK(policy.rule_on_plan({}).action == policy_action::ask);
}

TEST_CASE("what a policy cannot mean is refused when it is loaded, and the place is named") {
  CHECK(refusal_of(R"({"rules": [],
 "default": "ask",})")
            .starts_with("invalid_json: "));
  CHECK(contains(refusal_of("{\"rules\": [],\n \"default\": ask}"), "line 2"));
  CHECK(contains(refusal_of(R"({"rules": []})"), "default"));
  CHECK(contains(refusal_of(R"({"rules": [{"action": "permit"}], "default": "ask"})"),
                 "rules[0].action"));
  CHECK(contains(refusal_of(R"({"rules": [{"action": "ask", "expire": 1}], "default": "ask"})"),
                 "rules[0]: unknown field \"expire\""));
  CHECK(contains(
      refusal_of(R"({"rules": [{"action": "ask", "match": {"tol": "x"}}], "default": "ask"})"),
      "rules[0].match: unknown field \"tol\""));
  const auto in_condition = [](const std::string& condition) {
    return refusal_of(R"({"rules": [{"action": "ask"}, {"match": {"arguments": {)" + condition
                      + R"(}}, "action": "allow"}], "default": "ask"})");
  };
  CHECK(contains(
      in_condition(R"("/a": {"equal": 1})"),
      "rules[1].match.arguments[\"/a\"].equal: there is no such operator; there are: equals"));
  CHECK(contains(in_condition(R"("/a": {"matches": "(a"})"),
                 "rules[1].match.arguments[\"/a\"].matches: not an RE2 expression: missing"));
  CHECK(contains(in_condition(R"("a": {"equals": 1})"),
                 "rules[1].match.arguments[\"a\"]: not a JSON Pointer"));
  CHECK(contains(in_condition(R"("/a~2": {"equals": 1})"), "not a JSON Pointer"));
  CHECK(contains(in_condition(R"("/a": {})"), "a condition needs an operator"));
  CHECK(contains(in_condition(R"("/a": {"one_of": []})"), "expected an array"));
  CHECK(contains(in_condition(R"("/a": {"at_most": "5"})"), "expected a number, got string"));
  CHECK(contains(in_condition(R"("/a": {"exists": 1})"), "expected true or false"));
  CHECK(contains(in_condition(R"("/a": {"glob": 1})"), "expected a string, got number"));
  CHECK(contains(in_condition(R"("/a": {"glob": "[ab"})"), "[ without its ]"));
  for (const auto* path : {"./a", "a//b", "a/../b", "a/", ""})
    CHECK(contains(in_condition(R"("/a": {"path": ")" + std::string{path} + R"("})"),
                   "no path looks like it once it is resolved"));
  CHECK(contains(in_condition(R"("/a": {"glob": "{a"})"), "{ without its }"));
  CHECK(contains(in_condition(R"("/a": {"glob": "[z-a]"})"), "not an RE2 expression"));
  CHECK(
      contains(refusal_of(R"({"rules": [{"match": {"kind": "plan", "tool": "x"}, "action": "ask"}],
                               "default": "ask"})"),
               "a rule for plans has neither tool nor arguments"));
  CHECK(contains(
      refusal_of(R"({"rules": [{"action": "ask", "expires_after_ms": -1}], "default": "ask"})"),
      "rules[0].expires_after_ms"));
  CHECK(contains(
      refusal_of(R"({"rules": [{"action": "deny", "expires_after_ms": 1}], "default": "ask"})"),
      "cannot expire"));
  CHECK(
      contains(refusal_of(R"({"rules": [{"action": "ask", "action": "allow"}], "default": "ask"})"),
               "invalid_json"));
  policy_spec many;
  many.rules.resize(1'001);
  CHECK(is(approval_policy::compile(std::move(many)).error(), errc::limit_exceeded));
}

TEST_CASE("a policy is the same after JSON, and a rule that cannot be is a programmer's error") {
  auto policy = approval_policy::reads();
  policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(24h));
  const auto again = policy_of(to_text(to_json(policy.spec())));
  CHECK(again.spec() == policy.spec());
  CHECK(again.rule_on_plan({}).expires_after == 24h);
  CHECK(again.rule_on_call(tid("read_file"), {}, {}).action == policy_action::allow);
  CHECK_THROWS_AS(policy.prefer(policy_rule::for_tools("[", policy_action::ask)),
                  std::invalid_argument);
  CHECK(policy.spec() == again.spec());
}

} // namespace policy_test
