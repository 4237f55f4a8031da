#include "crash_note.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string_view>

namespace fermata::command_line {

namespace {

std::atomic<std::uint64_t> running_seed{0};
static_assert(decltype(running_seed)::is_always_lock_free, "a signal handler reads it");

std::array<struct sigaction, crash_note::signals.size()> previous{};

/// Nothing but `write`: the process may have died anywhere.
void say(std::string_view text) {
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

void restore() {
  for (std::size_t i = 0; i < previous.size(); ++i)
    ::sigaction(crash_note::signals[i], &previous[i], nullptr);
}

void tell(int) {
  std::array<char, 20> digits{};
  auto begin = digits.end();
  auto seed = running_seed.load();
  do {
    *--begin = static_cast<char>('0' + seed % 10);
    seed /= 10;
  } while (seed > 0);
  say("\nfermata: the process died in the world of seed ");
  say({begin, static_cast<std::size_t>(digits.end() - begin)});
  say("\n");
  // A fault comes again when this returns, and `abort` raises its signal again.
  restore();
}

} // namespace

crash_note::crash_note() {
  for (std::size_t i = 0; i < signals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = tell;
    ::sigaction(signals[i], &action, &previous[i]);
  }
}

crash_note::~crash_note() {
  restore();
}

void crash_note::seed(std::uint64_t running) noexcept {
  running_seed = running;
}

} // namespace fermata::command_line
