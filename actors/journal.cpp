#include <fermata/actors/detail/journal.hpp>

#include <algorithm>
#include <utility>

namespace fermata::detail {

namespace {

/// A batch ends here even if more is waiting: the first of it should not wait for ever.
constexpr std::size_t max_batch = 1024;

std::size_t size_of(const commit& one) {
  std::size_t size_bytes = 0;
  for (const auto& event : one.events)
    size_bytes += event.size();
  for (const auto& record : one.records)
    size_bytes += record.value ? record.value->size() : 0;
  for (const auto& entry : one.pending)
    size_bytes += entry.value ? entry.value->size() : 0;
  return size_bytes;
}

written_transaction describe(std::span<const commit> commits,
                             std::span<const commit_outcome> outcomes) {
  written_transaction what;
  what.commits = commits.size();
  for (const auto& one : commits) {
    what.events += one.events.size();
    what.size_bytes += size_of(one);
  }
  for (const auto& outcome : outcomes)
    if (outcome.error && what.failed++ == 0)
      what.error = outcome.error;
  return what;
}

std::vector<commit_outcome> write(services& shared, transaction_pace& pace,
                                  std::span<const commit> commits) {
  const auto begin = shared.options.clock->steady();
  auto outcomes = shared.store().write(commits);
  const auto duration = shared.options.clock->steady() - begin;
  pace.observe(commits.size(), begin, duration);
  // While one transaction is being written, the next one fills up.
  shared.turns.set_limit(
      std::min(2 * pace.worthwhile_commits(), shared.options.limits.commands_at_once));
  shared.observe([&](auto& observer) {
    auto what = describe(commits, outcomes);
    what.duration = duration;
    observer.written(what);
  });
  return outcomes;
}

/// How much a step of reclaiming looks at at least, and after how many batches there is one
/// although others are waiting; it looks at more than was written since, or garbage would only
/// grow.
constexpr std::size_t reclaimed_at_once = 256;
constexpr unsigned batches_between_steps = 16;

/// Gives some space free. What fails, or is damaged, is tried again after some batches: a disk that
/// is full does not become less so by trying.
void reclaim(caf::stateful_actor<journal_state>* self, services& shared) {
  auto& state = self->state;
  state.batches_since_step = 0;
  const auto written = std::exchange(state.written_since_step, 0);
  auto step = shared.store().reclaim(std::max(reclaimed_at_once, 2 * written));
  state.failed = !step || (step->damage && !step->more);
  state.garbage = !step || step->more || step->damage;
  caf::error news; // of damage, which is told while it is another one than before
  if (step && (step->damage || !step->more)) {
    auto met = message_of(step->damage);
    if (met != state.damage)
      news = step->damage;
    state.damage = std::move(met);
  }
  shared.observe([&](auto& observer) {
    reclaimed_space what;
    what.more = !step || step->more;
    what.error = step ? news : step.error();
    if (step)
      what.erased = step->erased;
    observer.reclaimed(what);
  });
  if (step && step->more && !std::exchange(state.looks, true))
    self->send(self, atoms::reclaim_atom_v);
}

/// What these commits mean for the garbage.
void note_garbage(journal_state& state, std::span<const commit> commits) {
  for (const auto& one : commits)
    if (one.deletes_session || one.drops_events_below > 0) {
      state.garbage = true;
      state.failed = false; // there is more than what could not be erased
    }
  if (state.garbage)
    for (const auto& one : commits)
      state.written_since_step += 1 + one.records.size();
}

/// After each batch.
void make_reclaiming_due(caf::stateful_actor<journal_state>* self, services& shared) {
  auto& state = self->state;
  if (!state.garbage)
    return;
  if (++state.batches_since_step >= batches_between_steps)
    reclaim(self, shared);
  else if (!state.failed && !std::exchange(state.looks, true))
    self->send(self, atoms::reclaim_atom_v);
}

void flush(caf::stateful_actor<journal_state>* self, services& shared) {
  auto batch = std::exchange(self->state.batch, {});
  if (batch.empty())
    return;
  std::vector<commit> commits;
  commits.reserve(batch.size());
  for (auto& one : batch)
    commits.push_back(std::move(one->body));
  auto outcomes = write(shared, self->state.pace, commits);
  note_garbage(self->state, commits);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto to = std::exchange(batch[i]->session, {});
    batch[i]->body = std::move(commits[i]);
    batch[i]->outcome = std::move(outcomes[i]);
    self->send(to, std::move(batch[i]));
  }
  make_reclaiming_due(self, shared);
}

} // namespace

caf::behavior journal(caf::stateful_actor<journal_state>* self, services_ptr shared) {
  // What an earlier process has left: looked at, without a message where there is none.
  if (const auto left = shared->store().reclaim(0); left && left->more) {
    self->state.garbage = self->state.looks = true;
    self->send(self, atoms::reclaim_atom_v);
  }
  return {
      [self, shared](append_ptr& one) {
        auto& batch = self->state.batch;
        batch.push_back(std::move(one));
        // The flush queues up behind the appends that are there already, so that they share its
        // transaction.
        if (batch.size() == 1)
          self->send(self, atoms::flush_atom_v);
        else if (batch.size() == max_batch)
          flush(self, *shared);
      },
      [self, shared](atoms::flush_atom) { flush(self, *shared); },
      [self, shared](atoms::reclaim_atom) {
        self->state.looks = false;
        // Where something is waiting, its flush sees to it.
        if (self->state.batch.empty() && self->state.garbage)
          reclaim(self, *shared);
      },
      [self](const sessions_arrived&) {
        // Another node may have died before it reclaimed what it had deleted.
        self->state.garbage = true;
        if (!std::exchange(self->state.looks, true))
          self->send(self, atoms::reclaim_atom_v);
      },
      [self, shared](atoms::stop_atom) {
        flush(self, *shared);
        self->quit();
      },
  };
}

} // namespace fermata::detail
