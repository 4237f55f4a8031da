#include <fermata/actors/cluster/detail/gate.hpp>

#include <fermata/actors/queries.hpp>
#include <fermata/messages/type_ids.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

/// Each may have a megabyte of arguments.
constexpr std::uint32_t max_page = 64;

} // namespace

node_status status_of(const services& shared, const node_hello& hello, timestamp started_at,
                      const slot_map* slots) {
  node_status made;
  made.name = hello.name;
  made.software = hello.software;
  made.started_at = started_at;
  const auto load = shared.load();
  made.resident = load.resident_sessions;
  made.under_way = load.commands_under_way;
  if (slots != nullptr) {
    made.slots = static_cast<std::uint32_t>(slots->served().count());
    made.draining = slots->is_draining();
  }
  return made;
}

result<pending_list> pending_of(const services& shared, const pending_query& what) {
  if (what.limit == 0 || what.limit > max_page)
    return make_error(errc::limit_exceeded, "pending_query::limit is refused; accepted are 1 to "
                                                + std::to_string(max_page));
  pending_cursor after;
  after.session = what.after_session;
  after.item = what.after_item;
  auto page = query_pending_page(shared.store(), std::nullopt, after, what.limit,
                                 pending_list::max_size_bytes);
  if (!page)
    return std::move(page.error());
  pending_list list;
  list.items = std::move(page->items);
  list.damaged = std::move(page->damaged);
  list.more = page->next.has_value();
  if (page->next) {
    list.last_session = page->next->session;
    list.last_item = page->next->item;
  }
  return list;
}

gate::gate(caf::event_based_actor* self, services_ptr shared, caf::actor directory,
           gate_options options)
    : self_{self}, shared_{std::move(shared)}, directory_{std::move(directory)},
      options_{std::move(options)}, requests_{self, options_.requests} {}

caf::error gate::objection(const node_hello& hello) const {
  const auto& mine = options_.hello;
  const auto refuse = [](std::string why) {
    return make_error(errc::peer_refused, std::move(why));
  };
  if (hello.protocol != mine.protocol)
    return refuse("it speaks version " + std::to_string(hello.protocol)
                  + " of the protocol (Fermata " + quoted_excerpt(hello.software)
                  + "), this node version " + std::to_string(mine.protocol) + " (Fermata "
                  + mine.software + ")");
  if (hello.shares_store != mine.shares_store)
    return refuse(hello.shares_store ? "it shares a store with others, this node has one of its own"
                                     : "it has a store of its own, this node shares one with "
                                       "others");
  if (const auto error = check(hello.members))
    return refuse("its member list is none: " + message_of(error));
  // By their names, as both sides read it. One of an earlier version does not say what it has.
  if (hello.members.cluster == mine.members.cluster && hello.store != mine.store
      && !hello.store.empty() && !mine.store.empty())
    return make_error(errc::other_store, hello.name.str() + " has the store " + hello.store.str()
                                             + ", and " + mine.name.str() + " the store "
                                             + mine.store.str()
                                             + ": give all nodes the same database and schema "
                                               "(--database, --schema)");
  // What is here and there is seen from the one that reads it, who greets.
  if (const auto differs = difference(hello.members, mine.members); !differs.empty())
    return refuse("the member lists differ: " + differs);
  if (find_member(mine.members, hello.name) == nullptr)
    return refuse("there is no member of that name");
  if (hello.name == mine.name)
    return refuse("this node has that name");
  const bool is_there = std::any_of(guests_.begin(), guests_.end(), [&](const auto& one) {
    return one.second.name == hello.name && one.second.life != hello.life;
  });
  // One that does not answer any more may have died with its connection left open.
  if (is_there && options_.board->is_connected(hello.name))
    return refuse("another node of that name is connected");
  return caf::none;
}

result<node_hello> gate::greet(const caf::strong_actor_ptr& who, const node_hello& hello,
                               const caf::actor& its_gate) {
  if (who == nullptr || !its_gate || its_gate.node() != who->node())
    return make_error(errc::peer_refused, "a node greets by a request, with a gate of its own");
  if (const auto refused = objection(hello)) {
    const auto why = message_of(refused);
    tell(options_.on_refused, hello.name, why);
    return make_error(code_of(refused),
                      "node " + options_.hello.name.str() + " refuses this node: " + why);
  }
  const auto address = caf::actor_cast<caf::actor_addr>(who);
  std::erase_if(guests_, [&](const auto& one) {
    return one.second.name == hello.name && one.first != address;
  });
  if (guests_.insert_or_assign(address, guest{hello.name, hello.life}).second)
    self_->monitor(address);
  self_->send(options_.links, hello.name, its_gate);
  return options_.hello;
}

caf::error gate::check_sender() const {
  if (guests_.contains(caf::actor_cast<caf::actor_addr>(self_->current_sender())))
    return caf::none;
  return make_error(errc::peer_refused, "node " + options_.hello.name.str()
                                            + " takes nothing from who has not greeted it");
}

caf::error gate::check_sender(const session_id& session) const {
  if (auto error = check_sender())
    return error;
  if (shared_->is_home_of(session))
    return caf::none;
  auto why = "session " + session.str() + " does not live on node " + options_.hello.name.str();
  if (options_.slots)
    return make_error(errc::node_unavailable, why + " at this moment; nothing was done");
  return make_error(errc::peer_refused, std::move(why));
}

void gate::take_offer() {
  if (!check_sender())
    self_->send(options_.links, look_at_slots{});
}

void gate::lost(const caf::actor_addr& who) {
  guests_.erase(who);
  requests_.lost(who);
  self_->send(directory_, atoms::gone_atom_v, who.node());
}

caf::behavior gate_actor(caf::stateful_actor<gate_state>* self, services_ptr shared,
                         caf::actor directory, gate_options options) {
  self->state.body =
      std::make_unique<gate>(self, std::move(shared), std::move(directory), std::move(options));
  auto* body = self->state.body.get();
  self->set_down_handler([body](const caf::down_msg& gone) { body->lost(gone.source); });
  // What cannot be read is refused, and not printed.
  self->set_default_handler(caf::drop);
  const auto pass_on = [self, body](auto& what) {
    // Before the promise is made, which takes the sender.
    auto refused = body->check_sender(what.session);
    auto promise = self->make_response_promise();
    if (refused)
      promise.deliver(std::move(refused));
    else
      promise.delegate(body->directory(), std::move(what));
  };
  return {
      [self, body](const node_hello& hello, const caf::actor& its_gate) -> caf::result<node_hello> {
        auto answer = body->greet(caf::actor_cast<caf::strong_actor_ptr>(self->current_sender()),
                                  hello, its_gate);
        if (!answer)
          return std::move(answer.error());
        return std::move(*answer);
      },
      [pass_on](session_command& what) { pass_on(what); },
      [pass_on](wake_session& what) { pass_on(what); },
      [pass_on](status_query& what) { pass_on(what); },
      [pass_on](follow_chunks& what) { pass_on(what); },
      [pass_on](unfollow_chunks& what) { pass_on(what); },
      [pass_on](listen_live& what) { pass_on(what); },
      [pass_on](unlisten_live& what) { pass_on(what); },
      [pass_on](live_taken& what) { pass_on(what); },
      [body](const pending_query& what) -> caf::result<pending_list> {
        if (auto refused = body->check_sender())
          return refused;
        auto found = pending_of(body->shared(), what);
        if (!found)
          return std::move(found.error());
        return std::move(*found);
      },
      [body](atoms::status_atom) -> caf::result<node_status> {
        if (auto refused = body->check_sender())
          return refused;
        const auto& with = body->options();
        return status_of(body->shared(), with.hello, with.started_at, with.slots.get());
      },
      [body](atoms::offered_atom) { body->take_offer(); },
      [self, body](std::string& request) {
        auto refused = body->check_sender();
        auto promise = self->make_response_promise();
        if (refused)
          promise.deliver(std::move(refused));
        else
          body->requests().take(std::move(request), std::move(promise));
      },
      [self, body](next_piece what) {
        auto refused = body->check_sender();
        auto promise = self->make_response_promise();
        if (refused)
          promise.deliver(std::move(refused));
        else
          body->requests().give_piece(what.number, std::move(promise));
      },
      [body](const answered_request_ptr& one) { body->requests().deliver(one); },
      [body](const unasked_answer& what) { body->requests().forget(what); },
      [body](atoms::beat_atom beat) -> caf::result<caf::atom_value> {
        if (auto refused = body->check_sender())
          return refused;
        return caf::atom_value{beat};
      },
      [self](close_down) { self->quit(); },
  };
}

} // namespace fermata::detail
