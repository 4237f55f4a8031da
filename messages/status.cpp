#include <fermata/messages/status.hpp>

namespace fermata::detail {

template struct struct_codec<waiting_counts>;
template struct struct_codec<plan_summary>;
template struct struct_codec<subtask_summary>;
template struct struct_codec<plan_progress>;
template struct struct_codec<session_status>;
template struct struct_codec<state_transition>;
template struct struct_codec<audit_entry>;
template struct struct_codec<pending_item>;
template struct struct_codec<armed_timer>;
template struct struct_codec<session_summary>;

} // namespace fermata::detail
