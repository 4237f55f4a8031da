#include "routes.hpp"

#include "../transcript.hpp"
#include "openapi.hpp"
#include "target.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/messages/chunk.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace fermata::service {

namespace {

/// Items of one page of a list, unless the client asks for fewer or more.
constexpr std::uint32_t default_page = 256;
constexpr std::uint32_t max_page = 1'024;

/// A page of things that may be large is read a few at a time.
constexpr std::size_t read_at_once = 8;

/// A request that has found its route.
struct matched {
  const http_request* request = nullptr;
  const route_context* context = nullptr;
  std::map<std::string, std::string> query;
  session_id session; ///< Where the path names one.

  matched() = default;

  [[nodiscard]] fermata::store& store() const { return *context->store; }
  /// One of Fermata's objects as clients are shown it: without secrets.
  template <class T>
  [[nodiscard]] json shown(T value) const {
    return to_json(redacted(std::move(value), context->redaction));
  }
  [[nodiscard]] const std::string* parameter(const char* name) const {
    const auto found = query.find(name);
    return found == query.end() ? nullptr : &found->second;
  }
};

template <class Number>
result<Number> parse_number(std::string_view what, std::string_view text, Number least,
                            Number most) {
  Number number{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || number < least
      || number > most)
    return make_error(errc::invalid_field, std::string{what} + ": " + quoted_excerpt(text)
                                               + " is refused; accepted are numbers from "
                                               + std::to_string(least) + " to "
                                               + std::to_string(most));
  return number;
}

/// A number of the query; nothing when it is absent.
template <class Number>
result<std::optional<Number>> number_of(const matched& request, const char* name, Number least,
                                        Number most = std::numeric_limits<Number>::max()) {
  const auto* text = request.parameter(name);
  if (text == nullptr)
    return std::optional<Number>{};
  auto number = parse_number(name, *text, least, most);
  if (!number)
    return std::move(number.error());
  return std::optional{*number};
}

result<std::uint32_t> page_of(const matched& request) {
  auto limit = number_of<std::uint32_t>(request, "limit", 1, max_page);
  if (!limit)
    return std::move(limit.error());
  return limit->value_or(default_page);
}

result<std::uint64_t> first_of(const matched& request) {
  auto first = number_of<std::uint64_t>(request, "first", 1);
  if (!first)
    return std::move(first.error());
  return first->value_or(1);
}

answer respond(const json& body) {
  return json_response(body);
}

answer respond(const matched& request, const caf::error& error) {
  return error_response(error, request.context->redaction);
}

/// One value, or the error that there is instead.
template <class T>
answer respond(const matched& request, const result<T>& found) {
  return found ? respond(request.shown(*found)) : respond(request, found.error());
}

template <class T>
json array_of(const matched& request, const std::vector<T>& items) {
  auto array = json::array();
  for (const auto& one : items)
    array.push_back(request.shown(one));
  return array;
}

/// Adds a value to a page, and gives its size as text.
std::size_t add_to(json& page, json value) {
  const auto size_bytes = fermata::to_text(value).size();
  page.push_back(std::move(value));
  return size_bytes;
}

/// A list as `{name: [...]}`.
template <class T>
answer respond(const matched& request, const char* name, const result<std::vector<T>>& found) {
  return found ? respond({{name, array_of(request, *found)}}) : respond(request, found.error());
}

/// Adds to a page what is damaged, if anything is.
void add_damaged(json& body, const matched& request, const std::vector<std::string>& damaged) {
  for (const auto& why : damaged)
    body["damaged"].push_back(request.context->redaction.text(why));
}

// -- the process

answer health(const matched& request) {
  json body{{"status", "ok"}};
  if (const auto& store = request.context->store_path; !store.empty())
    body["store"] = store;
  return respond(body);
}

answer readiness(const matched& request) {
  if (!request.context->is_stopping)
    return respond({{"status", "ready"}});
  auto response = json_response({{"status", "stopping"}});
  response.status = 503;
  return response;
}

answer metrics(const matched& request) {
  http_response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  if (request.context->metrics)
    response.body = request.context->metrics();
  return response;
}

answer refuse_alone(const matched& request) {
  return respond(request, make_error(errc::not_allowed, "this service is no node of a cluster; "
                                                        "`fermata node` starts one that is"));
}

answer cluster(const matched& request) {
  return request.context->is_node ? cluster_order{} : refuse_alone(request);
}

answer description(const matched&) {
  http_response response;
  response.body = openapi_text();
  return response;
}

// -- queries

answer sessions(const matched& request) {
  std::optional<session_state> state;
  if (const auto* text = request.parameter("state")) {
    const auto named =
        fermata::from_json<session_state>(json(*text), unknown_fields::refuse, "state");
    if (!named)
      return respond(request, named.error());
    state = *named;
  }
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  const auto after = number_of<session_number>(request, "after", 0);
  if (!after)
    return respond(request, after.error());
  const auto page = query_session_page(request.store(), state, after->value_or(0), *limit);
  if (!page)
    return respond(request, page.error());
  json body{{"sessions", array_of(request, page->sessions)}};
  add_damaged(body, request, page->damaged);
  if (page->next)
    body["next"] = std::to_string(*page->next);
  return respond(body);
}

answer status(const matched& request) {
  return respond(request, query_status(request.store(), request.session));
}

answer plan(const matched& request) {
  const auto revision = number_of<std::uint32_t>(request, "revision", 1);
  if (!revision)
    return respond(request, revision.error());
  return respond(request, query_plan(request.store(), request.session, *revision));
}

answer plan_difference(const matched& request) {
  const auto revision = number_of<std::uint32_t>(request, "revision", 1);
  if (!revision)
    return respond(request, revision.error());
  return respond(request, query_plan_diff(request.store(), request.session, *revision));
}

answer transcript(const matched& request) {
  auto items = query_transcript(request.store(), request.session);
  if (!items)
    return respond(request, items.error());
  auto array = json::array();
  for (auto& one : *items)
    array.push_back(command_line::transcript_json(
        command_line::shown_item(std::move(one), request.context->redaction), request.session));
  return respond({{"transcript", std::move(array)}});
}

answer remembered(const matched& request) {
  return respond(request, "remembered", query_remembered(request.store(), request.session));
}

/// Where a page begins, as the client has it: two numbers, as in `7-0`.
std::string cursor_text(std::uint64_t place, std::uint64_t within) {
  return std::to_string(place) + "-" + std::to_string(within);
}

/// Reads the parameter `after`. Absent: from the beginning.
template <class Cursor, class Place, class Within>
result<Cursor> cursor_of(const matched& request, Place Cursor::*place, Within Cursor::*within) {
  Cursor cursor;
  const auto* given = request.parameter("after");
  if (given == nullptr)
    return cursor;
  const std::string_view text = *given;
  const auto dash = std::min(text.find('-'), text.size());
  const auto first =
      parse_number<Place>("after", text.substr(0, dash), 0, std::numeric_limits<Place>::max());
  if (!first)
    return first.error();
  const auto second = parse_number<Within>("after", text.substr(std::min(dash + 1, text.size())), 0,
                                           std::numeric_limits<Within>::max());
  if (!second)
    return second.error();
  cursor.*place = *first;
  cursor.*within = *second;
  return cursor;
}

answer pending(const matched& request) {
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  const auto after = cursor_of(request, &pending_cursor::session, &pending_cursor::item);
  if (!after)
    return respond(request, after.error());
  const auto of = request.session.empty() ? std::nullopt : std::optional{request.session};
  auto array = json::array();
  std::vector<std::string> damaged;
  std::optional<pending_cursor> next = *after;
  for (std::size_t size_bytes = 0;
       next && array.size() < *limit && size_bytes < max_page_size_bytes;) {
    const auto wanted = std::min<std::size_t>(read_at_once, *limit - array.size());
    const auto page = query_pending_page(request.store(), of, *next, wanted);
    if (!page)
      return respond(request, page.error());
    for (const auto& one : page->items)
      size_bytes += add_to(array, request.shown(one));
    // A session that is damaged is so in each of its entries.
    for (const auto& why : page->damaged)
      if (damaged.empty() || damaged.back() != why) {
        size_bytes += why.size();
        damaged.push_back(why);
      }
    next = page->next;
  }
  json body{{"pending", std::move(array)}};
  add_damaged(body, request, damaged);
  if (next)
    body["next"] = cursor_text(next->session, next->item);
  return respond(body);
}

answer history(const matched& request) {
  const auto first = first_of(request);
  if (!first)
    return respond(request, first.error());
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  const auto page = query_history(request.store(), request.session, *first, *limit);
  if (!page)
    return respond(request, page.error());
  json body{{"history", array_of(request, page->moves)}};
  if (page->next)
    body["next"] = *page->next;
  return respond(body);
}

answer audit(const matched& request) {
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  const auto after = cursor_of(request, &audit_cursor::position, &audit_cursor::entries);
  if (!after)
    return respond(request, after.error());
  const auto of = request.session.empty() ? std::nullopt : std::optional{request.session};
  const auto page = query_audit(request.store(), of, *after, *limit);
  if (!page)
    return respond(request, page.error());
  json body{{"audit", array_of(request, page->entries)}};
  if (page->next)
    body["next"] = cursor_text(page->next->position, page->next->entries);
  return respond(body);
}

answer chunks(const matched& request) {
  const auto first = first_of(request);
  if (!first)
    return respond(request, first.error());
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  auto array = json::array();
  std::size_t size_bytes = 0;
  for (auto next = *first; array.size() < *limit && size_bytes < max_page_size_bytes;) {
    const auto wanted = std::min<std::size_t>(read_at_once, *limit - array.size());
    auto events = query_events(request.store(), request.session, next, wanted);
    if (!events)
      return respond(request, events.error());
    if (!events->empty())
      next = events->back().number + 1;
    for (auto& one : *events)
      size_bytes += add_to(array, request.shown(chunk{request.session, std::move(one)}));
    if (events->size() < wanted)
      break;
  }
  return respond({{"chunks", std::move(array)}});
}

// -- streams and commands

answer refuse_while_stopping(const matched& request) {
  return respond(request, make_error(errc::shutting_down, "the service is stopping"));
}

answer stream(const matched& request) {
  auto first = first_of(request);
  if (!first)
    return respond(request, first.error());
  if (const auto& seen = request.request->last_event_id; !seen.empty()) {
    const auto last = parse_number<std::uint64_t>("Last-Event-ID", seen, 0,
                                                  std::numeric_limits<std::uint64_t>::max() - 1);
    if (!last)
      return respond(request, last.error());
    first = *last + 1;
  }
  if (request.context->is_stopping)
    return refuse_while_stopping(request);
  const auto anchor = request.store().find(request.session);
  if (!anchor)
    return respond(request, anchor.error());
  if (!*anchor)
    return respond(
        request, make_error(errc::unknown_session, "there is no session " + request.session.str()));
  if (*first > (*anchor)->events + 1)
    return respond(request,
                   make_error(errc::unknown_chunk, "session " + request.session.str() + " has "
                                                       + std::to_string((*anchor)->events)
                                                       + " chunks; a stream begins "
                                                       + "with one of them, or with the next"));
  stream_order order;
  order.session = request.session;
  order.first = *first;
  return order;
}

/// What a client wants as the answer to a command; a response when it wants something else.
std::variant<answer_form, http_response> form_of(const matched& request) {
  const auto form = preferred_form(request.request->accept);
  if (form == answer_form::neither)
    return error_response(406, "not_acceptable",
                          "accepted is text/event-stream or application/json");
  return form;
}

answer send_command(const matched& request) {
  const auto form = form_of(request);
  if (const auto* response = std::get_if<http_response>(&form))
    return *response;
  if (!is_json(request.request->content_type))
    return error_response(415, "unsupported_media_type",
                          "the body of a command is JSON, sent with Content-Type: "
                          "application/json");
  const auto parsed = parse_json(request.request->body);
  if (!parsed)
    return respond(request, parsed.error());
  auto body = fermata::from_json<command>(*parsed);
  if (!body)
    return respond(request, body.error());
  if (request.context->is_stopping)
    return refuse_while_stopping(request);
  command_order order;
  order.session = request.session;
  order.body = std::move(*body);
  order.answer = std::get<answer_form>(form);
  return order;
}

answer drain(const matched& request) {
  if (!request.context->is_node)
    return refuse_alone(request);
  if (!request.request->body.empty())
    return respond(request, make_error(errc::invalid_field, "draining a node takes no body"));
  if (request.context->is_stopping)
    return refuse_while_stopping(request);
  return drain_order{};
}

answer wake(const matched& request) {
  const auto form = form_of(request);
  if (const auto* response = std::get_if<http_response>(&form))
    return *response;
  if (!request.request->body.empty())
    return respond(request, make_error(errc::invalid_field, "waking a session takes no body"));
  if (request.context->is_stopping)
    return refuse_while_stopping(request);
  command_order order;
  order.session = request.session;
  order.answer = std::get<answer_form>(form);
  return order;
}

// -- the table

constexpr std::string_view session_path = "/v1/sessions/{session}";

struct route_entry {
  std::string_view method;
  std::string_view path;
  std::array<std::string_view, 3> parameters; ///< Of the query; empty: no more of them.
  answer (*handle)(const matched&);
};

constexpr std::array table{
    route_entry{"GET", "/healthz", {}, health},
    route_entry{"GET", "/readyz", {}, readiness},
    route_entry{"GET", "/metrics", {}, metrics},
    route_entry{"GET", "/openapi.json", {}, description},
    route_entry{"GET", "/v1/cluster", {}, cluster},
    route_entry{"POST", "/v1/cluster/drain", {}, drain},
    route_entry{"GET", "/v1/sessions", {"state", "after", "limit"}, sessions},
    route_entry{"GET", "/v1/pending", {"after", "limit"}, pending},
    route_entry{"GET", "/v1/audit", {"after", "limit"}, audit},
    route_entry{"GET", "/v1/sessions/{session}", {}, status},
    route_entry{"GET", "/v1/sessions/{session}/plan", {"revision"}, plan},
    route_entry{"GET", "/v1/sessions/{session}/plan/diff", {"revision"}, plan_difference},
    route_entry{"GET", "/v1/sessions/{session}/transcript", {}, transcript},
    route_entry{"GET", "/v1/sessions/{session}/remembered", {}, remembered},
    route_entry{"GET", "/v1/sessions/{session}/history", {"first", "limit"}, history},
    route_entry{"GET", "/v1/sessions/{session}/audit", {"after", "limit"}, audit},
    route_entry{"GET", "/v1/sessions/{session}/pending", {"after", "limit"}, pending},
    route_entry{"GET", "/v1/sessions/{session}/chunks", {"first", "limit"}, chunks},
    route_entry{"GET", "/v1/sessions/{session}/stream", {"first"}, stream},
    route_entry{"POST", "/v1/sessions/{session}/commands", {}, send_command},
    route_entry{"POST", "/v1/sessions/{session}/wake", {}, wake},
};

/// Compares a path with that of a route, and takes the session's id from it.
bool fits(const std::vector<std::string>& path, std::string_view pattern, std::string& session) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern.empty())
      return false;
    pattern.remove_prefix(1);
    const auto part = pattern.substr(0, pattern.find('/'));
    if (part == "{session}")
      session = path[i];
    else if (part != path[i])
      return false;
    pattern.remove_prefix(part.size());
  }
  return pattern.empty();
}

caf::error check_parameters(const route_entry& entry,
                            const std::map<std::string, std::string>& query) {
  for (const auto& [name, value] : query) {
    if (std::find(entry.parameters.begin(), entry.parameters.end(), name) != entry.parameters.end()
        && !name.empty())
      continue;
    std::string accepted;
    for (const auto& one : entry.parameters)
      accepted += one.empty() ? "" : " " + std::string{one};
    return make_error(errc::invalid_field,
                      "unknown query parameter " + quoted_excerpt(name)
                          + "; accepted are:" + (accepted.empty() ? " none" : accepted));
  }
  return caf::none;
}

answer ask_elsewhere(const matched& request) {
  if (request.context->is_stopping)
    return refuse_while_stopping(request);
  elsewhere_order order;
  order.session = request.session;
  order.target = request.request->target;
  order.last_event_id = request.request->last_event_id;
  return order;
}

/// Of what a list over all sessions has; empty: it is none.
std::string_view list_name(const route_entry& entry) {
  const std::string_view in_all = "/v1/";
  const auto name = entry.path.substr(std::min(in_all.size(), entry.path.size()));
  return entry.path.starts_with(in_all)
                 && (name == "sessions" || name == "pending" || name == "audit")
             ? name
             : std::string_view{};
}

answer gather(const matched& request, const route_entry& entry, std::string_view list) {
  const auto limit = page_of(request);
  if (!limit)
    return respond(request, limit.error());
  gather_order order;
  order.path = entry.path;
  order.name = list;
  order.limit = *limit;
  for (const auto& [name, value] : request.query)
    if (name == "after")
      order.after = value;
    else if (name != "limit")
      order.filters.emplace(name, value);
  return order;
}

answer run(const route_entry& entry, matched request, const std::string& session) {
  if (entry.path.starts_with(session_path)) {
    auto named = session_id::parse(session);
    if (!named)
      return respond(request, named.error());
    request.session = std::move(*named);
  }
  if (const auto error = check_parameters(entry, request.query))
    return respond(request, error);
  if (request.context->is_elsewhere && entry.method == "GET") {
    if (!request.session.empty() && request.context->is_elsewhere(request.session))
      return ask_elsewhere(request);
    if (const auto list = list_name(entry); !list.empty())
      return gather(request, entry, list);
  }
  return entry.handle(request);
}

} // namespace

bool reads_store(const http_request& request) {
  constexpr std::array<std::string_view, 4> of_process{"/healthz", "/readyz", "/metrics",
                                                       "/openapi.json"};
  const std::string_view target = request.target;
  return request.method != "POST"
         && std::find(of_process.begin(), of_process.end(), target.substr(0, target.find('?')))
                == of_process.end();
}

answer route(const http_request& request, const route_context& context) {
  auto target = parse_target(request.target);
  if (!target)
    return error_response(target.error(), context.redaction);
  std::string allowed;
  for (const auto& entry : table) {
    std::string session;
    if (!fits(target->path, entry.path, session))
      continue;
    if (entry.method != request.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string{entry.method};
      continue;
    }
    matched found;
    found.request = &request;
    found.context = &context;
    found.query = std::move(target->query);
    return run(entry, std::move(found), session);
  }
  if (allowed.empty())
    return error_response(404, "unknown_path", "GET /openapi.json describes what there is");
  auto response = error_response(405, "wrong_method", "this path answers " + allowed);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::span<const route_name> route_names() {
  static const auto names = [] {
    std::array<route_name, table.size()> all;
    std::transform(table.begin(), table.end(), all.begin(), [](const route_entry& entry) {
      return route_name{entry.method, entry.path};
    });
    return all;
  }();
  return names;
}

} // namespace fermata::service
