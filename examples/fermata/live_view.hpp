#pragma once

#include "console.hpp"
#include "live_feed.hpp"

#include <fermata/messages/events.hpp>

#include <string>

namespace fermata::command_line {

/// Shows one session's live updates at a terminal: the text of an agent line by line behind a bar,
/// as it comes, and how far tools are.
class live_view {
public:
  live_view(console& out, session_id session) : out_{out}, session_{std::move(session)} {}

  void show(const live_feed::batch& batch);

  /// Ends what is shown of a text, since an event follows. True: the event says just that text,
  /// which need not be shown again.
  [[nodiscard]] bool finish(const event& next);

private:
  void show_text(const live_update& update);
  void show_restart(const subtask_id& subtask);
  void begin(const subtask_id& speaker);
  void print_lines();
  void print_rest();

  console& out_;
  session_id session_;
  subtask_id speaker_;      ///< Of the text; empty: there is none.
  std::string text_;        ///< All of it so far.
  std::size_t printed_ = 0; ///< How much of it is on the screen.
  bool is_whole_ = true;    ///< Nothing of the text was dropped.
};

} // namespace fermata::command_line
