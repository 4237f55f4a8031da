#include <fermata/messages/commands.hpp>

namespace fermata {

std::string_view name_of(const command& value) {
  return std::visit([](const auto& one) { return one.type; }, value);
}

} // namespace fermata

namespace fermata::detail {

template struct codec<command>;
template struct struct_codec<session_command>;
template struct struct_codec<wake_session>;
template struct struct_codec<receipt>;

} // namespace fermata::detail
