#pragma once

#include <fermata/actors/tool.hpp>
#include <fermata/messages/redaction.hpp>

#include <filesystem>
#include <optional>
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
/// before and after it (P9). It is of the real arguments, as under a redacted name there is another
/// thing, or none: what it gives away is for `without_secrets` to hide.
[[nodiscard]] call_preview take_preview(const tool& called, const json& arguments,
                                        const std::filesystem::path& workspace);

/// The text of a preview, which `take_preview` gave for `arguments`, as a person may see it; a diff
/// stays one. Nothing: secrets are in it that cannot be told from the rest, such as one that goes
/// over several lines of a diff, or the value of a secret field; then the arguments are what can be
/// shown. A secret is not recognised if a diff has only some of its lines.
[[nodiscard]] std::optional<std::string> without_secrets(const std::string& preview,
                                                         const json& arguments, const redactor& by);

} // namespace fermata::command_line
