#pragma once

#include "node_question.hpp"
#include "stream_view.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/redaction.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace fermata::service {

/// A stream of a session that lives here.
///
/// Events come from the store and not through a queue, so a client that reads slowly costs a
/// session nothing and misses none.
class session_stream final : public stream_view {
public:
  /// Borrows the store. `first`: the number of the event that it begins with.
  session_stream(store& from, session_id session, std::uint64_t first, stream_end end,
                 redactor redaction = {})
      : stream_view{std::move(redaction)}, store_{&from}, session_{std::move(session)}, end_{end} {
    at_.next = first;
  }

  /// Goes on where another one of this session, and this end, was.
  session_stream(store& from, session_id session, const stream_position& at, stream_end end,
                 redactor redaction)
      : stream_view{std::move(redaction)}, store_{&from}, session_{std::move(session)}, at_{at},
        end_{end} {}

  void begin(const receipt& with) override;
  [[nodiscard]] result<std::string> next(stream_inbox& inbox) override;
  [[nodiscard]] bool reads_store() const noexcept override { return true; }

  /// How far it has come.
  [[nodiscard]] stream_position position() const noexcept {
    auto reached = at_;
    reached.is_over = is_over_;
    return reached;
  }

private:
  /// True: all events that there are were added.
  [[nodiscard]] result<bool> add_events(std::string& text);
  void add(std::string& text, event happened);
  [[nodiscard]] caf::error add_pause(std::string& text);

  store* store_;
  session_id session_;
  stream_position at_;
  stream_end end_;
  stream_inbox::batch live_;
  std::size_t page_ = 2;
};

} // namespace fermata::service
