#pragma once

#include <fermata/actors/cluster/contact.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace fermata::detail {

/// What a node knows of its contact with another one, and what is to be done about it: without
/// actors, sockets or clocks.
///
/// Two nodes that connect with each other at the same moment end up without a connection: to each
/// of the two brokers of CAF the one that it has begun itself is then the redundant one, which it
/// closes. So one of two waits for the other first, at each attempt.
class peer_contact {
public:
  using time = std::chrono::steady_clock::time_point;

  enum class deed : std::uint8_t {
    nothing,
    connect,   ///< Begin an attempt, of which `connected`, `failed` or `refused` is told then.
    heartbeat, ///< Ask for a sign of life; the last time that it was asked for counts no more.
    give_up    ///< It is silent, or the attempt took too long: nobody is to wait for it any longer.
  };

  /// `yields`: the other one connects first.
  peer_contact(const contact_timing& timing, bool yields, time now)
      : timing_{timing}, head_start_{yields ? timing.head_start : std::chrono::milliseconds{0}},
        first_until_{now + timing.connect_timeout}, retry_at_{now + head_start_} {}

  [[nodiscard]] contact_state state() const noexcept { return state_; }
  /// Why it is not connected; empty: it is, or has not failed yet.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  void connected(time now);
  void failed(std::string why, time now);
  void refused(std::string why, time now);
  /// The connection is gone, also while it was made.
  void lost(std::string why, time now);
  /// Something came from the peer. True: it was silent before.
  bool heard(time now);
  /// Something is asked of the peer, and nothing was before: it has its time to answer.
  void asked(time now);
  /// The peer has connected with this node, and is greeted: that is an attempt. False: there is no
  /// need to.
  [[nodiscard]] bool sighted();

  /// What is due now; it counts as done. `awaited`: something is awaited from the peer.
  [[nodiscard]] deed next(time now, bool awaited);

  /// When to ask `next` again; nothing: not before something else has happened.
  [[nodiscard]] std::optional<time> due(bool awaited) const;

private:
  void enter(contact_state state, std::string why);
  [[nodiscard]] std::optional<time> next_heartbeat(bool awaited) const;

  contact_timing timing_;
  std::chrono::milliseconds head_start_;
  contact_state state_ = contact_state::connecting;
  std::string reason_;
  time first_until_;               ///< How long the first attempt is waited for.
  bool attempt_under_way_ = false; ///< Nobody waits for it but while connecting.
  bool beating_ = false;           ///< A heartbeat has no answer yet.
  time heard_{};                   ///< Or when it was asked for something, if that is later.
  std::uint32_t failures_ = 0;     ///< In a row.
  time retry_at_;
};

} // namespace fermata::detail
