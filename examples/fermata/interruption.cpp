#include "interruption.hpp"

#include <algorithm>
#include <csignal>
#include <thread>

namespace fermata::command_line {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void note(int) {
  interrupted = 1;
}

} // namespace

void watch_for_interruptions() {
  struct sigaction action {};
  action.sa_handler = note;
  // Without SA_RESTART, so that a read at the prompt ends; with SA_RESETHAND, so that whoever
  // insists is obeyed, as by the crash path.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

bool was_interrupted() noexcept {
  return interrupted != 0;
}

void wait_uninterrupted(std::chrono::milliseconds time) {
  using namespace std::chrono_literals;
  // In pieces: a signal that comes before the sleep would not end it.
  for (; time > 0ms && !was_interrupted(); time -= signal_interval)
    std::this_thread::sleep_for(std::min(time, signal_interval));
}

} // namespace fermata::command_line
