#pragma once

#include "child.hpp"

#include <fermata/messages/json.hpp>

#include <temporary_directory.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::test {

/// How an invocation ended.
struct outcome {
  int status = 0;
  std::string out;
  std::string err;
  std::vector<json> lines; ///< Of standard output, when it was JSON.

  outcome() = default;
  /// The last line: the status object of a command that changes something.
  [[nodiscard]] const json& last() const { return lines.at(lines.size() - 1); }
  /// Standard error as JSON.
  [[nodiscard]] json error() const;
};

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A folder of its own with a store and a workspace, gone at the end.
class sandbox {
public:
  sandbox();

  [[nodiscard]] std::filesystem::path workspace() const { return root_.path() / "workspace"; }
  [[nodiscard]] std::filesystem::path store() const { return root_.path() / "store"; }

  /// Writes a file of the workspace and gives its path.
  std::string write(const std::string& name, std::string_view content) const;
  [[nodiscard]] std::string read(const std::string& name) const;

  /// How to start the command with this store, in the workspace.
  [[nodiscard]] child_options invocation(std::vector<std::string> words) const;

  /// Runs the command with `--json`, without a terminal.
  [[nodiscard]] outcome run(std::vector<std::string> words, std::string input = {}) const;

  /// The same where no file can grow beyond a size, as on a full disk.
  [[nodiscard]] outcome run_on_full_disk(std::vector<std::string> words,
                                         std::uintmax_t file_size_bytes) const;

  /// Runs it for people, without a terminal.
  [[nodiscard]] outcome run_plainly(std::vector<std::string> words) const;

private:
  [[nodiscard]] child_options json_invocation(std::vector<std::string> words) const;

  temporary_directory root_;
};

/// A plan of two subtasks: the first calls a client tool, which needs approval, the second needs
/// the first.
[[nodiscard]] std::string seed_plan();

/// Leaves a session whose call `SESSION:c1` of that plan waits for a decision.
void stop_at_call(const sandbox& box, const std::string& session = "s");

/// A plan of one subtask that calls one tool.
[[nodiscard]] std::string plan_of(std::string_view tool, const json& arguments);

} // namespace fermata::test
