#pragma once

#include <fermata/messages/cluster.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fermata {

/// How long a node waits for another one. All are more than 0, but for `idle_heartbeat` and
/// `head_start`, which are not less.
struct contact_timing {
  std::chrono::milliseconds connect_timeout{5'000};
  /// Of two nodes that are apart, the one whose name comes first connects; the other one tries as
  /// well when it has not for so long.
  std::chrono::milliseconds head_start{500};
  std::chrono::milliseconds first_retry{250}; ///< Doubled with each failed attempt to connect.
  std::chrono::milliseconds longest_retry{5'000};
  /// After one of the two has refused the other.
  std::chrono::milliseconds refused_retry{5'000};
  std::chrono::milliseconds heartbeat{2'000}; ///< While an answer of the other is awaited.
  /// While none is; 0: there is no heartbeat then.
  std::chrono::milliseconds idle_heartbeat{10'000};
  /// No answer to a heartbeat for so long: the other is unavailable until it gives one.
  std::chrono::milliseconds silence{6'000};
  /// Not a byte for so long: the connection is given up, also while it is made. CAF sends some
  /// every `heartbeat` while a process is not frozen.
  std::chrono::milliseconds connection_timeout{30'000};

  contact_timing() = default;
};

enum class contact_state : std::uint8_t {
  connecting, ///< The first attempt is under way: what is for it waits until that has ended.
  connected,  ///< It takes what it is sent.
  silent,     ///< There is a connection, and nothing comes.
  apart,      ///< There is none; it is tried again and again.
  refused,    ///< One of the two refuses the other; it is tried again, now and then.
};
constexpr std::array<std::string_view, 5> enum_names(contact_state) {
  return {"connecting", "connected", "silent", "apart", "refused"};
}

/// How a node stands with another one of its cluster.
struct peer_report {
  cluster_member member;
  contact_state state = contact_state::connecting;
  std::string reason; ///< Why it is not connected; empty: it is, or it has not failed yet.
  /// It is `refused` since it shares another store than this node.
  bool has_other_store = false;

  peer_report() = default;
  friend bool operator==(const peer_report&, const peer_report&) = default;
  static constexpr auto fields() {
    return field_list{field("member", &peer_report::member), field("state", &peer_report::state),
                      optional_field("reason", &peer_report::reason),
                      optional_field("has_other_store", &peer_report::has_other_store)};
  }
};

} // namespace fermata
