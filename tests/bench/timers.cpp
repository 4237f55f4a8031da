#include "stored_sessions.hpp"
#include "subjects.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <malloc.h>

#include <array>

namespace fermata::bench {

namespace {

runtime_options asking_options(std::shared_ptr<store> kept) {
  auto options = options_over(std::move(kept));
  options.policy = approval_policy{};
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  return options;
}

plan_spec sleeping_plan() {
  return must(parse_plan(R"({"goal": "sleep", "subtasks": [{"id": "s", "agent": "sleeper"}]})"));
}

/// A year's sleeps, and calls that wait for a person's approval.
struct filling {
  std::size_t timers = 0;
  std::size_t pending = 0;
};

template_session sleeping_session() {
  return template_session{sleeping_plan(), asking_options(nullptr).policy};
}

timestamp now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// A runtime accepts copies as sessions of its own.
void check_copies(const std::shared_ptr<store>& kept, const filling& of) {
  runtime rt{asking_options(kept)};
  must(rt.agents().add("sleeper", sleeper));
  rt.start();
  for (const auto number : {std::size_t{1}, of.timers}) {
    const auto session = rt.session(numbered("sleeps-", number));
    const auto woken = must(session.wake().get());
    expect(woken.state == session_state::waiting && must(session.status()).waiting.backoff == 1,
           "a copy sleeps");
  }
  const auto session = rt.session(numbered("asks-", of.pending));
  must(session.send(decide_call{call_id{session.id(), 1}, call_verdict::approve}).get());
  expect(must(session.status()).waiting.result == 1, "a copy's call can be approved");
}

void write_all(const std::shared_ptr<store>& kept, const filling& of) {
  bulk_writer writer{*kept};
  const auto sleeping = sleeping_session();
  const auto first = now() + std::chrono::days{30};
  for (std::size_t i = 1; i <= of.timers; ++i)
    writer.add(sleeping.copy(numbered("sleeps-", i), first + i * 20s));
  const template_session asking{calling_plan(1), asking_options(nullptr).policy};
  for (std::size_t i = 1; i <= of.pending; ++i)
    writer.add(asking.copy(numbered("asks-", i)));
  writer.flush();
  if (of.timers > 0)
    check_copies(kept, of);
}

std::filesystem::path store_with(const context& in, const filling& of) {
  const auto name = "timers-" + std::to_string(of.timers) + "-" + std::to_string(of.pending);
  return filled_store(in, name, [&](const auto& kept) { write_all(kept, of); });
}

/// Adds a session whose time has come.
void add_due(const std::filesystem::path& directory, const session_id& id) {
  const auto kept = must(lmdb_store::open(directory));
  bulk_writer writer{*kept};
  writer.add(sleeping_session().copy(id, now() - 1s));
  writer.flush();
}

double memory_megabytes() {
  ::malloc_trim(0);
  return own_memory() / 1e6;
}

/// DIRECTORY SESSION: milliseconds until the store is open, until the runtime is started, and from
/// there until the timer of that session, which is due, has fired; megabytes of memory then.
std::vector<double> start_with_timers(std::span<const std::string> arguments) {
  const auto begin = clock_type::now();
  const std::shared_ptr<store> kept = must(lmdb_store::open(arguments[0]));
  const auto opened = microseconds_since(begin);
  runtime rt{asking_options(kept)};
  must(rt.agents().add("sleeper", sleeper));
  const auto session = rt.session(must(session_id::parse(arguments[1])));
  auto events = session.follow(must(session.status()).events + 1);
  const auto starting = clock_type::now();
  rt.start();
  const auto started = microseconds_since(starting);
  expect(must(events.next(60s)).has_value(), "the timer that is due fires");
  const auto fired = microseconds_since(starting);
  expect(must(session.wait_until_paused(60s)).has_value(), "its session comes to rest");
  return {opened / 1e3, started / 1e3, fired / 1e3, memory_megabytes()};
}

/// DIRECTORY: milliseconds for the first page of the pending list and for all pages; megabytes of
/// memory at most; how many there are.
std::vector<double> list_pending(std::span<const std::string> arguments) {
  constexpr std::size_t page_size = 256;
  lmdb_options options;
  options.access = store_access::read_only;
  const auto kept = must(lmdb_store::open(arguments[0], options));
  const auto begin = clock_type::now();
  auto page = must(query_pending_page(*kept, {}, {}, page_size));
  const auto first = microseconds_since(begin);
  auto count = page.items.size();
  double memory = 0;
  while (page.next) {
    page = must(query_pending_page(*kept, {}, *page.next, page_size));
    count += page.items.size();
    memory = std::max(memory, own_memory() / 1e6);
  }
  return {first / 1e3, microseconds_since(begin) / 1e3, memory, static_cast<double>(count)};
}

} // namespace

const child_task timers_child{"timers", start_with_timers};
const child_task pending_child{"pending", list_pending};

namespace {

std::vector<measurement> run_timers(const context& in) {
  const filling of{in.stored, in.stored / 10 + 1};
  const auto empty = store_with(in, {});
  const auto full = store_with(in, of);
  std::array<std::vector<double>, 4> with_none;
  std::array<std::vector<double>, 4> with_all;
  std::array<std::vector<double>, 3> listed;
  const auto stamp = "due-" + std::to_string(clock_type::now().time_since_epoch().count()) + "-";
  const auto note = [](auto& columns, const std::vector<double>& row) {
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i].push_back(row.at(i));
  };
  for (std::size_t i = 0; i < in.rounds; ++i) {
    const auto due = numbered(stamp, i);
    for (auto* one : {&empty, &full}) {
      add_due(*one, due);
      note(one == &full ? with_all : with_none, in_child(timers_child, {*one, due.str()}));
    }
    const auto row = in_child(pending_child, {full});
    expect(row.at(3) == static_cast<double>(of.pending), "the pending list is whole");
    note(listed, row);
  }
  std::vector<measurement> lines;
  const auto timers = std::to_string(of.timers) + " timers, ";
  const auto add = [&](std::size_t column, const char* what, const char* unit) {
    lines.push_back(measurement{timers + what, unit, with_all[column]}.against(
        with_all[column], with_none[column], "an empty store"));
  };
  add(0, "store opened", "ms");
  add(1, "started", "ms");
  add(2, "from start to a due one's event", "ms");
  add(3, "memory (RssAnon)", "MB");
  const auto pending = std::to_string(of.pending) + " pending, ";
  lines.push_back({pending + "first page", "ms", listed[0]});
  lines.push_back({pending + "page by page", "ms", listed[1]});
  lines.push_back({"  memory (RssAnon)", "MB", listed[2]});
  return lines;
}

} // namespace

const subject timers{"timers", "A store full of armed timers and of calls that wait for approval.",
                     run_timers};

} // namespace fermata::bench
