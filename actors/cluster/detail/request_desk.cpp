#include <fermata/actors/cluster/detail/request_desk.hpp>

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
    if (under_way_ == options_.pool->capacity() && waiting_.size() >= options_.max_waiting)
      return make_error(errc::overloaded, "too many requests wait at the other node already "
                                          "(limit runtime_queue); try again later");
    return caf::none;
  };
  if (auto refused = refusal())
    return promise.deliver(std::move(refused));
  if (under_way_ < options_.pool->capacity())
    begin({std::move(what), std::move(promise)});
  else
    waiting_.push_back({std::move(what), std::move(promise)});
}

void request_desk::begin(request one) {
  ++under_way_;
  auto made = std::make_shared<answered_request>();
  made->promise = std::move(one.promise);
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
  --under_way_;
  one->promise.deliver(std::move(one->answer));
  if (waiting_.empty())
    return;
  begin(std::move(waiting_.front()));
  waiting_.pop_front();
}

} // namespace fermata::detail
