#include "exit_status.hpp"

namespace fermata::command_line {

exit_status exit_status_of(errc code) noexcept {
  switch (code) {
  case errc::overloaded:
  case errc::shutting_down:
  case errc::timed_out:
  case errc::node_unavailable:
  case errc::peer_refused:
  case errc::cannot_listen:
  case errc::other_store:
  case errc::store_busy:
  case errc::store_unavailable:
  case errc::store_corrupt:
  case errc::store_too_new:
  case errc::disk_full:
  case errc::io_error:
  case errc::conflict:
  case errc::internal:
    return exit_status::environment;
  default:
    return exit_status::bad_input;
  }
}

exit_status exit_status_of(session_state state, bool ends_plans) noexcept {
  switch (state) {
  case session_state::completed:
    return exit_status::done;
  case session_state::cancelled:
  case session_state::rejected:
    return ends_plans ? exit_status::done : exit_status::attention;
  case session_state::failed:
  case session_state::needs_attention:
    return exit_status::attention;
  case session_state::idle:
  case session_state::planning:
  case session_state::awaiting_plan_decision:
  case session_state::running:
  case session_state::waiting:
  case session_state::suspended:
    break;
  }
  return exit_status::paused;
}

} // namespace fermata::command_line
