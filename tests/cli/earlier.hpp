#pragma once

#include "sandbox.hpp"

#include <fermata/actors/runtime.hpp>

#include <chrono>
#include <functional>
#include <string_view>

namespace fermata::test {

/// A runtime over a sandbox's store that lives in the past: what it arms for soon after has fallen
/// due when the command comes, without anybody waiting for it. It decides nothing by itself, fires
/// no timer, and has an agent `sleeper`, which sleeps for a year, and one `flaky`, which fails so
/// that it is to be tried again.
class earlier {
public:
  /// So long ago. The store is made if need be, and free again when this is destroyed.
  earlier(const sandbox& box, std::chrono::milliseconds ago);
  ~earlier();
  earlier(const earlier&) = delete;
  earlier& operator=(const earlier&) = delete;

  /// What time it is in there.
  [[nodiscard]] timestamp now() const noexcept { return now_; }

  /// Proposes a plan in a session, approves it, and lets it run until it pauses.
  void start(std::string_view session, std::string_view plan);

  /// Applies a command, which must be accepted, and lets the session run until it pauses.
  void apply(std::string_view session, command body);

private:
  timestamp now_;
  std::unique_ptr<runtime> runtime_;
};

} // namespace fermata::test
