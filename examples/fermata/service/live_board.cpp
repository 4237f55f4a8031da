#include "live_board.hpp"

#include "http.hpp"
#include "sse.hpp"

#include <fermata/messages/fields.hpp>

#include <algorithm>

namespace fermata::service {

namespace {

json to_object(const live_update& update, const redactor& redaction) {
  json object{{"kind", enum_name(update.kind)}, {"content", redaction.value(update.content)}};
  if (!update.subtask.empty())
    object["subtask"] = update.subtask.str();
  if (update.call)
    object["call"] = update.call->str();
  return object;
}

} // namespace

template <class Put>
void live_board::for_each(const session_id& session, std::uint64_t audience, Put put) {
  const std::lock_guard lock{mutex_};
  const auto found = audiences_.find(session);
  if (found == audiences_.end() || (audience != 0 && found->second.number != audience))
    return;
  for (const auto& inbox : found->second.inboxes)
    put(*inbox);
}

void live_board::show(const live_update& update, std::uint64_t audience, bool is_distant) {
  if (update.kind == live_kind::text && !redaction_.hides_nothing())
    return;
  // Written once, however many look.
  const auto text =
      std::make_shared<const std::string>(sse_event("live", to_object(update, redaction_)));
  // That a step begins anew is to be known in any case.
  const bool void_when_late = is_distant && update.kind == live_kind::text;
  for_each(update.session, audience,
           [&](stream_inbox& inbox) { inbox.push(text, update.after, void_when_late); });
}

void live_board::commit_failed(const session_id& session, const caf::error& why) {
  const auto told =
      make_error(code_of(why), "events could not be committed, and the session begins "
                               "again from what is: "
                                   + message_of(why));
  const auto text =
      std::make_shared<const std::string>(sse_event("error", error_object(told, redaction_)));
  for_each(session, 0, [&](stream_inbox& inbox) { inbox.push(text); });
}

void live_board::enter(const session_id& session, std::shared_ptr<stream_inbox> inbox,
                       const live_source& from) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock{mutex_};
    auto& those = audiences_[session];
    those.inboxes.push_back(std::move(inbox));
    if (those.number != 0)
      return;
    number = those.number = ++begun_;
  }
  // Without the lock, which its first updates take.
  auto watch = from.listen([this, number, distant = from.is_distant](
                               const live_update& update) { show(update, number, distant); },
                           [this, number, session](std::uint64_t count) {
                             for_each(session, number, [&](stream_inbox& one) { one.lost(count); });
                           });
  const std::lock_guard lock{mutex_};
  if (const auto found = audiences_.find(session);
      found != audiences_.end() && found->second.number == number)
    std::swap(found->second.watch, watch);
}

void live_board::leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox) {
  live_watch ended; // without the lock: it waits for an update that is being shown
  const std::lock_guard lock{mutex_};
  const auto found = audiences_.find(session);
  if (found == audiences_.end())
    return;
  std::erase(found->second.inboxes, inbox);
  if (!found->second.inboxes.empty())
    return;
  std::swap(ended, found->second.watch);
  audiences_.erase(found);
}

} // namespace fermata::service
