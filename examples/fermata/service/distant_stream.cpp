#include "distant_stream.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fermata::service {

distant_stream::distant_stream(const cluster_side& from, node_name home, session_id session,
                               std::uint64_t first, stream_end end, redactor redaction,
                               std::function<void()> ring)
    : stream_view{std::move(redaction)}, from_{&from}, home_{std::move(home)}, ring_{std::move(
                                                                                   ring)} {
  what_.kind = question_kind::piece;
  what_.session = std::move(session);
  what_.from.next = first;
  what_.to_pause = end == stream_end::at_pause;
}

void distant_stream::begin(const receipt& with) {
  opening_ = sse_event("receipt", to_json(with));
  what_.from.seems_paused = !is_running(with.state);
}

result<std::string> distant_stream::next(stream_inbox& inbox) {
  if (!opening_.empty())
    return std::exchange(opening_, {});
  collect_live(inbox);
  if (!awaited_) {
    const auto commits = inbox.commits();
    if (!may_have_more_ && commits == commits_)
      return add_live({});
    commits_ = commits;
    ask();
  }
  auto answer = awaited_->take();
  if (!answer)
    return add_live({});
  awaited_.reset();
  if (!*answer)
    return std::move(answer->error());
  // What was said before its events has come before them.
  collect_live(inbox);
  auto text = std::move((*answer)->text);
  may_have_more_ = !text.empty();
  is_over_ = (*answer)->reached.is_over;
  text = add_live(text);
  what_.from = (*answer)->reached;
  // What was committed while it was asked may not be in the answer.
  if (text.empty() && inbox.commits() != commits_)
    return next(inbox);
  return text;
}

void distant_stream::collect_live(stream_inbox& inbox) {
  // The rest is bounded where it is.
  if (live_.dropped > 0 || live_.pieces.size() >= stream_inbox::max_updates)
    return;
  auto more = inbox.take();
  std::move(more.pieces.begin(), more.pieces.end(), std::back_inserter(live_.pieces));
  live_.dropped = more.dropped;
  live_.drop_late(what_.from.next);
}

std::string distant_stream::add_live(const std::string& piece) {
  std::string text;
  auto next = what_.from.next;
  for (const auto& part : split_events(piece)) {
    live_.move_to(text, part.id.value_or(next));
    text += part.text;
    if (part.id)
      next = *part.id + 1;
  }
  live_.move_to(text, next);
  if (live_.pieces.empty())
    if (const auto dropped = std::exchange(live_.dropped, 0); dropped > 0)
      text += sse_event("behind", {{"dropped", dropped}});
  return text;
}

void distant_stream::ask() {
  awaited_ = std::make_shared<letter_box<result<node_answer>>>();
  from_->ask(home_, what_, [to = awaited_, ring = ring_](result<node_answer> given) {
    to->put(std::move(given));
    ring();
  });
}

} // namespace fermata::service
