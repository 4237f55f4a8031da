#pragma once

#include "http.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/redaction.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fermata::service {

/// A page of a list ends when it is so long.
inline constexpr std::size_t max_page_size_bytes = 4'000'000;

/// What requests are answered from.
struct route_context {
  fermata::store* store = nullptr;
  std::string store_path;   ///< Told by `/healthz`; empty: not for this client.
  bool is_stopping = false; ///< Commands and streams are refused with `shutting_down`.
  /// The text of `/metrics` (Prometheus 0.0.4); absent: an empty one.
  std::function<std::string()> metrics;
  redactor redaction;   ///< Of what clients are shown.
  bool is_node = false; ///< Of a cluster.
  /// Of a node with a store of its own: true where a session lives on another one. Absent: what
  /// there is can be read here.
  std::function<bool(const session_id&)> is_elsewhere;

  route_context() = default;
};

/// The client is to be shown a session's events from number `first` on.
struct stream_order {
  session_id session;
  std::uint64_t first = 1;

  stream_order() = default;
};

/// The session is to be given a command, or to be woken.
struct command_order {
  session_id session;
  std::optional<command> body; ///< Nothing: wake it.
  answer_form answer = answer_form::events;

  command_order() = default;
};

/// The node that a session lives on is to be asked the same.
struct elsewhere_order {
  session_id session;
  std::string target;
  std::string last_event_id;

  elsewhere_order() = default;
};

/// A list is to be put together of those of all nodes.
struct gather_order {
  std::string path;
  std::string name; ///< Of the list, in the answers.
  std::uint32_t limit = 0;
  std::optional<std::string> after;           ///< As the client has it.
  std::map<std::string, std::string> filters; ///< The other parameters of its query.

  gather_order() = default;
};

/// The nodes of the cluster are to be shown.
struct cluster_order {
  cluster_order() = default;
};

/// This node is to give its sessions to the others.
struct drain_order {
  drain_order() = default;
};

/// A response, or what is to be done to make one. The last four are of a node of a cluster.
using answer = std::variant<http_response, stream_order, command_order, elsewhere_order,
                            gather_order, cluster_order, drain_order>;

/// Whether `route` may read the store for a request, and wait for it: false for what is of the
/// process alone, and for commands.
[[nodiscard]] bool reads_store(const http_request& request);

/// Says what a request is to be answered with. Changes nothing.
[[nodiscard]] answer route(const http_request& request, const route_context& context);

/// A method of a path, as the description names it: `/v1/sessions/{session}`.
struct route_name {
  std::string_view method;
  std::string_view path;
};

/// All that there are.
[[nodiscard]] std::span<const route_name> route_names();

} // namespace fermata::service
