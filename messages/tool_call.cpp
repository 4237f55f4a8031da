#include <fermata/messages/tool_call.hpp>

namespace fermata {

const tool_name& question_tool() {
  static const auto name = *tool_name::parse("ask_human");
  return name;
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<tool_request>;
template struct struct_codec<tool_answer>;

} // namespace fermata::detail
