#pragma once

#include <fermata/messages/errors.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace fermata::service {

/// Reads the secret that TCP clients show: the file's text without the line break at its end, 16 to
/// 4,096 visible ASCII characters. Errors: `invalid_field` when it is not one, the file cannot be
/// read, or others than its owner may read or write it.
[[nodiscard]] result<std::string> read_token(const std::filesystem::path& file);

/// True when an `Authorization` header shows the token (RFC 6750, `Bearer`). Takes as long for any
/// wrong token as for the right one.
[[nodiscard]] bool shows_token(std::string_view authorization, std::string_view token);

} // namespace fermata::service
