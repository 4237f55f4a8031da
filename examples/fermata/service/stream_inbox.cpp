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

void stream_inbox::push(std::shared_ptr<const std::string> text) {
  live_piece piece;
  {
    const std::lock_guard lock{mutex_};
    piece.after = committed_;
  }
  piece.text = std::move(text);
  put(std::move(piece));
}

void stream_inbox::push(std::shared_ptr<const std::string> update, std::uint64_t after,
                        bool void_when_late) {
  live_piece piece;
  piece.after = after;
  piece.void_when_late = void_when_late;
  piece.text = std::move(update);
  put(std::move(piece));
}

void stream_inbox::put(live_piece piece) {
  {
    const std::lock_guard lock{mutex_};
    if (waiting_.dropped > 0 || waiting_.pieces.size() >= max_updates
        || size_bytes_ + piece.text->size() > max_size_bytes) {
      ++waiting_.dropped;
      return; // the client was told of what it has not taken yet
    }
    size_bytes_ += piece.text->size();
    waiting_.pieces.push_back(std::move(piece));
  }
  ring_();
}

void stream_inbox::lost(std::uint64_t count) {
  {
    const std::lock_guard lock{mutex_};
    lost_ += count;
  }
  ring_();
}

void stream_inbox::batch::drop_late(std::uint64_t next) {
  dropped += std::erase_if(
      pieces, [&](const live_piece& one) { return one.void_when_late && one.after + 1 < next; });
}

void stream_inbox::batch::move_to(std::string& text, std::uint64_t next) {
  while (!pieces.empty() && pieces.front().after < next) {
    text += *pieces.front().text;
    pieces.pop_front();
  }
}

stream_inbox::batch stream_inbox::take() {
  const std::lock_guard lock{mutex_};
  size_bytes_ = 0;
  auto taken = std::exchange(waiting_, {});
  taken.dropped += std::exchange(lost_, 0);
  return taken;
}

} // namespace fermata::service
