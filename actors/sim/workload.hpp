#pragma once

#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/server_tool.hpp>
#include <fermata/actors/sim/session_author.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

/// Random sessions that use all that Fermata has, for campaigns.
namespace fermata::sim {

/// A tool that the runtime has, as plain data.
struct planned_tool {
  tool_name name;
  json schema;         ///< Of its arguments.
  bool client = false; ///< Run by hosts; else by the runtime, in the way that `character` says.
  server_tool_character character;

  planned_tool() = default;
  friend bool operator==(const planned_tool&, const planned_tool&) = default;
  static constexpr auto fields() {
    return field_list{field("name", &planned_tool::name),
                      optional_field("schema", &planned_tool::schema),
                      optional_field("client", &planned_tool::client),
                      optional_field("character", &planned_tool::character)};
  }
};

/// What sessions are drawn from.
struct workload_options {
  std::size_t sessions = 4;
  std::chrono::milliseconds begin_within{0}; ///< They begin some time within it.
  std::vector<planned_tool> tools;           ///< That the runtime has.
  std::vector<std::string> agents;           ///< Besides `script`: those that take no parameters.
  bool planner = false;       ///< The runtime has one: some sessions begin with a message.
  std::set<session_id> taken; ///< Names that are others'.

  workload_options() = default;
};

/// Draws sessions `s1`, `s2`, ..., but none that is taken: one to three plans each, of one to eight
/// subtasks with random dependencies, retries and time limits. Subtasks of agent `script` call the
/// tools there are, one by one or several at once, and client tools that the plan declares; they
/// ask people, sleep, and refer to what came before. Each session depends on the seed and its own
/// name alone.
[[nodiscard]] std::vector<planned_session> draw_sessions(std::uint64_t seed,
                                                         const workload_options& options);

} // namespace fermata::sim
