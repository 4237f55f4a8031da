#include <fermata/messages/chunk.hpp>

namespace fermata {

namespace {

struct kind_visitor {
  chunk_kind operator()(const session_created&) const { return chunk_kind::status; }
  chunk_kind operator()(const session_activated&) const { return chunk_kind::status; }
  chunk_kind operator()(const state_changed&) const { return chunk_kind::status; }
  chunk_kind operator()(const plan_proposed&) const { return chunk_kind::plan; }
  chunk_kind operator()(const plan_started&) const { return chunk_kind::plan; }
  chunk_kind operator()(const plan_ended&) const { return chunk_kind::completion; }
  chunk_kind operator()(const plan_decided&) const { return chunk_kind::approval; }
  chunk_kind operator()(const call_decided&) const { return chunk_kind::approval; }
  chunk_kind operator()(const call_asked_again&) const { return chunk_kind::approval; }
  chunk_kind operator()(const subtask_started&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_finished&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_failed&) const { return chunk_kind::error; }
  chunk_kind operator()(const subtask_blocked&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_unblocked&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_retried&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_skipped&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const step_restarted&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const agent_said&) const { return chunk_kind::text; }
  chunk_kind operator()(const decision_remembered&) const { return chunk_kind::approval; }
  chunk_kind operator()(const decision_forgotten&) const { return chunk_kind::approval; }
  chunk_kind operator()(const call_proposed& fact) const {
    if (fact.status == call_status::awaiting_answer)
      return chunk_kind::input;
    return fact.status == call_status::awaiting_decision ? chunk_kind::approval : chunk_kind::call;
  }
  chunk_kind operator()(const call_claimed&) const { return chunk_kind::call; }
  chunk_kind operator()(const call_answered&) const { return chunk_kind::call; }
  chunk_kind operator()(const outcome_unknown&) const { return chunk_kind::call; }
  chunk_kind operator()(const outcome_resolved&) const { return chunk_kind::call; }
  chunk_kind operator()(const late_result&) const { return chunk_kind::call; }
  chunk_kind operator()(const call_backed_off&) const { return chunk_kind::call; }
  chunk_kind operator()(const call_requeued&) const { return chunk_kind::call; }
  chunk_kind operator()(const session_suspended&) const { return chunk_kind::status; }
  chunk_kind operator()(const session_deleted&) const { return chunk_kind::status; }
  chunk_kind operator()(const history_trimmed&) const { return chunk_kind::status; }
  chunk_kind operator()(const deletion_scheduled&) const { return chunk_kind::status; }
  chunk_kind operator()(const session_resumed&) const { return chunk_kind::status; }
  chunk_kind operator()(const deadline_set&) const { return chunk_kind::status; }
  chunk_kind operator()(const model_used&) const { return chunk_kind::status; }
  chunk_kind operator()(const subtask_cancelled&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_slept&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_woke&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const subtask_handed_over&) const { return chunk_kind::subtask; }
  chunk_kind operator()(const proposal_refused&) const { return chunk_kind::error; }
  chunk_kind operator()(const message_received&) const { return chunk_kind::text; }
};

} // namespace

chunk_kind kind_of(const event_body& body) {
  return std::visit(kind_visitor{}, body);
}

chunk::chunk(session_id of, event fact)
    : session{std::move(of)}, number{fact.number}, at{fact.at}, kind{kind_of(fact.body)},
      body{std::move(fact.body)} {}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<chunk>;
template struct struct_codec<follow_chunks>;
template struct struct_codec<unfollow_chunks>;
template struct struct_codec<chunk_batch>;
template struct struct_codec<status_query>;

} // namespace fermata::detail
