#pragma once

#include "http.hpp"
#include "sse.hpp"
#include "stream_inbox.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/redaction.hpp>

#include <string>
#include <utility>

namespace fermata::service {

/// When a stream has shown enough.
enum class stream_end {
  never,   ///< It follows the session until the client goes away.
  at_pause ///< It ends with `paused` once the session no longer moves by itself.
};

/// What one client is shown of a session, as the text of server-sent events, piece by piece. It
/// holds one piece at a time.
class stream_view {
public:
  /// A piece ends with the event that makes it so long.
  static constexpr std::size_t piece_size_bytes = 64 * 1024;

  virtual ~stream_view() = default;

  /// Begins with a receipt, which is a piece of its own.
  virtual void begin(const receipt& with) = 0;

  /// The next piece: events that are recorded, and what the inbox holds, in the order in which it
  /// happened. Empty: nothing has come; look again when the inbox rings. Errors: `unknown_session`
  /// when it was deleted, also where another one has its id by now; those of the store, and of
  /// what is asked of another node.
  [[nodiscard]] virtual result<std::string> next(stream_inbox& inbox) = 0;

  /// True: `next` reads a store, which may let it wait.
  [[nodiscard]] virtual bool reads_store() const noexcept { return false; }

  /// True: it has shown all that it was to show.
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

  /// The last piece of a stream that cannot go on.
  [[nodiscard]] std::string fail(const caf::error& why) {
    is_over_ = true;
    return std::exchange(opening_, {}) + sse_event("error", error_object(why, redaction_));
  }

protected:
  explicit stream_view(redactor redaction) : redaction_{std::move(redaction)} {}
  stream_view(stream_view&&) = default;
  stream_view& operator=(stream_view&&) = default;

  redactor redaction_;
  std::string opening_; ///< Comes before anything else.
  bool is_over_ = false;
};

} // namespace fermata::service
