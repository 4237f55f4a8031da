#pragma once

#include <fermata/actors/coro/coro.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>

#include <temporary_directory.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// A runtime with real threads on a real store. Nothing here waits for a time: what is waited for
/// comes, or `patience` runs out and the test fails.
namespace fermata::test {

inline constexpr std::chrono::milliseconds patience{100'000};

inline session_id named(std::string_view text) {
  return session_id::parse(text).value();
}

inline call_id call(std::string_view session, std::uint64_t number) {
  return call_id{named(session), number};
}

inline tool_name tool_named(std::string_view text) {
  return tool_name::parse(text).value();
}

inline plan_spec plan(std::string_view text) {
  auto parsed = parse_plan(text);
  if (!parsed)
    throw std::runtime_error{message_of(parsed.error())};
  return std::move(*parsed);
}

inline std::shared_ptr<lmdb_store> open_store(const temporary_directory& folder) {
  auto opened = lmdb_store::open(folder.path() / "store");
  if (!opened)
    throw std::runtime_error{message_of(opened.error())};
  return *opened;
}

/// Options over a store, without decisions: every plan and call is approved by the policy.
inline runtime_options unattended(std::shared_ptr<store> with) {
  runtime_options options;
  options.store = std::move(with);
  options.policy = approval_policy::allow_everything();
  return options;
}

inline void add_tool(runtime& to, std::string_view name, decltype(tool::run) run) {
  tool added;
  added.name = tool_named(name);
  added.run = std::move(run);
  if (auto error = to.tools().add(std::move(added)))
    throw std::runtime_error{message_of(error)};
}

inline void add_agent(runtime& to, std::string_view name, agent_function run) {
  if (auto error = to.agents().add(name, std::move(run)))
    throw std::runtime_error{message_of(error)};
}

/// The answer to a command, which must come.
inline result<receipt> answer(std::future<result<receipt>> sent) {
  if (sent.wait_for(patience) != std::future_status::ready)
    throw std::runtime_error{"no answer in time"};
  return sent.get();
}

/// The receipt of a command, which must be accepted.
inline receipt accept(std::future<result<receipt>> sent) {
  auto answered = answer(std::move(sent));
  if (!answered)
    throw std::runtime_error{"refused: " + message_of(answered.error())};
  return *answered;
}

/// The code of a command's error; `errc{}` when it was accepted.
inline errc refusal(std::future<result<receipt>> sent) {
  auto answered = answer(std::move(sent));
  return answered ? errc{} : code_of(answered.error());
}

/// The session's status once it no longer moves by itself.
inline session_status paused(const session_handle& session) {
  auto status = session.wait_until_paused(patience);
  if (!status)
    throw std::runtime_error{message_of(status.error())};
  if (!*status)
    throw std::runtime_error{"session " + session.id().str() + " was not paused in time"};
  return std::move(**status);
}

/// An event that threads wait for.
class signal_flag {
public:
  void raise() {
    const std::lock_guard lock{mutex_};
    raised_ = true;
    changed_.notify_all();
  }
  /// False: it was not raised in time, or `stop` was requested first.
  bool wait(std::stop_token stop = {}) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, stop, patience, [this] { return raised_; });
    return raised_;
  }
  [[nodiscard]] bool raised() const {
    const std::lock_guard lock{mutex_};
    return raised_;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool raised_ = false;
};

/// A store whose writes can be held up.
class gated_store final : public store {
public:
  explicit gated_store(std::shared_ptr<store> behind) : behind_{std::move(behind)} {}

  void close_gate() { set_open(false); }
  void open_gate() { set_open(true); }

  /// Waits until a write stands before the closed gate.
  void wait_for_writer() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, patience, [this] { return held_ > 0; }))
      throw std::runtime_error{"nobody writes"};
  }

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    {
      std::unique_lock lock{mutex_};
      ++held_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      --held_;
    }
    return behind_->write(commits);
  }
  result<reclaim_outcome> reclaim(std::size_t limit) override { return behind_->reclaim(limit); }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return behind_->find(session);
  }
  /// A defect of the store, which no error tells of.
  void break_reading(bool broken) { broken_ = broken; }
  result<std::unique_ptr<view>> read() override {
    if (broken_)
      throw std::logic_error{"a defect"};
    return behind_->read();
  }

private:
  void set_open(bool open) {
    const std::lock_guard lock{mutex_};
    open_ = open;
    changed_.notify_all();
  }

  std::shared_ptr<store> behind_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> broken_{false};
  bool open_ = true;
  int held_ = 0;
};

/// A host that has an actor system of its own.
class host_system {
public:
  host_system() {
    configure(config_);
    system_ = std::make_unique<caf::actor_system>(config_);
    before_ = actors();
  }

  [[nodiscard]] caf::actor_system& system() { return *system_; }
  [[nodiscard]] std::size_t actors() const { return system_->registry().running(); }
  /// Actors that a runtime has brought and not taken away.
  [[nodiscard]] std::size_t guests() const { return actors() - before_; }

  /// Waits, busily, until there are so many guests.
  [[nodiscard]] bool wait_for_guests(std::size_t count) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (guests() != count) {
      if (std::chrono::steady_clock::now() > deadline)
        return false;
      std::this_thread::yield();
    }
    return true;
  }

private:
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::size_t before_ = 0;
};

/// Two subtasks: the first calls the client tool `ask_shop`, the second depends on it.
inline plan_spec shop_plan() {
  return plan(R"({"goal": "buy", "tools": {"ask_shop": {"kind": "client"}}, "subtasks": [
    {"id": "first", "steps": [{"tool": "ask_shop", "arguments": {"item": "tea"}}]},
    {"id": "second", "depends_on": ["first"], "result": {"got": {"$ref": "/results/first"}}}]})");
}

/// One subtask that calls a tool of the runtime.
inline plan_spec tool_plan(std::string_view tool) {
  return plan(R"({"goal": "use it", "subtasks": [{"id": "use", "steps": [{"tool": ")"
              + std::string{tool} + R"(", "arguments": {}}]}]})");
}

/// One subtask of another agent.
inline plan_spec agent_plan(std::string_view agent) {
  return plan(R"({"goal": "think", "subtasks": [{"id": "think", "agent": ")" + std::string{agent}
              + R"("}]})");
}

} // namespace fermata::test
