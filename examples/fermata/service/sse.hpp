#pragma once

#include <fermata/messages/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Server-sent events (WHATWG HTML, 9.2), as text.
namespace fermata::service {

/// One event. With `id`, a client that reconnects says that it has seen it (`Last-Event-ID`).
[[nodiscard]] std::string sse_event(std::string_view name, const json& data,
                                    std::optional<std::uint64_t> id = {});

/// One of the events of a text.
struct sse_part {
  std::optional<std::uint64_t> id;
  std::string_view text;
};

/// The events of a text that `sse_event` has made, in order. The parts borrow it.
[[nodiscard]] std::vector<sse_part> split_events(std::string_view text);

/// A comment, which clients ignore: it shows that the connection lives.
[[nodiscard]] std::string sse_comment(std::string_view text);

} // namespace fermata::service
