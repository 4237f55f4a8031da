#pragma once

#include <fermata/actors/sim/witness.hpp>
#include <fermata/messages/timestamp.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fermata::sim {

/// A promise was broken. What a world throws out of `run`, `advance` and the like.
class violation : public std::runtime_error {
public:
  /// `promise`: "P1" to "P12", "owned once", "taken over", "connected", or the name of an invariant
  /// of one's own.
  violation(std::string promise, std::string text);
  [[nodiscard]] const std::string& promise() const noexcept { return promise_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  std::string promise_;
  std::string text_;
};

/// A witness that judges, added with `world::add`. It may throw `violation` from each of its
/// functions but `run_began` and `run_ended`, which tools call, and call `violate` in all.
class monitor : public witness {
public:
  /// "P4: a call gets exactly one result", for reports.
  [[nodiscard]] virtual std::string_view name() const = 0;

protected:
  /// Reports a violation to the world, which throws the first one as soon as no actor is running.
  static void violate(world& of, std::string promise, std::string text);
};

/// Those for P1 to P11 and for clusters (cluster_monitor.hpp, ownership_monitor.hpp), with the
/// reference model (reference_session.hpp), fresh for one world: to be added to it in this order,
/// since the first of them keeps what the others compare with. They may be added at any time;
/// sessions that are older are replayed from the store.
[[nodiscard]] std::vector<std::unique_ptr<monitor>> promise_monitors(const world& of);

} // namespace fermata::sim
