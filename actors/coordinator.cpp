#include <fermata/actors/detail/coordinator.hpp>

#include <fermata/actors/core/call_rules.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace fermata::detail {

namespace {

answered_call as_agent_sees(const session_id& session, const call_record& call) {
  answered_call seen;
  seen.id = call_id{session, call.number};
  seen.tool = call.tool;
  seen.proposed = call.proposed_arguments.is_null() ? call.arguments : call.proposed_arguments;
  seen.ran = call.arguments;
  seen.answer = *call.answer;
  seen.by_person = call.verdict == call_verdict::respond || call.kind == tool_kind::person;
  return seen;
}

} // namespace

std::unique_ptr<step_context> coordinator::make_context(const core::session_data& data,
                                                        timestamp now) {
  const auto& plan = *data.active;
  const auto& subtask = data.running_subtask();
  spec_ = plan.share_spec(*data.head.running);
  auto context = std::make_unique<step_context>(*spec_);
  context->session = data.head.id;
  context->goal = plan.record.goal;
  context->revision = plan.record.revision;
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
  context->earlier_messages = memory_->messages;
  context->transcript = memory_->transcript;
  context->now = now;
  context->tools = &shared_->tools;
  context->declared_tools = &memory_->declared_tools;
  context->models = &shared_->models;
  context->show_text = [shared = shared_, session = data.head.id, id = data.running_spec().id,
                        committed = committed_](std::string_view part) {
    if (!shared->is_watched(session))
      return;
    live_update update;
    update.session = session;
    update.subtask = id;
    update.content = std::string{part};
    update.after = *committed;
    shared->show(update);
  };
  context->self = self_;
  return context;
}

void coordinator::extend_transcript(const core::session_data& data) {
  if (const auto due = data.running_subtask().started; due != memory_->started) {
    memory_->started = due;
    memory_->transcript.clear();
    memory_->messages.clear();
    std::copy_if(data.messages.begin(), data.messages.end(), std::back_inserter(memory_->messages),
                 [&](const message_record& message) {
                   return message.number <= data.running_subtask().messages_before;
                 });
  }
  if (const auto revision = data.active->record.revision; revision != memory_->revision) {
    memory_->revision = revision;
    memory_->declared_tools = data.active->record.tools;
  }
  // When a step is due, every call is answered: what is there already does not change any more.
  for (auto i = memory_->transcript.size(); i < data.entries.size(); ++i) {
    const auto& entry = data.entries[i];
    auto& added = memory_->transcript.emplace_back();
    added.source = entry.source;
    added.text = entry.text;
    added.until = entry.until;
    for (std::uint64_t number = entry.first_call; number < entry.first_call + entry.calls; ++number)
      added.calls.push_back(as_agent_sees(data.head.id, data.calls.at(number)));
  }
}

void coordinator::forget_transcript() noexcept {
  memory_.reset();
}

void coordinator::start(const core::session_data& data, timestamp now,
                        std::function<void(step_outcome)> done) {
  if (!memory_)
    memory_.emplace();
  memory_->agent = core::current_agent(data);
  const auto* found = shared_->agents.find(memory_->agent);
  memory_->subtask = data.running_spec().id;
  usage_ = {};
  begin_ = shared_->observed_now();
  if (found == nullptr) {
    memory_->started = data.running_subtask().started;
    observe_end(data.head.id, step_ending::failed);
    return done(make_error(errc::unknown_agent,
                           "no agent is called " + memory_->agent.str() + " in this runtime"));
  }
  context_ = make_context(data, now);
  busy_ = true;
  try {
    // Made first: the callback takes `done`, which is needed here if there is no task.
    auto work = found->run(*context_);
    scope_.spawn(std::move(work), [this, done = std::move(done)](step_outcome outcome) {
      end(outcome ? step_ending::returned : step_ending::failed);
      done(std::move(outcome));
    });
  } catch (const std::exception& thrown) {
    // An agent that is no coroutine itself may throw before there is a frame.
    end(step_ending::failed);
    done(make_error(errc::agent_failed, thrown.what()));
  } catch (...) {
    end(step_ending::failed);
    done(make_error(errc::agent_failed, "it threw something that is not a std::exception"));
  }
}

model_usage coordinator::take_usage() noexcept {
  return std::exchange(context_ ? context_->usage : usage_, {});
}

void coordinator::cancel() {
  scope_.cancel_all();
  if (context_)
    void_shown_text(context_->session, context_->subtask.id);
  end(step_ending::cancelled);
}

void coordinator::void_shown_text(const session_id& session, const subtask_id& subtask) const {
  live_update update;
  update.session = session;
  update.subtask = subtask;
  update.kind = live_kind::restarted;
  update.after = *committed_;
  shared_->show(update);
}

void coordinator::end(step_ending ending) {
  busy_ = false;
  if (!context_)
    return;
  usage_ = context_->usage;
  observe_end(context_->session, ending);
  context_.reset();
  spec_.reset();
}

void coordinator::observe_end(const session_id& session, step_ending ending) const {
  shared_->observe([&](auto& observer) {
    observer.step_ended(
        {session, memory_->subtask, memory_->agent, ending, shared_->observed_since(begin_)});
  });
}

} // namespace fermata::detail
