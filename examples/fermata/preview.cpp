#include "preview.hpp"

#include <exception>

namespace fermata::command_line {

namespace {

/// How often something that changes all the time is looked at.
constexpr int max_looks = 4;

std::string text_of(const tool& called, const json& arguments,
                    const std::filesystem::path& workspace) {
  if (!called.preview)
    return {};
  try {
    return called.preview(arguments, workspace);
  } catch (const std::exception& error) {
    return std::string{"This cannot be shown: "} + error.what() + "\n";
  }
}

result<std::string> fingerprint_of(const tool& called, const json& arguments,
                                   const std::filesystem::path& workspace) {
  if (!called.fingerprint)
    return std::string{};
  try {
    return called.fingerprint(arguments, workspace);
  } catch (const std::exception& error) {
    return make_error(errc::tool_failed, error.what());
  }
}

} // namespace

call_preview take_preview(const tool& called, const json& arguments, const json& shown,
                          const std::filesystem::path& workspace) {
  auto before = fingerprint_of(called, arguments, workspace);
  for (int looks = 1;; ++looks) {
    auto text = text_of(called, shown, workspace);
    auto after = fingerprint_of(called, arguments, workspace);
    const bool settled = before == after;
    if (settled || looks == max_looks)
      return {std::move(text), std::move(after), settled};
    before = std::move(after);
  }
}

} // namespace fermata::command_line
