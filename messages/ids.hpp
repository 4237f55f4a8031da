#pragma once

#include <fermata/messages/errors.hpp>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fermata {

/// The longest session id, subtask id and agent or tool name, in bytes.
inline constexpr std::size_t max_id_size_bytes = 64;

/// Checks the text of an id: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with `.` or `-`. Such
/// ids are safe in paths, URLs, shells and terminals, and leave `:` free as a separator. Errors:
/// `invalid_id`, naming `what`.
[[nodiscard]] caf::error check_id(std::string_view what, std::string_view text);

/// A textual id of one kind. Ids of different kinds do not compare or convert.
template <class Tag>
class id {
public:
  id() = default;

  /// Parses an id. Errors: `invalid_id`.
  [[nodiscard]] static result<id> parse(std::string_view text) {
    if (auto error = check_id(Tag::what, text))
      return error;
    id parsed;
    parsed.value_ = text;
    return parsed;
  }

  [[nodiscard]] const std::string& str() const noexcept { return value_; }
  [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

  friend auto operator<=>(const id&, const id&) = default;

private:
  std::string value_;
};

struct session_id_tag {
  static constexpr std::string_view what = "session id";
};
struct subtask_id_tag {
  static constexpr std::string_view what = "subtask id";
};
struct agent_name_tag {
  static constexpr std::string_view what = "agent name";
};
struct tool_name_tag {
  static constexpr std::string_view what = "tool name";
};
struct node_name_tag {
  static constexpr std::string_view what = "node name";
};

/// Names a session: chosen by the host, or generated.
using session_id = id<session_id_tag>;
/// Names a subtask within its plan.
using subtask_id = id<subtask_id_tag>;
/// Names an agent.
using agent_name = id<agent_name_tag>;
/// Names a tool.
using tool_name = id<tool_name_tag>;
/// Names a node of a cluster, or the cluster.
using node_name = id<node_name_tag>;

/// Names one tool call: the `number`-th of its session, counted from 1. Derived, not random, so the
/// same history gives the same ids. Its text is `<session>:c<number>`.
class call_id {
public:
  call_id() = default;
  call_id(session_id session, std::uint64_t number)
      : session_{std::move(session)}, number_{number} {}

  /// Errors: `invalid_id`.
  [[nodiscard]] static result<call_id> parse(std::string_view text);

  [[nodiscard]] const session_id& session() const noexcept { return session_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::string str() const;

  friend auto operator<=>(const call_id&, const call_id&) = default;

private:
  session_id session_;
  std::uint64_t number_ = 0;
};

/// Names one revision of a session's plan as a thing to decide on. Revisions count from 1 over the
/// whole life of a session. Its text is `<session>:p<revision>`.
class plan_id {
public:
  plan_id() = default;
  plan_id(session_id session, std::uint32_t revision)
      : session_{std::move(session)}, revision_{revision} {}

  /// Errors: `invalid_id`.
  [[nodiscard]] static result<plan_id> parse(std::string_view text);

  [[nodiscard]] const session_id& session() const noexcept { return session_; }
  [[nodiscard]] std::uint32_t revision() const noexcept { return revision_; }
  [[nodiscard]] std::string str() const;

  friend auto operator<=>(const plan_id&, const plan_id&) = default;

private:
  session_id session_;
  std::uint32_t revision_ = 0;
};

} // namespace fermata

template <class Tag>
struct std::hash<fermata::id<Tag>> {
  std::size_t operator()(const fermata::id<Tag>& value) const noexcept {
    return std::hash<std::string>{}(value.str());
  }
};
