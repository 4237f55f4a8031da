#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/messages/chunk.hpp>

#include <caf/node_id.hpp>
#include <caf/response_promise.hpp>

#include <map>
#include <vector>

namespace fermata::detail {

/// Actors that wait for chunks that do not exist yet. They are answered from the store when a
/// session has published, so that a slow one costs a session nothing. Lives on the directory.
class followers {
public:
  explicit followers(services_ptr shared) : shared_{std::move(shared)} {}

  /// Answers at once if there are chunks, else when there are. Refuses with `overloaded` where
  /// `limits::followers` wait.
  void add(caf::response_promise promise, follow_chunks what);
  /// The session has committed more.
  void published(const session_id& session);
  /// That actor's reader does not wait any more: its answer is a batch of none.
  void unfollow(const caf::strong_actor_ptr& who, const unfollow_chunks& what);
  /// Answers with `node_unavailable` those who wait for sessions that live elsewhere by now.
  void depart();
  /// That node cannot be answered any more.
  void gone(const caf::node_id& node);
  /// Answers all that wait with `shutting_down`.
  void close();

private:
  struct follower {
    caf::response_promise promise;
    follow_chunks what;
  };

  /// True: the follower has its answer.
  bool answer(follower& one);
  /// Forgets those of one session that `is_over` says it of.
  template <class Predicate>
  void drop(std::map<session_id, std::vector<follower>>::iterator of, const Predicate& is_over);

  services_ptr shared_;
  std::map<session_id, std::vector<follower>> waiting_;
  std::size_t count_ = 0; ///< Of all sessions.
};

} // namespace fermata::detail
