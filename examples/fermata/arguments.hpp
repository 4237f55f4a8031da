#pragma once

#include <fermata/actors/sim/seed_range.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/timestamp.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fermata::command_line {

/// What `--approve` says.
enum class approval_mode : std::uint8_t {
  none,  ///< Ask for everything.
  reads, ///< The default policy: what only reads the workspace runs freely.
  all    ///< Approve the plan and its calls, but never say what became of a call.
};

/// What `sim` is given.
struct simulation_arguments {
  std::optional<sim::seed_range> seeds; ///< Nothing: not given.
  std::size_t nodes = 0;                ///< 0: not given.
  std::size_t sessions = 0;             ///< 0: not given.
  bool share_store = false;
  bool without_faults = false;
  std::optional<std::vector<std::size_t>> only_faults;   ///< Nothing: not given.
  std::optional<std::vector<std::size_t>> only_sessions; ///< Nothing: not given.
  std::string trace_file;                                ///< Empty: not given.
  std::string session_file;                              ///< Of an export; empty: not given.
  bool edited = false;                                   ///< The export need not fit its checksum.
};

/// The command line, taken apart but not interpreted: ids and JSON are still text.
struct arguments {
  std::string command; ///< The name of the subcommand.
  std::string program; ///< As it was called, for command lines that are printed.
  bool as_json = false;
  std::string store;  ///< Empty: not given.
  std::string models; ///< A models file; empty: not given.
  std::string policy; ///< A policy file; empty: not given.
  std::string redact; ///< A file of redaction rules; empty: not given.
  std::string log;    ///< A file, or - for standard error; empty: not given.
  std::string log_level = "info";

  std::string session;
  std::string id; ///< Of a call or a plan approval; for `cancel` also of a session.
  /// Of what `approve` and `reject` decide on; of the sessions that `delete` deletes.
  std::vector<std::string> ids;
  std::string plan_file;
  std::string workspace; ///< Empty: not given.
  approval_mode approve = approval_mode::reads;
  bool gives_approve = false; ///< It was said, and is not the default.
  std::string reason;
  std::string digest;
  std::string new_arguments; ///< JSON, @FILE or -.
  std::string content;       ///< JSON, @FILE or -; empty: not given.
  std::string resolution;    ///< happened, rerun or failed.
  std::string subtask;
  std::string state;
  std::string text;     ///< Of a message.
  std::string agent;    ///< For `policy check`: who calls or proposes.
  std::string tool;     ///< For `policy check`: what is called.
  bool of_plan = false; ///< For `policy check`: a plan, not a call.
  decision_scope remember = decision_scope::once;
  std::uint64_t decision = 0; ///< A remembered one.
  bool is_error = false;
  bool modify = false;
  bool due = false;   ///< All sessions with timers that are due, instead of one.
  bool clear = false; ///< A deadline.
  bool diff = false;  ///< What a revision changes, instead of the plan.
  bool until_paused = false;
  bool finished = false; ///< All sessions whose plan is over, instead of some.
  bool dry_run = false;
  std::uint64_t keep = 0;                         ///< Of events; 0: not given.
  std::optional<std::chrono::milliseconds> after; ///< From now on: of --in, --for, --older-than...
  std::optional<timestamp> at;                    ///< Of --at and --until.
  std::uint64_t from = 1;
  std::optional<std::uint32_t> revision;
  std::optional<std::size_t> limit;
  std::string directory;   ///< That `backup` makes.
  std::string export_file; ///< That `import` reads; -: standard input.
  bool accept_edited = false;
  std::uint64_t rate = 0; ///< Megabytes a second; 0: not given.
  std::string out;        ///< The file that `export` makes; empty: standard output.
  std::string socket;     ///< Of `serve`; empty: the one in the store's folder.
  std::string listen;     ///< ADDRESS:PORT; empty: none.
  std::string token_file; ///< Empty: none.
  std::size_t connections = 1'024;
  std::string database; ///< Where `serve` and `node` keep sessions; empty: not given.
  std::string schema;   ///< Of that; empty: not given.
  std::chrono::milliseconds lease = std::chrono::seconds{10}; ///< Of a node's sessions there.
  bool gives_lease = false;                                   ///< It was said.
  bool drains = false;                                        ///< `cluster drain`, not `status`.
  std::string members;     ///< The member list of `node`, a file.
  std::string name;        ///< Which of the members it is.
  std::string certificate; ///< Files of TLS; empty: not given.
  std::string key;
  std::string authority;
  bool trust_network = false;
  std::string listen_address; ///< Empty: not given.
  simulation_arguments simulation;
};

/// A command line that was taken apart, or the text to print instead of running a command
/// (`--help`, `--version`).
struct parsed_arguments {
  arguments given;
  std::optional<std::string> help;
};

/// Errors: `invalid_field` for whatever is wrong with the usage.
[[nodiscard]] result<parsed_arguments> parse_arguments(int count, const char* const* values);

/// True when `--json` is among them, also when they cannot be taken apart.
[[nodiscard]] bool wants_json(int count, const char* const* values);

} // namespace fermata::command_line
