#pragma once

#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::sim {

/// One line of what happened, in words that mean the same in every process: virtual time, names,
/// numbers of events; never an address, a process id or an id of CAF.
struct trace_entry {
  std::chrono::milliseconds at{0}; ///< After the beginning of the world.
  std::uint64_t step = 0;          ///< How many turns there were before it.
  std::string node;                ///< Empty: outside of all nodes.
  std::string session;             ///< Empty: of none.
  std::string text;

  trace_entry() = default;
  friend bool operator==(const trace_entry&, const trace_entry&) = default;
  static constexpr auto fields() {
    return field_list{field("at_ms", &trace_entry::at), field("step", &trace_entry::step),
                      optional_field("node", &trace_entry::node),
                      optional_field("session", &trace_entry::session),
                      field("text", &trace_entry::text)};
  }
};

using trace = std::vector<trace_entry>;

/// A text on one line, which leaves a terminal as it is: control characters are escaped as JSON
/// does.
[[nodiscard]] std::string one_line(std::string_view text);

/// `1d 02:03:04.005  n1  s1  committed 17 call_answered c3`, on one line whatever the text has in
/// it: control characters are escaped as JSON does. A `-` stands for no node and no session.
[[nodiscard]] std::string describe(const trace_entry& entry);

/// The whole trace with the numbers of the turns, a line for each entry, to be compared byte for
/// byte.
[[nodiscard]] std::string to_text(const trace& of);

/// A timeline for people: without turns, in columns, a line for each entry; of a long one the last
/// `most_lines`, behind a line that says how many there were before.
[[nodiscard]] std::string timeline(const trace& of, std::size_t most_lines = 1'000);

/// Where two runs that should be the same begin to differ: the number of the line, what stands
/// there in each, and the line before. Empty: they are the same.
[[nodiscard]] std::string first_difference(const trace& one, const trace& other);

} // namespace fermata::sim
