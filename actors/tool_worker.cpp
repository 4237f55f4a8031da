#include <fermata/actors/detail/tool_worker.hpp>

#include <fermata/actors/detail/local_messages.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <utility>

namespace fermata::detail {

namespace {

/// When a run is tried again that must not begin yet.
constexpr std::chrono::milliseconds hold_interval{200};

template <class Body>
void deliver(const caf::actor& directory, const session_id& session, Body body) {
  auto message = std::make_shared<delivery>();
  message->session = session;
  message->body = std::move(body);
  caf::anon_send(directory, std::move(message));
}

void tell_next(const caf::actor& directory, const std::optional<session_id>& next) {
  if (next)
    deliver(directory, *next, worker_freed{});
}

void tell_finished(const caf::actor& directory, const run_request& run) {
  run_finished finished;
  finished.call = run.context.call.number();
  finished.run = run.context.run;
  deliver(directory, run.context.call.session(), finished);
}

caf::error timed_out(const run_request& run) {
  return make_error(errc::tool_timed_out,
                    "the tool ran longer than its time limit of "
                        + std::to_string(run.what->time_limit.count())
                        + " ms and was stopped; what it had begun may have taken effect");
}

/// 0: it may take for ever. A look at what became of a run may not: a person could be asked
/// instead.
std::chrono::milliseconds limit_of(const run_request& run) {
  constexpr std::chrono::milliseconds longest_look{60'000};
  const auto limit = run.what->time_limit;
  return run.reconciles && limit.count() == 0 ? longest_look : limit;
}

/// Tells the observer how a run ended: once, though one that is given up may end after all.
void observe_end(services& shared, run_request& run, run_ending ending,
                 const caf::error& error = {}) {
  if (!shared.is_observed() || run.reconciles || run.observed.exchange(true))
    return;
  const ended_run what{run.context.call, run.what->name, run.context.run,
                       ending,           error,          shared.observed_since(run.begin)};
  shared.observe([&](auto& observer) { observer.run_ended(what); });
}

/// A run has ended. Called on any thread.
void report(const services_ptr& shared, const caf::actor& directory, run_request& run,
            result<json> outcome) {
  // A function that was told to stop because its time is up says in its own way that it did.
  if (!outcome && run.timed_out && !is(outcome.error(), errc::tool_unavailable))
    outcome = timed_out(run);
  // Before anybody copies it, which recurses as deep as it is nested.
  if (outcome)
    if (auto error = check_depth(*outcome))
      outcome = std::move(error);
  observe_end(*shared, run, outcome ? run_ending::succeeded : run_ending::failed,
              outcome ? caf::error{} : outcome.error());
  const auto next = shared->workers.finish(run.context.call, std::move(outcome));
  tell_finished(directory, run);
  tell_next(directory, next);
}

/// Calls a tool's own code, whose exceptions become errors.
template <class Function>
auto guarded(const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& thrown) {
    return make_error(errc::tool_failed, std::string{"the tool threw: "} + thrown.what());
  } catch (...) {
    return make_error(errc::tool_failed, "the tool threw something that is not a std::exception");
  }
}

result<json> reconcile(const run_request& run) {
  auto found = guarded([&] { return run.what->reconcile(run.context); });
  if (!found)
    return std::move(found.error());
  if (auto error = check_depth(found->content))
    return error;
  return to_json(*found);
}

caf::error stopped_early() {
  return make_error(errc::tool_unavailable, "the tool was told to stop before it started");
}

/// A look changes nothing outside.
bool may_begin(const services& shared, const run_request& run) {
  return run.reconciles || shared.may_begin_effect(run.context.call.session());
}

result<json> run_blocking(const run_request& run) {
  if (run.context.stop.stop_requested())
    return stopped_early();
  if (run.reconciles)
    return reconcile(run);
  const auto& function = std::get<blocking_tool>(run.what->run);
  return guarded([&] { return function(run.context); });
}

caf::error as_tool_error(const caf::error& error) {
  return error.category() == error_category ? error
                                            : make_error(errc::tool_failed, message_of(error));
}

} // namespace

void tool_worker::start(run_ptr run) {
  run->begin = shared_->observed_now();
  run->context.stop = shared_->workers.stop_token(run->context.call);
  if (!may_begin(*shared_, *run))
    return hold(run);
  const auto* coroutine = std::get_if<coroutine_tool>(&run->what->run);
  if (coroutine != nullptr && !run->reconciles)
    start_coroutine(run, *coroutine);
  else
    start_blocking(run);
}

void tool_worker::start_blocking(const run_ptr& run) {
  const bool limited = limit_of(*run).count() > 0;
  if (limited)
    watch(run);
  shared_->options.pool->post([shared = shared_, directory = directory_, run, limited,
                               me = caf::actor_cast<caf::actor>(self_)] {
    // Asked on this thread, which may have got its turn late.
    if (!may_begin(*shared, *run)) {
      auto refused = std::make_shared<run_refused>();
      refused->run = run;
      return caf::anon_send(me, std::move(refused));
    }
    report(shared, directory, *run, run_blocking(*run));
    if (!limited)
      return;
    auto over = std::make_shared<run_over>();
    over->run = run;
    caf::anon_send(me, std::move(over));
  });
}

void tool_worker::start_coroutine(const run_ptr& run, const coroutine_tool& coroutine) {
  const auto call = run->context.call;
  auto& watching = watch(run);
  auto work = guarded([&]() -> result<std::shared_ptr<coro::task<json>>> {
    return std::make_shared<coro::task<json>>(coroutine(self_, run->context));
  });
  if (!work) {
    watched_.erase(call);
    return report(shared_, directory_, *run, std::move(work.error()));
  }
  // The entry outlives the task, and the task its context. One that completes at once has erased
  // it.
  auto handle = scope_.spawn(std::move(**work), [this, run](caf::expected<json> outcome) {
    watched_.erase(run->context.call);
    report(shared_, directory_, *run,
           outcome ? result<json>{std::move(*outcome)} : as_tool_error(outcome.error()));
  });
  if (handle.active())
    watching.task = handle;
}

tool_worker::watched& tool_worker::watch(const run_ptr& run) {
  auto& added = watched_[run->context.call];
  added = {}; // of an earlier run that has ended, but has not been noticed yet
  added.run = run;
  if (const auto limit = limit_of(*run); limit.count() > 0)
    set_deadline(added, limit);
  return added;
}

void tool_worker::stop(const stop_run& which) {
  const auto& call = which.call;
  if (!which.is_told)
    shared_->workers.stop(call);
  if (const auto held = held_.extract(call))
    return report(shared_, directory_, *held.mapped(), stopped_early());
  const auto found = watched_.find(call);
  if (found == watched_.end() || !found->second.task.active())
    return; // a blocking function reports when it ends
  const auto task = found->second.task;
  const auto run = found->second.run;
  watched_.erase(found);
  task.cancel();
  observe_end(*shared_, *run, run_ending::cancelled);
  tell_next(directory_, shared_->workers.abandon(call));
  // A session that has come back may wait for this end to run the call again.
  if (shared_->shares_store())
    tell_finished(directory_, *run);
}

void tool_worker::hold(const run_ptr& run) {
  ended(run); // its time limit begins with it
  if (run->context.stop.stop_requested())
    return report(shared_, directory_, *run, stopped_early());
  held_[run->context.call] = run;
  arm_tick(self_->clock().now() + hold_interval);
}

void tool_worker::ended(const run_ptr& run) {
  const auto found = watched_.find(run->context.call);
  if (found != watched_.end() && found->second.run == run)
    watched_.erase(found);
}

void tool_worker::time_is_up(watched& of) {
  const auto run = of.run;
  run->timed_out = true;
  if (of.task.active()) {
    const auto task = of.task;
    watched_.erase(run->context.call);
    shared_->workers.stop(run->context.call);
    task.cancel();
    return report(shared_, directory_, *run, timed_out(*run));
  }
  const bool was_told = run->context.stop.stop_requested();
  if (!was_told) {
    shared_->workers.stop(run->context.call);
    return set_deadline(of, shared_->options.tool_grace);
  }
  of.deadline.reset();
  observe_end(*shared_, *run, run_ending::unknown);
  run_overdue overdue;
  overdue.call = run->context.call.number();
  overdue.run = run->context.run;
  shared_->workers.note_overdue(run->context.call);
  deliver(directory_, run->context.call.session(), overdue);
}

void tool_worker::set_deadline(watched& of, std::chrono::milliseconds wait) {
  of.deadline = self_->clock().now() + wait;
  arm_tick(*of.deadline);
}

void tool_worker::arm_tick(caf::actor_clock::time_point at) {
  if (next_tick_ && *next_tick_ <= at)
    return;
  next_tick_ = at;
  const auto wait = std::max(at - self_->clock().now(), caf::actor_clock::duration_type{0});
  self_->delayed_send(self_, wait, atoms::deadline_atom_v);
}

void tool_worker::tick() {
  const auto now = self_->clock().now();
  if (!next_tick_ || now < *next_tick_)
    return; // an earlier one took its place
  next_tick_.reset();
  std::vector<call_id> due;
  for (const auto& [call, one] : watched_)
    if (one.deadline && *one.deadline <= now)
      due.push_back(call);
    else if (one.deadline)
      arm_tick(*one.deadline);
  for (const auto& call : due)
    if (const auto found = watched_.find(call); found != watched_.end())
      time_is_up(found->second);
  for (const auto& [call, run] : std::exchange(held_, {}))
    start(run);
}

caf::behavior tool_worker_actor(caf::stateful_actor<tool_worker_state>* self, services_ptr shared,
                                caf::actor directory) {
  self->state.body = std::make_unique<tool_worker>(self, std::move(shared), std::move(directory));
  auto* body = self->state.body.get();
  return {
      [body](const run_ptr& run) { body->start(run); },
      [body](const run_over_ptr& what) { body->ended(what->run); },
      [body](const run_refused_ptr& what) { body->hold(what->run); },
      [body](const stop_run_ptr& what) { body->stop(*what); },
      [body](atoms::deadline_atom) { body->tick(); },
      [self](atoms::stop_atom) { self->quit(); },
  };
}

} // namespace fermata::detail
