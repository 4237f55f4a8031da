#pragma once

#include "stream_inbox.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/redaction.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace fermata::service {

/// When a stream has shown enough.
enum class stream_end {
  never,   ///< It follows the session until the client goes away.
  at_pause ///< It ends with `paused` once the session no longer moves by itself.
};

/// What one client is shown of a session, as the text of server-sent events, piece by piece.
///
/// Events come from the store and not through a queue, so a client that reads slowly costs a
/// session nothing and misses none. It holds one piece at a time.
class session_stream {
public:
  /// A piece ends with the event that makes it so long.
  static constexpr std::size_t piece_size_bytes = 64 * 1024;

  /// Borrows the store. `first`: the number of the event that it begins with.
  session_stream(store& from, session_id session, std::uint64_t first, stream_end end,
                 redactor redaction = {})
      : store_{&from}, session_{std::move(session)}, next_{first}, end_{end}, redaction_{std::move(
                                                                                  redaction)} {}

  /// Begins with a receipt, which is a piece of its own.
  void begin(const receipt& with);

  /// The next piece: events that are recorded, and what the inbox holds, in the order in which it
  /// happened. Empty: nothing has come; look again when the inbox rings. Errors: `unknown_session`
  /// when it was deleted, also where another one has its id by now; those of the store.
  [[nodiscard]] result<std::string> next(stream_inbox& inbox);

  /// True: it has shown all that it was to show.
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

  /// The last piece of a stream that cannot go on.
  [[nodiscard]] std::string fail(const caf::error& why);

private:
  /// True: all events that there are were added.
  [[nodiscard]] result<bool> add_events(std::string& text);
  void add(std::string& text, event happened);
  void add_live(std::string& text, std::uint64_t before);
  [[nodiscard]] caf::error add_pause(std::string& text);

  store* store_;
  session_id session_;
  session_number number_ = 0; ///< Of the one that it reads; 0: it has not looked yet.
  std::uint64_t next_;
  stream_end end_;
  redactor redaction_;
  std::string opening_;
  stream_inbox::batch live_;
  std::size_t page_ = 2;
  bool seems_paused_ = true;
  bool is_over_ = false;
};

} // namespace fermata::service
