#include "service_events.hpp"

#include <utility>

namespace fermata::command_line {

namespace {

/// A live update without its session, which the stream is of.
struct told_update {
  live_kind kind = live_kind::text;
  subtask_id subtask;
  std::optional<call_id> call;
  json content;

  told_update() = default;
  static constexpr auto fields() {
    return field_list{field("kind", &told_update::kind),
                      optional_field("subtask", &told_update::subtask),
                      optional_field("call", &told_update::call),
                      optional_field("content", &told_update::content)};
  }
};

} // namespace

result<event> read_chunk(const json& data, const session_id& session) {
  auto told = read_told<chunk>(data);
  if (!told)
    return std::move(told.error());
  if (told->session != session)
    return make_error(errc::invalid_field,
                      "session: it is of " + told->session.str() + ", not of " + session.str());
  event happened;
  happened.number = told->number;
  happened.at = told->at;
  happened.body = std::move(told->body);
  return happened;
}

result<live_update> read_live(const json& data, const session_id& session) {
  auto told = read_told<told_update>(data);
  if (!told)
    return std::move(told.error());
  live_update update;
  update.session = session;
  update.kind = told->kind;
  update.subtask = std::move(told->subtask);
  update.call = std::move(told->call);
  update.content = std::move(told->content);
  return update;
}

} // namespace fermata::command_line
