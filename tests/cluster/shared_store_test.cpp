// Nodes that share a store, as a host uses them: real threads and sockets; the store is in memory,
// of which each node has an opening of its own.

#include "speech.hpp"

#include <fermata/messages/type_ids.hpp>
#include <fermata/storage/memory_ownership.hpp>

#include <fermata_catch.hpp>

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>

#include <set>

namespace shared_store_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// No thread of a slow machine is so late that it runs out.
constexpr std::chrono::milliseconds long_lease{10'000};

/// Where a test waits for a takeover.
constexpr std::chrono::milliseconds short_lease{2'000};

std::string why(const result<receipt>& answer) {
  return answer ? "accepted" : message_of(answer.error());
}

/// Can be kept from asking about slots while its node reaches the store: as one that is late.
class late_ownership final : public session_ownership {
public:
  explicit late_ownership(std::unique_ptr<session_ownership> behind) : behind_{std::move(behind)} {}

  void set_late(bool late) { late_ = late; }
  const node_name& node() const noexcept override { return behind_->node(); }
  std::chrono::milliseconds lease() const noexcept override { return behind_->lease(); }
  const store_identity& identity() const noexcept override { return behind_->identity(); }
  result<ownership_news> renew(slot_wish wish) override {
    if (late_)
      return is_late();
    return behind_->renew(wish);
  }
  result<std::vector<std::uint32_t>> acquire(std::span<const std::uint32_t> slots) override {
    return behind_->acquire(slots);
  }
  caf::error release(std::span<const std::uint32_t> slots) override {
    return behind_->release(slots);
  }
  caf::error move(std::span<const std::uint32_t> slots, const node_name& to) override {
    return behind_->move(slots, to);
  }
  caf::error leave() override { return behind_->leave(); }
  result<ownership_table> look() override { return behind_->look(); }
  result<bool> holds_lease(const session_id& session, std::chrono::milliseconds least) override {
    return behind_->holds_lease(session, least);
  }
  std::vector<std::uint32_t> acquired() const override { return behind_->acquired(); }

private:
  static caf::error is_late() { return make_error(errc::io_error, "no answer"); }

  std::unique_ptr<session_ownership> behind_;
  std::atomic<bool> late_{false};
};

/// What the nodes have in common.
struct shared_data {
  std::shared_ptr<memory_store> data = std::make_shared<memory_store>();
  std::shared_ptr<memory_ownership_table> table = std::make_shared<memory_ownership_table>();
  slot_watch slots;
};

struct shared_node {
  shared_node(shared_data& in, std::string called, member_list of)
      : common{&in}, name{std::move(called)}, members{std::move(of)} {}

  void start() {
    store = common->data->beside();
    cluster_options net;
    net.name = node_named(name);
    net.members = members;
    net.timing = quick();
    net.handover_patience = handover_patience;
    net.handover_wait = handover_wait;
    auto joined = memory_ownership::join(common->table, net.name, store, lease);
    if (!joined)
      throw std::runtime_error{message_of(joined.error())};
    ownership = std::make_shared<late_ownership>(std::move(*joined));
    net.ownership = ownership;
    net.on_contact = [this](const peer_report& report) {
      log.write(report.member.name.str() + " " + enum_name(report.state) + " " + report.reason);
    };
    net.on_refused = [this](const node_name& who, const std::string& reason) {
      log.write("refused " + who.str() + ": " + reason);
    };
    net.on_slots = [this](const slot_report& report) {
      log.write(enum_name(report.change) + (report.reason.empty() ? "" : " ") + report.reason);
      common->slots.changed();
    };
    auto options = unattended(store);
    options.policy = policy;
    running = std::make_unique<cluster_node>(std::move(net), std::move(options));
    if (setup)
      setup(running->local());
    if (auto error = running->start())
      throw std::runtime_error{message_of(error)};
  }
  void stop() {
    running.reset();
    common->slots.changed();
  }
  /// As one does that loses its process: nothing of it is given back.
  void die() {
    store->set_reachable(false);
    stop();
  }
  [[nodiscard]] session_handle session(const std::string& id) const {
    return running->session(named(id));
  }
  [[nodiscard]] std::size_t slots() const {
    if (!running)
      return 0;
    std::size_t count = 0;
    for (const auto& one : running->status())
      if (one.member.name == running->name())
        count = one.status->slots;
    return count;
  }
  [[nodiscard]] bool serves(const std::string& id) const {
    const auto* home = running ? running->home_of(named(id)) : nullptr;
    return home != nullptr && home->name == running->name();
  }

  shared_data* common;
  std::string name;
  member_list members;
  approval_policy policy = approval_policy::allow_everything();
  std::chrono::milliseconds lease = long_lease;
  std::chrono::milliseconds handover_patience{30'000};
  std::chrono::milliseconds handover_wait{patience}; ///< Machines may be slow.
  std::function<void(runtime&)> setup;
  contact_log log;
  std::shared_ptr<memory_store> store;
  std::shared_ptr<late_ownership> ownership;
  std::unique_ptr<cluster_node> running;
};

struct shared_cluster {
  explicit shared_cluster(const std::vector<std::string>& names,
                          std::chrono::milliseconds lease = long_lease)
      : members{members_named(names)} {
    for (const auto& name : names)
      nodes.try_emplace(name, common, name, members).first->second.lease = lease;
  }
  /// Starts those, and waits until they know each other and have their shares.
  void start(const std::vector<std::string>& names) {
    for (const auto& name : names)
      nodes.at(name).start();
    for (const auto& name : names)
      for (const auto& other : names)
        if (other != name && !nodes.at(name).log.wait_for(other + " connected"))
          throw std::runtime_error{name + " does not reach " + other};
    // As in `test_cluster::start`.
    for (const auto& name : names)
      nodes.at(name).log.forget(" apart");
    if (!have_shares(names))
      throw std::runtime_error{"the nodes do not share"};
  }
  [[nodiscard]] bool have_shares(const std::vector<std::string>& names) {
    const auto least = session_slots / names.size();
    return common.slots.wait_until([&] {
      std::size_t all = 0;
      for (const auto& name : names) {
        const auto count = nodes.at(name).slots();
        if (count < least)
          return false;
        all += count;
      }
      return all == session_slots;
    });
  }
  shared_node& operator[](const std::string& name) { return nodes.at(name); }
  /// A session that a node serves now.
  [[nodiscard]] std::string session_on(const std::string& node, int which = 0) {
    for (int number = 0;; ++number) {
      auto id = "s" + std::to_string(number);
      if (nodes.at(node).serves(id) && which-- == 0)
        return id;
    }
  }

  shared_data common;
  member_list members;
  std::map<std::string, shared_node> nodes;
};

} // namespace

TEST_CASE("nodes that share a store serve each session once, and any takes any command") {
  shared_cluster all{{"a", "b", "c"}};
  all.start({"a", "b", "c"});
  for (int number = 0; number < 12; ++number) {
    const auto id = "s" + std::to_string(number);
    CAPTURE(id);
    int homes = 0;
    for (const auto& [name, one] : all.nodes)
      homes += one.serves(id) ? 1 : 0;
    CHECK(homes == 1);
    CHECK(accept(all["a"].session(id).send(propose_plan{shop_plan()})).session == named(id));
    CHECK(paused(all["b"].session(id)).state == session_state::waiting);
    CHECK(accept(all["c"].session(id).send(tool_result{call(id, 1), "green"})).kind
          == receipt_kind::accepted);
    CHECK(paused(all["a"].session(id)).state == session_state::completed);
  }
  for (const auto& [name, one] : all.nodes)
    CHECK(one.running->traffic().slots_lost == 0);
}

TEST_CASE("what waits in a shared store is shown once, whichever node is there") {
  shared_cluster all{{"a", "b"}};
  for (auto& [name, one] : all.nodes)
    one.policy = approval_policy::ask_for_plans();
  all.start({"a", "b"});
  for (const auto* node : {"a", "b"})
    accept(all["a"].session(all.session_on(node)).send(propose_plan{shop_plan()}));
  auto waiting = all["b"].running->pending();
  CHECK(waiting.items.size() == 2);
  CHECK(waiting.missing.empty());
  all["a"].die();
  waiting = all["b"].running->pending();
  CHECK(waiting.items.size() == 2);
  CHECK(waiting.missing.empty());
}

TEST_CASE("a node that joins gets its share, and what it leaves goes to the others at once") {
  shared_cluster all{{"a", "b"}};
  all.start({"a"});
  std::vector<std::string> ids;
  for (int number = 0; number < 12; ++number) {
    ids.push_back("s" + std::to_string(number));
    accept(all["a"].session(ids.back()).send(propose_plan{shop_plan()}));
    static_cast<void>(paused(all["a"].session(ids.back())));
  }
  all["b"].start();
  REQUIRE(all.have_shares({"a", "b"}));
  REQUIRE(all["b"].log.wait_for("a connected"));
  REQUIRE(all["a"].log.wait_for("b connected"));
  for (std::size_t i = 0; i < 6; ++i)
    accept(all["b"].session(ids[i]).send(tool_result{call(ids[i], 1), "green"}));
  all["a"].stop();
  REQUIRE(all.have_shares({"b"}));
  for (std::size_t i = 6; i < 12; ++i)
    accept(all["b"].session(ids[i]).send(tool_result{call(ids[i], 1), "green"}));
  for (const auto& id : ids)
    CHECK(paused(all["b"].session(id)).state == session_state::completed);
}

TEST_CASE("a node that stops gives its slots back before its last tool has ended") {
  shared_cluster all{{"a", "b"}};
  std::promise<void> begun;
  std::promise<void> ends;
  all["a"].setup = [&begun, end = ends.get_future().share()](runtime& in) {
    add_tool(in, "pay", blocking_tool{[&begun, end](const tool_context&) {
               begun.set_value();
               end.wait();
               return result<json>{json{"paid"}};
             }});
  };
  all.start({"a", "b"});
  accept(all["a"].session(all.session_on("a")).send(propose_plan{tool_plan("pay")}));
  REQUIRE(begun.get_future().wait_for(patience) == std::future_status::ready);
  std::promise<void> stops;
  auto stopped = stops.get_future();
  std::thread host{[&] {
    all["a"].stop();
    stops.set_value();
  }};
  CHECK(all.common.slots.wait_until([&] { return all["b"].slots() == session_slots; }));
  CHECK(all["b"].log.wait_for("a apart"));
  CHECK(stopped.wait_for(0ms) == std::future_status::timeout);
  ends.set_value();
  host.join();
}

TEST_CASE("a dead node's sessions go on elsewhere, and a person is asked about its tools") {
  shared_cluster all{{"a", "b"}, short_lease};
  std::promise<void> begun;
  std::promise<void> ends;
  auto end = ends.get_future().share();
  for (auto& [name, one] : all.nodes)
    one.setup = [&begun, end, is_first = name == "a"](runtime& in) {
      add_tool(in, "pay", blocking_tool{[&begun, end, is_first](const tool_context&) {
                 if (is_first)
                   begun.set_value();
                 end.wait();
                 return result<json>{json{"paid"}};
               }});
    };
  all.start({"a", "b"});
  const auto pays = all.session_on("a");
  const auto waits = all.session_on("a", 1);
  accept(all["b"].session(waits).send(propose_plan{shop_plan()}));
  accept(all["b"].session(pays).send(propose_plan{tool_plan("pay")}));
  REQUIRE(begun.get_future().wait_for(patience) == std::future_status::ready);
  static_cast<void>(paused(all["b"].session(waits)));
  // It does not reach the store any more, and is gone only when its tool has ended.
  all["a"].store->set_reachable(false);
  REQUIRE(all.common.slots.wait_until([&] { return all["b"].slots() == session_slots; }));
  CHECK(accept(all["b"].session(waits).send(tool_result{call(waits, 1), "green"})).event > 0);
  const auto status = paused(all["b"].session(pays));
  CHECK(status.state == session_state::waiting);
  CHECK(status.waiting.outcome == 1);
  ends.set_value(); // what it says now changes nothing
  all["a"].die();
  CHECK(paused(all["b"].session(pays)) == status);
}

TEST_CASE("a node that the store was away from comes back, and gets its share again") {
  shared_cluster all{{"a", "b"}, short_lease};
  all.start({"a", "b"});
  const auto id = all.session_on("a");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  static_cast<void>(paused(all["b"].session(id)));
  all["a"].store->set_reachable(false);
  REQUIRE(all["a"].log.wait_for("not_renewed"));
  CHECK_FALSE(answer(all["a"].session(id).send(tool_result{call(id, 1), "green"})));
  REQUIRE(all.common.slots.wait_until([&] { return all["b"].slots() == session_slots; }));
  accept(all["b"].session(id).send(tool_result{call(id, 1), "green"}));
  all["a"].store->set_reachable(true);
  REQUIRE(all["a"].log.wait_for("lost"));
  REQUIRE(all.have_shares({"a", "b"}));
  CHECK(paused(all["a"].session(id)).state == session_state::completed);
  CHECK(accept(all["a"].session(id).send(tool_result{call(id, 1), "green"})).kind
        == receipt_kind::duplicate);
}

TEST_CASE("a node that is late for its lease changes nothing, and begins no tool") {
  shared_cluster all{{"a", "b"}, short_lease};
  std::atomic<int> runs{0};
  for (auto& [name, one] : all.nodes)
    one.setup = [&runs](runtime& in) {
      add_tool(in, "pay", blocking_tool{[&runs](const tool_context&) {
                 ++runs;
                 return result<json>{json{"paid"}};
               }});
    };
  all.start({"a", "b"});
  const auto pays = all.session_on("a");
  const auto waits = all.session_on("a", 1);
  accept(all["a"].session(waits).send(propose_plan{shop_plan()}));
  static_cast<void>(paused(all["a"].session(waits)));
  all["a"].ownership->set_late(true);
  REQUIRE(all.common.slots.wait_until([&] { return all["b"].slots() == session_slots; }));
  // It believes that the sessions live there, and reaches the store.
  CHECK(all["a"].serves(waits));
  const auto stale = answer(all["a"].session(waits).send(tool_result{call(waits, 1), "old"}));
  REQUIRE_FALSE(stale);
  CHECK(is(stale.error(), errc::node_unavailable));
  CHECK(refusal(all["a"].session(pays).send(propose_plan{tool_plan("pay")}))
        == errc::node_unavailable);
  CHECK(runs == 0);
  accept(all["b"].session(waits).send(tool_result{call(waits, 1), "new"}));
  all["a"].ownership->set_late(false);
  REQUIRE(all["a"].log.wait_for("lost"));
  CHECK(refusal(all["a"].session(waits).send(tool_result{call(waits, 1), "old"}))
        == errc::already_answered);
  accept(all["a"].session(pays).send(propose_plan{tool_plan("pay")}));
  CHECK(paused(all["a"].session(pays)).state == session_state::completed);
  CHECK(runs == 1);
}

TEST_CASE("a drain under load is noticed by nobody") {
  shared_cluster all{{"a", "b", "c"}};
  all.start({"a", "b", "c"});
  std::atomic<bool> over{false};
  std::vector<std::string> refusals;
  std::atomic<int> done{0};
  std::thread host{[&] {
    for (int number = 0; !over || number % 3 != 0; ++number) {
      // Some of them for sessions that are moving just now.
      const auto id = "s" + std::to_string(number);
      auto& at = all[number % 3 == 0 ? "a" : number % 3 == 1 ? "b" : "c"];
      const auto answered = answer(at.session(id).send(propose_plan{shop_plan()}));
      if (!answered)
        refusals.push_back(why(answered));
      const auto ended = answer(at.session(id).send(cancel_plan{}));
      if (!ended)
        refusals.push_back(why(ended));
      ++done;
    }
  }};
  REQUIRE(all.common.slots.wait_until([&] { return done > 10; }));
  const auto failed = all["a"].running->drain(patience);
  CHECK_FALSE(failed);
  const auto before = done.load();
  CHECK(all.common.slots.wait_until([&] { return done > before + 10; }));
  over = true;
  host.join();
  CHECK(refusals == std::vector<std::string>{});
  CHECK(all["a"].slots() == 0);
  CHECK(all["a"].running->traffic().slots_given >= session_slots / 3);
  CHECK(all["a"].running->traffic().slots_lost == 0);
  for (const auto& one : all["b"].running->status())
    CHECK(one.status->draining == (one.member.name.str() == "a"));
}

TEST_CASE("a node that drains says how many are left in time, and who is alone keeps all") {
  shared_cluster all{{"a", "b"}};
  all.start({"a"});
  const auto alone = all["a"].running->drain(patience);
  CHECK(is(alone, errc::not_allowed));
  CHECK(all["a"].slots() == session_slots);
  all["b"].start();
  REQUIRE(all.have_shares({"a", "b"}));
  const auto late = all["a"].running->drain(0ms);
  CHECK(is(late, errc::timed_out));
  CHECK(mentions(message_of(late), " of 256 slots of sessions"));
  CHECK_FALSE(all["a"].running->drain(patience)); // it went on
}

TEST_CASE("a stream and a watch of a session go on where it moves") {
  shared_cluster all{{"a", "b"}};
  all.start({"a", "b"});
  const auto id = all.session_on("a");
  contact_log heard;
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  const auto before = paused(all["a"].session(id)).events;
  for (auto& [name, one] : all.nodes) {
    auto stream = one.session(id).follow(1);
    while (stream.position() <= before)
      REQUIRE(stream.next(patience).value());
  }
  auto near = all["a"].session(id).follow(before + 1);
  auto far = all["b"].session(id).follow(before + 1);
  CHECK_FALSE(near.next(0ms).value()); // each waits on node a
  CHECK_FALSE(far.next(0ms).value());
  const auto watch = all["a"].session(id).watch(
      [&](std::uint64_t number) { heard.write("<" + std::to_string(number) + ">"); });
  REQUIRE(heard.wait_for("<" + std::to_string(before) + ">"));
  REQUIRE_FALSE(all["a"].running->drain(patience));
  CHECK(all["b"].serves(id));
  accept(all["a"].session(id).send(tool_result{call(id, 1), "green"}));
  for (auto* stream : {&near, &far}) {
    const auto next = stream->next(patience);
    REQUIRE(next);
    REQUIRE(*next);
    CHECK((*next)->number == before + 1);
  }
  const auto last = paused(all["a"].session(id)).events;
  CHECK(heard.wait_for("<" + std::to_string(last) + ">"));
}

TEST_CASE("what an agent is saying is heard on each node, also where its session moves") {
  shared_cluster all{{"a", "b"}};
  const auto prompts = std::make_shared<prompter>();
  for (auto& [name, one] : all.nodes)
    one.setup = [&](runtime& local) { add_speaker(local, prompts); };
  all.start({"a", "b"});
  const auto id = all.session_on("a");
  hearing near;
  hearing far;
  const auto here = all["a"].session(id).listen(near.observer());
  const auto there = all["b"].session(id).listen(far.observer());
  accept(all["a"].session(id).send(propose_plan{speech()}));
  CHECK(is_heard(*prompts, near, "<on a>"));
  CHECK(is_heard(*prompts, far, "<on a still>"));
  REQUIRE_FALSE(all["a"].running->drain(patience));
  REQUIRE(all["b"].serves(id));
  CHECK(is_heard(*prompts, far, "<on b>"));
  CHECK(is_heard(*prompts, near, "<on b still>"));
  prompts->say("");
  CHECK(paused(all["a"].session(id)).state == session_state::completed);
}

TEST_CASE("nodes that do not reach each other have no session both") {
  shared_cluster all{{"a", "b"}};
  all["b"].members.version = 2; // each refuses the other
  all["a"].handover_wait = all["b"].handover_wait = 100ms;
  all["a"].start();
  all["b"].start();
  REQUIRE(all["a"].log.wait_for("refused b"));
  REQUIRE(all["b"].log.wait_for("refused a"));
  REQUIRE(all.have_shares({"a", "b"}));
  std::set<std::string> served;
  for (int number = 0; number < 40; ++number) {
    const auto id = "s" + std::to_string(number);
    CHECK(all["a"].serves(id) != all["b"].serves(id));
    const auto* here = all["a"].serves(id) ? "a" : "b";
    const auto* there = all["a"].serves(id) ? "b" : "a";
    served.insert(here);
    accept(all[here].session(id).send(propose_plan{shop_plan()}));
    CHECK(refusal(all[there].session(id).send(cancel_plan{})) == errc::node_unavailable);
  }
  CHECK(served.size() == 2);
}

TEST_CASE("a second process of a name takes the first one's place") {
  shared_cluster all{{"a", "b"}, short_lease};
  all.start({"a", "b"});
  const auto id = all.session_on("a");
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  const auto again = memory_ownership::join(all.common.table, node_named("a"),
                                            all.common.data->beside(), short_lease);
  REQUIRE(again);
  REQUIRE(all["a"].log.wait_for("replaced"));
  CHECK(all["a"].slots() == 0);
  CHECK(is(all["a"].running->drain(patience), errc::store_busy));
  REQUIRE(all.common.slots.wait_until([&] { return all["b"].slots() == session_slots; }));
  // It forwards what it is told.
  accept(all["a"].session(id).send(tool_result{call(id, 1), "green"}));
}

TEST_CASE("what has no home for longer than it may wait is unavailable, and nothing is done") {
  shared_cluster all{{"a", "b"}, short_lease};
  all["b"].handover_wait = 50ms;
  all.start({"a", "b"});
  const auto id = all.session_on("a");
  all["b"].store->set_reachable(false); // so that it takes nothing over
  all["a"].die();
  REQUIRE(all["b"].log.wait_for("a apart"));
  const auto refused = answer(all["b"].session(id).send(propose_plan{shop_plan()}));
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::node_unavailable));
  // A stream says so as well when its time is up, and else waits for the next home.
  auto stream = all["b"].session(id).follow(1);
  const auto nobody = stream.next(3s);
  REQUIRE_FALSE(nobody);
  CHECK(is(nobody.error(), errc::node_unavailable));
  auto first = std::async(std::launch::async, [&] { return stream.next(patience); });
  auto patient = all["b"].session(id).send(propose_plan{shop_plan()}, send_options{patience});
  all["b"].store->set_reachable(true);
  accept(std::move(patient)); // it has become this node's
  CHECK(all["b"].serves(id));
  CHECK(first.get().value()->number == 1);
}

TEST_CASE("a node with a store of its own and one that shares it refuse each other") {
  shared_cluster all{{"a", "b"}};
  test_node lonely{"b", all.members};
  all["a"].start();
  lonely.start();
  CHECK(all["a"].log.wait_for("refused b: it has a store of its own"));
  CHECK(lonely.log.wait_for("refused a: it shares a store with others"));
  CHECK(is(lonely.running->drain(0ms), errc::not_allowed));
}

TEST_CASE("of nodes that do not share one store, none begins sessions beside one that serves") {
  shared_cluster all{{"a", "b"}};
  shared_data other;
  all["b"].common = &other;
  all["b"].handover_wait = 100ms;
  all["a"].start();
  REQUIRE(all.common.slots.wait_until([&] { return all["a"].slots() == session_slots; }));
  all["b"].start();
  const auto identity = [](const shared_data& of) { return of.table->identity().str(); };
  CHECK(all["a"].running->shared_store().str() == identity(all.common));
  const auto difference = "b has the store " + identity(other) + ", and a the store "
                          + identity(all.common) + ": give all nodes the same database and schema";
  CHECK(all["a"].log.wait_for("refused b: " + difference));
  CHECK(all["b"].log.wait_for("a refused node a refuses this node: " + difference));
  CHECK(all["b"].log.wait_for("refused a: a has the store " + identity(all.common)));
  CHECK(all["a"].log.wait_for("b refused node b refuses this node: a has the store "));
  CHECK(all["b"].log.wait_for("withheld node a refuses this node: " + difference));
  accept(all["a"].session("s").send(propose_plan{shop_plan()}));
  CHECK(refusal(all["b"].session("s").send(propose_plan{shop_plan()})) == errc::node_unavailable);
  CHECK_FALSE(all["b"].store->find(named("s")).value());
  CHECK(all["b"].slots() == 0);
  CHECK(is(all["b"].running->drain(patience), errc::not_allowed));
  // Started anew with the others' store, it has its share.
  all["b"].stop();
  all["b"].common = &all.common;
  all["b"].start();
  CHECK(all.have_shares({"a", "b"}));
}

TEST_CASE("a node of an earlier version, which does not say what store it has, is let in") {
  shared_cluster all{{"a", "b"}};
  all["a"].start();
  caf::actor_system_config config;
  configure(config);
  config.load<caf::io::middleman>();
  config.set("middleman.app-identifiers", std::vector<std::string>{"fermata"});
  caf::actor_system earlier{config};
  const auto gate = earlier.middleman().remote_actor("127.0.0.1", all.members.members[0].port);
  REQUIRE(gate);
  caf::scoped_actor self{earlier};
  node_hello hello;
  hello.software = "0";
  hello.name = node_named("b");
  hello.members = all.members;
  hello.shares_store = true;
  hello.store = store_identity{1, 2};
  std::string heard;
  const auto greet = [&] {
    self->request(*gate, patience, hello, caf::actor_cast<caf::actor>(self))
        .receive([&](const node_hello& answer) { heard = answer.store.str(); },
                 [&](const caf::error& why) { heard = message_of(why); });
  };
  greet();
  CHECK(mentions(heard, "b has the store 00000000000000010000000000000002, and a the store "));
  hello.store = {};
  greet();
  CHECK(heard == all.common.table->identity().str());
}

TEST_CASE("an ownership under another name than the node's is refused") {
  shared_data common;
  cluster_options net;
  net.members = members_named({"a", "b"});
  net.name = node_named("a");
  net.ownership = std::move(
      *memory_ownership::join(common.table, node_named("b"), common.data->beside(), long_lease));
  CHECK(mentions(message_of(check(net)), "it was joined as \"b\", and the node is a"));
  net.ownership.reset();
  net.handover_wait = -1ms;
  CHECK(mentions(message_of(check(net)), "handover_wait are 0 milliseconds or more"));
}

} // namespace shared_store_test
