#include "live_feed.hpp"

#include <utility>

namespace fermata::command_line {

namespace {

constexpr std::size_t max_updates = 10'000;
constexpr std::size_t max_size_bytes = 4'000'000;

std::size_t size_of(const json& content) {
  return content.is_string() ? content.get_ref<const std::string&>().size()
                             : to_text(content).size();
}

} // namespace

void live_feed::push(const live_update& update) {
  const auto size_bytes = size_of(update.content);
  const std::lock_guard guard{mutex_};
  if (waiting_.updates.size() >= max_updates || size_bytes_ + size_bytes > max_size_bytes) {
    waiting_.is_complete = false;
    return;
  }
  size_bytes_ += size_bytes;
  waiting_.updates.push_back(update);
}

live_feed::batch live_feed::take() {
  const std::lock_guard guard{mutex_};
  size_bytes_ = 0;
  return std::exchange(waiting_, {});
}

} // namespace fermata::command_line
