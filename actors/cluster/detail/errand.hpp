#pragma once

#include <fermata/actors/coro/ask.hpp>
#include <fermata/actors/coro/scope.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/live.hpp>

#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/sec.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace fermata::detail {

/// What those who carry an errand out note of its way.
struct errand_route {
  std::optional<session_id> session; ///< Whose home it is for; nothing: it is for a node.
  /// How long it waits for a node that cannot be reached, and since when.
  std::chrono::milliseconds patience{0};
  caf::actor_clock::time_point since{};
  caf::actor_clock::time_point sent_at{};
  std::uint64_t number = 0; ///< Of the errands of this node, in the order in which they came.
  caf::actor sent_to;       ///< Null: it has not been sent yet.
  bool waits_anew = false;  ///< It has waited at a node, and begun to wait for the next one.
  bool stays_here = false;  ///< It was sent to this node's own directory.
  bool is_abandoned = false;

  errand_route() = default;
};

/// Something that a node asks of another one, and who waits for the answer. It is answered once.
class errand {
public:
  errand() = default;
  errand(const errand&) = delete;
  errand& operator=(const errand&) = delete;
  virtual ~errand() = default;

  /// Called when the answer is there, before it is passed on, with the error that it is, if it is
  /// one. True: nobody is answered, since the errand will be sent again.
  using end_handler = std::function<bool(const caf::error& why)>;

  /// Sends it. `again`: it may have to be sent another time, for which it keeps what it says.
  /// `ended` is not called if `fail` is called before.
  virtual void send(coro::actor_scope& scope, caf::scheduled_actor* self, const caf::actor& to,
                    bool again, end_handler ended) = 0;

  /// Answers with an error; what comes from the other node after that is ignored.
  virtual void fail(caf::error why) = 0;
  /// It is as if it had not been sent: what comes of that is ignored, and `ended` not called.
  virtual void call_back() = 0;

  /// True: it may have changed something once it was sent.
  [[nodiscard]] virtual bool is_command() const noexcept = 0;
  /// True: it waits for what may not come for a long time.
  [[nodiscard]] virtual bool is_reading() const noexcept = 0;
  errand_route route;
};
using errand_ptr = std::shared_ptr<errand>;

/// There is no time-out: whoever holds the errand fails it when the other node is lost.
template <class Answer, class... What>
coro::task<Answer> ask_for(caf::scheduled_actor* self, caf::actor to, What... what) {
  co_return co_await coro::ask<Answer>(self, to, caf::timespan::max(), std::move(what)...);
}

template <class What, class Answer>
class errand_of final : public errand,
                        public std::enable_shared_from_this<errand_of<What, Answer>> {
public:
  using callback = std::function<void(result<Answer>)>;

  errand_of(What what, callback answer) : what_{std::move(what)}, answer_{std::move(answer)} {}

  void send(coro::actor_scope& scope, caf::scheduled_actor* self, const caf::actor& to, bool again,
            end_handler ended) override {
    auto what = again ? what_ : std::move(what_);
    request_ = scope.spawn(ask_for<Answer>(self, to, std::move(what)),
                           [mine = this->shared_from_this(), ended](caf::expected<Answer> given) {
                             if (!ended(given ? caf::error{} : given.error()))
                               mine->answer(std::move(given));
                           });
  }

  void call_back() override { request_.cancel(); }

  void fail(caf::error why) override {
    request_.cancel();
    std::exchange(answer_, nullptr)(std::move(why));
  }

  bool is_command() const noexcept override { return std::is_same_v<Answer, receipt>; }
  bool is_reading() const noexcept override {
    return std::is_same_v<Answer, chunk_batch> || std::is_same_v<Answer, live_batch>;
  }

private:
  void answer(result<Answer> given) {
    if (!given)
      given = as_seen_from_here(std::move(given.error()));
    std::exchange(answer_, nullptr)(std::move(given));
  }

  caf::error as_seen_from_here(caf::error why) const {
    if (route.stays_here)
      return why.category() == error_category
                 ? why
                 : make_error(errc::shutting_down, "the runtime is stopping");
    if (why == caf::sec::unexpected_message)
      return make_error(errc::invalid_field, "the other node cannot read what it was sent");
    if (is(why, errc::peer_refused))
      return make_error(errc::node_unavailable,
                        "the other node has lost the connection with this one; nothing was done");
    // Errors of CAF's own come of actors that have ended.
    if (why.category() == error_category && !is(why, errc::shutting_down))
      return why;
    return is_command() ? make_error(errc::timed_out, "the other node stopped when it had the "
                                                      "command: it may have been carried out")
                        : make_error(errc::node_unavailable, "the other node is stopping");
  }

  What what_;
  callback answer_;
  coro::root_handle request_;
};

} // namespace fermata::detail
