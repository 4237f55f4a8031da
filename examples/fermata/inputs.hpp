#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/plan.hpp>

#include <optional>
#include <string>
#include <variant>

/// What people hand to the command: files, JSON and ids. All errors are bad input.
namespace fermata::command_line {

/// Reads a file, or standard input for `-`. Errors: `invalid_field` when it cannot be read,
/// `limit_exceeded` when it is larger than `limit_bytes`.
[[nodiscard]] result<std::string> read_text(const std::string& file, std::size_t limit_bytes);

/// Reads a plan file, or standard input for `-`. Errors: those of `read_text` and `parse_plan`,
/// with the file's name in front.
[[nodiscard]] result<plan_spec> read_plan(const std::string& file);

/// Reads JSON that is given as text, as `@FILE` or as `-` for standard input. Errors: those of
/// `read_text` and `parse_json`, with `what` or the file's name in front.
[[nodiscard]] result<json> read_json(const std::string& given, const std::string& what);

/// The absolute path of a folder, without symbolic links; empty: the current one. Errors:
/// `invalid_field` when there is none.
[[nodiscard]] result<std::string> read_folder(const std::string& given);

/// A session that may be named; nothing for an empty text. Errors: `invalid_id`.
[[nodiscard]] result<std::optional<session_id>> parse_optional_session(const std::string& text);

/// What `approve` and `reject` decide on.
using approval_id = std::variant<call_id, plan_id>;

/// Errors: `invalid_id`.
[[nodiscard]] result<approval_id> parse_approval_id(const std::string& text);

/// The value of an environment variable; empty when it is not set.
[[nodiscard]] std::string environment_variable(const char* name);

/// The name of the user that runs this, as `by` in decisions.
[[nodiscard]] std::string user_name();

} // namespace fermata::command_line
