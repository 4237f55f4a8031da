// What a store full of armed timers and pending approvals costs: memory, start-up, the pending
// list.
//
// Two stores are filled. `empty` has no session; `full` has N sessions that sleep, each with a
// timer far in the future, and M sessions with a call that waits for a person's approval. Filling a
// million through the runtime would take hours, so one session of each kind is made by a runtime
// over a `memory_store`, and its records are written again and again with other ids and times.
// Some of the copies are then woken, and one call is approved, so that they are known to be ones
// that a runtime accepts. Before each start a sleeper is added whose time has come.
//
// Each figure is of a fresh process: this program starts itself. The files are in the system's
// cache, as they have just been written.

#include <fermata/actors/runtime.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/records.hpp>

#include <temporary_directory.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fermata;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

template <class T>
T must(result<T> outcome) {
  return outcome ? std::move(*outcome) : throw std::runtime_error{message_of(outcome.error())};
}

void must(const caf::error& error) {
  if (error)
    throw std::runtime_error{message_of(error)};
}

double milliseconds_since(clock_type::time_point begin) {
  return std::chrono::duration<double, std::milli>(clock_type::now() - begin).count();
}

/// Memory that is the process's own: VmRSS counts the mapped file, too.
double own_memory_megabytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:"))
      return std::stod(line.substr(8)) / 1024;
  throw std::runtime_error{"/proc/self/status has no RssAnon"};
}

coro::task<step> sleeper(step_context& context) {
  if (context.transcript.empty())
    co_return step::sleep(std::chrono::days{365});
  co_return step::finish("awake");
}

runtime_options options_over(std::shared_ptr<store> kept) {
  runtime_options options;
  options.store = std::move(kept);
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  return options;
}

// -- filling --------------------------------------------------------------------------------------

/// A session as it is stored, to be written again under other ids.
class template_session {
public:
  explicit template_session(const char* plan) {
    const auto kept = std::make_shared<memory_store>();
    const auto id = must(session_id::parse("template"));
    {
      runtime rt{options_over(kept)};
      must(rt.agents().add("sleeper", sleeper));
      rt.start();
      const auto session = rt.session(id);
      must(session.send(propose_plan{must(parse_plan(plan))}).get());
      if (!must(session.wait_until_paused(10s)))
        throw std::runtime_error{"the template does not come to rest"};
    }
    const auto view = must(kept->read());
    const auto anchor = must(view->find(id)).value();
    constexpr auto most = std::numeric_limits<std::uint32_t>::max();
    for (auto& one : must(view->scan(anchor.number, head_key(),
                                     {record_kind::message, most, anchor.events}, most))) {
      record_change change;
      change.key = one.key;
      change.value = std::move(one.value);
      base_.records.push_back(std::move(change));
    }
    for (auto& one : must(view->events(anchor.number, 1, most)))
      base_.events.push_back(std::move(one.value));
    base_.status = anchor.status;
    if (const auto waiting = must(view->pending(anchor.number, 0, 0, 1)); !waiting.empty()) {
      item_ = must(from_record<pending_item>(waiting[0].value));
      item_number_ = waiting[0].item;
    }
  }

  /// The session with another id, and with its timer, if it has one, armed for `due`.
  [[nodiscard]] commit copy(const std::string& id, timestamp due) const {
    auto made = base_;
    made.session = must(session_id::parse(id));
    for (auto& change : made.records)
      adjust(change, made, due);
    if (item_)
      made.pending.push_back(waiting_of(made.session));
    return made;
  }

private:
  template <class T, class Change>
  static void rewrite(record_change& change, Change changed) {
    auto record = must(from_record<T>(*change.value));
    changed(record);
    change.value = to_record(record);
  }

  /// All places where a session's id, or the time of its sleep, stands.
  static void adjust(record_change& change, commit& in, timestamp due) {
    if (change.key.kind == record_kind::head)
      rewrite<head_record>(change, [&](head_record& head) {
        head.id = in.session;
        if (!head.armed)
          return;
        head.armed = due;
        timer_change armed;
        armed.due = due;
        armed.timer = session_timer;
        in.timers.push_back(armed);
      });
    else if (change.key.kind == record_kind::subtask)
      rewrite<subtask_record>(change, [&](subtask_record& subtask) {
        if (subtask.next_step)
          subtask.next_step = due;
      });
    else if (change.key.kind == record_kind::entry)
      rewrite<entry_record>(change, [&](entry_record& entry) {
        if (entry.until)
          entry.until = due;
      });
  }

  [[nodiscard]] pending_change waiting_of(const session_id& session) const {
    auto item = *item_;
    item.session = session;
    item.id = call_id{session, item_number_}.str();
    pending_change change;
    change.item = item_number_;
    change.value = to_record(item);
    return change;
  }

  commit base_;
  std::optional<pending_item> item_;
  std::uint64_t item_number_ = 0;
};

template_session sleeping_session() {
  return template_session{R"({"goal": "sleep", "subtasks": [{"id": "s", "agent": "sleeper"}]})"};
}

template_session asking_session() {
  return template_session{
      R"({"goal": "ask", "tools": {"publish": {"kind": "client"}}, "subtasks": [
          {"id": "s", "steps": [{"tool": "publish", "arguments": {"version": "1.0"}}]}]})"};
}

timestamp now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string numbered(const char* kind, std::size_t number) {
  auto digits = std::to_string(number);
  return kind + std::string(8 - std::min<std::size_t>(8, digits.size()), '0') + digits;
}

void write(store& to, std::vector<commit>& batch) {
  for (const auto& outcome : to.write(batch))
    must(outcome.error);
  batch.clear();
}

void write_copies(store& to, const template_session& of, const char* kind, std::size_t count) {
  constexpr std::size_t at_once = 2'000;
  const auto first = now() + std::chrono::days{30};
  std::vector<commit> batch;
  for (std::size_t i = 1; i <= count; ++i) {
    batch.push_back(of.copy(numbered(kind, i), first + i * 20s));
    if (batch.size() == at_once || i == count)
      write(to, batch);
  }
}

void expect(bool is_so, const std::string& what) {
  if (!is_so)
    throw std::runtime_error{"a copy is not as a session should be: " + what};
}

/// A runtime accepts copies as sessions of its own.
void check_copies(const std::shared_ptr<store>& kept, std::size_t timers, std::size_t pending) {
  runtime rt{options_over(kept)};
  must(rt.agents().add("sleeper", sleeper));
  rt.start();
  for (const auto number : {std::size_t{1}, timers / 2, timers})
    if (number > 0) {
      const auto session = rt.session(must(session_id::parse(numbered("sleeps-", number))));
      const auto woken = must(session.wake().get());
      expect(woken.state == session_state::waiting && must(session.status()).waiting.backoff == 1,
             "it sleeps");
    }
  if (pending == 0)
    return;
  const auto session = rt.session(must(session_id::parse(numbered("asks-", pending))));
  const auto given =
      must(session.send(decide_call{call_id{session.id(), 1}, call_verdict::approve}).get());
  expect(given.kind == receipt_kind::accepted && must(session.status()).waiting.result == 1,
         "its call can be approved");
}

void fill(const std::filesystem::path& directory, std::size_t timers, std::size_t pending) {
  const std::shared_ptr<store> kept = must(lmdb_store::open(directory));
  write_copies(*kept, sleeping_session(), "sleeps-", timers);
  write_copies(*kept, asking_session(), "asks-", pending);
  if (timers + pending > 0)
    check_copies(kept, timers, pending);
}

/// Adds a session whose time has come.
void add_due(const std::filesystem::path& directory, const std::string& id) {
  const auto kept = must(lmdb_store::open(directory));
  std::vector<commit> one{sleeping_session().copy(id, now() - 1s)};
  write(*kept, one);
}

// -- measuring, each in a process of its own ------------------------------------------------------

void measure_start(const std::filesystem::path& directory, const std::string& due) {
  const auto begin = clock_type::now();
  const std::shared_ptr<store> kept = must(lmdb_store::open(directory));
  const auto opened = milliseconds_since(begin);
  runtime rt{options_over(kept)};
  must(rt.agents().add("sleeper", sleeper));
  const auto session = rt.session(must(session_id::parse(due)));
  auto events = session.follow(must(session.status()).events + 1);
  const auto starting = clock_type::now();
  rt.start();
  const auto started = milliseconds_since(starting);
  if (!must(events.next(60s)))
    throw std::runtime_error{"the timer that is due does not fire"};
  const auto fired = milliseconds_since(starting);
  if (!must(session.wait_until_paused(60s)))
    throw std::runtime_error{"the session whose timer fired does not come to rest"};
  std::printf("%f %f %f %f\n", opened, started, fired, own_memory_megabytes());
}

void measure_pending(const std::filesystem::path& directory) {
  constexpr std::size_t page_size = 256;
  lmdb_options options;
  options.access = store_access::read_only;
  const auto kept = must(lmdb_store::open(directory, options));
  const auto begin = clock_type::now();
  auto page = must(query_pending_page(*kept, {}, {}, page_size));
  const auto first = milliseconds_since(begin);
  auto count = page.items.size();
  double memory = 0;
  while (page.next) {
    page = must(query_pending_page(*kept, {}, *page.next, page_size));
    count += page.items.size();
    memory = std::max(memory, own_memory_megabytes());
  }
  const auto paged = milliseconds_since(begin);
  page = {};
  const auto again = clock_type::now();
  const auto all = must(query_pending(*kept, {}, count + 1));
  std::printf("%f %f %f %f %f %zu\n", first, paged, memory, milliseconds_since(again),
              own_memory_megabytes(), all.size());
}

// -- the runs and their table ---------------------------------------------------------------------

std::string in_quotes(const std::filesystem::path& path) {
  return "'" + path.string() + "'";
}

std::string output_of(const std::string& command) {
  std::string output;
  auto* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error{"cannot run " + command};
  for (std::array<char, 4096> part{}; std::fgets(part.data(), part.size(), pipe) != nullptr;)
    output += part.data();
  if (::pclose(pipe) != 0)
    throw std::runtime_error{command + " failed"};
  return output;
}

std::vector<double> numbers_of(const std::string& command) {
  const auto output = output_of(command);
  std::vector<double> numbers;
  const char* at = output.c_str();
  for (char* end = nullptr;; at = end) {
    const auto number = std::strtod(at, &end);
    if (end == at)
      return numbers;
    numbers.push_back(number);
  }
}

class table {
public:
  void add(const std::string& what, double value) {
    if (!rows_.contains(what))
      order_.push_back(what);
    rows_[what].push_back(value);
  }

  void print() {
    std::printf("%-58s %10s %10s %10s\n", "", "min", "median", "max");
    for (const auto& what : order_) {
      auto& values = rows_[what];
      std::sort(values.begin(), values.end());
      std::printf("%-58s %10.2f %10.2f %10.2f\n", what.c_str(), values.front(),
                  values[values.size() / 2], values.back());
    }
  }

private:
  std::map<std::string, std::vector<double>> rows_;
  std::vector<std::string> order_;
};

void run(const std::filesystem::path& folder, std::size_t runs, std::size_t timers,
         std::size_t pending, const std::filesystem::path& command) {
  const auto self = in_quotes(std::filesystem::read_symlink("/proc/self/exe"));
  const auto child = [&](const char* what, const std::filesystem::path& store,
                         const std::string& arguments = {}) {
    return numbers_of(self + " --" + what + " " + in_quotes(store) + " " + arguments);
  };
  const auto full = folder / "full";
  const auto empty = folder / "empty";
  const auto begin = clock_type::now();
  child("fill", full, std::to_string(timers) + " " + std::to_string(pending));
  child("fill", empty, "0 0");
  std::printf("%zu armed timers and %zu pending approvals in %s: %ju MB, written in %.0f s\n\n",
              timers, pending, full.c_str(),
              std::filesystem::file_size(full / "data.mdb") / 1'000'000,
              milliseconds_since(begin) / 1'000);
  table figures;
  for (std::size_t i = 0; i < runs; ++i) {
    for (const auto& [name, store] : {std::pair{"empty", empty}, std::pair{"full", full}}) {
      const auto due = numbered("due-", i);
      child("add-due", store, due);
      const auto got = child("start", store, due);
      const auto row = [&](const char* what) { return std::string{name} + " store: " + what; };
      figures.add(row("it is opened, ms"), got.at(0));
      figures.add(row("the runtime is started, ms"), got.at(1));
      figures.add(row("from start() to the due timer's event, ms"), got.at(2));
      figures.add(row("RssAnon then, MB"), got.at(3));
    }
    const auto got = child("pending", full);
    if (got.at(5) != static_cast<double>(pending))
      throw std::runtime_error{"the pending list is not whole"};
    figures.add("query_pending_page: the first 256, ms", got.at(0));
    figures.add("query_pending_page: all, page by page, ms", got.at(1));
    figures.add("  RssAnon at most, MB", got.at(2));
    figures.add("query_pending: all at once, ms", got.at(3));
    figures.add("  RssAnon then, MB", got.at(4));
    if (!std::filesystem::exists(command))
      continue;
    const auto asked = clock_type::now();
    const auto line =
        output_of(in_quotes(command) + " pending --json --store " + in_quotes(full) + " | head -1");
    figures.add("fermata pending --json | head -1, ms", milliseconds_since(asked));
    if (!line.starts_with("{"))
      throw std::runtime_error{"fermata pending printed: " + line};
  }
  figures.print();
}

std::size_t read_count(const std::string& text) {
  std::size_t count = 0;
  const auto* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, count);
      read.ec != std::errc{} || read.ptr != end)
    throw std::invalid_argument{"expected a count, got \"" + text
                                + "\"; usage: fermata_bench_timers [RUNS] [DIRECTORY] [TIMERS] "
                                  "[PENDING]"};
  return count;
}

} // namespace

/// fermata_bench_timers [RUNS] [DIRECTORY] [TIMERS] [PENDING]
int main(int argc, char** argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  const auto number = [&](std::size_t at, std::size_t otherwise) {
    return given.size() > at ? read_count(given[at]) : otherwise;
  };
  try {
    if (!given.empty() && given[0] == "--fill")
      return fill(given.at(1), number(2, 0), number(3, 0)), 0;
    if (!given.empty() && given[0] == "--add-due")
      return add_due(given.at(1), given.at(2)), 0;
    if (!given.empty() && given[0] == "--start")
      return measure_start(given.at(1), given.at(2)), 0;
    if (!given.empty() && given[0] == "--pending")
      return measure_pending(given.at(1)), 0;
    const std::filesystem::path parent =
        given.size() > 1 ? std::filesystem::path{given[1]} : std::filesystem::current_path();
    const test::temporary_directory folder{parent};
    // Where the build leaves the command, seen from this program.
    const auto command = std::filesystem::read_symlink("/proc/self/exe").parent_path() / ".." / ".."
                         / "examples" / "fermata" / "fermata";
    run(folder, std::max<std::size_t>(1, number(0, 5)), number(2, 1'000'000), number(3, 100'000),
        command);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
}
