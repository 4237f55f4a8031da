// Commands that go through the service that owns their store, played here by a script, which also
// misbehaves. `service_parity_test` has a real one.
#include "captured_output.hpp"
#include "records.hpp"
#include "remote_link.hpp"
#include "sandbox.hpp"
#include "scripted_service.hpp"
#include "sse_reader.hpp"

#include <fermata/actors/runtime.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <fermata_catch.hpp>

#include <csignal>
#include <fstream>

namespace service_client_test {

using namespace fermata;
using namespace fermata::test;
using command_line::halt;
using command_line::sse_reader;

namespace {

/// The node lima, which is alone.
command_line::membership lone_member() {
  member_list list;
  list.cluster = node_name::parse("market").value();
  list.members.emplace_back(node_name::parse("lima").value(), "127.0.0.1", std::uint16_t{4242});
  return {list.members[0].name, list};
}

/// A session `s` that waits for the approval of its plan after three events, in a store that
/// somebody owns.
class owned_session {
public:
  owned_session() {
    const auto paused = box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"});
    REQUIRE(paused.status == 3);
    status = paused.last();
    for (const auto& line : paused.lines)
      if (line.contains("pending"))
        pending.push_back(line["pending"]);
    auto opened = lmdb_store::open(box.store());
    REQUIRE(opened);
    owner_ = std::move(*opened);
  }

  /// Applies a command as the service would, which then stops. From any thread.
  void apply(command body) const {
    runtime_options options;
    options.store = owner_;
    runtime running{std::move(options)};
    running.start();
    static_cast<void>(running.session(*session_id::parse("s")).send(std::move(body)).get().value());
    running.stop();
  }

  /// The events from the fourth on, each as a line of a command that shows it.
  [[nodiscard]] std::vector<json> new_events() const {
    std::vector<json> events;
    for (const auto& happened : box.run({"events", "s", "--from", "4"}).lines)
      events.push_back({{"event", happened}});
    return events;
  }

  /// Approves the plan from within this process, by a service that is looked for once when it has
  /// gone.
  [[nodiscard]] caf::error approve_plan_by(std::vector<scripted_answer> answers, const json& health,
                                           std::vector<std::string>* requests = nullptr) const {
    lmdb_options beside;
    beside.access = store_access::read_only;
    const auto opened = lmdb_store::open(box.store(), beside);
    REQUIRE(opened);
    command_line::remote_options options;
    options.store = box.store();
    options.socket = socket();
    options.absence = std::chrono::milliseconds{0};
    scripted_service service{socket(), std::move(answers), health};
    captured_output output;
    command_line::console out{true};
    const auto beside_store = command_line::records_of(**opened);
    command_line::remote_link link{options, *beside_store, out, *session_id::parse("s")};
    auto ended = link.apply(decide_plan{1, plan_verdict::approve});
    if (requests != nullptr)
      *requests = service.requests();
    return ended ? caf::error{} : ended.error();
  }

  [[nodiscard]] std::filesystem::path socket() const { return box.store() / "service.sock"; }

  /// The events of a stream that ends with the pause.
  [[nodiscard]] std::string paused() const {
    return sse("paused", {{"status", status}, {"pending", pending}});
  }

  sandbox box;
  json status;
  json pending = json::array();

private:
  std::shared_ptr<store> owner_;
};

json receipt_of(std::uint64_t number, const char* kind = "accepted") {
  return {{"session", "s"}, {"event", number}, {"kind", kind}, {"state", "running"}};
}

json message_chunk(std::uint64_t number, std::string text) {
  event happened;
  happened.number = number;
  message_received said;
  said.text = std::move(text);
  happened.body = std::move(said);
  return to_json(chunk{*session_id::parse("s"), std::move(happened)});
}

/// The lines of a command's output that are events.
std::vector<json> events_in(const outcome& ended) {
  std::vector<json> events;
  for (const auto& line : ended.lines)
    if (line.contains("event"))
      events.push_back(line);
  return events;
}

/// Something that a service does before it answers, or goes away without an answer.
scripted_answer after(std::function<void()> meanwhile, std::string answer = {}) {
  scripted_answer made{std::move(answer)};
  made.meanwhile = std::move(meanwhile);
  return made;
}

/// All events of a stream that comes in pieces of so many bytes.
std::vector<std::string> events_of(std::string_view stream, std::size_t piece,
                                   const std::string& signal = {}) {
  sse_reader reader{1'000, signal};
  std::vector<std::string> events;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    REQUIRE_FALSE(reader.push(stream.substr(at, piece)));
    while (auto event = reader.take())
      events.push_back(event->name + "|" + event->data + "|" + event->id);
  }
  return events;
}

} // namespace

TEST_CASE("a stream of events is read however it is cut into pieces") {
  const std::string stream = "\xEF\xBB\xBF"
                             "event: chunk\r\nid: 17\r\ndata: one\r\ndata:two\r\n\r\n"
                             ": keep-alive\n\n"
                             "data\rretry: 5\r\r"
                             "event: without data\n\n"
                             "data:  x: y\n\ndata: cut off\n";
  const std::vector<std::string> expected{"chunk|one\ntwo|17", "message||17", "message| x: y|17"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece)
    CHECK(events_of(stream, piece) == expected);
}

TEST_CASE("a line or an event without an end is refused at the bound") {
  sse_reader lines{1'000};
  CHECK_FALSE(lines.push(std::string(1'000, 'x')));
  CHECK(is(lines.push("x"), errc::limit_exceeded));
  sse_reader events{1'000};
  caf::error error;
  int pushed = 0;
  for (; !error && pushed < 1'000; ++pushed)
    error = events.push("data: " + std::string(90, 'x') + "\n");
  CHECK(is(error, errc::limit_exceeded));
  CHECK(pushed == 12);
}

TEST_CASE("of an event that is a signal nothing is kept but its name, however large it is") {
  const auto large = std::string(3'000, 'x');
  const auto stream = "event: paused\ndata: " + large + "\ndata: " + large
                      + "\n\nevent: chunk\ndata: one\n\nevent: paused\n\n";
  for (const std::size_t piece : {1UL, 7UL, 1'000UL, 10'000UL})
    CHECK(events_of(stream, piece, "paused") == std::vector<std::string>{"paused||", "chunk|one|"});
  sse_reader others{1'000, "paused"};
  CHECK(is(others.push("event: chunk\ndata: " + large), errc::limit_exceeded));
  sse_reader other_fields{1'000, "paused"};
  CHECK(is(other_fields.push("event: paused\nid: " + large), errc::limit_exceeded));
}

TEST_CASE("a command goes through the service that owns the store, and prints the same") {
  const owned_session there;
  scripted_service service{there.socket(),
                           {stream_head() + ": hello\n\n" + sse("receipt", receipt_of(4))
                            + sse("chunk", message_chunk(4, "hi"))
                            + sse("live", {{"kind", "progress"}, {"call", "s:c1"}, {"content", 1}})
                            + sse("behind", {{"dropped", 3}}) + sse("unheard-of", {{"new", 1}})
                            + there.paused()}};
  const auto ended = there.box.run({"message", "s", "hi"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  REQUIRE(ended.lines.size() == 4);
  CHECK(ended.lines[0] == json{{"receipt", receipt_of(4)}});
  CHECK(ended.lines[1]["event"]["number"] == 4);
  CHECK(ended.lines[1]["event"]["body"]["text"] == "hi");
  CHECK(ended.lines[2] == json{{"pending", there.pending[0]}});
  CHECK(ended.lines[3] == there.status);
  const auto requests = service.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].starts_with("POST /v1/sessions/s/commands HTTP/1.1\r\n"));
  CHECK(contains(requests[0], "\r\nAccept: text/event-stream\r\n"));
  CHECK(contains(requests[0], "\r\nContent-Type: application/json\r\n"));
  CHECK(contains(requests[0], R"("type":"post_message")"));
}

TEST_CASE("the socket is where the service has written it down") {
  const owned_session there;
  const auto socket = there.box.workspace() / "elsewhere.sock";
  std::ofstream{there.box.store() / "service.json"}
      << to_text({{"socket", socket.string()}, {"pid", 1}});
  scripted_service service{socket,
                           {stream_head() + sse("receipt", receipt_of(4)) + there.paused()},
                           health_of(there.box.store())};
  // However the store is named.
  const auto link = there.box.workspace() / "link";
  std::filesystem::create_directory_symlink(there.box.store(), link);
  CHECK(there.box.run({"message", "s", "hi", "--store", link.string()}).status == 3);
  CHECK(service.requests().size() == 1);
}

TEST_CASE("a socket whose service owns another store, or does not say which, is not spoken to") {
  const owned_session there;
  const json silent{{"status", "ok"}};
  for (const auto& health : {health_of(there.box.workspace()), silent, json::array()}) {
    scripted_service other{there.socket(), {scripted_answer{"", true}}, health};
    for (const auto* command : {"message", "watch", "metrics"}) {
      auto words = std::vector<std::string>{command};
      if (words[0] == "message")
        words = {"message", "s", "hi"};
      else if (words[0] == "watch")
        words = {"watch", "s", "--until-paused"};
      const auto ended = there.box.run(words);
      INFO(ended.out << ended.err);
      // What is recorded can be watched without a service.
      CHECK(ended.status == (words[0] == "watch" ? 3 : 4));
      if (words[0] == "message")
        CHECK(ended.error()["error"] == "store_busy");
    }
    CHECK(other.requests().empty());
  }
}

TEST_CASE("a service of another store that took the socket over is not given the command again") {
  const owned_session there;
  std::vector<std::string> requests;
  const auto error =
      there.approve_plan_by({{""}, {""}}, health_of(there.box.workspace()), &requests);
  CHECK(is(error, errc::timed_out));
  CHECK(requests.size() == 1);
}

TEST_CASE("files that the environment names matter only where the store is owned by the command") {
  const auto ended = [](const sandbox& box) {
    auto options = box.invocation({"--json", "message", "s", "hi"});
    options.environment["FERMATA_MODELS"] = "/nonexistent/models";
    options.environment["FERMATA_POLICY"] = "/nonexistent/policy";
    child process{options};
    const auto status = process.wait();
    return std::pair{status, process.error_output()};
  };
  const owned_session there;
  CHECK(contains(ended(there.box).second, "store_busy"));
  {
    const scripted_service service{
        there.socket(), {stream_head() + sse("receipt", receipt_of(4)) + there.paused()}};
    CHECK(ended(there.box) == std::pair{3, std::string{}});
  }
  const sandbox free;
  const auto refused = ended(free);
  CHECK(refused.first == 2);
  CHECK(contains(refused.second, "/nonexistent/models"));
  CHECK_FALSE(std::filesystem::exists(free.store()));
}

TEST_CASE("how a session stands is read from the store, not taken from what the service tells") {
  const owned_session there;
  auto hidden = there.pending;
  hidden[0]["goal"] = "[redacted]";
  scripted_answer huge{stream_head() + sse("receipt", receipt_of(4)) + "event: paused\ndata: "};
  huge.rest = std::string(1'000'000, 'x');
  huge.repeated = 40;
  huge.last = "\n\n";
  const scripted_service service{
      there.socket(),
      {{stream_head() + sse("receipt", receipt_of(4))
        + sse("paused", {{"status", there.status}, {"pending", hidden}})},
       huge}};
  for (int i = 0; i < 2; ++i) {
    const auto ended = there.box.run({"message", "s", "hi"});
    INFO(ended.out << ended.err);
    CHECK(ended.status == 3);
    REQUIRE(ended.lines.size() == 3);
    CHECK(ended.lines[1] == json{{"pending", there.pending[0]}});
    CHECK(ended.lines[2] == there.status);
  }
}

TEST_CASE("without a service that answers, a store that is owned is busy") {
  const owned_session there;
  CHECK(there.box.run({"approve", "s:p1"}).error()["error"] == "store_busy");
  // Left behind by a service that was killed.
  { const scripted_service gone{there.socket(), {}}; }
  REQUIRE(std::filesystem::exists(there.socket()));
  const auto busy = there.box.run({"approve", "s:p1"});
  CHECK(busy.status == 4);
  CHECK(busy.error()["error"] == "store_busy");
}

TEST_CASE("what the service refuses is the command's error") {
  const owned_session there;
  const std::vector<std::pair<std::string, int>> refusals{
      {"stale_approval", 2}, {"unknown_call", 2}, {"shutting_down", 4}, {"disk_full", 4}};
  for (const auto& [name, status] : refusals) {
    const json refusal{{"error", name}, {"message", "because \u202E of that"}};
    scripted_service service{there.socket(), {answer_of("409 Conflict", refusal)}};
    const auto ended = there.box.run({"approve", "s:p1"});
    CHECK(ended.status == status);
    CHECK(ended.out.empty());
    CHECK(ended.error() == refusal);
  }
  scripted_service service{there.socket(), {answer_of("418 Teapot", {{"error", "unheard_of"}})}};
  CHECK(there.box.run({"approve", "s:p1"}).error()["error"] == "internal");
}

TEST_CASE("options that belong to the service are refused, and nothing is sent") {
  const owned_session there;
  // It listens, and must not be asked.
  scripted_service listening{there.socket(), {scripted_answer{"", true}}};
  const auto policy = there.box.write("policy.json", R"({"rules": [], "default": "ask"})");
  const auto models = there.box.write("models.json", R"({"models": {}, "agents": {}})");
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"resume", "s", "--workspace", "."},
                                             {"message", "s", "hi", "--models", models},
                                             {"message", "s", "hi", "--log", "log.jsonl"},
                                             {"resume", "s", "--approve", "none"},
                                             {"resume", "s", "--approve", "reads"},
                                             {"resume", "s", "--policy", policy},
                                             {"resume", "--due", "--models", models}}) {
    const auto ended = there.box.run(words);
    INFO(ended.out << ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.error()["error"] == "invalid_field");
    CHECK(contains(ended.error()["message"], "service"));
  }
  CHECK(listening.requests().empty());
  CHECK_FALSE(std::filesystem::exists(there.box.workspace() / "log.jsonl"));
}

TEST_CASE("what is no answer is an error that says what is known of the command") {
  const owned_session there;
  const auto garbled = [&](scripted_answer answer) {
    const scripted_service service{there.socket(), {std::move(answer)}};
    const auto ended = there.box.run({"message", "s", "hi"});
    INFO(ended.out << ended.err);
    CHECK(ended.status == 4);
    const auto error = ended.error();
    CHECK(error["error"] == "internal");
    return error["message"].get<std::string>();
  };
  const auto head = stream_head();
  CHECK(contains(garbled({"\x16\x03\x01 no HTTP at all\r\n\r\n"}), "is not known"));
  CHECK(contains(garbled({"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')}), "is not known"));
  CHECK(contains(garbled({answer_of("200 OK", {{"ok", true}})}), "no stream"));
  CHECK(contains(garbled({head + "event: receipt\ndata: {]\n\n"}), "is not known"));
  CHECK(contains(garbled({head + sse("receipt", {{"session", "s"}})}), "is not known"));
  CHECK(contains(garbled({head + sse("receipt", receipt_of(4)) + sse("chunk", {{"number", 4}})}),
                 "was applied, as event 4"));
  auto foreign = message_chunk(4, "hi");
  foreign["session"] = "t";
  CHECK(contains(garbled({head + sse("receipt", receipt_of(4)) + sse("chunk", foreign)}),
                 "was applied, as event 4"));
  // What it tells of is not in the store.
  CHECK(
      contains(garbled({head + sse("receipt", receipt_of(4)) + sse("chunk", message_chunk(4, "hi"))
                        + sse("chunk", message_chunk(9, "later"))}),
               "not in the store"));
  scripted_answer endless;
  endless.rest = std::string(65'536, 'x');
  endless.repeated = 1'000;
  const scripted_service service{there.socket(), {endless}};
  CHECK(there.box.run({"message", "s", "hi"}).error()["error"] == "internal");
}

TEST_CASE("a line of the stream that does not end is not read without a bound") {
  const owned_session there;
  scripted_answer endless{stream_head() + "data: "};
  endless.rest = std::string(1'000'000, 'x');
  endless.repeated = 40;
  const scripted_service service{there.socket(), {endless}};
  const auto ended = there.box.run({"message", "s", "hi"});
  CHECK(ended.status == 4);
  CHECK(contains(ended.error()["message"], "larger than"));
}

TEST_CASE("a command that may have been applied is not sent again, and the person is told") {
  const owned_session there;
  for (const auto& cut_off : {std::string{}, stream_head(), stream_head() + "event: rec"}) {
    scripted_service service{there.socket(), {{cut_off}, {cut_off}}};
    const auto ended = there.box.run({"message", "s", "hi"});
    INFO(ended.out << ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.error()["error"] == "timed_out");
    CHECK(contains(ended.error()["message"], "whether the command was applied is not known"));
    CHECK(contains(ended.error()["message"], "fermata events s --from 4"));
    CHECK(service.requests().size() == 1);
  }
}

TEST_CASE("a decision is sent again when it may not have arrived: twice is as good as once") {
  const owned_session there;
  scripted_service service{
      there.socket(),
      {{""},
       {stream_head()},
       {stream_head() + sse("receipt", receipt_of(3, "duplicate")) + there.paused()}}};
  const auto ended = there.box.run({"approve", "s:p1"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  CHECK(events_in(ended).empty());
  CHECK(ended.lines.at(0)["receipt"]["kind"] == "duplicate");
  const auto requests = service.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1] == requests[0]);
  CHECK(requests[2] == requests[0]);
}

TEST_CASE("a decision that may be on something else the second time is not sent again") {
  const owned_session there;
  const auto requests_of = [&](std::vector<std::string> words) {
    scripted_service service{there.socket(), {{""}, {""}}};
    const auto ended = there.box.run(std::move(words));
    CHECK(ended.status == 4);
    CHECK(contains(ended.error()["message"], "whether the command was applied is not known"));
    return service.requests().size();
  };
  CHECK(requests_of({"outcome", "s:c1", "rerun"}) == 1);
  CHECK(requests_of({"approve", "s:c1"}) == 1);
  CHECK(requests_of({"edit", "s:c1", "--arguments", "{}"}) == 1);
}

TEST_CASE("what the first of two attempts brought about is shown with the answer to the second") {
  const owned_session there;
  scripted_service service{
      there.socket(),
      {after([&] {
         there.apply(decide_plan{1, plan_verdict::approve});
       }),
       {stream_head() + sse("receipt", receipt_of(4, "duplicate")) + there.paused()}}};
  const auto ended = there.box.run({"approve", "s:p1"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  CHECK(service.requests().size() == 2);
  const auto recorded = there.new_events();
  CHECK(recorded.size() > 1);
  CHECK(events_in(ended) == recorded);
  CHECK(ended.last() == there.box.run({"status", "s"}).last());
}

TEST_CASE("a service that comes back is followed from where it went away") {
  const owned_session there;
  // What it would have told in between is in the store.
  scripted_service service{there.socket(),
                           {after([&] { there.apply(post_message{"hi"}); },
                                  stream_head() + sse("receipt", receipt_of(4))
                                      + sse("error", {{"error", "shutting_down"}})),
                            {answer_of("503 Service Unavailable", {{"error", "shutting_down"}})},
                            {stream_head() + sse("receipt", receipt_of(4)) + there.paused()}}};
  const auto ended = there.box.run({"message", "s", "hi"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  CHECK(ended.lines.at(0) == json{{"receipt", receipt_of(4)}});
  const auto recorded = there.new_events();
  CHECK_FALSE(recorded.empty());
  CHECK(events_in(ended) == recorded);
  const auto requests = service.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].starts_with("POST /v1/sessions/s/wake "));
  CHECK(requests[2].starts_with("POST /v1/sessions/s/wake "));
}

TEST_CASE("the event that the receipt of a wake names is from before, and is not shown again") {
  const owned_session there;
  scripted_service service{there.socket(),
                           {{stream_head() + sse("receipt", receipt_of(3))},
                            {stream_head() + sse("receipt", receipt_of(3)) + there.paused()}}};
  const auto ended = there.box.run({"resume", "s"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  CHECK(service.requests().size() == 2);
  CHECK(events_in(ended).empty());
}

TEST_CASE("of a service that stays away it is said what is known of the command") {
  const owned_session there;
  const auto own = health_of(there.box.store());
  const auto applied =
      there.approve_plan_by({{stream_head() + sse("receipt", receipt_of(4))}}, own);
  CHECK(is(applied, errc::shutting_down));
  CHECK(contains(message_of(applied), "was applied, as event 4"));
  const auto unknown = there.approve_plan_by({{""}}, own);
  CHECK(is(unknown, errc::timed_out));
  const auto unsent = there.approve_plan_by({}, own);
  CHECK(is(unsent, errc::store_unavailable));
  CHECK(contains(message_of(unsent), "was not applied"));
}

TEST_CASE("a second attempt that the service has no time for leaves open what the first did") {
  const owned_session there;
  const auto own = health_of(there.box.store());
  const auto refused_with = [](const char* name) {
    return answer_of("503 Service Unavailable", {{"error", name}, {"message", "not now"}});
  };
  for (const auto* name : {"overloaded", "shutting_down", "disk_full"}) {
    const auto error = there.approve_plan_by({{""}, {refused_with(name)}}, own);
    INFO(message_of(error));
    CHECK(is(error, errc::timed_out));
    CHECK(contains(message_of(error), "whether the command was applied is not known"));
  }
  // Before anything was sent, it is the whole answer; and so is what the session says.
  CHECK(is(there.approve_plan_by({{refused_with("overloaded")}}, own), errc::overloaded));
  CHECK(is(there.approve_plan_by({{""}, {refused_with("superseded")}}, own), errc::superseded));
}

TEST_CASE("an interruption ends the command, and says so, and not the session") {
  const owned_session there;
  const scripted_service service{
      there.socket(),
      {{stream_head() + sse("receipt", receipt_of(4)) + sse("chunk", message_chunk(4, "hello")),
        true}}};
  child person{there.box.invocation({"message", "s", "hi"})};
  REQUIRE(person.expect("hello"));
  person.signal(SIGINT);
  CHECK(person.wait() == 130);
  CHECK(contains(person.output(), "The service goes on with the session"));
  CHECK(contains(person.output(), " watch s"));
}

TEST_CASE("at a terminal what an agent is saying in the service is shown as it comes") {
  const owned_session there;
  const json update{{"kind", "text"}, {"subtask", "first"}, {"content", "Hello there\n"}};
  const scripted_service service{
      there.socket(),
      {{stream_head() + sse("receipt", receipt_of(4)) + sse("live", update), true}}};
  auto options = there.box.invocation({"message", "s", "hi"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("first says:"));
  REQUIRE(person.expect("| Hello there"));
  person.signal(SIGINT);
  CHECK(person.wait() == 130);
}

TEST_CASE("an interruption before the service has answered says that nothing is known") {
  const owned_session there;
  scripted_service service{there.socket(), {{"", true}}};
  child person{there.box.invocation({"message", "s", "hi"})};
  child_options until;
  until.argv = {"/bin/true"};
  while (service.requests().empty())
    child{until}.wait();
  person.signal(SIGTERM);
  CHECK(person.wait() == 130);
  CHECK(contains(person.error_output(), "whether the command was applied is not known"));
}

TEST_CASE("an interruption while --approve all has an approval sent says that nothing is known") {
  const owned_session there;
  scripted_service service{
      there.socket(),
      {{stream_head() + sse("receipt", receipt_of(3)) + there.paused()}, {"", true}}};
  child person{there.box.invocation({"resume", "s", "--approve", "all"})};
  child_options until;
  until.argv = {"/bin/true"};
  while (service.requests().size() < 2)
    child{until}.wait();
  person.signal(SIGINT);
  CHECK(person.wait() == 130);
  CHECK(contains(person.error_output(), "whether the command was applied is not known"));
}

TEST_CASE("metrics are the service's, and without one it is said how to get one") {
  const owned_session there;
  const std::string text = "# TYPE fermata_x counter\nfermata_x 1\n";
  const auto answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                      + std::to_string(text.size()) + "\r\n\r\n" + text;
  {
    scripted_service service{there.socket(), {answer, answer}};
    CHECK(there.box.run_plainly({"metrics"}).out == text);
    CHECK(there.box.run({"metrics"}).last() == json{{"metrics", text}});
    CHECK(service.requests().at(0).starts_with("GET /metrics "));
  }
  const auto ended = there.box.run({"metrics"});
  CHECK(ended.status == 4);
  CHECK(contains(ended.error()["message"], "fermata serve --store " + there.box.store().string()));
}

TEST_CASE(
    "lists of a service are read page by page, as far as they are wanted, with what is missing") {
  const auto page = [](const json& sessions, const json& next) {
    json body{{"sessions", json::array()},
              {"missing", json::array({{{"node", "paris"}, {"reason", "it is away"}}})}};
    for (const auto& one : sessions)
      body["sessions"].push_back({{"session", one}, {"state", "idle"}});
    if (!next.is_null())
      body["next"] = next;
    return scripted_answer{answer_of("200 OK", body)};
  };
  const temporary_directory folder;
  const auto socket = folder.path() / "service.sock";
  std::string read;
  const auto read_all = [&](bool goes_on) {
    scripted_service service{socket, {page({"a", "b"}, "lima:b"), page({"c"}, nullptr)}};
    const auto from = command_line::records_by(socket, lone_member());
    read.clear();
    CHECK_FALSE(from->read_sessions(session_state::idle, [&](const auto& sessions) {
      for (const auto& one : sessions)
        read += one.session.str();
      return goes_on;
    }));
    CHECK(from->missing().size() == (goes_on ? 2 : 1));
    CHECK(from->missing().at(0).node == "paris");
    return service.requests();
  };
  const auto requests = read_all(true);
  CHECK(read == "abc");
  REQUIRE(requests.size() == 2);
  CHECK(contains(requests[0], "GET /v1/sessions?state=idle&limit=256 HTTP"));
  CHECK(contains(requests[1], "GET /v1/sessions?state=idle&limit=256&after=lima:b HTTP"));
  CHECK(read_all(false).size() == 1);
  CHECK(read == "ab");
}

TEST_CASE("what a node that has gone leaves out of a list is missing, and said once") {
  const auto from = command_line::records_by("nowhere", lone_member());
  const auto session = *session_id::parse("s");
  CHECK_FALSE(from->leave_out(session, make_error(errc::unknown_session, "there is none")));
  CHECK(from->missing().empty());
  CHECK(from->leave_out(session, make_error(errc::node_unavailable, "it is away")));
  CHECK(from->leave_out(session, make_error(errc::timed_out, "it says nothing")));
  REQUIRE(from->missing().size() == 1);
  CHECK(from->missing()[0].node == "lima");
  CHECK(from->missing()[0].reason == "it is away");
}

TEST_CASE("events of a service are read on where a page of it ends early") {
  const temporary_directory folder;
  const auto socket = folder.path() / "service.sock";
  const auto page = [](std::vector<std::uint64_t> numbers) {
    auto chunks = json::array();
    for (const auto number : numbers) {
      event happened;
      happened.number = number;
      happened.body = state_changed{};
      chunks.push_back(to_json(chunk{*session_id::parse("s"), happened}));
    }
    return scripted_answer{answer_of("200 OK", {{"chunks", std::move(chunks)}})};
  };
  scripted_service service{socket, {page({3, 4}), page({5}), page({})}};
  const auto events = command_line::records_by(socket, lone_member())
                          ->events(*session_id::parse("s"), 3, 10)
                          .value();
  REQUIRE(events.size() == 3);
  CHECK(events.back().number == 5);
  REQUIRE(service.requests().size() == 3);
  CHECK(contains(service.requests()[1], "/chunks?first=5&limit=8 HTTP"));
}

} // namespace service_client_test
