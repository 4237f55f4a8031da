#pragma once

#include "sandbox.hpp"
#include "service_support.hpp"

#include <fermata/messages/cluster.hpp>

#include <free_port.hpp>

#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::test {

inline node_name node_named(std::string_view text) {
  return node_name::parse(text).value();
}

inline member_list members_named(const std::vector<std::string>& names) {
  member_list list;
  list.cluster = node_named("market");
  for (const auto& name : names)
    list.members.emplace_back(node_named(name), "127.0.0.1", free_port());
  return list;
}

/// A node's store, and the node as long as it runs.
class node_process {
public:
  node_process(std::string called, const member_list& members) : name{std::move(called)} {
    file_ = box.write("members.json", to_text(to_json(members)));
  }

  void start(std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"--json", "node", "--members", file_, "--name", name});
    running_ = std::make_unique<child>(box.invocation(std::move(options)));
    if (!running_->expect("\"serving\""))
      throw std::runtime_error{name + " does not start: " + running_->error_output()};
  }
  void kill() {
    running_->signal(SIGKILL);
    running_->wait();
    running_.reset();
  }
  [[nodiscard]] child& process() { return *running_; }
  [[nodiscard]] http_client client() const { return http_client{box.store() / "service.sock"}; }
  [[nodiscard]] http_answer get(const std::string& target) const {
    return client().call("GET", target);
  }
  [[nodiscard]] const std::string& members_file() const { return file_; }

  std::string name;
  sandbox box;

private:
  std::string file_;
  std::unique_ptr<child> running_;
};

} // namespace fermata::test
