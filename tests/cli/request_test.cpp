#include "arguments.hpp"
#include "request.hpp"

#include <fermata_catch.hpp>

#include <array>

namespace request_test {

using namespace fermata;
using namespace fermata::command_line;

namespace {

template <std::size_t Size>
result<request> request_of(const std::array<const char*, Size>& words) {
  auto parsed = parse_arguments(static_cast<int>(Size), words.data());
  if (!parsed)
    return std::move(parsed.error());
  return make_request(parsed->given);
}

} // namespace

TEST_CASE("approve and reject tell a call from a plan by its id") {
  const auto plan = request_of(std::array{"fermata", "reject", "s:p2", "--reason", "no"});
  REQUIRE(plan);
  const auto& on_plan = std::get<decide_plan>(*plan->body);
  CHECK(on_plan.revision == 2);
  CHECK(on_plan.verdict == plan_verdict::reject);
  CHECK(on_plan.feedback == "no");
  CHECK_FALSE(on_plan.by.empty());
  CHECK(plan->ends_plans);
  const auto call = request_of(std::array{"fermata", "approve", "s:c7", "--digest", "d"});
  REQUIRE(call);
  const auto& on_call = std::get<decide_call>(*call->body);
  CHECK(on_call.call.number() == 7);
  CHECK(on_call.verdict == call_verdict::approve);
  CHECK(on_call.digest == "d");
}

TEST_CASE("options may stand before and behind the subcommand") {
  const std::array before{"fermata", "--json", "--store", "x", "status", "s"};
  const std::array behind{"fermata", "status", "s", "--store", "x", "--json"};
  for (const auto& words : {before, behind}) {
    const auto parsed = parse_arguments(static_cast<int>(words.size()), words.data());
    REQUIRE(parsed);
    CHECK(parsed->given.as_json);
    CHECK(parsed->given.store == "x");
    CHECK(parsed->given.command == "status");
    CHECK(parsed->given.session == "s");
  }
}

TEST_CASE("a session may have the name of a subcommand") {
  const std::array words{"fermata", "status", "pending"};
  const auto parsed = parse_arguments(static_cast<int>(words.size()), words.data());
  REQUIRE(parsed);
  CHECK(parsed->given.command == "status");
  CHECK(parsed->given.session == "pending");
}

TEST_CASE("help is printed for the command and for each subcommand") {
  const std::array all{"fermata", "--help"};
  const auto top = parse_arguments(static_cast<int>(all.size()), all.data());
  REQUIRE(top);
  REQUIRE(top->help);
  CHECK(top->help->find("not confined") == std::string::npos);
  CHECK(top->help->find("NOT\nconfined") != std::string::npos);
  CHECK(top->help->find("Exit status") != std::string::npos);
  const std::array one{"fermata", "outcome", "--help"};
  const auto sub = parse_arguments(static_cast<int>(one.size()), one.data());
  REQUIRE(sub);
  CHECK(sub->help->find("RESOLUTION") != std::string::npos);
}

TEST_CASE("cancel tells a call from a session, and a subtask by its option") {
  const auto whole = request_of(std::array{"fermata", "cancel", "s"});
  REQUIRE(whole);
  CHECK(std::holds_alternative<cancel_plan>(*whole->body));
  CHECK(whole->ends_plans);
  const auto call = request_of(std::array{"fermata", "cancel", "s:c7", "--reason", "no more"});
  REQUIRE(call);
  CHECK(std::get<cancel_call>(*call->body).call.number() == 7);
  CHECK(std::get<cancel_call>(*call->body).reason == "no more");
  CHECK_FALSE(call->ends_plans);
  const auto subtask = request_of(std::array{"fermata", "cancel", "s", "--subtask", "one"});
  REQUIRE(subtask);
  CHECK(std::get<cancel_subtask>(*subtask->body).subtask.str() == "one");
}

TEST_CASE("a deadline is a time, a time from now, or none") {
  const auto at = request_of(
      std::array{"fermata", "deadline", "s", "--at", "2026-12-01T08:00:00Z", "--subtask", "one"});
  REQUIRE(at);
  CHECK(std::get<set_deadline>(*at->body).at->time_since_epoch().count() == 1'796'112'000'000);
  CHECK(std::get<set_deadline>(*at->body).subtask->str() == "one");
  const auto before = std::chrono::system_clock::now();
  const auto in = request_of(std::array{"fermata", "deadline", "s", "--in", "1h30m"});
  REQUIRE(in);
  const auto ahead = *std::get<set_deadline>(*in->body).at - before;
  CHECK(ahead >= std::chrono::minutes{90} - std::chrono::milliseconds{1});
  CHECK(ahead < std::chrono::minutes{100});
  CHECK_FALSE(std::get<set_deadline>(*in->body).subtask);
  const auto none = request_of(std::array{"fermata", "deadline", "s", "--clear"});
  REQUIRE(none);
  CHECK_FALSE(std::get<set_deadline>(*none->body).at);
}

} // namespace request_test
