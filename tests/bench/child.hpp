#pragma once

#include <span>
#include <string>
#include <vector>

namespace fermata::bench {

/// Something that is measured in a process of its own, so that its memory or its start is all that
/// there is.
struct child_task {
  const char* name;
  std::vector<double> (*run)(std::span<const std::string> arguments);
};

/// The first argument of a program that is such a process; its second one names the task.
inline constexpr auto child_flag = "--child";

/// Starts this program again for one task; returns the numbers that it gives. Called while this
/// process has no runtime.
[[nodiscard]] std::vector<double> in_child(const child_task& task,
                                           std::vector<std::string> arguments);

/// The other side of it: runs the task and prints its numbers.
void run_child(const child_task& task, std::span<const std::string> arguments);

} // namespace fermata::bench
