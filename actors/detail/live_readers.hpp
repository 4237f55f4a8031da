#pragma once

#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/tell.hpp>
#include <fermata/actors/runtime.hpp>

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace fermata {

class live_watch::implementation {
public:
  implementation() = default;
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  virtual ~implementation() = default;
};

namespace detail {

/// Who listens to a session that lives on another node; shared with the links, which call him.
class live_ear {
public:
  live_ear(session_id of, live_observer show, std::function<void(std::uint64_t)> lost)
      : session{std::move(of)}, show_{std::move(show)}, lost_{std::move(lost)} {}

  /// By the links.
  void hear(const live_batch& batch) {
    const std::lock_guard lock{mutex_};
    if (over_)
      return;
    if (batch.dropped > 0)
      tell(lost_, batch.dropped);
    for (const auto& update : batch.updates)
      tell(show_, update);
  }
  /// By whoever listened: when it returns, nothing of his runs, or is called any more.
  void close() {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  [[nodiscard]] bool is_closed() const {
    const std::lock_guard lock{mutex_};
    return over_;
  }

  const session_id session;

private:
  mutable std::mutex mutex_; ///< Held while one of them runs.
  bool over_ = false;
  live_observer show_;
  std::function<void(std::uint64_t)> lost_;
};

/// Says to the router's forwarder that somebody listens, and that he, who is closed by then, does
/// so no more.
using live_ear_ptr = std::shared_ptr<live_ear>;

/// Those who listen to a session that lives here, and to one that may live on another node.
[[nodiscard]] std::unique_ptr<live_watch::implementation>
listen_here(services_ptr shared, session_id session, live_observer show);
[[nodiscard]] std::unique_ptr<live_watch::implementation>
listen_elsewhere(services_ptr shared, session_id session, live_observer show,
                 std::function<void(std::uint64_t)> lost);

} // namespace detail

} // namespace fermata

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::live_ear_ptr)
