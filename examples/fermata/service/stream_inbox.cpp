#include "stream_inbox.hpp"

#include <algorithm>
#include <utility>

namespace fermata::service {

void stream_inbox::committed(std::uint64_t number) {
  {
    const std::lock_guard lock{mutex_};
    committed_ = std::max(committed_, number);
    ++commits_;
  }
  ring_();
}

void stream_inbox::push(std::shared_ptr<const std::string> update) {
  {
    const std::lock_guard lock{mutex_};
    if (waiting_.dropped > 0 || waiting_.pieces.size() >= max_updates
        || size_bytes_ + update->size() > max_size_bytes) {
      ++waiting_.dropped;
      return; // the client was told of what it has not taken yet
    }
    size_bytes_ += update->size();
    live_piece piece;
    piece.after = committed_;
    piece.text = std::move(update);
    waiting_.pieces.push_back(std::move(piece));
  }
  ring_();
}

stream_inbox::batch stream_inbox::take() {
  const std::lock_guard lock{mutex_};
  size_bytes_ = 0;
  return std::exchange(waiting_, {});
}

} // namespace fermata::service
