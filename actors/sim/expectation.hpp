#pragma once

#include <fermata/actors/sim/reference_session.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/errors.hpp>

#include <bitset>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace fermata::sim {

/// Which answers to a command are right where a session stands as it does. More than one may be:
/// what depends on the policy, the registries or the files outside is not predicted.
struct expectation {
  bool accepted = false;
  std::uint64_t duplicate_of = 0; ///< A receipt `duplicate` that names this event; 0: none.
  std::uint64_t late_after = 0;   ///< A receipt `late` that names this event; 0: none.
  std::bitset<256> errors;        ///< By the numbers of `errc`.

  expectation() = default;
  friend bool operator==(const expectation&, const expectation&) = default;

  /// Adds errors. Returns this one.
  expectation& or_fail(std::initializer_list<errc> codes);
  [[nodiscard]] bool allows(errc code) const { return errors[static_cast<std::size_t>(code)]; }
  /// True if this is one of the right answers.
  [[nodiscard]] bool allows(const result<receipt>& answer) const;
  /// True where it can only be an error.
  [[nodiscard]] bool only_fails() const {
    return !accepted && duplicate_of == 0 && late_after == 0;
  }
  /// For people: "accepted, or stale_approval".
  [[nodiscard]] std::string text() const;
};

/// The right answers to a command. Exact for what P4, P5 and P9 promise of decisions, results,
/// answers and outcomes; of other commands whether they fit the state.
[[nodiscard]] expectation expect(const reference_session& of, const command& body);

/// True for an error of the environment: one that says nothing of the session.
[[nodiscard]] bool is_environmental(errc code);

/// True for a command that is refused for its own sake, with `invalid_field`, `invalid_json`,
/// `invalid_id` or `limit_exceeded`: it holds text that is not UTF-8, or more than a limit allows.
[[nodiscard]] bool is_malformed(const command& body, const limits& limits);

/// For people: "accepted, event 12", "stale_approval (...)".
[[nodiscard]] std::string describe(const result<receipt>& answer);

} // namespace fermata::sim
