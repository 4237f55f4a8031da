#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/messages/chunk.hpp>

#include <caf/response_promise.hpp>

#include <map>
#include <vector>

namespace fermata::detail {

/// Actors that wait for chunks that do not exist yet. They are answered from the store when a
/// session has published, so that a slow one costs a session nothing. Lives on the directory.
class followers {
public:
  explicit followers(services_ptr shared) : shared_{std::move(shared)} {}

  /// Answers at once if there are chunks, else when there are.
  void add(caf::response_promise promise, follow_chunks what);
  /// The session has committed more.
  void published(const session_id& session);
  /// Answers all that wait with `shutting_down`.
  void close();

private:
  struct follower {
    caf::response_promise promise;
    follow_chunks what;
  };

  /// True: the follower has its answer.
  bool answer(follower& one);

  services_ptr shared_;
  std::map<session_id, std::vector<follower>> waiting_;
};

} // namespace fermata::detail
