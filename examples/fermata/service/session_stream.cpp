#include "session_stream.hpp"

#include "http.hpp"
#include "sse.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/messages/chunk.hpp>

#include <algorithm>
#include <utility>

namespace fermata::service {

namespace {

/// How many events are read at a time, at most; fewer while they are large, and at the beginning,
/// when it is not known how large they are.
constexpr std::size_t max_page = 64;

} // namespace

void session_stream::begin(const receipt& with) {
  opening_ = sse_event("receipt", to_json(with));
  at_.seems_paused = !is_running(with.state);
}

result<std::string> session_stream::next(stream_inbox& inbox) {
  // By itself: whatever becomes of what follows, the client gets to know its receipt.
  if (!opening_.empty())
    return std::exchange(opening_, {});
  std::string text;
  // Before the store is read, so that the events that updates come behind are there.
  if (live_.pieces.empty() && live_.dropped == 0)
    (live_ = inbox.take()).drop_late(at_.next);
  const auto failed = [&](caf::error why) {
    opening_ = std::move(text); // it comes before what `fail` says
    return why;
  };
  const auto has_all = add_events(text);
  if (!has_all)
    return failed(has_all.error());
  if (!*has_all)
    return text;
  live_.move_to(text, at_.next);
  if (const auto dropped = std::exchange(live_.dropped, 0); dropped > 0)
    text += sse_event("behind", {{"dropped", dropped}});
  if (end_ == stream_end::at_pause && at_.seems_paused)
    if (auto error = add_pause(text))
      return failed(std::move(error));
  return text;
}

result<bool> session_stream::add_events(std::string& text) {
  const auto found = store_->find(session_);
  if (!found)
    return found.error();
  if (at_.number == 0 && *found)
    at_.number = (*found)->number;
  if (!*found || (*found)->number != at_.number)
    return make_error(errc::unknown_session, "there is no session " + session_.str());
  while (text.size() < piece_size_bytes) {
    auto events = query_events(*store_, session_, at_.next, page_);
    if (!events)
      return std::move(events.error());
    const auto read = events->size();
    std::size_t added = 0;
    while (added < read && text.size() < piece_size_bytes)
      add(text, std::move((*events)[added++]));
    if (added < read) {
      page_ = std::max<std::size_t>(added, 1);
      return false;
    }
    const bool has_all = read < page_;
    page_ = std::min(page_ * 2, max_page);
    if (has_all)
      return true;
  }
  return false;
}

void session_stream::add(std::string& text, event happened) {
  live_.move_to(text, happened.number);
  if (const auto* change = std::get_if<state_changed>(&happened.body))
    at_.seems_paused = !is_running(change->to);
  at_.next = happened.number + 1;
  const auto number = happened.number;
  text += sse_event("chunk", to_json(redacted(chunk{session_, std::move(happened)}, redaction_)),
                    number);
}

caf::error session_stream::add_pause(std::string& text) {
  const auto items = query_pending(*store_, session_);
  if (!items)
    return items.error();
  // Behind the pending ones, so that these are as old as the status if nothing has come since.
  const auto status = query_status(*store_, session_);
  if (!status)
    return status.error();
  if (is_running(status->state) || at_.next <= status->events)
    return caf::none; // it goes on: its next events tell
  auto pending = json::array();
  for (const auto& one : *items)
    pending.push_back(to_json(redacted(one, redaction_)));
  text += sse_event("paused", {{"status", to_json(redacted(*status, redaction_))},
                               {"pending", std::move(pending)}});
  is_over_ = true;
  return caf::none;
}

} // namespace fermata::service
