#include <fermata/actors/detail/tool_worker.hpp>

#include <fermata/actors/detail/local_messages.hpp>

#include <caf/send.hpp>

namespace fermata::detail {

namespace {

template <class Body>
void deliver(const caf::actor& directory, const session_id& session, Body body) {
  auto message = std::make_shared<delivery>();
  message->session = session;
  message->body = std::move(body);
  caf::anon_send(directory, std::move(message));
}

/// A run has ended. Called on any thread.
void report(const services_ptr& shared, const caf::actor& directory, const run_request& run,
            result<json> outcome) {
  const auto next = shared->workers.finish(run.context.call, std::move(outcome));
  run_finished finished;
  finished.call = run.context.call.number();
  finished.run = run.run;
  deliver(directory, run.context.call.session(), finished);
  if (next)
    deliver(directory, *next, worker_freed{});
}

result<json> run_blocking(const blocking_tool& function, const tool_context& context) {
  try {
    return function(context);
  } catch (const std::exception& thrown) {
    return make_error(errc::tool_failed, std::string{"the tool threw: "} + thrown.what());
  } catch (...) {
    return make_error(errc::tool_failed, "the tool threw something that is not a std::exception");
  }
}

void start(caf::stateful_actor<tool_worker_state>* self, const services_ptr& shared,
           const caf::actor& directory, const run_ptr& run) {
  run->context.stop = shared->workers.stop_token(run->context.call);
  if (const auto* blocking = std::get_if<blocking_tool>(&run->what->run)) {
    shared->options.pool->post(
        [=] { report(shared, directory, *run, run_blocking(*blocking, run->context)); });
    return;
  }
  const auto& coroutine = std::get<coroutine_tool>(run->what->run);
  try {
    // `run` is kept by the callback, so the context outlives the task.
    self->state.scope.spawn(coroutine(self, run->context), [=](caf::expected<json> outcome) {
      if (outcome)
        report(shared, directory, *run, std::move(*outcome));
      else if (outcome.error().category() == error_category)
        report(shared, directory, *run, std::move(outcome.error()));
      else
        report(shared, directory, *run, make_error(errc::tool_failed, message_of(outcome.error())));
    });
  } catch (const std::exception& thrown) {
    report(shared, directory, *run,
           make_error(errc::tool_failed, std::string{"the tool threw: "} + thrown.what()));
  } catch (...) {
    report(shared, directory, *run,
           make_error(errc::tool_failed, "the tool threw something that is not a std::exception"));
  }
}

} // namespace

caf::behavior tool_worker(caf::stateful_actor<tool_worker_state>* self, services_ptr shared,
                          caf::actor directory) {
  return {
      [=](const run_ptr& run) { start(self, shared, directory, run); },
      [=](atoms::stop_atom) { self->quit(); },
  };
}

} // namespace fermata::detail
