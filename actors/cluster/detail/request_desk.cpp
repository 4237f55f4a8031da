#include <fermata/actors/cluster/detail/request_desk.hpp>

#include <fermata/messages/cluster.hpp>
#include <fermata/messages/limits.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/send.hpp>

#include <exception>
#include <utility>

namespace fermata::detail {

namespace {

/// Some errors are for nodes to give: one that refuses this one, or stops, is left by the links.
caf::error as_of_a_host(caf::error why) {
  if (why.category() == error_category && !is(why, errc::peer_refused)
      && !is(why, errc::shutting_down))
    return why;
  return make_error(errc::internal, "the other node's host failed: " + message_of(why));
}

result<std::string> answer_of(const request_handler& handler, const std::string& what) {
  try {
    auto made = handler(what);
    if (!made)
      return as_of_a_host(std::move(made.error()));
    return made;
  } catch (const std::exception& failure) {
    return make_error(errc::internal,
                      std::string{"the other node's host failed: "} + failure.what());
  } catch (...) {
    return make_error(errc::internal, "the other node's host failed");
  }
}

} // namespace

void request_desk::take(std::string what, caf::response_promise promise) {
  const auto refusal = [&]() -> caf::error {
    if (!options_.handler)
      return make_error(errc::not_allowed, "the other node's host answers no requests");
    if (auto error = check_limit("request_size_bytes", what.size(), options_.request_size_bytes))
      return error;
    if (under_way_.size() >= options_.pool->capacity() && waiting_.size() >= options_.max_waiting)
      return make_error(errc::overloaded, "too many requests wait at the other node already "
                                          "(limit runtime_queue); try again later");
    return caf::none;
  };
  if (auto refused = refusal())
    return promise.deliver(std::move(refused));
  if (under_way_.size() < options_.pool->capacity())
    begin({std::move(what), std::move(promise)});
  else
    waiting_.push_back({std::move(what), std::move(promise)});
}

void request_desk::begin(request one) {
  auto made = std::make_shared<answered_request>();
  made->promise = std::move(one.promise);
  under_way_.push_back(made);
  options_.pool->post([owner = owner_, made, what = std::move(one.what), handler = options_.handler,
                       limit = options_.answer_size_bytes]() mutable {
    made->answer = answer_of(handler, what);
    if (made->answer)
      if (auto error = check_limit("answer_size_bytes", made->answer->size(), limit))
        made->answer = std::move(error);
    caf::anon_send(owner, std::move(made));
  });
}

void request_desk::deliver(const answered_request_ptr& one) {
  std::erase(under_way_, one);
  if (one->nobody_waits) {
    // Its pieces would be kept for ever.
  } else if (!one->answer) {
    one->promise.deliver(std::move(one->answer.error()));
  } else {
    const auto asked_by = caf::actor_cast<caf::actor_addr>(one->promise.next());
    kept_.emplace(++answers_, answer{asked_by, std::move(*one->answer)});
    give(answers_, std::move(one->promise));
  }
  if (waiting_.empty())
    return;
  begin(std::move(waiting_.front()));
  waiting_.pop_front();
}

void request_desk::forget(const unasked_answer& what) {
  const auto found = kept_.find(what.number);
  if (found != kept_.end() && found->second.given == what.given)
    kept_.erase(found);
}

void request_desk::give_piece(std::uint64_t number, caf::response_promise promise) {
  const auto found = kept_.find(number);
  if (found == kept_.end()
      || found->second.asked_by != caf::actor_cast<caf::actor_addr>(promise.next()))
    return promise.deliver(make_error(errc::node_unavailable,
                                      "the rest of the answer is not there any more; "
                                      "nothing was done, ask again"));
  give(number, std::move(promise));
}

void request_desk::give(std::uint64_t number, caf::response_promise promise) {
  auto& of = kept_.at(number);
  answer_piece piece;
  piece.number = number;
  piece.bytes = of.bytes.substr(of.given, answer_piece::max_size_bytes);
  of.given += piece.bytes.size();
  piece.left_bytes = of.bytes.size() - of.given;
  if (piece.left_bytes == 0)
    kept_.erase(number);
  else
    caf::delayed_anon_send(owner_, options_.patience, unasked_answer{number, of.given});
  promise.deliver(std::move(piece));
}

void request_desk::lost(const caf::actor_addr& who) {
  std::erase_if(kept_, [&](const auto& one) { return one.second.asked_by == who; });
  const auto is_of = [&](const caf::response_promise& promise) {
    return caf::actor_cast<caf::actor_addr>(promise.next()) == who;
  };
  std::erase_if(waiting_, [&](const request& one) { return is_of(one.promise); });
  for (const auto& one : under_way_)
    one->nobody_waits = one->nobody_waits || is_of(one->promise);
}

} // namespace fermata::detail
