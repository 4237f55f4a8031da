// A process to be killed: a runtime on a store, whose tools leave effects in a file. It says on
// standard output what was acknowledged to it, a line each, as JSON; it reads its orders from the
// command line.

#include <fermata/actors/coro/coro.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/actors/tools/command_tool.hpp>
#include <fermata/actors/tools/process.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <caf/event_based_actor.hpp>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

using namespace fermata;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds patience{100'000};

/// Unbuffered: what a line says has happened before the process is killed.
void say(const json& line) {
  const auto text = to_text(line) + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    std::_Exit(3);
}

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "victim: " << why << std::endl;
  std::_Exit(2);
}

template <class T>
T need(result<T> value) {
  if (!value)
    give_up(message_of(value.error()));
  return std::move(*value);
}

/// One effect on the world: a durable line in a file.
void leave_effect(const std::string& file, const std::string& key) {
  const auto line = key + "\n";
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())
      || ::fsync(fd) != 0)
    give_up("no effect");
  ::close(fd);
}

coro::task<json> slow_effect(caf::event_based_actor* self, std::string file, std::string key) {
  co_await coro::delay(self, 1ms);
  leave_effect(file, key);
  co_return "slowly";
}

coro::task<step> thinker(step_context& context) {
  co_await coro::delay(context.self, 1ms);
  if (context.transcript.empty())
    co_return step::call("effect", json{{"thought", context.goal}});
  co_return step::finish(context.tool_results().front().answer.content);
}

void add_tool(runtime& to, std::string_view name, decltype(tool::run) run,
              bool idempotent = false) {
  tool added;
  added.name = need(tool_name::parse(name));
  added.idempotent = idempotent;
  added.run = std::move(run);
  if (auto error = to.tools().add(std::move(added)))
    give_up(message_of(error));
}

void add_effects(runtime& to, const std::string& file) {
  const blocking_tool effect{[file](const tool_context& context) -> result<json> {
    leave_effect(file, context.idempotency_key);
    return "done";
  }};
  add_tool(to, "effect", effect);
  add_tool(to, "idempotent", effect, true);
  add_tool(to, "slow",
           coroutine_tool{[file](caf::event_based_actor* self, const tool_context& context) {
             return slow_effect(self, file, context.idempotency_key);
           }});
  if (auto error = to.agents().add("thinker", thinker))
    give_up(message_of(error));
}

plan_spec effects_plan() {
  return need(
      parse_plan(R"({"goal": "leave effects", "tools": {"pay": {"kind": "client"}}, "subtasks": [
    {"id": "one", "steps": [{"tool": "effect", "arguments": {}}]},
    {"id": "two", "steps": [{"calls": [{"tool": "effect", "arguments": {}}, {"tool": "pay", "arguments": {}},
                                       {"tool": "slow", "arguments": {}}]}]},
    {"id": "three", "agent": "thinker"},
    {"id": "four", "depends_on": ["one", "two"], "steps": [{"tool": "idempotent", "arguments": {}}],
     "result": {"two": {"$ref": "/results/two"}}}]})"));
}

/// Sends a command; tells when it is acknowledged.
result<receipt> send(const session_handle& session, const command& body) {
  auto sent = session.send(body);
  if (sent.wait_for(patience) != std::future_status::ready)
    give_up("no answer in time");
  auto given = sent.get();
  if (given)
    say({{"event", given->event}, {"command", to_json(body)}});
  return given;
}

/// A person and a host that answer whatever is pending.
void answer_pending(const session_handle& session, store& from) {
  for (const auto& item : need(query_pending(from, session.id()))) {
    if (item.kind == pending_kind::plan) {
      need(send(session,
                decide_plan{need(plan_id::parse(item.id)).revision(), plan_verdict::approve}));
      continue;
    }
    const auto call = need(call_id::parse(item.id));
    switch (item.waiting_for) {
    case wait_cause::decision:
      need(send(session, decide_call{call, call_verdict::approve}));
      break;
    case wait_cause::result:
      need(send(session, tool_result{call, json{{"paid", call.number()}}}));
      break;
    case wait_cause::outcome: {
      resolve_outcome again{call, outcome_resolution::rerun};
      again.by = "a person";
      need(send(session, again));
      break;
    }
    default:
      give_up("nobody can answer " + item.id);
    }
  }
}

session_status paused(const session_handle& session) {
  auto status = need(session.wait_until_paused(patience));
  if (!status)
    give_up("not paused in time");
  return std::move(*status);
}

/// Brings a session's plan to its end, from wherever the process before has left it.
void run_to_end(const session_handle& session, store& from, const plan_spec& plan) {
  if (!session.status())
    need(send(session, propose_plan{plan}));
  auto woken = session.wake();
  if (woken.wait_for(patience) != std::future_status::ready)
    give_up("not woken in time");
  need(woken.get());
  for (auto status = paused(session); !accepts_new_plan(status.state); status = paused(session)) {
    if (status.waiting.total() == 0 && status.state != session_state::awaiting_plan_decision)
      give_up("a dead end");
    answer_pending(session, from);
  }
  say({{"ended", std::string{enum_names(
                     session_state{})[static_cast<std::size_t>(paused(session).state)]}}});
}

/// A store on a slow disk, with a process that dies at its commits: shortly before one is written,
/// or shortly after it was and before anybody is told. What the runtime does too early, it has
/// time to do.
class deadly_store final : public store {
public:
  deadly_store(std::shared_ptr<store> behind, std::uint64_t seed)
      : behind_{std::move(behind)}, random_{seed} {}

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    linger();
    auto outcomes = behind_->write(commits);
    linger();
    return outcomes;
  }
  result<reclaim_outcome> reclaim(std::size_t limit) override { return behind_->reclaim(limit); }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return behind_->find(session);
  }
  result<std::unique_ptr<view>> read() override { return behind_->read(); }

private:
  /// Lets the other threads go on for a while of any length, and at times ends them all.
  void linger() {
    constexpr std::uint64_t longest = 4'000;
    constexpr std::uint64_t one_in = 24;
    for (auto rounds = random_() % longest; rounds > 0; --rounds)
      std::this_thread::yield();
    if (random_() % one_in == 0)
      ::kill(::getpid(), SIGKILL);
  }

  std::shared_ptr<store> behind_;
  std::mt19937_64 random_; ///< Only the journal's thread writes.
};

/// effects STORE EFFECTS-FILE SESSION SEED
int run_effects(const std::vector<std::string>& words) {
  runtime_options options;
  options.store =
      std::make_shared<deadly_store>(need(lmdb_store::open(words.at(0))), std::stoull(words.at(3)));
  runtime rt{options};
  add_effects(rt, words.at(1));
  rt.start();
  say({{"started", true}});
  run_to_end(rt.session(need(session_id::parse(words.at(2)))), rt.store(), effects_plan());
  return 0;
}

/// command STORE LOCK-FILE WORKSPACE SHELL-COMMAND [PID...]: says which of the processes live as
/// soon as it may run commands itself.
int run_command(const std::vector<std::string>& words) {
  supervised_process_options with;
  with.lock_wait = 60s;
  with.termination_grace = 100ms;
  const auto runner = need(supervised_process_runner::create(words.at(1), with));
  auto alive = json::array();
  for (std::size_t i = 4; i < words.size(); ++i)
    if (::kill(static_cast<pid_t>(std::stol(words[i])), 0) == 0)
      alive.push_back(words[i]);
  runtime_options options;
  options.store = need(lmdb_store::open(words.at(0)));
  options.policy = approval_policy::allow_everything();
  runtime rt{options};
  if (auto error = rt.tools().add(execute_command_tool(runner)))
    give_up(message_of(error));
  rt.start();
  say({{"started", true}, {"alive", alive}});
  const auto session = rt.session(need(session_id::parse("s1")));
  auto plan = need(parse_plan(R"({"goal": "g", "subtasks": [{"id": "run", "steps": [
      {"tool": "execute_command", "arguments": {"argv": ["sh", "-c", "true"]}}]}]})"));
  plan.subtasks[0].steps[0]["arguments"]["argv"][2] = words.at(3);
  if (!session.status()) {
    need(send(session, propose_plan{plan, words.at(2)}));
    paused(session); // the command does not end by itself
    give_up("the command ended");
  }
  need(session.wake().get());
  for (const auto& item : need(query_pending(rt.store(), session.id()))) {
    resolve_outcome failed{need(call_id::parse(item.id)), outcome_resolution::failed};
    failed.reason = "the machine was switched off";
    need(send(session, failed));
  }
  const auto status = paused(session);
  say({{"ended", enum_name(status.state)}});
  return 0;
}

/// A file that takes all the room there is.
void fill_disk(const std::string& file) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string block(4096, 'x');
  while (::write(fd, block.data(), block.size()) > 0)
    continue;
  ::close(fd);
}

/// disk-full DIRECTORY: mounts a small file system of its own there.
int run_disk_full(const std::vector<std::string>& words) {
  const auto& root = words.at(0);
  if (::unshare(CLONE_NEWNS) != 0
      || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
      || ::mount("tmpfs", root.c_str(), "tmpfs", 0, "size=4m") != 0) {
    say({{"unsupported", std::strerror(errno)}});
    return 0;
  }
  runtime_options options;
  options.store = need(lmdb_store::open(root + "/store"));
  options.policy = approval_policy::allow_everything();
  runtime rt{options};
  rt.start();
  const auto plan = need(parse_plan(
      R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [{"id": "a", "steps": [
      {"tool": "ask", "arguments": {}}, {"tool": "ask", "arguments": {}}], "result": 1}]})"));
  const auto session = rt.session(need(session_id::parse("s1")));
  const auto other = rt.session(need(session_id::parse("s2")));
  need(send(session, propose_plan{plan}));
  need(send(other, propose_plan{plan}));
  const auto before = need(session.status());
  fill_disk(root + "/filler");
  const call_id first{session.id(), 1};
  const tool_result large{first, std::string(600'000, 'y')};
  for (int i = 0; i < 3; ++i) {
    const auto refused = session.send(large).get();
    say({{"refused", std::string{refused ? "no" : name_of(code_of(refused.error()))}},
         {"message", refused ? "" : message_of(refused.error())},
         {"unchanged", need(session.status()) == before}});
  }
  if (::unlink((root + "/filler").c_str()) != 0)
    give_up("the filler stays");
  need(send(session, large));
  need(send(session, tool_result{call_id{session.id(), 2}, 2}));
  need(send(other, tool_result{call_id{other.id(), 1}, 1}));
  const auto ended = paused(session);
  say({{"ended", enum_name(ended.state)}});
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "effects")
    return run_effects(words);
  if (mode == "command")
    return run_command(words);
  if (mode == "disk-full")
    return run_disk_full(words);
  give_up("effects, command or disk-full?");
}
