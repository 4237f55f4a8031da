#pragma once

#include <caf/actor_addr.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace fermata::detail {

/// How many commands are with their sessions, and may be. Thread-safe; only the directory takes.
class turn_gate {
public:
  explicit turn_gate(std::uint32_t limit) noexcept : limit_{limit} {}

  /// Who is told (`turn_ended`) when a turn ends that was asked for. Before the first is taken.
  void set_directory(caf::actor_addr whom) { directory_ = std::move(whom); }

  /// False: all turns are taken, and the directory will be told when one has ended.
  [[nodiscard]] bool take_or_ask() noexcept {
    if (take())
      return true;
    asked_ = true;
    return take(); // one may have ended in between
  }
  void give_back() noexcept;

  /// At least 1.
  void set_limit(std::uint32_t turns) noexcept { limit_ = turns; }

private:
  [[nodiscard]] bool take() noexcept {
    if (taken_ >= limit_)
      return false;
    ++taken_;
    return true;
  }

  std::atomic<std::uint32_t> taken_{0};
  std::atomic<std::uint32_t> limit_;
  std::atomic<bool> asked_{false};
  caf::actor_addr directory_;
};

/// A turn that was taken, until its command is answered.
class turn {
public:
  turn() = default;
  explicit turn(turn_gate& taken_from) noexcept : gate_{&taken_from} {}
  turn(turn&& other) noexcept : gate_{std::exchange(other.gate_, nullptr)} {}
  turn& operator=(turn&& other) noexcept {
    if (this != &other) {
      end();
      gate_ = std::exchange(other.gate_, nullptr);
    }
    return *this;
  }
  ~turn() { end(); }
  [[nodiscard]] bool is_taken() const noexcept { return gate_ != nullptr; }

private:
  void end() noexcept {
    if (auto* gate = std::exchange(gate_, nullptr))
      gate->give_back();
  }

  turn_gate* gate_ = nullptr;
};

} // namespace fermata::detail
