#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "host.hpp"
#include "session_link.hpp"

#include <memory>

namespace fermata::command_line {

/// The way to the sessions of a store: this process owns the store and runs them, or the service
/// that owns it does.
class gateway {
public:
  /// Owns the store if it can; where a service of it answers, goes through that. Errors: those of
  /// `host::open`, `store_busy` only where no service answers; `invalid_field` for options that the
  /// service was started with, and that nobody else can change.
  [[nodiscard]] static result<std::unique_ptr<gateway>> open(const host_options& options,
                                                             const arguments& given, console& out);

  virtual ~gateway() = default;
  gateway() = default;
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;

  /// True when a service runs the sessions, and goes on with them when this ends.
  [[nodiscard]] virtual bool is_service() const = 0;

  /// For queries.
  [[nodiscard]] virtual fermata::store& store() = 0;

  /// A new random session id.
  [[nodiscard]] virtual session_id generate_id() = 0;

  /// Must not outlive the gateway.
  [[nodiscard]] virtual std::unique_ptr<session_link> link_to(const session_id& session) = 0;
};

} // namespace fermata::command_line
