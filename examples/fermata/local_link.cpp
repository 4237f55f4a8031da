#include "local_link.hpp"

#include "interruption.hpp"

#include <chrono>
#include <utility>

namespace fermata::command_line {

using namespace std::chrono_literals;

local_link::local_link(host& owner, console& out, session_id session)
    : host_{owner}, out_{out}, session_{owner.running().session(session)}, view_{
                                                                               out,
                                                                               std::move(session)} {
  if (const auto status = query_status(owner.store(), session_.id()))
    next_event_ = status->events + 1;
}

result<halt> local_link::apply(command body) {
  return begin(session_.send(std::move(body)));
}

result<halt> local_link::wake() {
  return begin(session_.wake());
}

result<receipt> local_link::send(command body) {
  return await(session_.send(std::move(body)));
}

result<halt> local_link::follow() {
  auto events = session_.follow(next_event_);
  return run_until_pause(events);
}

result<pause_view> local_link::look() {
  return look_at(*records_of(host_.store()), session_.id());
}

result<receipt> local_link::await(std::future<result<receipt>> sent) {
  while (sent.wait_for(signal_interval) != std::future_status::ready)
    if (was_interrupted())
      host_.stop();
  return sent.get();
}

result<halt> local_link::begin(std::future<result<receipt>> sent) {
  const auto answer = await(std::move(sent));
  if (!answer)
    return answer.error();
  if (auto error = host_.memory().keep())
    return error;
  view_.show(*answer);
  return follow();
}

result<halt> local_link::run_until_pause(event_stream& events) {
  bool seems_paused = false;
  for (;;) {
    auto next = events.next(seems_paused ? 0ms : signal_interval);
    if (!next)
      return std::move(next.error());
    next_event_ = events.position();
    view_.show(host_.live().take());
    if (*next) {
      const auto& happened = **next;
      view_.show(happened);
      if (const auto* change = std::get_if<state_changed>(&happened.body))
        seems_paused = !is_running(change->to);
      continue;
    }
    out_.flush();
    if (was_interrupted()) {
      host_.stop();
      return halt::interrupted;
    }
    const auto status = session_.status();
    if (!status)
      return status.error();
    if (!is_running(status->state) && next_event_ > status->events)
      return halt::paused;
    seems_paused = false;
  }
}

} // namespace fermata::command_line
