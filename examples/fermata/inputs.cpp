#include "inputs.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace fermata::command_line {

namespace {

caf::error with_name(const std::string& name, const caf::error& error) {
  return make_error(code_of(error), name + ": " + message_of(error));
}

caf::error unreadable(const std::string& name) {
  return make_error(errc::invalid_field, name + ": cannot be read: " + std::strerror(errno));
}

std::string shown_name(const std::string& file) {
  return file == "-" ? "standard input" : file;
}

/// Closes what it opened; standard input stays open.
class input_file {
public:
  explicit input_file(const std::string& name)
      : fd_{name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC)} {}
  ~input_file() {
    if (fd_ > STDIN_FILENO)
      ::close(fd_);
  }
  input_file(const input_file&) = delete;
  input_file& operator=(const input_file&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }

private:
  int fd_;
};

} // namespace

result<std::string> read_text(const std::string& file, std::size_t limit_bytes) {
  const input_file input{file};
  if (input.fd() < 0)
    return unreadable(shown_name(file));
  std::string text;
  std::array<char, 65'536> chunk;
  for (;;) {
    const auto size = ::read(input.fd(), chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return unreadable(shown_name(file));
    if (size == 0)
      return text;
    text.append(chunk.data(), static_cast<std::size_t>(size));
    if (text.size() > limit_bytes)
      return make_error(errc::limit_exceeded, shown_name(file) + ": larger than "
                                                  + std::to_string(limit_bytes)
                                                  + " bytes, which is the most that is read");
  }
}

result<plan_spec> read_plan(const std::string& file) {
  const limits limits;
  auto text = read_text(file, limits.plan_size_bytes);
  if (!text)
    return std::move(text.error());
  auto plan = parse_plan(*text, limits);
  if (!plan)
    return with_name(shown_name(file), plan.error());
  return plan;
}

result<json> read_json(const std::string& given, const std::string& what) {
  const bool is_file = given == "-" || given.starts_with('@');
  if (!is_file) {
    auto value = parse_json(given);
    if (!value)
      return with_name(what, value.error());
    return value;
  }
  const auto file = given == "-" ? given : given.substr(1);
  // White space may make a file larger than the value, which the session bounds itself.
  const limits limits;
  auto text = read_text(file, std::size_t{4} * limits.result_size_bytes);
  if (!text)
    return std::move(text.error());
  auto value = parse_json(*text);
  if (!value)
    return with_name(shown_name(file), value.error());
  return value;
}

result<std::string> read_folder(const std::string& given) {
  std::error_code error;
  const auto folder = std::filesystem::canonical(given.empty() ? "." : given, error);
  if (error)
    return make_error(errc::invalid_field, given + ": " + error.message());
  if (!std::filesystem::is_directory(folder, error))
    return make_error(errc::invalid_field, given + ": not a directory");
  return folder.string();
}

result<std::optional<session_id>> parse_optional_session(const std::string& text) {
  if (text.empty())
    return std::optional<session_id>{};
  auto named = session_id::parse(text);
  if (!named)
    return std::move(named.error());
  return std::optional{std::move(*named)};
}

result<approval_id> parse_approval_id(const std::string& text) {
  if (auto call = call_id::parse(text))
    return approval_id{std::move(*call)};
  if (auto plan = plan_id::parse(text))
    return approval_id{std::move(*plan)};
  return make_error(errc::invalid_id,
                    "id refused: accepted is <session>:c<number> for a call, or "
                    "<session>:p<revision> for a plan, as in release-42:c1; `fermata pending` "
                    "lists them");
}

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

std::string user_name() {
  std::array<char, 4'096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0
      && found != nullptr)
    return found->pw_name;
  return std::to_string(::getuid());
}

} // namespace fermata::command_line
