#include "bare_loop.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace fermata::bench {

namespace {

using caf::flush_atom;
using caf::ok_atom;

/// What the actors of one run share.
struct course {
  plain_lmdb* writes = nullptr;
  std::vector<caf::actor> sessions;
  std::span<const commit_shape> shapes;
  std::size_t written = 0; ///< Of the shapes; the journal's.
  std::mutex mutex;
  std::condition_variable done;
  std::size_t started = 0;
  std::size_t answered = 0;
  std::exception_ptr failed;

  /// The next resume is about to begin; nothing: all have begun.
  std::optional<std::uint64_t> begin_next() {
    const std::lock_guard lock{mutex};
    return started == shapes.size() ? std::nullopt : std::optional{started++ % sessions.size()};
  }
};

struct journal_state {
  std::vector<caf::actor> batch;
};

caf::behavior bare_journal(caf::stateful_actor<journal_state>* self, course* of) {
  return {
      [self](const caf::actor& session) {
        self->state.batch.push_back(session);
        if (self->state.batch.size() == 1)
          self->send(self, flush_atom::value);
      },
      [self, of](flush_atom) {
        const auto batch = std::exchange(self->state.batch, {});
        try {
          of->writes->write(of->shapes.subspan(of->written, batch.size()), of->written,
                            of->sessions.size());
        } catch (const std::exception&) {
          const std::lock_guard lock{of->mutex};
          of->failed = std::current_exception();
          return of->done.notify_all();
        }
        of->written += batch.size();
        for (const auto& session : batch)
          self->send(session, ok_atom::value);
      },
  };
}

caf::behavior bare_directory(caf::event_based_actor* self, course* of) {
  return {[self, of](std::uint64_t which) { self->send(of->sessions[which], which); }};
}

caf::behavior bare_session(caf::event_based_actor* self, course* of, caf::actor directory,
                           caf::actor journal) {
  return {
      [self, journal](std::uint64_t) { self->send(journal, caf::actor_cast<caf::actor>(self)); },
      [of, directory](ok_atom) {
        if (const auto next = of->begin_next())
          caf::anon_send(directory, *next);
        const std::lock_guard lock{of->mutex};
        if (++of->answered == of->shapes.size())
          of->done.notify_all();
      },
  };
}

} // namespace

class bare_loop::loop {
public:
  loop(plain_lmdb& writes, std::size_t sessions) : system_{as_runtime(config_)} {
    course_.writes = &writes;
    journal_ = system_.spawn<caf::detached>(bare_journal, &course_);
    directory_ = system_.spawn(bare_directory, &course_);
    for (std::size_t i = 0; i < sessions; ++i)
      course_.sessions.push_back(system_.spawn(bare_session, &course_, directory_, journal_));
  }

  ~loop() {
    for (const auto& session : course_.sessions)
      caf::anon_send_exit(session, caf::exit_reason::kill);
    caf::anon_send_exit(directory_, caf::exit_reason::kill);
    caf::anon_send_exit(journal_, caf::exit_reason::kill);
    system_.await_all_actors_done();
  }

  effort run(std::span<const commit_shape> shapes) {
    const auto begin = clock_type::now();
    const auto used = processor_time();
    course_.shapes = shapes;
    course_.written = course_.answered = 0;
    // Before the first can be answered, and begin another.
    const auto at_once = std::min(shapes.size(), course_.sessions.size());
    course_.started = at_once;
    for (std::uint64_t which = 0; which < at_once; ++which)
      caf::anon_send(directory_, which);
    std::unique_lock lock{course_.mutex};
    course_.done.wait(lock, [&] { return course_.answered == shapes.size() || course_.failed; });
    if (course_.failed)
      std::rethrow_exception(course_.failed);
    return {seconds_since(begin), processor_time() - used};
  }

private:
  /// What a runtime sets.
  static caf::actor_system_config& as_runtime(caf::actor_system_config& config) {
    config.set("scheduler.policy", caf::atom("sharing"));
    return config;
  }

  caf::actor_system_config config_;
  caf::actor_system system_;
  course course_;
  caf::actor journal_;
  caf::actor directory_;
};

bare_loop::bare_loop(plain_lmdb& writes, std::size_t sessions)
    : loop_{std::make_unique<loop>(writes, sessions)} {}

bare_loop::~bare_loop() = default;

effort bare_loop::run(std::span<const commit_shape> shapes) {
  return loop_->run(shapes);
}

} // namespace fermata::bench
