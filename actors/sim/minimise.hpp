#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace fermata::sim {

/// Decides whether something still fails when only these parts of it, in ascending order, are left.
using fails_with = std::function<bool(const std::vector<std::size_t>& parts)>;

/// What is left of something that fails.
struct minimised {
  std::vector<std::size_t> parts; ///< In ascending order; it fails with these.
  std::size_t tests = 0;          ///< How often `fails` was asked.
  /// True: without any one of `parts` it does not fail. False: `most_tests` came first.
  bool is_minimal = false;

  minimised() = default;
};

/// Finds a small part of a failing whole that still fails, by delta debugging (ddmin: Zeller and
/// Hildebrandt, Simplifying and Isolating Failure-Inducing Input, TSE 2002).
///
/// The whole is the parts 0 to `count` - 1, with which it is known to fail; `fails` is not asked
/// for that. It is asked first whether it fails with no part at all, at most `most_tests` times,
/// and never twice for the same parts. `fails` should be a function of the parts:
/// where it is not, what comes back is some part for which it once said yes. With independent
/// causes it is asked about `n` log `count` times to keep `n` parts; at worst `count` squared.
[[nodiscard]] minimised minimise(std::size_t count, const fails_with& fails,
                                 std::size_t most_tests);

} // namespace fermata::sim
