#pragma once

#include <fermata/actors/tool.hpp>

#include <filesystem>
#include <string>

namespace fermata::command_line {

/// What a person is shown of a call, and of what state of the thing that it changes.
struct call_preview {
  std::string text; ///< As the tool gives it; empty: it shows nothing.
  /// Of the thing as `text` shows it; empty: the call changes nothing.
  result<std::string> fingerprint = std::string{};
  bool settled = true; ///< False: the thing changed each time that it was looked at.
};

/// Has a tool show a call. A fingerprint and a preview are two looks at a thing that others may
/// change in between: the preview is taken anew, a few times, until the fingerprint is the same
/// before and after it (P9). `shown`: the arguments as a person may see them.
[[nodiscard]] call_preview take_preview(const tool& called, const json& arguments,
                                        const json& shown, const std::filesystem::path& workspace);

} // namespace fermata::command_line
