#include <fermata/actors/models/scripted.hpp>

#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/coro/failure.hpp>

#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <atomic>
#include <coroutine>
#include <memory>

namespace fermata {

namespace {

scripted_reply reply_at(const std::vector<scripted_reply>& replies, std::size_t index) {
  if (index < replies.size())
    return replies[index];
  return scripted_reply::fails(make_error(
      errc::invalid_field, "the scripted model is asked for reply " + std::to_string(index + 1)
                               + "; it has " + std::to_string(replies.size())));
}

scripted_model::script in_order(std::vector<scripted_reply> replies) {
  const auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return [next, replies = std::move(replies)](const model_request&) {
    return reply_at(replies, (*next)++);
  };
}

coro::task<model_reply> play(caf::event_based_actor* self, scripted_reply what,
                             const text_sink& on_text) {
  if (what.delay.count() > 0)
    co_await coro::delay(self, what.delay);
  if (what.parts.empty() && !what.reply.text.empty())
    what.parts.push_back(what.reply.text);
  do {
    for (std::size_t i = 0; i < what.parts.size(); ++i) {
      if (i > 0 && what.pause.count() > 0)
        co_await coro::delay(self, what.pause);
      on_text(what.parts[i]);
    }
    // Without a pause this still yields, so that time can pass and the actor can be told to stop.
    if (what.babbles)
      co_await coro::delay(self, what.pause);
  } while (what.babbles);
  if (what.hangs)
    co_await std::suspend_always{};
  if (what.failure)
    throw coro::failure{what.failure};
  co_return std::move(what.reply);
}

} // namespace

scripted_reply scripted_reply::says(std::string text) {
  scripted_reply made;
  made.reply.text = std::move(text);
  return made;
}

scripted_reply scripted_reply::calls(std::string tool, const json& arguments) {
  std::vector<model_call> written;
  written.emplace_back("call", std::move(tool), to_text(arguments));
  return calls(std::move(written));
}

scripted_reply scripted_reply::calls(std::vector<model_call> written, std::string text) {
  scripted_reply made;
  made.reply.text = std::move(text);
  made.reply.calls = std::move(written);
  return made;
}

scripted_reply scripted_reply::fails(caf::error why) {
  scripted_reply made;
  made.failure = std::move(why);
  return made;
}

scripted_reply scripted_reply::silence() {
  scripted_reply made;
  made.hangs = true;
  return made;
}

scripted_model::scripted_model(std::vector<scripted_reply> replies)
    : answer_{in_order(std::move(replies))} {}

scripted_model::scripted_model(script answer) : answer_{std::move(answer)} {}

coro::task<model_reply> scripted_model::complete(caf::event_based_actor* self,
                                                 const model_request& request,
                                                 const text_sink& on_text) {
  {
    const std::lock_guard lock{mutex_};
    requests_.push_back(request);
  }
  return play(self, answer_(request), on_text);
}

std::vector<model_request> scripted_model::requests() const {
  const std::lock_guard lock{mutex_};
  return requests_;
}

scripted_model::script by_turn(std::vector<scripted_reply> replies) {
  return [replies = std::move(replies)](const model_request& request) {
    const auto turns =
        std::count_if(request.messages.begin(), request.messages.end(),
                      [](const auto& message) { return message.role == model_role::assistant; });
    return reply_at(replies, static_cast<std::size_t>(turns));
  };
}

} // namespace fermata
