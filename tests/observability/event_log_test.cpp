// What is logged, at which level, and that nothing from outside gets out of its line.
#include "support.hpp"

#include <fermata/actors/event_log.hpp>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

namespace event_log_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A log into memory, as JSON lines.
class memory_log {
public:
  explicit memory_log(spdlog::level::level_enum level = spdlog::level::debug,
                      event_log_options options = {}) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out_));
    logger->set_pattern("%v");
    logger->set_level(level);
    observer = std::make_shared<event_log>(std::move(logger), std::move(options));
  }

  [[nodiscard]] std::string text() const { return out_.str(); }

  [[nodiscard]] std::vector<json> lines() const {
    std::vector<json> found;
    std::istringstream in{out_.str()};
    for (std::string line; std::getline(in, line);) {
      auto parsed = parse_json(line);
      INFO(line);
      REQUIRE(parsed);
      found.push_back(std::move(*parsed));
    }
    return found;
  }

  /// The lines about one kind of thing.
  [[nodiscard]] std::vector<json> lines(std::string_view about) const {
    auto found = lines();
    std::erase_if(found, [&](const json& line) { return line["event"] != about; });
    return found;
  }

  std::shared_ptr<event_log> observer;

private:
  std::ostringstream out_;
};

coro::task<step> speaker(step_context&) {
  co_return step::say("one\r\ntwo \x1b[31m red \xe2\x80\xae back \xc2\x85 \x7f \" end");
}

} // namespace

TEST_CASE("each event is a line that says whose it is") {
  const memory_log log;
  sim::world world{1, observed(log.observer)};
  accept(world, propose_plan{seed_plan()});
  world.advance(5s);
  accept(world, approve_plan());
  world.advance(90s);
  auto decision = approve(1);
  decision.by = "ann";
  accept(world, decision);
  auto numbered = log.lines();
  std::erase_if(numbered, [](const json& line) { return !line.contains("number"); });
  const auto events = world.events(sid());
  REQUIRE(numbered.size() == events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    CHECK(numbered[i]["number"] == events[i].number);
    CHECK(numbered[i]["event"] == std::string{name_of(events[i].body)});
    CHECK(numbered[i]["session"] == "s1");
  }
  REQUIRE(log.lines("call_decided").size() == 1);
  const auto line = log.lines("call_decided")[0];
  CHECK(line["time"] == "2030-01-01T00:01:35.000Z");
  CHECK(line["level"] == "info");
  CHECK(line["revision"] == 1);
  CHECK(line["subtask"] == "first");
  CHECK(line["call"] == "s1:c1");
  CHECK(line["tool"] == "ask_shop");
  CHECK(line["waited_ms"] == 90'000);
  CHECK(line["body"]["by"] == "ann");
  CHECK(line["body"]["verdict"] == "approve");
  CHECK_FALSE(line["body"].contains("type"));
  CHECK(log.lines("subtask_started")[0]["subtask"] == "first");
}

TEST_CASE("a level shows what it is for and what is graver") {
  const auto scenario = [](const memory_log& log) {
    sim::world world{1, observed(log.observer)};
    accept(world, propose_plan{script_plan(R"({"tool": "ask", "on_rejected": "fail"})")});
    accept(world, approve_plan());
    refuse(world, tool_result{cid(1), 1});
    world.store().fail_next(memory_fault::disk_full);
    refuse(world, reject(1, "no"));
    accept(world, reject(1, "no"));
  };
  const memory_log debug;
  scenario(debug);
  const memory_log info{spdlog::level::info};
  scenario(info);
  const memory_log warn{spdlog::level::warn};
  scenario(warn);
  const memory_log error{spdlog::level::err};
  scenario(error);
  CHECK(debug.lines().size() > info.lines().size());
  CHECK(info.lines().size() > warn.lines().size());
  CHECK(warn.lines().size() > error.lines().size());

  for (const auto* type : {"subtask_started", "call_proposed", "session_resident", "step_ended"}) {
    CHECK_FALSE(debug.lines(type).empty());
    CHECK(info.lines(type).empty());
  }
  for (const auto* type : {"state_changed", "plan_decided", "call_decided"}) {
    CHECK_FALSE(info.lines(type).empty());
    CHECK(warn.lines(type).empty());
  }
  CHECK(warn.lines("subtask_failed").size() == 1);
  REQUIRE(warn.lines("command_refused").size() == 2);
  const auto refused = warn.lines("command_refused")[0];
  CHECK(refused["command"] == "tool_result");
  CHECK(refused["error"] == "not_approved");
  CHECK(refused["session"] == "s1");
  CHECK_FALSE(refused["message"].get<std::string>().empty());
  REQUIRE(error.lines().size() == 1);
  CHECK(error.lines()[0]["event"] == "commit_failed");
  CHECK(error.lines()[0]["error"] == "disk_full");
}

TEST_CASE("a session that cannot be loaded is an error") {
  const memory_log log{spdlog::level::err};
  sim::world world{1, observed(log.observer)};
  accept(world, propose_plan{seed_plan()});
  world.restart();
  REQUIRE(world.store().corrupt_record(1, plan_key(1)));
  refuse(world, approve_plan());
  REQUIRE(log.lines("activation_failed").size() == 1);
  CHECK(log.lines()[0]["error"] == "store_corrupt");
}

TEST_CASE("what the runtime itself passes over, or cannot reclaim, is an error without a session") {
  const memory_log log{spdlog::level::err};
  log.observer->damage_found(make_error(errc::store_corrupt, "table timers"));
  reclaimed_space nothing;
  log.observer->reclaimed(nothing);
  nothing.error = make_error(errc::disk_full, "no room");
  log.observer->reclaimed(nothing);
  REQUIRE(log.lines().size() == 2);
  CHECK(log.lines()[0]["event"] == "damage_found");
  CHECK(log.lines()[0]["error"] == "store_corrupt");
  CHECK(log.lines()[0]["message"] == "table timers");
  CHECK_FALSE(log.lines()[0].contains("session"));
  CHECK(log.lines()[1]["event"] == "reclaim_failed");
  CHECK(log.lines()[1]["error"] == "disk_full");
}

TEST_CASE("a text from outside cannot leave its line, nor do anything at a terminal") {
  const memory_log log;
  sim::world world{1, observed(log.observer, unattended([](agent_registry& agents, tool_registry&) {
                                 must(agents.add("speaker", speaker));
                               }))};
  static_cast<void>(
      world.send(sid(), propose_plan{agent_plan(R"({"id": "a", "agent": "speaker"})")}));
  accept(world, suspend_session{"a\nb\tc"});
  for (const char c : log.text())
    CHECK((c == '\n' || (c >= ' ' && c <= '~')));
  REQUIRE_FALSE(log.lines("agent_said").empty());
  CHECK(contains(log.lines("agent_said")[0]["body"]["text"].get<std::string>(), "one\r\ntwo"));
}

TEST_CASE("secrets are not logged") {
  event_log_options options;
  options.redaction = *redactor::parse(R"({"fields": ["password"], "patterns": ["sk-[a-z]+"]})");
  const memory_log log{spdlog::level::debug, options};
  sim::world world{1, observed(log.observer)};
  accept(world, propose_plan{script_plan(
                    R"({"tool": "ask", "arguments": {"password": "hunter2", "key": "sk-abc"}})")});
  accept(world, approve_plan());
  refuse(world, answer_question{cid(1), "sk-abc"});
  accept(world, reject(1, "sk-abc is wrong"));
  CHECK_FALSE(contains(log.text(), "hunter2"));
  CHECK_FALSE(contains(log.text(), "sk-abc"));
  const auto proposed = log.lines("call_proposed")[0];
  CHECK(proposed["body"]["arguments"] == json::parse(R"({"password": "[redacted]",
                                                         "key": "[redacted]"})"));
  CHECK(proposed["body"]["digest"] == call_of(world, 1).digest);
}

TEST_CASE("an error's message is cut off like other texts") {
  const memory_log log;
  log.observer->commit_failed(sid(), make_error(errc::io_error, std::string(100'000, 'x')));
  log.observer->answered(
      {sid(), "propose_plan", make_error(errc::invalid_field, std::string(100'000, 'y')), 1s});
  REQUIRE(log.lines().size() == 2);
  for (const auto& line : log.lines()) {
    CHECK(contains(line["message"].get<std::string>(), "... (100000 bytes)"));
    CHECK(to_text(line).size() < 3'000);
  }
}

TEST_CASE("a line stays short however much there is to say") {
  event_log_options options;
  options.body_size_bytes = 2'000;
  const memory_log log{spdlog::level::debug, options};
  sim::world world{1, observed(log.observer)};
  const auto ask = [](const json& arguments) {
    return script_plan(to_text({{"tool", "ask"}, {"arguments", arguments}}));
  };
  accept(world, propose_plan{ask({{"text", std::string(100'000, 'x')}})});
  accept(world, approve_plan());
  accept(world, propose_plan{ask({{"many", std::vector<std::string>(1'000, "xyz")}})}, "s2");
  accept(world, approve_plan(), "s2");
  const auto lines = log.lines("call_proposed");
  REQUIRE(lines.size() == 2);
  CHECK(contains(lines[0]["body"]["arguments"]["text"].get<std::string>(), "... (100000 bytes)"));
  CHECK(lines[1]["body"]["omitted_bytes"] > 5'000);
  CHECK(lines[1]["call"] == "s2:c1");
  for (const auto& line : log.lines())
    CHECK(to_text(line).size() < 3'000);
}

TEST_CASE("what a host notices is a line without a session, and stays in it") {
  event_log_options options;
  options.redaction = redactor::parse(R"({"patterns": ["secret"]})").value();
  const memory_log log{spdlog::level::warn, options};
  log.observer->note("contact_changed", false, {{"node", "lima"}});
  CHECK(log.lines().empty()); // the level of what is no warning
  log.observer->note(
      "node_refused", true,
      {{"node", "x\ny"}, {"port", 1}, {"reason", "a secret" + std::string(2'000, 'z')}});
  const auto lines = log.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["level"] == "warn");
  CHECK(lines[0]["event"] == "node_refused");
  CHECK(lines[0]["node"] == "x\ny");
  CHECK(lines[0]["port"] == 1);
  CHECK_FALSE(lines[0].contains("session"));
  CHECK(lines[0]["reason"].get<std::string>().starts_with("a [redacted]"));
  CHECK(lines[0]["reason"].get<std::string>().size() < 1'100);
}

} // namespace event_log_test
