#include "distant_stream.hpp"

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
  if (!awaited_) {
    const auto commits = inbox.commits();
    if (!may_have_more_ && commits == commits_)
      return std::string{};
    commits_ = commits;
    ask();
  }
  auto answer = awaited_->take();
  if (!answer)
    return std::string{};
  awaited_.reset();
  if (!*answer)
    return std::move(answer->error());
  what_.from = (*answer)->reached;
  is_over_ = what_.from.is_over;
  may_have_more_ = !(*answer)->text.empty();
  // What was committed while it was asked may not be in the answer.
  if (!may_have_more_ && inbox.commits() != commits_)
    return next(inbox);
  return std::move((*answer)->text);
}

void distant_stream::ask() {
  awaited_ = std::make_shared<letter_box<result<node_answer>>>();
  from_->ask(home_, what_, [to = awaited_, ring = ring_](result<node_answer> given) {
    to->put(std::move(given));
    ring();
  });
}

} // namespace fermata::service
