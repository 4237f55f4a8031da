#include <fermata/actors/cluster/detail/request_lanes.hpp>

#include <optional>
#include <utility>

namespace fermata::detail {

namespace {

caf::error stopped() {
  return make_error(errc::shutting_down, "the node is not started, or stopped");
}

} // namespace

void request_lanes::ask(const node_name& to, std::string what, callback answer) {
  caf::error refused;
  {
    const std::lock_guard lock{mutex_};
    auto& chosen = lanes_[to];
    if (closed_) {
      refused = stopped();
    } else if (chosen.under_way < at_once_) {
      ++chosen.under_way;
    } else if (waiting_ >= max_waiting_) {
      refused = make_error(errc::overloaded, "too many requests wait for other nodes already "
                                             "(limit runtime_queue); try again later");
    } else {
      ++waiting_;
      chosen.waiting.push_back({std::move(what), std::move(answer)});
      return;
    }
  }
  if (refused)
    return answer(std::move(refused));
  send(to, {std::move(what), std::move(answer)});
}

void request_lanes::send(const node_name& to, request one) {
  send_(to, std::move(one.what),
        [self = shared_from_this(), to, answer = std::move(one.answer)](result<std::string> given) {
          self->ended(to);
          answer(std::move(given));
        });
}

void request_lanes::ended(const node_name& to) {
  std::optional<request> next;
  {
    const std::lock_guard lock{mutex_};
    auto& chosen = lanes_[to];
    if (chosen.waiting.empty()) {
      --chosen.under_way;
      return;
    }
    next = std::move(chosen.waiting.front());
    chosen.waiting.pop_front();
    --waiting_;
  }
  send(to, std::move(*next));
}

void request_lanes::close() {
  std::map<node_name, lane> left;
  {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    waiting_ = 0;
    for (auto& [name, one] : lanes_)
      left[name].waiting.swap(one.waiting);
  }
  for (auto& [name, one] : left)
    for (auto& waits : one.waiting)
      waits.answer(stopped());
}

} // namespace fermata::detail
