#include <fermata/actors/model.hpp>

#include <fermata/actors/agent.hpp>
#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/coro/when_any.hpp>
#include <fermata/messages/limits.hpp>

#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <exception>
#include <limits>
#include <set>

namespace fermata {

namespace {

caf::error refuse_call(const std::string& name, const std::string& why) {
  return make_error(errc::model_failed, "model " + quoted_excerpt(name) + " " + why);
}

caf::error too_much(const std::string& name, std::size_t limit) {
  return refuse_call(name, "said more than it may: the limit reply_size_bytes is "
                               + std::to_string(limit));
}

std::size_t size_of(const std::string& text, const std::vector<model_call>& calls) {
  auto size = text.size();
  for (const auto& call : calls)
    size += call.id.size() + call.name.size() + call.arguments.size();
  return size;
}

/// How many bytes at the end of `text` are the beginning of a character of UTF-8 that is not whole.
std::size_t incomplete_tail(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<std::uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80)
      continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/// A reply's text as it streams: checked, and shown in whole characters.
class streamed_text {
public:
  streamed_text(const step_context& ctx, std::string name, std::size_t limit)
      : ctx_{ctx}, name_{std::move(name)}, limit_{limit} {}

  void add(std::string_view part) {
    if (!refusal_)
      refusal_ = take(part);
    if (refusal_)
      throw coro::failure{refusal_};
  }

  /// Why the text is refused; a model may have swallowed what was thrown at it.
  [[nodiscard]] const caf::error& refusal() const noexcept { return refusal_; }

private:
  caf::error take(std::string_view part) {
    if (part.size() > limit_ - size_)
      return too_much(name_, limit_);
    size_ += part.size();
    rest_.append(part);
    const auto whole = std::string_view{rest_}.substr(0, rest_.size() - incomplete_tail(rest_));
    if (!is_utf8(whole))
      return refuse_call(name_, "said something that is not UTF-8");
    if (ctx_.show_text && !whole.empty())
      ctx_.show_text(whole);
    rest_.erase(0, whole.size());
    return caf::none;
  }

  const step_context& ctx_;
  std::string name_;
  std::size_t limit_;
  std::size_t size_ = 0;
  std::string rest_; ///< The beginning of a character.
  caf::error refusal_;
};

const model_registry::entry& find_model(const step_context& ctx, const std::string& name) {
  const auto* found = ctx.models == nullptr ? nullptr : ctx.models->find(name);
  if (found != nullptr)
    return *found;
  std::string registered;
  if (ctx.models != nullptr)
    for (const auto& [each, unused] : ctx.models->all())
      registered += (registered.empty() ? "" : ", ") + quoted_excerpt(each);
  throw coro::failure{make_error(errc::invalid_field,
                                 "no model is called " + quoted_excerpt(name) + "; registered are: "
                                     + (registered.empty() ? std::string{"none"} : registered))};
}

caf::error check_request(const model_request& request, const model_options& options) {
  if (auto error = check_conversation(request))
    return error;
  std::size_t size = 0;
  for (const auto& message : request.messages)
    size += size_of(message.text, message.calls);
  return check_limit("request_size_bytes", size, options.request_size_bytes);
}

caf::error check_reply(const model_reply& reply, const std::string& name,
                       const model_options& options) {
  if (size_of(reply.text, reply.calls) > options.reply_size_bytes)
    return too_much(name, options.reply_size_bytes);
  bool readable = is_utf8(reply.text);
  for (const auto& call : reply.calls)
    readable = readable && is_utf8(call.id) && is_utf8(call.name) && is_utf8(call.arguments);
  if (!readable)
    return refuse_call(name, "said something that is not UTF-8");
  if (reply.calls.empty() && reply.text.find_first_not_of(" \t\r\n") == std::string::npos)
    return refuse_call(name, reply.stop == model_stop::cut_off
                                 ? "was cut off at its limit of output before it said anything"
                                 : "said nothing at all");
  return caf::none;
}

/// Adds what a model counted, which may be anything.
void count(std::uint64_t& sum, std::uint64_t tokens) {
  sum += std::min(tokens, std::numeric_limits<std::uint64_t>::max() - sum);
}

/// Takes its own copy of `name`: it may outlive the caller's expression.
coro::task<model_reply> within(caf::event_based_actor* self, coro::task<model_reply> asked,
                               std::chrono::milliseconds limit, std::string name) {
  if (limit.count() == 0)
    co_return co_await std::move(asked);
  auto first = co_await coro::when_any(std::move(asked), coro::delay(self, limit));
  if (first.index() != 0)
    throw coro::failure{refuse_call(name, "did not answer within its time limit of "
                                              + std::to_string(limit.count()) + " ms")};
  co_return std::get<0>(std::move(first));
}

} // namespace

caf::error model_registry::add(std::string name, std::shared_ptr<model> added,
                               model_options options) {
  const auto refuse_to_add = [&](const std::string& why) {
    return make_error(errc::invalid_field, "model " + quoted_excerpt(name) + " refused: " + why);
  };
  if (name.empty())
    return refuse_to_add("it has no name");
  if (!added)
    return refuse_to_add("there is no model");
  if (options.time_limit.count() < 0 || options.time_limit > max_duration)
    return refuse_to_add("its time limit must be from 0 to " + std::to_string(max_duration.count())
                         + " ms");
  if (models_.contains(name))
    return refuse_to_add("there is one of that name");
  models_.emplace(std::move(name), entry{std::move(added), options});
  return caf::none;
}

const model_registry::entry* model_registry::find(std::string_view name) const noexcept {
  const auto found = models_.find(name);
  return found == models_.end() ? nullptr : &found->second;
}

caf::error check_conversation(const model_request& request) {
  std::set<std::string_view> ids;
  std::set<std::string_view> open;
  std::size_t index = 0;
  const auto refuse_message = [&](const std::string& why) {
    return make_error(errc::invalid_field, "messages[" + std::to_string(index) + "]: " + why);
  };
  const auto no_result = [&] {
    return refuse_message("the call " + quoted_excerpt(*open.begin())
                          + " has no result right behind it");
  };
  if (request.messages.empty())
    return make_error(errc::invalid_field, "messages: at least one is needed");
  for (; index < request.messages.size(); ++index) {
    const auto& message = request.messages[index];
    if (message.role != model_role::assistant && !message.calls.empty())
      return refuse_message("only an assistant calls tools");
    if (message.role == model_role::tool) {
      if (open.erase(message.call) == 0)
        return refuse_message("this is the result of " + quoted_excerpt(message.call)
                              + ", which is no call of the assistant right before it, or has a "
                                "result already");
      continue;
    }
    if (!open.empty())
      return no_result();
    for (const auto& call : message.calls) {
      if (call.id.empty() || !ids.insert(call.id).second)
        return refuse_message("the call id " + quoted_excerpt(call.id)
                              + " is empty, or that of another call");
      open.insert(call.id);
    }
  }
  return open.empty() ? caf::error{} : no_result();
}

coro::task<model_reply> complete(step_context& ctx, std::string name, model_request request) {
  const auto& used = find_model(ctx, name);
  if (auto error = check_request(request, used.options))
    throw coro::failure{std::move(error)};
  streamed_text streamed{ctx, name, used.options.reply_size_bytes};
  const text_sink on_text = [&streamed](std::string_view part) { streamed.add(part); };
  ++ctx.usage.requests;
  model_reply reply;
  try {
    auto asked = used.what->complete(ctx.self, request, on_text);
    reply = co_await within(ctx.self, std::move(asked), used.options.time_limit, name);
  } catch (...) {
    // The model may have turned what was thrown at it into something of its own.
    if (streamed.refusal())
      throw coro::failure{streamed.refusal()};
    throw;
  }
  count(ctx.usage.input_tokens, reply.input_tokens);
  count(ctx.usage.output_tokens, reply.output_tokens);
  if (streamed.refusal())
    throw coro::failure{streamed.refusal()};
  if (auto error = check_reply(reply, name, used.options))
    throw coro::failure{std::move(error)};
  co_return reply;
}

} // namespace fermata
