#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

namespace fermata::command_line {

/// `fermata cluster status`: asks the node that runs on the store how all nodes are. Exit status 1
/// where one of them could not be asked. Errors: `store_unavailable` when no service runs on it,
/// `not_allowed` when that is no node, those of `ask_service`.
[[nodiscard]] result<exit_status> run_cluster_status(const arguments& given, console& out);

} // namespace fermata::command_line
