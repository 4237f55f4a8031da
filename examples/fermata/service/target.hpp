#pragma once

#include <fermata/messages/errors.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::service {

/// The target of a request, taken apart and percent-decoded (RFC 3986).
struct request_target {
  std::vector<std::string> path; ///< Its segments: `/v1/sessions` has two.
  std::map<std::string, std::string> query;

  request_target() = default;
};

/// Errors: `invalid_field` for a target that does not begin with a slash, a broken percent code,
/// and a query parameter that appears twice.
[[nodiscard]] result<request_target> parse_target(std::string_view text);

} // namespace fermata::service
