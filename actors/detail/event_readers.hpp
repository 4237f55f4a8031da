#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/runtime.hpp>

namespace fermata {

class event_stream::implementation {
public:
  implementation() = default;
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  virtual ~implementation() = default;

  [[nodiscard]] virtual result<std::optional<event>> next(std::chrono::milliseconds timeout) = 0;
  [[nodiscard]] virtual std::uint64_t position() const noexcept = 0;
};

class event_watch::implementation {
public:
  implementation() = default;
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  virtual ~implementation() = default;
};

namespace detail {

/// What a stream does that finds no session: wait until there is one, or `unknown_session`.
enum class if_absent : std::uint8_t { wait, fail };

/// Streams and watches of sessions that live here, from the store and the hub.
[[nodiscard]] std::unique_ptr<event_stream::implementation>
read_here(services_ptr shared, session_id session, std::uint64_t first, if_absent absent);
[[nodiscard]] std::unique_ptr<event_watch::implementation>
watch_here(services_ptr shared, session_id session, std::function<void(std::uint64_t)> committed);

/// Those of sessions that live on another node, which is asked for them.
[[nodiscard]] std::unique_ptr<event_stream::implementation>
read_elsewhere(services_ptr shared, session_id session, std::uint64_t first, if_absent absent);
[[nodiscard]] std::unique_ptr<event_watch::implementation>
watch_elsewhere(services_ptr shared, session_id session,
                std::function<void(std::uint64_t)> committed);

} // namespace detail

} // namespace fermata
