// Three nodes on one machine, each a process with a store of its own. One of them is killed while
// sessions wait on it; the others go on, and so do its sessions once it is back.

#include "../narrator.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

using namespace fermata;
using namespace fermata::example;
using namespace std::chrono_literals;

namespace {

constexpr auto plan_text = R"({"goal": "Sell", "tools": {"weigh": {"kind": "client"}}, "subtasks": [
  {"id": "weigh", "steps": [{"tool": "weigh", "arguments": {}}]},
  {"id": "bill", "depends_on": ["weigh"], "result": {"grams": {"$ref": "/results/weigh"}}}]})";

/// None of those that the system takes for connections that go out.
std::uint16_t free_port() {
  static auto port = static_cast<std::uint16_t>(10'000 + ::getpid() * 97 % 20'000);
  for (;;) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(++port);
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    const bool is_free = ::bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(made);
    if (is_free)
      return port;
  }
}

/// All nodes read it from the same file; in production it comes with the configuration.
member_list make_members(const std::filesystem::path& folder) {
  member_list list;
  list.cluster = must(node_name::parse("market"));
  for (const auto* name : {"lima", "paris", "tokyo"})
    list.members.emplace_back(must(node_name::parse(name)), "127.0.0.1", free_port());
  std::filesystem::create_directory(folder);
  std::ofstream{folder / "cluster.json"} << to_json(list).dump(2);
  return list;
}

/// How this node stands with the others.
class contacts {
public:
  void note(const peer_report& report) {
    const std::lock_guard lock{mutex_};
    states_[report.member.name.str()] = report.state;
    changed_.notify_all();
  }
  void wait_for(const std::string& name, contact_state state) {
    std::unique_lock lock{mutex_};
    expect(changed_.wait_for(lock, 60s,
                             [&] { return states_.contains(name) && states_[name] == state; }),
           name + " is " + enum_name(state));
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, contact_state> states_;
};

std::unique_ptr<cluster_node> start_node(const std::filesystem::path& folder,
                                         const std::string& name, contacts& seen) {
  std::ostringstream text;
  text << std::ifstream{folder / "cluster.json"}.rdbuf();
  cluster_options net;
  net.name = must(node_name::parse(name));
  net.members = must(parse_member_list(text.str()));
  net.on_contact = [&seen](const peer_report& report) { seen.note(report); };
  runtime_options options;
  options.store = must(lmdb_store::open(folder / name));
  options.policy = approval_policy::allow_everything();
  auto node = std::make_unique<cluster_node>(std::move(net), std::move(options));
  must(node->start());
  return node;
}

/// Another process with a node in it, which ends when this one does.
class other_node {
public:
  other_node(const std::filesystem::path& folder, std::string name) {
    int ends[2];
    expect(::pipe2(ends, O_CLOEXEC) == 0, "there is a pipe");
    life_ = ends[1];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    auto program = std::string{"/proc/self/exe"};
    auto where = folder.string();
    char* arguments[] = {program.data(), where.data(), name.data(), nullptr};
    const auto failed =
        ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    expect(failed == 0, "another process begins");
  }
  other_node(const other_node&) = delete;
  other_node& operator=(const other_node&) = delete;
  ~other_node() {
    ::close(life_);
    ::waitpid(process_, nullptr, 0);
  }

  void kill() const { ::kill(process_, SIGKILL); }

private:
  int life_ = -1;
  pid_t process_ = -1;
};

int be_other_node(const std::filesystem::path& folder, const std::string& name) {
  contacts unused;
  const auto node = start_node(folder, name, unused);
  for (char byte = 0; ::read(STDIN_FILENO, &byte, 1) > 0;)
    ;
  return 0;
}

session_id sale(int number) {
  return must(session_id::parse("sale-" + std::to_string(number)));
}

/// What becomes of a result that tokyo is given for a sale.
void weigh(cluster_node& at, int number, send_options how = {}) {
  const auto session = at.session(sale(number));
  const auto answer = session.send(tool_result{call_id{sale(number), 1}, 400 + number}, how).get();
  if (answer)
    (void)must(session.wait_until_paused(30s));
  std::cout << "   " << sale(number).str() << " on " << at.home_of(sale(number))->name.str() << ": "
            << (answer ? enum_name(must(session.status()).state)
                       : std::string{name_of(code_of(answer.error()))})
            << std::endl;
}

void tell(const std::filesystem::path& folder) {
  constexpr int sales = 6;
  (void)make_members(folder);
  heading("three nodes begin, and find each other");
  contacts seen;
  const auto tokyo = start_node(folder, "tokyo", seen);
  const other_node lima{folder, "lima"};
  auto paris = std::make_unique<other_node>(folder, "paris");
  seen.wait_for("lima", contact_state::connected);
  seen.wait_for("paris", contact_state::connected);

  heading("tokyo is given six sales; each lives on the node that its name chooses");
  const auto plan = must(parse_plan(plan_text));
  for (int number = 1; number <= sales; ++number) {
    const auto session = tokyo->session(sale(number));
    must(session.send(propose_plan{plan}).get());
    const auto status = must(session.wait_until_paused(30s));
    std::cout << "   " << session.id().str() << " on " << tokyo->home_of(session.id())->name.str()
              << ": " << enum_name(status->state) << std::endl;
  }

  heading("paris is killed, and the sales are weighed");
  paris->kill();
  seen.wait_for("paris", contact_state::apart);
  for (int number = 1; number <= sales; ++number)
    weigh(*tokyo, number);

  heading("paris is back, and takes what waited for it; elsewhere it is an answer twice");
  paris = std::make_unique<other_node>(folder, "paris");
  for (int number = 1; number <= sales; ++number)
    weigh(*tokyo, number, send_options{30s});
}

} // namespace

int main(int count, char** values) try {
  if (count == 3)
    return be_other_node(values[1], values[2]);
  if (count != 2 || std::filesystem::exists(values[1])) {
    std::cerr << "usage: cluster FOLDER (which is made)\n";
    return 2;
  }
  tell(std::filesystem::absolute(values[1]));
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
