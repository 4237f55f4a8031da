// What every store promises: `store.hpp` as tests. Each runs over all stores of the test program,
// and reads what it wrote again after the store was closed and opened.

#include <store_harness.hpp>

#include <fermata_catch.hpp>

#include <atomic>
#include <limits>
#include <thread>

namespace store_contract_test {

using namespace fermata;
using namespace fermata::test;

#define CONTRACT(claim) TEMPLATE_TEST_CASE(claim, "[contract]", TESTED_STORES)

namespace {

constexpr auto all = std::numeric_limits<std::size_t>::max();
const record_key head_key{record_kind::head, 0, 0};
const record_key base_key{record_kind::base, 0, 0};
const record_key part_key{record_kind::call, 0, 1};

record_key entry_key(std::uint32_t group, std::uint64_t index) {
  return {record_kind::entry, group, index};
}

std::string joined(const std::vector<record>& records) {
  std::string out;
  for (const auto& part : records)
    out += text(part.value) + ' ';
  return out;
}

std::string joined(const std::vector<stored_event>& events) {
  std::string out;
  for (const auto& event : events)
    out += std::to_string(event.number) + ':' + text(event.value) + ' ';
  return out;
}

std::vector<session_number> numbers(const std::vector<session_anchor>& sessions) {
  std::vector<session_number> out;
  for (const auto& session : sessions)
    out.push_back(session.number);
  return out;
}

std::string items(const std::vector<pending_entry>& entries) {
  std::string out;
  for (const auto& entry : entries)
    out += entry.session.str() + '/' + std::to_string(entry.item) + ' ';
  return out;
}

} // namespace

CONTRACT("a new store is empty") {
  TestType harness;
  auto& target = harness.get();
  CHECK_FALSE(must(target.find(named("a"))));
  const auto view = must(target.read());
  std::uint64_t position = 0;
  CHECK(must(view->journal(position, all)).empty());
  CHECK(position == 0);
  CHECK(must(view->sessions(std::nullopt, 0, all)).empty());
  CHECK(must(view->pending(std::nullopt, 0, 0, all)).empty());
  CHECK(must(view->due(at(std::numeric_limits<std::int64_t>::max()), all)).empty());
  CHECK(must(view->events(1, 1, all)).empty());
  CHECK_FALSE(must(view->read(1, head_key)));
}

CONTRACT("an empty batch has no outcomes and no effect") {
  TestType harness;
  CHECK(harness.get().write({}).empty());
  CHECK(dump(harness.get()).empty());
}

CONTRACT("sessions are numbered from 1 in the order of their creation, also within a batch") {
  TestType harness;
  const std::vector<commit> batch{change{"b"}.event("x"), change{"a"}};
  const auto outcomes = harness.get().write(batch);
  REQUIRE(outcomes.size() == 2);
  CHECK_FALSE(outcomes[0].error);
  CHECK_FALSE(outcomes[1].error);
  CHECK(outcomes[0].number == 1);
  CHECK(outcomes[1].number == 2);
  harness.reopen();
  CHECK(write(harness.get(), change{"c"}).number == 3);
  CHECK(must_find(harness.get(), "b").number == 1);
  CHECK(must_find(harness.get(), "a").number == 2);
}

CONTRACT("what is written is found again after the store was opened again") {
  TestType harness;
  must_write(harness.get(), change{"a"}
                                .event("e1")
                                .event("e2")
                                .status(7)
                                .put(head_key, "head")
                                .put(entry_key(1, 2), "entry")
                                .pend(5, "please")
                                .arm(1000, 9));
  const auto before = dump(harness.get());
  harness.reopen();
  CHECK(dump(harness.get()) == before);
  const auto anchor = must_find(harness.get(), "a");
  CHECK(anchor.id.str() == "a");
  CHECK(anchor.events == 2);
  CHECK(anchor.status == 7);
  const auto view = must(harness.get().read());
  CHECK(text(must(view->read(1, head_key)).value()) == "head");
  CHECK(text(must(view->read(1, entry_key(1, 2))).value()) == "entry");
  const auto pending = must(view->pending(std::nullopt, 0, 0, all));
  REQUIRE(pending.size() == 1);
  CHECK(text(pending[0].value) == "please");
}

CONTRACT("creating a session that exists is a conflict and changes nothing") {
  TestType harness;
  must_write(harness.get(), change{"a"}.event("first"));
  const auto before = dump(harness.get());
  const auto outcome = write(harness.get(), change{"a"}.event("second").put(head_key, "x"));
  CHECK(is(outcome.error, errc::conflict));
  CHECK(outcome.number == 0);
  CHECK(dump(harness.get()) == before);
}

CONTRACT("creating a session twice in one batch is a conflict of the second") {
  TestType harness;
  const std::vector<commit> batch{change{"a"}.event("first"), change{"a"}.event("second")};
  const auto outcomes = harness.get().write(batch);
  CHECK_FALSE(outcomes[0].error);
  CHECK(is(outcomes[1].error, errc::conflict));
  CHECK(events_of(harness.get(), 1) == "first");
}

CONTRACT("a commit that was decided on another number of events is a conflict") {
  TestType harness;
  const auto anchor = must_write(harness.get(), change{"a"}.event("1").event("2"));
  for (const std::uint64_t expected : {0, 1, 3}) {
    const auto outcome = write(harness.get(), change{anchor}.event("3").expecting(expected));
    CHECK(is(outcome.error, errc::conflict));
  }
  CHECK(events_of(harness.get(), anchor.number) == "1 2");
  CHECK_FALSE(write(harness.get(), change{anchor}.event("3")).error);
}

CONTRACT("a commit under a number that is not the session's is a conflict") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"});
  auto b = must_write(harness.get(), change{"b"});
  b.number = a.number;
  CHECK(is(write(harness.get(), change{b}.event("x")).error, errc::conflict));
  b.number = 77;
  CHECK(is(write(harness.get(), change{b}.event("x")).error, errc::conflict));
  CHECK(is(write(harness.get(), change{"c"}.expecting(1)).error, errc::conflict));
}

CONTRACT("a commit without a session id is refused") {
  TestType harness;
  CHECK(is(write(harness.get(), commit{}).error, errc::invalid_id));
}

CONTRACT("a conflict in a batch leaves the others of the batch alone") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1"));
  const std::vector<commit> batch{change{"b"}.event("b1"), change{a}.event("bad").expecting(5),
                                  change{a}.event("2"), change{"c"}.event("c1")};
  const auto outcomes = harness.get().write(batch);
  CHECK_FALSE(outcomes[0].error);
  CHECK(is(outcomes[1].error, errc::conflict));
  CHECK_FALSE(outcomes[2].error);
  CHECK_FALSE(outcomes[3].error);
  harness.reopen();
  CHECK(events_of(harness.get(), a.number) == "1 2");
  CHECK(events_of(harness.get(), outcomes[0].number) == "b1");
  CHECK(events_of(harness.get(), outcomes[3].number) == "c1");
}

CONTRACT("several commits of one session in a batch follow each other") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1"));
  const std::vector<commit> batch{change{a}.event("2").put(head_key, "h2"),
                                  change{a}.event("3").expecting(2).status(4)};
  for (const auto& outcome : harness.get().write(batch))
    CHECK_FALSE(outcome.error);
  CHECK(events_of(harness.get(), a.number) == "1 2 3");
  CHECK(must_find(harness.get(), "a").status == 4);
  CHECK(text(must(must(harness.get().read())->read(a.number, head_key)).value()) == "h2");
}

CONTRACT("a commit may change records without appending events") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1"));
  must_write(harness.get(), change{a}.put(entry_key(0, 0), "x").status(2));
  const auto after = must_find(harness.get(), "a");
  CHECK(after.events == 1);
  CHECK(after.status == 2);
  std::uint64_t position = 0;
  CHECK(must(must(harness.get().read())->journal(position, all)).size() == 1);
}

CONTRACT("a head record stays until it is replaced or erased") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.put(head_key, "h1"));
  const auto head = [&] { return must(must(harness.get().read())->read(a.number, head_key)); };
  a = must_write(harness.get(), change{a}.event("1"));
  CHECK(text(head().value()) == "h1");
  a = must_write(harness.get(), change{a}.put(head_key, std::string(5000, 'h')));
  CHECK(head().value().size() == 5000);
  a = must_write(harness.get(), change{a}.put(head_key, ""));
  CHECK(head().value().empty());
  a = must_write(harness.get(), change{a}.erase(head_key));
  CHECK_FALSE(head());
}

CONTRACT("records are replaced and erased, and empty ones are not missing") {
  TestType harness;
  auto a =
      must_write(harness.get(), change{"a"}.put(entry_key(1, 1), "x").put(entry_key(1, 2), ""));
  const auto read = [&](std::uint64_t index) {
    return must(must(harness.get().read())->read(a.number, entry_key(1, index)));
  };
  CHECK(read(2).value().empty());
  a = must_write(harness.get(), change{a}.put(entry_key(1, 1), "y").erase(entry_key(1, 2)));
  CHECK(text(read(1).value()) == "y");
  CHECK_FALSE(read(2));
  must_write(harness.get(), change{a}.erase(entry_key(9, 9)));
}

CONTRACT("a scan gives the records between two keys in order, up to a limit") {
  TestType harness;
  change writing{"a"};
  for (std::uint64_t index : {300, 2, 1, 0})
    writing.put(entry_key(2, index), "2." + std::to_string(index));
  writing.put(entry_key(1, 5), "1.5").put({record_kind::plan, 1, 0}, "plan").put(head_key, "head");
  const auto a = must_write(harness.get(), writing);
  must_write(harness.get(), change{"b"}.put(entry_key(2, 1), "other").put(head_key, "other"));
  const auto view = must(harness.get().read());
  const auto scan = [&](record_key first, record_key last, std::size_t limit) {
    return joined(must(view->scan(a.number, first, last, limit)));
  };
  const record_key lowest{record_kind::head, 0, 0};
  const record_key highest{record_kind::entry, 0xFFFFFFFF, ~std::uint64_t{0}};
  CHECK(scan(lowest, highest, all) == "head plan 1.5 2.0 2.1 2.2 2.300 ");
  CHECK(scan(lowest, highest, 2) == "head plan ");
  CHECK(scan(lowest, highest, 1) == "head ");
  CHECK(scan(lowest, highest, 0) == "");
  CHECK(scan(lowest, lowest, all) == "head ");
  CHECK(scan({record_kind::plan, 0, 0}, highest, 1) == "plan ");
  CHECK(scan(entry_key(2, 1), entry_key(2, 2), all) == "2.1 2.2 ");
  CHECK(scan(entry_key(2, 2), entry_key(2, 1), all) == "");
  CHECK(scan(entry_key(2, 3), entry_key(2, 299), all) == "");
}

CONTRACT("events are read from any number, in order, up to a limit") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").event("2").event("3"));
  const auto b = must_write(harness.get(), change{"b"}.event("x"));
  a = must_write(harness.get(), change{a}.event("4"));
  must_write(harness.get(), change{b}.event("y"));
  must_write(harness.get(), change{a}.event("5").event("6"));
  harness.reopen();
  const auto view = must(harness.get().read());
  const auto events = [&](std::uint64_t first, std::size_t limit) {
    return joined(must(view->events(a.number, first, limit)));
  };
  CHECK(events(0, all) == "1:1 2:2 3:3 4:4 5:5 6:6 ");
  CHECK(events(1, all) == "1:1 2:2 3:3 4:4 5:5 6:6 ");
  CHECK(events(2, 3) == "2:2 3:3 4:4 ");
  CHECK(events(4, all) == "4:4 5:5 6:6 ");
  CHECK(events(6, all) == "6:6 ");
  CHECK(events(7, all) == "");
  CHECK(events(1, 0) == "");
  CHECK(joined(must(view->events(b.number, 1, all))) == "1:x 2:y ");
}

CONTRACT("events are visited in order until the limit, the visitor's end or its error") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").event("2").event("3"));
  must_write(harness.get(), change{"b"}.event("x"));
  a = must_write(harness.get(), change{a}.event("4"));
  must_write(harness.get(), change{a}.event("5").event("6"));
  const auto view = must(harness.get().read());
  std::vector<stored_event> seen;
  const auto visit = [&](std::uint64_t first, std::size_t limit, std::size_t enough) {
    seen.clear();
    return view->visit_events(a.number, first, limit, [&](stored_event one) -> result<bool> {
      seen.push_back(std::move(one));
      // It may read meanwhile.
      if (must(view->events(a.number, seen.back().number, 1)).size() != 1)
        return make_error(errc::io_error, "gone");
      return seen.size() < enough;
    });
  };
  CHECK_FALSE(visit(2, all, all));
  CHECK(joined(seen) == "2:2 3:3 4:4 5:5 6:6 ");
  CHECK_FALSE(visit(2, 3, all));
  CHECK(joined(seen) == "2:2 3:3 4:4 ");
  CHECK_FALSE(visit(1, all, 5));
  CHECK(joined(seen) == "1:1 2:2 3:3 4:4 5:5 ");
  CHECK_FALSE(visit(1, 0, all));
  CHECK(seen.empty());
  CHECK_FALSE(visit(7, all, all));
  CHECK(seen.empty());
  CHECK(is(view->visit_events(a.number, 1, all,
                              [](const stored_event&) -> result<bool> {
                                return make_error(errc::io_error, "no");
                              }),
           errc::io_error));
}

CONTRACT("the journal is read in the order of commits and can be followed") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1").event("2"));
  must_write(harness.get(), change{"b"}.event("x"));
  std::uint64_t position = 0;
  CHECK(joined(must(must(harness.get().read())->journal(position, 1))) == "1:1 2:2 ");
  CHECK(joined(must(must(harness.get().read())->journal(position, 1))) == "1:x ");
  CHECK(joined(must(must(harness.get().read())->journal(position, 1))) == "");
  harness.reopen();
  must_write(harness.get(), change{a}.event("3"));
  const auto tail = must(must(harness.get().read())->journal(position, all));
  REQUIRE(tail.size() == 1);
  CHECK(tail[0].session == a.number);
  CHECK(tail[0].number == 3);
  position = 0;
  CHECK(joined(must(must(harness.get().read())->journal(position, all))) == "1:1 2:2 1:x 3:3 ");
}

CONTRACT("sessions are listed by number and by status, in pages") {
  TestType harness;
  for (int i = 1; i <= 6; ++i)
    must_write(harness.get(),
               change{"s" + std::to_string(i)}.status(static_cast<std::uint8_t>(i % 2)));
  must_write(harness.get(), change{must_find(harness.get(), "s2")}.status(1));
  harness.reopen();
  const auto view = must(harness.get().read());
  using list = std::vector<session_number>;
  CHECK(numbers(must(view->sessions(std::nullopt, 0, all))) == list{1, 2, 3, 4, 5, 6});
  CHECK(numbers(must(view->sessions(std::nullopt, 2, 2))) == list{3, 4});
  CHECK(numbers(must(view->sessions(1, 0, all))) == list{1, 2, 3, 5});
  CHECK(numbers(must(view->sessions(1, 2, 1))) == list{3});
  CHECK(numbers(must(view->sessions(0, 0, all))) == list{4, 6});
  CHECK(must(view->sessions(2, 0, all)).empty());
  CHECK(must(view->sessions(1, ~std::uint64_t{0}, all)).empty());
}

CONTRACT("the pending index is read in order, in pages, and by session") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.pend(2, "a2").pend(0, "a0").pend(1, "a1"));
  const auto b = must_write(harness.get(), change{"b"}.pend(7, "b7"));
  must_write(harness.get(), change{a}.settle(1).settle(99));
  harness.reopen();
  const auto view = must(harness.get().read());
  CHECK(items(must(view->pending(std::nullopt, 0, 0, all))) == "a/0 a/2 b/7 ");
  CHECK(items(must(view->pending(std::nullopt, 0, 0, 1))) == "a/0 ");
  CHECK(items(must(view->pending(std::nullopt, a.number, 0, all))) == "a/2 b/7 ");
  CHECK(items(must(view->pending(std::nullopt, a.number, 2, all))) == "b/7 ");
  CHECK(items(must(view->pending(a.number, 0, 0, all))) == "a/0 a/2 ");
  CHECK(items(must(view->pending(a.number, a.number, 0, all))) == "a/2 ");
  CHECK(items(must(view->pending(b.number, 0, 0, all))) == "b/7 ");
  CHECK(items(must(view->pending(a.number, b.number, 0, all))) == "");
  CHECK(items(must(view->pending(std::nullopt, 0, 0, 0))) == "");
}

CONTRACT("timers are due in the order of their times, negative ones included") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.arm(2000, 1).arm(-5, 2).arm(1000, 3));
  must_write(harness.get(), change{"b"}.arm(1000, 1).arm(3000, 2));
  // Disarming goes by the due time as well: the first is not the one that was armed.
  must_write(harness.get(), change{a}.disarm(1001, 3).disarm(2000, 1));
  harness.reopen();
  const auto view = must(harness.get().read());
  const auto due = [&](std::int64_t until, std::size_t limit) {
    std::string out;
    for (const auto& timer : must(view->due(at(until), limit)))
      out += timer.session.str() + std::to_string(timer.timer) + '@'
             + std::to_string(timer.due.time_since_epoch().count()) + ' ';
    return out;
  };
  CHECK(due(-6, all) == "");
  CHECK(due(-5, all) == "a2@-5 ");
  CHECK(due(999, all) == "a2@-5 ");
  CHECK(due(1000, all) == "a2@-5 a3@1000 b1@1000 ");
  CHECK(due(9999, 2) == "a2@-5 a3@1000 ");
  CHECK(due(9999, all) == "a2@-5 a3@1000 b1@1000 b2@3000 ");
}

CONTRACT("a view sees one moment, whatever is written while it is open") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1").put(head_key, "old"));
  const auto view = must(harness.get().read());
  must_write(harness.get(), change{a}.event("2").put(head_key, "new").status(3));
  must_write(harness.get(), change{"b"}.event("x"));
  CHECK(text(must(view->read(a.number, head_key)).value()) == "old");
  CHECK(must(view->events(a.number, 1, all)).size() == 1);
  CHECK(must(view->find(named("a")))->status == 0);
  CHECK_FALSE(must(view->find(named("b"))));
  CHECK(must(must(harness.get().read())->find(named("b"))));
}

CONTRACT("large values are stored whole") {
  TestType harness;
  const auto large = data(3'000'000, 0x5A);
  const auto a = must_write(
      harness.get(), change{"a"}.event(large).put(head_key, large).put(entry_key(0, 0), large));
  harness.reopen();
  const auto view = must(harness.get().read());
  CHECK(must(view->events(a.number, 1, all)).at(0).value == large);
  CHECK(must(view->read(a.number, head_key)).value() == large);
  CHECK(must(view->read(a.number, entry_key(0, 0))).value() == large);
}

CONTRACT("the longest session ids are distinct") {
  TestType harness;
  const std::string longest(max_id_size_bytes, 'x');
  auto other = longest;
  other.back() = 'y';
  must_write(harness.get(), change{longest}.event("1"));
  must_write(harness.get(), change{other}.event("2"));
  CHECK(must_find(harness.get(), longest).number == 1);
  CHECK(must_find(harness.get(), other).number == 2);
}

CONTRACT("a deleted session is gone at once, and its id is free for another one") {
  TestType harness;
  auto& target = harness.get();
  const auto a = must_write(target, change{"a"}
                                        .event("1")
                                        .event("2")
                                        .status(3)
                                        .put(head_key, "head")
                                        .put(entry_key(0, 1), "entry")
                                        .pend(1, "p1")
                                        .pend(2, "p2")
                                        .arm(500, 7));
  must_write(target, change{"b"}.event("x").pend(1, "b1"));
  const auto deleted = write(target, change{a}.remove().disarm(500, 7).event("not stored"));
  CHECK_FALSE(deleted.error);
  CHECK(deleted.number == a.number);
  harness.reopen();
  CHECK_FALSE(must(harness.get().find(named("a"))));
  {
    const auto view = must(harness.get().read());
    CHECK(must(view->events(a.number, 1, all)).empty());
    CHECK_FALSE(must(view->read(a.number, head_key)));
    CHECK(numbers(must(view->sessions(std::nullopt, 0, all))) == std::vector<session_number>{2});
    CHECK(must(view->sessions(3, 0, all)).empty());
    CHECK(items(must(view->pending(std::nullopt, 0, 0, all))) == "b/1 ");
    CHECK(must(view->due(at(1'000'000), all)).empty());
    std::uint64_t position = 0;
    CHECK(joined(must(view->journal(position, all))) == "1:x ");
  }
  CHECK(is(write(harness.get(), change{a}.event("3")).error, errc::conflict));
  CHECK(is(write(harness.get(), change{a}.remove()).error, errc::conflict));
  CHECK(must_write(harness.get(), change{"a"}.event("new")).number == 3);
  CHECK(events_of(harness.get(), 3) == "new");
  CHECK(must(must(harness.get().read())->scan(3, entry_key(0, 0), entry_key(9, 9), all)).empty());
}

CONTRACT("a session is deleted and made again in one batch, and no number is used twice") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("old"));
  const std::vector<commit> batch{change{a}.remove(), change{"a"}.event("new"),
                                  change{a}.event("late")};
  const auto outcomes = harness.get().write(batch);
  CHECK_FALSE(outcomes[0].error);
  CHECK(outcomes[1].number == 2);
  CHECK(is(outcomes[2].error, errc::conflict));
  CHECK(events_of(harness.get(), 2) == "new");
  must_delete(harness.get(), "a");
  reclaim_all(harness.get());
  harness.reopen();
  CHECK(write(harness.get(), change{"a"}).number == 3);
}

CONTRACT("a session cannot be created and deleted at once, nor deleted on what it was not") {
  TestType harness;
  CHECK(is(write(harness.get(), change{"a"}.remove()).error, errc::conflict));
  const auto a = must_write(harness.get(), change{"a"}.event("1"));
  CHECK(is(write(harness.get(), change{a}.remove().expecting(2)).error, errc::conflict));
  CHECK(events_of(harness.get(), a.number) == "1");
}

CONTRACT("a commit that leaves records behind is written as any other") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").put(head_key, "h1").put(part_key, "p"));
  a = must_write(harness.get(),
                 change{a}.event("2").put(head_key, "h2").put(base_key, "h1").defer_records());
  a = must_write(harness.get(), change{a}.event("3").put(head_key, "h3").defer_records());
  CHECK(a.events == 3);
  CHECK(events_of(harness.get(), a.number) == "1 2 3");
  const auto view = must(harness.get().read());
  CHECK(must(view->read(a.number, head_key)) == data("h3"));
  CHECK(must(view->read(a.number, base_key)) == data("h1"));
  CHECK(must(view->read(a.number, part_key)) == data("p"));
  std::uint64_t position = 0;
  CHECK(joined(must(view->journal(position, all))) == "1:1 2:2 3:3 ");
}

CONTRACT("dropped events cannot be read any more, and all that is younger can") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").event("2").event("3"));
  must_write(harness.get(), change{"b"}.event("x"));
  a = must_write(harness.get(), change{a}.event("4"));
  a = must_write(harness.get(), change{a}.event("5").event("6").put(head_key, "head"));
  CHECK(a.first_event == 1);
  a = must_write(harness.get(), change{a}.event("7").drop_below(3));
  const auto check = [&](const char* kept, const char* journal) {
    CHECK(events_of(harness.get(), a.number) == kept);
    std::uint64_t position = 0;
    CHECK(joined(must(must(harness.get().read())->journal(position, all))) == journal);
  };
  CHECK(a.first_event == 3);
  CHECK(a.events == 7);
  check("3 4 5 6 7", "3:3 1:x 4:4 5:5 6:6 7:7 ");
  reclaim_all(harness.get());
  harness.reopen();
  check("3 4 5 6 7", "3:3 1:x 4:4 5:5 6:6 7:7 ");
  a = must_write(harness.get(), change{a}.drop_below(6));
  // What was dropped stays dropped.
  a = must_write(harness.get(), change{a}.drop_below(2));
  check("6 7", "1:x 6:6 7:7 ");
  CHECK(reclaim_all(harness.get()) == 2);
  harness.reopen();
  check("6 7", "1:x 6:6 7:7 ");
  const auto view = must(harness.get().read());
  CHECK(joined(must(view->events(a.number, 1, 1))) == "6:6 ");
  CHECK(joined(must(view->events(a.number, 7, all))) == "7:7 ");
  CHECK(must(view->sessions(std::nullopt, 0, all)).at(0).first_event == 6);
  CHECK(text(must(view->read(a.number, head_key)).value()) == "head");
}

CONTRACT("the last event of a session always stays") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").event("2"));
  CHECK(is(write(harness.get(), change{a}.drop_below(3)).error, errc::conflict));
  CHECK(is(write(harness.get(), change{a}.event("3").drop_below(4)).error, errc::conflict));
  CHECK(is(write(harness.get(), change{"b"}.drop_below(2)).error, errc::conflict));
  a = must_write(harness.get(), change{a}.event("3").drop_below(3));
  CHECK(events_of(harness.get(), a.number) == "3");
  reclaim_all(harness.get());
  CHECK(events_of(harness.get(), a.number) == "3");
}

CONTRACT("a session can begin with events that nobody has any more") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.expecting(5).event("6").event("7").drop_below(6));
  CHECK(a.events == 7);
  CHECK(a.first_event == 6);
  a = must_write(harness.get(), change{a}.event("8"));
  harness.reopen();
  CHECK(events_of(harness.get(), a.number) == "6 7 8");
  CHECK(joined(must(must(harness.get().read())->events(a.number, 7, 1))) == "7:7 ");
  must_write(harness.get(), change{a}.drop_below(8));
  CHECK(reclaim_all(harness.get()) == 1);
  CHECK(events_of(harness.get(), a.number) == "8");
  CHECK(is(write(harness.get(), change{"b"}.expecting(5).drop_below(6)).error, errc::conflict));
  CHECK(is(write(harness.get(), change{"b"}.expecting(5).event("6").drop_below(5)).error,
           errc::conflict));
}

CONTRACT("reclaiming erases what was deleted and dropped, at most so much at a time") {
  TestType harness;
  auto a = must_write(harness.get(), change{"a"}.event("1"));
  auto b = must_write(harness.get(), change{"b"}.event("1").put(entry_key(0, 0), "stays"));
  for (int i = 2; i <= 20; ++i) {
    a = must_write(harness.get(),
                   change{a}.event("x").put(entry_key(0, static_cast<std::uint64_t>(i)), "e"));
    b = must_write(harness.get(), change{b}.event("x"));
  }
  CHECK(must(harness.get().reclaim(100)).erased == 0);
  must_write(harness.get(), change{b}.drop_below(16));
  must_delete(harness.get(), "a");
  CHECK(must(harness.get().reclaim(0)).more);
  std::uint64_t erased = 0;
  for (int step = 1;; ++step) {
    REQUIRE(step < 100);
    const auto done = must(harness.get().reclaim(3));
    CHECK(done.erased <= 3);
    erased += done.erased;
    CHECK(done.more == (erased < 20 + 19 + 15));
    CHECK(events_of(harness.get(), b.number) == "x x x x x");
    if (!done.more)
      break;
    harness.reopen();
  }
  CHECK(erased == 20 + 19 + 15);
  CHECK_FALSE(must(harness.get().reclaim(3)).more);
  CHECK(text(must(must(harness.get().read())->read(b.number, entry_key(0, 0))).value()) == "stays");
}

CONTRACT("a place in the journal stays one when the last entries are reclaimed") {
  TestType harness;
  must_write(harness.get(), change{"a"}.event("1"));
  must_write(harness.get(), change{"b"}.event("2"));
  must_write(harness.get(), change{"b2"}.event("3"));
  std::uint64_t position = 0;
  CHECK(must(must(harness.get().read())->journal(position, all)).size() == 3);
  must_delete(harness.get(), "b2");
  must_delete(harness.get(), "b");
  reclaim_all(harness.get());
  harness.reopen();
  CHECK(must(must(harness.get().read())->journal(position, all)).empty());
  must_write(harness.get(), change{"c"}.event("4"));
  CHECK(joined(must(must(harness.get().read())->journal(position, all))) == "1:4 ");
}

CONTRACT("a journal that is read on passes over whatever was deleted, in one call") {
  TestType harness;
  for (int i = 0; i < 30; ++i) {
    const auto name = "s" + std::to_string(i);
    must_write(harness.get(), change{name}.event(name));
    if (i % 10 != 9)
      must_delete(harness.get(), name);
  }
  std::uint64_t position = 0;
  const auto view = must(harness.get().read());
  CHECK(joined(must(view->journal(position, 1))) == "1:s9 ");
  CHECK(joined(must(view->journal(position, 2))) == "1:s19 1:s29 ");
  CHECK(must(view->journal(position, 1)).empty());
}

CONTRACT("a view that is open sees a session that is deleted and reclaimed meanwhile") {
  TestType harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1").put(entry_key(0, 0), "e"));
  const auto view = must(harness.get().read());
  must_delete(harness.get(), "a");
  reclaim_all(harness.get());
  CHECK(joined(must(view->events(a.number, 1, all))) == "1:1 ");
  CHECK(text(must(view->read(a.number, entry_key(0, 0))).value()) == "e");
}

CONTRACT("views on other threads always see whole commits while the writer writes") {
  TestType harness;
  auto& target = harness.get();
  auto a = must_write(target, change{"a"}.event("0").put(head_key, "1"));
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) {
        const auto view = must(target.read());
        const auto events = must(view->events(1, 1, all)).size();
        const auto head = text(must(view->read(1, head_key)).value());
        if (std::to_string(events) != head || must(view->find(named("a")))->events != events)
          ++torn;
      }
    });
  for (int i = 2; i <= 100; ++i)
    a = must_write(target, change{a}.event("x").put(head_key, std::to_string(i)));
  stop = true;
  for (auto& reader : readers)
    reader.join();
  CHECK(torn == 0);
  CHECK(a.events == 100);
}

} // namespace store_contract_test

#undef CONTRACT
