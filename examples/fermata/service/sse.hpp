#pragma once

#include <fermata/messages/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Server-sent events (WHATWG HTML, 9.2), as text.
namespace fermata::service {

/// One event. With `id`, a client that reconnects says that it has seen it (`Last-Event-ID`).
[[nodiscard]] std::string sse_event(std::string_view name, const json& data,
                                    std::optional<std::uint64_t> id = {});

/// A comment, which clients ignore: it shows that the connection lives.
[[nodiscard]] std::string sse_comment(std::string_view text);

} // namespace fermata::service
