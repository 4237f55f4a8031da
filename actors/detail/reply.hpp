#pragma once

#include <fermata/actors/detail/tell.hpp>
#include <fermata/actors/detail/turn_gate.hpp>
#include <fermata/messages/commands.hpp>

#include <caf/response_promise.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <utility>
#include <variant>

namespace fermata::detail {

/// Counts the commands under way in a runtime (P10), from admission to answer.
class admission {
public:
  admission() = default;
  explicit admission(std::atomic<std::uint32_t>& under_way) : under_way_{&under_way} {
    ++*under_way_;
  }
  admission(admission&& other) noexcept : under_way_{std::exchange(other.under_way_, nullptr)} {}
  admission& operator=(admission&& other) noexcept {
    if (this != &other) {
      end();
      under_way_ = std::exchange(other.under_way_, nullptr);
    }
    return *this;
  }
  ~admission() { end(); }

private:
  void end() noexcept {
    if (auto* count = std::exchange(under_way_, nullptr))
      --*count;
  }

  std::atomic<std::uint32_t>* under_way_ = nullptr;
};

/// Answers a command exactly once: whoever drops it unanswered answers with `shutting_down`.
class reply {
public:
  using callback = std::function<void(result<receipt>)>;
  /// Sees the answer right before it is given.
  using witness = std::function<void(const result<receipt>&)>;

  reply() = default;
  reply(callback answer, admission admitted)
      : to_{std::move(answer)}, admitted_{std::move(admitted)} {}
  reply(caf::response_promise promise, admission admitted)
      : to_{std::move(promise)}, admitted_{std::move(admitted)} {}
  reply(reply&& other) noexcept
      : to_{std::exchange(other.to_, std::monostate{})}, admitted_{std::move(other.admitted_)},
        turn_{std::move(other.turn_)}, witness_{std::exchange(other.witness_, nullptr)} {}
  reply& operator=(reply&& other) noexcept {
    if (this != &other) {
      drop();
      to_ = std::exchange(other.to_, std::monostate{});
      admitted_ = std::move(other.admitted_);
      turn_ = std::move(other.turn_);
      witness_ = std::exchange(other.witness_, nullptr);
    }
    return *this;
  }
  ~reply() { drop(); }

  void admit(admission admitted) { admitted_ = std::move(admitted); }
  /// It is the command's turn until it is answered, or waits again.
  void begin(turn taken) { turn_ = std::move(taken); }
  [[nodiscard]] bool has_turn() const noexcept { return turn_.is_taken(); }
  void watch(witness sees) { witness_ = std::move(sees); }

  /// True when there is somebody to answer.
  [[nodiscard]] explicit operator bool() const noexcept {
    return !std::holds_alternative<std::monostate>(to_);
  }

  void operator()(result<receipt> answer) {
    auto to = std::exchange(to_, std::monostate{});
    admitted_ = {};
    turn_ = {};
    if (const auto sees = std::exchange(witness_, nullptr))
      sees(answer);
    if (auto* promise = std::get_if<caf::response_promise>(&to)) {
      if (answer)
        promise->deliver(std::move(*answer));
      else if (!promise->async())
        promise->deliver(std::move(answer.error()));
    } else if (const auto* function = std::get_if<callback>(&to)) {
      tell(*function, answer);
    }
  }

  /// Gives the promise away, if that is what is to be answered; a promise is only used by the actor
  /// that made it. The witness, the admission and the turn stay, for the promise of the actor that
  /// gets the message.
  [[nodiscard]] std::optional<caf::response_promise> take_promise() {
    auto* promise = std::get_if<caf::response_promise>(&to_);
    if (promise == nullptr)
      return std::nullopt;
    auto taken = std::move(*promise);
    to_ = std::monostate{};
    return taken;
  }

  /// Puts another promise in the place of one that was given away.
  void take_over(caf::response_promise promise) { to_ = std::move(promise); }

private:
  void drop() {
    if (!std::holds_alternative<std::monostate>(to_))
      (*this)(
          make_error(errc::shutting_down, "the runtime stopped before the command was handled"));
  }

  std::variant<std::monostate, caf::response_promise, callback> to_;
  admission admitted_;
  turn turn_;
  witness witness_;
};

} // namespace fermata::detail
