#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fermata::detail {

/// Lets a host's requests out to other nodes, a few to each at a time, since each may be answered
/// with megabytes; the others wait, in the order in which they came. All calls from any thread.
class request_lanes : public std::enable_shared_from_this<request_lanes> {
public:
  using callback = std::function<void(result<std::string>)>;
  /// Sends a request, and calls back once, from any thread, but not before it returns.
  using sender = std::function<void(const node_name& to, std::string what, callback answer)>;

  /// `at_once`: to one node, 1 or more. `max_waiting`: in all; over it: `overloaded`.
  request_lanes(sender send, std::size_t at_once, std::size_t max_waiting)
      : send_{std::move(send)}, at_once_{at_once}, max_waiting_{max_waiting} {}

  /// Calls `answer` once: with what the node answers, or `overloaded` or `shutting_down` at once.
  void ask(const node_name& to, std::string what, callback answer);

  /// Lets nothing out any more; what waits is answered with `shutting_down`.
  void close();

private:
  struct request {
    std::string what;
    callback answer;
  };
  struct lane {
    std::size_t under_way = 0;
    std::deque<request> waiting;
  };

  void send(const node_name& to, request one);
  void ended(const node_name& to);

  sender send_;
  std::size_t at_once_;
  std::size_t max_waiting_;
  std::mutex mutex_;
  std::map<node_name, lane> lanes_;
  std::size_t waiting_ = 0;
  bool closed_ = false;
};

} // namespace fermata::detail
