// openapi.json against what it describes: the routes, the fields of the messages, the answers.
#include "field_schema.hpp"
#include "service_support.hpp"

#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/messages/plan_diff.hpp>
#include <fermata/messages/status.hpp>
#include <service/openapi.hpp>
#include <service/routes.hpp>

#include <fermata_catch.hpp>

#include <algorithm>
#include <set>

namespace service_description_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const json& description() {
  static const auto parsed = parse_json(service::openapi_text()).value();
  return parsed;
}

/// A part of the description with what it refers to in its place: the references are not circular.
json resolved(const json& part) {
  if (part.is_object() && part.contains("$ref")) {
    const auto pointer = part.at("$ref").get<std::string>();
    REQUIRE(pointer.starts_with("#/"));
    return resolved(description().at(json::json_pointer{pointer.substr(1)}));
  }
  auto whole = part;
  if (part.is_structured())
    for (auto& one : whole)
      one = resolved(one);
  return whole;
}

/// `METHOD path`, as the description has them.
std::set<std::string> described_operations() {
  std::set<std::string> all;
  for (const auto& [path, methods] : description().at("paths").items())
    for (const auto& [method, operation] : methods.items()) {
      std::string upper;
      for (const char one : method)
        upper += static_cast<char>(std::toupper(static_cast<unsigned char>(one)));
      all.insert(upper + " " + path);
    }
  return all;
}

json operation_of(const std::string& method, const std::string& path) {
  std::string lower;
  for (const char one : method)
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(one)));
  return resolved(description().at("paths").at(path).at(lower));
}

/// What the description says of an answer, by its status and its type.
json content_of(const json& operation, const http_answer& answer) {
  const auto& responses = operation.at("responses");
  const auto status = std::to_string(answer.status);
  const auto& response =
      responses.contains(status) ? responses.at(status) : responses.at("default");
  const auto type = answer.header("content-type");
  return response.at("content").at(type.substr(0, type.find(';')));
}

void check_fits(const json& schema, const json& value) {
  const auto error = check_schema(schema, value);
  INFO(value.dump().substr(0, 2'000));
  INFO((error ? message_of(error) : "it fits"));
  CHECK(!error);
}

void check_events(const json& content, const std::vector<streamed_event>& events) {
  for (const auto& one : events) {
    INFO(one.name);
    REQUIRE(content.at("x-events").contains(one.name));
    check_fits(content.at("x-events").at(one.name), one.data);
  }
}

/// A request of each operation, of the session `s` at a point where it has something to answer.
struct sample {
  std::string method;
  std::string path; ///< As described.
  std::string query;
  std::string body;
  http_headers headers;
  int status = 200;
};

void check_sample(http_client& client, const sample& one) {
  auto target = one.path + one.query;
  if (const auto at = target.find("{session}"); at != std::string::npos)
    target.replace(at, 9, "s");
  const auto operation = operation_of(one.method, one.path);
  const auto answer = client.call(one.method, target, one.body, one.headers);
  INFO(one.method << " " << target << " " << one.body << ": " << answer.body.substr(0, 500));
  CHECK(answer.status == one.status);
  const auto content = content_of(operation, answer);
  const auto type = answer.header("content-type");
  if (type == "text/event-stream")
    check_events(content, parse_events(answer.body));
  else if (type == "application/json")
    check_fits(content.at("schema"), answer.value());
  if (!one.body.empty() && one.status == 200)
    check_fits(operation.at("requestBody").at("content").at("application/json").at("schema"),
               parse_json(one.body).value());
}

/// A schema without what it says for people, and whether more fields may be there: a command may
/// have none, and of an answer that is left open.
json bare(json schema) {
  if (schema.is_object()) {
    for (const auto* key : {"description", "discriminator"})
      if (schema.contains(key) && !schema.at(key).contains("type"))
        schema.erase(key);
    if (schema.contains("additionalProperties") && schema.at("additionalProperties").is_boolean())
      schema.erase("additionalProperties");
  }
  if (schema.is_structured())
    for (auto& one : schema)
      one = bare(one);
  return schema;
}

} // namespace

TEST_CASE("the description has every route of the service, and no other") {
  std::set<std::string> routes;
  for (const auto& [method, path] : service::route_names())
    routes.insert(std::string{method} + " " + std::string{path});
  CHECK(described_operations() == routes);
}

TEST_CASE("the description lists the fields that the messages have") {
  field_schemas fields;
  const auto command_schema = fields.add<command>();
  fields.add<session_status>();
  fields.add<receipt>();
  fields.add<chunk>();
  fields.add<pending_item>();
  fields.add<session_summary>();
  fields.add<plan_spec>();
  fields.add<plan_diff>();
  fields.add<tool_answer>();
  fields.add<remembered_record>();
  fields.add<state_transition>();
  fields.add<audit_entry>();
  const auto& described = description().at("components").at("schemas");
  CHECK(bare(described.at("command")) == bare(command_schema));
  for (const auto& [name, schema] : fields.all()) {
    INFO(name << " is to be: " << schema.dump());
    REQUIRE(described.contains(name));
    CHECK(bare(described.at(name)) == bare(schema));
  }
}

TEST_CASE("what a command must not have, the description refuses as well") {
  const auto schema = resolved(description().at("components").at("schemas").at("command"));
  CHECK_FALSE(check_schema(schema, {{"type", "cancel_plan"}}));
  CHECK(check_schema(schema, {{"type", "cancel_plan"}, {"raeson", "x"}}));
  CHECK(check_schema(schema, {{"type", "obey"}}));
  CHECK(check_schema(schema, {{"type", "tool_result"}, {"call", "s:c1"}}));
}

TEST_CASE("every operation of the description answers as it says") {
  hosted_server hosted;
  auto client = hosted.client();
  const std::string commands{"/v1/sessions/{session}/commands"};
  const std::string session{"/v1/sessions/{session}"};
  const std::vector<sample> samples{
      {"GET", session, "", "", {}, 404},
      {"POST", commands, "", proposal(2), {}},
      {"POST", commands, "", proposal(2), {}, 409},
      {"POST", commands, "", "{", {}, 400},
      {"POST", commands, "", approval_of_plan(), {{"Content-Type", "text/plain"}}, 415},
      {"GET", session, "", "", {}},
      {"GET", "/v1/pending", "", "", {}},
      {"GET", session + "/plan/diff", "", "", {}},
      {"POST", commands, "", approval_of_plan(), {}},
      {"POST", commands, "",
       R"({"type": "decide_call", "call": "s:c1", "verdict": "approve", "remember": "call"})",
       wants_receipt},
      {"POST", commands, "", result_of("s:c1", "green"), {}},
      {"GET", "/healthz", "", "", {}},
      {"GET", "/readyz", "", "", {}},
      {"GET", "/openapi.json", "", "", {}},
      {"GET", "/v1/sessions", "?state=waiting&limit=10", "", {}},
      {"GET", "/v1/sessions", "?limit=0", "", {}, 400},
      {"GET", session, "", "", {}},
      {"GET", session + "/plan", "?revision=1", "", {}},
      {"GET", session + "/plan", "?revision=9", "", {}, 404},
      {"GET", session + "/transcript", "", "", {}},
      {"GET", session + "/remembered", "", "", {}},
      {"GET", session + "/history", "?first=2&limit=3", "", {}},
      {"GET", session + "/audit", "?limit=1", "", {}},
      {"GET", session + "/audit", "?after=1-0", "", {}},
      {"GET", "/v1/audit", "", "", {}},
      {"GET", "/v1/audit", "?after=x", "", {}, 400},
      {"GET", session + "/pending", "", "", {}},
      {"GET", session + "/chunks", "?first=2&limit=3", "", {}},
      {"GET", session + "/stream", "?first=1000", "", {}, 404},
      {"POST", session + "/wake", "", "", {}},
      {"POST", session + "/wake", "", "", wants_receipt},
      {"POST", commands, "", R"({"type": "cancel_plan", "reason": "enough"})", {}},
  };
  for (const auto& one : samples)
    check_sample(client, one);

  client.request("GET", "/v1/sessions/s/stream");
  const auto header = client.receive_header();
  const auto content = content_of(operation_of("GET", session + "/stream"), header);
  check_events(content, {*client.next_event(), *client.next_event()});
  const auto metrics = hosted.client().call("GET", "/metrics");
  CHECK(metrics.status == 200);

  // Of a node; node_test and database_test have their answers.
  CHECK(hosted.client().call("GET", "/v1/cluster").error() == "not_allowed");
  CHECK(hosted.client().call("POST", "/v1/cluster/drain").error() == "not_allowed");

  std::set<std::string> called{"GET " + session + "/stream", "GET /metrics", "GET /v1/cluster",
                               "POST /v1/cluster/drain"};
  for (const auto& one : samples)
    if (one.status == 200)
      called.insert(one.method + " " + one.path);
  CHECK(called == described_operations());
}

} // namespace service_description_test
