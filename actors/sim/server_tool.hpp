#pragma once

#include <fermata/actors/sim/outside.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>

#include <chrono>
#include <cstdint>
#include <memory>

namespace fermata::sim {

/// How a tool that the runtime runs behaves. Probabilities are from 0 to 1 and drawn anew for each
/// run; without any of them it succeeds.
struct server_tool_character {
  std::chrono::milliseconds least_time{0};
  std::chrono::milliseconds most_time{30'000};
  double fails = 0;              ///< Ends with an error, without an effect.
  double fails_after_effect = 0; ///< Has its effect, and ends with an error all the same.
  double unavailable = 0;        ///< `tool_unavailable`, without an effect: may be tried again.
  double hangs = 0;              ///< Never ends by itself; in half of the cases after its effect.
  bool blocking = false;         ///< A blocking function rather than a coroutine.
  bool idempotent = false;       ///< Its effect happens once for each key.
  /// Has a `reconcile` that tells the truth, or, with this probability, that it cannot tell.
  bool reconciles = false;
  double is_unsure = 0;
  /// Changes the document that its argument `document` names: has a fingerprint of it, and refuses
  /// to run on another one than was approved.
  bool changes_document = false;
  std::chrono::milliseconds time_limit{0}; ///< As `tool::time_limit`.
  retry_policy retry;                      ///< As `tool::retry`.

  server_tool_character() = default;
  friend bool operator==(const server_tool_character&, const server_tool_character&) = default;
  static constexpr auto fields() {
    return field_list{
        optional_field("least_time_ms", &server_tool_character::least_time),
        optional_field("most_time_ms", &server_tool_character::most_time),
        optional_field("fails", &server_tool_character::fails),
        optional_field("fails_after_effect", &server_tool_character::fails_after_effect),
        optional_field("unavailable", &server_tool_character::unavailable),
        optional_field("hangs", &server_tool_character::hangs),
        optional_field("blocking", &server_tool_character::blocking),
        optional_field("idempotent", &server_tool_character::idempotent),
        optional_field("reconciles", &server_tool_character::reconciles),
        optional_field("is_unsure", &server_tool_character::is_unsure),
        optional_field("changes_document", &server_tool_character::changes_document),
        optional_field("time_limit_ms", &server_tool_character::time_limit),
        optional_field("retry", &server_tool_character::retry)};
  }
};

/// A server tool of this character, for `node_options::setup`. What it does outside is recorded in
/// `effects`, at one definite moment of its run: a crash before it leaves nothing behind, one after
/// it leaves the effect without anybody having heard of it. `seed`, the tool's name, the call and
/// the run decide what a run does.
///
/// A coroutine takes its time on the virtual clock. A blocking function takes none, since nothing
/// else can happen while it runs: it waits in the pool before it begins (`world::hold_tools`), and
/// does not hang.
[[nodiscard]] tool make_server_tool(tool_name name, json schema, server_tool_character character,
                                    std::shared_ptr<outside> effects, std::uint64_t seed);

} // namespace fermata::sim
