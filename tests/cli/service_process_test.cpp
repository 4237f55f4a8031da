// `fermata serve` as a process: its start, its end, its death, and a thousand clients.
#include "earlier.hpp"
#include "sandbox.hpp"
#include "service_support.hpp"

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <future>

namespace service_process_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A running service over a sandbox's store.
class service_process {
public:
  explicit service_process(const sandbox& box, std::vector<std::string> options = {})
      : socket_{box.store() / "service.sock"}, process_{invocation(box, std::move(options))} {
    if (!process_.expect("\"serving\""))
      throw std::runtime_error{"the service does not start: " + process_.error_output()};
  }

  [[nodiscard]] http_client client() const { return http_client{socket_}; }
  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }
  [[nodiscard]] child& process() { return process_; }

private:
  static child_options invocation(const sandbox& box, std::vector<std::string> options) {
    options.insert(options.begin(), {"--json", "serve"});
    return box.invocation(std::move(options));
  }

  std::filesystem::path socket_;
  child process_;
};

json announcement_of(const sandbox& box) {
  std::ifstream file{box.store() / "service.json"};
  return json::parse(file);
}

/// The command that proposes a plan of one command, which runs until the pipe `gate` is opened.
std::string endless_proposal(const sandbox& box) {
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  return json{{"type", "propose_plan"},
              {"workspace", box.workspace().string()},
              {"plan", parse_json(plan_of("execute_command",
                                          {{"argv", {"sh", "-c", "echo x >>starts; cat gate"}}}))
                           .value()}}
      .dump();
}

/// Reads chunks until one of this type has come, and gives the last number.
std::uint64_t read_until(http_client& client, std::string_view type) {
  for (;;) {
    const auto event = client.next_event();
    REQUIRE(event);
    if (event->name == "chunk" && event->data.at("body").at("type") == type)
      return event->id.value();
  }
}

/// The number of a stream's next event, which must be a chunk.
std::uint64_t next_number(http_client& client) {
  const auto event = client.next_event();
  if (!event || !event->id)
    throw std::runtime_error{event ? event->name + ": " + event->data.dump() : "it has ended"};
  return *event->id;
}

/// A process's own memory: VmRSS counts the mapped file, too.
double own_memory_megabytes(pid_t process) {
  std::ifstream status{"/proc/" + std::to_string(process) + "/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:"))
      return std::stod(line.substr(8)) / 1024;
  throw std::runtime_error{"there is no RssAnon"};
}

void allow_files(rlim_t count) {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(limit.rlim_max >= count);
  limit.rlim_cur = std::max(limit.rlim_cur, count);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/// Lets the session `s` run its one tool, with the events that follow yet to be read.
void run_tool(http_client& client, const std::string& command) {
  tell(client, "s", command);
  tell(client, "s", approval_of_plan());
  client.request("POST", commands_of("s"), approval_of_call("s:c1"));
  CHECK(client.receive_header().status == 200);
}

} // namespace

TEST_CASE("a service says where it is, and takes it back at its end, which SIGTERM brings") {
  const sandbox box;
  service_process service{box};
  const auto announced = announcement_of(box);
  const auto store = std::filesystem::canonical(box.store()).string();
  CHECK(announced
        == json{{"socket", service.socket().string()},
                {"pid", service.process().pid()},
                {"store", store}});
  CHECK(service.client().call("GET", "/healthz").value().at("store") == store);
  for (const auto* name : {"service.json", "service.sock"}) {
    struct stat found {};
    REQUIRE(::lstat((box.store() / name).c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
  }
  CHECK(service.client().call("GET", "/readyz").status == 200);
  service.process().signal(SIGTERM);
  CHECK(service.process().wait() == 0);
  CHECK_FALSE(std::filesystem::exists(box.store() / "service.json"));
  CHECK_FALSE(std::filesystem::exists(service.socket()));
  CHECK(service.process().error_output().empty());
}

TEST_CASE("a second service for a store is refused, and the first goes on") {
  const sandbox box;
  service_process service{box};
  const auto second = box.run({"serve", "--socket", (box.workspace() / "other").string()});
  CHECK(second.status == 4);
  CHECK(second.error().at("error") == "store_busy");
  CHECK(announcement_of(box).at("pid") == service.process().pid());
  CHECK(service.client().call("GET", "/healthz").status == 200);
}

TEST_CASE("queries of the command look at the store beside the service") {
  const sandbox box;
  service_process service{box};
  auto client = service.client();
  tell(client, "s", proposal());
  CHECK(box.run({"status", "s"}).last().at("state") == "awaiting_plan_decision");
}

TEST_CASE(
    "SIGTERM in the middle of a stream ends it with shutting_down, and the plan goes on later") {
  const sandbox box;
  const auto command = endless_proposal(box);
  {
    service_process service{box};
    auto client = service.client();
    run_tool(client, command);
    read_until(client, "call_claimed");
    service.process().signal(SIGTERM);
    const auto rest = client.all_events();
    REQUIRE_FALSE(rest.empty());
    CHECK(rest.back().name == "error");
    CHECK(rest.back().data.at("error") == "shutting_down");
    CHECK(client.ended_well());
    CHECK(service.process().wait() == 0);
  }
  service_process again{box};
  auto client = again.client();
  // What it was doing is not known, and nobody has to ask for it to say so.
  client.request("GET", "/v1/sessions/s/stream");
  CHECK(client.receive_header().status == 200);
  read_until(client, "outcome_unknown");
}

TEST_CASE("a service that is killed in a stream loses nothing, and its client goes on from there") {
  const sandbox box;
  const auto command = endless_proposal(box);
  std::uint64_t last = 0;
  {
    service_process service{box};
    auto client = service.client();
    run_tool(client, command);
    last = read_until(client, "state_changed"); // it runs
    service.process().signal(SIGKILL);
    CHECK(client.all_events().empty());
    CHECK_FALSE(client.ended_well());
    service.process().wait();
  }
  // The dead one's socket and announcement are still there.
  CHECK(std::filesystem::exists(box.store() / "service.sock"));
  service_process again{box};
  auto client = again.client();
  client.request("GET", "/v1/sessions/s/stream", {}, {{"Last-Event-ID", std::to_string(last)}});
  CHECK(client.receive_header().status == 200);
  std::string types;
  do {
    const auto event = client.next_event();
    REQUIRE(event);
    REQUIRE(event->id == ++last);
    types += event->data.at("body").at("type").get<std::string>() + " ";
  } while (types.find("state_changed") == std::string::npos);
  INFO(types);
  CHECK(types.find("outcome_unknown") != std::string::npos);
  CHECK(box.read("starts").size() <= 2); // nobody ran it again
  auto other = again.client();
  const auto resolved = other.call("POST", commands_of("s"),
                                   R"({"type": "resolve_outcome", "call": "s:c1",
                                       "resolution": "happened", "content": {"exit_status": 0}})");
  CHECK(parse_events(resolved.body).back().data.at("status").at("state") == "completed");
}

TEST_CASE("a service starts beside a damaged session that was left running, and lists the others") {
  const sandbox box;
  const auto command = endless_proposal(box);
  {
    service_process service{box};
    auto client = service.client();
    run_tool(client, command);
    read_until(client, "state_changed"); // it runs
    auto other = service.client();
    CHECK(other.call("POST", commands_of("other"), command).status == 200);
    service.process().signal(SIGKILL);
    service.process().wait();
  }
  damage_session(box.store(), number_of(box.store(), *session_id::parse("s")));
  service_process again{box};
  auto client = again.client();
  const auto page = parse_json(client.call("GET", "/v1/sessions").body).value();
  INFO(page.dump());
  REQUIRE(page.at("sessions").size() == 1);
  CHECK(page.at("sessions")[0].at("session") == "other");
  CHECK(page.at("damaged").size() == 1);
  again.process().signal(SIGTERM);
  CHECK(again.process().wait() == 0);
  CHECK(contains(again.process().error_output(), "session number"));
}

TEST_CASE("a second signal ends a service at once, also while a tool does not stop") {
  const sandbox box;
  const auto command = endless_proposal(box);
  service_process service{box};
  auto client = service.client();
  run_tool(client, command);
  read_until(client, "call_claimed");
  // Together: the second comes before anything has stopped.
  ::kill(service.process().pid(), SIGSTOP);
  service.process().signal(SIGTERM);
  service.process().signal(SIGINT);
  ::kill(service.process().pid(), SIGCONT);
  CHECK(service.process().wait() == 130);
}

TEST_CASE("a service fires timers that nobody addresses") {
  const sandbox box;
  service_process service{box};
  auto client = service.client();
  tell(client, "s",
       R"({"type": "propose_plan", "plan": {"goal": "wait", "subtasks": [
           {"id": "a", "steps": [{"sleep_ms": 50}]}]}})");
  client.request("GET", "/v1/sessions/s/stream");
  CHECK(client.receive_header().status == 200);
  auto other = service.client();
  tell(other, "s", approval_of_plan());
  read_until(client, "subtask_slept");
  read_until(client, "plan_ended");
}

TEST_CASE("options of a service that make no sense are bad usage") {
  const sandbox box;
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "serve");
    const auto ended = box.run(std::move(words));
    CHECK(ended.status == 2);
    return ended.err;
  };
  CHECK(refusal({"--listen", "127.0.0.1:0"}).find("--token-file") != std::string::npos);
  CHECK(refusal({"--approve", "all"}).find("none or reads") != std::string::npos);
  CHECK(refusal({"--connections", "0"}).find("--connections") != std::string::npos);
  const auto token = box.write("token", "0123456789abcdef");
  ::chmod(token.c_str(), 0644);
  CHECK(refusal({"--listen", "127.0.0.1:0", "--token-file", token}).find("chmod 600")
        != std::string::npos);
  ::chmod(token.c_str(), 0600);
  CHECK(refusal({"--listen", "0.0.0.0:0", "--token-file", token}).find("loopback")
        != std::string::npos);
  CHECK(refusal({"--connections", "900000"}).find("ulimit") != std::string::npos);
  CHECK(refusal({"--socket", std::string(120, 'x')}).find("too long") != std::string::npos);
  CHECK(refusal({"--socket", token}).find("no socket") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("a service that cannot be where it is to be lets no timer fire") {
  const sandbox box;
  {
    earlier then{box, 1h};
    then.start("s", seed_plan());
    then.apply("s", set_deadline{then.now() + 10min});
  }
  const auto before = box.run({"status", "s"}).last();
  CHECK(before.at("state") == "waiting");
  const sandbox other;
  service_process taken{other};
  const auto refused = box.run({"serve", "--socket", taken.socket().string()});
  CHECK(refused.status == 2);
  CHECK(refused.error().at("message").get<std::string>().find("is taken") != std::string::npos);
  CHECK(box.run({"status", "s"}).last() == before);
  CHECK_FALSE(std::filesystem::exists(box.store() / "service.json"));
  CHECK(taken.client().call("GET", "/healthz").status == 200);
}

TEST_CASE("a socket where somebody serves is refused before there is a store") {
  const sandbox other;
  service_process taken{other};
  const sandbox box;
  CHECK(box.run({"serve", "--socket", taken.socket().string()}).status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE(
    "a signal that comes while a service reads its files ends it, before it touches the store") {
  const sandbox box;
  const auto pipe = box.workspace() / "policy";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  child process{box.invocation({"--json", "serve", "--policy", pipe.string()})};
  // It can be opened once the other end was: then the service is about to read.
  int writer = -1;
  REQUIRE(eventually(
      [&] { return (writer = ::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0; }));
  process.signal(SIGTERM);
  const std::string_view policy{R"({"rules": [], "default": "ask"})"};
  CHECK(::write(writer, policy.data(), policy.size()) == static_cast<ssize_t>(policy.size()));
  ::close(writer);
  CHECK(process.wait() == 130);
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("a thousand clients follow their sessions at once, and cost a bounded memory") {
  constexpr std::size_t clients = 1'000;
  allow_files(clients + 256);
  const sandbox box;
  service_process service{box};
  auto first = service.client();
  tell(first, "s", proposal());
  const auto before = own_memory_megabytes(service.process().pid());
  std::vector<http_client> watchers;
  for (std::size_t i = 0; i < clients; ++i) {
    watchers.push_back(service.client());
    watchers.back().request("GET", "/v1/sessions/s/stream");
  }
  for (auto& one : watchers) {
    REQUIRE(one.receive_header().status == 200);
    REQUIRE(next_number(one) == 1);
  }
  std::ifstream status{"/proc/" + std::to_string(service.process().pid()) + "/status"};
  std::string threads;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Threads:"))
      threads = line.substr(9);
  CHECK(std::stoi(threads) < 32);

  tell(first, "s", approval_of_plan());
  const auto events = first.call("GET", "/v1/sessions/s").value().at("events").get<std::uint64_t>();
  for (auto& one : watchers)
    for (std::uint64_t number = 2; number <= events; ++number)
      REQUIRE(next_number(one) == number);
  const auto after = own_memory_megabytes(service.process().pid());
  WARN("RssAnon of the service: " << before << " MB, with " << clients << " clients " << after
                                  << " MB; threads: " << threads);
#ifndef __SANITIZE_ADDRESS__
  CHECK(after - before < 64); // 64 KB a client
#endif
  // Some of them are told that it ends, in the time that it has for that.
  while (watchers.size() > 100)
    watchers.pop_back();
  service.process().signal(SIGTERM);
  for (auto& one : watchers) {
    const auto event = one.next_event();
    REQUIRE(event);
    REQUIRE(event->name == "error");
  }
  CHECK(service.process().wait() == 0);
}

} // namespace service_process_test
