#pragma once

#include "../arguments.hpp"
#include "../console.hpp"
#include "../exit_status.hpp"

namespace fermata::service {

/// `fermata serve`: owns the store, lets its timers fire, and serves its sessions until SIGINT or
/// SIGTERM comes. Errors: bad input; those of `host::prepare` and `server::bind`.
[[nodiscard]] result<command_line::exit_status> run_service(const command_line::arguments& given,
                                                            command_line::console& out);

} // namespace fermata::service
