#include <fermata/actors/core/transitions.hpp>

namespace fermata::core {

caf::error check_command(session_state state, const command& body) {
  const auto type = name_of(body);
  if (allows(state, type))
    return caf::none;
  const auto state_name = enum_name(state);
  std::string allowed;
  for (const auto& rule : command_rules)
    if (rule.allowed[static_cast<std::size_t>(state)])
      allowed += (allowed.empty() ? "" : ", ") + std::string{rule.command};
  const auto code = type == propose_plan::type ? errc::session_busy : errc::not_allowed;
  return make_error(code, std::string{type} + " refused: the session is " + std::string{state_name}
                              + "; allowed are " + allowed);
}

} // namespace fermata::core
