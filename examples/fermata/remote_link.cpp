#include "remote_link.hpp"

#include "exit_status.hpp"
#include "interruption.hpp"
#include "service_events.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::command_line {

namespace {

using namespace std::chrono_literals;

/// How often a service that has gone is looked for.
constexpr auto return_interval = 100ms;

/// How many recorded events are read at a time.
constexpr std::size_t events_page = 256;

/// How many live updates are shown together at most.
constexpr std::size_t max_live_updates = 256;

constexpr std::size_t max_receipt_bytes = 1'000'000;

constexpr const char* event_stream_type = "text/event-stream";

/// False for the approval of whatever is recorded: the call may have been asked again since (P9).
bool says_what_is_decided(const decide_call& decision) {
  return decision.verdict == call_verdict::reject || decision.verdict == call_verdict::respond
         || !decision.digest.empty();
}

/// True when the session takes the second of two for the first one (P4), whatever has become of it
/// meanwhile, so that nothing is lost by sending it again.
bool is_idempotent(const command& body) {
  if (const auto* decision = std::get_if<decide_call>(&body))
    return says_what_is_decided(*decision);
  if (const auto* all = std::get_if<decide_calls>(&body))
    return std::all_of(all->decisions.begin(), all->decisions.end(), says_what_is_decided);
  // A second `rerun` would be of another run (P8).
  if (const auto* resolved = std::get_if<resolve_outcome>(&body))
    return resolved->resolution != outcome_resolution::rerun;
  return std::holds_alternative<decide_plan>(body) || std::holds_alternative<tool_result>(body)
         || std::holds_alternative<answer_question>(body);
}

bool is_broken(const caf::error& error) {
  return is(error, errc::timed_out) || is(error, errc::store_unavailable)
         || is(error, errc::shutting_down) || is(error, errc::node_unavailable);
}

} // namespace

remote_link::remote_link(remote_options options, records& beside, console& out, session_id session)
    : options_{std::move(options)}, beside_{beside}, out_{out}, session_{session},
      view_{out, std::move(session)} {
  if (const auto status = beside.status(session_))
    recorded_ = status->events;
}

result<halt> remote_link::apply(command body) {
  auto talk = commanding(body);
  talk.request.accept = event_stream_type;
  talk.shows_receipt = true;
  return converse(std::move(talk));
}

result<halt> remote_link::wake() {
  auto talk = waking();
  talk.shows_receipt = true;
  return converse(std::move(talk));
}

result<receipt> remote_link::send(command body) {
  auto talk = commanding(body);
  talk.was_sent = true;
  const auto text =
      ask_service(options_.socket, talk.request, max_receipt_bytes, options_.patience);
  const bool was_cut_off = !text
                           && (is(text.error(), errc::timed_out)
                               || (was_interrupted() && is(text.error(), errc::shutting_down)));
  if (was_cut_off) {
    talk.broken = text.error();
    return give_up(talk);
  }
  if (!text)
    return text.error();
  const auto data = parse_json(*text);
  auto answer = data ? read_told<receipt>(*data) : data.error();
  if (!answer)
    return not_understood(talk, message_of(answer.error()));
  return answer;
}

result<halt> remote_link::follow() {
  // What was sent meanwhile lies before the first chunk that the service tells of.
  if (!next_event_)
    next_event_ = recorded_ + 1;
  return converse(waking());
}

result<pause_view> remote_link::look() {
  return paused_ ? *paused_ : look_at(beside_, session_);
}

remote_link::conversation remote_link::waking() const {
  conversation talk;
  talk.request.target = "/v1/sessions/" + session_.str() + "/wake";
  talk.request.is_post = true;
  talk.request.accept = event_stream_type;
  return talk;
}

remote_link::conversation remote_link::commanding(const command& body) const {
  conversation talk;
  talk.request.target = "/v1/sessions/" + session_.str() + "/commands";
  talk.request.is_post = true;
  talk.request.body = to_json(body);
  talk.is_command = true;
  talk.is_repeatable = is_idempotent(body);
  return talk;
}

result<halt> remote_link::converse(conversation talk) {
  paused_.reset();
  std::optional<std::chrono::steady_clock::time_point> until;
  for (;;) {
    auto ended = converse_once(talk);
    if (!ended)
      return std::move(ended.error());
    if (*ended)
      return **ended;
    if (was_interrupted() && talk.answer)
      return halt::interrupted;
    const bool may_go_on = talk.answer || talk.is_repeatable || !talk.was_sent;
    if (was_interrupted() || !may_go_on)
      return give_up(talk);
    const auto now = std::chrono::steady_clock::now();
    // One that answers, and only refuses, is waited for no longer than one that does not.
    if (until && !talk.was_heard && now >= *until)
      return give_up(talk);
    if (!until || talk.was_heard)
      until = now + options_.absence;
    if (std::exchange(talk.was_heard, false))
      out_.say(out_.painted(paint::warning, "The service has gone; waiting for it to come back."));
    out_.flush();
    if (!wait_for_service(*until))
      return give_up(talk);
    go_on_waking(talk);
  }
}

result<std::optional<halt>> remote_link::converse_once(conversation& talk) {
  const bool was_sent_before = talk.was_sent;
  auto answer = service_exchange::start(options_.socket, talk.request, options_.patience);
  talk.was_sent =
      talk.was_sent || !is(answer ? caf::error{} : answer.error(), errc::store_unavailable);
  if (!answer) {
    talk.broken = answer.error();
    if (!is_broken(talk.broken))
      return not_understood(talk, message_of(talk.broken));
    return std::optional<halt>{};
  }
  if (answer->status() != 200)
    return refuse(talk, refusal_of(*answer), was_sent_before);
  if (!answer->is_stream())
    return not_understood(talk, "it is no stream of events");
  return listen(talk, *answer);
}

/// What the service refuses it with. What the session says is true of the command, however often it
/// was sent; what keeps the service from asking it says nothing of the times before.
result<std::optional<halt>> remote_link::refuse(conversation& talk, caf::error refused,
                                                bool was_sent_before) const {
  if (!was_sent_before || exit_status_of(code_of(refused)) != exit_status::environment)
    return refused;
  talk.broken = std::move(refused);
  // One that stops, or has too much to do, is waited for.
  if (is_broken(talk.broken) || is(talk.broken, errc::overloaded))
    return std::optional<halt>{};
  return give_up(talk);
}

result<std::optional<halt>> remote_link::listen(conversation& talk, service_exchange& answer) {
  for (;;) {
    auto next = answer.next(0ms);
    if (next && !*next) {
      show_live();
      out_.flush();
      next = answer.next(signal_interval);
    }
    if (!next) {
      talk.broken = next.error();
      show_live();
      if (!is_broken(talk.broken))
        return not_understood(talk, message_of(talk.broken));
      return std::optional<halt>{};
    }
    if (!*next)
      continue;
    talk.was_heard = true;
    auto ended = handle(talk, **next);
    if (!ended || *ended || talk.broken)
      return ended;
  }
}

result<std::optional<halt>> remote_link::handle(conversation& talk, const sse_event& next) {
  constexpr std::array<std::string_view, 6> known{"receipt", "chunk",  "live",
                                                  "behind",  "paused", "error"};
  if (std::find(known.begin(), known.end(), next.name) == known.end())
    return std::optional<halt>{};
  if (next.name == "paused") {
    if (const auto error = pause())
      return make_error(code_of(error), message_of(error) + "; " + known_of(talk));
    return std::optional{halt::paused};
  }
  const auto data = parse_json(next.data);
  if (!data)
    return not_understood(talk, message_of(data.error()));
  caf::error misread;
  if (next.name == "receipt") {
    misread = take_receipt(talk, *data);
  } else if (next.name == "chunk") {
    misread = show_chunk(*data);
  } else if (next.name == "live") {
    misread = add_live(*data);
  } else if (next.name == "behind") {
    live_.is_complete = false;
  } else {
    auto told = refusal_of(*data);
    if (!is(told, errc::shutting_down) && !is(told, errc::node_unavailable))
      return told;
    talk.broken = std::move(told);
  }
  if (misread)
    return not_understood(talk, message_of(misread));
  return std::optional<halt>{};
}

caf::error remote_link::take_receipt(conversation& talk, const json& data) {
  const auto answer = read_told<receipt>(data);
  if (!answer)
    return answer.error();
  // What was missed is shown now: the session may not say more for hours.
  if (next_event_)
    if (auto error = show_recorded(answer->event + 1))
      return error;
  if (!talk.answer)
    talk.answer = *answer;
  if (std::exchange(talk.shows_receipt, false))
    view_.show(*talk.answer);
  return caf::none;
}

/// Takes the session as it is now, and shows all that led there: it may have gone on meanwhile, by
/// another's command.
caf::error remote_link::pause() {
  show_live();
  auto view = look_at(beside_, session_);
  if (!view)
    return std::move(view.error());
  if (next_event_)
    if (auto error = show_recorded(view->status.events + 1))
      return error;
  paused_ = std::move(*view);
  return caf::none;
}

bool remote_link::wait_for_service(std::chrono::steady_clock::time_point until) {
  do {
    wait_uninterrupted(std::min(options_.absence, std::chrono::milliseconds{return_interval}));
    if (was_interrupted())
      return false;
    // Another socket may be where it listens now, and another store's service at the old one.
    if (auto found = find_service(options_.store); found && *found) {
      options_.socket = std::move(**found);
      return true;
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

/// Prepares the next attempt. Once the command is known to be durable, all that is left to do is to
/// follow the session.
void remote_link::go_on_waking(conversation& talk) {
  talk.broken = caf::none;
  // Whatever the first attempt brought about was not told of, or only its receipt was. The number
  // in a receipt is no help: that of a wake, or of a duplicate, is an event from before.
  if (!next_event_ && talk.was_sent)
    next_event_ = recorded_ + 1;
  if (talk.answer)
    talk.request = waking().request;
}

std::string remote_link::known_of(const conversation& talk) const {
  const auto look = "`fermata events " + session_.str() + " --from "
                    + std::to_string(next_event_.value_or(recorded_ + 1))
                    + "` shows what was recorded since";
  if (!talk.is_command)
    return "how session " + session_.str() + " goes on is not known; " + look;
  if (talk.answer)
    return "the command was applied, as event " + std::to_string(talk.answer->event) + "; " + look;
  if (talk.was_sent)
    return "whether the command was applied is not known; " + look;
  return "the command was not applied";
}

caf::error remote_link::give_up(const conversation& talk) const {
  const auto code = talk.answer || !talk.is_command ? errc::shutting_down
                    : talk.was_sent                 ? errc::timed_out
                                                    : errc::store_unavailable;
  return make_error(code, message_of(talk.broken) + "; " + known_of(talk));
}

caf::error remote_link::not_understood(const conversation& talk, const std::string& what) const {
  return make_error(errc::internal, "the answer of the service at " + options_.socket.string()
                                        + " is not understood: " + what + "; " + known_of(talk));
}

caf::error remote_link::show_chunk(const json& data) {
  const auto happened = read_chunk(data, session_);
  if (!happened)
    return happened.error();
  if (next_event_ && happened->number < *next_event_)
    return caf::none;
  show_live();
  if (next_event_)
    if (auto error = show_recorded(happened->number))
      return error;
  view_.show(*happened);
  next_event_ = happened->number + 1;
  return caf::none;
}

/// Shows what was recorded before number `end` and not shown: while there was no connection, or
/// before the service began to tell.
caf::error remote_link::show_recorded(std::uint64_t end) {
  while (*next_event_ < end) {
    const auto events = beside_.events(
        session_, *next_event_,
        static_cast<std::size_t>(std::min<std::uint64_t>(events_page, end - *next_event_)));
    if (!events)
      return events.error();
    if (events->empty())
      return make_error(errc::internal, "event " + std::to_string(*next_event_)
                                            + " is told of, but not in the store");
    for (const auto& happened : *events)
      view_.show(happened);
    next_event_ = events->back().number + 1;
  }
  return caf::none;
}

caf::error remote_link::add_live(const json& data) {
  if (!options_.watches)
    return caf::none;
  auto update = read_live(data, session_);
  if (!update)
    return std::move(update.error());
  live_.updates.push_back(std::move(*update));
  if (live_.updates.size() >= max_live_updates)
    show_live();
  return caf::none;
}

void remote_link::show_live() {
  view_.show(std::exchange(live_, {}));
}

} // namespace fermata::command_line
