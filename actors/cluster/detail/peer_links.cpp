#include <fermata/actors/cluster/detail/peer_links.hpp>

#include <fermata/messages/type_ids.hpp>

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace fermata::detail {

namespace {

/// No timer reaches further, and nobody waits longer for a node.
constexpr std::chrono::milliseconds longest_wait = std::chrono::hours{24 * 365};
constexpr std::chrono::minutes longest_sleep{1};

/// Who has an answer sooner has not waited for it at a node.
constexpr std::chrono::milliseconds shortest_stay{1'000};

/// When live updates are asked for again that were ended.
constexpr std::chrono::seconds listen_interval{1};

/// How much of them is taken until the other node is told: the less often, the fewer messages, and
/// well before it has no more room.
constexpr std::uint64_t told_updates = listen_live::max_updates / 4;
constexpr std::uint64_t told_size_bytes = listen_live::max_size_bytes / 4;

/// Of a node that was frozen, or cut off, for so long that the other one gave its connection up.
constexpr auto forgotten = "it does not know this node any more";

/// The answer may be lost with an older connection of the same two nodes.
coro::task<node_hello> greet_within(caf::scheduled_actor* self, caf::actor gate, node_hello hello,
                                    caf::actor own_gate, std::chrono::milliseconds timeout) {
  co_return co_await coro::ask<node_hello>(self, gate, timeout, std::move(hello),
                                           std::move(own_gate));
}

caf::error nobody_waits() {
  return make_error(errc::shutting_down, "nobody waits for it");
}

/// What CAF says of a connection, for people.
std::string text_of(const caf::error& error) {
  if (error == caf::sec::cannot_connect_to_node)
    return "it does not take connections at that address";
  if (error == caf::sec::disconnect_during_handshake)
    return "it ended the connection while it was made";
  return message_of(error);
}

} // namespace

peer_links::peer_links(caf::event_based_actor* self, link_options options)
    : self_{self}, options_{std::move(options)}, scope_{self} {
  std::vector<peer_report> reports;
  for (const auto& member : options_.hello.members.members) {
    if (member.name == options_.hello.name)
      continue;
    const bool yields = member.name < options_.hello.name;
    auto& added =
        peers_.emplace_back(member, reports.size(), peer_contact{options_.timing, yields, now()});
    added.dialer = options_.dialer(self_);
    reports.emplace_back().member = member;
  }
  options_.board->begin(std::move(reports));
}

void peer_links::open(open_links own) {
  own_gate_ = std::move(own.gate);
  directory_ = std::move(own.directory);
  keeper_ = std::move(own.keeper);
  tick();
}

peer_links::peer* peer_links::find_peer(const node_name& name) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const peer& one) { return one.member.name == name; });
  return found == peers_.end() ? nullptr : &*found;
}

peer_links::whereabouts peer_links::home_of(const session_id& session) {
  if (!shares_store()) {
    auto* at = find_peer(fermata::home_of(options_.hello.members, session).name);
    assert(at != nullptr && "a session that lives here is not asked for elsewhere");
    return {false, at};
  }
  const auto name = options_.homes->home_of(session);
  if (!name)
    return {};
  if (*name == options_.hello.name)
    return {true, nullptr};
  return {false, find_peer(*name)};
}

peer_links::time peer_links::contact_until(const errand& what) {
  return what.route.since + what.route.patience;
}

peer_links::time peer_links::home_until(const errand& what) const {
  return what.route.since + std::max(what.route.patience, options_.handover_wait);
}

caf::error peer_links::unavailable(const peer& one) const {
  const auto& why = one.contact.reason();
  return make_error(errc::node_unavailable,
                    "node " + one.member.name.str() + " (" + one.member.host + ":"
                        + std::to_string(one.member.port) + ") cannot be reached"
                        + (why.empty() ? std::string{} : ": " + why)
                        + "; nothing was done, and its sessions go on when "
                        + (shares_store() ? "another node has them, or it is back" : "it is back"));
}

// -- what is asked of other nodes

void peer_links::take(delivery_ptr message) {
  // With its place among the commands under way, which it has already.
  if (directory_ && !homeless_.contains(message->session) && home_of(message->session).is_here)
    return hand_on(self_, directory_, std::move(message));
  auto answer = [message](result<receipt> given) { message->answer(std::move(given)); };
  const auto& session = message->session;
  if (auto* body = std::get_if<command>(&message->body))
    ask<session_command, receipt>(session, session_command{session, std::move(*body)},
                                  message->wait_for_node, answer);
  else
    ask<wake_session, receipt>(session, wake_session{session}, message->wait_for_node, answer);
}

void peer_links::take(const status_inquiry& asked) {
  if (asked->is_abandoned())
    return asked->answer(nobody_waits());
  const auto made = std::make_shared<errand_of<status_query, session_status>>(
      asked->what, [this, asked](result<session_status> given) {
        inquiries_.erase(asked.get());
        asked->answer(std::move(given));
      });
  made->route.session = asked->what.session;
  inquiries_.emplace(asked.get(), made);
  ask(made, asked->wait_for_node);
}

void peer_links::take(const follow_inquiry& asked) {
  if (asked->is_abandoned())
    return asked->answer(nobody_waits());
  follow({asked.get(), {}, 0}, asked->what, asked->wait_for_node,
         [asked](result<chunk_batch> given) { asked->answer(std::move(given)); });
}

void peer_links::take(const caf::strong_actor_ptr& who, const follow_chunks& what,
                      caf::response_promise promise) {
  follow({who.get(), what.session, what.reader}, what, {},
         [promise](result<chunk_batch> given) mutable { promise.deliver(std::move(given)); });
}

void peer_links::follow(reader_key key, follow_chunks what, std::chrono::milliseconds wait_for_node,
                        std::function<void(result<chunk_batch>)> answer) {
  // The home knows readers of many actors as this one's.
  what.reader = ++readers_begun_;
  const unfollow_chunks end{what.session, what.reader};
  auto made = std::make_shared<errand_of<follow_chunks, chunk_batch>>(
      std::move(what),
      [this, key, number = end.reader, answer = std::move(answer)](result<chunk_batch> given) {
        if (const auto found = readers_.find(key);
            found != readers_.end() && found->second.end.reader == number) {
          const auto ended = std::move(found->second);
          readers_.erase(found);
          // Its node may still keep it, where it was not it that has ended it.
          if (!given && ended.what->route.sent_to && !stopping_)
            self_->send(ended.what->route.sent_to, ended.end);
        }
        answer(std::move(given));
      });
  made->route.session = end.session;
  readers_.insert_or_assign(key, reader{made, end});
  ask(std::move(made), wait_for_node);
}

void peer_links::unfollow(const caf::strong_actor_ptr& who, const unfollow_chunks& what) {
  unfollow({who.get(), what.session, what.reader});
}

void peer_links::take(const abandoned& what) {
  const auto of = what.what.lock();
  if (!of)
    return;
  // As they are known by: the whole of an inquiry.
  const auto* key = dynamic_cast<const void*>(of.get());
  unfollow({key, {}, 0});
  if (const auto found = inquiries_.find(key); found != inquiries_.end()) {
    const auto errand = found->second;
    errand->route.is_abandoned = true;
    withdraw(errand);
  }
}

void peer_links::take(const live_ear_ptr& ear) {
  const auto found = listenings_.find(ear->session);
  if (!ear->is_closed()) {
    if (stopping_)
      return;
    auto& of = listenings_[ear->session];
    of.ears.push_back(ear);
    if (of.ears.size() == 1)
      listen(ear->session, of);
  } else if (found != listenings_.end() && std::erase(found->second.ears, ear) > 0
             && found->second.ears.empty()) {
    unlisten(found);
  }
}

void peer_links::listen(const session_id& session, listening& of) {
  of.reader = ++readers_begun_;
  of.taken = {};
  const listen_live what{session, of.reader};
  auto made = std::make_shared<errand_of<listen_live, live_batch>>(
      what, [this, what](const result<live_batch>& over) {
        const auto found = listenings_.find(what.session);
        if (found == listenings_.end() || found->second.reader != what.reader)
          return;
        const auto ended = std::exchange(found->second.what, {});
        if (stopping_)
          return;
        // Its node may still send, where it was not it that has ended it.
        if (!over && ended->route.sent_to)
          self_->send(ended->route.sent_to, unlisten_live{what.session, what.reader});
        self_->delayed_send(self_, listen_interval, listen_again{what.session, what.reader});
      });
  made->route.session = session;
  of.what = made;
  // For as long as it takes: who listens does not ask anew when the node is back.
  ask(std::move(made), longest_wait);
}

void peer_links::take(const listen_again& what) {
  const auto found = listenings_.find(what.session);
  if (!stopping_ && found != listenings_.end() && found->second.reader == what.reader)
    listen(found->first, found->second);
}

void peer_links::unlisten(std::unordered_map<session_id, listening>::iterator of) {
  const auto [session, ended] = std::move(*of);
  listenings_.erase(of);
  if (!ended.what)
    return;
  ended.what->route.is_abandoned = true;
  if (!withdraw(ended.what))
    self_->send(ended.what->route.sent_to, unlisten_live{session, ended.reader});
}

void peer_links::take(const live_batch& batch) {
  const auto found = listenings_.find(batch.session);
  if (found == listenings_.end() || found->second.reader != batch.reader || !found->second.what
      || !found->second.what->route.sent_to)
    return; // it was on its way when nobody listened any more
  auto& of = found->second;
  for (const auto& ear : of.ears)
    ear->hear(batch);
  of.taken.updates += batch.updates.size();
  of.taken.size_bytes += batch.size_bytes;
  if (of.taken.updates < told_updates && of.taken.size_bytes < told_size_bytes)
    return;
  of.taken.session = batch.session;
  of.taken.reader = batch.reader;
  self_->send(of.what->route.sent_to, std::exchange(of.taken, {}));
}

void peer_links::unfollow(const reader_key& key) {
  const auto found = readers_.find(key);
  if (found == readers_.end())
    return;
  const auto [errand, end] = found->second;
  errand->route.is_abandoned = true;
  if (!withdraw(errand))
    self_->send(errand->route.sent_to, end); // whose answer ends it
}

bool peer_links::withdraw(const errand_ptr& what) {
  bool has_waited = false;
  if (const auto& session = what->route.session)
    if (const auto found = homeless_.find(*session); found != homeless_.end()) {
      has_waited = take_out(found->second, what);
      if (found->second.empty())
        homeless_.erase(found);
    }
  for (auto one = peers_.begin(); one != peers_.end() && !has_waited; ++one)
    has_waited = take_out(one->waiting, what);
  if (has_waited)
    refuse(what, nobody_waits());
  return has_waited;
}

bool peer_links::take_out(std::deque<errand_ptr>& of, const errand_ptr& what) {
  const auto found = std::find(of.begin(), of.end(), what);
  if (found == of.end())
    return false;
  of.erase(found);
  return true;
}

void peer_links::refuse(const errand_ptr& what, caf::error why) {
  --count_of(*what);
  what->fail(std::move(why));
}

template <class What, class Answer>
void peer_links::ask_node(const node_name& name, What what,
                          std::function<void(result<Answer>)> answer) {
  auto* to = find_peer(name);
  if (to == nullptr)
    return answer(make_error(errc::invalid_field, "there is no other node " + name.str()));
  ask(std::make_shared<errand_of<What, Answer>>(std::move(what), std::move(answer)), {}, to);
}

void peer_links::take(const request_inquiry& asked) {
  // The gate takes the bytes of its host as they are.
  ask_node<std::string, answer_piece>(
      asked->what.node, std::move(asked->what.body),
      [this, asked, so_far = std::make_shared<std::string>()](result<answer_piece> given) {
        collect(asked, so_far, std::move(given));
      });
}

void peer_links::collect(const request_inquiry& asked, std::shared_ptr<std::string> so_far,
                         result<answer_piece> piece) {
  if (!piece)
    return asked->answer(std::move(piece.error()));
  *so_far += piece->bytes;
  if (piece->left_bytes == 0)
    return asked->answer(std::move(*so_far));
  ask_node<next_piece, answer_piece>(asked->what.node, next_piece{piece->number},
                                     [this, asked, so_far](result<answer_piece> given) {
                                       collect(asked, so_far, std::move(given));
                                     });
}

void peer_links::take(const node_inquiry& asked) {
  ask_node<caf::atom_value, node_status>(
      asked->what, atoms::status_atom_v,
      [asked](result<node_status> given) { asked->answer(std::move(given)); });
}

void peer_links::ask(errand_ptr what, std::chrono::milliseconds wait_for_node, peer* to) {
  if (stopping_ || !own_gate_)
    return what->fail(make_error(errc::shutting_down, "the node is not started, or stopped"));
  auto& count = count_of(*what);
  if (count >= options_.max_errands)
    return what->fail(make_error(errc::overloaded, "too much is asked of other nodes at once "
                                                   "(limit runtime_queue); try again later"));
  ++count;
  what->route.patience = std::min(wait_for_node, longest_wait);
  what->route.since = now();
  what->route.number = ++errands_begun_;
  if (to != nullptr)
    go_to(*to, std::move(what));
  else
    go(std::move(what));
}

void peer_links::go(errand_ptr what) {
  // Until `homes_changed` sends those that came before it.
  if (homeless_.contains(*what->route.session))
    return wait_for_home(std::move(what));
  const auto home = home_of(*what->route.session);
  if (home.is_here)
    go_here(std::move(what));
  else if (home.at != nullptr)
    go_to(*home.at, std::move(what));
  else
    wait_for_home(std::move(what));
}

void peer_links::go_to(peer& of, errand_ptr what) {
  const auto state = of.contact.state();
  const auto until = contact_until(*what);
  if (state == contact_state::connected) {
    const bool is_first = of.under_way.empty();
    if (is_first)
      of.contact.asked(now());
    begin(of, std::move(what));
    // From the first one on heartbeats are due more often.
    if (const auto due = of.contact.due(true); is_first && due)
      arm_for(*due);
  } else if (state != contact_state::connecting && until <= now()) {
    refuse(what, unavailable(of));
  } else {
    of.waiting.push_back(std::move(what));
    // While it connects all wait for the end of that.
    if (state != contact_state::connecting)
      arm_for(until);
  }
}

void peer_links::go_here(errand_ptr what) {
  const auto place = under_way_here_.insert(under_way_here_.end(), what);
  what->route.sent_at = now();
  what->route.sent_to = directory_;
  what->route.stays_here = true;
  what->send(scope_, self_, directory_, true, [this, place](const caf::error& why) {
    const auto ended = *place;
    under_way_here_.erase(place);
    return goes_on(ended, why);
  });
}

void peer_links::wait_for_home(errand_ptr what) {
  const auto until = home_until(*what);
  if (until <= now())
    return refuse(what, make_error(errc::node_unavailable,
                                   "no node has session " + what->route.session->str()
                                       + " at this moment: its node is gone, or cannot reach the "
                                         "store; nothing was done, and it goes on when another "
                                         "node has it"));
  put_homeless(std::move(what));
  arm_for(until);
}

void peer_links::put_homeless(errand_ptr what) {
  auto& waiting = homeless_[*what->route.session];
  const auto place = std::upper_bound(waiting.begin(), waiting.end(), what,
                                      [](const errand_ptr& one, const errand_ptr& other) {
                                        return one->route.number < other->route.number;
                                      });
  waiting.insert(place, std::move(what));
}

bool peer_links::goes_on(const errand_ptr& what, const caf::error& why) {
  auto& route = what->route;
  const bool has_moved = shares_store() && route.session && is(why, errc::node_unavailable);
  // One that was taken and had to wait there begins to wait anew: a reader each time, since it
  // waits for what may never come, and others once.
  if (now() - route.sent_at >= std::max(options_.handover_wait, shortest_stay)
      && (what->is_reading() || !std::exchange(route.waits_anew, true)))
    route.since = now();
  if (!has_moved || route.is_abandoned || home_until(*what) <= now()) {
    --count_of(*what);
    return false;
  }
  route.sent_to = {};
  put_homeless(what);
  arm_for(home_until(*what));
  look();
  return true;
}

void peer_links::look() {
  if (keeper_)
    self_->send(keeper_, look_at_slots{});
}

void peer_links::homes_changed() {
  std::deque<errand_ptr> all;
  for (auto& [session, waiting] : std::exchange(homeless_, {}))
    std::move(waiting.begin(), waiting.end(), std::back_inserter(all));
  for (auto& one : peers_) {
    std::deque<errand_ptr> stays;
    for (auto& errand : one.waiting) {
      const bool goes = errand->route.session && home_of(*errand->route.session).at != &one;
      (goes ? all : stays).push_back(std::move(errand));
    }
    one.waiting = std::move(stays);
  }
  for (auto& one : all)
    go(std::move(one));
  call_readings_back();
}

void peer_links::call_readings_back() {
  const auto has_moved = [this](const errand& what) {
    const auto& route = what.route;
    if (!route.sent_to || route.stays_here)
      return false;
    const auto home = home_of(*route.session);
    return home.is_here || (home.at != nullptr && home.at->gate && home.at->gate != route.sent_to);
  };
  std::map<std::uint64_t, errand_ptr> moved; // in the order in which they came
  for (const auto& [key, one] : readers_)
    if (has_moved(*one.what)) {
      self_->send(one.what->route.sent_to, one.end);
      moved.emplace(one.what->route.number, one.what);
    }
  for (auto& [session, one] : listenings_)
    if (one.what && has_moved(*one.what)) {
      self_->send(one.what->route.sent_to, unlisten_live{session, one.reader});
      one.taken = {};
      moved.emplace(one.what->route.number, one.what);
    }
  for (auto& peer : peers_)
    std::erase_if(peer.under_way,
                  [&](const errand_ptr& one) { return moved.contains(one->route.number); });
  for (const auto& [number, one] : moved) {
    one->call_back();
    one->route.sent_to = {};
    go(one);
  }
}

void peer_links::tell_offer(const node_name& to) {
  if (const auto* other = find_peer(to); other != nullptr && other->gate)
    self_->send(other->gate, atoms::offered_atom_v);
}

void peer_links::begin(peer& of, errand_ptr what) {
  const auto place = of.under_way.insert(of.under_way.end(), what);
  ++(what->is_command() ? options_.counters->commands : options_.counters->questions);
  what->route.sent_at = now();
  what->route.sent_to = of.gate;
  what->route.stays_here = false;
  what->send(scope_, self_, of.gate, shares_store(), [this, &of, place](const caf::error& why) {
    const auto ended = *place;
    of.under_way.erase(place);
    const bool is_sent_again = goes_on(ended, why);
    if (is(why, errc::peer_refused))
      lose(of, forgotten);
    else
      heard(of);
    return is_sent_again;
  });
}

void peer_links::heard(peer& from) {
  if (from.contact.heard(now()))
    update(from);
}

void peer_links::fail_under_way(peer& of) {
  for (const auto& one : std::exchange(of.under_way, {})) {
    refuse(one, one->is_command() ? make_error(
                    errc::timed_out, "node " + of.member.name.str()
                                         + " was lost when it had the command ("
                                         + of.contact.reason() + "): it may have been carried out")
                                  : unavailable(of));
  }
}

void peer_links::refuse_waiting(peer& of) {
  if (of.contact.state() == contact_state::connecting)
    return;
  std::deque<errand_ptr> patient;
  std::vector<errand_ptr> refused;
  for (auto& one : of.waiting)
    if (contact_until(*one) > now())
      patient.push_back(std::move(one));
    else
      refused.push_back(std::move(one));
  of.waiting = std::move(patient);
  for (const auto& one : refused)
    refuse(one, unavailable(of));
}

void peer_links::refuse_homeless() {
  for (auto& [session, waiting] : std::exchange(homeless_, {}))
    for (auto& one : waiting)
      wait_for_home(std::move(one));
}

// -- connections

void peer_links::connect(peer& to) {
  to.dialing =
      scope_.spawn(ask_for<caf::actor>(self_, to.dialer, cluster_member{to.member}),
                   [this, &to, attempt = ++to.attempt](caf::expected<caf::actor> gate) {
                     if (attempt != to.attempt)
                       return;
                     if (gate && *gate)
                       return greet(to, std::move(*gate));
                     to.contact.failed(gate ? "no node is there" : text_of(gate.error()), now());
                     update(to);
                   });
}

void peer_links::sighted(const node_name& name, const caf::actor& gate) {
  if (!own_gate_)
    return; // it will be greeted
  for (auto& one : peers_) {
    if (one.member.name != name)
      continue;
    // Nodes that greet each other anew with each greeting would never hear an answer.
    const bool is_being_greeted = one.greeting.active() && one.gate == gate;
    if (!is_being_greeted && one.contact.sighted())
      greet(one, gate);
  }
}

void peer_links::set_gate(peer& of, caf::actor gate) {
  if (of.gate == gate)
    return;
  if (of.gate)
    self_->demonitor(of.gate);
  if (gate)
    self_->monitor(gate);
  of.gate = std::move(gate);
  drop_questions(of);
}

/// Nobody answers them any more: CAF neither where it connects and is connected with meanwhile.
void peer_links::drop_questions(peer& of) {
  of.dialing.cancel();
  of.beat.cancel();
  of.greeting.cancel();
}

void peer_links::greet(peer& to, caf::actor gate) {
  if (stopping_)
    return;
  set_gate(to, gate);
  drop_questions(to); // also where the same gate is reached by a new connection
  to.greeting = scope_.spawn(greet_within(self_, std::move(gate), options_.hello, own_gate_,
                                          options_.timing.connect_timeout),
                             [this, &to, attempt = ++to.attempt](caf::expected<node_hello> hello) {
                               if (attempt != to.attempt)
                                 return;
                               to.has_other_store = !hello && is(hello.error(), errc::other_store);
                               if (hello)
                                 greeted(to, *hello);
                               else if (to.has_other_store || is(hello.error(), errc::peer_refused))
                                 to.contact.refused(message_of(hello.error()), now());
                               else
                                 to.contact.failed(text_of(hello.error()), now());
                               update(to);
                             });
}

void peer_links::greeted(peer& by, const node_hello& hello) {
  if (hello.name != by.member.name)
    return by.contact.refused("the node at that address is " + quoted_excerpt(hello.name.str()),
                              now());
  by.contact.connected(now());
}

void peer_links::beat(peer& to) {
  to.beat.cancel(); // the one before that has no answer
  to.beat = scope_.spawn(ask_for<caf::atom_value>(self_, to.gate, atoms::beat_atom_v),
                         [this, &to](const caf::expected<caf::atom_value>& answer) {
                           if (!answer && is(answer.error(), errc::peer_refused))
                             return lose(to, forgotten);
                           if (!answer)
                             return; // the end of its gate will be told
                           heard(to);
                         });
}

void peer_links::lost(const caf::actor_addr& gate) {
  for (auto& one : peers_)
    if (one.gate && one.gate.address() == gate)
      lose(one, "the connection was lost");
}

void peer_links::lose(peer& one, const std::string& why) {
  set_gate(one, {});
  const auto before = one.contact.state();
  if (before == contact_state::connected || before == contact_state::silent)
    ++options_.counters->lost;
  ++one.attempt;
  one.contact.lost(why, now());
  fail_under_way(one);
  update(one);
  look(); // one that has stopped has given its slots back
}

void peer_links::tick() {
  if (next_tick_ && now() >= *next_tick_)
    next_tick_.reset();
  if (stopping_ || !own_gate_)
    return;
  refuse_homeless();
  for (auto& one : peers_) {
    switch (one.contact.next(now(), !one.under_way.empty())) {
    case peer_contact::deed::nothing:
      break;
    case peer_contact::deed::connect:
      connect(one);
      break;
    case peer_contact::deed::heartbeat:
      beat(one);
      break;
    case peer_contact::deed::give_up:
      fail_under_way(one);
      break;
    }
    update(one);
  }
}

void peer_links::update(peer& one) {
  peer_report report;
  report.member = one.member;
  report.state = one.contact.state();
  report.reason = one.contact.reason();
  report.has_other_store = one.has_other_store && report.state == contact_state::refused;
  if (options_.board->write(one.place, report))
    tell(options_.on_contact, report);
  if (report.state == contact_state::connected)
    for (auto& errand : std::exchange(one.waiting, {}))
      begin(one, std::move(errand));
  refuse_waiting(one);
  arm();
}

void peer_links::arm() {
  if (stopping_ || !own_gate_)
    return;
  std::optional<time> earliest;
  const auto consider = [&](time at) { earliest = earliest ? std::min(*earliest, at) : at; };
  for (const auto& one : peers_) {
    if (const auto due = one.contact.due(!one.under_way.empty()))
      consider(*due);
    if (one.contact.state() != contact_state::connecting)
      for (const auto& errand : one.waiting)
        consider(contact_until(*errand));
  }
  for (const auto& [session, waiting] : homeless_)
    for (const auto& errand : waiting)
      consider(home_until(*errand));
  if (earliest)
    arm_for(*earliest);
}

void peer_links::arm_for(time at) {
  // A later timer stays in CAF's clock where an earlier one is armed, so none is armed for long.
  at = std::min(at, now() + longest_sleep);
  if (next_tick_ && *next_tick_ <= at)
    return;
  next_tick_ = at;
  if (at <= now())
    self_->send(self_, atoms::tick_atom_v);
  else
    self_->delayed_send(self_, at - now(), atoms::tick_atom_v);
}

void peer_links::stop() {
  stopping_ = true;
  const auto end_all = [this](auto& list) {
    for (const auto& one : std::exchange(list, {}))
      refuse(one, make_error(errc::shutting_down, "the node is stopping"));
  };
  for (auto& one : peers_) {
    for (const auto& sent : std::exchange(one.under_way, {}))
      refuse(sent, sent->is_command() ? make_error(
                       errc::timed_out, "this node stopped when node " + one.member.name.str()
                                            + " had the command: it may have been carried "
                                              "out")
                                      : make_error(errc::shutting_down, "the node is stopping"));
    end_all(one.waiting);
    one.dialer = {};
  }
  end_all(under_way_here_);
  for (auto& [session, waiting] : std::exchange(homeless_, {}))
    end_all(waiting);
  listenings_.clear();
  directory_ = {};
  keeper_ = {};
  own_gate_ = {};
  // With a reason, which dialers end with as well: one may wait for a silent port.
  self_->quit(caf::exit_reason::user_shutdown);
}

std::shared_ptr<const session_router> make_router(const node_hello& hello, caf::actor links) {
  auto router = std::make_shared<session_router>();
  router->is_home_of = [members = hello.members, name = hello.name](const session_id& session) {
    return fermata::home_of(members, session).name == name;
  };
  router->forwarder = std::move(links);
  return router;
}

std::shared_ptr<const session_router> make_router(std::shared_ptr<const slot_map> homes,
                                                  caf::actor links) {
  auto router = std::make_shared<session_router>();
  router->shares_store = true;
  router->is_home_of = [homes](const session_id& session) { return homes->serves(session); };
  router->may_begin_effect = [homes](const session_id& session) {
    return homes->may_begin_effect(session);
  };
  router->on_stale_commit = [links] { caf::anon_send(links, look_at_slots{}); };
  router->forwarder = std::move(links);
  return router;
}

caf::behavior peer_links_actor(caf::stateful_actor<peer_links_state>* self, link_options options) {
  self->state.body = std::make_unique<peer_links>(self, std::move(options));
  auto* body = self->state.body.get();
  self->set_down_handler([body](const caf::down_msg& gone) { body->lost(gone.source); });
  // Those who are asked by actors answer to them.
  const auto answer_to = [](caf::response_promise promise) {
    return [promise](auto given) mutable { promise.deliver(std::move(given)); };
  };
  return {
      [self, body](delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        body->take(std::move(message));
      },
      [body](const status_inquiry& asked) { body->take(asked); },
      [body](const follow_inquiry& asked) { body->take(asked); },
      [body](const request_inquiry& asked) { body->take(asked); },
      [body](const node_inquiry& asked) { body->take(asked); },
      [body](const abandoned& what) { body->take(what); },
      [body](const live_ear_ptr& ear) { body->take(ear); },
      [body](const live_batch& batch) { body->take(batch); },
      [body](const listen_again& what) { body->take(what); },
      [self, body, answer_to](const status_query& what) {
        body->ask<status_query, session_status>(what.session, what, {},
                                                answer_to(self->make_response_promise()));
      },
      [self, body](const follow_chunks& what) {
        const auto who = caf::actor_cast<caf::strong_actor_ptr>(self->current_sender());
        body->take(who, what, self->make_response_promise());
      },
      [self, body](const unfollow_chunks& what) {
        body->unfollow(caf::actor_cast<caf::strong_actor_ptr>(self->current_sender()), what);
      },
      [self, body, answer_to](const node_name& name, const pending_query& what) {
        body->ask_node<pending_query, pending_list>(name, what,
                                                    answer_to(self->make_response_promise()));
      },
      [body](const node_name& name, const caf::actor& gate) { body->sighted(name, gate); },
      [body](const open_links& own) { body->open(own); },
      [body](look_at_slots) { body->look(); },
      [body](homes_changed) { body->homes_changed(); },
      [body](const slots_offered& what) { body->tell_offer(what.to); },
      [body](atoms::tick_atom) { body->tick(); },
      [body](close_down) { body->stop(); },
  };
}

} // namespace fermata::detail
