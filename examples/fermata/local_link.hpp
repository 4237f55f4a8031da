#pragma once

#include "console.hpp"
#include "host.hpp"
#include "session_link.hpp"
#include "session_view.hpp"

namespace fermata::command_line {

/// To a session that this process runs. A signal stops the runtime, and the session with it.
class local_link final : public session_link {
public:
  /// Borrows all it is given. What happened before is not shown again.
  local_link(host& owner, console& out, session_id session);

  [[nodiscard]] result<halt> apply(command body) override;
  [[nodiscard]] result<halt> wake() override;
  [[nodiscard]] result<receipt> send(command body) override;
  [[nodiscard]] result<halt> follow() override;
  [[nodiscard]] result<pause_view> look() override;

private:
  [[nodiscard]] result<receipt> await(std::future<result<receipt>> sent);
  [[nodiscard]] result<halt> begin(std::future<result<receipt>> sent);
  [[nodiscard]] result<halt> run_until_pause(event_stream& events);

  host& host_;
  console& out_;
  session_handle session_;
  session_view view_;
  std::uint64_t next_event_ = 1;
};

} // namespace fermata::command_line
