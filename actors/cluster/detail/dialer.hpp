#pragma once

#include <fermata/actors/cluster/detail/peer_links.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>

namespace fermata::detail {

/// Makes connections by CAF's middleman, or by its openssl manager: whose actor it is given.
///
/// CAF connects with a blocking call, which waits two minutes for a host that does not answer. So
/// each peer has a dialer of its own, on a thread of its own, which tries first whether somebody
/// takes connections there, and for no longer than `timeout`. `timeout` of 0: on the threads of the
/// actor system, and without a try (simulation).
[[nodiscard]] dialer_factory dialer_by(caf::actor middleman, std::chrono::milliseconds timeout);

/// Connects with a TCP port and hangs up. Waits for each address of the host no longer than
/// `timeout`, and for the name service as long as that takes.
/// Errors: `node_unavailable`, saying why.
[[nodiscard]] caf::error try_port(const std::string& host, std::uint16_t port,
                                  std::chrono::milliseconds timeout);

} // namespace fermata::detail
