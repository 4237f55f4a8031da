#pragma once

#include <fermata/messages/errors.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Files that come with a command and that its store keeps for later ones, beside the data:
/// sessions depend on what they say, and later commands need only the store.
namespace fermata::command_line {

/// Which kind of file is meant.
struct file_choice {
  std::string given;       ///< As the command line names it; empty: not.
  const char* variable;    ///< The environment variable that names it otherwise.
  std::string remembered;  ///< Its name in the store's folder.
  std::size_t limit_bytes; ///< More is refused.
};

/// A file that was found.
struct chosen_file {
  std::string name; ///< To be named in errors.
  std::string text;
  bool is_remembered = false; ///< The store has it already.
};

/// Reads the file that was given, else the one that the variable names, else the one that the store
/// keeps. Nothing: there is none of them. Errors: those of `read_text`.
[[nodiscard]] result<std::optional<chosen_file>> choose_file(const file_choice& choice,
                                                             const std::filesystem::path& store);

/// Makes a store keep files, in two steps, so that a command that is refused changes nothing, and
/// one that is accepted need not fail any more. The caller owns the store.
class store_memory {
public:
  store_memory() = default; ///< Has nothing to remember.
  store_memory(store_memory&&) noexcept = default;
  store_memory& operator=(store_memory&& other) noexcept;
  ~store_memory(); ///< Forgets what was prepared and not kept.

  /// Writes a text beside the file of that name that is kept. Errors: `io_error`.
  [[nodiscard]] caf::error prepare(const std::filesystem::path& store, const std::string& name,
                                   const std::string& text);

  /// Puts them in the place of the others. Does nothing the second time. Errors: `io_error`.
  [[nodiscard]] caf::error keep();

private:
  void forget() noexcept;

  std::vector<std::filesystem::path> kept_; ///< Where they are to be; prepared with `.new` behind.
};

} // namespace fermata::command_line
