#include "watch.hpp"

#include "interruption.hpp"
#include "records.hpp"
#include "render.hpp"
#include "service_client.hpp"
#include "service_events.hpp"
#include "session_view.hpp"
#include "stores.hpp"

#include <fermata/actors/queries.hpp>

#include <optional>
#include <utility>

namespace fermata::command_line {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// How many recorded events are read at a time.
constexpr std::size_t page = 256;

/// Of a service that is not there now, or of the node behind it.
bool may_come_back(const caf::error& error) {
  return is(error, errc::timed_out) || is(error, errc::store_unavailable)
         || is(error, errc::shutting_down) || is(error, errc::overloaded)
         || is(error, errc::node_unavailable);
}

/// One invocation.
class watch {
public:
  watch(const arguments& given, console& out, records& from, std::filesystem::path folder,
        session_id session, bool lives_elsewhere)
      : given_{given}, out_{out}, records_{from}, folder_{std::move(folder)}, session_{session},
        view_{out, std::move(session)}, next_event_{given.from}, lives_elsewhere_{lives_elsewhere} {
  }

  result<exit_status> run() {
    const auto status = records_.status(session_);
    if (!status)
      return status.error();
    if (next_event_ > status->events + 1)
      return make_error(errc::unknown_chunk,
                        "session " + session_.str() + " has " + std::to_string(status->events)
                            + " events; --from takes at most the number of the next one");
    while (!ended_) {
      auto error = watch_service();
      if (!error && !ended_)
        error = show_recorded();
      if (error && !(may_come_back(error) && lives_elsewhere_))
        return error;
      if (error && was_interrupted())
        ended_ = exit_status::interrupted;
      if (!ended_)
        wait_uninterrupted(watch_interval);
    }
    return *ended_;
  }

private:
  /// Shows what the service tells, if there is one, until it goes away, or this is over. Errors:
  /// what it refuses.
  caf::error watch_service() {
    // One that cannot be asked now may be there the next time.
    const auto socket = find_service(folder_);
    if (!socket || !*socket)
      return caf::none;
    service_request request;
    request.target =
        "/v1/sessions/" + session_.str() + "/stream?first=" + std::to_string(next_event_);
    request.accept = "text/event-stream";
    auto stream = service_exchange::start(**socket, request);
    if (stream && stream->status() == 200)
      return listen(*stream);
    const auto error = stream ? refusal_of(*stream) : stream.error();
    // What is recorded can be shown without a service that is not there, or is busy.
    return may_come_back(error) ? caf::error{} : error;
  }

  caf::error listen(service_exchange& stream) {
    for (;;) {
      auto next = stream.next(0ms);
      if (next && !*next) {
        show_live();
        if (auto error = look_whether_over())
          return error;
        if (ended_)
          return caf::none;
        next = stream.next(signal_interval);
      }
      if (!next || (*next && (*next)->name == "error"))
        break;
      if (*next)
        if (auto error = show(**next))
          return error;
    }
    show_live();
    if (!was_interrupted())
      out_.say(out_.painted(paint::warning, "The service has gone; what is recorded is shown."));
    return caf::none;
  }

  caf::error show(const sse_event& told) {
    if (told.name != "chunk" && told.name != "live" && told.name != "behind")
      return caf::none;
    const auto data = parse_json(told.data);
    if (!data)
      return not_understood(data.error());
    if (told.name == "chunk") {
      const auto happened = read_chunk(*data, session_);
      if (!happened)
        return not_understood(happened.error());
      show_live();
      if (happened->number >= next_event_)
        show(*happened);
      return caf::none;
    }
    if (told.name == "behind") {
      out_.print({{told.name, *data}});
      live_.is_complete = false;
      return caf::none;
    }
    auto update = read_live(*data, session_);
    if (!update)
      return not_understood(update.error());
    // A secret could come in pieces; the whole text is shown once it is recorded.
    if (update->kind != live_kind::text || out_.redaction().hides_nothing())
      out_.print({{told.name, out_.redaction().value(*data)}});
    live_.updates.push_back(std::move(*update));
    if (live_.updates.size() >= page)
      show_live();
    return caf::none;
  }

  void show(const event& happened) {
    view_.show(happened);
    next_event_ = happened.number + 1;
    is_new_ = true;
  }

  void show_live() { view_.show(std::exchange(live_, {})); }

  caf::error show_recorded() {
    for (std::size_t read = page; read == page && !ended_;) {
      const auto events = records_.events(session_, next_event_, page);
      if (!events)
        return events.error();
      for (const auto& happened : *events)
        show(happened);
      read = events->size();
      if (auto error = look_whether_over())
        return error;
    }
    return caf::none;
  }

  /// The state is read when something happened, and now and then: reading it is not free.
  caf::error look_whether_over() {
    out_.flush();
    if (was_interrupted())
      ended_ = exit_status::interrupted;
    else if (out_.has_no_reader() || !out_.failure().empty())
      ended_ = exit_status::done;
    const auto now = steady_clock::now();
    if (ended_ || !given_.until_paused || (!is_new_ && now - looked_ < watch_interval))
      return caf::none;
    is_new_ = false;
    looked_ = now;
    const auto status = records_.status(session_);
    if (!status)
      return status.error();
    if (is_running(status->state) || next_event_ <= status->events)
      return caf::none;
    show_state(out_, *status);
    out_.print(*status);
    ended_ = exit_status_of(status->state, false);
    return caf::none;
  }

  caf::error not_understood(const caf::error& why) const {
    return make_error(errc::internal, "what the service of " + folder_.string()
                                          + " tells is not understood: " + message_of(why));
  }

  const arguments& given_;
  console& out_;
  records& records_;
  std::filesystem::path folder_; ///< Of the store.
  session_id session_;
  session_view view_;
  live_feed::batch live_; ///< Not shown yet.
  std::uint64_t next_event_;
  bool lives_elsewhere_; ///< Without its node nothing can be read.
  bool is_new_ = true;   ///< Something happened since the state was looked at.
  steady_clock::time_point looked_;
  std::optional<exit_status> ended_;
};

} // namespace

result<exit_status> run_watch(const arguments& given, console& out) {
  auto session = session_id::parse(given.session);
  if (!session)
    return std::move(session.error());
  const auto folder = locate_store(given.store);
  if (!folder)
    return folder.error();
  const auto from = open_store(*folder, store_purpose::query);
  if (!from)
    return from.error();
  const auto looked = choose_records(*folder, *session, from);
  if (!looked)
    return looked.error();
  const auto of = read_membership(*folder);
  const bool lives_elsewhere = of && *of && !(*of)->is_home_of(*session);
  return watch{given, out, **looked, *folder, std::move(*session), lives_elsewhere}.run();
}

} // namespace fermata::command_line
