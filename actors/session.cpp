#include <fermata/actors/detail/session.hpp>

#include <fermata/actors/core/apply.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/core/note.hpp>
#include <fermata/actors/detail/splitmix.hpp>
#include <fermata/actors/detail/tool_worker.hpp>
#include <fermata/messages/digest.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace fermata::detail {

namespace {

/// A fold of steps ends after so many events, so that one session cannot hold a transaction for
/// ever (P1).
constexpr std::size_t max_fold = 64;

/// How long after a failed commit what could not be recorded is told to the session again.
constexpr std::chrono::milliseconds retry_interval{1'000};

/// How long at most until it is tried again to load one that cannot be read.
constexpr std::chrono::milliseconds longest_retry_interval{600'000};

/// Reports a tool's progress to whoever watches, within limits. Kept by the run.
class progress_reporter {
public:
  progress_reporter(services_ptr shared, call_id call,
                    std::shared_ptr<const std::atomic<std::uint64_t>> committed)
      : shared_{std::move(shared)}, call_{std::move(call)}, committed_{std::move(committed)},
        reported_{std::make_shared<std::atomic<std::uint32_t>>(0)} {}

  void operator()(json content) const {
    const auto& limits = shared_->options.limits;
    if (!shared_->is_watched(call_.session()) || reported_->fetch_add(1) >= limits.progress_updates
        || check_depth(content) || to_text(content).size() > limits.text_size_bytes)
      return;
    live_update update;
    update.session = call_.session();
    update.call = call_;
    update.kind = live_kind::progress;
    update.content = std::move(content);
    update.after = *committed_;
    shared_->show(update);
  }

private:
  services_ptr shared_;
  call_id call_;
  std::shared_ptr<const std::atomic<std::uint64_t>> committed_;
  std::shared_ptr<std::atomic<std::uint32_t>> reported_;
};

/// As the worker table keeps it.
result<reconciliation> as_reconciliation(const result<json>& outcome) {
  return outcome ? fermata::from_json<reconciliation>(*outcome) : outcome.error();
}

/// What another node may have recorded of the session is not in this one's memory.
caf::error uncertain_error(const session_id& session) {
  return make_error(errc::node_unavailable,
                    "this node cannot tell whether session " + session.str()
                        + " still lives here: nothing was done; send it again");
}

/// True for a step behind which the agent would not hear of a message that came while it ran.
bool goes_deaf(const coordinator::step_outcome& outcome) {
  if (!outcome)
    return false;
  const auto& what = outcome->what();
  return std::holds_alternative<step::finished>(what) || std::holds_alternative<step::slept>(what)
         || std::holds_alternative<step::proposed>(what);
}

} // namespace

session::session(caf::event_based_actor* self, services_ptr shared, session_peers peers,
                 session_id id)
    : self_{self}, shared_{std::move(shared)}, peers_{std::move(peers)}, id_{std::move(id)},
      unpacked_{unpacked{shared_->environment()}}, coordinator_{self, shared_} {}

session::~session() {
  if (!unpacked_)
    --shared_->packed;
}

void session::activate() {
  jitter_ = shared_->options.random->next();
  auto view = shared_->store().read();
  if (!view)
    return fail_to_load(std::move(view.error()));
  auto loaded = core::load(**view, id_);
  if (!loaded)
    return fail_to_load(std::move(loaded.error()));
  if (!*loaded)
    return;
  number_ = (*loaded)->number;
  data() = std::move((*loaded)->data);
  coordinator_.committed(data().head.events);
  tell_alarm_clock(); // a commit whose acknowledgement was lost may have armed a timer
  look_at_clock();
  // Outcomes that workers still keep were not committed before the last activation ended; also of
  // runs that were given up on.
  for (const auto& call : shared_->workers.runs_of(id_)) {
    // Of a call that has its answer as well: it is late, or was stored and not acknowledged.
    if (const auto ended = shared_->workers.ended_run(call))
      take_outcome({call.number(), *ended});
    else if (const auto* known = data().find_call(call.number());
             known != nullptr && shared_->workers.is_overdue(call))
      record_all(core::give_up_on(data(), known->number, known->runs));
  }
  // A cancellation that was stored although its acknowledgement was lost.
  for (const auto& call : shared_->workers.runs_of(id_))
    if (const auto* known = data().find_call(call.number());
        known == nullptr || known->status == call_status::answered)
      stop_run_of(call.number());
  // The run that is claimed, and not one from before the session was away.
  const auto is_running = [this](std::uint64_t call) {
    return shared_->workers.has(id_of(call), data().calls.at(call).runs);
  };
  record_all(core::recover(data(), is_running, environment()));
  for (const auto call : data().claimed)
    if (!is_running(call))
      unreconciled_.insert(call);
  activating_ = true;
  settle();
  activating_ = writing_.has_value();
}

void session::fail_to_load(caf::error why) {
  broken_ = std::move(why);
  shared_->observe([&](auto& observer) { observer.activation_failed(id_, broken_); });
}

void session::load_again(const wake& woken) {
  // Nobody else may ever address a session that was under way (P6); what cannot be read now may be
  // readable later.
  if (woken.retried_after.count() > 0)
    try_again(std::min(2 * woken.retried_after, longest_retry_interval));
}

void session::try_again(std::chrono::milliseconds delay) {
  self_->send(peers_.directory, atoms::again_atom_v, id_, std::int64_t{delay.count()});
}

void session::handle(delivery_ptr message) {
  if (leaving_)
    return redeliver(std::move(message));
  is_to_be_packed_ = false;
  if (writing_ || !queue_.empty()) {
    queue_.push_back(std::move(message));
    return;
  }
  if (unpack())
    return process(std::move(message));
  // The next activation takes it from the store.
  leave();
  redeliver(std::move(message));
}

void session::pack_when_idle() {
  is_to_be_packed_ = true;
  pack_if_asked_to();
}

void session::pack_if_asked_to() {
  if (!is_to_be_packed_ || !unpacked_ || broken_ || leaving_ || writing_ || !data().exists()
      || !idle())
    return;
  is_to_be_packed_ = false;
  packed_ = core::pack(data());
  unpacked_.reset();
  coordinator_.forget_transcript();
  ++shared_->packed;
}

bool session::unpack() {
  if (unpacked_)
    return true;
  auto loaded = core::unpack(packed_);
  if (!loaded) {
    shared_->observe([&](auto& observer) { observer.activation_failed(id_, loaded.error()); });
    return false;
  }
  unpacked_.emplace(shared_->environment());
  data() = std::move(*loaded);
  packed_ = {};
  --shared_->packed;
  return true;
}

void session::redeliver(delivery_ptr message) {
  if (message->is_command())
    --*peers_.waiting;
  // It raced the passivation: the directory delivers it to the next activation.
  hand_on(self_, peers_.directory, std::move(message));
}

void session::process(delivery_ptr taken) {
  auto& message = *taken;
  if (!broken_)
    fire_timers();
  if (data().deleted && !std::holds_alternative<timer_due>(message.body)) {
    // It is for another session of this id, or for none.
    queue_.push_front(std::move(taken));
    return settle();
  }
  if (message.is_command())
    --*peers_.waiting;
  if (broken_) {
    // Leaving, so that the next command tries to load the session again.
    if (std::holds_alternative<worker_freed>(message.body))
      pass_worker_on();
    else if (!message.is_command() && !std::holds_alternative<timer_due>(message.body))
      send_later(std::move(message.body));
    else
      message.answer(broken_);
    if (const auto* woken = std::get_if<wake>(&message.body))
      load_again(*woken);
    return leave();
  }
  if (auto* body = std::get_if<command>(&message.body)) {
    run_command(std::move(*body), std::move(message.answer));
  } else if (std::holds_alternative<wake>(message.body)
             || std::holds_alternative<timer_due>(message.body)) {
    receipt woken;
    woken.event = data().head.events;
    if (data().exists())
      building().replies.emplace_back(std::move(message.answer), std::move(woken));
    else
      refuse(message.answer, make_error(errc::unknown_session, "there is no session " + id_.str()));
  } else if (const auto* finished = std::get_if<run_finished>(&message.body)) {
    take_outcome(*finished);
  } else if (const auto* overdue = std::get_if<run_overdue>(&message.body)) {
    record_all(core::give_up_on(data(), overdue->call, overdue->run));
  }
  settle();
  if (std::holds_alternative<worker_freed>(message.body))
    pass_worker_on();
  if (!data().exists() && idle() && !leaving_)
    leave(); // strangers' ids should not fill the memory
}

void session::run_command(command body, reply answer) {
  const bool creates =
      std::holds_alternative<propose_plan>(body)
      || (std::holds_alternative<post_message>(body) && !environment().planner.empty());
  if (!data().exists() && !creates)
    return refuse(answer,
                  make_error(errc::unknown_session,
                             "there is no session " + id_.str()
                                 + (std::holds_alternative<post_message>(body)
                                        ? ", and this runtime has no planner to begin one with"
                                        : "")));
  if (auto error = core::recall(data(), number_, body, shared_->options.limits, shared_->store()))
    return refuse(answer, std::move(error));
  if (!data().exists())
    environment().new_incarnation = hexadecimal_digits(shared_->options.random->next());
  auto decided = core::decide(data(), std::move(body), environment());
  if (!decided)
    return refuse(answer, std::move(decided.error()));
  receipt given;
  given.kind = decided->kind;
  given.event = decided->first_event != 0 ? decided->first_event : data().head.events + 1;
  if (!data().exists())
    data().head.id = id_;
  record_all(std::move(decided->events));
  building().replies.emplace_back(std::move(answer), std::move(given));
}

void session::take_outcome(const run_finished& finished) {
  auto outcome = shared_->workers.outcome(id_of(finished.call), finished.run);
  if (!outcome)
    return;
  if (auto error = core::recall(data(), number_, tool_result{id_of(finished.call), nullptr},
                                shared_->options.limits, shared_->store()))
    return fail(error);
  if (shared_->workers.is_look(id_of(finished.call)))
    record_all(core::reconcile(data(), finished.call, finished.run, as_reconciliation(*outcome),
                               environment()));
  else
    record_all(
        core::finish_call(data(), finished.call, finished.run, std::move(*outcome), environment()));
  building().ended_runs.push_back(finished);
}

void session::look_at_clock() {
  environment().now = shared_->options.clock->now();
  environment().random = mixed(jitter_ + data().head.events);
  environment().runs_tools = data().is_over() && !shared_->workers.runs_of(id_).empty();
}

void session::fire_timers() {
  // Again after each: a timer may have ended the plan.
  for (look_at_clock();; look_at_clock()) {
    auto events = core::fire_due(data(), environment());
    if (events.empty())
      return;
    record_all(std::move(events));
  }
}

void session::record(event_body body) {
  event fact;
  fact.number = data().head.events + 1;
  fact.at = shared_->options.clock->now();
  fact.body = std::move(body);
  if (const auto* ended = std::get_if<call_answered>(&fact.body);
      ended && data().claimed.contains(ended->call)
      && (ended->answer.outcome == call_outcome::cancelled
          || ended->answer.outcome == call_outcome::expired))
    building().cancelled_runs.push_back(ended->call);
  if (const auto* restarted = std::get_if<step_restarted>(&fact.body))
    coordinator_.void_shown_text(id_, restarted->subtask);
  building().events.add(fact);
  if (shared_->is_observed()) {
    building().notes.push_back(core::note_of(data(), fact));
    building().observed.push_back(fact);
  }
  core::apply(data(), std::move(fact));
}

void session::record_all(std::vector<event_body> bodies) {
  for (auto& body : bodies)
    record(std::move(body));
}

void session::settle() {
  if (writing_ || leaving_)
    return;
  settling_ = true;
  cancel_stale_step();
  if (auto outcome = std::exchange(finished_step_, {}))
    take_step(std::move(*outcome));
  for (;;) {
    fire_timers();
    cancel_stale_step(); // a deadline may have ended its subtask
    claim_queued();
    if (auto next = core::advance(data(), environment().now)) {
      record(std::move(*next));
      continue;
    }
    if (!core::step_due(data()) || coordinator_.busy() || stopping_
        || building().events.size() >= max_fold)
      break;
    start_step();
    if (!finished_step_)
      break;
    take_step(std::move(*std::exchange(finished_step_, {})));
  }
  settling_ = false;
  if (const auto now = core::derive_state(data()); data().exists() && now != data().head.state) {
    state_changed fact;
    fact.from = data().head.state;
    fact.to = now;
    record(std::move(fact));
  }
  record_all(core::retain(data(), building().events, environment()));
  commit_transaction();
}

void session::claim_queued() {
  reconcile_claims();
  if (data().head.suspended)
    return;
  for (const auto number : std::vector<std::uint64_t>(data().queued.begin(), data().queued.end())) {
    const auto& call = data().calls.at(number);
    const auto* tool = shared_->tools.find(call.tool);
    if (tool == nullptr || tool->kind() != tool_kind::server) {
      // The call was approved by a runtime that had the tool, and ran it.
      auto outcome = result<json>{
          make_error(errc::unknown_tool, "this runtime has no tool " + call.tool.str())};
      record(core::claim(data(), number));
      record_all(core::finish_call(data(), number, data().calls.at(number).runs, std::move(outcome),
                                   environment()));
      continue;
    }
    if (auto again = core::ask_again(data(), number, environment())) {
      record(std::move(*again));
      continue;
    }
    // What an earlier run reported has been taken: nobody runs a queued call.
    shared_->workers.forget(id_of(number));
    // The next home claims it: of a claim that was never begun a person would be asked there.
    const bool has_moved = shared_->shares_store() && !shared_->is_home_of(id_);
    if (stopping_ || has_moved
        || !shared_->workers.reserve(id_of(number), call.runs + 1,
                                     std::holds_alternative<blocking_tool>(tool->run)))
      continue;
    record(core::claim(data(), number));
    building().claimed.push_back(number);
    // What is to be forgotten is forgotten already.
    std::erase_if(building().ended_runs,
                  [&](const run_finished& ended) { return ended.call == number; });
  }
}

void session::reconcile_claims() {
  std::erase_if(unreconciled_, [&](std::uint64_t number) {
    const auto* call = data().find_call(number);
    if (call == nullptr || call->status != call_status::claimed)
      return true;
    if (stopping_ || !shared_->workers.reserve_look(id_of(number), call->runs))
      return false;
    // It only looks, so it need not wait for a commit.
    auto look = make_run(*call);
    look->reconciles = true;
    self_->send(peers_.worker, std::move(look));
    return true;
  });
}

void session::pass_worker_on(std::chrono::milliseconds delay) {
  // Whoever was told of a free worker and does not need it any more tells the next in line.
  auto next = shared_->workers.next_waiting();
  if (!next)
    return;
  auto message = std::make_shared<delivery>();
  message->session = std::move(*next);
  message->body = worker_freed{};
  if (delay.count() > 0)
    self_->delayed_send(peers_.directory, delay, std::move(message));
  else
    self_->send(peers_.directory, std::move(message));
}

void session::start_step() {
  coordinator_.start(data(), environment().now,
                     [this](coordinator::step_outcome outcome) { step_done(std::move(outcome)); });
}

void session::step_done(coordinator::step_outcome outcome) {
  finished_step_ = std::move(outcome);
  // Inside `settle` the step was synchronous and is folded; otherwise it starts a transaction of
  // its own, or waits for the one that is being written.
  if (!settling_) {
    settle();
    process_queue();
    pack_if_asked_to();
  }
}

void session::record_usage() {
  const auto usage = coordinator_.take_usage();
  if (usage == model_usage{})
    return;
  model_used fact;
  fact.subtask = coordinator_.subtask();
  fact.usage = usage;
  record(std::move(fact));
}

void session::take_step(coordinator::step_outcome outcome) {
  look_at_clock();
  record_usage();
  if (goes_deaf(outcome) && data().entries.size() > coordinator_.entries_seen()) {
    step_restarted fact;
    fact.subtask = data().running_spec().id;
    record(std::move(fact));
    return;
  }
  if (outcome)
    record_all(core::take_step(data(), std::move(*outcome), environment()));
  else
    record_all(core::fail_step(data(), "agent_failed: " + message_of(outcome.error()),
                               is(outcome.error(), errc::model_failed), environment()));
}

void session::cancel_stale_step() {
  if (core::step_due(data()) && data().running_subtask().started == coordinator_.attempt())
    return;
  if (coordinator_.busy() || finished_step_)
    record_usage(); // models were paid for what is thrown away now
  if (coordinator_.busy())
    coordinator_.cancel();
  finished_step_.reset();
}

void session::commit_transaction() {
  if (building().events.empty()) {
    // Nothing to write: duplicates and wakes are answered from what is committed.
    core::forget_past(data());
    for (auto& [to, with] : std::exchange(building().replies, {}))
      if (shared_->may_begin_effect(id_))
        answer(to, std::move(with));
      else
        to(uncertain_error(id_));
    for (const auto& ended : std::exchange(building(), {}).ended_runs)
      shared_->workers.forget(id_of(ended.call));
    return;
  }
  writing_ = std::exchange(building(), {});
  auto message = std::make_shared<append>();
  message->session = caf::actor_cast<caf::actor>(self_);
  message->body = core::make_commit(data(), number_, std::move(writing_->events),
                                    shared_->options.limits.tail_events);
  self_->send(peers_.journal, std::move(message));
}

void session::committed(const commit_outcome& outcome) {
  if (!writing_)
    return;
  if (outcome.error) {
    shared_->observe([&](auto& observer) { observer.commit_failed(id_, outcome.error); });
    if (shared_->shares_store() && is(outcome.error, errc::conflict))
      return fail_as_moved();
    return fail(outcome.error);
  }
  number_ = outcome.number;
  auto done = std::exchange(writing_, {});
  shared_->observe([&](auto& observer) { observer.committed(id_, done->observed, done->notes); });
  for (auto& [to, with] : done->replies)
    answer(to, std::move(with));
  tell_followers();
  tell_alarm_clock();
  for (const auto call : done->cancelled_runs)
    stop_run_of(call);
  for (const auto& ended : done->ended_runs)
    shared_->workers.forget(id_of(ended.call));
  start_claimed(done->claimed);
  // The order to stop may still be on its way.
  if (stopping_ || shared_->stopping || data().deleted)
    return leave();
  activating_ = false;
  // Commands first, so that a long run of steps that fold does not keep them waiting.
  process_queue();
  if (!writing_ && (finished_step_ || (core::step_due(data()) && !coordinator_.busy())))
    settle();
  pack_if_asked_to();
}

void session::tell_followers() {
  auto& hub = shared_->hub;
  coordinator_.committed(data().head.events);
  if (data().deleted ? hub.end(id_) : hub.publish(id_, data().head.events))
    self_->send(peers_.directory, atoms::published_atom_v, id_);
}

void session::stop_run_of(std::uint64_t call) {
  auto stopped = std::make_shared<stop_run>();
  stopped->call = id_of(call);
  self_->send(peers_.worker, std::move(stopped)); // what it still reports is late
}

void session::tell_alarm_clock() {
  const auto due = data().head.armed;
  if (shared_->options.fire_timers && due && due != told_alarm_)
    self_->send(peers_.directory, atoms::armed_atom_v,
                std::int64_t{due->time_since_epoch().count()});
  told_alarm_ = due;
}

void session::start_claimed(const std::vector<std::uint64_t>& calls) {
  for (const auto number : calls) {
    const auto* call = data().find_call(number);
    // A deadline that passed in the same transaction has taken it back.
    if (call == nullptr || call->status != call_status::claimed) {
      shared_->workers.release(id_of(number));
      pass_worker_on();
      continue;
    }
    self_->send(peers_.worker, make_run(*call));
  }
}

std::shared_ptr<run_request> session::make_run(const call_record& call) const {
  auto run = std::make_shared<run_request>();
  run->what = shared_->tools.find(call.tool);
  run->context.call = id_of(call.number);
  run->context.run = call.runs;
  run->context.incarnation = number_;
  run->context.idempotency_key = data().head.incarnation + "/" + id_of(call.number).str();
  run->context.arguments = call.arguments;
  run->context.workspace = data().head.workspace;
  run->context.progress = progress_reporter{shared_, run->context.call, coordinator_.committed()};
  if (call.verdict && run->what->fingerprint)
    run->context.approved_fingerprint = call.fingerprint;
  return run;
}

void session::refuse(reply& to, caf::error why) {
  to(shared_->may_begin_effect(id_) ? std::move(why) : uncertain_error(id_));
}

void session::answer(reply& to, receipt with) {
  with.session = id_;
  with.state = data().head.state;
  to(std::move(with));
}

void session::process_queue() {
  while (!queue_.empty() && !writing_ && !leaving_) {
    auto next = std::move(queue_.front());
    queue_.pop_front();
    process(std::move(next));
  }
}

bool session::idle() const {
  if (!unpacked_)
    return true;
  return !writing_ && queue_.empty() && building().events.empty() && !coordinator_.busy()
         && !finished_step_ && (data().queued.empty() || data().head.suspended)
         && data().claimed.empty();
}

void session::leave_if_idle() {
  if (idle() && !leaving_)
    leave();
}

void session::stop() {
  stopping_ = true;
  coordinator_.cancel();
  if (!writing_ && !leaving_)
    leave();
}

void session::leave() {
  assert(!leaving_);
  leaving_ = true;
  coordinator_.cancel();
  // From here on the directory sends nothing more, and `bye` comes behind what it has sent already.
  self_->send(peers_.directory, atoms::left_atom_v, id_);
  for (auto& message : std::exchange(queue_, {}))
    redeliver(std::move(message));
}

void session::fail(const caf::error& why) {
  auto refuse = [&](transaction& of) {
    for (auto& [to, with] : of.replies)
      to(why);
    for (const auto call : of.claimed)
      shared_->workers.release(id_of(call));
  };
  // A deletion may be stored though its acknowledgement was lost; the next activation would find
  // nobody who could tell.
  if (writing_ && data().deleted)
    tell_followers();
  if (writing_)
    refuse(*writing_);
  refuse(building());
  writing_.reset();
  building() = {};
  // Later: on a full disk the next in line fails as well, and passes it on, and so on in a circle.
  pass_worker_on(retry_interval);
  // What waits for an activation that cannot be committed hears of it; another activation would
  // fail in the same way, and so on for ever. What workers have said is in their table, which each
  // activation reads: were it told again, each of several would bring all of them back.
  if (activating_)
    for (auto& message : std::exchange(queue_, {})) {
      if (message->is_command())
        --*peers_.waiting;
      message->answer(why);
    }
  if (!leaving_)
    leave();
  // What was under way has no caller to come back: the session looks for itself whether it can go
  // on (P6).
  try_again(retry_interval);
}

void session::fail_as_moved() {
  if (const auto& told = shared_->options.router->on_stale_commit)
    told();
  fail(make_error(errc::node_unavailable, "session " + id_.str()
                                              + " has moved to another node: nothing was done; "
                                                "send it again"));
}

void session::send_later(decltype(delivery::body) body) {
  auto message = std::make_shared<delivery>();
  message->session = id_;
  message->body = std::move(body);
  self_->delayed_send(peers_.directory, retry_interval, std::move(message));
}

caf::behavior session_actor(caf::stateful_actor<session_actor_state>* self, services_ptr shared,
                            session_peers peers, session_id id) {
  self->state.body = std::make_unique<session>(self, shared, std::move(peers), std::move(id));
  auto* body = self->state.body.get();
  body->activate();
  return {
      [self, body](delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        body->handle(std::move(message));
      },
      [body](const append_ptr& written) { body->committed(written->outcome); },
      [body](pack_up) { body->pack_when_idle(); },
      [body](atoms::leave_atom) { body->leave_if_idle(); },
      [body](atoms::stop_atom) { body->stop(); },
      [self](atoms::bye_atom) { self->quit(); },
  };
}

} // namespace fermata::detail
