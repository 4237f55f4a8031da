#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "host.hpp"
#include "records.hpp"
#include "session_link.hpp"

#include <memory>

namespace fermata::command_line {

/// What the way to a store is opened with, as often as it is.
struct gateway_options {
  /// `models`, `policy` and `observer` are read once this process can own the store, and not
  /// before: a service has its own. With `create_store`, a message still begins nothing without a
  /// planner.
  host_options owner;
  bool has_read_files = false;

  gateway_options() = default;
};

/// The way to the sessions of a store: this process owns the store and runs them, or the service
/// that owns it does.
class gateway {
public:
  /// Owns the store if it can; where a service of it answers, goes through that. Errors: those of
  /// the files that are read, and of `host::open`; `store_busy` only where no service answers, and
  /// then those of `find_service`; `invalid_field` for options that the service was started with,
  /// and that nobody else can change, and for sessions that `check_homes` refuses.
  [[nodiscard]] static result<std::unique_ptr<gateway>> open(gateway_options& options,
                                                             const arguments& given, console& out);

  virtual ~gateway() = default;
  gateway() = default;
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;

  /// True when a service runs the sessions, and goes on with them when this ends.
  [[nodiscard]] virtual bool is_service() const = 0;

  /// For queries of what the store has.
  [[nodiscard]] virtual fermata::store& store() = 0;

  /// For queries of a session, which may live on another node of the cluster of a service.
  [[nodiscard]] virtual records& records_of(const session_id& session) = 0;

  /// A new random session id.
  [[nodiscard]] virtual session_id generate_id() = 0;

  /// Must not outlive the gateway.
  [[nodiscard]] virtual std::unique_ptr<session_link> link_to(const session_id& session) = 0;
};

} // namespace fermata::command_line
