#include "http.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

namespace fermata::service {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  return lower;
}

/// Takes what comes before `separator` off the front.
std::string_view take_trimmed_until(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trimmed(part);
}

/// The weight that a media range's parameters give it, 0 to 1; one that cannot be read is 1.
double weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto one = take_trimmed_until(parameters, ';');
    if (!one.starts_with("q=") && !one.starts_with("Q="))
      continue;
    double weight = 1;
    std::from_chars(one.data() + 2, one.data() + one.size(), weight);
    return weight;
  }
  return 1;
}

/// How much a client wants a media type, and how it said so.
struct preference {
  double weight = 0;
  int specificity = -1; ///< Of the media range that decides: the most specific one that matches.
  std::size_t place = 0;

  preference() = default;

  void consider(int how_specific, double with_weight, std::size_t at) {
    if (how_specific <= specificity)
      return;
    specificity = how_specific;
    weight = with_weight;
    place = at;
  }
};

} // namespace

http_response json_response(const json& body) {
  http_response made;
  made.body = to_text(body);
  return made;
}

http_response error_response(unsigned status, std::string_view name, std::string_view message) {
  auto made = json_response({{"error", name}, {"message", message}});
  made.status = status;
  return made;
}

http_response error_response(const caf::error& error, const redactor& redaction) {
  auto made = json_response(error_object(error, redaction));
  made.status = http_status_of(code_of(error));
  if (made.status == 503)
    made.headers.emplace_back("Retry-After", "1");
  return made;
}

json error_object(const caf::error& error, const redactor& redaction) {
  return {{"error", name_of(code_of(error))}, {"message", redaction.text(message_of(error))}};
}

unsigned http_status_of(errc code) noexcept {
  switch (code) {
  case errc::invalid_json:
  case errc::invalid_field:
  case errc::invalid_id:
  case errc::empty_plan:
  case errc::duplicate_subtask:
  case errc::unknown_dependency:
  case errc::self_dependency:
  case errc::dependency_cycle:
  case errc::unknown_agent:
  case errc::unknown_tool:
  case errc::invalid_arguments:
    return 400;
  case errc::unknown_session:
  case errc::unknown_subtask:
  case errc::unknown_call:
  case errc::unknown_approval:
  case errc::unknown_chunk:
  case errc::unknown_decision:
    return 404;
  case errc::session_busy:
  case errc::not_allowed:
  case errc::not_approved:
  case errc::already_answered:
  case errc::already_decided:
  case errc::superseded:
  case errc::stale_approval:
  case errc::conflict:
    return 409;
  case errc::denied_by_policy:
    return 403;
  case errc::limit_exceeded:
  case errc::invalid_answer:
    return 422;
  case errc::overloaded:
  case errc::shutting_down:
  case errc::node_unavailable:
  case errc::peer_refused:
  case errc::other_store:
  case errc::store_busy:
  case errc::store_unavailable:
    return 503;
  case errc::timed_out:
    return 504;
  case errc::disk_full:
    return 507;
  default:
    return 500;
  }
}

answer_form preferred_form(std::string_view accept) {
  if (trimmed(accept).empty())
    return answer_form::events;
  preference events;
  preference receipt;
  for (std::size_t place = 0; !accept.empty(); ++place) {
    auto parameters = take_trimmed_until(accept, ',');
    const auto range = lower_case(take_trimmed_until(parameters, ';'));
    const auto weight = weight_of(parameters);
    if (range == "*/*") {
      events.consider(0, weight, place);
      receipt.consider(0, weight, place);
    } else if (range == "text/*" || range == "text/event-stream") {
      events.consider(range == "text/*" ? 1 : 2, weight, place);
    } else if (range == "application/*" || range == "application/json") {
      receipt.consider(range == "application/*" ? 1 : 2, weight, place);
    }
  }
  if (events.weight <= 0 && receipt.weight <= 0)
    return answer_form::neither;
  if (events.weight != receipt.weight)
    return events.weight > receipt.weight ? answer_form::events : answer_form::receipt;
  if (events.specificity != receipt.specificity)
    return events.specificity > receipt.specificity ? answer_form::events : answer_form::receipt;
  return receipt.place < events.place ? answer_form::receipt : answer_form::events;
}

bool is_json(std::string_view content_type) {
  return lower_case(take_trimmed_until(content_type, ';')) == "application/json";
}

} // namespace fermata::service
