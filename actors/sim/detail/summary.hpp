#pragma once

#include <fermata/actors/cluster/slots.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>

#include <string>

namespace fermata::sim::detail {

/// For traces: the type, and of the rest what tells one from another: `call_answered c3 succeeded`.
[[nodiscard]] std::string summary(const event_body& of);
[[nodiscard]] std::string summary(const command& of);
[[nodiscard]] std::string summary(const slot_report& of);

} // namespace fermata::sim::detail
