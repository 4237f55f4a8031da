// One session as lines of JSON, and the same session again: nothing is lost on the way, and nothing
// that was damaged on the way is believed.
#include "store_harness.hpp"

#include <fermata/storage/records.hpp>
#include <fermata/storage/session_export.hpp>

#include <fermata_catch.hpp>

#include <fstream>
#include <limits>
#include <sstream>

namespace session_export_test {

using namespace fermata;
using namespace fermata::test;

namespace {

call_record sample_call(const std::string& session, std::uint64_t number) {
  call_record call;
  call.number = number;
  call.revision = 1;
  call.subtask = must(subtask_id::parse("first"));
  call.tool = must(tool_name::parse("login"));
  call.arguments = {{"password", "hunter2"}, {"note", "the key sk-1"}};
  call.status = call_status::awaiting_decision;
  call.digest = "sk-digest-of-" + session;
  call.revision = 1;
  call.since = at(1'000);
  return call;
}

pending_item sample_item(const std::string& session, std::uint64_t number) {
  const auto call = sample_call(session, number);
  pending_item item;
  item.id = call_id{named(session), number}.str();
  item.session = named(session);
  item.tool = call.tool;
  item.arguments = call.arguments;
  item.digest = call.digest;
  item.since = call.since;
  return item;
}

event sample_event(std::uint64_t number) {
  event fact;
  fact.number = number;
  fact.at = at(1'000 + static_cast<std::int64_t>(number));
  if (number == 1) {
    session_created created;
    created.incarnation = "00ff";
    fact.body = created;
  } else {
    message_received said;
    said.number = number - 1;
    said.text = "sk-" + std::to_string(number);
    fact.body = said;
  }
  return fact;
}

head_record sample_head(const std::string& session, std::uint64_t events) {
  head_record head;
  head.id = named(session);
  head.incarnation = "00ff";
  head.created = at(1'000);
  head.events = events;
  head.state = session_state::waiting;
  head.calls = 40;
  head.active_revision = 1;
  head.last_revision = 1;
  head.running = 0;
  head.messages = events - 1;
  head.armed = at(-5);
  head.waiting.decision = 40;
  return head;
}

/// A session with every kind of entry, in several commits.
session_anchor put_session(store& target, const std::string& session, std::uint64_t events = 4) {
  auto first = change{session};
  first.event(to_record(sample_event(1)));
  auto anchor = must_write(target, first);
  for (std::uint64_t number = 2; number < events; ++number)
    anchor = must_write(target, change{anchor}.event(to_record(sample_event(number))));
  auto last = change{anchor};
  last.event(to_record(sample_event(events)));
  last.status(static_cast<std::uint8_t>(session_state::waiting));
  last.put(head_key(), to_record(sample_head(session, events)));
  last.put(plan_key(1), to_record([] {
             plan_record plan;
             plan.revision = 1;
             plan.subtasks = 1;
             return plan;
           }()));
  last.put(subtask_key(1, 0), to_record([] {
             subtask_record subtask;
             subtask.status = subtask_status::running;
             subtask.first_call = 1;
             subtask.calls = 40;
             subtask.open_calls = 40;
             return subtask;
           }()));
  for (std::uint64_t number = 1; number <= 40; ++number) {
    last.put(call_key(number), to_record(sample_call(session, number)));
    const auto item = to_record(sample_item(session, number));
    last.pend(number, std::string{item.begin(), item.end()});
  }
  pending_item plan;
  plan.id = plan_id{named(session), 1}.str();
  plan.session = named(session);
  plan.kind = pending_kind::plan;
  const auto item = to_record(plan);
  last.pend(pending_plan_base + 1, std::string{item.begin(), item.end()});
  last.arm(-5, session_timer);
  return must_write(target, last);
}

std::string exported(store& from, std::string_view session, const export_options& options = {}) {
  std::string text;
  const auto take = [&](std::string_view line) -> caf::error {
    text += line;
    return caf::none;
  };
  static_cast<void>(must(export_view(*must(from.read()), named(session), take, options)));
  return text;
}

result<imported_session> imported(store& into, const std::string& text,
                                  const import_options& options = {}) {
  std::istringstream lines{text};
  return import_session(into, lines_of(lines), options);
}

std::string verdict(const caf::error& error) {
  return error ? std::string{name_of(code_of(error))} + ": " + message_of(error) : "accepted";
}

/// What importing a text into an empty store says; an import that is refused leaves it empty.
std::string verdict_on(const std::string& text, const import_options& options = {}) {
  memory_store target;
  const auto before = target.fingerprint();
  const auto read = imported(target, text, options);
  if (read)
    return "accepted";
  CHECK(target.fingerprint() == before);
  return verdict(read.error());
}

std::string export_verdict(store& from, std::string_view session = "a") {
  const auto take = [](std::string_view) -> caf::error { return caf::none; };
  const auto done = export_view(*must(from.read()), named(session), take);
  return done ? "accepted" : verdict(done.error());
}

std::string with(std::string text, const std::string& what, const std::string& instead) {
  const auto found = text.find(what);
  if (found == std::string::npos)
    throw std::runtime_error{"there is no " + what};
  return text.replace(found, what.size(), instead);
}

/// The line that has `part`, with its newline.
std::string line_with(const std::string& text, const std::string& part) {
  const auto found = text.find(part);
  if (found == std::string::npos)
    throw std::runtime_error{"there is no " + part};
  const auto start = text.rfind('\n', found) + 1;
  return text.substr(start, text.find('\n', found) + 1 - start);
}

import_options edited() {
  import_options options;
  options.accept_edited = true;
  return options;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEMPLATE_TEST_CASE("an exported session is the same session in another store", "", memory_harness,
                   lmdb_harness) {
  TestType from;
  put_session(from.get(), "a");
  memory_store apart;
  put_session(apart, "a");
  put_session(from.get(), "b");
  const auto text = exported(from.get(), "a");

  TestType into;
  const auto read = must(imported(into.get(), text));
  CHECK(read.session == named("a"));
  CHECK(read.number == 1);
  CHECK(read.events == 4);
  CHECK(read.last_event == at(1'004));
  CHECK_FALSE(read.redacted);
  into.reopen();
  CHECK(dump(into.get()) == dump(apart));
  CHECK(exported(into.get(), "a") == text);

  // Among others, and under another number.
  TestType full;
  put_session(full.get(), "c");
  put_session(full.get(), "b");
  CHECK(must(imported(full.get(), text)).number == 3);
  CHECK(exported(full.get(), "a") == text);
}

TEMPLATE_TEST_CASE("an export says which events were dropped, and an import begins there", "",
                   memory_harness, lmdb_harness) {
  TestType from;
  const auto a = put_session(from.get(), "a", 9);
  put_session(from.get(), "b");
  must_write(from.get(), change{a}.drop_below(6));
  const auto text = exported(from.get(), "a");
  CHECK(contains(text, R"("first_event":6)"));
  CHECK(contains(text, R"("version":2)"));
  CHECK(contains(text, R"("events":4)"));
  reclaim_all(from.get());
  CHECK(exported(from.get(), "a") == text);
  CHECK(contains(exported(from.get(), "b"), R"("version":1)"));

  TestType into;
  const auto read = must(imported(into.get(), text));
  CHECK(read.events == 9);
  CHECK(read.first_event == 6);
  into.reopen();
  CHECK(exported(into.get(), "a") == text);
  const auto there = must_find(into.get(), "a");
  CHECK(there.events == 9);
  CHECK(there.first_event == 6);
  must_write(into.get(), change{there}.event(to_record(sample_event(10))));
  CHECK(events_of(into.get(), there.number).size() > 0);
}

TEST_CASE("an export that does not begin where it says is refused") {
  memory_store from;
  must_write(from, change{put_session(from, "a", 9)}.drop_below(6));
  const auto text = exported(from, "a");
  import_options edited;
  edited.accept_edited = true;
  const auto edit = [&](std::string_view before, std::string_view after) {
    auto changed = text;
    changed.replace(changed.find(before), before.size(), after);
    return verdict_on(changed, edited);
  };
  CHECK(edit(R"("first_event":6)", R"("first_event":6)") == "accepted");
  CHECK(edit(R"("first_event":6)", R"("first_event":7)")
        == "invalid_field: line 2: event: number: expected 7, got 6");
  CHECK(contains(edit(R"("first_event":6)", R"("first_event":1)"), "expected 2 or more, got 1"));
  CHECK(contains(edit(R"("first_event":6,)", ""), "expected 1, got 6"));
}

TEST_CASE("an export is as of one moment, whatever is written meanwhile") {
  memory_store from;
  auto anchor = put_session(from, "a");
  const auto before = exported(from, "a");
  std::string text;
  const auto take = [&](std::string_view line) -> caf::error {
    text += line;
    anchor = must_write(from, change{anchor}.event(to_record(sample_event(anchor.events + 1))));
    return caf::none;
  };
  const auto counts = must(export_view(*must(from.read()), named("a"), take));
  CHECK(text == before);
  CHECK(counts.events == 4);
  CHECK(counts.records == 43);
  CHECK(counts.pending == 41);
  CHECK(counts.timers == 1);
}

TEST_CASE("a sink that takes no more ends the export with its error") {
  memory_store from;
  put_session(from, "a");
  int lines = 0;
  const auto take = [&](std::string_view) -> caf::error {
    return ++lines == 7 ? make_error(errc::disk_full, "no room") : caf::none;
  };
  const auto done = export_view(*must(from.read()), named("a"), take);
  REQUIRE_FALSE(done);
  CHECK(verdict(done.error()) == "disk_full: no room");
  CHECK(lines == 7);
}

TEST_CASE("records are read a few at a time") {
  memory_store from;
  put_session(from, "a");
  auto many = change{must_find(from, "a")};
  for (std::uint64_t number = 1; number <= 10'000; ++number)
    many.put(entry_key(number), to_record(entry_record{}));
  must_write(from, many.status(static_cast<std::uint8_t>(session_state::waiting)));
  const auto reads_until = [&](int last) {
    const auto before = from.reads();
    int lines = 0;
    const auto take = [&](std::string_view) -> caf::error {
      return ++lines == last ? make_error(errc::io_error) : caf::none;
    };
    static_cast<void>(export_view(*must(from.read()), named("a"), take));
    return from.reads() - before;
  };
  CHECK(reads_until(60) < 20);
  CHECK(reads_until(10'000) > 200);
}

TEST_CASE("records that are behind the events are not exported, and none are imported") {
  memory_store from;
  const auto anchor = put_session(from, "a");
  const auto text = exported(from, "a");
  const auto view = must(from.read());
  auto head = must(from_record<head_record>(*must(view->read(anchor.number, head_key()))));
  head.recorded = 2;
  must_write(from, change{anchor}.put(head_key(), to_record(head)).status(anchor.status));
  CHECK(
      contains(export_verdict(from), "invalid_field: session a has events that are to be applied"));
  CHECK(contains(verdict_on(with(text, "\"events\":4", "\"events\":4,\"recorded\":2"), edited()),
                 "\"recorded\" is 2, but an export has all records as of the last event"));
  CHECK(contains(verdict_on(with(text, "\"kind\":\"head\"", "\"kind\":9"), edited()),
                 "from 10 to 255"));
}

TEST_CASE("what a newer version added survives") {
  memory_store from;
  const auto anchor = put_session(from, "a");
  auto head = to_json(sample_head("a", 5));
  head["added"] = {{"binary", json::binary({0, 255})},
                   {"text", "\xFF"},
                   {"nothing", std::numeric_limits<double>::infinity()}};
  auto fact = to_json(sample_event(5));
  fact["body"]["added"] = 1;
  const record_key newer{static_cast<record_kind>(200), std::numeric_limits<std::uint32_t>::max(),
                         std::numeric_limits<std::uint64_t>::max()};
  must_write(from, change{anchor}
                       .event(to_cbor(fact))
                       .put(head_key(), to_cbor(head))
                       .put(newer, to_cbor({1, {{"a", 2}}})));
  memory_store into;
  const auto text = exported(from, "a");
  CHECK(contains(text, R"("group":4294967295,"index":18446744073709551615,"kind":200)"));
  static_cast<void>(must(imported(into, text)));
  CHECK(dump(into) == dump(from));
}

TEST_CASE("an import that the store refuses leaves it as it is") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  const auto before = from.fingerprint();
  const auto again = imported(from, text);
  REQUIRE_FALSE(again);
  CHECK(is(again.error(), errc::conflict));
  CHECK(contains(message_of(again.error()), "session a is refused: it was to be created, but"));
  CHECK(from.fingerprint() == before);

  memory_store full;
  full.fail_next(memory_fault::disk_full);
  const auto failed = imported(full, text);
  REQUIRE_FALSE(failed);
  CHECK(is(failed.error(), errc::disk_full));
  CHECK(full.fingerprint() == memory_store{}.fingerprint());
  CHECK(imported(full, text));
}

TEST_CASE("an export that was cut off anywhere is noticed") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  // The last newline says nothing.
  CHECK(verdict_on(text.substr(0, text.size() - 1)) == "accepted");
  for (std::size_t size = 0; size + 1 < text.size(); size += size < 900 ? 1 : 37) {
    CAPTURE(size);
    const auto said = verdict_on(text.substr(0, size), edited());
    CHECK(contains(said, ": line "));
  }
  CHECK(verdict_on(text.substr(0, text.rfind("{\"end")))
            .ends_with(": the end line is missing: the export was cut off"));
}

TEST_CASE("a bit that was flipped anywhere is noticed") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  for (std::size_t place = 0; place + 1 < text.size(); place += place < 900 ? 1 : 29)
    for (const unsigned bit : {0U, 1U, 4U}) {
      CAPTURE(place, bit);
      auto damaged = text;
      damaged[place] = static_cast<char>(static_cast<unsigned char>(damaged[place]) ^ (1U << bit));
      CHECK(verdict_on(damaged) != "accepted");
    }
}

TEST_CASE("a file that is no export, or one of a newer version, is refused as that") {
  CHECK(verdict_on("").starts_with("invalid_field: line 1: this is no export of a session"));
  CHECK(verdict_on("[1]\n").starts_with("invalid_field: line 1: this is no export"));
  CHECK(verdict_on("{\"format\": 1}").starts_with("invalid_field: line 1: this is no export"));
  CHECK(verdict_on("\n").starts_with("invalid_json: line 1: not valid JSON at column 1: "));
  CHECK(verdict_on("goal: x\n").starts_with("invalid_json: line 1: not valid JSON at column 1: "));
  const auto header = [](const std::string& rest) {
    return R"({"format": "fermata-session", )" + rest + "}\n";
  };
  CHECK(verdict_on(header(R"("version": 3, "how": ["it", "likes"])"))
        == "store_too_new: line 1: the export has version 3; this version reads versions up to 2");
  CHECK(verdict_on(header(R"("version": 0, "session": "a", "redacted": false)"))
        == "invalid_field: line 1: version: expected 1 to 2, got 0");
  CHECK(verdict_on(header(R"("version": "1", "session": "a", "redacted": false)"))
        == "invalid_field: line 1: version: expected an integer, got string");
  CHECK(verdict_on(header(R"("version": 1, "redacted": false)"))
        == "invalid_field: line 1: the field \"session\" is missing");
  CHECK(verdict_on(header(R"("version": 1, "session": "..", "redacted": false)"))
            .starts_with("invalid_id: line 1: session: "));
}

TEST_CASE("an edited export is loaded where that is asked for, and only there") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  auto changed = with(text, "\"text\":\"sk-3\"", "\"text\":\"edited\"");
  CHECK(contains(verdict_on(changed), "crc32c: the lines before have "));
  CHECK(contains(verdict_on(changed), "accept_edited"));
  memory_store into;
  static_cast<void>(must(imported(into, changed, edited())));
  CHECK(contains(exported(into, "a"), "\"text\":\"edited\""));

  // Lines that are left out, or in another order.
  const auto pending = line_with(text, "{\"pending\":{\"arguments\"");
  changed = with(text, pending, "");
  CHECK(verdict_on(changed).starts_with("invalid_field: line 90: end: counts: the lines before "));
  CHECK(verdict_on(changed, edited()) == "accepted");
  const auto call = line_with(text, "\"index\":7,\"kind\":\"call\"");
  changed = with(with(text, call, ""), pending, call + pending);
  CHECK(verdict_on(changed, edited()) == "accepted");
}

TEST_CASE("an edited export whose head counts what waits otherwise than its records is refused") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  const auto call = line_with(text, "\"index\":7,\"kind\":\"call\"");
  for (const auto* status :
       {"awaiting_result", "awaiting_answer", "awaiting_outcome", "backing_off", "answered"})
    CHECK(
        contains(verdict_on(with(text, call, with(call, "awaiting_decision", status)), edited()),
                 ": end: the head's \"waiting\" is {\"answer\":0,\"backoff\":0,\"decision\":40,"));
  CHECK(contains(verdict_on(with(text, call, ""), edited()), "\"decision\":39"));
}

TEST_CASE("an edited export whose records contradict each other is refused") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  const auto said = [&](const std::string& what, const std::string& instead) {
    return verdict_on(with(text, what, instead), edited());
  };
  // What comes next would get a number that is taken.
  CHECK(contains(said("\"calls\":40,\"created\"", "\"calls\":39,\"created\""),
                 "the head's \"calls\" is 39, but there is number 40"));
  CHECK(contains(said("\"last_revision\":1", "\"last_revision\":0"),
                 "\"last_revision\" is 0, but there is a plan of revision 1"));
  CHECK(contains(said("\"active_revision\":1", "\"active_revision\":2"),
                 "a plan of revision 2, which is missing"));
  CHECK(contains(said("\"running\":0", "\"running\":1"),
                 "\"running\" is 1, which is no subtask of the active plan"));
  // Answers would be counted down below zero, or on a subtask that does not run.
  CHECK(contains(said("\"open_calls\":40", "\"open_calls\":39"),
                 "\"open_calls\" is 39, but 40 are open"));
  CHECK(contains(said("\"first_call\":1,", "\"first_call\":2,"), "calls up to number 41"));
  CHECK(contains(said("\"calls\":40,\"first_call\":1,", "\"calls\":39,\"first_call\":2,"),
                 "call 1 is open, but is none of the running subtask's attempt"));
  CHECK(contains(said(",\"running\":0", ""), "call 1 is open, but is none of the running"));
}

TEST_CASE("what is wrong with a line is said with its number, and what would be accepted") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  const auto said = [&](const std::string& what, const std::string& instead) {
    return verdict_on(with(text, what, instead), edited());
  };
  const auto first_event = line_with(text, "session_created");
  const auto head = line_with(text, "\"kind\":\"head\"");
  const auto timer = line_with(text, "{\"timer\"");
  const auto end = line_with(text, "{\"end\"");
  const auto item = line_with(text, "\"id\":\"a:c1\"");
  CHECK(said(first_event, first_event + "\n").starts_with("invalid_json: line 3: not valid JSON"));
  CHECK(said(first_event, "") == "invalid_field: line 2: event: number: expected 1, got 2");
  CHECK(said(first_event, first_event + first_event)
        == "invalid_field: line 3: event: number: expected 2, got 1");
  CHECK(said("{\"event\"", "{\"evnt\"")
        == R"(invalid_field: line 2: expected an object with one member: event, record, pending, )"
           R"(timer or end; got "{\"evnt\":{\"at\":1001,\"body\":{\"incarnation\":\"00ff\",)"
           R"(\"type\":\"session_created\"},\"numbe"...)");
  CHECK(
      said(first_event, "{}\n").starts_with("invalid_field: line 2: expected an object with one"));
  CHECK(
      said("{\"event\":{", "{\"more\":1,\"event\":{").starts_with("invalid_field: line 2: expect"));
  CHECK(said("session_created", "session_made")
        == R"(invalid_field: line 2: event: body: unknown type "session_made")");
  CHECK(said("\"kind\":\"head\"", "\"kind\":\"hat\"")
            .ends_with(
                R"(line 6: record: kind: expected one of head, plan, subtask_spec, subtask, )"
                R"(call, entry, message, remembered, or a number from 10 to 255; got "\"hat\"")"));
  CHECK(said("\"kind\":\"head\"", "\"kind\":3").find("or a number from 10 to 255; got \"3\"")
        != std::string::npos);
  CHECK(said("\"kind\":\"head\"", "\"grup\":1,\"kind\":\"head\"")
            .starts_with("invalid_field: line 6: record: unknown field \"grup\"; accepted are: "));
  CHECK(said("\"kind\":\"head\"", "\"index\":1,\"kind\":\"head\"")
        == "invalid_field: line 6: record: value: there is one head, whose group and index are 0");
  CHECK(said("\"index\":7,\"kind\":\"call\"", "\"index\":50,\"kind\":\"call\"")
        == "invalid_field: line 15: record: value: number: expected 50, got 7");
  CHECK(said("\"group\":1,\"kind\":\"plan\"", "\"group\":2,\"kind\":\"plan\"")
        == "invalid_field: line 7: record: value: revision: expected 2, got 1");
  CHECK(said(head, head + head)
        == "invalid_field: line 7: record: there was one of this kind, group and index before");
  CHECK(said(head, "").ends_with("end: the record of kind head is missing"));
  CHECK(said("\"calls\":40,\"created\"", "\"calls\":-3,\"created\"")
            .starts_with(
                "invalid_field: line 6: record: value: calls: expected an integer from 0 to "));
  CHECK(said("\"events\":4,\"id\"", "\"events\":5,\"id\"")
            .ends_with("end: the head says that there are 5 events, but there are 4"));
  CHECK(said("\"session\":\"a\"", "\"session\":\"b\"")
            .starts_with("invalid_field: line 49: pending: session: expected b, got a"));
  CHECK(said(item, item + item)
        == "invalid_field: line 50: pending: id: there was one of this id before");
  CHECK(said("\"id\":\"a:c1\"", "\"id\":\"b:c1\"")
        == "invalid_field: line 49: pending: id: expected a:cN or a:pN, got \"b:c1\"");
  CHECK(said(timer, "").ends_with("end: the head's \"armed\" and the timer are not the same"));
  CHECK(said(timer, timer + timer)
        == "invalid_field: line 91: timer: a session has one timer, whose number is 0");
  CHECK(said("\"due\":-5", "\"due\":-6").ends_with("the timer are not the same"));
  CHECK(said(end, end + "{}\n")
        == "invalid_field: line 92: there is something behind the end line");
  CHECK(said("\"crc32c\"", "\"crc32\"")
            .starts_with("invalid_field: line 91: end: the field \"crc32c\" is missing"));
}

TEST_CASE("a value that no record could hold is refused") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  const auto nested = [&](std::size_t levels) {
    const auto call = line_with(text, "\"index\":7,\"kind\":\"call\"");
    const auto deep =
        with(call, "\"hunter2\"", std::string(levels, '[') + std::string(levels, ']'));
    return verdict_on(with(text, call, deep), edited());
  };
  // A call's record is one level, and its arguments another.
  CHECK(nested(max_record_depth - 2) == "accepted");
  CHECK(contains(nested(max_record_depth - 1), "line 15: record: this cannot be stored: "));
  CHECK(contains(nested(max_record_depth + 9), "invalid_json: line 15: not valid JSON at column "));
}

TEST_CASE("an export that is larger than its reader allows is refused") {
  memory_store from;
  put_session(from, "a");
  const auto text = exported(from, "a");
  import_options options;
  options.max_size_bytes = text.size();
  CHECK(verdict_on(text, options) == "accepted");
  options.max_size_bytes = text.size() - 1;
  CHECK(verdict_on(text, options)
        == "limit_exceeded: line 91: import_size is " + std::to_string(text.size() - 1)
               + ", this has " + std::to_string(text.size()));
  // A line without an end is not read to its end.
  std::istringstream endless{std::string(1'000, 'x')};
  memory_store target;
  const auto read = import_session(target, lines_of(endless, 100));
  REQUIRE_FALSE(read);
  CHECK(verdict(read.error()) == "limit_exceeded: line 1: import_size is 100, this has 101");
  CHECK(endless.tellg() == 101);
}

TEST_CASE("an import from a file says which, and what the source says ends it") {
  const temporary_directory folder;
  memory_store from;
  put_session(from, "a");
  const auto file = folder.path() / "a.jsonl";
  std::ofstream{file} << exported(from, "a");
  memory_store into;
  CHECK(must(import_session(into, file)).events == 4);
  CHECK(dump(into) == dump(from));

  std::ofstream{file} << "{}\n";
  auto read = import_session(into, file);
  REQUIRE_FALSE(read);
  CHECK(verdict(read.error()).starts_with("invalid_field: " + file.string() + ": line 1: this is"));
  read = import_session(into, folder.path() / "none");
  REQUIRE_FALSE(read);
  CHECK(verdict(read.error())
        == "invalid_field: " + (folder.path() / "none").string()
               + ": cannot be read: No such file or directory");
  read = import_session(into, folder.path());
  REQUIRE_FALSE(read);
  CHECK(verdict(read.error())
        == "invalid_field: " + folder.path().string()
               + ": is a directory; expected a file that `fermata export` wrote");
  const line_source broken = []() -> result<std::optional<std::string>> {
    return make_error(errc::shutting_down, "later");
  };
  read = import_session(into, broken);
  REQUIRE_FALSE(read);
  CHECK(verdict(read.error()) == "shutting_down: line 1: later");
}

TEST_CASE("a session that does not exist is not exported") {
  memory_store from;
  put_session(from, "a");
  CHECK(export_verdict(from, "b") == "unknown_session: there is no session b");
}

TEST_CASE("what is damaged in the store is reported, and not exported") {
  memory_store sound;
  const auto anchor = put_session(sound, "a");
  const auto damaged = [&](const std::function<void(memory_store&)>& damage) {
    const auto copy = sound.clone();
    damage(*copy);
    return export_verdict(*copy);
  };
  const auto corrupt = [&](record_key key) {
    return damaged([&](memory_store& one) { REQUIRE(one.corrupt_record(anchor.number, key)); });
  };
  CHECK(contains(corrupt(head_key()), "store_corrupt: the head of session number 1 fails its "));
  CHECK(contains(corrupt(call_key(7)), "store_corrupt: "));
  CHECK(contains(corrupt(call_key(7)), "fails its checksum"));
  CHECK(contains(damaged([&](memory_store& one) { REQUIRE(one.corrupt_event(anchor.number, 3)); }),
                 "fails its checksum"));
}

TEST_CASE("what fits its checksum but not its place is reported, and not exported") {
  memory_store sound;
  const auto anchor = put_session(sound, "a");
  const auto waiting = static_cast<std::uint8_t>(session_state::waiting);
  const auto after = [&](change next) {
    const auto copy = sound.clone();
    must_write(*copy, next);
    return export_verdict(*copy);
  };
  const std::string front = "store_corrupt: session a: ";
  CHECK(after(change{anchor}) == "accepted");
  CHECK(after(change{anchor}.put(call_key(7), "no CBOR"))
            .starts_with(front + "the record \"call\" 0 7 is not readable: not valid CBOR at "));
  CHECK(after(change{anchor}.put(call_key(7), to_record(sample_call("a", 8))))
        == front + "the record \"call\" 0 7 is not readable: number: expected 7, got 8");
  CHECK(after(change{anchor}.put(entry_key(7), to_cbor({{"text", 1}})))
        == front + "the record \"entry\" 0 7 is not readable: text: expected a string, got number");
  CHECK(after(change{anchor}.put(head_key(), "x")).starts_with(front + "its head is not readable"));
  CHECK(after(change{anchor}.erase(head_key())) == front + "its head is missing");
  CHECK(after(change{anchor}.status(waiting + 1)) == front + "its head does not fit its anchor");
  CHECK(after(change{anchor}.put(head_key(), to_record(sample_head("b", 4))))
        == front + "its head does not fit its anchor");
  CHECK(after(change{anchor}.event(to_record(sample_event(5))))
        == front + "its head does not fit its anchor");
  CHECK(after(change{anchor}
                  .event(to_record(sample_event(6)))
                  .put(head_key(), to_record(sample_head("a", 5))))
        == front + "event 5 is not readable: number: expected 5, got 6");
  CHECK(after(change{anchor}.pend(3, "x"))
            .starts_with(front + "item 3 of the pending index is not readable: not valid CBOR"));
  const auto other = to_record(sample_item("a", 9));
  CHECK(after(change{anchor}.pend(3, std::string{other.begin(), other.end()}))
        == front + "item 3 of the pending index is another one: 9");
  CHECK(after(change{anchor}.disarm(-5, session_timer)) == front + "its timer is not armed");
}

TEST_CASE("another session's timer at the same moment is not exported for it") {
  memory_store from;
  put_session(from, "a");
  const auto b = put_session(from, "b");
  put_session(from, "c");
  must_write(from, change{b}.disarm(-5, session_timer));
  CHECK(export_verdict(from, "a") == "accepted");
  CHECK(contains(export_verdict(from, "b"), "its timer is not armed"));
  CHECK(export_verdict(from, "c") == "accepted");
}

TEST_CASE("a redacted export hides secrets wherever they are, and names what it named") {
  memory_store from;
  const auto anchor = put_session(from, "a");
  auto head = to_json(sample_head("a", 5));
  head["added"] = {{"password", "hunter2"}, {"more", "sk-added"}};
  auto fact = to_json(sample_event(5));
  fact["body"]["added"] = "sk-inner";
  auto plan = to_json(plan_record{});
  plan["revision"] = 1;
  plan["tools"] = {{"t", {{"kind", "client"}, {"description", "sk-tool"}, {"added", "sk-deep"}}}};
  const record_key newer{static_cast<record_kind>(200), 0, 0};
  must_write(from, change{anchor}
                       .event(to_cbor(fact))
                       .put(head_key(), to_cbor(head))
                       .put(plan_key(1), to_cbor(plan))
                       .put(newer, to_cbor({{"password", 1}, {"x", "sk-newer"}})));
  export_options options;
  options.redaction =
      must(redactor::parse(R"({"fields": ["password"], "patterns": ["sk-[a-z0-9]+"]})"));
  const auto text = exported(from, "a", options);
  INFO(text);
  CHECK_FALSE(contains(text, "hunter2"));
  for (const auto* secret :
       {"sk-1", "sk-2", "sk-added", "sk-inner", "sk-tool", "sk-deep", "sk-newer"})
    CHECK_FALSE(contains(text, secret));
  CHECK(contains(text, "\"digest\":\"sk-digest-of-a\""));
  CHECK(contains(text, "\"added\":{\"more\":\"[redacted]\",\"password\":\"[redacted]\"}"));
  CHECK(contains(text, "\"added\":\"[redacted]\",\"number\":4,\"text\":\"[redacted]\""));
  CHECK(contains(text, R"("value":{"password":"[redacted]","x":"[redacted]"})"));
  memory_store into;
  const auto read = must(imported(into, text));
  CHECK(read.redacted);
  CHECK(into.verify().sound());
}

} // namespace session_export_test
