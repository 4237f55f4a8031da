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

/// For handlers, where the process's own stack has overflowed.
constexpr std::size_t stack_size_bytes = 65'536;
alignas(16) std::array<char, stack_size_bytes> other_stack;

/// Does nothing where somebody else, such as a sanitizer, has provided one.
void provide_stack() {
  stack_t present{};
  if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0)
    return;
  stack_t ours{};
  ours.ss_sp = other_stack.data();
  ours.ss_size = other_stack.size();
  ::sigaltstack(&ours, nullptr);
}

void restore() {
  for (std::size_t i = 0; i < previous.size(); ++i)
    ::sigaction(crash_note::signals[i], &previous[i], nullptr);
}

/// Allocates nothing, and calls nothing but `write`: the process may have died anywhere.
void tell(int) {
  constexpr std::string_view text = "\nfermata: the process died in the world of seed ";
  constexpr std::size_t most_digits = 20;
  std::array<char, text.size() + most_digits + 1> line{};
  auto end = std::copy(text.begin(), text.end(), line.begin());
  std::array<char, most_digits> digits{};
  auto first = digits.end();
  auto seed = running_seed.load();
  do {
    *--first = static_cast<char>('0' + seed % 10);
    seed /= 10;
  } while (seed > 0);
  end = std::copy(first, digits.end(), end);
  *end++ = '\n';
  static_cast<void>(
      !::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(end - line.begin())));
  // A fault comes again when this returns, and `abort` raises its signal again.
  restore();
}

} // namespace

crash_note::crash_note() {
  provide_stack();
  for (std::size_t i = 0; i < signals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = tell;
    action.sa_flags = SA_ONSTACK;
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
