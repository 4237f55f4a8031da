#pragma once

#include "../runtime/support.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/actors/queries.hpp>

#include <free_port.hpp>

#include <array>
#include <map>

/// Several nodes in this process, each with its own actor system and store, over real sockets.
namespace fermata::test {

inline node_name node_named(std::string_view text) {
  return node_name::parse(text).value();
}

inline bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline member_list members_named(const std::vector<std::string>& names) {
  member_list list;
  list.cluster = node_named("test");
  for (const auto& name : names)
    list.members.emplace_back(node_named(name), "127.0.0.1", free_port());
  return list;
}

/// What on_contact and on_refused say, to wait for.
class contact_log {
public:
  void write(const std::string& line) {
    const std::lock_guard lock{mutex_};
    lines_.push_back(line);
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(const std::string& part) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return contains(part); });
  }
  /// As if the lines with `part` had not been written: what comes after them can be waited for.
  void forget(const std::string& part) {
    const std::lock_guard lock{mutex_};
    std::erase_if(lines_, [&](const auto& line) { return line.find(part) != std::string::npos; });
  }
  [[nodiscard]] std::string text() {
    const std::lock_guard lock{mutex_};
    std::string all;
    for (const auto& line : lines_)
      all += "\n" + line;
    return all;
  }
  [[nodiscard]] bool has(const std::string& part) {
    const std::lock_guard lock{mutex_};
    return contains(part);
  }

private:
  [[nodiscard]] bool contains(const std::string& part) const {
    for (const auto& line : lines_)
      if (line.find(part) != std::string::npos)
        return true;
    return false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// Lets a test wait for what nodes do with their slots.
class slot_watch {
public:
  void changed() {
    const std::lock_guard lock{mutex_};
    changed_.notify_all();
  }
  template <class Predicate>
  [[nodiscard]] bool wait_until(const Predicate& holds) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock{mutex_};
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline)
        return false;
      changed_.wait_for(lock, std::chrono::milliseconds{20}); // not all of it is told
    }
    return true;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

inline contact_timing quick() {
  contact_timing timing;
  timing.head_start = std::chrono::milliseconds{200};
  timing.first_retry = std::chrono::milliseconds{20};
  timing.longest_retry = std::chrono::milliseconds{100};
  timing.refused_retry = std::chrono::milliseconds{100};
  return timing;
}

/// A node and what it stands on, which outlives its stops.
struct test_node {
  test_node(std::string called, member_list of) : name{std::move(called)}, members{std::move(of)} {}

  [[nodiscard]] cluster_options options() {
    cluster_options net;
    net.name = node_named(name);
    net.members = members;
    net.tls = tls;
    net.timing = timing;
    net.on_contact = [this](const peer_report& report) {
      log.write(report.member.name.str() + " " + enum_name(report.state) + " " + report.reason);
    };
    net.on_refused = [this](const node_name& who, const std::string& why) {
      log.write("refused " + who.str() + ": " + why);
    };
    if (adjust)
      adjust(net);
    return net;
  }

  [[nodiscard]] caf::error try_start() {
    auto with = unattended(std::make_shared<gated_store>(open_store(folder)));
    gate = std::static_pointer_cast<gated_store>(with.store);
    with.limits = limits;
    with.policy = policy;
    running = std::make_unique<cluster_node>(options(), std::move(with));
    if (setup)
      setup(running->local());
    return running->start();
  }
  void start() {
    if (auto error = try_start())
      throw std::runtime_error{message_of(error)};
  }
  void stop() {
    running.reset();
    gate.reset();
  }
  [[nodiscard]] session_handle session(const std::string& id) const {
    return running->session(named(id));
  }
  /// Whether it is stored here.
  [[nodiscard]] bool has(const std::string& session) const {
    return gate->find(named(session)).value().has_value();
  }

  std::string name;
  member_list members;
  std::optional<tls_files> tls;
  contact_timing timing = quick();
  fermata::limits limits;
  approval_policy policy = approval_policy::allow_everything();
  std::function<void(cluster_options&)> adjust;
  std::function<void(runtime&)> setup; ///< Before it starts.
  temporary_directory folder;
  contact_log log;
  std::shared_ptr<gated_store> gate;
  std::unique_ptr<cluster_node> running;
};

/// Nodes that know each other.
struct test_cluster {
  explicit test_cluster(const std::vector<std::string>& names) : members{members_named(names)} {
    for (const auto& name : names)
      nodes.try_emplace(name, name, members);
  }
  void start() {
    for (auto& [name, one] : nodes)
      one.start();
    for (auto& [name, one] : nodes)
      for (const auto& [other, ignored] : nodes)
        if (other != name && !one.log.wait_for(other + " connected"))
          throw std::runtime_error{name + " does not reach " + other + one.log.text()};
    // Whoever was first may have tried before the others listened.
    for (auto& [name, one] : nodes)
      one.log.forget(" apart");
  }
  test_node& operator[](const std::string& name) { return nodes.at(name); }
  test_node& home_of(const std::string& session) {
    return nodes.at(fermata::home_of(members, named(session)).name.str());
  }
  /// A session that lives on a node.
  [[nodiscard]] std::string session_on(const std::string& node, int which = 0) const {
    for (int number = 0;; ++number) {
      auto id = "s" + std::to_string(number);
      if (fermata::home_of(members, named(id)).name.str() == node && which-- == 0)
        return id;
    }
  }

  member_list members;
  std::map<std::string, test_node> nodes;
};

} // namespace fermata::test
