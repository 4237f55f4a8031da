#pragma once

#include <string_view>

namespace fermata::service {

/// The description of the service (OpenAPI 3.1), as JSON text: `openapi.json` of this folder.
[[nodiscard]] std::string_view openapi_text() noexcept;

} // namespace fermata::service
