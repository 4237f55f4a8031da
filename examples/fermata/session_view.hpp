#pragma once

#include "console.hpp"
#include "live_feed.hpp"
#include "live_view.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>

namespace fermata::command_line {

/// Shows what happens to one session while it runs, wherever that is.
class session_view {
public:
  /// Borrows the console.
  session_view(console& out, session_id session)
      : out_{out}, session_{std::move(session)}, live_{out, session_} {}

  void show(const receipt& answer);

  /// An event, unless it only tells a person what others tell.
  void show(const event& happened);

  void show(const live_feed::batch& batch) { live_.show(batch); }

private:
  console& out_;
  session_id session_;
  live_view live_;
};

} // namespace fermata::command_line
