// Durable resumes per second, beside plain LMDB that writes the same bytes.
//
// N sessions wait for a client tool's result. Each gets one, its agent takes its next step, which
// calls the tool again, and that is one durable commit. A driver keeps all N under way: it answers
// a session's next call as soon as the receipt for the last has come. Each session is one of many
// subtasks of 20 calls, so the measured commits hold what real ones do, the end of a subtask and
// the start of the next among them.
//
// What the runtime writes is counted as it is written: bytes of log entries, heads, parts and
// pending entries, commits and transactions. Then plain LMDB does the same beside it, on the same
// file system and in the same run: the same tables, the same number of transactions, commits and
// puts of the same sizes, keys of the same kind, full sync. The two take turns, round by round.

#include "asking_plan.hpp"

#include <fermata/actors/coro/task.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <lmdb.h>
#include <temporary_directory.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fermata;
using namespace fermata::bench;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::size_t subtasks = 200;

/// The sizes of one commit's puts, as plain LMDB repeats them.
struct commit_shape {
  std::size_t log = 0;
  std::size_t head = 0;
  std::vector<std::size_t> parts;
  std::vector<std::size_t> pending; // 0: erased
};

/// Counts what passes through to the store.
class counting_store final : public store {
public:
  explicit counting_store(std::shared_ptr<store> behind) : behind_{std::move(behind)} {}

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    if (counting) {
      ++transactions;
      for (const auto& one : commits)
        shapes.push_back(shape_of(one));
    }
    return behind_->write(commits);
  }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return behind_->find(session);
  }
  result<std::unique_ptr<view>> read() override { return behind_->read(); }

  std::atomic<bool> counting{false};
  std::size_t transactions = 0;
  std::vector<commit_shape> shapes;

private:
  static commit_shape shape_of(const commit& one) {
    constexpr std::size_t seal = 5; // checksum and format, on every value
    commit_shape shape;
    shape.log = seal + 28;
    for (const auto& event : one.events)
      shape.log += 4 + event.size();
    for (const auto& record : one.records) {
      if (record.key.kind == record_kind::head)
        shape.head = seal + 19 + one.session.str().size() + record.value->size();
      else
        shape.parts.push_back(seal + record.value->size());
    }
    for (const auto& entry : one.pending)
      shape.pending.push_back(entry.value ? seal + entry.value->size() : 0);
    return shape;
  }

  std::shared_ptr<store> behind_;
};

/// Sessions with a call each, and a driver that answers as soon as it may.
class workload {
public:
  workload(runtime& rt, std::size_t sessions) {
    for (std::size_t i = 0; i < sessions; ++i)
      sessions_.push_back(rt.session(
          session_id::parse("bench-" + std::to_string(sessions) + "-" + std::to_string(i))
              .value()));
    next_call_.assign(sessions, 1);
    const auto plan = asking_plan(subtasks);
    std::vector<std::future<result<receipt>>> sent;
    for (const auto& session : sessions_)
      sent.push_back(session.send(propose_plan{plan}));
    for (auto& one : sent)
      if (auto given = one.get(); !given)
        throw std::runtime_error{message_of(given.error())};
  }

  /// Resumes so often, over all sessions; returns how long it took.
  std::chrono::duration<double> run(std::size_t resumes) {
    left_ = static_cast<std::ptrdiff_t>(resumes);
    under_way_ = sessions_.size();
    const auto begin = clock_type::now();
    for (std::size_t i = 0; i < sessions_.size(); ++i)
      resume(i);
    std::unique_lock lock{mutex_};
    done_.wait(lock, [this] { return under_way_ == 0; });
    if (failed_)
      throw std::runtime_error{message_of(failed_)};
    return clock_type::now() - begin;
  }

private:
  void resume(std::size_t i) {
    if (--left_ < 0)
      return end();
    sessions_[i].send(
        tool_result{call_id{sessions_[i].id(), next_call_[i]++}, json{{"answer", "go on"}}},
        [this, i](const result<receipt>& given) {
          if (given)
            return resume(i);
          {
            const std::lock_guard lock{mutex_};
            failed_ = given.error();
          }
          end();
        });
  }

  void end() {
    const std::lock_guard lock{mutex_};
    --under_way_;
    done_.notify_all();
  }

  std::vector<session_handle> sessions_;
  std::vector<std::uint64_t> next_call_;
  std::atomic<std::ptrdiff_t> left_{0};
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t under_way_ = 0;
  caf::error failed_;
};

void check(int code) {
  if (code != MDB_SUCCESS)
    throw std::runtime_error{std::string{"LMDB: "} + mdb_strerror(code)};
}

/// Writes commits of given shapes with nothing but LMDB.
class plain_lmdb {
public:
  explicit plain_lmdb(const std::filesystem::path& directory) {
    std::filesystem::create_directories(directory);
    check(mdb_env_create(&environment_));
    check(mdb_env_set_maxdbs(environment_, 4));
    check(mdb_env_set_mapsize(environment_, std::size_t{1} << 40));
    check(mdb_env_open(environment_, directory.c_str(), MDB_NOTLS, 0600));
    MDB_txn* transaction = nullptr;
    check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    check(mdb_dbi_open(transaction, "log", MDB_CREATE | MDB_INTEGERKEY, &log_));
    check(mdb_dbi_open(transaction, "heads", MDB_CREATE | MDB_INTEGERKEY, &heads_));
    check(mdb_dbi_open(transaction, "parts", MDB_CREATE, &parts_));
    check(mdb_dbi_open(transaction, "pending", MDB_CREATE, &pending_));
    check(mdb_txn_commit(transaction));
  }
  plain_lmdb(const plain_lmdb&) = delete;
  plain_lmdb& operator=(const plain_lmdb&) = delete;
  ~plain_lmdb() { mdb_env_close(environment_); }

  std::chrono::duration<double> run(std::span<const commit_shape> shapes, std::size_t transactions,
                                    std::size_t sessions) {
    const std::vector<char> content(1 << 20, 'x');
    const auto begin = clock_type::now();
    for (std::size_t t = 0; t < transactions; ++t) {
      MDB_txn* transaction = nullptr;
      check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
      const auto end = shapes.size() * (t + 1) / transactions;
      for (auto i = shapes.size() * t / transactions; i < end; ++i)
        put(transaction, shapes[i], i % sessions, content.data());
      check(mdb_txn_commit(transaction));
    }
    return clock_type::now() - begin;
  }

private:
  void put(MDB_txn* transaction, const commit_shape& shape, std::size_t session,
           const char* content) {
    auto value = [&](std::size_t size) { return MDB_val{size, const_cast<char*>(content)}; };
    std::size_t position = ++position_;
    MDB_val number{sizeof position, &position};
    auto log = value(shape.log);
    check(mdb_put(transaction, log_, &number, &log, MDB_APPEND));
    std::size_t head_number = session + 1;
    MDB_val head_key{sizeof head_number, &head_number};
    auto head = value(shape.head);
    check(mdb_put(transaction, heads_, &head_key, &head, 0));
    std::uint64_t item = position_ * 4;
    for (const auto size : shape.parts)
      put_keyed(transaction, parts_, session, ++item, value(size));
    // As a store does it: the entry of the call that was answered goes, that of the next one comes.
    auto& entries = last_item_;
    for (const auto size : shape.pending) {
      if (size != 0)
        put_keyed(transaction, pending_, session, ++entries, value(size));
      else
        erase_first(transaction, session);
    }
  }

  struct composed_key {
    std::array<std::uint8_t, 21> data{};
    composed_key(std::size_t session, std::uint64_t item) {
      for (std::size_t i = 0; i < 8; ++i) {
        data[i] = static_cast<std::uint8_t>(session >> (56 - 8 * i));
        data[13 + i] = static_cast<std::uint8_t>(item >> (56 - 8 * i));
      }
    }
  };

  static void put_keyed(MDB_txn* transaction, MDB_dbi table, std::size_t session,
                        std::uint64_t item, MDB_val data) {
    composed_key composed{session, item};
    MDB_val key{composed.data.size(), composed.data.data()};
    check(mdb_put(transaction, table, &key, &data, 0));
  }

  void erase_first(MDB_txn* transaction, std::size_t session) {
    composed_key composed{session, 0};
    MDB_val key{composed.data.size(), composed.data.data()};
    MDB_val data{};
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(transaction, pending_, &cursor));
    if (mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE) == MDB_SUCCESS)
      check(mdb_cursor_del(cursor, 0));
    mdb_cursor_close(cursor);
  }

  MDB_env* environment_ = nullptr;
  MDB_dbi log_ = 0;
  MDB_dbi heads_ = 0;
  MDB_dbi parts_ = 0;
  MDB_dbi pending_ = 0;
  std::size_t position_ = 0;
  std::uint64_t last_item_ = 0;
};

struct spread {
  double least = 0;
  double median = 0;
  double most = 0;
};

spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

std::size_t bytes_of(std::span<const commit_shape> shapes) {
  std::size_t bytes = 0;
  for (const auto& shape : shapes) {
    bytes += shape.log + shape.head;
    for (const auto size : shape.parts)
      bytes += size;
    for (const auto size : shape.pending)
      bytes += size;
  }
  return bytes;
}

void measure(const std::filesystem::path& directory, std::size_t sessions, std::size_t resumes,
             std::size_t rounds) {
  const auto here = directory / std::to_string(sessions);
  const auto counted = std::make_shared<counting_store>(lmdb_store::open(here / "fermata").value());
  runtime_options options;
  options.store = counted;
  options.policy = approval_policy::allow_everything();
  runtime rt{options};
  if (auto error = rt.agents().add("asker", asker))
    throw std::runtime_error{message_of(error)};
  rt.start();
  workload work{rt, sessions};
  plain_lmdb plain{here / "plain"};
  work.run(resumes / 4); // warm
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratios;
  std::size_t transactions = 0;
  std::size_t commits = 0;
  std::size_t bytes = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    counted->transactions = 0;
    counted->shapes.clear();
    counted->shapes.reserve(resumes * 2);
    counted->counting = true;
    const auto time = work.run(resumes);
    counted->counting = false;
    const auto plain_time = plain.run(counted->shapes, counted->transactions, sessions);
    ours.push_back(static_cast<double>(resumes) / time.count());
    theirs.push_back(static_cast<double>(resumes) / plain_time.count());
    ratios.push_back(ours.back() / theirs.back());
    transactions += counted->transactions;
    commits += counted->shapes.size();
    bytes += bytes_of(counted->shapes);
  }
  const auto a = spread_of(ours);
  const auto b = spread_of(theirs);
  std::printf("%8zu | %8.0f %8.0f %8.0f | %8.0f %8.0f %8.0f | %5.2f | %8.1f | %6zu\n", sessions,
              a.least, a.median, a.most, b.least, b.median, b.most, spread_of(ratios).median,
              static_cast<double>(commits) / static_cast<double>(transactions), bytes / commits);
  std::fflush(stdout);
}

} // namespace

/// fermata_bench_resumes [ROUNDS] [DIRECTORY] [SESSIONS]
int main(int argc, char** argv) {
  const auto rounds = argc > 1 ? static_cast<std::size_t>(std::max(1, std::atoi(argv[1]))) : 5;
  const std::filesystem::path parent =
      argc > 2 ? std::filesystem::path{argv[2]} : std::filesystem::current_path();
  const auto only = argc > 3 ? static_cast<std::size_t>(std::atoi(argv[3])) : 0;
  std::printf("durable resumes per second, %zu rounds, full sync, in %s\n\n", rounds,
              parent.c_str());
  std::printf(
      "sessions |     fermata: min   median      max | plain LMDB: min  median  max  | ratio "
      "| sessions per transaction | bytes per resume\n");
  int status = 0;
  try {
    const fermata::test::temporary_directory folder{parent};
    for (const auto& [sessions, resumes] :
         {std::pair<std::size_t, std::size_t>{1, 400}, {10, 2'000}, {100, 8'000}, {1'000, 16'000}})
      if (only == 0 || only == sessions)
        measure(folder, sessions, resumes, rounds);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    status = 1;
  }
  return status;
}
