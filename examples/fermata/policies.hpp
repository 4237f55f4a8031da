#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <fermata/actors/policy.hpp>

#include <filesystem>
#include <string>

/// Where the command has its approval policy from, and what `fermata policy check` says of one.
namespace fermata::command_line {

/// The policy of one invocation.
struct chosen_policy {
  approval_policy policy;  ///< `reads`, unless a file says otherwise.
  std::string source;      ///< The file; empty: there is none.
  std::string to_remember; ///< The file's text; empty: the store has it already, or there is none.
};

/// Reads the policy file that was given, else the one that `FERMATA_POLICY` names, else the one
/// that the store remembers; without any of them it is `approval_policy::reads`. Errors: those of
/// `read_text` and `approval_policy::parse`; the file's name is in front.
[[nodiscard]] result<chosen_policy> choose_policy(const std::string& given,
                                                  const std::filesystem::path& store);

/// The name of the file that a store remembers its policy in.
inline constexpr const char* remembered_policy = "policy.json";

/// `fermata policy check`: says what a policy has, or what it says of one call or plan. Errors: bad
/// input.
[[nodiscard]] caf::error check_policy(const arguments& given, console& out);

} // namespace fermata::command_line
