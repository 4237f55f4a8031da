#include <fermata/actors/detail/directory.hpp>

#include <fermata/actors/detail/session.hpp>
#include <fermata/actors/detail/tool_worker.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <iterator>

namespace fermata::detail {

namespace {

/// How soon messages that wait for room look again.
constexpr std::chrono::milliseconds parked_interval{20};

} // namespace

caf::error check_admission(const services& shared) {
  if (shared.stopping)
    return make_error(errc::shutting_down, "the runtime is stopping");
  if (shared.under_way >= shared.options.limits.runtime_queue)
    return make_error(errc::overloaded,
                      "the runtime has " + std::to_string(shared.under_way)
                          + " commands under way (limit runtime_queue); try again later");
  return caf::none;
}

std::shared_ptr<const void> count_presence(const services_ptr& shared) {
  ++shared->resident;
  return {shared.get(), [shared](const services*) { --shared->resident; }};
}

runtime_load services::load() const {
  runtime_load now;
  now.commands_under_way = under_way;
  now.resident_sessions = resident;
  now.packed_sessions = packed;
  now.parked_messages = parked;
  now.runs_under_way = static_cast<std::uint32_t>(workers.under_way());
  now.observer_failures = observer_failures;
  return now;
}

reply::witness watch_answer(const services_ptr& shared, const session_id& session,
                            std::string_view type) {
  if (!shared->is_observed())
    return {};
  return [shared, session, type, begin = shared->observed_now()](const result<receipt>& answer) {
    const answered_command what{session, type, answer, shared->observed_since(begin)};
    shared->observe([&](auto& observer) { observer.answered(what); });
  };
}

directory::directory(caf::event_based_actor* self, services_ptr shared, caf::actor journal)
    : self_{self}, shared_{std::move(shared)}, journal_{std::move(journal)}, followers_{shared_},
      live_{shared_}, alarms_{self, shared_,
                              [this](delivery_ptr message) { deliver(std::move(message)); }},
      arrivals_{self, shared_, [this](delivery_ptr message) { deliver(std::move(message)); }} {
  // Linked: whatever kills the directory kills the sessions, so that none is left that nobody can
  // reach.
  worker_ =
      self_->spawn<caf::linked>(tool_worker_actor, shared_, caf::actor_cast<caf::actor>(self_));
  shared_->turns.set_directory(self_->address());
  if (shared_->options.fire_timers)
    alarms_.armed(shared_->options.clock->now()); // a first look, when the directory is set up
}

void directory::deliver(delivery_ptr message) {
  if (stopping_)
    return; // its answer says so when it is dropped
  // What this runtime says to a session that has not left memory yet may still be recorded.
  if (message->is_own() ? is_away(message->session) : !shared_->is_home_of(message->session))
    return send_on(std::move(message));
  if (message->is_command())
    take_in(std::move(message));
  else
    forward(std::move(message));
}

void directory::send_on(delivery_ptr message) {
  const auto found = residents_.find(message->session);
  if (!shared_->shares_store() || found == residents_.end())
    return send_away(std::move(message));
  self_->send(found->second.actor, atoms::stop_atom_v);
  pass_on(found->second, std::move(message));
}

void directory::send_away(delivery_ptr message) {
  const auto& session = message->session;
  if (!message->is_own()) {
    message->answer.begin({}); // turns are for sessions that live here
    return hand_on(self_, shared_->options.router->forwarder, std::move(message));
  }
  if (const auto* finished = std::get_if<run_finished>(&message->body)) {
    // Its new home has found the claim open, and finds out what became of it (P8).
    const call_id call{session, finished->call};
    if (shared_->workers.outcome(call, finished->run))
      shared_->workers.forget(call);
  } else if (std::holds_alternative<worker_freed>(message->body)) {
    if (auto next = shared_->workers.next_waiting()) {
      auto freed = std::make_shared<delivery>();
      freed->session = std::move(*next);
      freed->body = worker_freed{};
      self_->send(self_, std::move(freed));
    }
  }
  message->answer(make_error(errc::node_unavailable,
                             "session " + session.str() + " lives on another node by now"));
}

void directory::arrive(const sessions_arrived& what) {
  if (stopping_)
    return;
  arrivals_.begin(what.slots);
  if (shared_->options.fire_timers)
    alarms_.armed(shared_->options.clock->now());
  // A node that has died may have left garbage that nobody else knows of.
  self_->send(journal_, what);
}

void directory::depart(sessions_departed what) {
  const auto lives_elsewhere = [this](const session_id& id) { return !shared_->is_home_of(id); };
  auto messages = turns_.take_all(lives_elsewhere);
  std::erase_if(parked_order_, [&](const session_id& id) {
    if (!lives_elsewhere(id))
      return false;
    auto parked = take_parked(id);
    std::move(parked.begin(), parked.end(), std::back_inserter(messages));
    return true;
  });
  for (auto& message : messages)
    send_on(std::move(message));
  followers_.depart();
  live_.depart();
  auto leaving = leaving_;
  for (const auto& [id, one] : residents_)
    if (lives_elsewhere(id)) {
      self_->send(one.actor, atoms::stop_atom_v);
      leaving.insert(one.actor.address());
    }
  // Those that have no actor at the moment: of others when they have left.
  auto calls = shared_->workers.calls();
  std::erase_if(calls, [this](const call_id& call) { return !is_away(call.session()); });
  drop_runs(calls);
  departures_.add(std::move(leaving), std::move(what.cleared));
}

void directory::drop_runs(const std::vector<call_id>& calls) {
  for (const auto& call : calls) {
    shared_->workers.forget(call);
    // At once: a session that comes back may have its next run before the worker hears of this.
    shared_->workers.stop(call);
    auto stopped = std::make_shared<stop_run>();
    stopped->call = call;
    stopped->is_told = true;
    self_->send(worker_, std::move(stopped));
  }
}

void directory::take_in(delivery_ptr command) {
  if (command->answer.has_turn())
    return forward(std::move(command)); // it raced a passivation
  const auto& session = command->session;
  const auto found = residents_.find(session);
  const auto unseen = found == residents_.end() ? 0 : found->second.waiting->load();
  const auto waits = parked_.find(session);
  const auto parked = waits == parked_.end() ? 0 : waits->second.size();
  if (turns_.waiting_for(session) + unseen + parked >= shared_->options.limits.session_queue)
    return command->answer(
        make_error(errc::overloaded, "session " + session.str()
                                         + " has too many commands waiting (limit session_queue); "
                                           "try again later"));
  // One that only waits for its own session's last one takes nobody's turn.
  if (turns_.empty() && unseen > 0)
    return forward(std::move(command));
  if (turns_.empty() && shared_->turns.take_or_ask())
    return give_turn(std::move(command));
  // No stream of newcomers can keep the others waiting for ever.
  const std::uint64_t longest = shared_->options.limits.runtime_queue;
  const auto oldest = turns_begun_ - std::min(turns_begun_, longest);
  turns_.push(std::move(command),
              std::max(found == residents_.end() ? 0 : found->second.served, oldest));
  give_turns();
}

void directory::give_turns() {
  while (!turns_.empty() && shared_->turns.take_or_ask())
    give_turn(turns_.pop(turns_begun_ + 1));
}

void directory::give_turn(delivery_ptr command) {
  ++turns_begun_;
  command->answer.begin(turn{shared_->turns});
  if (is_away(command->session))
    return send_away(std::move(command));
  forward(std::move(command));
}

void directory::forward(delivery_ptr message) {
  // Behind those that came before it.
  if (parked_.contains(message->session))
    return park(std::move(message));
  if (auto* to = find_or_activate(message->session))
    return pass_on(*to, std::move(message));
  park(std::move(message));
  make_room();
}

void directory::activate_again(const session_id& id, std::chrono::milliseconds delay) {
  // One at a time for each: failures must not pile up while a disk stays full.
  if (activated_again_.insert(id).second)
    self_->delayed_send(self_, delay, atoms::retry_atom_v, id, std::int64_t{delay.count()});
}

void directory::retry(const session_id& id, std::chrono::milliseconds delay) {
  activated_again_.erase(id);
  wake again;
  again.retried_after = delay;
  auto message = std::make_shared<delivery>();
  message->session = id;
  message->body = again;
  deliver(std::move(message));
}

void directory::park(delivery_ptr message) {
  // The alarm clock waits for its answer, and tells again.
  if (std::holds_alternative<timer_due>(message->body))
    return message->answer(make_error(errc::overloaded, "too many sessions are active"));
  message->answer.begin({}); // for whom there is room already
  auto& waiting = parked_[message->session];
  if (waiting.empty())
    parked_order_.push_back(message->session);
  waiting.push_back(std::move(message));
  ++shared_->parked;
  arm_tick();
}

void directory::deliver_parked() {
  while (!parked_order_.empty()) {
    const bool away = is_away(parked_order_.front());
    auto* to = away ? nullptr : find_or_activate(parked_order_.front());
    if (to == nullptr && !away)
      return;
    auto messages = take_parked(parked_order_.front());
    parked_order_.pop_front();
    for (auto& message : messages)
      away ? send_away(std::move(message)) : pass_on(*to, std::move(message));
  }
}

std::vector<delivery_ptr> directory::take_parked(const session_id& id) {
  auto messages = std::move(parked_.extract(id).mapped());
  shared_->parked -= static_cast<std::uint32_t>(messages.size());
  return messages;
}

void directory::pass_on(resident& to, delivery_ptr message) {
  if (message->is_command()) {
    ++*to.waiting;
    to.served = turns_begun_;
  }
  hand_on(self_, to.actor, std::move(message));
  touch(to);
}

directory::resident* directory::find_or_activate(const session_id& id) {
  if (const auto found = residents_.find(id); found != residents_.end())
    return &found->second;
  // Those that are on their way out still take the memory that is bounded.
  if (residents_.size() + leaving_.size() >= shared_->options.limits.resident_sessions)
    return nullptr;
  resident added;
  added.waiting = std::make_shared<std::atomic<std::uint32_t>>(0);
  session_peers peers;
  peers.directory = caf::actor_cast<caf::actor>(self_);
  peers.journal = journal_;
  peers.worker = worker_;
  peers.waiting = added.waiting;
  // Before it can do anything that an observer is told of.
  peers.present = count_presence(shared_);
  shared_->observe([&](auto& observer) { observer.activated(id, residents_.size() + 1); });
  added.actor = self_->spawn<caf::linked>(session_actor, shared_, std::move(peers), id);
  added.place = by_use_.insert(by_use_.end(), id);
  auto& placed = residents_[id] = std::move(added);
  touch(placed);
  arm_tick();
  return &placed;
}

void directory::touch(resident& one) {
  put_last(one);
  if (!std::exchange(one.is_unpacked, true))
    ++unpacked_;
  pack_resting();
}

void directory::put_last(resident& one) {
  one.used = self_->clock().now();
  if (first_unpacked_ == one.place)
    ++first_unpacked_;
  by_use_.splice(by_use_.end(), by_use_, one.place);
  if (first_unpacked_ == by_use_.end())
    first_unpacked_ = one.place;
}

void directory::pack_resting() {
  const auto now = self_->clock().now();
  for (; unpacked_ > shared_->options.limits.unpacked_sessions; ++first_unpacked_) {
    auto& longest_unused = residents_.at(*first_unpacked_);
    if (!longest_unused.is_unpacked)
      continue;
    if (longest_unused.used + shared_->options.pack_after > now)
      return arm_tick();
    longest_unused.is_unpacked = false;
    --unpacked_;
    self_->send(longest_unused.actor, pack_up{});
  }
}

void directory::make_room() {
  // Those that have nothing under way leave; the busy ones ignore it.
  constexpr std::size_t asked_at_once = 8;
  std::size_t asked = 0;
  for (auto id = by_use_.begin(); id != by_use_.end() && asked < asked_at_once; ++asked) {
    auto& oldest = residents_.at(*id++);
    self_->send(oldest.actor, atoms::leave_atom_v);
    put_last(oldest);
  }
}

void directory::left(const session_id& id) {
  const auto found = residents_.find(id);
  if (found == residents_.end())
    return;
  self_->send(found->second.actor, atoms::bye_atom_v);
  leaving_.insert(found->second.actor.address());
  remove(found);
}

void directory::remove(std::unordered_map<session_id, resident>::iterator gone) {
  const auto id = gone->first;
  if (first_unpacked_ == gone->second.place)
    ++first_unpacked_;
  if (gone->second.is_unpacked)
    --unpacked_;
  by_use_.erase(gone->second.place);
  residents_.erase(gone);
  shared_->observe([&](auto& observer) { observer.passivated(id, residents_.size()); });
  if (is_away(id))
    drop_runs(shared_->workers.runs_of(id)); // whose outcomes nobody here can record
  make_use_of_room();
}

void directory::make_use_of_room() {
  if (stopping_)
    stop_worker();
  else
    deliver_parked();
}

bool directory::ended(const caf::actor_addr& who) {
  const bool was_known = forget(who);
  departures_.ended(who);
  return was_known;
}

bool directory::forget(const caf::actor_addr& who) {
  if (leaving_.erase(who) > 0) {
    make_use_of_room();
    return true;
  }
  if (stopping_ && worker_ == who) {
    self_->quit();
    return true;
  }
  // A defect ended a session; its next message activates it from the store.
  const auto found = std::find_if(residents_.begin(), residents_.end(),
                                  [&](const auto& one) { return one.second.actor == who; });
  if (found == residents_.end())
    return false;
  remove(found);
  return true;
}

void directory::stop_worker() {
  // Who waits for the directory's end waits for that of all others, too. What the sessions sent to
  // the worker comes before this.
  if (residents_.empty() && leaving_.empty())
    self_->send(worker_, atoms::stop_atom_v);
}

void directory::arm_tick() {
  if (residents_.empty())
    return;
  auto interval = std::max(shared_->options.passivate_after / 2, parked_interval);
  if (unpacked_ > shared_->options.limits.unpacked_sessions)
    interval = std::min(interval, std::max(shared_->options.pack_after, parked_interval));
  if (!parked_.empty())
    interval = parked_interval;
  const auto at = self_->clock().now() + interval;
  // Messages that wait for room do not wait for a passivation's slow tick.
  if (next_tick_ && *next_tick_ <= at)
    return;
  next_tick_ = at;
  self_->delayed_send(self_, interval, atoms::tick_atom_v);
}

void directory::gone(const caf::node_id& node) {
  followers_.gone(node);
  live_.gone(node);
}

void directory::tick() {
  const auto now = self_->clock().now();
  if (stopping_ || !next_tick_ || now < *next_tick_)
    return; // an earlier tick took its place
  next_tick_.reset();
  while (!by_use_.empty()) {
    auto& oldest = residents_.at(by_use_.front());
    if (oldest.used + shared_->options.passivate_after > now)
      break;
    self_->send(oldest.actor, atoms::leave_atom_v);
    put_last(oldest);
    if (oldest.used + shared_->options.passivate_after <= now)
      break; // passivate_after is zero: each was asked once
  }
  if (!parked_.empty())
    make_room();
  pack_resting();
  arm_tick();
}

void directory::stop() {
  stopping_ = true;
  parked_.clear();
  parked_order_.clear();
  turns_.clear();
  shared_->parked = 0;
  followers_.close();
  live_.close();
  alarms_.stop();
  arrivals_.stop();
  for (auto& [id, one] : residents_)
    self_->send(one.actor, atoms::stop_atom_v);
  stop_worker();
}

caf::behavior directory_actor(caf::stateful_actor<directory_state>* self, services_ptr shared,
                              caf::actor journal) {
  self->state.body = std::make_unique<directory>(self, shared, std::move(journal));
  auto* body = self->state.body.get();
  // A session that ends by a defect must not take the others with it.
  self->set_exit_handler([self, body](caf::exit_msg& ended) {
    if (!body->ended(ended.source) && ended.reason)
      self->quit(std::move(ended.reason));
  });
  const auto take_in = [self, body, shared](delivery_ptr message, std::string_view type) {
    message->answer = reply{self->make_response_promise(), admission{}};
    message->answer.watch(watch_answer(shared, message->session, type));
    if (auto refused = check_admission(*shared))
      return message->answer(std::move(refused));
    message->answer.admit(admission{shared->under_way});
    body->deliver(std::move(message));
  };
  return {
      [self, body](delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        body->deliver(std::move(message));
      },
      [take_in](session_command& what) {
        auto message = std::make_shared<delivery>();
        message->session = std::move(what.session);
        message->wait_for_node = what.wait_for_node;
        const auto type = name_of(what.body);
        message->body = std::move(what.body);
        take_in(std::move(message), type);
      },
      [take_in](wake_session& what) {
        auto message = std::make_shared<delivery>();
        message->session = std::move(what.session);
        message->body = wake{};
        take_in(std::move(message), "wake");
      },
      [self, body, shared](follow_chunks& what) {
        auto promise = self->make_response_promise();
        if (!shared->is_home_of(what.session))
          promise.delegate(shared->options.router->forwarder, std::move(what));
        else
          body->readers().add(std::move(promise), std::move(what));
      },
      [self, shared](status_query& what) {
        auto promise = self->make_response_promise();
        // In a store that nodes share, all can read.
        if (!shared->shares_store() && !shared->is_home_of(what.session))
          promise.delegate(shared->options.router->forwarder, std::move(what));
        else
          promise.deliver(query_status(shared->store(), what.session));
      },
      [self, body, shared](unfollow_chunks& what) {
        if (!shared->is_home_of(what.session))
          self->delegate(shared->options.router->forwarder, std::move(what));
        else
          body->readers().unfollow(caf::actor_cast<caf::strong_actor_ptr>(self->current_sender()),
                                   what);
      },
      [self, body, shared](const listen_live& what) {
        auto promise = self->make_response_promise();
        // From the links alone, which know where else it may be.
        if (!shared->is_home_of(what.session))
          promise.deliver(
              make_error(errc::node_unavailable,
                         "session " + what.session.str() + " does not live here; ask again"));
        else
          body->live().add(std::move(promise), what);
      },
      [self, body](const unlisten_live& what) {
        body->live().unlisten(caf::actor_cast<caf::strong_actor_ptr>(self->current_sender()), what);
      },
      [self, body](const live_taken& what) {
        body->live().taken(caf::actor_cast<caf::strong_actor_ptr>(self->current_sender()), what);
      },
      [body](atoms::gone_atom, const caf::node_id& node) { body->gone(node); },
      [body](atoms::published_atom, const session_id& id) { body->readers().published(id); },
      [body](atoms::left_atom, const session_id& id) { body->left(id); },
      [body](turn_ended) { body->give_turns(); },
      [body](atoms::tick_atom) { body->tick(); },
      [body](atoms::again_atom, const session_id& id, std::int64_t delay_ms) {
        body->activate_again(id, std::chrono::milliseconds{delay_ms});
      },
      [body](atoms::retry_atom, const session_id& id, std::int64_t delay_ms) {
        body->retry(id, std::chrono::milliseconds{delay_ms});
      },
      [body](atoms::armed_atom, std::int64_t due) {
        body->alarms().armed(timestamp{timestamp::duration{due}});
      },
      [body](atoms::alarm_atom) { body->alarms().tick(); },
      [body](atoms::fired_atom, bool dealt_with) { body->alarms().fired(dealt_with); },
      [body](const sessions_arrived& what) { body->arrive(what); },
      [body](sessions_departed& what) { body->depart(std::move(what)); },
      [body](next_arrivals) { body->newcomers().look(); },
      [body](arrival_woken) { body->newcomers().woken(); },
      [body](atoms::stop_atom) { body->stop(); },
  };
}

} // namespace fermata::detail
