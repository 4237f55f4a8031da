#include <fermata/actors/event_log.hpp>

#include <fermata/actors/system_seams.hpp>

#include <spdlog/logger.h>

#include <array>
#include <cassert>
#include <cstdio>
#include <ctime>

namespace fermata {

namespace {

using level = spdlog::level::level_enum;

/// Texts are cut off behind so many bytes, so that a line stays one that can be read.
constexpr std::size_t max_text_bytes = 1'000;

/// As RFC 3339 has it, in UTC.
std::string written_time(timestamp at) {
  const auto since = at.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since);
  const auto time = static_cast<std::time_t>(whole.count());
  std::tm parts{};
  std::array<char, 48> text{};
  if (::gmtime_r(&time, &parts) == nullptr
      || std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                       parts.tm_min, parts.tm_sec, static_cast<int>((since - whole).count()))
             < 0)
    return std::to_string(since.count());
  return text.data();
}

/// JSON in ASCII: what is not printable, or could look like something else, is escaped.
std::string ascii(const json& value) {
  return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

/// One line, put together in the order in which it is read.
class log_line {
public:
  log_line(timestamp at, level severity, std::string_view what) {
    add("time", written_time(at));
    const auto name = spdlog::level::to_string_view(severity);
    // spdlog itself says "warning".
    add("level", severity == level::warn ? "warn" : std::string(name.data(), name.size()));
    add("event", what);
  }
  log_line(timestamp at, level severity, std::string_view what, const session_id& session)
      : log_line{at, severity, what} {
    add("session", session.str());
  }

  log_line& add(std::string_view name, const json& value) {
    text_.append(text_.empty() ? "{\"" : ",\"").append(name).append("\":").append(ascii(value));
    return *this;
  }

  void write_to(spdlog::logger& log, level severity) {
    text_ += '}';
    log.log(severity, spdlog::string_view_t{text_.data(), text_.size()});
  }

private:
  std::string text_;
};

/// How much an event matters to whoever watches.
class grader {
public:
  level operator()(const subtask_failed&) const { return level::warn; }
  level operator()(const outcome_unknown&) const { return level::warn; }
  level operator()(const call_backed_off&) const { return level::warn; }
  level operator()(const late_result&) const { return level::warn; }
  level operator()(const proposal_refused&) const { return level::warn; }
  level operator()(const call_answered& fact) const {
    const auto outcome = fact.answer.outcome;
    return outcome == call_outcome::failed || outcome == call_outcome::expired ? level::warn
                                                                               : level::debug;
  }
  level operator()(const plan_ended& fact) const {
    return fact.status == plan_status::failed ? level::warn : level::info;
  }
  level operator()(const session_created&) const { return level::info; }
  level operator()(const state_changed&) const { return level::info; }
  level operator()(const plan_proposed&) const { return level::info; }
  level operator()(const plan_decided&) const { return level::info; }
  level operator()(const subtask_finished&) const { return level::info; }
  level operator()(const subtask_skipped&) const { return level::info; }
  level operator()(const subtask_cancelled&) const { return level::info; }
  level operator()(const subtask_retried&) const { return level::info; }
  level operator()(const call_decided&) const { return level::info; }
  level operator()(const call_asked_again&) const { return level::info; }
  level operator()(const outcome_resolved&) const { return level::info; }
  level operator()(const decision_remembered&) const { return level::info; }
  level operator()(const decision_forgotten&) const { return level::info; }
  level operator()(const session_suspended&) const { return level::info; }
  level operator()(const session_resumed&) const { return level::info; }
  level operator()(const deadline_set&) const { return level::info; }
  level operator()(const session_deleted&) const { return level::info; }
  level operator()(const history_trimmed&) const { return level::info; }
  template <class Body>
  level operator()(const Body&) const {
    return level::debug;
  }
};

json cut(std::string text) {
  if (text.size() > max_text_bytes)
    text = text.substr(0, max_text_bytes) + "... (" + std::to_string(text.size()) + " bytes)";
  return text;
}

void cut_texts(json& value) {
  if (value.is_string()) {
    value = cut(std::move(value.get_ref<std::string&>()));
  } else if (value.is_structured()) {
    for (auto& part : value)
      cut_texts(part);
  }
}

double milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

template <class Enum>
std::string name(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

} // namespace

event_log::event_log(std::shared_ptr<spdlog::logger> to, event_log_options options)
    : to_{std::move(to)}, options_{std::move(options)} {
  assert(to_ && "an event_log needs a logger");
  if (!options_.clock)
    options_.clock = system_clock();
}

timestamp event_log::now() const {
  return options_.clock->now();
}

void event_log::committed(const session_id& session, std::span<const event> events,
                          std::span<const event_note> notes) {
  for (std::size_t i = 0; i < events.size(); ++i)
    write_event(session, events[i], notes[i]);
}

void event_log::write_event(const session_id& session, const event& fact,
                            const event_note& note) const {
  const auto severity = std::visit(grader{}, fact.body);
  if (!to_->should_log(severity))
    return;
  log_line line{fact.at, severity, name_of(fact.body), session};
  line.add("number", fact.number);
  if (note.revision != 0)
    line.add("revision", note.revision);
  if (note.subtask)
    line.add("subtask", note.subtask->str());
  if (const auto call = call_of(fact.body); call != 0)
    line.add("call", call_id{session, call}.str());
  if (note.tool)
    line.add("tool", note.tool->str());
  if (note.waited)
    line.add("waited_ms", note.waited->duration.count());
  auto body = to_json(redacted(fact.body, options_.redaction));
  for (const auto* said : {"type", "revision", "subtask", "call", "tool"})
    body.erase(said);
  cut_texts(body);
  if (const auto size = to_text(body).size(); size > options_.body_size_bytes)
    body = {{"omitted_bytes", size}};
  if (!body.empty())
    line.add("body", body);
  line.write_to(*to_, severity);
}

void event_log::write_error(std::string_view what, const caf::error& why,
                            const std::optional<session_id>& session) const {
  auto line =
      session ? log_line{now(), level::err, what, *session} : log_line{now(), level::err, what};
  line.add("error", name_of(code_of(why)));
  line.add("message", cut(options_.redaction.text(message_of(why))));
  line.write_to(*to_, level::err);
}

void event_log::note(std::string_view what, bool is_warning, const json& fields) const {
  const auto severity = is_warning ? level::warn : level::info;
  if (!to_->should_log(severity))
    return;
  log_line line{now(), severity, what};
  for (const auto& [name, value] : fields.items())
    line.add(name,
             value.is_string() ? cut(options_.redaction.text(value.get<std::string>())) : value);
  line.write_to(*to_, severity);
}

void event_log::commit_failed(const session_id& session, const caf::error& why) {
  write_error("commit_failed", why, session);
}

void event_log::activation_failed(const session_id& session, const caf::error& why) {
  write_error("activation_failed", why, session);
}

void event_log::reclaimed(const reclaimed_space& what) {
  if (what.error)
    write_error("reclaim_failed", what.error);
}

void event_log::damage_found(const caf::error& damage) {
  write_error("damage_found", damage);
}

void event_log::answered(const answered_command& what) {
  if (what.answer || !to_->should_log(level::warn))
    return;
  log_line line{now(), level::warn, "command_refused", what.session};
  line.add("command", what.type);
  line.add("error", name_of(code_of(what.answer.error())));
  line.add("message", cut(options_.redaction.text(message_of(what.answer.error()))));
  line.write_to(*to_, level::warn);
}

void event_log::activated(const session_id& session, std::size_t resident) {
  if (to_->should_log(level::debug))
    log_line{now(), level::debug, "session_resident", session}
        .add("resident", resident)
        .write_to(*to_, level::debug);
}

void event_log::passivated(const session_id& session, std::size_t resident) {
  if (to_->should_log(level::debug))
    log_line{now(), level::debug, "session_left", session}
        .add("resident", resident)
        .write_to(*to_, level::debug);
}

void event_log::step_ended(const ended_step& what) {
  if (to_->should_log(level::debug))
    log_line{now(), level::debug, "step_ended", what.session}
        .add("subtask", what.subtask.str())
        .add("agent", what.agent.str())
        .add("ending", name(what.ending))
        .add("duration_ms", milliseconds(what.duration))
        .write_to(*to_, level::debug);
}

void event_log::run_ended(const ended_run& what) {
  if (to_->should_log(level::debug))
    log_line{now(), level::debug, "run_ended", what.call.session()}
        .add("call", what.call.str())
        .add("tool", what.tool.str())
        .add("run", what.run)
        .add("ending", name(what.ending))
        .add("duration_ms", milliseconds(what.duration))
        .write_to(*to_, level::debug);
}

} // namespace fermata
