#pragma once

#include "http_client.hpp"

#include <fermata/actors/runtime.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <service/live_board.hpp>
#include <service/server.hpp>

#include <temporary_directory.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace fermata::test {

/// A server within this process, over a runtime with a store of its own, at a Unix socket.
class hosted_server {
public:
  using setup = std::function<void(service::server_options&)>;

  /// `change` changes what the server is opened with; `prepare` the runtime, before it starts;
  /// `wrap` puts something between them and the store.
  explicit hosted_server(
      const setup& change = {}, const std::function<void(runtime&)>& prepare = {},
      const std::function<std::shared_ptr<store>(std::shared_ptr<store>)>& wrap = {}) {
    runtime_options options;
    options.store = lmdb_store::open(folder_.path() / "store").value();
    if (wrap)
      options.store = wrap(std::move(options.store));
    running_ = std::make_unique<runtime>(std::move(options));
    if (prepare)
      prepare(*running_);
    service::server_options where;
    where.socket = socket();
    if (change)
      change(where);
    auto bound = service::server::bind(*running_, live_, std::move(where));
    if (!bound)
      throw std::runtime_error{message_of(bound.error())};
    server_ = std::move(*bound);
    running_->start();
    server_->start();
  }

  [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "socket"; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }
  [[nodiscard]] http_client client() const { return http_client{socket()}; }
  [[nodiscard]] service::server& server() { return *server_; }
  [[nodiscard]] runtime& running() { return *running_; }
  [[nodiscard]] service::live_board& live() { return live_; }

private:
  temporary_directory folder_;
  service::live_board live_;
  std::unique_ptr<runtime> running_;
  std::unique_ptr<service::server> server_;
};

/// Waits for something that nobody tells. False: it did not come in time.
template <class Predicate>
bool eventually(Predicate is_true) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{120};
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::yield();
  }
  return true;
}

inline std::string commands_of(std::string_view session) {
  return "/v1/sessions/" + std::string{session} + "/commands";
}

/// The command that proposes a plan of one subtask that makes `calls` calls of a client tool.
inline std::string proposal(int calls = 1) {
  auto steps = json::array();
  for (int i = 0; i < calls; ++i)
    steps.push_back({{"tool", "look"}, {"arguments", {{"at", i}}}});
  return json{{"type", "propose_plan"},
              {"plan",
               {{"goal", "look"},
                {"tools", {{"look", {{"kind", "client"}}}}},
                {"subtasks", {{{"id", "a"}, {"steps", steps}}}}}}}
      .dump();
}

inline std::string approval_of_plan(int revision = 1) {
  return json{{"type", "decide_plan"}, {"revision", revision}, {"verdict", "approve"}}.dump();
}

inline std::string approval_of_call(const std::string& call) {
  return json{{"type", "decide_call"}, {"call", call}, {"verdict", "approve"}}.dump();
}

inline std::string result_of(const std::string& call, const json& content) {
  return json{{"type", "tool_result"}, {"call", call}, {"content", content}}.dump();
}

inline const http_headers wants_receipt{{"Accept", "application/json"}};

/// Gives a session a command, which must be accepted, without waiting for its pause.
inline void tell(http_client& client, std::string_view session, std::string_view command) {
  const auto answer = client.call("POST", commands_of(session), command, wants_receipt);
  if (answer.status != 200)
    throw std::runtime_error{"refused: " + answer.body};
}

} // namespace fermata::test
