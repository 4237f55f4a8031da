#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/store_identity.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fermata {

/// What `verify_store` found.
struct verify_report {
  std::uint64_t sessions = 0;
  std::uint64_t commits = 0; ///< Log entries: what one session appended in one commit.
  std::uint64_t events = 0;
  std::uint64_t records = 0; ///< Other than heads.
  std::uint64_t pending = 0;
  std::uint64_t timers = 0;
  /// Log entries and records of what was deleted or dropped, which `store::reclaim` is to erase;
  /// not among those above.
  std::uint64_t garbage = 0;
  std::uint64_t size_bytes = 0;
  /// Of a store that nodes can share; empty: it is none, or has none yet.
  store_identity identity;
  /// What is wrong, for people; at most `max_problems`, the check ends there.
  std::vector<std::string> problems;

  static constexpr std::size_t max_problems = 20;

  verify_report() = default;

  [[nodiscard]] bool sound() const noexcept { return problems.empty(); }
};

/// Reads a whole store and checks each checksum and whether the tables agree with each other, as of
/// one moment; beside an owner, if there is one. The time is proportional to the size of the store.
///
/// The file is mapped in a child process, because a damaged one can kill its reader. The child is a
/// fork that is never followed by an exec, as a library has no program to start. It uses nothing
/// but LMDB, system calls and `malloc` (which glibc keeps usable in a child): call this before
/// threads are started where the C library promises less.
///
/// A damaged store is a result, with problems. Errors: `store_unavailable` (there is no store, or
/// it cannot be read), `store_too_new`, `io_error` (the child cannot be started).
[[nodiscard]] result<verify_report> verify_store(const std::filesystem::path& directory);

} // namespace fermata
