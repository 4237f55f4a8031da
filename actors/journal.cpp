#include <fermata/actors/detail/journal.hpp>

namespace fermata::detail {

namespace {

/// A batch ends here even if more is waiting: the first of it should not wait for ever.
constexpr std::size_t max_batch = 1024;

void flush(caf::stateful_actor<journal_state>* self, store& to) {
  auto batch = std::exchange(self->state.batch, {});
  if (batch.empty())
    return;
  std::vector<commit> commits;
  commits.reserve(batch.size());
  for (auto& one : batch)
    commits.push_back(std::move(one->body));
  auto outcomes = to.write(commits);
  for (std::size_t i = 0; i < batch.size(); ++i)
    self->send(batch[i]->session, std::make_shared<commit_outcome>(std::move(outcomes[i])));
}

} // namespace

caf::behavior journal(caf::stateful_actor<journal_state>* self, std::shared_ptr<store> to) {
  return {
      [self, to](append_ptr& one) {
        auto& batch = self->state.batch;
        batch.push_back(std::move(one));
        // The flush queues up behind the appends that are there already, so that they share its
        // transaction.
        if (batch.size() == 1)
          self->send(self, atoms::flush_atom_v);
        else if (batch.size() == max_batch)
          flush(self, *to);
      },
      [self, to](atoms::flush_atom) { flush(self, *to); },
      [self, to](atoms::stop_atom) {
        flush(self, *to);
        self->quit();
      },
  };
}

} // namespace fermata::detail
