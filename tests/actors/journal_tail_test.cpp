// Records that are behind the journal. Stories are told twice, once with records that are written
// by every commit, and whoever asks must not see a difference. What does not fit together is made
// by hand from a store that does.

#include "stories.hpp"

#include <fermata/actors/core/applicable.hpp>
#include <fermata/actors/core/apply.hpp>
#include <fermata/actors/core/current_view.hpp>
#include <fermata/actors/core/packed_session.hpp>
#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/queries.hpp>

#include <limits>
#include <map>
#include <set>

namespace journal_tail_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr auto all = std::numeric_limits<std::size_t>::max();
const record_key first_key{static_cast<record_kind>(0), 0, 0};
const record_key last_key{static_cast<record_kind>(255), std::numeric_limits<std::uint32_t>::max(),
                          std::numeric_limits<std::uint64_t>::max()};

head_record stored_head(store& from) {
  const auto view = must(from.read());
  return must(core::read_record<head_record>(*view, 1, head_key(), "head"));
}

std::uint64_t tail_of(const head_record& head) {
  return head.recorded == 0 ? 0 : head.events - head.recorded;
}

bool has_tail(store& from) {
  return tail_of(stored_head(from)) > 0;
}

std::string exported(store& from) {
  std::string text;
  const auto take = [&](std::string_view line) -> caf::error {
    text += line;
    return caf::none;
  };
  static_cast<void>(must(export_session(from, sid(), take)));
  return text;
}

/// All that can be asked about the session.
std::string told_of(store& from) {
  auto told = exported(from);
  const auto add = [&](const auto& answer) { told += to_text(to_json(must(answer))) + "\n"; };
  add(query_status(from, sid()));
  for (const auto& item : must(query_transcript(from, sid())))
    told += item.subtask.str() + item.text + (item.call ? to_text(to_json(*item.call)) : "") + "\n";
  add(query_remembered(from, sid()));
  const auto status = must(query_status(from, sid()));
  if (status.plan) {
    add(query_plan(from, sid(), {}));
    add(query_plan_diff(from, sid(), {}));
  }
  for (std::uint64_t call = 1; const auto found = query_call(from, cid(call)); ++call)
    add(found);
  for (const auto& entry : must(query_audit(from, {}, {}, all)).entries)
    told += to_text(to_json(entry)) + "\n";
  return told;
}

/// The session as one commit that would create it so, to be changed.
commit remade(store& from) {
  const auto view = must(from.read());
  const auto anchor = must(view->find(sid())).value();
  commit made;
  made.session = anchor.id;
  made.status = anchor.status;
  for (auto& one : must(view->events(anchor.number, 1, all)))
    made.events.push_back(std::move(one.value));
  for (auto& one : must(view->scan(anchor.number, first_key, last_key, all))) {
    auto& change = made.records.emplace_back();
    change.key = one.key;
    change.value = std::move(one.value);
  }
  return made;
}

std::string error_of_loading(const commit& made) {
  memory_store target;
  const auto outcomes = target.write({&made, 1});
  REQUIRE_FALSE(outcomes.front().error);
  const auto view = must(target.read());
  const auto loaded = core::load(*view, sid());
  if (loaded)
    return "none";
  CHECK(is(loaded.error(), errc::store_corrupt));
  // Whoever asks hears the same.
  CHECK(query_status(target, sid()).error() == loaded.error());
  return message_of(loaded.error());
}

record_change& change_of(commit& in, const record_key& key) {
  const auto found = std::find_if(in.records.begin(), in.records.end(),
                                  [&](const record_change& one) { return one.key == key; });
  REQUIRE(found != in.records.end());
  return *found;
}

/// A store whose session waits for the answer of its last call, with a tail of several commits.
std::shared_ptr<memory_store> with_tail() {
  for (const auto& store : stores_of(long_story, 100))
    if (tail_of(stored_head(*store)) > 12)
      return store;
  FAIL("no story has a tail");
  return nullptr;
}

/// Keeps what is written of the sessions of a world.
class commit_watcher final : public sim::witness {
public:
  void stored(sim::world&, const sim::stored_commit& what) override { commits.push_back(what.raw); }

  std::vector<commit> commits;
};

/// A world whose one session calls its client's tool again and again.
struct calling_world {
  explicit calling_world(std::uint32_t tail_events, int calls) {
    sim::world_options options;
    options.policy = approval_policy::allow_everything();
    options.limits.tail_events = tail_events;
    world.emplace(1, options);
    seen = &world->add(std::make_unique<commit_watcher>());
    std::string subtasks;
    for (int i = 0; i < calls; ++i)
      subtasks += (i == 0 ? "" : ",") + std::string{R"({"id": "t)"} + std::to_string(i)
                  + R"(", "steps": [{"tool": "ask"}]})";
    accept(*world,
           propose_plan{plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [)"
                             + subtasks + "]}")});
  }

  void answer(const json& with = "x") { accept(*world, tool_result{cid(++answered), with}); }
  [[nodiscard]] head_record head() const { return stored_head(world->store()); }
  [[nodiscard]] std::uint64_t tail() const { return tail_of(head()); }

  std::optional<sim::world> world;
  commit_watcher* seen = nullptr;
  std::uint64_t answered = 0;
};

} // namespace

TEST_CASE("whoever asks sees the same, whether or not the records are written with each commit") {
  std::size_t tails = 0;
  for (const auto& make : all_stories()) {
    const auto written = stores_of(make, 0);
    for (const std::uint32_t tail_events : {1, 9, 100}) {
      const auto deferred = stores_of(make, tail_events);
      REQUIRE(deferred.size() == written.size());
      for (std::size_t i = 0; i < written.size(); ++i) {
        CAPTURE(tail_events, i);
        CHECK_FALSE(has_tail(*written[i]));
        tails += has_tail(*deferred[i]);
        REQUIRE(told_of(*deferred[i]) == told_of(*written[i]));
      }
    }
  }
  CHECK(tails > 40);
}

TEST_CASE("a session that is loaded with a tail is the one that was in memory, packed or not") {
  for (const auto& make : all_stories()) {
    const auto written = stores_of(make, 0);
    const auto deferred = stores_of(make, 100);
    for (std::size_t i = 0; i < written.size(); ++i) {
      CAPTURE(i);
      auto data = loaded_from(*deferred[i]);
      const auto unpacked = must(core::unpack(core::pack(data)));
      CHECK(unpacked.unwritten == data.unwritten);
      CHECK(unpacked.tail_size_bytes == data.tail_size_bytes);
      CHECK(unpacked.calls.size() == data.calls.size());
      CHECK(unpacked.unwritten_entries.size() == data.unwritten_entries.size());
      const auto changes = core::unwritten_records(data);
      const auto again = core::unwritten_records(unpacked);
      REQUIRE(changes.size() == again.size());
      for (std::size_t k = 0; k < changes.size(); ++k) {
        CHECK(changes[k].key == again[k].key);
        CHECK(changes[k].value == again[k].value);
      }
      // Without what is to be written, it is the one that was written.
      data.unwritten.clear();
      data.unwritten_entries.clear();
      core::forget_past(data);
      auto other = loaded_from(*written[i]);
      other.head.recorded = data.head.recorded;
      CHECK(core::pack(data).records == core::pack(other).records);
    }
  }
}

TEST_CASE("P11: records are written together, when the tail would have more than tail_events") {
  calling_world in{12, 30};
  auto& world = *in.world;
  CHECK(in.tail() == 0); // with the proposal, whose plan is in no event
  std::size_t deferred = 0;
  for (int i = 0; i < 29; ++i) {
    const auto before = in.tail();
    const auto events = in.head().events;
    in.answer();
    const auto added = in.head().events - events;
    CHECK(in.tail() == (before + added > 12 ? 0 : before + added));
    deferred += in.tail() > 0;
  }
  CHECK(deferred > 15);
  in.answer();
  CHECK(state_of(world) == "completed");
  CHECK(in.tail() == 0); // a plan that is over is written
}

TEST_CASE("P11: an activation applies no more than 32 KiB of events, and what made them more") {
  calling_world in{1'000, 30};
  std::uint64_t longest = 0;
  for (int i = 0; i < 20; ++i) {
    in.answer(std::string(4'000, 'x'));
    longest = std::max(longest, in.tail());
    if (i % 3 == 0)
      in.world->crash(); // what there is of them is counted again
  }
  // Each answer is in two events.
  CHECK(longest >= 9);
  CHECK(longest < 20);
}

TEST_CASE("a commit that leaves records behind has the head, and the first of a tail its base") {
  calling_world in{12, 30};
  std::map<record_key, int> written;
  auto& seen = in.seen->commits;
  seen.clear();
  std::size_t deferring = 0;
  for (int i = 0; i < 20; ++i) {
    const auto had_tail = in.tail() > 0;
    in.answer();
    REQUIRE(seen.size() == static_cast<std::size_t>(i) + 1);
    const auto& made = seen.back();
    if (!made.defers_records) {
      // Each once, however often it has changed.
      std::set<record_key> keys;
      for (const auto& one : made.records)
        CHECK(keys.insert(one.key).second);
      CHECK(keys.contains(base_key())); // which is erased
      continue;
    }
    ++deferring;
    CHECK(made.records.size() == (had_tail ? 1 : 2));
    CHECK(made.records.front().key == head_key());
    CHECK(made.records.back().key == (had_tail ? head_key() : base_key()));
  }
  CHECK(deferring > 10);
}

TEST_CASE("P11: what a tail writes does not depend on the past") {
  calling_world in{40, 300};
  const auto written = [&] {
    in.seen->commits.clear();
    for (int i = 0; i < 80; ++i)
      in.answer();
    std::size_t records = 0;
    for (const auto& one : in.seen->commits)
      records += one.records.size();
    return records;
  };
  const auto first = written();
  static_cast<void>(written());
  CHECK(written() <= first + 40); // where in a tail it ends may differ
  CHECK(first < 80 * 6);
}

TEST_CASE("a session that never leaves records behind is one that older versions read") {
  calling_world in{0, 5};
  for (int i = 0; i < 4; ++i)
    in.answer();
  for (const auto& one : in.seen->commits) {
    CHECK_FALSE(one.defers_records);
    for (const auto& change : one.records)
      CHECK(change.key.kind != record_kind::base);
  }
  CHECK(in.head().recorded == 0);
  // Nor does one that only waits for its approval.
  sim::world world{1, sim::world_options{}};
  accept(world, propose_plan{seed_plan()});
  CHECK(stored_head(world.store()).recorded == 0);
}

TEST_CASE("a view shows any part of the records as the last event has left them") {
  const auto store = with_tail();
  const auto view = must(core::read_current(*store));
  const auto whole = must(view->scan(1, first_key, last_key, all));
  REQUIRE(whole.size() >= 20);
  for (const auto& one : whole) {
    CHECK(one.key != base_key());
    CHECK(must(view->read(1, one.key)).value() == one.value);
  }
  CHECK_FALSE(must(view->read(1, base_key())));
  for (std::size_t from = 0; from < whole.size(); ++from)
    for (std::size_t limit = 1; limit <= whole.size() + 1; ++limit) {
      const auto part = must(view->scan(1, whole[from].key, last_key, limit));
      REQUIRE(part.size() == std::min(limit, whole.size() - from));
      for (std::size_t i = 0; i < part.size(); ++i) {
        REQUIRE(part[i].key == whole[from + i].key);
        REQUIRE(part[i].value == whole[from + i].value);
      }
    }
}

TEST_CASE("sessions whose tails lie between each other are told apart") {
  sim::world_options options;
  options.limits.tail_events = 1'000;
  sim::world world{1, options};
  for (const auto* id : {"a", "b", "c"}) {
    accept(world, propose_plan{seed_plan()}, id);
    accept(world, approve_plan(), id);
  }
  for (const auto* id : {"c", "a", "b"}) {
    auto decision = decide_call{cid(1, id), call_verdict::edit};
    decision.arguments = {{"item", id}};
    accept(world, decision, id);
  }
  const auto entries = must(query_audit(world.store(), {}, {}, all)).entries;
  REQUIRE(entries.size() == 6);
  for (std::size_t i = 3; i < 6; ++i)
    CHECK(entries[i].details.at("edited_to").at("item") == entries[i].session.str());
  for (const auto* id : {"a", "b", "c"})
    CHECK(call_of(world, 1, id).arguments.at("item") == id);
}

TEST_CASE("a transcript that is long costs a question about a session nothing") {
  sim::world_options options;
  options.policy = approval_policy::allow_everything();
  options.limits.tail_events = 1'000;
  sim::world world{1, options};
  accept(
      world, propose_plan{plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [
      {"id": "t", "steps": [)" +
                               [] {
                                 std::string steps;
                                 for (int i = 0; i < 100; ++i)
                                   steps += std::string{i == 0 ? "" : ","} + R"({"tool": "ask"})";
                                 return steps;
                               }()
                               + "]}]}")});
  for (std::uint64_t call = 1; call < 100; ++call)
    accept(world, tool_result{cid(call), std::string(2'000, 'x')});
  REQUIRE(has_tail(world.store()));
  const auto before = world.store().reads();
  CHECK(status_of(world).state == session_state::waiting);
  CHECK(world.store().reads() - before < 60);
}

TEST_CASE("with tail_events 0 every commit writes its records") {
  calling_world in{0, 5};
  for (int i = 0; i < 5; ++i) {
    in.answer();
    CHECK(in.tail() == 0);
  }
}

TEST_CASE("P7: a session goes on behind its tail, after a crash and after it had left memory") {
  calling_world in{1'000, 20};
  auto& world = *in.world;
  for (int i = 0; i < 6; ++i)
    in.answer();
  REQUIRE(in.tail() > 20);
  world.crash();
  in.answer();
  CHECK(in.tail() > 24);
  world.advance(2h);
  REQUIRE(world.resident_sessions() == 0);
  CHECK(accept(world, tool_result{cid(3), "x"}).kind == receipt_kind::duplicate);
  CHECK(is(refuse(world, tool_result{cid(3), "y"}), errc::already_answered));
  while (in.answered < 20)
    in.answer();
  CHECK(state_of(world) == "completed");
  CHECK(in.tail() == 0);
  CHECK(call_of(world, 3).answer->content == "x");
}

TEST_CASE("what would keep something of the past in memory is written at once") {
  calling_world in{1'000, 20};
  auto& world = *in.world;
  accept(world, cancel_call{cid(1), "no"});
  in.answered = 1;
  in.answer();
  CHECK(in.tail() > 0);
  CHECK(accept(world, tool_result{cid(1), "late"}).kind == receipt_kind::late);
  CHECK(in.tail() == 0);
  in.answer();
  CHECK(in.tail() > 0);
  accept(world, post_message{"hello"});
  CHECK(in.tail() == 0);
  world.crash();
  in.answer();
  CHECK(call_of(world, 1).late == 1);
}

TEST_CASE("events that do not lead from the records to the head are reported as corrupt") {
  const auto store = with_tail();
  CHECK(error_of_loading(remade(*store)) == "none");
  const auto with_head = [&](auto change) {
    auto made = remade(*store);
    auto& value = change_of(made, head_key()).value;
    auto head = must(from_record<head_record>(*value));
    change(head);
    value = to_record(head);
    return error_of_loading(made);
  };
  CHECK(with_head([](auto& head) { ++head.entries; })
        == "the events of session s1 do not lead from its records to its head");
  CHECK(with_head([](auto& head) { --head.recorded; })
        == "the base of session s1 does not fit its head");
  // What a newer version knows of is not what these events say.
  CHECK(with_head([](auto& head) { head.unknown = {{"newer", 1}}; }) == "none");
  auto made = remade(*store);
  std::erase_if(made.records, [](const auto& one) { return one.key == base_key(); });
  CHECK(error_of_loading(made)
        == "the head behind which the tail begins of session number 1 is missing");
}

TEST_CASE("an event of the tail that cannot be applied is reported as corrupt, with its number") {
  const auto store = with_tail();
  const auto last = stored_head(*store).events;
  const auto with_event = [&](event_body body) {
    auto made = remade(*store);
    auto fact = must(from_record<event>(made.events.back()));
    fact.body = std::move(body);
    made.events.back() = to_record(fact);
    return error_of_loading(made);
  };
  const auto front = "event " + std::to_string(last) + " of session s1 cannot be applied: ";
  plan_proposed proposed;
  proposed.revision = 2;
  CHECK(with_event(proposed) == front + "records are written with such an event");
  CHECK(with_event(message_received{}) == front + "records are written with such an event");
  plan_decided decided;
  decided.revision = 7;
  CHECK(with_event(decided) == front + "revision 7 awaits no decision");
  subtask_started started;
  started.subtask = stid("zz");
  CHECK(with_event(started) == front + "there is no subtask zz in the plan in force");
  started.subtask = stid("f");
  CHECK(with_event(started).starts_with("the events of session s1 do not lead"));
  subtask_skipped skipped;
  skipped.subtask = stid("f");
  CHECK(with_event(skipped) == front + "subtask f is pending, and cannot be skipped");
  call_answered answered;
  answered.call = 99;
  CHECK(with_event(answered) == front + "there is no call 99");
  auto made = remade(*store);
  made.events.back() = {0xff};
  CHECK(error_of_loading(made).starts_with(front));
}

TEST_CASE("whatever event is found next, it is refused or can be applied") {
  std::vector<core::session_data> states;
  std::vector<event> facts;
  for (const auto& make : all_stories()) {
    const auto stores = stores_of(make, 100);
    for (const auto& store : stores)
      states.push_back(loaded_from(*store));
    for (auto& one : must(query_events(*stores.back(), sid(), 1, all)))
      facts.push_back(std::move(one));
  }
  std::size_t applied = 0;
  std::size_t refused = 0;
  for (const auto& state : states)
    for (auto fact : facts) {
      auto data = state;
      fact.number = data.head.events + 1;
      if (core::check_applicable(data, fact)) {
        ++refused;
        continue;
      }
      core::apply(data, fact);
      ++applied;
      // And what has become of it can be kept, and written.
      data.changed.sort();
      data.unwritten.take(data.changed);
      if (!data.retired.empty())
        continue; // that is refused then
      auto unpacked = must(core::unpack(core::pack(data)));
      CHECK(core::unwritten_records(unpacked).size() == core::unwritten_records(data).size());
      core::recorded_events recorded;
      recorded.add(fact);
      static_cast<void>(core::make_commit(unpacked, 1, std::move(recorded), 0));
    }
  CHECK(applied > 1'000);
  CHECK(refused > 1'000);
}

} // namespace journal_tail_test
