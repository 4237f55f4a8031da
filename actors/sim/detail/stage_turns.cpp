#include <fermata/actors/sim/detail/stage.hpp>

#include <algorithm>

namespace fermata::sim::detail {

namespace {

/// How long a turn takes on a slow node, and a commit on a slow disk, at most.
constexpr milliseconds slowest_turn{100};
constexpr milliseconds slowest_commit{30'000};

/// Now and then an actor is starved for some turns: for so many at most, in one turn of so many.
constexpr std::uint64_t longest_starvation = 16;
constexpr std::uint64_t starvation_rarity = 128;

/// So many turns without the passing of time are a circle that nobody leaves.
constexpr std::uint64_t most_turns_at_once = 1'000'000;

} // namespace

void stage::find_choices() {
  choices.clear();
  for (auto& one : nodes)
    if (one->process && one->frozen_until <= elapsed && one->next_turn <= elapsed)
      find_choices(*one);
  if (!is_cluster())
    return;
  const auto deliverable = links.ready(network_time());
  for (std::size_t i = 0; i < deliverable; ++i)
    choices.push_back({nullptr, i, turn_of::network});
}

void stage::find_choices(simulated_node& at) {
  const auto waiting = journal_waits(at) ? at.process->place_of_journal() : std::nullopt;
  for (std::size_t i = 0; i < at.process->ready_actors(); ++i)
    if (i != waiting)
      choices.push_back({&at, i, turn_of::actor});
  if (at.tools_held || at.tools_hang_until > elapsed)
    return;
  for (std::size_t i = 0; i < at.process->ready_functions(); ++i)
    choices.push_back({&at, i, turn_of::function});
}

bool stage::journal_waits(simulated_node& at) {
  if (at.slow_commits_until <= elapsed || !at.process->place_of_journal()) {
    at.commit_due.reset();
    return false;
  }
  if (!at.commit_due) {
    at.commit_due = elapsed + schedule.between(milliseconds{1}, slowest_commit);
    pending_news.push_back(hit{&at, fault_kind::slow_commits, false});
  }
  return *at.commit_due > elapsed;
}

const choice& stage::choose() {
  if (!random_schedule)
    return choices.front();
  auto index = schedule.below(choices.size());
  if (schedule.below(starvation_rarity) == 0)
    starve(choices[index]);
  if (steps < starved_until && choices.size() > 1 && is_starved(choices[index]))
    index = (index + 1) % choices.size();
  return choices[index];
}

void stage::starve(const choice& one) {
  if (one.what != turn_of::actor)
    return;
  starved_node = one.at;
  starved_actor = one.at->process->id_of(one.which);
  starved_until = steps + 1 + schedule.below(longest_starvation);
}

bool stage::is_starved(const choice& one) const {
  return one.what == turn_of::actor && one.at == starved_node
         && one.at->process->id_of(one.which) == starved_actor;
}

bool stage::turn() {
  find_choices();
  if (choices.empty())
    return false;
  const auto chosen = choose();
  ++steps;
  count_turn();
  if (chosen.what == turn_of::network)
    links.deliver(chosen.which);
  else
    take_turn(*chosen.at, chosen);
  tell_news();
  if (chosen.at != nullptr && chosen.at->process && chosen.at->store->crashed()) {
    kill(*chosen.at);
    bring_up_after(*chosen.at, chosen.at->options.restart_after);
  }
  strike_between_turns();
  check_invariants();
  throw_if_broken();
  return true;
}

void stage::take_turn(simulated_node& at, const choice& chosen) {
  if (chosen.what == turn_of::actor && at.process->place_of_journal() == chosen.which)
    at.commit_due.reset(); // its next turn is slow by itself
  if (chosen.what == turn_of::function)
    at.process->run_function(chosen.which);
  else
    at.process->run_actor(chosen.which);
  if (at.slow_until > elapsed)
    at.next_turn = elapsed + schedule.between(milliseconds{0}, slowest_turn);
}

void stage::count_turn() {
  if (++turns_at_once == most_turns_at_once)
    self.report(violation{"P6", std::to_string(most_turns_at_once)
                                    + " turns were taken, and no time has passed"});
}

void stage::run() {
  do {
    while (turn())
      continue;
    for (const auto& one : witnesses)
      one->quiet(self);
    tell_news();
    throw_if_broken();
    find_choices();
  } while (!choices.empty());
}

void stage::at_time(milliseconds when, std::function<void()> what) {
  calendar.emplace(std::pair{when, ++calendar_entries}, std::move(what));
}

std::optional<milliseconds> stage::next_due() const {
  std::optional<milliseconds> due;
  const auto consider = [&](milliseconds when) {
    when = std::max(when, elapsed + milliseconds{1});
    due = due ? std::min(*due, when) : when;
  };
  if (!calendar.empty())
    consider(calendar.begin()->first.first);
  if (is_cluster())
    if (const auto next = links.next())
      consider(std::chrono::ceil<milliseconds>(next->time_since_epoch()));
  for (const auto& one : nodes) {
    if (!one->process)
      continue;
    if (one->frozen_until > elapsed) {
      consider(one->frozen_until);
      continue;
    }
    if (const auto next = one->process->next_timeout())
      consider(elapsed + *next);
    if (one->process->ready_actors() + one->process->ready_functions() == 0)
      continue;
    if (one->next_turn > elapsed)
      consider(one->next_turn);
    if (one->commit_due)
      consider(std::min(*one->commit_due, one->slow_commits_until));
  }
  return due;
}

void stage::pass(milliseconds duration) {
  elapsed += duration;
  turns_at_once = 0;
  clock->pass(duration);
  for (auto& one : nodes) {
    if (!one->process)
      continue;
    one->lag += duration;
    if (one->frozen_until <= elapsed)
      thaw(*one);
  }
  while (!broken && !calendar.empty() && calendar.begin()->first.first <= elapsed) {
    const auto what = std::move(calendar.extract(calendar.begin()).mapped());
    what();
    count_turn();
  }
  tell_news();
  throw_if_broken();
}

void stage::thaw(simulated_node& at) {
  if (is_cluster())
    links.freeze(at.name, false);
  at.process->pass(std::exchange(at.lag, milliseconds{0}));
}

} // namespace fermata::sim::detail
