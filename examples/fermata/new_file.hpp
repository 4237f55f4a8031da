#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <string>
#include <string_view>

namespace fermata::command_line {

/// A file that comes into being whole or not at all, and replaces none. It is written under another
/// name in the same folder, which is gone if it is not kept; only SIGKILL leaves it behind. Nobody
/// but the user can read it.
class new_file {
public:
  /// Errors: `invalid_field` when there is something of that name, or the file cannot be made.
  [[nodiscard]] static result<new_file> make(const std::string& path);

  new_file(new_file&& other) noexcept = default;
  new_file& operator=(new_file&&) = delete;
  ~new_file();

  /// Errors: `disk_full`, `io_error`.
  [[nodiscard]] caf::error write(std::string_view text);

  /// Makes it durable, under its own name. Errors: as `write`; `invalid_field` when there is
  /// something of that name by now.
  [[nodiscard]] caf::error keep();

private:
  new_file(std::string path, std::string temporary, file_descriptor file)
      : path_{std::move(path)}, temporary_{std::move(temporary)}, file_{std::move(file)} {}

  [[nodiscard]] caf::error flush();

  std::string path_;
  std::string temporary_; ///< Empty: there is none any more.
  file_descriptor file_;
  std::string buffer_;
};

} // namespace fermata::command_line
