#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/runtime.hpp>

#include <deque>

namespace fermata {

class event_stream::implementation {
public:
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  virtual ~implementation() = default;

  [[nodiscard]] result<std::optional<event>> next(std::chrono::milliseconds timeout);
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

protected:
  explicit implementation(std::uint64_t first) : position_{first} {}

private:
  /// Waits for events from `position` on, and adds those that there are to `buffer`, which has
  /// none.
  [[nodiscard]] virtual caf::error fill(std::deque<event>& buffer,
                                        std::chrono::milliseconds timeout) = 0;

  std::uint64_t position_;
  std::deque<event> buffer_;
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
