// The parts of the service that need no socket.
#include "http_client.hpp"

#include <fermata/actors/runtime.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/storage/memory_store.hpp>
#include <service/cluster_side.hpp>
#include <service/gathering.hpp>
#include <service/live_board.hpp>
#include <service/memory_budget.hpp>
#include <service/node_question.hpp>
#include <service/routes.hpp>
#include <service/session_stream.hpp>
#include <service/sse.hpp>
#include <service/target.hpp>
#include <service/token.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <filesystem>
#include <map>
#include <tuple>

namespace service_parts_test {

using namespace fermata;
using namespace fermata::service;
using namespace fermata::test;

namespace {

session_id named(std::string_view text) {
  return session_id::parse(text).value();
}

/// A store with one session `s`, whose client tool's call waits for its result.
class waiting_session {
public:
  waiting_session() {
    runtime_options options;
    options.store = store_;
    options.policy = approval_policy::allow_everything();
    running_ = std::make_unique<runtime>(options);
    running_->start();
    give(propose_plan{parse_plan(R"({"goal": "g", "tools": {"look": {"kind": "client"}},
      "subtasks": [{"id": "a", "steps": [{"tool": "look", "arguments": {}}]}]})")
                          .value()});
  }

  void give(command body) {
    const auto answered = running_->session(named("s")).send(std::move(body)).get();
    REQUIRE(answered);
  }
  [[nodiscard]] fermata::store& store() { return *store_; }
  [[nodiscard]] std::uint64_t events() { return query_status(*store_, named("s"))->events; }

private:
  std::shared_ptr<fermata::store> store_ = std::make_shared<memory_store>();
  std::unique_ptr<runtime> running_;
};

http_request request_of(std::string method, std::string target, std::string body = {}) {
  http_request made;
  made.method = std::move(method);
  made.target = std::move(target);
  made.body = std::move(body);
  if (!made.body.empty())
    made.content_type = "application/json";
  return made;
}

answer routed(const http_request& request, fermata::store& from, bool is_stopping = false) {
  route_context context;
  context.store = &from;
  context.is_stopping = is_stopping;
  return route(request, context);
}

http_response response_to(const http_request& request, fermata::store& from,
                          bool is_stopping = false) {
  auto answered = routed(request, from, is_stopping);
  REQUIRE(std::holds_alternative<http_response>(answered));
  return std::get<http_response>(answered);
}

std::shared_ptr<const std::string> piece(std::string_view text) {
  return std::make_shared<const std::string>(sse_event("live", text));
}

std::string contents(const std::vector<streamed_event>& events) {
  std::string all;
  for (const auto& one : events)
    all += one.name == "live" ? one.data.get<std::string>() + " "
                              : one.name + (one.id ? std::to_string(*one.id) : "") + " ";
  return all;
}

} // namespace

TEST_CASE("a target is decoded, and one that is none is refused") {
  const auto target = parse_target("/v1/a%2Fb?x=%31&y=");
  REQUIRE(target);
  CHECK(target->path == std::vector<std::string>{"v1", "a/b"});
  CHECK(target->query == std::map<std::string, std::string>{{"x", "1"}, {"y", ""}});
  for (const auto* bad : {"", "v1", "http://x/", "/%", "/%4", "/%zz", "/a?b=%", "/a?b=1&b=2"}) {
    INFO(bad);
    CHECK_FALSE(parse_target(bad));
  }
}

TEST_CASE("what a client accepts decides between events and the receipt") {
  for (const auto* events :
       {"", "*/*", "text/event-stream", "text/*", "TEXT/EVENT-STREAM ; q=1", "text/html, */*;q=0.1",
        "text/event-stream, application/json", "application/json;q=0.5, text/event-stream"}) {
    INFO(events);
    CHECK(preferred_form(events) == answer_form::events);
  }
  for (const auto* receipt :
       {"application/json", "application/json, text/plain, */*", "application/*",
        "application/json, text/event-stream", "text/event-stream;q=0, */*"}) {
    INFO(receipt);
    CHECK(preferred_form(receipt) == answer_form::receipt);
  }
  for (const auto* neither : {"text/html", "application/xml", "*/*;q=0"}) {
    INFO(neither);
    CHECK(preferred_form(neither) == answer_form::neither);
  }
}

TEST_CASE("a token is compared as a whole, and its scheme without regard to case") {
  const std::string token{"0123456789abcdef"};
  CHECK(shows_token("Bearer 0123456789abcdef", token));
  CHECK(shows_token("bearer 0123456789abcdef", token));
  for (const auto* wrong :
       {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
        "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer 0123456789abcdeg",
        "Bearer 0123456789ABCDEF", "Bearer 0123456789abcdef0123456789abcdef"}) {
    INFO(wrong);
    CHECK_FALSE(shows_token(wrong, token));
  }
}

TEST_CASE("a token file that others may read, or that holds no token, is refused") {
  const temporary_directory folder;
  const auto file = folder.put("token", "0123456789abcdef\n");
  using std::filesystem::perms;
  std::filesystem::permissions(file, perms::owner_read | perms::owner_write);
  CHECK(read_token(file).value() == "0123456789abcdef");
  for (const auto extra : {perms::group_read, perms::others_read, perms::group_write}) {
    std::filesystem::permissions(file, perms::owner_read | extra);
    CHECK(is(read_token(file).error(), errc::invalid_field));
  }
  CHECK_FALSE(read_token(folder.path() / "none"));
  CHECK_FALSE(read_token(folder.path()));
  for (const auto* bad : {"", "short", "0123456789abcdef\n\n", "0123456789 abcdef"}) {
    const auto other = folder.put("bad", bad);
    std::filesystem::permissions(other, perms::owner_read | perms::owner_write);
    INFO(bad);
    CHECK_FALSE(read_token(other));
  }
}

TEST_CASE("every error has a status that tells who can do something about it") {
  CHECK(http_status_of(errc::invalid_json) == 400);
  CHECK(http_status_of(errc::dependency_cycle) == 400);
  CHECK(http_status_of(errc::denied_by_policy) == 403);
  CHECK(http_status_of(errc::unknown_session) == 404);
  CHECK(http_status_of(errc::unknown_chunk) == 404);
  CHECK(http_status_of(errc::stale_approval) == 409);
  CHECK(http_status_of(errc::already_answered) == 409);
  CHECK(http_status_of(errc::limit_exceeded) == 422);
  CHECK(http_status_of(errc::invalid_answer) == 422);
  CHECK(http_status_of(errc::node_unavailable) == 503);
  CHECK(http_status_of(errc::internal) == 500);
  CHECK(http_status_of(errc::overloaded) == 503);
  CHECK(http_status_of(errc::timed_out) == 504);
  CHECK(http_status_of(errc::disk_full) == 507);
  const auto refused = error_response(make_error(errc::shutting_down, "later"), redactor{});
  CHECK(refused.status == 503);
  CHECK(refused.headers == http_headers{{"Retry-After", "1"}});
  CHECK(refused.body == R"({"error":"shutting_down","message":"later"})");
}

TEST_CASE(
    "a path that there is not is 404, and a method that it has not is 405 with those it has") {
  memory_store empty;
  for (const auto* unknown : {"/", "/v1", "/v1/sessions/", "/v1/sessions/s/", "/V1/sessions",
                              "/v1/sessions/s/plan/x", "/healthz/x", "/v1//sessions"}) {
    INFO(unknown);
    const auto refused = response_to(request_of("GET", unknown), empty);
    CHECK(refused.status == (std::string_view{unknown} == "/v1/sessions/" ? 400 : 404));
  }
  const auto wrong = response_to(request_of("DELETE", "/v1/sessions/s/commands"), empty);
  CHECK(wrong.status == 405);
  CHECK(wrong.headers == http_headers{{"Allow", "POST"}});
}

TEST_CASE("a query parameter that a path has not, or that is no number in range, is 400") {
  waiting_session one;
  for (const auto* bad :
       {"/v1/sessions?sate=idle", "/v1/sessions?state=busy", "/v1/sessions?limit=0",
        "/v1/sessions?limit=1025", "/v1/sessions?limit=ten", "/v1/sessions?limit=",
        "/v1/sessions?after=%20", "/v1/pending?after=1", "/v1/pending?after=1-", "/healthz?x=1",
        "/v1/sessions/s/chunks?first=0", "/v1/sessions/s/chunks?first=-1",
        "/v1/sessions/s/chunks?first=18446744073709551616", "/v1/sessions/s/plan?revision=0",
        "/v1/sessions/s?=", "/v1/sessions/.s", "/v1/sessions/%00"}) {
    INFO(bad);
    CHECK(response_to(request_of("GET", bad), one.store()).status == 400);
  }
}

TEST_CASE("a session that there is not is 404 wherever a path names it") {
  memory_store empty;
  for (const auto& [method, path] : route_names()) {
    if (method != "GET" || path.find("{session}") == std::string_view::npos)
      continue;
    auto target = std::string{path};
    target.replace(target.find("{session}"), 9, "nobody");
    INFO(target);
    const auto refused = response_to(request_of("GET", target), empty);
    CHECK(refused.status == 404);
    CHECK(parse_json(refused.body)->at("error") == "unknown_session");
  }
}

namespace {

/// Sessions whose plans wait for a decision, in the order of their creation.
std::shared_ptr<memory_store> store_with_drafts(const std::vector<const char*>& sessions) {
  auto store = std::make_shared<memory_store>();
  runtime_options options;
  options.store = store;
  runtime running{options};
  running.start();
  const auto plan = parse_plan(R"({"goal": "g", "subtasks": [{"id": "a", "steps": []}]})").value();
  for (const auto* id : sessions)
    REQUIRE(running.session(named(id)).send(propose_plan{plan}).get());
  return store;
}

} // namespace

TEST_CASE("pages of sessions and of pending things meet without gap or repetition") {
  const auto store = store_with_drafts({"e", "d", "c", "b", "a"});
  for (const auto& [path, list, key] :
       {std::tuple{"/v1/sessions", "sessions", "session"},
        std::tuple{"/v1/sessions?state=awaiting_plan_decision", "sessions", "session"},
        std::tuple{"/v1/pending", "pending", "session"}}) {
    std::string seen;
    std::string next;
    std::size_t pages = 0;
    do {
      auto target = std::string{path};
      target += (target.find('?') == std::string::npos ? "?" : "&") + std::string{"limit=2"};
      if (!next.empty())
        target += "&after=" + next;
      const auto page = parse_json(response_to(request_of("GET", target), *store).body).value();
      INFO(page.dump());
      for (const auto& one : page.at(list))
        seen += one.at(key).get<std::string>();
      next = page.value("next", "");
      REQUIRE(++pages <= 3);
    } while (!next.empty());
    INFO(path);
    CHECK(seen == "edcba");
    CHECK(pages == 3);
  }
  const auto none = response_to(request_of("GET", "/v1/sessions?state=failed"), *store);
  CHECK(none.body == R"({"sessions":[]})");
  CHECK(response_to(request_of("GET", "/v1/sessions?after=nobody"), *store).status == 400);
}

TEST_CASE("what is damaged is said on a page, and keeps nothing else from it") {
  const auto store = store_with_drafts({"a", "b", "c"});
  REQUIRE(store->corrupt_record(2, head_key()));
  for (const auto* path : {"/v1/sessions", "/v1/pending"}) {
    const std::string list = path + 4;
    std::string seen;
    std::size_t damaged = 0;
    std::string next;
    do {
      const auto target = path + std::string{"?limit=1"} + (next.empty() ? "" : "&after=" + next);
      const auto page = parse_json(response_to(request_of("GET", target), *store).body).value();
      INFO(page.dump());
      for (const auto& one : page.at(list))
        seen += one.at("session").get<std::string>();
      for (const auto& why : page.value("damaged", json::array())) {
        CHECK(contains(why.get<std::string>(), "session number 2"));
        ++damaged;
      }
      next = page.value("next", "");
    } while (!next.empty());
    CHECK(seen == "ac");
    CHECK(damaged == 1);
  }
}

TEST_CASE("recorded chunks are read from any number, at most as many as asked for") {
  waiting_session one;
  const auto events = one.events();
  const auto numbers = [&](const std::string& query) {
    const auto body = parse_json(
        response_to(request_of("GET", "/v1/sessions/s/chunks" + query), one.store()).body);
    std::vector<std::uint64_t> found;
    for (const auto& each : body->at("chunks"))
      found.push_back(each.at("number").get<std::uint64_t>());
    return found;
  };
  CHECK(numbers("").size() == events);
  CHECK(numbers("?first=2&limit=2") == std::vector<std::uint64_t>{2, 3});
  CHECK(numbers("?first=1000").empty());
}

TEST_CASE("a page of chunks ends when it is large, and the next goes on behind it") {
  waiting_session one;
  one.give(tool_result{call_id{named("s"), 1}, std::string(900'000, 'x')});
  one.give(propose_plan{parse_plan(R"({"goal": "g", "tools": {"look": {"kind": "client"}},
    "subtasks": [{"id": "a", "steps": [{"tool": "look", "arguments": {}},
                                       {"tool": "look", "arguments": {}},
                                       {"tool": "look", "arguments": {}},
                                       {"tool": "look", "arguments": {}},
                                       {"tool": "look", "arguments": {}}]}]})")
                            .value()});
  for (std::uint64_t call = 2; call <= 6; ++call)
    one.give(tool_result{call_id{named("s"), call}, std::string(900'000, 'x')});
  std::uint64_t next = 1;
  std::size_t pages = 0;
  while (next <= one.events()) {
    const auto page = response_to(
        request_of("GET", "/v1/sessions/s/chunks?first=" + std::to_string(next)), one.store());
    CHECK(page.body.size() < 12'000'000);
    const auto body = parse_json(page.body).value();
    REQUIRE_FALSE(body.at("chunks").empty());
    CHECK(body.at("chunks").front().at("number") == next);
    next += body.at("chunks").size();
    ++pages;
  }
  CHECK(pages > 1);
}

TEST_CASE("a stream begins where the client says, but not beyond the next chunk") {
  waiting_session one;
  const auto events = one.events();
  const auto first_of = [&](const std::string& query, const std::string& seen) {
    auto request = request_of("GET", "/v1/sessions/s/stream" + query);
    request.last_event_id = seen;
    const auto ordered = routed(request, one.store());
    const auto* order = std::get_if<stream_order>(&ordered);
    return order == nullptr ? 0 : order->first;
  };
  CHECK(first_of("", "") == 1);
  CHECK(first_of("?first=3", "") == 3);
  CHECK(first_of("?first=3", "1") == 2);
  CHECK(first_of("", "0") == 1);
  CHECK(first_of("?first=" + std::to_string(events + 1), "") == events + 1);
  CHECK(first_of("?first=" + std::to_string(events + 2), "") == 0);
  CHECK(first_of("", "three") == 0);
  auto beyond = request_of("GET", "/v1/sessions/s/stream?first=1000");
  CHECK(parse_json(response_to(beyond, one.store()).body)->at("error") == "unknown_chunk");
}

TEST_CASE("a command is read with the rules of all JSON from outside") {
  waiting_session one;
  const auto refusal = [&](const std::string& body) {
    const auto refused =
        response_to(request_of("POST", "/v1/sessions/s/commands", body), one.store());
    CHECK(refused.status == 400);
    return parse_json(refused.body)->at("error").get<std::string>();
  };
  CHECK(refusal("{") == "invalid_json");
  CHECK(refusal(R"({"type": "fail_plan", "type": "cancel_plan"})") == "invalid_json");
  CHECK(refusal(std::string(100, '[') + std::string(100, ']')) == "invalid_json");
  CHECK(refusal(R"({"type": "obey"})") == "invalid_field");
  CHECK(refusal(R"({"type": "fail_plan", "raeson": "x"})") == "invalid_field");
  CHECK(refusal(R"({"type": "tool_result", "call": "x", "content": 1})") == "invalid_id");

  const auto ordered = routed(
      request_of("POST", "/v1/sessions/s/commands", R"({"type": "cancel_plan"})"), one.store());
  const auto* order = std::get_if<command_order>(&ordered);
  REQUIRE(order != nullptr);
  CHECK(order->body == std::optional<command>{cancel_plan{}});
  CHECK(order->answer == answer_form::events);
}

TEST_CASE("a body that is not said to be JSON is 415, and an answer in no form that there is 406") {
  memory_store empty;
  auto command = request_of("POST", "/v1/sessions/s/commands", R"({"type": "cancel_plan"})");
  for (const auto* type :
       {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"}) {
    command.content_type = type;
    CHECK(response_to(command, empty).status == 415);
  }
  command.content_type = "Application/JSON; charset=utf-8";
  CHECK(std::holds_alternative<command_order>(routed(command, empty)));
  command.accept = "text/html";
  CHECK(response_to(command, empty).status == 406);
}

TEST_CASE("while it stops the service answers queries and refuses the rest with 503") {
  waiting_session one;
  const auto status = [&](const http_request& request) {
    return response_to(request, one.store(), true).status;
  };
  CHECK(status(request_of("GET", "/healthz")) == 200);
  CHECK(status(request_of("GET", "/v1/sessions/s")) == 200);
  CHECK(status(request_of("GET", "/v1/sessions/s/stream")) == 503);
  CHECK(status(request_of("POST", "/v1/sessions/s/wake")) == 503);
  CHECK(status(request_of("POST", "/v1/sessions/s/commands", R"({"type": "cancel_plan"})")) == 503);
  const auto ready = response_to(request_of("GET", "/readyz"), one.store(), true);
  CHECK(ready.status == 503);
  CHECK(ready.body == R"({"status":"stopping"})");
}

TEST_CASE("metrics are what the hook says") {
  memory_store empty;
  route_context context;
  context.store = &empty;
  context.metrics = [] { return std::string{"fermata_sessions 3\n"}; };
  const auto answered = route(request_of("GET", "/metrics"), context);
  const auto& response = std::get<http_response>(answered);
  CHECK(response.body == "fermata_sessions 3\n");
  CHECK(response.content_type == "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("an inbox that nobody empties keeps its first updates and counts the others") {
  std::size_t rings = 0;
  stream_inbox inbox{[&] { ++rings; }};
  for (std::size_t i = 0; i < stream_inbox::max_updates + 7; ++i)
    inbox.push(piece(std::to_string(i)));
  auto taken = inbox.take();
  CHECK(taken.pieces.size() == stream_inbox::max_updates);
  CHECK(taken.dropped == 7);
  CHECK(rings == stream_inbox::max_updates);
  CHECK(inbox.take().pieces.empty());
  inbox.push(piece("again"));
  taken = inbox.take();
  CHECK(taken.pieces.size() == 1);
  CHECK(taken.dropped == 0);
}

TEST_CASE("an inbox is bounded by size, too") {
  stream_inbox inbox{[] {}};
  for (int i = 0; i < 10; ++i)
    inbox.push(piece(std::string(100'000, 'x')));
  const auto taken = inbox.take();
  CHECK(taken.pieces.size() == 2);
  CHECK(taken.dropped == 8);
}

TEST_CASE("live updates reach the streams of their session only, and stop when these leave") {
  live_board board;
  const auto mine = std::make_shared<stream_inbox>([] {});
  const auto other = std::make_shared<stream_inbox>([] {});
  std::map<session_id, live_observer> listening;
  std::size_t begun = 0;
  const auto from = [&](const session_id& session) {
    return live_board::live_source{
        [&, session](live_observer show, const std::function<void(std::uint64_t)>&) {
          ++begun;
          listening[session] = std::move(show);
          return live_watch{};
        },
        false};
  };
  board.enter(named("s"), mine, from(named("s")));
  board.enter(named("t"), other, from(named("t")));
  const auto second = std::make_shared<stream_inbox>([] {});
  board.enter(named("s"), second, from(named("s")));
  CHECK(begun == 2); // once for each session
  live_update update;
  update.session = named("s");
  update.subtask = subtask_id::parse("a").value();
  update.content = "Hel";
  const auto before = listening[named("s")];
  before(update);
  board.leave(named("s"), mine);
  before(update);
  CHECK(second->take().pieces.size() == 2);
  board.leave(named("s"), second);
  // What the events have the whole of is void behind them, where they can overtake it.
  const auto far = std::make_shared<stream_inbox>([] {});
  auto elsewhere = from(named("u"));
  elsewhere.is_distant = true;
  board.enter(named("u"), far, elsewhere);
  for (const auto kind : {live_kind::text, live_kind::progress, live_kind::restarted}) {
    live_update said;
    said.session = named("u");
    said.kind = kind;
    listening[named("u")](said);
  }
  const auto pieces = far->take().pieces;
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[0].void_when_late);
  CHECK_FALSE(pieces[1].void_when_late);
  CHECK_FALSE(pieces[2].void_when_late);
  board.leave(named("u"), far);
  begun = 2;
  // Who comes behind the last one listens anew, and hears nothing by the old way.
  board.enter(named("s"), second, from(named("s")));
  CHECK(begun == 3);
  before(update);
  CHECK(second->take().pieces.empty());
  const auto taken = mine->take();
  REQUIRE(taken.pieces.size() == 1);
  const auto events = parse_events(*taken.pieces.front().text);
  CHECK(events.front().name == "live");
  CHECK_FALSE(events.front().id);
  CHECK(events.front().data == json{{"kind", "text"}, {"subtask", "a"}, {"content", "Hel"}});
  CHECK(other->take().pieces.empty());
}

TEST_CASE("a stream shows live updates between the chunks that they came between") {
  waiting_session one;
  stream_inbox inbox{[] {}};
  inbox.committed(2);
  inbox.push(piece("behind2"));
  inbox.committed(3);
  inbox.push(piece("behind3"));
  session_stream view{one.store(), named("s"), 1, stream_end::never};
  const auto text = view.next(inbox);
  REQUIRE(text);
  CHECK(contents(parse_events(*text)).starts_with("chunk1 chunk2 behind2 chunk3 behind3 chunk4 "));
}

TEST_CASE(
    "what is said is shown behind its event, though that is heard of later, and is void then") {
  waiting_session one;
  stream_inbox inbox{[] {}};
  inbox.push(piece("behind3"), 3, true);
  inbox.push(piece("behind99"), 99, true);
  session_stream view{one.store(), named("s"), 1, stream_end::never};
  const auto text = view.next(inbox);
  REQUIRE(text);
  const auto shown = contents(parse_events(*text));
  CHECK(shown.find("chunk3 behind3 chunk4 ") != std::string::npos);
  CHECK(shown.find("behind99") == std::string::npos); // whose event is still to come
  const auto last = one.events();
  stream_inbox late{[] {}};
  late.push(piece("late"), last - 1, true);
  late.push(piece("progress"), last - 1, false);
  late.push(piece("in-time"), last, true);
  late.lost(1);
  late.push(piece("after-a-loss"), last, true);
  late.lost(1);
  session_stream next{one.store(), named("s"), last + 1, stream_end::never};
  const auto events = parse_events(next.next(late).value());
  CHECK(contents(events) == "progress in-time after-a-loss behind ");
  CHECK(events.back().data == json{{"dropped", 3}});
}

TEST_CASE("a text of events is split into them, with their numbers") {
  const auto text = sse_event("receipt", {{"id", "id: 7\n\n"}}) + sse_event("chunk", {{"a", 1}}, 12)
                    + sse_event("paused", json::object());
  const auto parts = split_events(text);
  REQUIRE(parts.size() == 3);
  CHECK_FALSE(parts[0].id);
  CHECK(parts[1].id == 12);
  CHECK_FALSE(parts[2].id);
  CHECK(std::string{parts[0].text} + std::string{parts[1].text} + std::string{parts[2].text}
        == text);
  CHECK(split_events("").empty());
}

TEST_CASE("a stream ends with its session, also where another one has its id by now") {
  for (const bool again : {false, true}) {
    waiting_session one;
    stream_inbox inbox{[] {}};
    session_stream view{one.store(), named("s"), 1, stream_end::never};
    REQUIRE(view.next(inbox));
    one.give(cancel_plan{});
    one.give(trim_history{1});
    // It goes on behind what was dropped meanwhile.
    const auto kept = parse_events(view.next(inbox).value());
    CHECK(kept.front().id == query_status(one.store(), named("s"))->first_event);
    one.give(delete_session{});
    if (again)
      one.give(propose_plan{parse_plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})").value()});
    const auto ended = view.next(inbox);
    REQUIRE_FALSE(ended);
    CHECK(is(ended.error(), errc::unknown_session));
    CHECK(contents(parse_events(view.fail(ended.error()))) == "error ");
  }
}

TEST_CASE("a stream says how many updates were dropped") {
  waiting_session one;
  stream_inbox inbox{[] {}};
  for (std::size_t i = 0; i < stream_inbox::max_updates + 3; ++i)
    inbox.push(piece("x"));
  session_stream view{one.store(), named("s"), 1, stream_end::never};
  const auto behind = named_events(parse_events(view.next(inbox).value()), "behind");
  REQUIRE(behind.size() == 1);
  CHECK(behind.front().data == json{{"dropped", 3}});
}

TEST_CASE("a stream that ends at a pause ends with the status and what is pending, once") {
  waiting_session one;
  stream_inbox inbox{[] {}};
  session_stream view{one.store(), named("s"), 2, stream_end::at_pause};
  receipt given;
  given.session = named("s");
  given.state = session_state::waiting;
  view.begin(given);
  // By itself, so that it is told whatever becomes of what follows.
  CHECK(contents(parse_events(view.next(inbox).value())) == "receipt ");
  CHECK_FALSE(view.is_over());
  const auto events = parse_events(view.next(inbox).value());
  CHECK(view.is_over());
  CHECK(events.front().id == 2);
  CHECK(events.back().name == "paused");
  CHECK(events.back().data.at("status").at("state") == "waiting");
  CHECK(events.back().data.at("pending").at(0).at("id") == "s:c1");
  CHECK(named_events(events, "chunk").size() == one.events() - 1);
}

TEST_CASE("that events could not be committed is an error that ends no stream, without secrets") {
  waiting_session one;
  live_board board{redactor::parse(R"({"patterns": ["sk-[a-z]+"]})").value()};
  const auto inbox = std::make_shared<stream_inbox>([] {});
  board.enter(named("s"), inbox, {[](const auto&, const auto&) { return live_watch{}; }, false});
  runtime_observer& observer = board;
  observer.commit_failed(named("t"), make_error(errc::disk_full, "another's"));
  observer.commit_failed(named("s"), make_error(errc::disk_full, "no room for sk-abc"));
  session_stream view{one.store(), named("s"), one.events() + 1, stream_end::never};
  const auto events = parse_events(view.next(*inbox).value());
  REQUIRE(events.size() == 1);
  CHECK(events.front().name == "error");
  CHECK(events.front().data.at("error") == "disk_full");
  CHECK(events.front().data.at("message").get<std::string>().ends_with("no room for [redacted]"));
  CHECK_FALSE(view.is_over());
}

TEST_CASE("a stream that fails says so without secrets") {
  waiting_session one;
  session_stream view{one.store(), named("s"), 1, stream_end::never,
                      redactor::parse(R"({"patterns": ["sk-[a-z]+"]})").value()};
  const auto events = parse_events(view.fail(make_error(errc::io_error, "sk-abc")));
  CHECK(events.front().data == json{{"error", "io_error"}, {"message", "[redacted]"}});
}

TEST_CASE("a stream follows a session until the client has all, one bounded piece at a time") {
  waiting_session one;
  stream_inbox inbox{[] {}};
  session_stream view{one.store(), named("s"), 1, stream_end::never};
  REQUIRE_FALSE(view.next(inbox)->empty());
  CHECK(view.next(inbox)->empty());
  CHECK_FALSE(view.is_over());
  one.give(tool_result{call_id{named("s"), 1}, std::string(900'000, 'x')});
  // Two chunks of 900 KB each: the call's answer, and the subtask's result.
  std::vector<streamed_event> events;
  std::size_t pieces = 0;
  for (auto text = view.next(inbox); !text->empty(); text = view.next(inbox), ++pieces) {
    CHECK(text->size() < session_stream::piece_size_bytes + 1'000'000);
    for (auto& each : parse_events(*text))
      events.push_back(std::move(each));
  }
  CHECK(pieces >= 2);
  CHECK(events.back().id == one.events());
  for (std::size_t i = 1; i < events.size(); ++i)
    CHECK(*events[i].id == *events[i - 1].id + 1);
}

TEST_CASE("a budget gives no more than it has, and takes back what is not needed any more") {
  memory_budget budget{100};
  auto first = budget.take(60);
  CHECK(first);
  CHECK_FALSE(budget.take(41));
  auto second = budget.take(40);
  CHECK(second);
  first.reset();
  const auto third = std::move(second);
  CHECK(budget.take(60));
}

namespace {

member_list members_named(const std::vector<std::string>& names) {
  member_list list;
  for (const auto& name : names)
    list.members.emplace_back(node_name::parse(name).value(), "127.0.0.1", std::uint16_t{1});
  return list;
}

gather_order order_of(std::uint32_t limit, std::optional<std::string> after = {}) {
  gather_order order;
  order.path = "/v1/sessions";
  order.name = "sessions";
  order.limit = limit;
  order.after = std::move(after);
  order.filters = {{"state", "a b"}};
  return order;
}

node_answer page_of(const json& body) {
  node_answer made;
  made.text = body.dump();
  return made;
}

} // namespace

TEST_CASE(
    "a list of all nodes asks each for what there is room for, and ends where the page does") {
  const auto members = members_named({"a", "b", "c"});
  gathering all{order_of(3), members};
  REQUIRE(all.node() != nullptr);
  CHECK(all.node()->name.str() == "a");
  CHECK(all.question().target == "/v1/sessions?limit=3&state=a%20b");
  all.take(page_of({{"sessions", {1, 2}}}), {});
  CHECK(all.node()->name.str() == "b");
  CHECK(all.question().target == "/v1/sessions?limit=1&state=a%20b");
  all.take(make_error(errc::node_unavailable, "b is away"), {});
  CHECK(all.node()->name.str() == "c");
  SECTION("within a node") {
    all.take(page_of({{"sessions", {3}}, {"damaged", {"session 5"}}, {"next", "7-0"}}), {});
    CHECK(all.node() == nullptr);
    const auto body = parse_json(all.response().body).value();
    CHECK(body.at("next") == "c:7-0");
    CHECK(body.at("damaged") == json{"node c: session 5"});
    CHECK(body.at("sessions") == json{1, 2, 3});
    CHECK(body.at("missing") == json{{{"node", "b"}, {"reason", "b is away"}}});
    gathering rest{order_of(3, "c:7-0"), members};
    CHECK(rest.node()->name.str() == "c");
    CHECK(rest.question().target == "/v1/sessions?limit=3&after=7-0&state=a%20b");
  }
  SECTION("with the last node") {
    all.take(page_of({{"sessions", json::array()}}), {});
    CHECK(all.node() == nullptr);
    CHECK_FALSE(parse_json(all.response().body).value().contains("next"));
  }
  SECTION("with what is no page") {
    all.take(page_of({{"other", 1}}), {});
    CHECK(all.node() == nullptr);
    CHECK(all.response().status == 500);
  }
  SECTION("with what only that node cannot do") {
    auto broken = page_of({{"error", "store_corrupt"}, {"message", "page 7 is damaged"}});
    broken.status = 500;
    all.take(broken, {});
    CHECK(all.node() == nullptr);
    CHECK(all.response().status == 200);
    const auto body = parse_json(all.response().body).value();
    CHECK(body.at("sessions") == json{1, 2});
    CHECK(body.at("missing").at(1) == json{{"node", "c"}, {"reason", "page 7 is damaged"}});
  }
  SECTION("with what says nothing") {
    auto broken = page_of(1);
    broken.status = 503;
    all.take(broken, {});
    CHECK(parse_json(all.response().body).value().at("missing").at(1).at("reason")
          == "it answered with status 503");
  }
  SECTION("while this node stops") {
    all.take(make_error(errc::shutting_down, "the node is stopping"), {});
    CHECK(all.node() == nullptr);
    CHECK(all.response().status == 503);
    CHECK(parse_json(all.response().body).value().at("error") == "shutting_down");
  }
  SECTION("with what a node refuses") {
    auto refusal = page_of({{"error", "invalid_field"}});
    refusal.status = 400;
    all.take(refusal, {});
    CHECK(all.response().status == 400);
    CHECK(all.response().body == refusal.text);
  }
}

TEST_CASE("a page of all nodes ends when it is large, or full, with the next node's beginning") {
  const auto members = members_named({"a", "b"});
  gathering full{order_of(1), members};
  full.take(page_of({{"sessions", {1}}}), {});
  CHECK(full.node() == nullptr);
  CHECK(parse_json(full.response().body).value().at("next") == "b:");
  gathering large{order_of(9), members};
  large.take(page_of({{"sessions", {std::string(4'000'000, 'x')}}}), {});
  CHECK(large.node() == nullptr);
  CHECK(parse_json(large.response().body).value().at("next") == "b:");
}

TEST_CASE("what nodes ask each other comes over as it is, and what is none is refused") {
  node_question question;
  question.kind = question_kind::piece;
  question.session = named("s");
  question.from.next = 7;
  question.from.seems_paused = false;
  question.to_pause = true;
  const auto asked = parse_question(to_bytes(question)).value();
  CHECK(asked.kind == question.kind);
  CHECK(asked.session == question.session);
  CHECK(asked.from == question.from);
  CHECK(asked.to_pause);
  node_answer made;
  made.status = 404;
  made.content_type = "text/plain";
  made.events = 3;
  made.text = "a\n\nb\n";
  const auto answered = parse_answer(to_bytes(made)).value();
  CHECK(answered.status == 404);
  CHECK(answered.content_type == "text/plain");
  CHECK(answered.events == 3);
  CHECK(answered.text == made.text);
  CHECK(parse_question(R"({"kind": "position", "session": "s", "newer": 1})"));
  for (const auto* bad : {"", "{}", R"({"kind": "obey"})", "[]"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_question(bad));
    CHECK_FALSE(parse_answer(bad));
  }
}

TEST_CASE("streams of a node look again when it is lost, and those of others do not") {
  cluster_side side{redactor{}};
  const auto inbox = std::make_shared<stream_inbox>([] {});
  const auto lost = node_name::parse("lost").value();
  side.enter(lost, inbox);
  peer_report report;
  report.member.name = node_name::parse("other").value();
  report.state = contact_state::apart;
  side.contact_changed(report);
  report.member.name = lost;
  report.state = contact_state::connected;
  side.contact_changed(report);
  CHECK(inbox->commits() == 0);
  std::uint64_t looks = 0;
  for (const auto state : {contact_state::apart, contact_state::silent, contact_state::refused}) {
    report.state = state;
    side.contact_changed(report);
    CHECK(inbox->commits() == ++looks);
  }
  side.leave(lost, inbox);
  side.contact_changed(report);
  CHECK(inbox->commits() == looks);
}

} // namespace service_parts_test
