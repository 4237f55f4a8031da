#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

namespace fermata::command_line {

/// `fermata cluster status`: asks the node that runs on the store how all nodes are. Exit status 1
/// where one of them could not be asked, or some sessions of a shared store have no node. Errors: `store_unavailable` when no service runs on it,
/// `not_allowed` when that is no node, those of `ask_service`.
[[nodiscard]] result<exit_status> run_cluster_status(const arguments& given, console& out);

/// `fermata cluster drain`: has that node give its sessions to the others, and waits. Errors: the
/// same; `not_allowed` also where nodes do not share a store, or no other one takes sessions;
/// `timed_out`: it goes on.
[[nodiscard]] result<exit_status> drain_node(const arguments& given, console& out);

} // namespace fermata::command_line
