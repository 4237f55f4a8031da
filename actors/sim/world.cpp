#include <fermata/actors/sim/world.hpp>

#include <fermata/actors/sim/detail/stage.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace fermata::sim {

using milliseconds = std::chrono::milliseconds;

struct world::implementation : detail::stage {
  using stage::stage;
};

world::world(std::uint64_t seed) : implementation_{std::make_unique<implementation>(*this, seed)} {}

world::world(std::uint64_t seed, world_options options) : world{seed} {
  implementation_->random_schedule = options.random_schedule;
  add_node("n1", std::move(options));
}

world::~world() {
  auto& self = *implementation_;
  self.witnesses.clear(); // a world that ends is not a crash
  self.keeps_trace = false;
  for (auto& one : self.nodes) {
    ++one->life;
    if (one->process && self.is_cluster())
      self.links.kill(one->name);
    one->process.reset();
    one->store->on_stored({});
    one->store->on_fault({}, {});
  }
  if (self.common)
    self.common->table->on_change({});
}

std::uint64_t world::seed() const noexcept {
  return implementation_->seed;
}

seeded_random world::random(std::string_view name) const {
  return seeded_random{implementation_->seed, name};
}

void world::add_node(std::string name, node_options options) {
  auto& self = *implementation_;
  if (self.is_cluster())
    throw std::logic_error("the world's nodes are those of its cluster");
  self.bring_up(self.add(std::move(name), std::move(options)));
}

void world::add_cluster(std::map<std::string, node_options> nodes) {
  auto& self = *implementation_;
  self.check_empty();
  for (auto& [name, options] : nodes)
    self.add(name, std::move(options));
  self.cluster = detail::cluster_of(self.names);
  for (auto& one : self.nodes)
    self.bring_up(*one);
}

void world::add_cluster(std::map<std::string, node_options> nodes, shared_store shared) {
  auto& self = *implementation_;
  self.check_empty();
  const auto with_store = std::find_if(nodes.begin(), nodes.end(),
                                       [](const auto& one) { return one.second.store != nullptr; });
  self.share(shared, with_store == nodes.end() ? nullptr : with_store->second.store);
  add_cluster(std::move(nodes));
}

const std::vector<std::string>& world::nodes() const noexcept {
  return implementation_->names;
}

const std::string& world::home(const session_id& session) const {
  return implementation_->home(session).name;
}

ticket world::send(const session_id& session, command body) {
  const auto type = name_of(body);
  auto& self = *implementation_;
  auto shown = self.is_watched() ? std::make_shared<const command>(body) : nullptr;
  return self.post(self.home(session), session, std::move(body), type, std::move(shown));
}

ticket world::send(const session_id& session, command body, const std::string& from) {
  if (from.empty() || from == home(session))
    return send(session, std::move(body));
  auto& self = *implementation_;
  if (!self.is_cluster())
    throw std::logic_error("node " + from + " reaches no other one: it is in no cluster");
  const auto type = name_of(body);
  auto shown = std::make_shared<const command>(body);
  return self.post(self.node(from), session, std::move(body), type, std::move(shown));
}

ticket world::wake(const session_id& session) {
  auto& self = *implementation_;
  return self.post(self.home(session), session, fermata::detail::wake{}, "wake", nullptr);
}

void world::after(milliseconds delay, std::function<void()> what) {
  implementation_->at_time(implementation_->elapsed + delay, std::move(what));
}

void world::run() {
  implementation_->run();
}

void world::advance(milliseconds duration) {
  run_until([] { return false; }, duration);
}

bool world::run_until(const std::function<bool()>& done, milliseconds at_most) {
  auto& self = *implementation_;
  const auto end = self.elapsed + at_most;
  self.run();
  // From one thing that is due to the next, so that what one sets off happens before the next.
  while (!done()) {
    if (self.elapsed >= end)
      return false;
    const auto next = self.next_due();
    self.pass((next ? std::min(*next, end) : end) - self.elapsed);
    self.run();
  }
  return true;
}

timestamp world::now() const {
  return implementation_->clock->now();
}

timestamp world::now(const std::string& node) const {
  return implementation_->node(node).clock->now();
}

timestamp world::latest_now() const {
  auto latest = now();
  for (const auto& one : implementation_->nodes)
    latest = std::max(latest, one->clock->now());
  return latest;
}

milliseconds world::elapsed() const {
  return implementation_->elapsed;
}

std::uint64_t world::steps() const noexcept {
  return implementation_->steps;
}

void world::plan_faults(const std::vector<fault>& faults) {
  for (const auto& one : faults)
    implementation_->plan(one);
}

void world::faults(const fault_mix& mix, milliseconds horizon) {
  static_cast<void>(implementation_->first()); // without a node none would be drawn
  auto drawn = random("faults");
  plan_faults(draw_faults(mix, implementation_->names, horizon, drawn, shares_store()));
}

void world::stop_faults() {
  implementation_->stop_faults();
}

void world::leave_out(std::set<std::size_t> faults) {
  implementation_->left_out = std::move(faults);
}

std::size_t world::planned_faults() const noexcept {
  return implementation_->planned;
}

sim::network& world::network() noexcept {
  return implementation_->links;
}

void world::set_clock(timestamp to) {
  implementation_->clock->set(to);
}

void world::set_clock(const std::string& node, timestamp to) {
  implementation_->node(node).clock->set_offset(to - now());
}

void world::hold_tools(bool held) {
  for (auto& one : implementation_->nodes)
    one->tools_held = held;
}

void world::hold_tools(const std::string& node, bool held) {
  implementation_->node(node).tools_held = held;
}

void world::set_policy(approval_policy policy) {
  for (auto& one : implementation_->nodes)
    one->options.policy = policy;
}

void world::crash() {
  crash(implementation_->first().name);
}

void world::crash(const std::string& node) {
  take_down(node);
  bring_up(node);
}

void world::restart() {
  restart(implementation_->first().name);
}

void world::restart(const std::string& node) {
  auto& at = implementation_->node(node);
  implementation_->stop(at);
  implementation_->bring_up(at);
}

void world::take_down(const std::string& node) {
  implementation_->kill(implementation_->node(node));
}

void world::bring_up(const std::string& node) {
  implementation_->bring_up(implementation_->node(node));
}

void world::drain(const std::string& node, std::function<void(const caf::error&)> ended) {
  auto& self = *implementation_;
  static_cast<void>(self.shared());
  auto& at = self.node(node);
  if (!at.process)
    throw std::logic_error("the node " + node + " is down");
  detail::stage::drain(at, [ended = std::move(ended)](const caf::error& how) {
    if (ended)
      ended(how);
  });
}

bool world::is_up(const std::string& node) const {
  return implementation_->node(node).process != nullptr;
}

bool world::is_responsive(const std::string& node) const {
  const auto& at = implementation_->node(node);
  return at.process && std::max({at.frozen_until, at.slow_until, at.next_turn}) <= elapsed();
}

bool world::is_calm(const std::string& node) const {
  const auto& at = implementation_->node(node);
  const auto lasts =
      std::max({at.tools_hang_until, at.disk_full_until, at.slow_commits_until, at.cut_until,
                at.slow_link_until, implementation_->unreachable_until(at)});
  return is_responsive(node) && !at.tools_held && !at.commit_due && lasts <= elapsed();
}

bool world::reaches_store(const std::string& node) const {
  const auto& at = implementation_->node(node);
  const auto lasts =
      std::max({at.disk_full_until, at.slow_commits_until, implementation_->unreachable_until(at)});
  return at.process && !at.commit_due && lasts <= elapsed();
}

const node_options& world::options(const std::string& node) const {
  return implementation_->node(node).options;
}

std::uint64_t world::crashes() const noexcept {
  return implementation_->crashes;
}

void world::add_witness(std::unique_ptr<witness> one) {
  implementation_->witnesses.push_back(std::move(one));
}

void world::watch_promises() {
  for (auto& one : promise_monitors(*this))
    add_witness(std::move(one));
}

void world::invariant(std::string name, std::function<std::string(world&)> check) {
  implementation_->invariants.emplace_back(std::move(name), std::move(check));
}

void world::report(violation broken) {
  if (!implementation_->broken)
    implementation_->broken = std::move(broken);
}

void world::end() {
  for (const auto& one : implementation_->witnesses)
    one->ended(*this);
  implementation_->throw_if_broken();
}

void world::keep_trace() {
  implementation_->keeps_trace = true;
}

const sim::trace& world::trace() const noexcept {
  return implementation_->kept;
}

void world::note(std::string text, const std::string& node, const std::string& session) {
  implementation_->note(std::move(text), node, session);
}

memory_store& world::store() const noexcept {
  return *implementation_->first().store;
}

memory_store& world::store(const std::string& node) const {
  return *implementation_->node(node).store;
}

caf::actor_system& world::system() const {
  return implementation_->first_process().system();
}

caf::actor world::directory() const {
  return implementation_->first_process().node.directory;
}

std::size_t world::actors() const {
  std::size_t count = 0;
  for (const auto& one : implementation_->nodes)
    count += one->process ? one->process->actors() : 0;
  return count;
}

std::size_t world::resident_sessions() const {
  std::size_t count = 0;
  const auto& self = *implementation_;
  for (const auto& one : self.nodes) {
    if (!one->process)
      continue;
    // Besides sessions there are the directory, the tool worker and the journal, and in a cluster
    // the gate, the links, and a dialer for each of the others, and a keeper of slots where they
    // share a store.
    const std::size_t others =
        3 + (self.is_cluster() ? 2 + self.nodes.size() - 1 : 0) + (self.common ? 1 : 0);
    const auto all = one->process->actors();
    count += all > others ? all - others : 0;
  }
  return count;
}

std::size_t world::waiting_functions(const std::string& node) const {
  const auto& at = implementation_->node(node);
  return at.process ? at.process->ready_functions() : 0;
}

std::vector<peer_report> world::peers(const std::string& node) const {
  const auto& at = implementation_->node(node);
  return at.process ? at.process->board->reports() : std::vector<peer_report>{};
}

bool world::shares_store() const noexcept {
  return implementation_->common != nullptr;
}

milliseconds world::lease() const {
  return implementation_->shared().options.lease;
}

ownership_table world::ownership() const {
  return implementation_->shared().table->look();
}

milliseconds world::store_clock_ahead() const {
  return implementation_->shared().clock_ahead;
}

bool world::serves(const std::string& node, std::uint32_t slot) const {
  static_cast<void>(implementation_->shared());
  const auto& at = implementation_->node(node);
  return at.process && at.process->slots->serves(slot);
}

std::optional<runtime_load> world::load(const std::string& node) const {
  const auto& at = implementation_->node(node);
  if (!at.process)
    return std::nullopt;
  return at.process->shared->load();
}

result<session_status> world::status(const session_id& session) const {
  return query_status(*implementation_->home(session).store->clone(), session);
}

std::vector<pending_item> world::pending(const session_id& session) const {
  auto found = query_pending(*implementation_->home(session).store->clone(), session);
  return found ? std::move(*found) : std::vector<pending_item>{};
}

std::vector<event> world::events(const session_id& session) const {
  auto found = query_events(*implementation_->home(session).store->clone(), session, 1,
                            std::numeric_limits<std::size_t>::max());
  return found ? std::move(*found) : std::vector<event>{};
}

} // namespace fermata::sim
