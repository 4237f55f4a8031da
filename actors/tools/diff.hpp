#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fermata {

struct diff_options {
  std::size_t context_lines = 3;
  /// The most lines that are compared by Myers's algorithm, and the most insertions and deletions
  /// it looks for; beyond, all differing lines between the common beginning and end are shown as
  /// removed and added, which is right but not minimal.
  std::size_t compared_lines = 20'000;
  std::size_t edits = 1'000;
  /// The longest diff; what is beyond is replaced by a line that says how many lines are not shown.
  std::size_t size_bytes = 200'000;

  diff_options() = default;
};

/// A unified diff of two texts by lines, empty when they are equal. `name` appears in the header as
/// it is; an absent `before` or `after` (null `data()`) is a new or a deleted file and is called
/// /dev/null. Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after,
                                       std::string_view name, const diff_options& options = {});

} // namespace fermata
