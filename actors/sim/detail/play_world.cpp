#include <fermata/actors/sim/detail/play_world.hpp>

#include <fermata/actors/queries.hpp>
#include <fermata/actors/sim/coverage.hpp>
#include <fermata/actors/sim/deployment.hpp>
#include <fermata/actors/sim/detail/stage.hpp>
#include <fermata/actors/sim/detail/stand_ins.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_export.hpp>

#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fermata::sim::detail {

namespace {

/// Knows where each session stands.
class register_of_sessions final : public witness {
public:
  struct entry {
    session_state state = session_state::idle;
    std::chrono::milliseconds last_moved{0}; ///< When something of it was stored.
  };

  void stored(world& in, const stored_commit& what) override {
    auto& one = entries_[what.session];
    one.last_moved = in.elapsed();
    for (const auto& fact : what.events)
      if (const auto* changed = std::get_if<state_changed>(&fact.body))
        set(one, changed->to);
  }

  /// The sessions that were there in the beginning.
  void enter(const std::vector<session_summary>& sessions) {
    for (const auto& one : sessions)
      set(entries_[one.session], one.state);
  }

  [[nodiscard]] bool are_all_over() const noexcept { return live_ == 0; }
  [[nodiscard]] const std::map<session_id, entry>& entries() const noexcept { return entries_; }

private:
  void set(entry& of, session_state state) {
    live_ += accepts_new_plan(of.state);
    of.state = state;
    live_ -= accepts_new_plan(of.state);
  }

  std::map<session_id, entry> entries_;
  std::size_t live_ = 0;
};

/// Longer than any step or run takes that is not cut off by somebody.
constexpr std::chrono::hours longest_move{24};

/// Liveness: what is not over moves, or waits for somebody or a time that is known (P6).
void check_end(const world& in, const session_id& session, const register_of_sessions::entry& at) {
  if (accepts_new_plan(at.state))
    return;
  const auto says = [&](const std::string& what) {
    return violation{"P6", "session " + session.str() + " is " + enum_name(at.state)
                               + " long after the last fault, and " + what};
  };
  if (at.state == session_state::running) {
    if (in.elapsed() - at.last_moved > longest_move)
      throw says("nothing of it moves");
    return;
  }
  const bool waits_for_an_operator = at.state == session_state::needs_attention
                                     || at.state == session_state::suspended
                                     || at.state == session_state::planning;
  if (waits_for_an_operator || !in.pending(session).empty())
    return;
  const auto status = in.status(session);
  if (!status)
    throw says("cannot be asked: " + message_of(status.error()));
  if (!status->next_timer || *status->next_timer <= in.now(in.home(session)))
    throw says("waits for nobody");
}

/// Whatever the faults have left without an owner has one after that.
std::chrono::milliseconds time_to_take_over(std::chrono::milliseconds lease) {
  return 3 * lease;
}

void check_stores(const world& in) {
  for (const auto& node : in.nodes()) // of a shared store, each opening
    if (const auto verified = in.store(node).verify(); !verified.sound())
      throw violation{"P1", "the store of " + node + " is not sound: " + verified.problems.front()};
}

std::vector<session_summary> sessions_of(store& from) {
  auto found = query_sessions(from, {}, std::numeric_limits<std::size_t>::max());
  if (!found)
    throw std::runtime_error{"the given store: " + message_of(found.error())};
  return std::move(*found);
}

/// What is exported can be imported, wherever a session stands.
void check_exports(const world& in) {
  for (const auto& node : in.nodes()) {
    const auto from = in.store(node).clone();
    for (const auto& one : sessions_of(*from)) {
      std::deque<std::string> lines;
      const auto exported = export_session(*from, one.session, [&](std::string_view line) {
        lines.emplace_back(line.substr(0, line.find('\n')));
        return caf::error{};
      });
      const auto next_line = [&]() -> result<std::optional<std::string>> {
        if (lines.empty())
          return std::optional<std::string>{};
        std::optional next{std::move(lines.front())};
        lines.pop_front();
        return next;
      };
      memory_store into;
      const auto imported =
          exported ? import_session(into, next_line) : result<imported_session>{exported.error()};
      if (!imported)
        throw violation{"P7", "session " + one.session.str() + " of " + node
                                  + " cannot be moved: " + message_of(imported.error())};
    }
  }
}

std::size_t drawn_or(std::size_t given, std::uint64_t most, seeded_random random) {
  return given != 0 ? given : 1 + static_cast<std::size_t>(random.below(most));
}

/// Every other world has faults of all kinds, the others those of every other kind on average
/// (swarm testing: Groce and others, ISSTA 2012).
fault_mix draw_mix(seeded_random random) {
  // Evenly over the orders of magnitude, from two minutes to some four hours.
  const auto most = std::chrono::minutes{std::int64_t{4} << random.below(7)};
  fault_mix mix{random.between(most / 2, most)};
  if (random.chance(0.5))
    return mix;
  for (std::size_t kind = 0; kind < enum_names(fault_kind{}).size(); ++kind)
    if (random.chance(0.5))
      mix.weights[static_cast<fault_kind>(kind)] = 1;
  return mix;
}

/// The node of a world that all of some sessions live on; nothing: there is none.
std::optional<std::string> home_of_all(const std::set<session_id>& sessions,
                                       const std::vector<std::string>& nodes) {
  const auto cluster = cluster_of(nodes);
  std::set<std::string> homes;
  for (const auto& one : sessions)
    homes.insert(home_of(cluster, one).name.str());
  if (homes.size() > 1)
    return std::nullopt;
  return homes.empty() ? nodes.front() : *homes.begin();
}

/// What a world of a campaign has: everything is drawn before it begins, so that some of it can be
/// left out.
struct scenario {
  deployment people_and_sessions;
  /// The node that has `campaign_options::store`; that all share where they share one.
  std::string home_of_given;
  std::vector<fault> faults;

  scenario(const campaign_options& options, std::uint64_t seed) {
    deployment_options wanted;
    wanted.nodes = drawn_or(options.nodes, 3, {seed, "campaign/nodes"});
    wanted.share_store = options.share_store;
    wanted.sessions = drawn_or(options.sessions, 8, {seed, "campaign/sessions"});
    wanted.horizon = options.horizon;
    if (options.store)
      for (const auto& one : sessions_of(*options.store->clone()))
        wanted.taken.insert(one.session);
    if (!options.share_store && !home_of_all(wanted.taken, node_names(wanted.nodes)))
      wanted.nodes = 1;
    people_and_sessions = draw_deployment(seed, wanted);
    home_of_given = options.share_store ? people_and_sessions.nodes.front()
                                        : *home_of_all(wanted.taken, people_and_sessions.nodes);
    if (!options.with_faults)
      return;
    seeded_random random{seed, "campaign/faults"};
    faults = draw_faults(options.faults ? *options.faults : draw_mix({seed, "campaign/mix"}),
                         people_and_sessions.nodes, options.horizon, random, options.share_store);
  }

  void leave_out_all_but(const kept_parts& kept) {
    if (kept.sessions)
      people_and_sessions.sessions = chosen(people_and_sessions.sessions, *kept.sessions);
    if (kept.faults)
      faults = chosen(faults, *kept.faults);
  }

private:
  template <class T>
  static std::vector<T> chosen(const std::vector<T>& of, const std::vector<std::size_t>& places) {
    std::vector<T> some;
    for (const auto place : places)
      if (place < of.size())
        some.push_back(of[place]);
    return some;
  }
};

/// The story of a world, from its beginning to its end.
class narration {
public:
  narration(const campaign_options& options, const stand_ins& strangers, const scenario& what,
            world& in, played_world& played)
      : options_{options}, strangers_{strangers}, what_{what}, in_{in}, played_{played},
        sessions_{in.add(std::make_unique<register_of_sessions>())},
        players_{
            enact(in, what.people_and_sessions,
                  [this](const std::string& node, node_options& at,
                         const std::shared_ptr<outside>& effects) { set_up(node, at, effects); })} {
  }

  void tell() {
    begin_with_stored();
    in_.plan_faults(what_.faults);
    go_on_for(options_.horizon);
    check_exports(in_);
    in_.stop_faults();
    players_.settle(in_);
    in_.note("no more faults and whims");
    go_on_for(options_.settling);
    if (in_.shares_store())
      in_.advance(time_to_take_over(in_.lease()));
    in_.end();
    for (const auto& [session, entry] : sessions_.entries())
      if (options_.store)
        check_end(in_, session, entry); // there may be nobody who deals with what was given
      else if (!accepts_new_plan(entry.state))
        throw violation{"P6", "session " + session.str() + " is " + enum_name(entry.state)
                                  + " long after the last fault, and everybody has done what he "
                                    "can"};
    for (const auto& session : players_.unfinished())
      if (!in_.status(session) || accepts_new_plan(in_.status(session)->state))
        throw violation{"P6", "session " + session.str()
                                  + " does not take what is proposed to it, long after the last "
                                    "fault"};
    check_stores(in_);
    for (const auto& session : given_)
      if (const auto status = in_.status(session))
        ++played_.given[enum_name(status->state)];
  }

private:
  void set_up(const std::string& node, node_options& at, const std::shared_ptr<outside>& effects) {
    seeded_random random{in_.seed(), "campaign/restart/" + node};
    at.restart_after = random.between(std::chrono::milliseconds{0}, std::chrono::minutes{10});
    if (!options_.store)
      return;
    const bool is_home = node == what_.home_of_given;
    if (is_home)
      at.store = options_.store->clone();
    if (is_home || options_.share_store) {
      strangers_.add_to(at, effects, in_.seed(), played_.stand_ins);
    }
  }

  /// Those who take part look at the sessions that were there before; their processes are told, as
  /// by a host that starts again.
  void begin_with_stored() {
    if (!options_.store)
      return;
    const auto found = sessions_of(in_.store(what_.home_of_given));
    sessions_.enter(found);
    for (const auto& one : found) {
      given_.push_back(one.session);
      players_.look_at(in_, one.session);
      static_cast<void>(in_.wake(one.session));
    }
  }

  void go_on_for(std::chrono::milliseconds time) {
    static_cast<void>(
        in_.run_until([&] { return sessions_.are_all_over() && players_.is_done(); }, time));
  }

  const campaign_options& options_;
  const stand_ins& strangers_;
  const scenario& what_;
  world& in_;
  played_world& played_;
  register_of_sessions& sessions_;
  cast players_;
  std::vector<session_id> given_; ///< The sessions that were there in the beginning.
};

played_world play_world(const campaign_options& options, const stand_ins& strangers,
                        std::uint64_t seed, const kept_parts& kept, bool with_trace) {
  played_world played;
  try {
    scenario drawn{options, seed};
    played.faults = drawn.faults.size();
    played.sessions = drawn.people_and_sessions.sessions.size();
    drawn.leave_out_all_but(kept);
    world in{seed};
    if (with_trace)
      in.keep_trace();
    if (options.begins)
      in.set_clock(*options.begins);
    auto& counted = in.add(std::make_unique<coverage>());
    in.watch_promises();
    try {
      narration{options, strangers, drawn, in, played}.tell();
    } catch (const violation& broken) {
      played.broken = broken;
    } catch (const std::exception& error) {
      played.broken = violation{"exception", error.what()};
    }
    if (with_trace && played.broken)
      in.note("=> " + played.broken->promise() + ": " + played.broken->text());
    played.reached = counted.counts();
    played.resumes = counted.resumes();
    played.steps = in.steps();
    played.crashes = in.crashes();
    played.simulated = in.elapsed();
    played.seen = in.trace();
  } catch (const std::exception& error) {
    played.broken = violation{"exception", std::string{"outside of the world: "} + error.what()};
  }
  return played;
}

} // namespace

player real_worlds(const campaign_options& options) {
  auto strangers = options.store ? stand_ins{*options.store} : stand_ins{};
  return [&options, strangers](std::uint64_t seed, const kept_parts& kept, bool with_trace) {
    return play_world(options, strangers, seed, kept, with_trace);
  };
}

} // namespace fermata::sim::detail
