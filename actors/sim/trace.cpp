#include <fermata/actors/sim/trace.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace fermata::sim {

namespace {

std::string clock_time(std::chrono::milliseconds at) {
  using namespace std::chrono;
  const auto days = duration_cast<std::chrono::days>(at);
  const hh_mm_ss time{at - days};
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%lldd %02lld:%02lld:%02lld.%03lld",
                static_cast<long long>(days.count()), static_cast<long long>(time.hours().count()),
                static_cast<long long>(time.minutes().count()),
                static_cast<long long>(time.seconds().count()),
                static_cast<long long>(time.subseconds().count()));
  return text.data();
}

/// The text may quote what agents and people said.
void append_line(std::string& to, std::string_view text) {
  for (const auto letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (code >= 0x20 && code != 0x7F) {
      to += letter;
    } else {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", code);
      to += escaped.data();
    }
  }
}

void append_column(std::string& to, const std::string& text, std::size_t width) {
  const auto before = to.size();
  append_line(to, text.empty() ? "-" : text);
  const auto used = to.size() - before;
  to.append(2 + (used < width ? width - used : 0), ' ');
}

void append_entry(std::string& to, const trace_entry& entry, std::size_t node_width,
                  std::size_t session_width) {
  to += clock_time(entry.at);
  to += "  ";
  append_column(to, entry.node, node_width);
  append_column(to, entry.session, session_width);
  append_line(to, entry.text);
}

std::string numbered(const trace_entry& entry) {
  return std::to_string(entry.step) + "  " + describe(entry);
}

std::string line_of(const trace& of, std::size_t index) {
  return index < of.size() ? numbered(of[index]) : "(the end)";
}

} // namespace

std::string one_line(std::string_view text) {
  std::string line;
  append_line(line, text);
  return line;
}

std::string describe(const trace_entry& entry) {
  std::string text;
  append_entry(text, entry, 0, 0);
  return text;
}

std::string to_text(const trace& of) {
  std::string text;
  for (const auto& entry : of) {
    text += numbered(entry);
    text += '\n';
  }
  return text;
}

std::string timeline(const trace& of, std::size_t most_lines) {
  const auto left_out = of.size() - std::min(of.size(), most_lines);
  const auto begin = of.begin() + static_cast<std::ptrdiff_t>(left_out);
  std::size_t node_width = 1;
  std::size_t session_width = 1;
  for (auto entry = begin; entry != of.end(); ++entry) {
    node_width = std::max(node_width, entry->node.size());
    session_width = std::max(session_width, entry->session.size());
  }
  std::string text;
  if (left_out > 0)
    text = "(" + std::to_string(left_out) + " lines before)\n";
  for (auto entry = begin; entry != of.end(); ++entry) {
    append_entry(text, *entry, node_width, session_width);
    text += '\n';
  }
  return text;
}

std::string first_difference(const trace& one, const trace& other) {
  const auto differ = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  if (differ.first == one.end() && differ.second == other.end())
    return {};
  const auto index = static_cast<std::size_t>(differ.first - one.begin());
  std::string text = "they differ from line " + std::to_string(index + 1) + " on";
  if (index > 0)
    text += ", behind\n  " + numbered(one[index - 1]);
  return text + "\none:\n  " + line_of(one, index) + "\nthe other:\n  " + line_of(other, index)
         + "\n";
}

} // namespace fermata::sim
