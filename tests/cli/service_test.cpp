// The service as its clients see it: a server within this process, at real sockets.
#include "service_support.hpp"

#include <fermata_catch.hpp>
#include <prompter.hpp>

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

namespace service_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

const std::string get_health{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"};

std::vector<std::uint64_t> ids_of(const std::vector<streamed_event>& events) {
  std::vector<std::uint64_t> ids;
  for (const auto& one : events)
    if (one.id)
      ids.push_back(*one.id);
  return ids;
}

/// Posts a command and gives the events until the session pauses.
std::vector<streamed_event> told(http_client& client, const std::string& session,
                                 const std::string& command) {
  const auto answer = client.call("POST", commands_of(session), command);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  REQUIRE(answer.is_whole);
  CHECK(answer.header("content-type") == "text/event-stream");
  return parse_events(answer.body);
}

std::string names_of(const std::vector<streamed_event>& events) {
  std::string names;
  for (const auto& one : events)
    names += (names.empty() ? "" : " ") + one.name;
  return names;
}

const std::string right_token{"0123456789abcdef"};
const http_headers shown_token{{"Authorization", "Bearer " + right_token}};

/// For servers that listen by TCP as well.
void listen_by_tcp(service::server_options& options) {
  options.listen = "127.0.0.1:0";
  options.token = right_token;
}

/// Lets a session `s` have an event of this size, without a request that is as large.
void record_large_event(hosted_server& hosted, std::size_t size_bytes) {
  auto client = hosted.client();
  tell(client, "s", proposal());
  tell(client, "s", approval_of_plan());
  tell(client, "s", approval_of_call("s:c1"));
  const auto id = session_id::parse("s").value();
  const tool_result given{call_id{id, 1}, std::string(size_bytes, 'x')};
  REQUIRE(hosted.running().session(id).send(given).get());
}

/// Why a server does not open; empty: it does.
std::string listening_refusal(const std::string& address, const std::string& token) {
  try {
    hosted_server hosted{[&](auto& options) {
      options.listen = address;
      options.token = token;
    }};
  } catch (const std::runtime_error& refused) {
    return refused.what();
  }
  return {};
}

} // namespace

TEST_CASE("a whole plan is driven by commands on one connection, each until its pause") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto proposed = told(client, "s", proposal());
  CHECK(names_of(proposed) == "receipt chunk chunk chunk paused");
  CHECK(ids_of(proposed) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(proposed.front().data.at("kind") == "accepted");
  CHECK(proposed.back().data.at("status").at("state") == "awaiting_plan_decision");
  CHECK(proposed.back().data.at("pending").at(0).at("id") == "s:p1");

  const auto approved = told(client, "s", approval_of_plan());
  CHECK(ids_of(approved).front() == 4);
  CHECK(approved.back().data.at("pending").at(0).at("waiting_for") == "decision");

  const auto decided = told(client, "s", approval_of_call("s:c1"));
  CHECK(ids_of(decided).front() == ids_of(approved).back() + 1);
  CHECK(decided.back().data.at("pending").at(0).at("waiting_for") == "result");

  const auto given = told(client, "s", result_of("s:c1", "green"));
  CHECK(given.back().name == "paused");
  CHECK(given.back().data.at("status").at("state") == "completed");
  CHECK(given.back().data.at("pending").empty());
  CHECK(ids_of(given).back() == given.back().data.at("status").at("events"));
}

TEST_CASE(
    "the same command again is answered with its first receipt, and the stream ends at once") {
  hosted_server hosted;
  auto client = hosted.client();
  told(client, "s", proposal());
  const auto first = told(client, "s", approval_of_plan());
  const auto again = told(client, "s", approval_of_plan());
  CHECK(names_of(again) == "receipt paused");
  CHECK(again.front().data.at("kind") == "duplicate");
  CHECK(again.front().data.at("event") == first.front().data.at("event"));
}

TEST_CASE("a client that wants JSON gets the receipt alone") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto answer = client.call("POST", commands_of("s"), proposal(), wants_receipt);
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.value().at("state") == "awaiting_plan_decision");
  CHECK(client.call("POST", "/v1/sessions/s/wake", {}, wants_receipt).value().at("kind")
        == "accepted");
}

TEST_CASE("a refused command is an error with its name, and no stream") {
  hosted_server hosted;
  auto client = hosted.client();
  auto refused = client.call("POST", commands_of("s"), approval_of_plan());
  CHECK(refused.status == 404);
  CHECK(refused.error() == "unknown_session");
  CHECK(client.call("POST", "/v1/sessions/s/wake").error() == "unknown_session");
  told(client, "s", proposal());
  refused = client.call("POST", commands_of("s"), proposal());
  CHECK(refused.status == 409);
  CHECK(refused.error() == "session_busy");
  told(client, "s", approval_of_plan());
  refused = client.call("POST", commands_of("s"), result_of("s:c1", 1));
  CHECK(refused.status == 409);
  CHECK(refused.error() == "not_approved");
  CHECK(client.call("POST", commands_of("s"), result_of("t:c1", 1)).error() == "unknown_call");
}

TEST_CASE("a decision on what has changed since is refused as stale") {
  hosted_server hosted;
  auto client = hosted.client();
  told(client, "s", proposal());
  told(client, "s", approval_of_plan());
  auto decision = parse_json(approval_of_call("s:c1")).value();
  decision["digest"] = std::string(64, '0');
  const auto refused = client.call("POST", commands_of("s"), decision.dump());
  CHECK(refused.status == 409);
  CHECK(refused.error() == "stale_approval");
}

TEST_CASE("a stream replays what is recorded and goes on with what is committed") {
  hosted_server hosted;
  auto client = hosted.client();
  told(client, "s", proposal());
  auto watcher = hosted.client();
  watcher.request("GET", "/v1/sessions/s/stream");
  CHECK(watcher.receive_header().header("content-type") == "text/event-stream");
  std::vector<std::uint64_t> seen;
  const auto read_up_to = [&](std::uint64_t last) {
    while (seen.empty() || seen.back() < last) {
      const auto event = watcher.next_event();
      REQUIRE(event);
      REQUIRE(event->id);
      seen.push_back(*event->id);
    }
  };
  read_up_to(3);
  read_up_to(ids_of(told(client, "s", approval_of_plan())).back());
  const auto last = ids_of(told(client, "s", approval_of_call("s:c1"))).back();
  read_up_to(last);
  for (std::size_t i = 0; i < seen.size(); ++i)
    CHECK(seen[i] == i + 1);

  auto again = hosted.client();
  again.request("GET", "/v1/sessions/s/stream?first=1", {},
                {{"Last-Event-ID", std::to_string(last - 1)}});
  CHECK(again.receive_header().status == 200);
  CHECK(again.next_event()->id == last);
}

TEST_CASE("a client sees live updates of its session as they come, and they have no number") {
  const auto prompts = std::make_shared<prompter>();
  hosted_server hosted{{}, [&](runtime& to) {
                         REQUIRE_FALSE(to.agents().add("speaker", [=](step_context& context) {
                           return speak(context, prompts);
                         }));
                       }};
  auto client = hosted.client();
  tell(client, "s",
       R"({"type": "propose_plan",
           "plan": {"goal": "speak", "subtasks": [{"id": "a", "agent": "speaker"}]}})");
  tell(client, "s", approval_of_plan());
  const auto events =
      query_status(hosted.running().store(), session_id::parse("s").value())->events;
  auto watcher = hosted.client();
  watcher.request("GET", "/v1/sessions/s/stream?first=" + std::to_string(events + 1));
  CHECK(watcher.receive_header().status == 200);
  prompts->say("Hel");
  const auto event = watcher.next_event();
  REQUIRE(event);
  CHECK(event->name == "live");
  CHECK_FALSE(event->id);
  CHECK(event->data == json{{"kind", "text"}, {"subtask", "a"}, {"content", "Hel"}});
  // Though it is over by then, before the event that has the whole of it.
  prompts->say("lo");
  prompts->say("");
  CHECK(watcher.next_event()->data.at("content") == "lo");
  CHECK(watcher.next_event()->id == events + 1);
}

TEST_CASE("a stream that has nothing to say shows that it lives") {
  hosted_server hosted{[](auto& options) { options.keep_alive_interval = 5ms; }};
  auto client = hosted.client();
  told(client, "s", proposal());
  auto watcher = hosted.client();
  watcher.request("GET", "/v1/sessions/s/stream?first=4");
  CHECK(watcher.receive_header().status == 200);
  for (int i = 0; i < 3; ++i)
    CHECK(watcher.next_is_comment());
}

TEST_CASE("a stream that its client has left ends, though nothing happens in its session") {
  hosted_server hosted;
  {
    auto client = hosted.client();
    told(client, "s", proposal());
    client.request("GET", "/v1/sessions/s/stream");
    CHECK(client.receive_header().status == 200);
    CHECK(hosted.server().connections() == 1);
  }
  CHECK(eventually([&] { return hosted.server().connections() == 0; }));
}

TEST_CASE("requests that follow each other without waiting are answered in their order") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto body = proposal();
  client.send("POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
              "Content-Type: application/json\r\nContent-Length: "
              + std::to_string(body.size()) + "\r\n\r\n" + body
              + "GET /v1/sessions/s HTTP/1.1\r\nHost: x\r\n\r\n" + get_health);
  CHECK(parse_events(client.receive().body).back().name == "paused");
  CHECK(client.receive().value().at("state") == "awaiting_plan_decision");
  CHECK(client.receive().value().at("status") == "ok");
}

TEST_CASE("garbage behind a request is 400 and ends the connection, and the request is answered") {
  hosted_server hosted;
  auto client = hosted.client();
  client.send(get_health + "\x16\x03\x01 garbage\r\n\r\n");
  CHECK(client.receive().status == 200);
  const auto refused = client.receive();
  CHECK(refused.status == 400);
  CHECK(refused.error() == "invalid_request");
  CHECK(client.is_closed());
}

TEST_CASE("what is not HTTP is 400 and closed") {
  for (const std::string bad :
       {"hello\r\n\r\n", "GET\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost x\r\n\r\n",
        "POST /v1/sessions/s/wake HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/sessions/s/wake HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/sessions/s/wake HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n"}) {
    hosted_server hosted;
    auto client = hosted.client();
    client.send(bad);
    INFO(bad);
    CHECK(client.receive().status == 400);
    CHECK(client.is_closed());
  }
}

TEST_CASE("a header of more than 8 KB is 431") {
  hosted_server hosted;
  auto client = hosted.client();
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(9'000, 'x')
              + "\r\n\r\n");
  CHECK(client.receive().status == 431);
  CHECK(client.is_closed());
  auto other = hosted.client();
  CHECK(other.call("GET", "/healthz", {}, {{"X-Long", std::string(7'000, 'x')}}).status == 200);
}

TEST_CASE(
    "what frames a body is bounded: an endless chunk extension and endless trailers are 431") {
  for (const std::string frame : {"2;x=", "2\r\n  \r\n0\r\nX-Long: "}) {
    hosted_server hosted{[](auto& options) { options.request_timeout = 1h; }};
    auto client = hosted.client();
    client.send("POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
                "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                + frame + std::string(200'000, 'x'));
    INFO(frame);
    const auto refused = client.receive();
    CHECK(refused.status == 431);
    CHECK(refused.error() == "limit_exceeded");
    CHECK(client.is_closed());
  }
}

TEST_CASE("a request whose end a proxy could see elsewhere is 400, and what follows is not read") {
  for (const std::string header :
       {"HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n"}) {
    hosted_server hosted;
    auto client = hosted.client();
    client.send("POST /v1/sessions/s/wake " + header + "\r\n0\r\n\r\n" + get_health);
    INFO(header);
    const auto refused = client.receive();
    CHECK(refused.status == 400);
    CHECK(refused.error() == "invalid_request");
    CHECK(client.is_closed());
  }
}

TEST_CASE("trailers do not say what only a header may") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto body = proposal();
  std::ostringstream size;
  size << std::hex << body.size();
  const std::string chunks = size.str() + "\r\n" + body
                             + "\r\n0\r\nContent-Type: application/json\r\n"
                               "Accept: application/json\r\n\r\n";
  const std::string start{"POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
                          "Transfer-Encoding: chunked\r\n"};
  client.send(start + "\r\n" + chunks);
  CHECK(client.receive().status == 415);
  client.send(start + "Content-Type: application/json\r\n\r\n" + chunks);
  CHECK(client.receive().header("content-type") == "text/event-stream");
}

TEST_CASE("HEAD is answered with the header alone, and the connection goes on") {
  hosted_server hosted;
  auto client = hosted.client();
  client.request("HEAD", "/healthz");
  const auto answer = client.receive_header();
  CHECK(answer.status == 405);
  CHECK(answer.header("allow") == "GET");
  CHECK(answer.header("content-length") != "0");
  CHECK(client.call("GET", "/healthz").value().at("status") == "ok");
}

TEST_CASE("a body of more than 4 MB is 413, however it comes") {
  hosted_server hosted;
  const std::string head{"POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/json\r\n"};
  auto said = hosted.client();
  said.send(head + "Content-Length: 5000000\r\n\r\n");
  CHECK(said.receive().status == 413); // before any of it was sent
  auto sent = hosted.client();
  const std::string body(5'000'000, ' ');
  sent.send(head + "Content-Length: 5000000\r\n\r\n" + body);
  CHECK(sent.receive().error() == "limit_exceeded");
  auto chunked = hosted.client();
  chunked.send(head + "Transfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + body);
  CHECK(chunked.receive().status == 413);
}

TEST_CASE("a plan of the largest size is accepted, in one piece or in chunks") {
  hosted_server hosted;
  auto command = parse_json(proposal()).value();
  auto& subtasks = command["plan"]["subtasks"];
  for (int i = 0; i < 60; ++i)
    subtasks.push_back(
        {{"id", "b" + std::to_string(i)}, {"description", std::string(65'000, 'x')}});
  const auto body = command.dump();
  REQUIRE(body.size() > 3'900'000);
  auto client = hosted.client();
  CHECK(client.call("POST", commands_of("s"), body, wants_receipt).status == 200);
  const std::string size{"3e8000"}; // 4,096,000
  REQUIRE(body.size() < 4'096'000);
  auto chunked = hosted.client();
  chunked.send("POST /v1/sessions/t/commands HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n"
               "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
               + size + "\r\n" + body + std::string(4'096'000 - body.size(), ' ')
               + "\r\n0\r\n\r\n");
  CHECK(chunked.receive().status == 200);
}

TEST_CASE("a client that asks whether it may send its body is told") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto body = proposal();
  client.send("POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n"
              "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: "
              + std::to_string(body.size()) + "\r\n\r\n");
  CHECK(client.receive_header().status == 100);
  client.send(body);
  CHECK(client.receive().status == 200);
}

TEST_CASE("a request that does not arrive in time is 408") {
  hosted_server hosted{[](auto& options) { options.request_timeout = 20ms; }};
  for (const std::string half :
       {"GET /healthz HT", "POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
                           "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"}) {
    auto client = hosted.client();
    client.send(half);
    const auto refused = client.receive();
    INFO(half);
    CHECK(refused.status == 408);
    CHECK(refused.error() == "timed_out");
    CHECK(client.is_closed());
  }
}

TEST_CASE("a connection that says nothing is closed, before its first request and between two") {
  hosted_server hosted{[](auto& options) { options.idle_timeout = 1s; }};
  auto silent = hosted.client();
  CHECK(silent.is_closed());
  auto served = hosted.client();
  CHECK(served.call("GET", "/healthz").status == 200);
  CHECK(served.is_closed());
}

TEST_CASE("a request that its client gives up is none, and the service goes on") {
  hosted_server hosted;
  {
    auto client = hosted.client();
    client.send("POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\nContent-Le");
  }
  {
    auto client = hosted.client();
    client.send("GET /healthz HTTP/1.1\r\n");
    client.end_sending();
    CHECK(client.is_closed());
  }
  CHECK(hosted.client().call("GET", "/healthz").status == 200);
}

TEST_CASE("one connection more than there may be is told so and closed; another may come later") {
  hosted_server hosted{[](auto& options) { options.connections = 3; }};
  std::vector<http_client> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(hosted.client());
    CHECK(clients.back().call("GET", "/healthz").status == 200);
  }
  for (int i = 0; i < 3; ++i) {
    auto surplus = hosted.client();
    const auto refused = surplus.receive();
    CHECK(refused.status == 503);
    CHECK(refused.header("retry-after") == "1");
    CHECK(refused.error() == "overloaded");
    CHECK(surplus.is_closed());
  }
  clients.pop_back();
  CHECK(eventually([&] { return hosted.client().call("GET", "/healthz").status == 200; }));
}

TEST_CASE("large requests share a budget, and one that does not fit is refused unread") {
  hosted_server hosted{[](auto& options) { options.bodies_size_bytes = 1'000'000; }};
  const std::string head{"POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/json\r\nExpect: 100-continue\r\n"};
  auto first = hosted.client();
  first.send(head + "Content-Length: 800000\r\n\r\n");
  CHECK(first.receive_header().status == 100);
  auto second = hosted.client();
  second.send(head + "Content-Length: 300000\r\n\r\n");
  CHECK(second.receive().status == 503);
  auto small = hosted.client();
  CHECK(small.call("POST", commands_of("s"), proposal(), wants_receipt).status == 200);
  first.send(std::string(800'000, ' '));
  CHECK(first.receive().error() == "invalid_json");
  auto third = hosted.client();
  third.send(head + "Content-Length: 300000\r\n\r\n");
  CHECK(third.receive_header().status == 100);
}

TEST_CASE("an answer that never fits is 422, and pages and streams lead past it") {
  hosted_server hosted{[](auto& options) { options.bodies_size_bytes = 100'000; }};
  record_large_event(hosted, 200'000);
  auto client = hosted.client();
  const auto refused = client.call("GET", "/v1/sessions/s/chunks");
  CHECK(refused.status == 422);
  CHECK(refused.error() == "limit_exceeded");
  CHECK(client.call("GET", "/v1/sessions/s/chunks?limit=1").status == 200);
  // A stream has nothing smaller to offer: such a piece goes alone.
  client.request("GET", "/v1/sessions/s/stream");
  CHECK(client.receive_header().status == 200);
  for (std::size_t size = 0; size < 200'000;) {
    const auto event = client.next_event();
    REQUIRE(event);
    REQUIRE(event->name == "chunk");
    size += event->data.dump().size();
  }
}

TEST_CASE("a large piece of a stream waits for its share of the budget, and not for ever") {
  hosted_server hosted{[](auto& options) {
    options.bodies_size_bytes = 100'000;
    options.write_timeout = 100ms;
  }};
  record_large_event(hosted, 80'000);
  auto large = hosted.client();
  large.send("POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\n"
             "Content-Type: application/json\r\nExpect: 100-continue\r\n"
             "Content-Length: 90000\r\n\r\n");
  REQUIRE(large.receive_header().status == 100);
  auto watcher = hosted.client();
  watcher.request("GET", "/v1/sessions/s/stream");
  CHECK(watcher.receive_header().status == 200);
  std::vector<streamed_event> events;
  do {
    auto event = watcher.next_event();
    REQUIRE(event);
    REQUIRE(event->data.dump().size() < 80'000); // there is no room for it
    events.push_back(std::move(*event));
  } while (events.back().name == "chunk");
  CHECK(events.back().name == "error");
  CHECK(events.back().data.at("error") == "overloaded");
  CHECK_FALSE(watcher.next_event());
  CHECK(watcher.ended_well());
  // Its client goes on from there when there is room again.
  large.send(std::string(90'000, ' '));
  CHECK(large.receive().error() == "invalid_json");
  const auto last = ids_of(events).empty() ? 0 : ids_of(events).back();
  watcher.request("GET", "/v1/sessions/s/stream", {}, {{"Last-Event-ID", std::to_string(last)}});
  CHECK(watcher.receive_header().status == 200);
  CHECK(watcher.next_event()->id == last + 1);
}

TEST_CASE("an error that quotes a secret is shown without it") {
  hosted_server hosted{[](auto& options) {
    options.redaction = redactor::parse(R"({"patterns": ["sk-[A-Za-z0-9]+"]})").value();
  }};
  auto client = hosted.client();
  tell(client, "s", R"({"type": "propose_plan", "plan": {"goal": "ask", "subtasks": [
    {"id": "a", "steps": [{"tool": "ask_human",
     "arguments": {"question": "Which?", "schema": {"enum": ["sk-live1"]}}}]}]}})");
  tell(client, "s", approval_of_plan());
  const auto wrong = client.call("POST", commands_of("s"),
                                 R"({"type": "answer_question", "call": "s:c1", "content": "x"})");
  CHECK(wrong.error() == "invalid_answer");
  for (const auto& refused :
       {wrong, client.call("GET", "/v1/sessions?limit=sk-live1"),
        client.call("GET", "/v1/sessions/s/stream", {}, {{"Last-Event-ID", "sk-live1"}}),
        client.call("POST", commands_of("s"), R"({"type": "sk-live1"})")}) {
    INFO(refused.body);
    CHECK(refused.status >= 400);
    CHECK(refused.body.find("sk-live1") == std::string::npos);
  }
  CHECK(wrong.body.find("[redacted]") != std::string::npos);
}

TEST_CASE("an HTTP/1.0 client gets its stream without chunks, and the end of the connection") {
  hosted_server hosted;
  auto client = hosted.client();
  const auto body = proposal();
  client.send("POST /v1/sessions/s/commands HTTP/1.0\r\nContent-Type: application/json\r\n"
              "Content-Length: "
              + std::to_string(body.size()) + "\r\n\r\n" + body);
  const auto answer = client.receive();
  CHECK(answer.header("transfer-encoding").empty());
  CHECK(parse_events(answer.body).back().name == "paused");
  CHECK(client.is_closed());
}

TEST_CASE("by TCP only who shows the token is answered, and others learn nothing") {
  hosted_server hosted{listen_by_tcp};
  REQUIRE(hosted.server().port() != 0);
  for (const auto& headers :
       {http_headers{}, http_headers{{"Authorization", "Bearer " + right_token + "x"}},
        http_headers{{"Authorization", "Basic " + right_token}}})
    for (const auto* target : {"/healthz", "/v1/sessions", "/nothing", "nothing"}) {
      http_client stranger{hosted.server().port()};
      const auto refused = stranger.call("GET", target, {}, headers);
      CHECK(refused.status == 401);
      CHECK(refused.body.empty());
      CHECK(refused.header("www-authenticate") == "Bearer");
      CHECK(stranger.is_closed());
    }
  http_client client{hosted.server().port()};
  CHECK(client.call("GET", "/healthz", {}, shown_token).status == 200);
  // Each request shows it, not each connection.
  CHECK(client.call("GET", "/healthz").status == 401);
  // The Unix socket's mode is its protection.
  CHECK(hosted.client().call("GET", "/healthz").status == 200);
}

TEST_CASE("a stranger's body is not read before the token is looked at") {
  hosted_server hosted{listen_by_tcp};
  http_client stranger{hosted.server().port()};
  stranger.send(
      "POST /v1/sessions/s/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  CHECK(stranger.receive().status == 401);
}

TEST_CASE("strangers leave half of the places to local clients") {
  hosted_server hosted{[](auto& options) {
    listen_by_tcp(options);
    options.connections = 4;
    options.token_timeout = 1h;
  }};
  std::vector<http_client> strangers;
  for (int i = 0; i < 2; ++i)
    strangers.emplace_back(hosted.server().port());
  CHECK(eventually([&] { return hosted.server().connections() == 2; }));
  for (int i = 0; i < 4; ++i) {
    strangers.emplace_back(hosted.server().port());
    CHECK(strangers.back().receive().status == 503);
  }
  auto first = hosted.client();
  auto second = hosted.client();
  CHECK(first.call("GET", "/healthz").status == 200);
  CHECK(second.call("GET", "/healthz").status == 200);
  CHECK(hosted.client().receive().status == 503);
}

TEST_CASE("a stranger who does not show the token soon is cut off, whatever he sends") {
  hosted_server hosted{[](auto& options) {
    listen_by_tcp(options);
    options.token_timeout = 20ms;
    options.idle_timeout = 1h;
    options.request_timeout = 1h;
  }};
  http_client silent{hosted.server().port()};
  CHECK(silent.is_closed());
  http_client slow{hosted.server().port()};
  slow.send("GET /healthz HTTP/1.1\r\nX: ");
  static_cast<void>(slow.receive()); // he may be told that he is late
  CHECK(slow.is_closed());
  // Who may open the socket has no token, and no haste.
  CHECK(hosted.client().call("GET", "/healthz").status == 200);
}

TEST_CASE("a client that has shown the token has all the time that others have") {
  hosted_server hosted{[](auto& options) {
    listen_by_tcp(options);
    options.token_timeout = 3s;
  }};
  http_client client{hosted.server().port()};
  CHECK(client.call("GET", "/healthz", {}, shown_token).status == 200);
  http_client later{hosted.server().port()};
  CHECK(later.is_closed());
  CHECK(client.call("GET", "/healthz", {}, shown_token).status == 200);
}

TEST_CASE("only clients of the socket are told which store is served") {
  hosted_server hosted{[](auto& options) {
    listen_by_tcp(options);
    options.store = "/var/lib/state";
  }};
  CHECK(hosted.client().call("GET", "/healthz").value()
        == json{{"status", "ok"}, {"store", "/var/lib/state"}});
  http_client remote{hosted.server().port()};
  CHECK(remote.call("GET", "/healthz", {}, shown_token).value() == json{{"status", "ok"}});
}

TEST_CASE("an address that is not of the loopback interface is refused, and says why") {
  for (const auto* address : {"0.0.0.0:8080", "192.168.1.1:80", "[::]:80", "8.8.8.8:1"}) {
    INFO(address);
    CHECK(listening_refusal(address, "0123456789abcdef").find("no TLS") != std::string::npos);
  }
}

TEST_CASE("what is no address and port is refused, and so is one without a token") {
  for (const auto* address :
       {"localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", ":80"}) {
    INFO(address);
    CHECK(listening_refusal(address, "0123456789abcdef").find("ADDRESS:PORT") != std::string::npos);
  }
  CHECK(listening_refusal("127.0.0.1:0", "").find("--token-file") != std::string::npos);
}

TEST_CASE("the socket is its owner's alone, and is gone when the server has stopped") {
  // The process's mask allows everybody everything, and is nobody's to change.
  const auto mask = ::umask(0);
  hosted_server hosted;
  CHECK(::umask(mask) == 0);
  struct stat found {};
  REQUIRE(::lstat(hosted.socket().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  hosted.server().stop();
  CHECK(::lstat(hosted.socket().c_str(), &found) != 0);
}

TEST_CASE("a socket that nobody serves at is replaced; a living one, or another file, is not") {
  hosted_server hosted;
  service::live_board live;
  service::server_options options;
  options.socket = hosted.socket();
  CHECK(is(service::server::bind(hosted.running(), live, options).error(), errc::invalid_field));
  CHECK(hosted.client().call("GET", "/healthz").status == 200);
  options.socket = hosted.folder() / "file";
  std::ofstream{options.socket} << "mine";
  CHECK(is(service::server::bind(hosted.running(), live, options).error(), errc::invalid_field));
  CHECK(std::filesystem::file_size(options.socket) == 4);
  options.socket = hosted.folder() / std::string(120, 'x');
  CHECK(is(service::server::bind(hosted.running(), live, options).error(), errc::invalid_field));
}

TEST_CASE("a client that comes before the server has started waits; one that never starts leaves "
          "no socket") {
  hosted_server hosted;
  service::live_board live;
  service::server_options options;
  options.socket = hosted.folder() / "other";
  {
    auto bound = service::server::bind(hosted.running(), live, options);
    REQUIRE(bound);
    http_client early{options.socket};
    early.request("GET", "/healthz");
    (*bound)->start();
    CHECK(early.receive().status == 200);
  }
  REQUIRE(service::server::bind(hosted.running(), live, options)); // and it is gone
  CHECK_FALSE(std::filesystem::exists(options.socket));
}

TEST_CASE("a draining server answers those who are there and takes no more; stopped, streams end") {
  hosted_server hosted;
  auto client = hosted.client();
  told(client, "s", proposal());
  auto watcher = hosted.client();
  watcher.request("GET", "/v1/sessions/s/stream?first=4");
  CHECK(watcher.receive_header().status == 200);
  auto idle = hosted.client();
  CHECK(idle.call("GET", "/readyz").value().at("status") == "ready");

  hosted.server().drain();
  CHECK_THROWS(hosted.client());
  CHECK(idle.call("GET", "/readyz").status == 503);
  CHECK(client.call("GET", "/v1/sessions/s").status == 200);
  CHECK(client.call("POST", commands_of("s"), approval_of_plan()).error() == "shutting_down");

  hosted.running().stop();
  hosted.server().stop();
  const auto last = watcher.all_events();
  CHECK(names_of(last) == "error");
  CHECK(last.back().data.at("error") == "shutting_down");
  CHECK(watcher.ended_well());
  CHECK(idle.is_closed());
}

TEST_CASE("clients that do not read do not keep a server from stopping") {
  hosted_server hosted{[](auto& options) {
    options.stop_timeout = 20ms;
    options.write_timeout = 1h;
  }};
  auto client = hosted.client();
  told(client, "s", proposal());
  auto half = hosted.client();
  half.send("POST /v1/sessions/s/commands HTTP/1.1\r\n");
  CHECK(eventually([&] { return hosted.server().connections() == 2; }));
  hosted.running().stop();
  hosted.server().stop();
  CHECK(hosted.server().connections() == 0);
}

TEST_CASE("a client that reads slowly misses nothing, and keeps nobody waiting") {
  hosted_server hosted{[](auto& options) { options.write_timeout = 1h; }};
  auto client = hosted.client();
  constexpr int calls = 8;
  tell(client, "s", proposal(calls));
  tell(client, "s", approval_of_plan());
  auto slow = hosted.client();
  slow.request("GET", "/v1/sessions/s/stream");
  CHECK(slow.receive_header().status == 200);
  // Much more than the socket between them holds, while nobody reads.
  for (int call = 1; call <= calls; ++call) {
    const auto id = "s:c" + std::to_string(call);
    tell(client, "s", approval_of_call(id));
    tell(client, "s", result_of(id, std::string(900'000, 'x')));
  }
  const auto events = client.call("GET", "/v1/sessions/s").value().at("events");
  std::uint64_t next = 1;
  while (next <= events) {
    const auto event = slow.next_event();
    REQUIRE(event);
    if (event->id)
      CHECK(*event->id == next++);
  }
}

TEST_CASE("a client that takes nothing for too long is cut off, and goes on from its last chunk") {
  hosted_server hosted{[](auto& options) { options.write_timeout = 1s; }};
  auto client = hosted.client();
  tell(client, "s", proposal(2));
  tell(client, "s", approval_of_plan());
  auto stuck = hosted.client();
  stuck.request("GET", "/v1/sessions/s/stream");
  CHECK(stuck.receive_header().status == 200);
  tell(client, "s", approval_of_call("s:c1"));
  tell(client, "s", result_of("s:c1", std::string(900'000, 'x')));
  CHECK(eventually([&] { return hosted.server().connections() == 1; }));
  std::uint64_t last = 0;
  while (const auto event = stuck.next_event())
    last = event->id.value_or(last);
  CHECK_FALSE(stuck.ended_well());
  auto again = hosted.client();
  again.request("GET", "/v1/sessions/s/stream", {}, {{"Last-Event-ID", std::to_string(last)}});
  CHECK(again.receive_header().status == 200);
  CHECK(again.next_event()->id == last + 1);
}

namespace {

/// A store that can let those wait who read it, as a database that does not answer.
class slow_store final : public store {
public:
  explicit slow_store(std::shared_ptr<store> behind) : behind_{std::move(behind)} {}
  ~slow_store() override { answer(true); }

  void answer(bool answers) {
    const std::lock_guard lock{mutex_};
    answers_ = answers;
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for_readers(std::size_t count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::minutes{1}, [&] { return waiting_ >= count; });
  }

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    return behind_->write(commits);
  }
  result<reclaim_outcome> reclaim(std::size_t limit) override { return behind_->reclaim(limit); }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    wait();
    return behind_->find(session);
  }
  result<std::unique_ptr<view>> read() override {
    wait();
    return behind_->read();
  }

private:
  void wait() {
    std::unique_lock lock{mutex_};
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return answers_; });
    --waiting_;
  }

  std::shared_ptr<store> behind_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answers_ = true;
  std::size_t waiting_ = 0;
};

} // namespace

TEST_CASE("a store that does not answer keeps nobody waiting who needs nothing of it") {
  std::shared_ptr<slow_store> slow;
  hosted_server hosted{{}, {}, [&](std::shared_ptr<store> behind) {
                         return slow = std::make_shared<slow_store>(std::move(behind));
                       }};
  auto client = hosted.client();
  tell(client, "s", proposal());
  slow->answer(false);
  const std::shared_ptr<void> in_the_end{nullptr, [&](void*) { slow->answer(true); }};
  std::vector<http_client> waiting;
  for (const auto* path : {"/v1/sessions", "/v1/pending", "/v1/sessions/s", "/v1/sessions/s/plan",
                           "/v1/audit", "/v1/sessions/s/stream", "/v1/sessions", "/v1/pending"}) {
    waiting.push_back(hosted.client());
    waiting.back().request("GET", path);
  }
  REQUIRE(slow->wait_for_readers(4)); // as many as there are for them
  for (const auto* path : {"/healthz", "/readyz", "/metrics", "/openapi.json"})
    CHECK(hosted.client().call("GET", path).status == 200);
  slow->answer(true);
  for (auto& one : waiting)
    CHECK(one.receive_header().status == 200);
}

TEST_CASE("many clients at once each get what is theirs") {
  hosted_server hosted;
  constexpr int clients = 32;
  std::atomic<int> completed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, id = "s" + std::to_string(i)] {
      auto client = hosted.client();
      const auto state_after = [&](const std::string& command) {
        const auto events = parse_events(client.call("POST", commands_of(id), command).body);
        for (const auto& one : events)
          if (one.name == "chunk" && one.data.at("session") != id)
            return std::string{"another's"};
        return events.back().data.at("status").at("state").get<std::string>();
      };
      state_after(proposal());
      state_after(approval_of_plan());
      state_after(approval_of_call(id + ":c1"));
      if (state_after(result_of(id + ":c1", id)) == "completed")
        ++completed;
    });
  for (auto& one : threads)
    one.join();
  CHECK(completed == clients);
}

} // namespace service_test
