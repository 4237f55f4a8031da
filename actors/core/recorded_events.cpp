#include <fermata/actors/core/recorded_events.hpp>

namespace fermata::core {

/// They cannot be applied later, as they do not say all, or as events that are needed go with them;
/// or a record would have to be kept in memory for no other reason.
bool needs_records(const event_body& body) {
  return std::holds_alternative<plan_proposed>(body)
         || std::holds_alternative<history_trimmed>(body)
         || std::holds_alternative<message_received>(body)
         || std::holds_alternative<decision_forgotten>(body)
         || std::holds_alternative<late_result>(body);
}

void recorded_events::add(const event& fact) {
  constexpr std::size_t usual_events = 8; // of most transactions at most
  if (encoded_.empty())
    encoded_.reserve(usual_events);
  encoded_.push_back(to_record(fact));
  needs_records_ = needs_records_ || core::needs_records(fact.body);
  ends_plan_ = ends_plan_ || std::holds_alternative<plan_ended>(fact.body);
  schedules_deletion_ =
      schedules_deletion_ || std::holds_alternative<deletion_scheduled>(fact.body);
  if (const auto* trimmed = std::get_if<history_trimmed>(&fact.body))
    drops_events_below_ = trimmed->first_event;
}

} // namespace fermata::core
