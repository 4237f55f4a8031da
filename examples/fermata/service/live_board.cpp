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

template <class Make>
void live_board::push(const session_id& session, Make make) {
  const std::lock_guard lock{mutex_};
  const auto found = inboxes_.find(session);
  if (found == inboxes_.end())
    return;
  const auto text = std::make_shared<const std::string>(make());
  for (const auto& inbox : found->second)
    inbox->push(text);
}

void live_board::show(const live_update& update) {
  if (update.kind == live_kind::text && !redaction_.hides_nothing())
    return;
  push(update.session, [&] { return sse_event("live", to_object(update, redaction_)); });
}

void live_board::commit_failed(const session_id& session, const caf::error& why) {
  const auto told =
      make_error(code_of(why), "events could not be committed, and the session begins "
                               "again from what is: "
                                   + message_of(why));
  push(session, [&] { return sse_event("error", error_object(told, redaction_)); });
}

void live_board::enter(const session_id& session, std::shared_ptr<stream_inbox> inbox) {
  const std::lock_guard lock{mutex_};
  inboxes_[session].push_back(std::move(inbox));
}

void live_board::leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox) {
  const std::lock_guard lock{mutex_};
  const auto found = inboxes_.find(session);
  if (found == inboxes_.end())
    return;
  std::erase(found->second, inbox);
  if (found->second.empty())
    inboxes_.erase(found);
}

} // namespace fermata::service
