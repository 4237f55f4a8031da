#include <fermata/actors/detail/coordinator.hpp>

namespace fermata::detail {

namespace {

answered_call as_agent_sees(const session_id& session, const call_record& call) {
  answered_call seen;
  seen.id = call_id{session, call.number};
  seen.tool = call.tool;
  seen.proposed = call.proposed_arguments.is_null() ? call.arguments : call.proposed_arguments;
  seen.ran = call.arguments;
  seen.answer = *call.answer;
  return seen;
}

} // namespace

std::unique_ptr<step_context> coordinator::make_context(const core::session_data& data) {
  const auto& plan = *data.active;
  const auto& subtask = data.running_subtask();
  auto context = std::make_unique<step_context>();
  context->session = data.head.id;
  context->goal = plan.record.goal;
  context->revision = plan.record.revision;
  context->subtask = data.running_spec();
  context->attempt = subtask.attempts;
  for (const auto& id : context->subtask.depends_on) {
    const auto& record = plan.subtasks()[plan.position(id)];
    dependency_result dependency;
    dependency.subtask = id;
    dependency.status = record.status;
    dependency.result = record.result;
    context->dependencies.push_back(std::move(dependency));
  }
  extend_transcript(data);
  context->transcript = transcript_;
  return context;
}

void coordinator::extend_transcript(const core::session_data& data) {
  const attempt due{data.active->record.revision, *data.head.running,
                    data.running_subtask().attempts};
  if (due != seen_) {
    seen_ = due;
    transcript_.clear();
  }
  // When a step is due, every call is answered: what is there already does not change any more.
  for (auto i = transcript_.size(); i < data.entries.size(); ++i) {
    const auto& entry = data.entries[i];
    auto& added = transcript_.emplace_back();
    added.text = entry.text;
    for (std::uint64_t number = entry.first_call; number < entry.first_call + entry.calls; ++number)
      added.calls.push_back(as_agent_sees(data.head.id, data.calls.at(number)));
  }
}

void coordinator::start(const core::session_data& data, const agent_registry& agents,
                        std::function<void(step_outcome)> done) {
  const auto& spec = data.running_spec();
  const auto* found = agents.find(spec.agent.empty() ? default_agent() : spec.agent);
  if (found == nullptr)
    return done(make_error(errc::unknown_agent,
                           "no agent is called " + spec.agent.str() + " in this runtime"));
  context_ = make_context(data);
  context_->self = self_;
  busy_ = true;
  try {
    // Made first: the callback takes `done`, which is needed here if there is no task.
    auto work = found->run(*context_);
    scope_.spawn(std::move(work), [this, done = std::move(done)](step_outcome outcome) {
      busy_ = false;
      context_.reset();
      done(std::move(outcome));
    });
  } catch (const std::exception& thrown) {
    // An agent that is no coroutine itself may throw before there is a frame.
    busy_ = false;
    context_.reset();
    done(make_error(errc::agent_failed, thrown.what()));
  } catch (...) {
    busy_ = false;
    context_.reset();
    done(make_error(errc::agent_failed, "it threw something that is not a std::exception"));
  }
}

void coordinator::cancel() {
  scope_.cancel_all();
  context_.reset();
  busy_ = false;
}

} // namespace fermata::detail
