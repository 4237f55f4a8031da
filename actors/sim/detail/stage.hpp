#pragma once

#include <fermata/actors/sim/detail/simulated_process.hpp>
#include <fermata/actors/sim/world.hpp>

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/storage/memory_ownership.hpp>
#include <fermata/storage/session_slots.hpp>

#include <array>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <variant>

namespace fermata::sim::detail {

using milliseconds = std::chrono::milliseconds;
using message_body = decltype(fermata::detail::delivery::body);

/// A command that has not been answered.
struct unanswered {
  std::shared_ptr<const command> body; ///< Null for `wake`.
  session_id session;
  timestamp sent_at;
  std::function<void()> lose; ///< Tells its ticket that there will be no answer.
};

struct simulated_node {
  std::string name;
  node_options options;
  std::shared_ptr<memory_store> store;
  std::shared_ptr<node_clock> clock;          ///< Of its machine, over all crashes.
  std::unique_ptr<simulated_process> process; ///< Null: it is down.
  std::uint64_t life = 0;                     ///< Counts processes, so that dead ones say nothing.
  std::map<std::uint64_t, unanswered> asked;
  std::set<session_id> followed; ///< By the world, in this life.

  bool tools_held = false;
  // Until when each of these lasts, counted from the beginning of the world.
  milliseconds frozen_until{0};
  milliseconds slow_until{0};
  milliseconds tools_hang_until{0};
  milliseconds disk_full_until{0};
  milliseconds slow_commits_until{0};
  milliseconds next_turn{0};
  milliseconds lag{0}; ///< How much time a frozen process has not noticed yet.
  milliseconds cut_until{0};
  milliseconds slow_link_until{0};
  milliseconds store_cut_until{0};
  std::optional<milliseconds> commit_due;
  std::optional<milliseconds> freeze_at_claim; ///< For so long.
};

/// What nodes have in common that share a store.
struct common_store {
  shared_store options;
  std::shared_ptr<memory_store> data;
  std::shared_ptr<memory_ownership_table> table;
  std::array<simulated_node*, session_slots> owners{}; ///< Or who had it last; null: nobody yet.
  milliseconds away_until{0};
  milliseconds clock_ahead{0}; ///< How far the clock of leases was set forward.
};

/// The member list of a simulated cluster: hosts are the names of nodes. Throws `std::logic_error`
/// for a name that is none.
[[nodiscard]] member_list cluster_of(const std::vector<std::string>& nodes);

enum class turn_of : std::uint8_t { actor, function, network };

/// Something that could happen next.
struct choice {
  simulated_node* at = nullptr; ///< Null: the network.
  std::size_t which = 0;
  turn_of what = turn_of::actor;
};

struct stored {
  const simulated_node* at;
  commit body;
};
struct published {
  const simulated_node* at;
  session_id session;
  std::uint64_t last;
};
struct answered {
  const simulated_node* at; ///< That was asked.
  std::uint64_t number;
  unanswered asked;
  result<receipt> answer;
};
struct hit {
  const simulated_node* at;
  fault_kind kind;
  bool noted; ///< In the trace, as the fault that was planned.
};
struct moved {
  std::uint32_t slot;
  slot_owner before;
  slot_owner now;
  bool may_begin_effects;
};
/// What is to be told to the witnesses once no actor is running.
using news = std::variant<stored, published, answered, hit, moved>;

/// What is behind a `world`: its nodes, whose turn it is, what goes wrong, and who is told of it.
struct stage {
  stage(world& owner, std::uint64_t with_seed)
      : self{owner}, seed{with_seed}, schedule{with_seed}, links{with_seed},
        clock{std::make_shared<virtual_clock>()} {}

  // -- nodes

  simulated_node& node(const std::string& name);
  simulated_node& first();
  /// Throws `std::logic_error` while it is down.
  simulated_process& first_process();
  simulated_node& home(const session_id& session);
  [[nodiscard]] bool is_cluster() const noexcept { return !cluster.members.empty(); }
  /// Throws `std::logic_error` where there is a node, since a cluster has all from the beginning.
  void check_empty() const;
  /// Nodes that are added from now on share a store, which begins with a copy of that one; null:
  /// empty.
  void share(shared_store options, std::shared_ptr<const memory_store> begins_with);
  /// Where nodes share none it throws `std::logic_error`.
  [[nodiscard]] common_store& shared() const;
  /// Until when the node cannot reach the store that it shares.
  [[nodiscard]] milliseconds unreachable_until(const simulated_node& at) const;
  /// Adds a node that is down.
  simulated_node& add(std::string name, node_options options);
  /// Starts its process, on what is stored.
  void start(simulated_node& at);
  [[nodiscard]] node_hello hello_of(const simulated_node& at);
  [[nodiscard]] membership membership_of(const simulated_node& at);
  /// Runtimes draw from one stream for each node, over all their lives.
  std::shared_ptr<seeded_random> random_of(const simulated_node& at);
  void watch_store(simulated_node& at);
  /// The process is gone with all that it held in memory.
  void kill(simulated_node& at);
  /// The process ends as a host ends it.
  void stop(simulated_node& at);
  /// Tells of the end of a process, and those who wait for its answers.
  void gone(simulated_node& at);
  void bring_up(simulated_node& at);
  void bring_up_after(simulated_node& at, milliseconds delay);

  // -- commands

  /// Sends something to a session by a node, which is its home or forwards it. `shown`: what
  /// witnesses see of it, or null.
  ticket post(simulated_node& at, const session_id& session, message_body body,
              std::string_view type, std::shared_ptr<const command> shown);
  void take_answer(simulated_node& at, std::uint64_t number, ticket::state& state,
                   result<receipt> answer);
  void note_sent(const simulated_node& at, const unanswered& asked);

  // -- turns

  /// Those who could take a turn now.
  void find_choices();
  [[nodiscard]] network::time_point network_time() const { return network::time_point{elapsed}; }
  void find_choices(simulated_node& at);
  /// On a slow disk a commit begins when its time has come: to all others that looks as if it took
  /// so long.
  bool journal_waits(simulated_node& at);
  /// Picks one of them, as the seed decides.
  const choice& choose();
  void starve(const choice& one);
  [[nodiscard]] bool is_starved(const choice& one) const;
  /// One actor or function takes its turn. False: nobody could.
  bool turn();
  void take_turn(simulated_node& at, const choice& chosen);
  /// Counts what happens at one moment, and reports a circle that nobody leaves.
  void count_turn();
  /// Turns until nobody can take one.
  void run();

  // -- time

  void at_time(milliseconds when, std::function<void()> what);
  [[nodiscard]] std::optional<milliseconds> next_due() const;
  /// Lets time pass, and fires what is due at its end.
  void pass(milliseconds duration);
  /// Its time goes on, all at once where it was frozen.
  void thaw(simulated_node& at);

  // -- what goes wrong

  void plan(const fault& one);
  /// Its time has come.
  void strike(simulated_node& at, const fault& one);
  /// Those that wait for turns to be taken first.
  void strike_between_turns();
  /// It stands still.
  void freeze(simulated_node& at, milliseconds duration);
  void strike_clock(simulated_node& at, const fault& one);
  void strike_store_clock(simulated_node& at, const fault& one);
  void strike_links(simulated_node& at, const fault& one, milliseconds until);
  void strike_shared(simulated_node& at, const fault& one, milliseconds until);
  /// Stops it as an operator does, which takes a frozen one until it thaws.
  void shut_down(simulated_node& at, const fault& one);
  /// Gives a node the order to drain.
  static void drain(simulated_node& at, std::function<void(const caf::error&)> ended);
  /// After anything that may have changed whether it reaches the store.
  void update_reach(simulated_node& at);
  /// Ends the partitions whose time is over.
  void mend_partitions();
  void delay_links(const simulated_node& at, milliseconds most);
  void strike_store(simulated_node& at, const fault& one, milliseconds until);
  /// Something ends then that keeps somebody from taking his turn.
  void wake_at(milliseconds when);
  /// It hits when it strikes. Those that wait for something to hit are told of by whom they hit.
  void hits(const simulated_node& at, const fault& one);
  void stop_faults();

  // -- who watches

  [[nodiscard]] bool is_watched() const noexcept { return keeps_trace || !witnesses.empty(); }
  /// Tells the witnesses, now that no actor is running.
  void tell_news();
  void tell(const stored& what);
  void tell(const published& what);
  void tell(const answered& what);
  void tell(const hit& what);
  void tell(const moved& what);
  static std::string show(const result<receipt>& answer);
  void run_began(const simulated_node& at, const tool& what, const tool_context& context);
  void run_ended(const simulated_node& at, const tool& what, const tool_context& context,
                 const json* content, bool cut_off);
  /// From now on, and as long as its home lives, it is seen what a session publishes.
  void follow(const session_id& session);
  void check_invariants();
  void throw_if_broken();
  void note(std::string text, const std::string& at = {}, const std::string& session = {});

  // -- what there is

  world& self;
  std::uint64_t seed;
  seeded_random schedule;
  bool random_schedule = true;
  sim::network links;
  member_list cluster;                  ///< Empty: there is none.
  std::shared_ptr<virtual_clock> clock; ///< That of people and hosts.
  std::unique_ptr<common_store> common; ///< Null: each node has a store of its own.
  std::map<std::string, std::shared_ptr<seeded_random>> randoms;

  milliseconds elapsed{0};
  std::uint64_t steps = 0;
  std::uint64_t turns_at_once = 0; ///< Since time has passed.
  /// Faults whose time has come, by the number of the turn that they come behind.
  std::multimap<std::uint64_t, std::pair<simulated_node*, fault>> strikes;
  std::uint64_t crashes = 0;
  std::uint64_t sent_commands = 0;
  std::map<std::pair<milliseconds, std::uint64_t>, std::function<void()>> calendar;
  std::uint64_t calendar_entries = 0;

  std::size_t planned = 0; ///< Faults, so far.
  std::set<std::size_t> left_out;
  bool faults_stopped = false;

  const simulated_node* starved_node = nullptr;
  std::uint64_t starved_actor = 0;
  std::uint64_t starved_until = 0;

  std::optional<violation> broken; ///< The first one, until it is thrown.
  std::vector<std::pair<std::string, std::function<std::string(world&)>>> invariants;
  std::vector<std::unique_ptr<witness>> witnesses;
  std::deque<news> pending_news;
  bool keeps_trace = false;
  sim::trace kept;

  std::vector<choice> choices; ///< Of this turn.
  std::vector<std::string> names;
  /// Last: their processes end first, and tell of it.
  std::vector<std::unique_ptr<simulated_node>> nodes;
};

} // namespace fermata::sim::detail
