#include <fermata/actors/tool.hpp>
#include <fermata/actors/tools/schema.hpp>

namespace fermata {

caf::error tool_registry::add(tool added) {
  if (added.name.empty())
    return make_error(errc::invalid_field, "a tool needs a name");
  if (added.name == question_tool())
    return make_error(errc::invalid_field, "every runtime has the tool " + added.name.str()
                                               + ", which asks a person; choose another name");
  const limits ours;
  if (added.time_limit.count() < 0 || added.time_limit > ours.timer_horizon)
    return make_error(errc::invalid_field, "the tool " + added.name.str()
                                               + ": time_limit is from 0 to limits::timer_horizon");
  if (auto error = check_retry(added.retry, ours))
    return make_error(code_of(error),
                      "the tool " + added.name.str() + ": retry: " + message_of(error));
  if (auto error = check_is_schema(added.schema))
    return make_error(errc::invalid_field,
                      "the tool " + added.name.str() + ": " + message_of(error));
  if (find(added.name) != nullptr)
    return make_error(errc::invalid_field,
                      "there is a tool " + added.name.str() + " already; names are unique");
  auto name = added.name;
  tools_.emplace(std::move(name), std::move(added));
  return caf::none;
}

const tool* tool_registry::find(const tool_name& name) const noexcept {
  const auto found = tools_.find(name);
  return found == tools_.end() ? nullptr : &found->second;
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<reconciliation>;

} // namespace fermata::detail
