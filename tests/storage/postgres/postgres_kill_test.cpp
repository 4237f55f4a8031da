// Processes that die while a store is written: its owner, and the database.

#include "store_harness.hpp"

#include <fermata_catch.hpp>

#include <atomic>
#include <map>
#include <random>
#include <thread>

namespace postgres_kill_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const record_key head_key{record_kind::head, 0, 0};
constexpr std::array names = {"a", "b", "c"};

/// One more event of each session, with a record that says how many there are.
std::vector<commit> next_batch(store& target) {
  std::vector<commit> batch;
  for (const auto* name : names) {
    const auto stored = must(target.find(named(name)));
    auto next = stored ? change{*stored} : change{name};
    const auto total = (stored ? stored->events : 0) + 1;
    next.event(std::to_string(total)).put(head_key, std::to_string(total));
    next.put({record_kind::entry, 0, total % 50}, data(total * 37 % 5'000, 'x'));
    batch.push_back(next);
  }
  return batch;
}

/// How many batches of `next_batch` are stored; what is stored of one is whole.
std::uint64_t count_batches(store& target) {
  const auto view = must(target.read());
  std::optional<std::uint64_t> count;
  for (const auto* name : names) {
    const auto session = must(view->find(named(name)));
    const auto events =
        session ? must(view->events(session->number, 1, 1'000'000)) : std::vector<stored_event>{};
    for (std::size_t i = 0; i < events.size(); ++i)
      if (text(events[i].value) != std::to_string(i + 1))
        throw std::runtime_error{"an event is not the one that was written"};
    if (session
        && text(must(view->read(session->number, head_key)).value())
               != std::to_string(events.size()))
      throw std::runtime_error{"a record is not of the same commit as the last event"};
    if (count.value_or(events.size()) != events.size())
      throw std::runtime_error{"half a batch is stored"};
    count = events.size();
  }
  return *count;
}

void write_until_killed(const postgres_options& options, int output) {
  const auto target = must(postgres_store::open(options));
  for (std::int64_t acknowledged = 1;; ++acknowledged) {
    for (const auto& outcome : target->write(next_batch(*target)))
      if (outcome.error)
        throw std::runtime_error{message_of(outcome.error)};
    send_number(output, acknowledged);
  }
}

void spin(std::uint64_t times) {
  for (; times > 0; --times)
    asm volatile("");
}

} // namespace

TEST_CASE("killing the owner at any moment loses nothing that it had acknowledged") {
  postgres_harness harness;
  harness.close();
  std::mt19937_64 random{1};
  std::uint64_t stored = 0;
  for (int round = 0; round < 15; ++round) {
    CAPTURE(round);
    std::int64_t acknowledged = 0;
    {
      child_process writer{[&](int, int output) { write_until_killed(harness.options(), output); }};
      const auto wanted = static_cast<std::int64_t>(1 + random() % 40);
      while (acknowledged < wanted) {
        acknowledged = writer.receive();
        REQUIRE(acknowledged > 0);
      }
      spin(random() % 3'000'000);
      writer.kill();
      for (auto number = writer.receive(); number > 0; number = writer.receive())
        acknowledged = number;
      writer.wait();
    }
    // The next owner comes although the database may not have noticed yet.
    harness.reopen();
    const auto found = count_batches(harness.get());
    CHECK(found >= stored + static_cast<std::uint64_t>(acknowledged));
    CHECK(found <= stored + static_cast<std::uint64_t>(acknowledged) + 1);
    stored = found;
    CHECK(harness.verify().problems == std::vector<std::string>{});
    harness.close();
  }
}

TEST_CASE(
    "a server killed at any moment keeps what was acknowledged, and nothing that was refused") {
  postgres_server server;
  const auto target = must(postgres_store::open(server.new_store()));
  std::atomic<std::uint64_t> written = 0;
  std::atomic<bool> stop = false;
  // Kills the server, or lets it end at once, whenever some more batches were written.
  std::jthread killer{[&](const std::stop_token& is_over) {
    std::mt19937_64 random{2};
    for (int round = 0; round < 10 && !is_over.stop_requested(); ++round) {
      const auto wanted = written + 1 + random() % 30;
      while (written < wanted && !is_over.stop_requested())
        std::this_thread::yield();
      spin(random() % 2'000'000);
      round % 2 == 0 ? server.kill() : server.stop();
      server.start();
    }
    stop = true;
  }};
  std::uint64_t stored = 0;
  std::map<std::string, int> outcomes;
  while (!stop) {
    std::vector<commit> batch;
    try {
      batch = next_batch(*target);
    } catch (const std::exception&) {
      ++outcomes["unread"]; // reads do not wait for the server
      std::this_thread::yield();
      continue;
    }
    const auto error = target->write(batch).front().error;
    ++written;
    const auto is_unknown = message_of(error).find("not known") != std::string::npos;
    ++outcomes[!error ? "stored" : is_unknown ? "unknown" : "refused"];
    if (!error)
      ++stored;
    // Which of both is settled by whoever comes next.
    std::optional<std::uint64_t> found;
    while (error && !found)
      try {
        found = count_batches(*target);
      } catch (const std::exception&) {
        std::this_thread::yield();
      }
    if (is_unknown)
      stored = std::max(stored, std::min(*found, stored + 1));
    if (found)
      REQUIRE(*found == stored);
  }
  killer.join();
  CHECK(count_batches(*target) == stored);
  CHECK(must(target->verify()).problems == std::vector<std::string>{});
  for (const auto& [what, times] : outcomes)
    UNSCOPED_INFO(what << ' ' << times);
  CHECK(outcomes["stored"] > 100);
}

} // namespace postgres_kill_test
