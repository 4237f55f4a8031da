#pragma once

#include "console.hpp"
#include "service_client.hpp"
#include "session_link.hpp"
#include "session_view.hpp"

#include <chrono>
#include <filesystem>
#include <optional>

namespace fermata::command_line {

struct remote_options {
  std::filesystem::path store;  ///< Its folder: whoever answers for another one is not listened to.
  std::filesystem::path socket; ///< Of its service.
  bool watches = false;         ///< Somebody sees live updates.
  /// How long a service that has gone is waited for: as long as its restart takes.
  std::chrono::milliseconds absence{10'000};
  service_patience patience;

  remote_options() = default;
};

/// To a session that a service runs. A signal ends the link, and not the session.
///
/// What it stands at is read from the store beside the service, not taken from what the service
/// tells: that may hide what its clients are not to see, such as a field of a question's schema.
///
/// A service that goes away in the middle is waited for, and then the session is followed from the
/// number that was shown last. A command that may have been applied is not sent again, unless
/// repeating it changes nothing.
class remote_link final : public session_link {
public:
  /// Borrows the console, and what it reads beside the service: the store, or, for a session that
  /// lives on another node of a cluster, what the service has of it.
  remote_link(remote_options options, records& beside, console& out, session_id session);

  [[nodiscard]] result<halt> apply(command body) override;
  [[nodiscard]] result<halt> wake() override;
  [[nodiscard]] result<receipt> send(command body) override;
  [[nodiscard]] result<halt> follow() override;
  [[nodiscard]] result<pause_view> look() override;

private:
  /// What is asked of the service, and what is known of it.
  struct conversation {
    service_request request;
    bool is_command = false;    ///< Else it only wakes the session.
    bool is_repeatable = true;  ///< Sent twice it does no more than once.
    bool shows_receipt = false; ///< Once there is one.
    bool was_sent = false;      ///< All of it may have arrived.
    bool was_heard = false;     ///< Something came since the service was last waited for.
    std::optional<receipt> answer;
    caf::error broken; ///< Why it was broken off last.

    conversation() = default;
  };

  [[nodiscard]] conversation waking() const;
  [[nodiscard]] conversation commanding(const command& body) const;

  /// Has a conversation to its end, over as many connections as it takes.
  [[nodiscard]] result<halt> converse(conversation talk);
  /// Over one connection. Nothing: it broke.
  [[nodiscard]] result<std::optional<halt>> converse_once(conversation& talk);
  [[nodiscard]] result<std::optional<halt>> listen(conversation& talk, service_exchange& answer);
  [[nodiscard]] result<std::optional<halt>> handle(conversation& talk, const sse_event& next);
  [[nodiscard]] caf::error take_receipt(conversation& talk, const json& data);
  [[nodiscard]] result<std::optional<halt>> refuse(conversation& talk, caf::error refused,
                                                   bool was_sent_before) const;
  [[nodiscard]] caf::error pause();
  [[nodiscard]] bool wait_for_service(std::chrono::steady_clock::time_point until);
  void go_on_waking(conversation& talk);

  [[nodiscard]] caf::error give_up(const conversation& talk) const;
  [[nodiscard]] std::string known_of(const conversation& talk) const;
  [[nodiscard]] caf::error not_understood(const conversation& talk, const std::string& what) const;

  [[nodiscard]] caf::error show_chunk(const json& data);
  [[nodiscard]] caf::error show_recorded(std::uint64_t end);
  [[nodiscard]] caf::error add_live(const json& data);
  void show_live();

  remote_options options_;
  records& beside_;
  console& out_;
  session_id session_;
  session_view view_;
  live_feed::batch live_;                   ///< Not shown yet.
  std::uint64_t recorded_ = 0;              ///< Events that there were when this was made.
  std::optional<std::uint64_t> next_event_; ///< Nothing: none was shown, and none is missing.
  std::optional<pause_view> paused_;        ///< As it was when the service told of the pause.
};

} // namespace fermata::command_line
