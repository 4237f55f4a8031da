#pragma once

#include <fermata/actors/sim/outside.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/storage/memory_store.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace fermata::sim::detail {

/// Plays the agents and server tools that sessions from elsewhere name, so that these can go on in
/// a world that does not have them: agents that do what a seed says, tools that have an effect and
/// say so. They know nothing of what the real ones do.
class stand_ins {
public:
  stand_ins() = default; ///< For nobody.
  /// For the sessions of a store. Errors: `std::runtime_error` if it cannot be read.
  explicit stand_ins(const memory_store& store);

  /// Has a node fill in those that its own `setup` does not have, and name them in `played`, which
  /// outlives it: `agent miner`, `tool blast`. What the tools do is recorded in `effects`.
  void add_to(node_options& node, std::shared_ptr<outside> effects, std::uint64_t seed,
              std::set<std::string>& played) const;

private:
  struct seen_tool {
    std::uint32_t version = 1;
    bool idempotent = false;
  };
  class reader;

  std::set<agent_name> agents_;
  std::map<tool_name, seen_tool> tools_;
};

} // namespace fermata::sim::detail
