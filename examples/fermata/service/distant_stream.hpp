#pragma once

#include "cluster_side.hpp"
#include "letter_box.hpp"
#include "stream_view.hpp"

#include <memory>

namespace fermata::service {

/// A stream of a session that lives on another node, which makes the pieces, one at a time, when it
/// is asked for them. Live updates come by the inbox, and are put between the events of a piece.
class distant_stream final : public stream_view {
public:
  /// `from` outlives it. `ring` is called from any thread when a piece has come, also when the
  /// stream is gone. `first`: the number of the event that it begins with.
  distant_stream(const cluster_side& from, node_name home, session_id session, std::uint64_t first,
                 stream_end end, redactor redaction, std::function<void()> ring);

  void begin(const receipt& with) override;

  /// The inbox says when there is more.
  [[nodiscard]] result<std::string> next(stream_inbox& inbox) override;

private:
  void ask();
  void collect_live(stream_inbox& inbox);
  /// A piece's events, with the live updates that come before and behind each.
  [[nodiscard]] std::string add_live(const std::string& piece);

  const cluster_side* from_;
  node_name home_;
  node_question what_;
  std::function<void()> ring_;
  std::shared_ptr<letter_box<result<node_answer>>> awaited_; ///< Null: nothing was asked for.
  stream_inbox::batch live_;
  bool may_have_more_ = true;
  std::uint64_t commits_ = 0; ///< Of the inbox, when it was asked last.
};

} // namespace fermata::service
