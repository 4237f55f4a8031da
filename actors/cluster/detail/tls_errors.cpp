#include <fermata/actors/cluster/detail/tls_errors.hpp>

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <mutex>

namespace fermata::detail {

namespace {

/// True on threads that CAF reads and writes connections by. Others in the process, who may use
/// OpenSSL as well, are left alone.
thread_local bool is_caf_thread = false;

/// The caller finds the state of the connection without the queue, too: a failure is one still.
void handshake_step(const SSL*, int where, int) {
  if ((where & SSL_CB_EXIT) != 0)
    ERR_clear_error();
}

void begun(void* connection, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (is_caf_thread)
    SSL_set_info_callback(static_cast<SSL*>(connection), handshake_step);
}

void ended(void*, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (is_caf_thread)
    ERR_clear_error();
}

} // namespace

void keep_tls_errors_apart(caf::actor_system& system) {
  static std::once_flag once;
  std::call_once(once, [] {
    // An index without data: all that matters is that OpenSSL calls for each connection.
    static_cast<void>(SSL_get_ex_new_index(0, nullptr, begun, nullptr, ended));
  });
  system.middleman().backend().post([] { is_caf_thread = true; });
}

} // namespace fermata::detail
