#pragma once

#include <fermata/messages/timestamp.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

/// What the runtime takes from outside itself, behind interfaces, so that a simulation can replace
/// it and the same seed is the same run (P12). Waiting for a time goes through the actor system's
/// clock; child processes have their own seam in tools/process.hpp; the journal's thread is chosen
/// by `runtime_options::journal_thread`.
namespace fermata {

/// Tells wall time, and how long things take: for observers, and for leases of nodes. Called from any thread.
class wall_clock {
public:
  virtual ~wall_clock() = default;
  [[nodiscard]] virtual timestamp now() = 0;
  /// Never goes back; only differences mean something. The system's goes on while the machine
  /// sleeps.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point steady() {
    return std::chrono::steady_clock::now();
  }
};

/// Gives random numbers: session ids that are generated, jitter. Called from any thread.
class random_source {
public:
  virtual ~random_source() = default;
  [[nodiscard]] virtual std::uint64_t next() = 0;
};

/// Runs blocking functions away from the actors' threads.
class blocking_pool {
public:
  virtual ~blocking_pool() = default;

  /// Runs `job` once, on a thread of the pool, in the order of the calls. The caller posts at most
  /// `capacity()` jobs at a time. Called from any thread; the destructor waits for jobs that run.
  virtual void post(std::function<void()> job) = 0;

  /// How many jobs run at once.
  [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
};

} // namespace fermata
