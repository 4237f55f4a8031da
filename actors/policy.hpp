#pragma once

#include <fermata/messages/ids.hpp>

#include <chrono>
#include <map>
#include <set>
#include <string>

namespace fermata {

/// Which plans and tool calls need a person's decision.
struct approval_policy {
  bool ask_for_plans = true;      ///< False: a proposed plan is approved at once.
  bool ask_for_all_tools = false; ///< True: `free_tools` is ignored.
  bool ask_for_no_tool = false;   ///< True: no call needs a decision.
  std::set<std::string> free_tools{"list_files", "read_file", "search_files"};
  /// How long calls of a tool, by its name, wait for a decision, a result or an answer before they
  /// expire. A shorter `tool_request::expires_after` goes before. Absent: for ever.
  std::map<std::string, std::chrono::milliseconds> expiry;
  /// How long a plan waits for its decision before it is cancelled; 0: for ever.
  std::chrono::milliseconds plan_expiry{0};

  approval_policy() = default;

  /// The default: `list_files`, `read_file` and `search_files` run freely; every plan and every
  /// other call is asked for.
  [[nodiscard]] static approval_policy reads() { return {}; }
  /// Every plan and every call is asked for.
  [[nodiscard]] static approval_policy ask_everything() {
    approval_policy policy;
    policy.ask_for_all_tools = true;
    return policy;
  }

  [[nodiscard]] bool asks_for(const tool_name& tool) const {
    return !ask_for_no_tool && (ask_for_all_tools || !free_tools.contains(tool.str()));
  }
};

} // namespace fermata
