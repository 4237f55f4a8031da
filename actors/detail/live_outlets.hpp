#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/messages/live.hpp>

#include <caf/node_id.hpp>
#include <caf/response_promise.hpp>

#include <memory>
#include <vector>

namespace fermata::detail {

/// Actors that are sent live updates, as those of other nodes are. Updates go out on the thread
/// that says them, so they come before the events that are committed behind them. Of each actor's
/// reader so much is on its way as `listen_live` says; the rest is dropped, and counted. Lives on
/// the directory.
class live_outlets {
public:
  explicit live_outlets(services_ptr shared);
  live_outlets(const live_outlets&) = delete;
  live_outlets& operator=(const live_outlets&) = delete;
  ~live_outlets();

  /// Sends to whoever asks, from now on; the promise is kept when that is over. An actor has one
  /// reader of a session: the last one that it asked for.
  void add(caf::response_promise promise, const listen_live& what);
  void taken(const caf::strong_actor_ptr& who, const live_taken& what);
  void unlisten(const caf::strong_actor_ptr& who, const unlisten_live& what);
  /// Answers with `node_unavailable` those who listen to sessions that live elsewhere by now.
  void depart();
  /// That node cannot be reached any more.
  void gone(const caf::node_id& node);
  /// Answers all with `shutting_down`.
  void close();

private:
  class outlet;

  /// Ends those that `end` says it of, which has answered them.
  template <class Predicate>
  void drop(const Predicate& end);

  services_ptr shared_;
  std::vector<std::unique_ptr<outlet>> outlets_;
};

} // namespace fermata::detail
