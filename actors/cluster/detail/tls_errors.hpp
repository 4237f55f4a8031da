#pragma once

#include <caf/fwd.hpp>

namespace fermata::detail {

/// Keeps what goes wrong in one TLS connection of a system from its others. To be called once the
/// system is there, and before it has any.
///
/// OpenSSL adds its errors to a queue of the thread, and `SSL_get_error` takes what is in that for
/// the error of whichever connection was read last; CAF 0.17 has one thread for all of them, and
/// never empties the queue (it does so in log statements, which Debian compiles out). So a stranger
/// who sends nonsense to the port would end the connections of nodes that have certificates. There
/// is no way to change that in CAF: this has OpenSSL call back where a handshake or a connection
/// ends, and empties the queue then, on CAF's thread alone.
void keep_tls_errors_apart(caf::actor_system& system);

} // namespace fermata::detail
