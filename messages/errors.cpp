#include <fermata/messages/errors.hpp>

#include <caf/exit_reason.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace fermata {

std::string_view name_of(errc code) noexcept {
  switch (code) {
  case errc::invalid_json:
    return "invalid_json";
  case errc::invalid_field:
    return "invalid_field";
  case errc::invalid_id:
    return "invalid_id";
  case errc::limit_exceeded:
    return "limit_exceeded";
  case errc::empty_plan:
    return "empty_plan";
  case errc::duplicate_subtask:
    return "duplicate_subtask";
  case errc::unknown_dependency:
    return "unknown_dependency";
  case errc::self_dependency:
    return "self_dependency";
  case errc::dependency_cycle:
    return "dependency_cycle";
  case errc::unknown_agent:
    return "unknown_agent";
  case errc::unknown_tool:
    return "unknown_tool";
  case errc::invalid_arguments:
    return "invalid_arguments";
  case errc::unknown_session:
    return "unknown_session";
  case errc::unknown_subtask:
    return "unknown_subtask";
  case errc::unknown_call:
    return "unknown_call";
  case errc::unknown_approval:
    return "unknown_approval";
  case errc::session_busy:
    return "session_busy";
  case errc::not_allowed:
    return "not_allowed";
  case errc::not_approved:
    return "not_approved";
  case errc::already_answered:
    return "already_answered";
  case errc::already_decided:
    return "already_decided";
  case errc::superseded:
    return "superseded";
  case errc::stale_approval:
    return "stale_approval";
  case errc::unknown_chunk:
    return "unknown_chunk";
  case errc::invalid_answer:
    return "invalid_answer";
  case errc::denied_by_policy:
    return "denied_by_policy";
  case errc::unknown_decision:
    return "unknown_decision";
  case errc::agent_failed:
    return "agent_failed";
  case errc::tool_failed:
    return "tool_failed";
  case errc::outside_workspace:
    return "outside_workspace";
  case errc::tool_timed_out:
    return "tool_timed_out";
  case errc::tool_unavailable:
    return "tool_unavailable";
  case errc::model_failed:
    return "model_failed";
  case errc::deadline_passed:
    return "deadline_passed";
  case errc::overloaded:
    return "overloaded";
  case errc::shutting_down:
    return "shutting_down";
  case errc::timed_out:
    return "timed_out";
  case errc::node_unavailable:
    return "node_unavailable";
  case errc::peer_refused:
    return "peer_refused";
  case errc::cannot_listen:
    return "cannot_listen";
  case errc::other_store:
    return "other_store";
  case errc::store_busy:
    return "store_busy";
  case errc::store_unavailable:
    return "store_unavailable";
  case errc::store_corrupt:
    return "store_corrupt";
  case errc::store_too_new:
    return "store_too_new";
  case errc::disk_full:
    return "disk_full";
  case errc::io_error:
    return "io_error";
  case errc::conflict:
    return "conflict";
  case errc::internal:
    return "internal";
  }
  return "unknown";
}

std::string to_string(errc code) {
  return std::string{name_of(code)};
}

caf::error make_error(errc code, std::string message) {
  return caf::error{static_cast<std::uint8_t>(code), error_category,
                    caf::make_message(std::move(message))};
}

caf::error make_error(errc code) {
  return make_error(code, std::string{name_of(code)});
}

bool is(const caf::error& error, errc code) noexcept {
  return error && error.category() == error_category
         && error.code() == static_cast<std::uint8_t>(code);
}

errc code_of(const caf::error& error) noexcept {
  if (!error)
    return errc::internal;
  if (error.category() == error_category)
    return static_cast<errc>(error.code());
  if (error.category() == caf::atom("exit"))
    return errc::shutting_down;
  if (error.category() == caf::atom("system")) {
    switch (static_cast<caf::sec>(error.code())) {
    case caf::sec::request_timeout:
      return errc::timed_out;
    case caf::sec::request_receiver_down:
      return errc::shutting_down;
    default:
      return errc::internal;
    }
  }
  return errc::internal;
}

std::string message_of(const caf::error& error) {
  if (error && error.category() == error_category) {
    if (error.context().match_elements<std::string>())
      return error.context().get_as<std::string>(0);
    return std::string{name_of(code_of(error))};
  }
  return caf::to_string(error);
}

} // namespace fermata
