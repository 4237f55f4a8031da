#pragma once

#include <fermata/actors/core/session_data.hpp>

namespace fermata::core {

/// Changes the data by one fact, and notes which records it changed. Total: an event that `decide`
/// or `advance` made for this data always applies.
void apply(session_data& data, event fact);

} // namespace fermata::core
