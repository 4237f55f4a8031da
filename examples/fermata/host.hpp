#pragma once

#include "arguments.hpp"

#include <fermata/actors/runtime.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace fermata::command_line {

struct host_options {
  std::filesystem::path store;
  bool create_store = false;
  approval_mode approve = approval_mode::reads;
  std::filesystem::path workspace; ///< Instead of the session's; empty: the session's.
};

/// Owns a store and a runtime over it, from `open` until it is destroyed.
class host {
public:
  /// Errors: those of `open_store` for changes; `store_busy` also when commands of a process that
  /// was killed still run.
  [[nodiscard]] static result<std::unique_ptr<host>> open(const host_options& options);

  ~host();
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  [[nodiscard]] runtime& running() noexcept { return *runtime_; }
  [[nodiscard]] fermata::store& store() noexcept { return *store_; }

  /// Stops the runtime; the store can still be queried.
  void stop();

private:
  host(std::shared_ptr<fermata::store> owned, std::unique_ptr<runtime> started)
      : store_{std::move(owned)}, runtime_{std::move(started)} {}

  std::shared_ptr<fermata::store> store_;
  std::unique_ptr<runtime> runtime_;
};

} // namespace fermata::command_line
