#include <fermata/actors/detail/session.hpp>

#include <fermata/actors/core/apply.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/detail/tool_worker.hpp>

#include <algorithm>
#include <cassert>

namespace fermata::detail {

namespace {

/// A fold of steps ends after so many events, so that one session cannot hold a transaction for
/// ever (P1).
constexpr std::size_t max_fold = 64;

/// How long after a failed commit a session is activated again if no command does it before.
constexpr std::chrono::seconds retry_interval{1};

std::string hexadecimal(std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4)
    text += digits[(value >> shift) & 15];
  return text;
}

} // namespace

session::session(caf::event_based_actor* self, services_ptr shared, session_peers peers,
                 session_id id)
    : self_{self}, shared_{std::move(shared)}, peers_{std::move(peers)}, id_{std::move(id)},
      environment_{shared_->environment()}, coordinator_{self} {}

void session::activate() {
  auto view = shared_->store().read();
  if (!view) {
    broken_ = view.error();
    return;
  }
  auto loaded = core::load(**view, id_);
  if (!loaded) {
    broken_ = loaded.error();
    return;
  }
  if (!*loaded)
    return;
  number_ = (*loaded)->number;
  data_ = std::move((*loaded)->data);
  // Outcomes that workers still keep were not committed before the last activation ended.
  for (const auto call : std::vector<std::uint64_t>(data_.claimed.begin(), data_.claimed.end())) {
    run_finished finished;
    finished.call = call;
    finished.run = data_.calls.at(call).runs;
    take_outcome(finished);
  }
  record_all(core::recover(
      data_, [this](std::uint64_t call) { return shared_->workers.has(id_of(call)); }));
  activating_ = true;
  settle();
  activating_ = writing_.has_value();
}

void session::handle(delivery_ptr message) {
  if (leaving_)
    return redeliver(std::move(message));
  if (writing_ || !queue_.empty()) {
    queue_.push_back(std::move(message));
    return;
  }
  process(*message);
}

void session::redeliver(delivery_ptr message) {
  if (message->is_command())
    --*peers_.waiting;
  // It raced the passivation: the directory delivers it to the next activation.
  if (auto promise = message->answer.take_promise())
    promise->delegate(peers_.directory,
                      session_command{id_, std::get<command>(std::move(message->body))});
  else
    self_->send(peers_.directory, std::move(message));
}

void session::process(delivery& message) {
  if (message.is_command())
    --*peers_.waiting;
  if (broken_) {
    // Leaving, so that the next command tries to load the session again.
    message.answer(broken_);
    return leave();
  }
  if (const auto* body = std::get_if<command>(&message.body)) {
    run_command(*body, std::move(message.answer));
  } else if (std::holds_alternative<wake>(message.body)) {
    receipt woken;
    woken.event = data_.head.events;
    if (data_.exists())
      building_.replies.emplace_back(std::move(message.answer), std::move(woken));
    else
      message.answer(make_error(errc::unknown_session, "there is no session " + id_.str()));
  } else if (const auto* finished = std::get_if<run_finished>(&message.body)) {
    take_outcome(*finished);
  }
  settle();
  if (std::holds_alternative<worker_freed>(message.body))
    pass_worker_on();
  if (!data_.exists() && idle() && !leaving_)
    leave(); // strangers' ids should not fill the memory
}

void session::run_command(const command& body, reply answer) {
  if (!data_.exists() && !std::holds_alternative<propose_plan>(body))
    return answer(make_error(errc::unknown_session, "there is no session " + id_.str()));
  if (auto error = core::recall(data_, number_, body, shared_->store()))
    return answer(std::move(error));
  if (!data_.exists())
    environment_.new_incarnation = hexadecimal(shared_->options.random->next());
  auto decided = core::decide(data_, body, environment_);
  if (!decided)
    return answer(std::move(decided.error()));
  receipt given;
  given.kind = decided->kind;
  given.event = decided->first_event != 0 ? decided->first_event : data_.head.events + 1;
  if (!data_.exists())
    data_.head.id = id_;
  const auto open_before = data_.claimed;
  record_all(std::move(decided->events));
  for (const auto call : open_before)
    if (!data_.claimed.contains(call))
      building_.cancelled_runs.push_back(call);
  cancel_stale_step();
  building_.replies.emplace_back(std::move(answer), std::move(given));
}

void session::take_outcome(const run_finished& finished) {
  auto outcome = shared_->workers.outcome(id_of(finished.call));
  if (!outcome)
    return;
  if (auto error = core::recall(data_, number_, tool_result{id_of(finished.call), nullptr},
                                shared_->store()))
    return fail(error);
  record_all(
      core::finish_call(data_, finished.call, finished.run, std::move(*outcome), environment_));
  building_.ended_runs.push_back(finished.call);
}

void session::record(event_body body) {
  event fact;
  fact.number = data_.head.events + 1;
  fact.at = shared_->options.clock->now();
  fact.body = std::move(body);
  core::apply(data_, fact);
  building_.events.push_back(std::move(fact));
}

void session::record_all(std::vector<event_body> bodies) {
  for (auto& body : bodies)
    record(std::move(body));
}

void session::settle() {
  if (writing_ || leaving_)
    return;
  settling_ = true;
  if (auto outcome = std::exchange(finished_step_, std::nullopt))
    take_step(*outcome);
  for (;;) {
    claim_queued();
    if (auto next = core::advance(data_)) {
      record(std::move(*next));
      continue;
    }
    if (!core::step_due(data_) || coordinator_.busy() || stopping_
        || building_.events.size() >= max_fold)
      break;
    start_step();
    if (!finished_step_)
      break;
    take_step(*std::exchange(finished_step_, std::nullopt));
  }
  settling_ = false;
  if (const auto now = core::derive_state(data_); data_.exists() && now != data_.head.state) {
    state_changed fact;
    fact.from = data_.head.state;
    fact.to = now;
    record(std::move(fact));
  }
  commit_transaction();
}

void session::claim_queued() {
  for (const auto number : std::vector<std::uint64_t>(data_.queued.begin(), data_.queued.end())) {
    const auto& call = data_.calls.at(number);
    const auto* tool = shared_->tools.find(call.tool);
    if (tool == nullptr || tool->kind() != tool_kind::server) {
      // The call was approved by a runtime that had the tool, and ran it.
      auto outcome = result<json>{
          make_error(errc::unknown_tool, "this runtime has no tool " + call.tool.str())};
      record(core::claim(data_, number));
      record_all(core::finish_call(data_, number, data_.calls.at(number).runs, std::move(outcome),
                                   environment_));
      continue;
    }
    // What an earlier run reported has been taken: nobody runs a queued call.
    shared_->workers.forget(id_of(number));
    if (stopping_
        || !shared_->workers.reserve(id_of(number),
                                     std::holds_alternative<blocking_tool>(tool->run))) {
      shared_->workers.wait(id_);
      continue;
    }
    record(core::claim(data_, number));
    building_.claimed.push_back(number);
  }
}

void session::pass_worker_on() {
  // Whoever was told of a free worker and does not need it any more tells the next in line.
  auto next = shared_->workers.next_waiting();
  if (!next)
    return;
  auto message = std::make_shared<delivery>();
  message->session = std::move(*next);
  message->body = worker_freed{};
  self_->send(peers_.directory, std::move(message));
}

void session::start_step() {
  coordinator_.start(data_, shared_->agents,
                     [this](coordinator::step_outcome outcome) { step_done(std::move(outcome)); });
}

void session::step_done(coordinator::step_outcome outcome) {
  finished_step_ = std::move(outcome);
  // Inside `settle` the step was synchronous and is folded; otherwise it starts a transaction of
  // its own, or waits for the one that is being written.
  if (!settling_) {
    settle();
    process_queue();
  }
}

void session::take_step(const coordinator::step_outcome& outcome) {
  if (outcome)
    record_all(core::take_step(data_, *outcome, environment_));
  else
    record_all(
        core::fail_step(data_, "agent_failed: " + message_of(outcome.error()), environment_));
}

void session::cancel_stale_step() {
  if (core::step_due(data_))
    return;
  if (coordinator_.busy())
    coordinator_.cancel();
  finished_step_.reset();
}

void session::commit_transaction() {
  if (building_.events.empty()) {
    // Nothing to write: duplicates and wakes are answered from what is committed.
    for (auto& [to, with] : std::exchange(building_.replies, {}))
      answer(to, std::move(with));
    for (const auto call : std::exchange(building_, {}).ended_runs)
      shared_->workers.forget(id_of(call));
    return;
  }
  writing_ = std::exchange(building_, {});
  auto message = std::make_shared<append>();
  message->session = caf::actor_cast<caf::actor>(self_);
  message->body = core::make_commit(data_, number_, writing_->events);
  self_->send(peers_.journal, std::move(message));
}

void session::committed(const commit_outcome& outcome) {
  if (!writing_)
    return;
  if (outcome.error)
    return fail(outcome.error);
  number_ = outcome.number;
  auto done = std::exchange(writing_, std::nullopt);
  for (auto& [to, with] : done->replies)
    answer(to, std::move(with));
  if (shared_->hub.publish(id_, data_.head.events))
    self_->send(peers_.directory, atoms::published_atom_v, id_);
  for (const auto call : done->cancelled_runs)
    shared_->workers.stop(id_of(call)); // what it reports is late
  for (const auto call : done->ended_runs)
    shared_->workers.forget(id_of(call));
  start_claimed(done->claimed);
  if (stopping_)
    return leave();
  activating_ = false;
  // Commands first, so that a long run of steps that fold does not keep them waiting.
  process_queue();
  if (!writing_ && (finished_step_ || (core::step_due(data_) && !coordinator_.busy())))
    settle();
}

void session::start_claimed(const std::vector<std::uint64_t>& calls) {
  for (const auto number : calls) {
    const auto& call = data_.calls.at(number);
    auto run = std::make_shared<run_request>();
    run->what = shared_->tools.find(call.tool);
    run->run = call.runs;
    run->context.call = id_of(number);
    run->context.incarnation = number_;
    run->context.idempotency_key = data_.head.incarnation + "/" + id_of(number).str();
    run->context.arguments = call.arguments;
    run->context.workspace = data_.head.workspace;
    if (call.verdict && run->what->fingerprint)
      run->context.approved_fingerprint = call.fingerprint;
    self_->send(peers_.worker, std::move(run));
  }
}

void session::answer(reply& to, receipt with) {
  with.session = id_;
  with.state = data_.head.state;
  to(std::move(with));
}

void session::process_queue() {
  while (!queue_.empty() && !writing_ && !leaving_) {
    auto next = std::move(queue_.front());
    queue_.pop_front();
    process(*next);
  }
}

bool session::idle() const {
  return !writing_ && queue_.empty() && building_.events.empty() && !coordinator_.busy()
         && !finished_step_ && data_.queued.empty() && data_.claimed.empty();
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
  if (writing_)
    refuse(*writing_);
  refuse(building_);
  writing_.reset();
  building_ = {};
  pass_worker_on();
  // What waits for an activation that cannot be committed hears of it; another activation would
  // fail in the same way, and so on for ever.
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
  auto again = std::make_shared<delivery>();
  again->session = id_;
  again->body = wake{};
  self_->delayed_send(peers_.directory, retry_interval, std::move(again));
}

caf::behavior session_actor(caf::stateful_actor<session_actor_state>* self, services_ptr shared,
                            session_peers peers, session_id id) {
  self->state.body = std::make_unique<session>(self, shared, std::move(peers), std::move(id));
  auto* body = self->state.body.get();
  body->activate();
  return {
      [body](delivery_ptr& message) { body->handle(std::move(message)); },
      [self, body, shared](session_command& what) {
        auto message = std::make_shared<delivery>();
        message->session = std::move(what.session);
        message->body = std::move(what.body);
        message->answer = reply{self->make_response_promise(), admission{shared->under_way}};
        body->handle(std::move(message));
      },
      [body](const outcome_ptr& outcome) { body->committed(*outcome); },
      [body](atoms::leave_atom) { body->leave_if_idle(); },
      [body](atoms::stop_atom) { body->stop(); },
      [self](atoms::bye_atom) { self->quit(); },
  };
}

} // namespace fermata::detail
