#include "tools.hpp"

#include <fermata/actors/tools/command_tool.hpp>
#include <fermata/actors/tools/workspace_tools.hpp>

#include <utility>

namespace fermata::command_line {

namespace {

class refusing_runner : public process_runner {
public:
  result<process_result> run(const process_request&, std::stop_token) override {
    return make_error(errc::not_allowed, "this only shows calls");
  }
};

/// Puts `folder` in the place of the session's workspace.
tool in_folder(tool made, const std::filesystem::path& folder) {
  if (auto* run = std::get_if<blocking_tool>(&made.run))
    *run = [inner = std::move(*run), folder](const tool_context& context) {
      auto moved = context;
      moved.workspace = folder;
      return inner(moved);
    };
  if (made.fingerprint)
    made.fingerprint = [inner = std::move(made.fingerprint),
                        folder](const json& given, const auto&) { return inner(given, folder); };
  if (made.preview)
    made.preview = [inner = std::move(made.preview), folder](const json& given, const auto&) {
      return inner(given, folder);
    };
  return made;
}

} // namespace

std::vector<tool> make_tools(std::shared_ptr<process_runner> runner,
                             const std::filesystem::path& workspace) {
  auto tools = workspace_tools();
  tools.push_back(execute_command_tool(std::move(runner)));
  if (!workspace.empty())
    for (auto& one : tools)
      one = in_folder(std::move(one), workspace);
  return tools;
}

std::vector<tool> make_tools_for_showing(const std::filesystem::path& workspace) {
  return make_tools(std::make_shared<refusing_runner>(), workspace);
}

} // namespace fermata::command_line
