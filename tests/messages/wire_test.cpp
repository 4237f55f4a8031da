// Messages between actors: what CAF sends is what arrives, and nothing else is believed.

#include "support.hpp"

#include <fermata/messages/chunk.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/limits.hpp>
#include <fermata/messages/status.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/deep_to_string.hpp>

#include <sys/resource.h>

#include <random>
#include <type_traits>

namespace wire_test {

using namespace fermata;
using namespace messages_test;

namespace {

// g++ 12 destroys an aggregate temporary twice in the full expression of a co_await (traps.md, 1),
// and embedders will write `co_await ask(..., message{...})`.
template <class... Ts>
constexpr bool none_is_aggregate = !(std::is_aggregate_v<Ts> || ...);

template <class Variant>
constexpr bool no_alternative_is_aggregate = false;
template <class... Ts>
constexpr bool no_alternative_is_aggregate<std::variant<Ts...>> = none_is_aggregate<Ts...>;

static_assert(no_alternative_is_aggregate<command>);
static_assert(no_alternative_is_aggregate<event_body>);
static_assert(
    none_is_aggregate<session_command, receipt, event, plan_spec, subtask_spec, tool_declaration,
                      tool_request, tool_answer, waiting_counts, plan_summary, subtask_summary,
                      session_status, pending_item, session_summary, chunk, follow_chunks,
                      chunk_batch, status_query, live_update, listen_live, unlisten_live,
                      live_batch, live_taken, answer_piece, next_piece, limits, session_id,
                      subtask_id, agent_name, tool_name, call_id, plan_id>);

/// The size of a struct that has exactly the listed members, in the listed order.
template <class T>
constexpr std::size_t size_of_fields() {
  std::size_t size = 0;
  std::size_t alignment = 1;
  const auto align = [&](std::size_t to) { size = (size + to - 1) / to * to; };
  T::fields().for_each([&]<class Struct, class Member>(const field_info<Struct, Member>&) {
    align(alignof(Member));
    size += sizeof(Member);
    alignment = std::max(alignment, alignof(Member));
  });
  align(alignment);
  return std::max<std::size_t>(size, 1);
}

/// Whether no member was forgotten in the list of fields, unless it fits into padding.
template <class... Ts>
constexpr bool list_all_members = ((size_of_fields<Ts>() == sizeof(Ts)) && ...);

template <class Variant>
constexpr bool alternatives_list_all_members = false;
template <class... Ts>
constexpr bool alternatives_list_all_members<std::variant<Ts...>> =
    ((list_all_members<Ts> || std::is_same_v<Ts, plan_proposed>)&&...);

static_assert(alternatives_list_all_members<command>);
static_assert(
    alternatives_list_all_members<event_body>); // plan_proposed's plan has its own records
static_assert(
    list_all_members<session_command, receipt, event, plan_spec, subtask_spec, tool_declaration,
                     tool_request, tool_answer, waiting_counts, plan_summary, subtask_summary,
                     session_status, pending_item, session_summary, chunk, follow_chunks,
                     chunk_batch, status_query, live_update, listen_live, unlisten_live, live_batch,
                     live_taken, next_piece>);

// What travels only as a part of others has no identity on the wire of its own.
static_assert(
    travelling<
        session_command> && travelling<receipt> && travelling<event> && travelling<session_status> && travelling<chunk> && travelling<follow_chunks> && travelling<chunk_batch> && travelling<status_query>);
static_assert(travelling<live_batch> && !travelling<live_update>);
static_assert(described<plan_spec> && !travelling<plan_spec> && !travelling<pending_item>);

template <class T>
std::vector<char> sent(const T& value) {
  std::vector<char> wire;
  caf::binary_serializer sink{static_cast<caf::execution_unit*>(nullptr), wire};
  REQUIRE_FALSE(sink(const_cast<T&>(value)));
  return wire;
}

template <class T>
caf::error receive(const std::vector<char>& wire, T& value) {
  caf::binary_deserializer source{static_cast<caf::execution_unit*>(nullptr), wire};
  return source(value);
}

template <class T>
void check_travels(const T& value) {
  T received;
  CHECK(verdict_on(receive(sent(value), received)) == "accepted");
  CHECK(received == value);
}

plan_spec sample_plan() {
  return value_of(from_json<plan_spec>(value_of(parse_json(R"({
    "goal": "g \u00e4", "subtasks": [
      {"id": "a", "steps": [{"tool": "t", "arguments": {"n": [1, 2.5, null]}}]},
      {"id": "b", "agent": "writer", "depends_on": ["a"], "parameters": {"k": true}}],
    "tools": {"t": {"description": "d", "schema": {"type": "object"}}}})"))));
}

/// One command of each type, no field at its default value.
std::vector<command> sample_commands() {
  const auto call = make<call_id>("release-42:c17");
  const auto subtask = make<subtask_id>("a");
  decide_plan plan_decision{3, plan_verdict::modify};
  plan_decision.feedback = "shorter";
  plan_decision.by = "boss";
  decide_call call_decision{call, call_verdict::edit};
  call_decision.arguments = {{"path", "x"}};
  call_decision.content = 1;
  call_decision.feedback = "f";
  call_decision.by = "boss";
  call_decision.digest = "d";
  call_decision.remember = decision_scope::tool;
  forget_decision forgotten{7};
  forgotten.by = "boss";
  delete_session deletion{"r"};
  deletion.by = "boss";
  trim_history trimming{7};
  trimming.by = "boss";
  resolve_outcome resolution{call, outcome_resolution::happened, {{"exit", 0}}};
  resolution.reason = "r";
  resolution.by = "boss";
  retry_subtask retry{subtask};
  retry.by = "boss";
  skip_subtask skip{subtask};
  skip.reason = "r";
  fail_plan fail{"r"};
  fail.by = "boss";
  answer_question answer{call, 7};
  answer.by = "boss";
  cancel_call no_call{call, "r"};
  no_call.by = "boss";
  cancel_subtask no_subtask{subtask, "r"};
  no_subtask.by = "boss";
  const timestamp noon{std::chrono::hours{12}};
  suspend_session suspension{"r"};
  suspension.until = noon;
  suspension.by = "boss";
  set_deadline deadline{noon, subtask};
  deadline.by = "boss";
  post_message message{"hello"};
  message.by = "boss";
  message.workspace = "/work";
  return {propose_plan{sample_plan(), "/work"},
          revise_plan{sample_plan()},
          plan_decision,
          call_decision,
          tool_result{call, {{"stdout", "\xC3\xA4"}}, true},
          resolution,
          retry,
          skip,
          fail,
          cancel_plan{"r"},
          answer,
          no_call,
          no_subtask,
          suspension,
          resume_session{"boss"},
          deadline,
          message,
          decide_calls{{call_decision, call_decision}},
          forgotten,
          deletion,
          trimming};
}

} // namespace

TEST_CASE("a command of every type travels and arrives equal") {
  const auto commands = sample_commands();
  REQUIRE(commands.size() == std::variant_size_v<command>);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    CHECK(commands[i].index() == i);
    CAPTURE(name_of(commands[i]));
    check_travels(session_command{make<session_id>("release-42"), commands[i]});
    CHECK(value_of(from_json<command>(to_json(commands[i]))) == commands[i]);
  }
}

TEST_CASE("receipts, states and events travel and arrive equal") {
  receipt one;
  one.session = make<session_id>("s");
  one.event = ~std::uint64_t{0};
  one.kind = receipt_kind::late;
  one.state = session_state::rejected;
  check_travels(one);

  session_status status;
  status.session = make<session_id>("s");
  status.state = session_state::waiting;
  status.waiting.decision = 2;
  status.plan.emplace();
  status.plan->goal = "g";
  status.subtasks.resize(1);
  status.subtasks[0].id = make<subtask_id>("a");
  status.subtasks[0].result = {1, 2};
  check_travels(status);

  event fact;
  fact.number = 5;
  fact.at = timestamp{std::chrono::milliseconds{1'700'000'000'000}};
  call_answered body;
  body.call = 17;
  body.answer = tool_answer{call_outcome::rejected, {{"rejected", true}}};
  body.digest = "d";
  fact.body = body;
  check_travels(fact);

  chunk_batch batch;
  batch.chunks.emplace_back(make<session_id>("s"), fact);
  batch.chunks.push_back(batch.chunks.front());
  check_travels(batch.chunks.front());
  check_travels(batch);
  follow_chunks follow{make<session_id>("s"), 7};
  follow.limit = 3;
  check_travels(follow);
  check_travels(status_query{make<session_id>("s")});
}

TEST_CASE("live updates and pieces of answers travel and arrive equal, whatever bytes they have") {
  live_batch batch;
  batch.session = make<session_id>("s");
  batch.reader = 7;
  batch.dropped = 3;
  batch.size_bytes = 2;
  auto& update = batch.updates.emplace_back();
  update.session = batch.session;
  update.subtask = make<subtask_id>("a");
  update.content = std::string{"\xc3"}; // half of a character
  update.after = 12;
  auto& progress = batch.updates.emplace_back();
  progress.session = batch.session;
  progress.call = call_id{batch.session, 3};
  progress.kind = live_kind::progress;
  progress.content = {{"percent", 10}};
  check_travels(batch);
  check_travels(listen_live{batch.session, 7});
  check_travels(unlisten_live{batch.session, 7});
  answer_piece piece;
  piece.number = 4;
  piece.left_bytes = 5;
  piece.bytes = std::string{"\0\xff {\n", 5};
  check_travels(piece);
  check_travels(next_piece{4});
}

TEST_CASE("a node that registered the types of messages reads a message of all of them") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  config.add_message_types<caf::id_block::fermata>();
  caf::actor_system system{config};
  const auto id = make<session_id>("s");
  receipt one;
  one.session = id;
  session_status status;
  status.session = id;
  event fact;
  fact.number = 3;
  const chunk shown{id, fact};
  chunk_batch batch;
  batch.chunks.push_back(shown);
  auto message = caf::make_message(session_command{id, sample_commands()[3]}, one, fact, status,
                                   shown, batch, follow_chunks{id, 7}, status_query{id});
  std::vector<char> wire;
  caf::binary_serializer sink{system, wire};
  REQUIRE_FALSE(sink(message));
  caf::message received;
  caf::binary_deserializer source{system, wire};
  REQUIRE(verdict_on(source(received)) == "accepted");
  REQUIRE((received.match_elements<session_command, receipt, event, session_status, chunk,
                                   chunk_batch, follow_chunks, status_query>()));
  CHECK(received.get_as<session_command>(0).body == sample_commands()[3]);
  CHECK(received.get_as<receipt>(1) == one);
  CHECK(received.get_as<event>(2) == fact);
  CHECK(received.get_as<session_status>(3) == status);
  CHECK(received.get_as<chunk>(4) == shown);
  CHECK(received.get_as<chunk_batch>(5) == batch);
  CHECK(received.get_as<follow_chunks>(6).first == 7);
  CHECK(received.get_as<status_query>(7).session == id);
}

TEST_CASE("every kind of event has a type of its own") {
  std::vector<std::string_view> types;
  [&]<std::size_t... Indexes>(std::index_sequence<Indexes...>) {
    (types.push_back(std::variant_alternative_t<Indexes, event_body>::type), ...);
  }
  (std::make_index_sequence<std::variant_size_v<event_body>>{});
  std::sort(types.begin(), types.end());
  CHECK(std::adjacent_find(types.begin(), types.end()) == types.end());
}

TEST_CASE("a message from a newer node is read without what it added") {
  auto written = to_json(session_command{make<session_id>("s"), cancel_plan{"r"}});
  written["priority"] = 1;
  written["body"]["colour"] = "red";
  auto record = to_cbor(written);
  std::vector<char> wire;
  caf::binary_serializer sink{static_cast<caf::execution_unit*>(nullptr), wire};
  REQUIRE_FALSE(sink(record));
  session_command received;
  CHECK(verdict_on(receive(wire, received)) == "accepted");
  CHECK(received == session_command{make<session_id>("s"), cancel_plan{"r"}});
}

TEST_CASE("a message that is not what it says is refused with an error, and changes nothing") {
  const session_command before{make<session_id>("s"), cancel_plan{"r"}};
  const auto refused = [&](const std::vector<char>& wire) {
    auto received = before;
    const auto error = receive(wire, received);
    CHECK(received == before);
    return verdict_on(error);
  };
  const auto as_wire = [](bytes record) {
    std::vector<char> wire;
    caf::binary_serializer sink{static_cast<caf::execution_unit*>(nullptr), wire};
    REQUIRE_FALSE(sink(record));
    return wire;
  };
  CHECK(refused({}) != "accepted");
  CHECK(refused(as_wire({})).starts_with("invalid_json: "));
  CHECK(refused(as_wire({0xFF, 0x00})).starts_with("invalid_json: "));
  CHECK(refused(as_wire(to_cbor(json::object())))
        == "invalid_field: the field \"session\" is missing");
  CHECK(refused(as_wire(to_cbor({{"session", "../etc"}, {"body", {{"type", "cancel_plan"}}}})))
            .starts_with("invalid_id: session: "));
  CHECK(refused(as_wire(to_cbor({{"session", "s"}, {"body", {{"type", "format_disk"}}}})))
        == "invalid_field: body: unknown type \"format_disk\"");
}

TEST_CASE("a length of 4 GB that is not there is refused without allocating it") {
  const auto peak_memory_kb = [] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
  };
  const auto before = peak_memory_kb();
  session_command received;
  CHECK(receive({'\xFF', '\xFF', '\xFF', '\xFF', '\x0F', 'x'}, received));
  CHECK(peak_memory_kb() - before < 100'000);
}

TEST_CASE("every cut-off message is refused") {
  const session_command whole{make<session_id>("s"), sample_commands()[0]};
  const auto wire = sent(whole);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    session_command received;
    CAPTURE(size);
    CHECK(receive({wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size)}, received));
  }
}

TEST_CASE("a damaged message is refused, or is a command that can be written again") {
  constexpr std::uint64_t seed = 7;
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  std::size_t lost = 0;
  std::size_t refused = 0;
  for (const auto& body : sample_commands()) {
    const auto whole = to_record(session_command{make<session_id>("s"), body});
    for (int round = 0; round < 1'000; ++round) {
      auto damaged = whole;
      for (auto changes = 1 + random() % 3; changes > 0; --changes)
        damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
      const auto read = from_record<session_command>(damaged);
      if (!read) {
        ++refused;
        continue;
      }
      const auto again = from_record<session_command>(to_record(*read));
      // Compared as text, since a NaN is not equal to itself.
      lost += again && to_text(to_json(*again)) == to_text(to_json(*read)) ? 0 : 1;
    }
  }
  CHECK(lost == 0);
  CHECK(refused > 0);
}

TEST_CASE("a message can be printed by CAF, under its own name") {
  CHECK(contains(caf::deep_to_string(session_command{make<session_id>("s"), cancel_plan{}}),
                 "fermata::session_command"));
}

} // namespace wire_test
