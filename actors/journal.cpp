#include <fermata/actors/detail/journal.hpp>

#include <algorithm>

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

std::vector<commit_outcome> write(services& shared, transaction_costs& costs,
                                  std::span<const commit> commits) {
  const auto begin = shared.options.clock->steady();
  auto outcomes = shared.store().write(commits);
  const auto duration = shared.options.clock->steady() - begin;
  costs.observe(commits.size(), duration);
  // While one transaction is being written, the next one fills up.
  shared.turns.set_limit(
      std::min(2 * costs.worthwhile_commits(), shared.options.limits.commands_at_once));
  shared.observe([&](auto& observer) {
    auto what = describe(commits, outcomes);
    what.duration = duration;
    observer.written(what);
  });
  return outcomes;
}

void flush(caf::stateful_actor<journal_state>* self, services& shared) {
  auto batch = std::exchange(self->state.batch, {});
  if (batch.empty())
    return;
  std::vector<commit> commits;
  commits.reserve(batch.size());
  for (auto& one : batch)
    commits.push_back(std::move(one->body));
  auto outcomes = write(shared, self->state.costs, commits);
  for (std::size_t i = 0; i < batch.size(); ++i)
    self->send(batch[i]->session, std::make_shared<commit_outcome>(std::move(outcomes[i])));
}

} // namespace

caf::behavior journal(caf::stateful_actor<journal_state>* self, services_ptr shared) {
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
      [self, shared](atoms::stop_atom) {
        flush(self, *shared);
        self->quit();
      },
  };
}

} // namespace fermata::detail
