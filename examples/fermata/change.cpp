#include "change.hpp"

#include "continuation.hpp"
#include "due.hpp"
#include "escape.hpp"
#include "gateway.hpp"
#include "inputs.hpp"
#include "interruption.hpp"
#include "pause.hpp"
#include "prompt.hpp"
#include "render.hpp"
#include "request.hpp"
#include "stores.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <array>

namespace fermata::command_line {

namespace {

/// One invocation that changes a session.
class change {
public:
  change(const arguments& given, console& out, gateway_options options)
      : given_{given}, out_{out}, options_{std::move(options)} {}

  result<exit_status> run(request asked) {
    const bool asks = asked.asks_at_pauses && out_.is_interactive();
    auto halted = start(asked);
    if (halted && asks)
      halted = ask_until_over(*halted);
    if (!halted)
      return end_with(halted.error());
    if (asks)
      finish_conversation();
    else
      show_pause(out_, given_, view_);
    if (*halted == halt::interrupted && by_service_)
      out_.say("Only this command was interrupted. The service goes on with the session, and `"
               + watch_line(given_, session_) + "` shows it.");
    out_.print(view_.status);
    return *halted == halt::interrupted ? exit_status::interrupted
                                        : exit_status_of(view_.status.state, asked.ends_plans);
  }

private:
  result<exit_status> end_with(const caf::error& error) const {
    if (!was_interrupted())
      return error;
    if (is(error, errc::shutting_down))
      return exit_status::interrupted;
    if (!is(error, errc::timed_out))
      return error;
    // The signal came while a service had the command.
    const auto message = message_of(error);
    out_.report(name_of(code_of(error)), out_.as_json() ? message : escape_line(message));
    return exit_status::interrupted;
  }

  /// Opens the store, applies the command, and lets go of the store.
  result<halt> start(request& asked) {
    auto opened = gateway::open(options_, given_, out_);
    if (!opened)
      return std::move(opened.error());
    session_ = asked.session ? *asked.session : (*opened)->generate_id();
    keep_to_workspace(asked, (*opened)->records_of(session_));
    if (asked.ends_suspension && is_held((*opened)->records_of(session_)))
      return apply(**opened, resume_session{user_name()});
    return apply(**opened, std::move(asked.body));
  }

  /// True for a suspended session that does not go on by itself now.
  bool is_held(records& from) const {
    const auto status = from.status(session_);
    return status && status->state == session_state::suspended
           && (!status->suspended_until
               || *status->suspended_until > std::chrono::system_clock::now());
  }

  /// A message that begins a session does so in the current folder. A session that there is stays
  /// in its own, unless another one was named: then it says what is wrong.
  void keep_to_workspace(request& asked, records& from) const {
    auto* message = asked.body ? std::get_if<post_message>(&*asked.body) : nullptr;
    if (message != nullptr && given_.workspace.empty() && from.workspace(session_))
      message->workspace.clear();
  }

  result<halt> apply(gateway& way, std::optional<command> body) {
    by_service_ = way.is_service();
    const auto link = way.link_to(session_);
    auto halted = body ? link->apply(std::move(*body)) : link->wake();
    if (halted && given_.approve == approval_mode::all)
      halted = approve_all(*link, way.records_of(session_), session_, *halted);
    if (auto error = take(link->look()); error && halted)
      return error;
    return halted;
  }

  caf::error take(result<pause_view> view) {
    if (!view)
      return std::move(view.error());
    view_ = std::move(*view);
    if (!options_.owner.workspace.empty())
      view_.workspace = options_.owner.workspace;
    return caf::none;
  }

  /// Asks at each pause. The store is free while the question is open: the answer says what was
  /// shown, and is refused when that is not what is there any more.
  result<halt> ask_until_over(halt halted) {
    while (halted == halt::paused && !accepts_new_plan(view_.status.state)) {
      std::optional<command> chosen;
      // Another process may have left it running: then there is nothing to ask.
      if (!is_running(view_.status.state)) {
        chosen = ask_at_pause(out_, view_);
        if (!chosen)
          break;
      }
      auto next = reopen_and_apply(std::move(chosen));
      if (next) {
        halted = *next;
        continue;
      }
      if (exit_status_of(code_of(next.error())) != exit_status::bad_input
          && !is(next.error(), errc::store_busy))
        return next;
      out_.say(
          out_.painted(paint::bad, escape_line(out_.redaction().text(message_of(next.error())))));
    }
    return halted;
  }

  result<halt> reopen_and_apply(std::optional<command> body) {
    auto opened = gateway::open(options_, given_, out_);
    if (opened)
      return apply(**opened, std::move(body));
    // Whoever owns the store now may have gone on with the session: it is shown anew.
    if (is(opened.error(), errc::store_busy))
      if (auto beside = open_store(options_.owner.store, store_purpose::query))
        static_cast<void>(take(look_at(*records_of(**beside), session_)));
    return std::move(opened.error());
  }

  void finish_conversation() {
    out_.say();
    show_status(out_, view_.status);
    if (accepts_new_plan(view_.status.state))
      return;
    out_.say("Nothing is lost. It continues with:");
    out_.say("  " + resume_line(given_, session_));
  }

  const arguments& given_;
  console& out_;
  gateway_options options_;
  session_id session_;
  pause_view view_;         ///< As it was when the store was last let go.
  bool by_service_ = false; ///< It was a service that did the last thing.
};

} // namespace

bool is_change(const arguments& given) {
  constexpr std::array<std::string_view, 18> changes{
      "run",     "resume", "revise",  "approve",  "reject",  "edit",
      "respond", "answer", "result",  "outcome",  "retry",   "skip",
      "fail",    "cancel", "suspend", "deadline", "message", "forget"};
  return std::find(changes.begin(), changes.end(), given.command) != changes.end();
}

result<exit_status> run_change(const arguments& given, console& out) {
  // Whatever can be refused is refused before the store is touched.
  auto asked = given.due ? result<request>{request{}} : make_request(given);
  if (!asked)
    return std::move(asked.error());
  auto store = locate_store(given.store);
  if (!store)
    return std::move(store.error());
  gateway_options options;
  auto& owner = options.owner;
  owner.store = std::move(*store);
  owner.create_store = asked->may_create;
  owner.approve = given.approve;
  owner.watches = out.is_interactive();
  if (given.due)
    return run_due(given, out, options);
  if (given.command == "resume" && !given.workspace.empty()) {
    auto folder = read_folder(given.workspace);
    if (!folder)
      return std::move(folder.error());
    owner.workspace = *folder;
  }
  return change{given, out, std::move(options)}.run(std::move(*asked));
}

} // namespace fermata::command_line
