#include "fold.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace fermata::command_line {

namespace {

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// How many bytes of `line` fit; at least one character.
std::size_t fitting(std::string_view line, std::size_t columns) {
  std::size_t used = 0;
  std::size_t i = 0;
  while (i < line.size()) {
    if (line[i] == '\x1b') {
      // Only ours are left after escaping: ESC [ ... m.
      i = std::min(line.find('m', i), line.size() - 1) + 1;
      continue;
    }
    const auto byte = static_cast<unsigned char>(line[i]);
    used += byte == '\t' ? 8 : byte < 0x80 ? 1 : 2;
    if (used > columns && i > 0)
      break;
    ++i;
    while (i < line.size() && continues_character(line[i]))
      ++i;
  }
  return i;
}

} // namespace

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return std::max<std::size_t>(size.ws_col, 20);
}

std::vector<std::string_view> fold(std::string_view line, std::size_t columns) {
  std::vector<std::string_view> pieces;
  do {
    pieces.push_back(line.substr(0, fitting(line, columns)));
    line.remove_prefix(pieces.back().size());
  } while (!line.empty());
  return pieces;
}

} // namespace fermata::command_line
