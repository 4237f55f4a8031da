#pragma once

#include <fermata/actors/tool.hpp>
#include <fermata/actors/tools/workspace.hpp>

#include <vector>

namespace fermata {

/// The tools `list_files`, `read_file`, `search_files`, `write_file`, `create_directory`,
/// `move_file` and `delete_file`. They work in `tool_context::workspace`, never outside it (see
/// class `workspace`), and fail with `tool_failed` when the session has none.
///
/// Those that change something have a `fingerprint` and a `preview` (`write_file`: a unified diff),
/// and return `stale_approval` when what they find is not what was approved.
///
/// Idempotent are the ones that read, and `create_directory` (a directory that is there already is
/// its success). `write_file` is not, although writing the same content twice changes nothing:
/// between a crash and a re-run somebody may have changed the file, and without an approved
/// fingerprint the re-run would undo that (P8). A person who says `rerun` is safe: with an approved
/// fingerprint, a file that has the new content already is a success, and any other content is
/// `stale_approval`.
///
/// `write_file`, `move_file` and `delete_file` can find out that a run has happened (`reconcile`),
/// by what it makes. Otherwise, and for directories that moved, a person is asked.
[[nodiscard]] std::vector<tool> workspace_tools(const workspace_limits& limits = {});

} // namespace fermata
