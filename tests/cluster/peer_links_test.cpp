// What a node asks of others, in virtual time: the other nodes' gates are actors of the test.

#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/messages/type_ids.hpp>

#include <fermata/actors/coro/frames.hpp>
#include <fermata/actors/runtime.hpp>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <fermata_catch.hpp>
#include <testing_config.hpp>

#include <algorithm>
#include <map>

namespace peer_links_test {

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

node_name node(std::string_view text) {
  return *node_name::parse(text);
}

member_list two() {
  member_list list;
  list.cluster = node("shop");
  list.members.emplace_back(node("a"), "localhost", std::uint16_t{1});
  list.members.emplace_back(node("b"), "localhost", std::uint16_t{2});
  return list;
}

/// A session that lives on b.
session_id session_on_b(int which = 0) {
  for (int number = 0;; ++number) {
    auto id = *session_id::parse("s" + std::to_string(number));
    if (fermata::home_of(two(), id).name == node("b") && which-- == 0)
      return id;
  }
}

/// What the gate of b does.
struct gate_script {
  bool greets = true;
  caf::error refusal;
  bool beats = true;
  bool answers = true;
  int moved = 0; ///< So many commands are for sessions that it has no more.
  std::vector<std::string> got;
  std::vector<caf::response_promise> held;
};

/// Runs in the gate, as only it may keep its promises.
using in_gate = std::function<void()>;

} // namespace

} // namespace peer_links_test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(peer_links_test::in_gate)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caf::response_promise)

namespace peer_links_test {

namespace {

caf::behavior fake_gate(caf::event_based_actor* self, std::shared_ptr<gate_script> script) {
  const auto hold = [self, script](auto) {
    script->held.push_back(self->make_response_promise());
    return script->held.back();
  };
  return {
      [](const in_gate& what) { what(); },
      [self, script](const node_hello& hello, const caf::actor&) {
        auto promise = self->make_response_promise();
        auto answer = hello;
        answer.name = node("b");
        if (!script->greets)
          script->held.push_back(promise);
        else if (script->refusal)
          promise.deliver(script->refusal);
        else
          promise.deliver(answer);
      },
      [self, script](const session_command& what) {
        script->got.push_back(what.session.str());
        auto promise = self->make_response_promise();
        receipt done;
        done.session = what.session;
        if (script->moved > 0 && script->moved-- > 0)
          promise.deliver(make_error(errc::node_unavailable, "it does not live here"));
        else if (script->answers)
          promise.deliver(done);
        else
          script->held.push_back(promise);
      },
      [hold](const follow_chunks& what) { return hold(what); },
      [script](const unfollow_chunks& what) {
        script->got.push_back("unfollow " + std::to_string(what.reader));
      },
      [hold, script](const listen_live& what) {
        script->got.push_back("listen " + std::to_string(what.reader));
        return hold(what);
      },
      [script](const unlisten_live& what) {
        script->got.push_back("unlisten " + std::to_string(what.reader));
      },
      [script](const live_taken& what) {
        script->got.push_back("taken " + std::to_string(what.updates) + " of "
                              + std::to_string(what.size_bytes));
      },
      [hold](const std::string& what) { return hold(what); },
      [hold, script](next_piece what) {
        script->got.push_back("next of " + std::to_string(what.number));
        return hold(what);
      },
      [self, script](atoms::beat_atom beat) {
        script->got.push_back("beat");
        auto promise = self->make_response_promise();
        if (script->beats)
          promise.deliver(caf::atom_value{beat});
        else
          script->held.push_back(promise);
      },
  };
}

class standing_clock final : public wall_clock {
public:
  timestamp now() override { return {}; }
};

/// The directory of a, where nodes share a store.
caf::behavior fake_directory(caf::event_based_actor* self, std::shared_ptr<gate_script> script) {
  return {
      [self, script](delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        script->got.push_back("delivery");
        message->answer(receipt{});
      },
      [script](const session_command& what) {
        script->got.push_back(what.session.str());
        return receipt{};
      },
      [script](const follow_chunks&) {
        script->got.push_back("follow");
        return chunk_batch{};
      },
      [self, script](const listen_live& what) {
        script->got.push_back("listen " + std::to_string(what.reader));
        script->held.push_back(self->make_response_promise());
        return script->held.back();
      },
      [](const unlisten_live&) {},
  };
}

/// Node a, whose only peer is b.
class world {
public:
  explicit world(std::size_t max_errands = 100, bool shares_store = false,
                 std::chrono::milliseconds handover_wait = 2s) {
    if (shares_store)
      homes = std::make_shared<slot_map>(node("a"), two(), std::make_shared<standing_clock>());
    link_options options;
    options.hello.name = node("a");
    options.hello.members = two();
    options.timing.first_retry = 1s;
    options.timing.longest_retry = 1s;
    options.timing.refused_retry = 1s;
    options.timing.heartbeat = 2s;
    options.timing.idle_heartbeat = 0ms;
    options.timing.silence = 6s;
    options.max_errands = max_errands;
    options.board = board;
    options.counters = counters;
    options.homes = homes;
    options.handover_wait = handover_wait;
    options.on_contact = [this](const peer_report& report) {
      contacts.push_back(enum_name(report.state));
      if (throws)
        throw std::runtime_error{"an observer's defect"};
    };
    options.dialer = [this](caf::event_based_actor* owner) {
      return owner->spawn<caf::linked>([this](caf::event_based_actor* self) -> caf::behavior {
        return {[this, self](const cluster_member&) {
                  auto promise = self->make_response_promise();
                  ++dials;
                  if (dial_takes > 0ms)
                    self->delayed_send(self, dial_takes, promise);
                  else if (gate)
                    promise.deliver(gate);
                  else
                    promise.deliver(make_error(errc::node_unavailable, "Connection refused"));
                },
                [](caf::response_promise promise) {
                  promise.deliver(make_error(errc::node_unavailable, "Connection refused"));
                }};
      });
    };
    links = system.spawn(peer_links_actor, std::move(options));
    own_gate = system.spawn(fake_gate, std::make_shared<gate_script>());
    directory = system.spawn(fake_directory, here);
    keeper = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](look_at_slots) { ++looks; }};
    });
  }
  ~world() {
    script->held.clear();
    here->held.clear();
    caf::anon_send(links, close_down{});
    stop_gate();
    links = {};
    own_gate = {};
    directory = {};
    keeper = {};
    run();
    CHECK(coro::live_frames() == 0);
    CHECK(system.registry().running() == 0);
  }

  void start_gate() { gate = system.spawn(fake_gate, script); }
  void stop_gate() {
    if (gate)
      caf::anon_send_exit(std::exchange(gate, {}), caf::exit_reason::kill);
    run();
  }
  /// The gate keeps a promise that it holds.
  template <class T>
  void keep(std::size_t which, T value) {
    caf::anon_send(gate,
                   in_gate{[to = script, which, value] { to->held.at(which).deliver(value); }});
    run();
  }
  void open() {
    open_links own{own_gate};
    if (homes) {
      own.directory = directory;
      own.keeper = keeper;
    }
    caf::anon_send(links, std::move(own));
    run();
  }
  /// The keeper has looked: the session of `session_on_b` has this owner.
  void show_owner(std::string_view name) {
    set_owner(name);
    caf::anon_send(links, fermata::detail::homes_changed{});
    run();
  }
  /// The same before the links are told.
  void set_owner(std::string_view name) {
    const auto slot = slot_of(session_on_b());
    ownership_table table;
    table.slots.resize(session_slots);
    table.slots[slot].node = node(name);
    table.slots[slot].has_lease = true;
    homes->show(table);
    slot_set served;
    served.set(slot);
    if (name == "a")
      homes->serve(served);
    else
      homes->withdraw(served);
  }
  void run() { scheduler().run(); }
  void advance(caf::timespan duration) {
    scheduler().advance_time(duration);
    run();
  }
  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }

  /// Sends a command to a session of b; where its answer goes to.
  std::shared_ptr<std::optional<result<receipt>>> send(std::chrono::milliseconds patience = 0ms) {
    auto answered = std::make_shared<std::optional<result<receipt>>>();
    auto message = std::make_shared<delivery>();
    message->session = session_on_b();
    message->body = command{cancel_plan{}};
    message->wait_for_node = patience;
    message->answer =
        reply{[answered](result<receipt> given) { *answered = std::move(given); }, admission{}};
    caf::anon_send(links, std::move(message));
    run();
    return answered;
  }

  std::shared_ptr<std::optional<result<chunk_batch>>>
  follow(std::weak_ptr<follow_inquiry::element_type>* asked = nullptr) {
    auto answered = std::make_shared<std::optional<result<chunk_batch>>>();
    auto what = std::make_shared<follow_inquiry::element_type>(
        follow_chunks{session_on_b(), 1}, 0ms,
        [answered](result<chunk_batch> given) { *answered = std::move(given); });
    if (asked != nullptr)
      *asked = what;
    caf::anon_send(links, std::move(what));
    run();
    return answered;
  }

  /// Somebody listens to the session of b; what he hears is added to `heard`.
  live_ear_ptr listen() {
    auto ear = std::make_shared<live_ear>(
        session_on_b(),
        [this](const live_update& update) { heard += update.content.get<std::string>() + " "; },
        [this](std::uint64_t count) { heard += "lost" + std::to_string(count) + " "; });
    caf::anon_send(links, ear);
    run();
    return ear;
  }
  void stop_listening(const live_ear_ptr& ear) {
    ear->close();
    caf::anon_send(links, ear);
    run();
  }
  /// As the session's node does.
  void say(std::uint64_t reader, const std::string& part, std::uint64_t dropped = 0) {
    live_batch batch;
    batch.session = session_on_b();
    batch.reader = reader;
    batch.dropped = dropped;
    batch.size_bytes = part.size();
    batch.updates.emplace_back().content = part;
    caf::anon_send(links, std::move(batch));
    run();
  }

  std::string state() const { return enum_name(board->reports().at(0).state); }

  test::testing_config config;
  caf::actor_system system{config};
  std::shared_ptr<gate_script> script = std::make_shared<gate_script>();
  std::shared_ptr<contact_board> board = std::make_shared<contact_board>();
  std::shared_ptr<link_counters> counters = std::make_shared<link_counters>();
  std::vector<std::string> contacts;
  std::string heard; ///< By all who listen.
  bool throws = false;
  int dials = 0;
  std::chrono::milliseconds dial_takes{0}; ///< More than 0: and then it fails.
  std::shared_ptr<slot_map> homes;         ///< Null: an LMDB cluster.
  std::shared_ptr<gate_script> here = std::make_shared<gate_script>(); ///< Of the directory.
  int looks = 0; ///< That the keeper was asked for.
  caf::actor gate;
  caf::actor own_gate;
  caf::actor directory;
  caf::actor keeper;
  caf::actor links;
};

template <class T>
std::string said(const std::shared_ptr<std::optional<result<T>>>& answer) {
  if (!*answer)
    return "nothing";
  return **answer ? "value" : std::string{name_of(code_of((*answer)->error()))};
}

} // namespace

TEST_CASE("a command goes to the node of its session, and the receipt comes back") {
  world w;
  w.start_gate();
  w.open();
  CHECK(w.state() == "connected");
  const auto answer = w.send();
  REQUIRE(said(answer) == "value");
  CHECK((*answer)->value().session == session_on_b());
  CHECK(w.contacts == std::vector<std::string>{"connected"});
}

TEST_CASE("a node that has another store is refused and told of as such, until it has this one") {
  world w{100, true};
  w.script->refusal = make_error(errc::other_store, "node b refuses this node: it has another");
  w.start_gate();
  w.open();
  CHECK(w.state() == "refused");
  auto report = w.board->reports().at(0);
  CHECK(report.has_other_store);
  CHECK(report.reason == "node b refuses this node: it has another");
  w.script->refusal = make_error(errc::peer_refused, "the member lists differ");
  w.advance(1s);
  CHECK(w.state() == "refused");
  CHECK_FALSE(w.board->reports().at(0).has_other_store);
  w.script->refusal = {};
  w.advance(1s);
  CHECK(w.state() == "connected");
  CHECK_FALSE(w.board->reports().at(0).has_other_store);
}

TEST_CASE("what comes during the first attempt waits for its end") {
  world w;
  SECTION("which succeeds") {
    w.start_gate();
    w.script->greets = false;
    w.open();
    const auto answer = w.send();
    CHECK(said(answer) == "nothing");
    node_hello hello;
    hello.name = node("b");
    w.keep(0, hello);
    CHECK(said(answer) == "value");
  }
  SECTION("which fails") {
    w.dial_takes = 1s;
    w.open();
    const auto answer = w.send();
    w.advance(999ms);
    CHECK(said(answer) == "nothing");
    w.advance(1ms);
    CHECK(said(answer) == "node_unavailable");
    CHECK(message_of((*answer)->error()).find("Connection refused") != std::string::npos);
  }
  SECTION("which takes too long") {
    w.start_gate();
    w.script->greets = false;
    w.open();
    const auto answer = w.send();
    w.advance(4'999ms);
    CHECK(said(answer) == "nothing");
    w.advance(1ms);
    CHECK(said(answer) == "node_unavailable");
  }
}

TEST_CASE("a node that is down is unavailable at once, and later for those who wait") {
  world w;
  w.open();
  CHECK(w.state() == "apart");
  const auto hasty = w.send();
  const auto brief = w.send(500ms);
  const auto patient = w.send(1h);
  CHECK(said(hasty) == "node_unavailable");
  w.advance(499ms);
  CHECK(said(brief) == "nothing");
  w.advance(1ms);
  CHECK(said(brief) == "node_unavailable");
  CHECK(w.script->got.empty());
  w.start_gate();
  w.advance(500ms); // the next attempt
  CHECK(w.state() == "connected");
  CHECK(said(patient) == "value");
  CHECK(w.script->got == std::vector<std::string>{session_on_b().str()});
}

TEST_CASE("a command that a lost node had may have been carried out") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.open();
  const auto answer = w.send();
  const auto read = w.follow();
  CHECK(said(answer) == "nothing");
  SECTION("one that died") {
    w.stop_gate();
    CHECK(w.state() == "apart");
  }
  SECTION("one that is frozen") {
    w.script->beats = false;
    w.advance(2s);
    w.advance(5'999ms);
    CHECK(said(answer) == "nothing");
    w.advance(1ms);
    CHECK(w.state() == "silent");
  }
  CHECK(said(answer) == "timed_out");
  CHECK(said(read) == "node_unavailable");
  CHECK(said(w.send()) == "node_unavailable");
  CHECK(w.script->got.front() == session_on_b().str());
}

TEST_CASE("a node that thaws is connected again, and takes what has waited for it") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.script->beats = false;
  w.open();
  const auto lost = w.send();
  w.advance(2s);
  w.advance(6s);
  REQUIRE(w.state() == "silent");
  w.script->answers = true;
  const auto patient = w.send(1h);
  CHECK(said(patient) == "nothing");
  // What it says when it thaws: first the answer that nobody waits for, then the sign of life.
  receipt late;
  w.keep(0, late);
  w.keep(1, caf::atom_value{atoms::beat_atom_v});
  CHECK(w.state() == "connected");
  CHECK(said(lost) == "timed_out");
  CHECK(said(patient) == "value");
}

TEST_CASE("a silent node is asked again and again, with one question at a time") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.script->beats = false;
  w.open();
  static_cast<void>(w.send());
  w.advance(2s);
  for (int i = 0; i < 10; ++i)
    w.advance(6s);
  REQUIRE(w.state() == "silent");
  CHECK(w.script->held.size() >= 10);
  CHECK(coro::live_frames() == 1); // the last heartbeat's
  // An answer to one that counts no more is no sign of life; the last one's is.
  w.keep(1, caf::atom_value{atoms::beat_atom_v});
  CHECK(w.state() == "silent");
  w.keep(w.script->held.size() - 1, caf::atom_value{atoms::beat_atom_v});
  CHECK(w.state() == "connected");
}

TEST_CASE("a node that is asked nothing is not asked for signs of life either") {
  world w;
  w.start_gate();
  w.open();
  w.send();
  w.script->got.clear();
  w.advance(24h);
  CHECK(w.script->got.empty());
}

TEST_CASE("a node that answers at once is asked for nothing else, however long it was quiet") {
  world w;
  w.start_gate();
  w.open();
  w.advance(1h);
  CHECK(said(w.send()) == "value");
  CHECK(w.script->got == std::vector<std::string>{session_on_b().str()});
}

TEST_CASE("a connection that is lost is made anew") {
  world w;
  w.start_gate();
  w.open();
  w.stop_gate();
  CHECK(w.state() == "apart");
  CHECK(w.counters->lost == 1);
  w.advance(1s);
  w.advance(1s);
  CHECK(w.dials == 3);
  CHECK(w.counters->lost == 1);
  w.start_gate();
  caf::anon_send(w.links, node("b"), w.gate); // it has connected by itself
  w.run();
  CHECK(w.state() == "connected");
  // Apart because it was lost, and then because nobody is there.
  CHECK(w.contacts == std::vector<std::string>{"connected", "apart", "apart", "connected"});
}

TEST_CASE("a node that refuses this one is told of with its reason, once") {
  world w;
  w.start_gate();
  w.script->refusal = make_error(errc::peer_refused, "the member lists differ");
  w.open();
  CHECK(w.state() == "refused");
  CHECK(w.board->reports().at(0).reason == "the member lists differ");
  const auto answer = w.send();
  CHECK(said(answer) == "node_unavailable");
  CHECK(message_of((*answer)->error()).find("the member lists differ") != std::string::npos);
  w.advance(1s);
  w.advance(1s);
  CHECK(w.dials == 3);
  CHECK(w.contacts == std::vector<std::string>{"refused"});
  w.script->refusal = {};
  w.advance(1s);
  CHECK(w.state() == "connected");
}

TEST_CASE("more errands than may be are overloaded") {
  world w{3};
  w.start_gate();
  w.script->answers = false;
  w.open();
  std::vector<std::shared_ptr<std::optional<result<receipt>>>> sent;
  for (int i = 0; i < 4; ++i)
    sent.push_back(w.send());
  CHECK(said(sent[2]) == "nothing");
  CHECK(said(sent[3]) == "overloaded");
  receipt done;
  w.keep(1, done);
  CHECK(said(sent[1]) == "value");
  CHECK(said(w.send()) == "nothing");
}

TEST_CASE("a reader that goes away is forgotten here and there") {
  world w{1};
  w.start_gate();
  w.open();
  std::weak_ptr<follow_inquiry::element_type> asked;
  const auto read = w.follow(&asked);
  CHECK(said(read) == "nothing");
  CHECK(said(w.follow()) == "overloaded");
  CHECK(said(w.send()) == "value"); // readers take no command's place
  w.script->got.clear();
  caf::anon_send(w.links, abandoned{asked});
  w.run();
  CHECK(w.script->got == std::vector<std::string>{"unfollow 1"});
  w.keep(0, chunk_batch{}); // as the directory of b does
  CHECK(said(read) == "value");
  CHECK(asked.expired());
  CHECK(said(w.follow()) == "nothing");
}

TEST_CASE("those who listen to a session share what its node sends, as long as one does") {
  world w;
  w.start_gate();
  w.open();
  const auto first = w.listen();
  const auto second = w.listen();
  CHECK(w.script->got == std::vector<std::string>{"listen 1"});
  CHECK(w.counters->readings == 1);
  w.say(1, "both");
  CHECK(w.heard == "both both ");
  w.stop_listening(first);
  w.say(1, "one", 3);
  CHECK(w.heard == "both both lost3 one ");
  w.stop_listening(second);
  CHECK(w.script->got.back() == "unlisten 1");
  w.say(1, "nobody");
  w.keep(0, live_batch{}); // as the directory of b does
  CHECK(w.counters->readings == 0);
  // Who listens anew hears nothing of before.
  const auto third = w.listen();
  CHECK(w.script->got.back() == "listen 2");
  w.say(1, "late");
  CHECK(w.heard == "both both lost3 one ");
  w.stop_listening(third);
}

TEST_CASE("a node is told what was taken of its live updates, not of each alone") {
  world w;
  w.start_gate();
  w.open();
  const auto ear = w.listen();
  for (std::uint64_t i = 0; i < listen_live::max_updates / 2; ++i)
    w.say(1, "x");
  CHECK(w.script->got == std::vector<std::string>{"listen 1", "taken 16 of 16", "taken 16 of 16"});
  w.say(1, std::string(listen_live::max_size_bytes, 'x'));
  CHECK(w.script->got.back() == "taken 1 of 262144");
  w.stop_listening(ear);
}

TEST_CASE("who listens is not left alone by a node that was lost, or said that it is over") {
  world w;
  w.start_gate();
  w.open();
  const auto ear = w.listen();
  w.keep(0, live_batch{});
  CHECK(w.script->got == std::vector<std::string>{"listen 1"});
  w.advance(1s);
  CHECK(w.script->got == std::vector<std::string>{"listen 1", "listen 2"});
  w.stop_gate();
  CHECK(w.counters->readings == 0);
  w.say(2, "of the lost one");
  w.advance(1s);
  w.start_gate();
  w.advance(1s);
  CHECK(w.state() == "connected");
  CHECK(w.script->got.back() == "listen 3");
  w.say(3, "again");
  CHECK(w.heard == "again ");
  SECTION("as long as he listens") {
    w.stop_listening(ear);
    CHECK(w.script->got.back() == "unlisten 3");
  }
  SECTION("which he need not have heard of") {
    w.stop_gate();
    w.stop_listening(ear);
    w.advance(1min);
    CHECK(w.counters->readings == 0);
  }
}

TEST_CASE("a session that moves is listened to where it goes") {
  world w{100, true};
  w.start_gate();
  w.show_owner("b");
  w.open();
  const auto ear = w.listen();
  w.say(1, "there");
  w.keep(0, make_error(errc::node_unavailable, "it has moved"));
  CHECK(w.here->got.empty());
  w.advance(1min);
  w.show_owner("a");
  CHECK(w.here->got == std::vector<std::string>{"listen 1"});
  w.say(1, "here");
  CHECK(w.heard == "there here ");
  w.stop_listening(ear);
}

TEST_CASE("nobody reads on at a node that does not know that the session has moved") {
  world w{100, true};
  w.start_gate();
  w.show_owner("b");
  w.open();
  const auto ear = w.listen();
  const auto read = w.follow();
  CHECK(said(read) == "nothing");
  w.show_owner("a");
  CHECK(w.script->got == std::vector<std::string>{"listen 1", "unfollow 2", "unlisten 1"});
  CHECK(w.here->got == std::vector<std::string>{"listen 1", "follow"});
  CHECK(said(read) == "value");
  w.say(1, "here");
  CHECK(w.heard == "here ");
  w.keep(0, make_error(errc::node_unavailable, "too late")); // which was called back
  w.advance(1min);
  CHECK(w.here->got == std::vector<std::string>{"listen 1", "follow"});
  w.stop_listening(ear);
}

TEST_CASE("an answer comes in pieces, each asked for when the one before is here") {
  world w;
  w.start_gate();
  w.open();
  std::optional<result<std::string>> answered;
  caf::anon_send(w.links, std::make_shared<request_inquiry::element_type>(
                              host_request{node("b"), "what?"}, 0ms,
                              [&](result<std::string> given) { answered = std::move(given); }));
  w.run();
  answer_piece piece;
  piece.number = 7;
  piece.bytes = "one ";
  piece.left_bytes = 6;
  w.keep(0, piece);
  CHECK_FALSE(answered);
  CHECK(w.script->got == std::vector<std::string>{"next of 7"});
  // A heartbeat stands behind no more than one of them.
  w.advance(2s);
  CHECK(w.script->got.back() == "beat");
  CHECK(said(w.send()) == "value");
  SECTION("until it has all") {
    piece.bytes = "two ";
    piece.left_bytes = 2;
    w.keep(1, piece);
    piece.bytes = "3.";
    piece.left_bytes = 0;
    w.keep(2, piece);
    REQUIRE(answered);
    CHECK(answered->value() == "one two 3.");
    CHECK(w.counters->errands == 0);
  }
  SECTION("until the node is lost") {
    w.stop_gate();
    REQUIRE(answered);
    CHECK(is(answered->error(), errc::node_unavailable));
  }
}

TEST_CASE("a question that is given up leaves nothing behind, wherever it is") {
  world w{1};
  w.open();
  int answers = 0;
  const auto ask = [&](bool is_given_up_before) {
    auto asked = std::make_shared<status_inquiry::element_type>(
        status_query{session_on_b()}, 1h, [&](const result<session_status>&) { ++answers; });
    if (is_given_up_before)
      asked->abandon();
    const std::weak_ptr<any_inquiry> known{asked};
    caf::anon_send(w.links, std::move(asked));
    caf::anon_send(w.links, abandoned{known});
    w.run();
    CHECK(known.expired());
  };
  ask(false);
  ask(true);
  CHECK(answers == 2);
  CHECK(said(w.send(1h)) == "nothing"); // there is room for it
}

TEST_CASE("before the node is open to others, what is asked of them is refused") {
  world w;
  CHECK(said(w.send()) == "shutting_down");
  CHECK(said(w.send(1h)) == "shutting_down");
}

TEST_CASE("who waits for ever arms no timer that reaches far") {
  world w;
  w.open();
  const auto answer = w.send(std::chrono::milliseconds::max());
  for (int i = 0; i < 300; ++i)
    w.advance(1s); // an attempt each
  CHECK(said(answer) == "nothing");
  CHECK(w.scheduler().clock().schedule().size() < 100);
}

TEST_CASE("a gate that does not know this node any more is greeted again") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.open();
  const auto answer = w.send();
  w.script->beats = false;
  w.advance(2s);
  w.keep(1, make_error(errc::peer_refused, "takes nothing from who has not greeted it"));
  CHECK(w.state() == "apart");
  CHECK(said(answer) == "timed_out");
  w.advance(1s);
  CHECK(w.state() == "connected");
}

TEST_CASE("a command that such a gate does not take is not done, which its sender is told") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.open();
  const auto answer = w.send();
  w.keep(0, make_error(errc::peer_refused, "takes nothing from who has not greeted it"));
  CHECK(said(answer) == "node_unavailable");
  CHECK(w.state() == "apart");
  w.script->answers = true;
  w.advance(1s);
  CHECK(w.state() == "connected");
  CHECK(said(w.send()) == "value");
}

TEST_CASE("of a greeting whose connection is lost nothing stays") {
  world w;
  w.start_gate();
  w.script->greets = false;
  w.open();
  CHECK(coro::live_frames() == 1);
  w.stop_gate();
  CHECK(coro::live_frames() == 0);
  CHECK(w.counters->lost == 0); // it never was a contact
}

TEST_CASE("nodes that greet each other again and again hear the answers all the same") {
  world w;
  w.start_gate();
  w.script->greets = false;
  w.open();
  for (int i = 0; i < 3; ++i) {
    caf::anon_send(w.links, node("b"), w.gate); // it has greeted
    w.run();
  }
  node_hello hello;
  hello.name = node("b");
  w.keep(0, hello);
  CHECK(w.state() == "connected");
}

TEST_CASE("a greeting without an answer is given up, and the node tried again") {
  world w;
  w.start_gate();
  w.script->greets = false;
  w.open();
  w.advance(5s);
  CHECK(w.state() == "apart");
  w.script->greets = true;
  w.advance(1s);
  CHECK(w.state() == "connected");
}

TEST_CASE("a node that stops waits for no attempt to connect") {
  world w; // which sees that no actor survives
  w.dial_takes = 1h;
  w.open();
  CHECK(w.dials == 1);
}

TEST_CASE("what an observer of contacts throws ends nothing") {
  world w;
  w.throws = true;
  w.start_gate();
  w.open();
  CHECK(said(w.send()) == "value");
}

TEST_CASE("a node that stops answers whoever waits") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.open();
  const auto under_way = w.send();
  w.stop_gate();
  CHECK(said(under_way) == "timed_out");
  const auto waiting = w.send(1h);
  caf::anon_send(w.links, close_down{});
  w.run();
  CHECK(said(waiting) == "shutting_down");
  CHECK(said(w.send()) == "shutting_down");
}

TEST_CASE("a node that stops does not say that nothing was done where another one has a command") {
  world w;
  w.start_gate();
  w.script->answers = false;
  w.open();
  const auto command = w.send();
  const auto read = w.follow();
  caf::anon_send(w.links, close_down{});
  w.run();
  CHECK(said(command) == "timed_out");
  CHECK(said(read) == "shutting_down");
}

// -- where nodes share a store

TEST_CASE("what is for a session that no node has waits until one has it") {
  world w{100, true};
  w.start_gate();
  w.open();
  const auto answer = w.send();
  const auto read = w.follow();
  w.advance(1'999ms);
  CHECK(said(answer) == "nothing");
  SECTION("another one") {
    w.show_owner("b");
    CHECK(said(answer) == "value");
    CHECK(w.script->held.size() == 1); // the reader's question
  }
  SECTION("this one") {
    w.show_owner("a");
    CHECK(said(answer) == "value");
    CHECK(said(read) == "value");
    CHECK(w.here->got == std::vector<std::string>{session_on_b().str(), "follow"});
  }
  SECTION("but not for ever") {
    const auto patient = w.send(1h);
    w.advance(1ms);
    CHECK(said(answer) == "node_unavailable");
    CHECK(said(read) == "node_unavailable");
    CHECK(message_of((*answer)->error()).find("no node has session") != std::string::npos);
    w.advance(59min);
    CHECK(said(patient) == "nothing");
    w.show_owner("b");
    CHECK(said(patient) == "value");
  }
}

TEST_CASE("what a node says that it has no more is asked again when homes were looked at") {
  world w{100, true};
  w.start_gate();
  w.show_owner("b");
  w.open();
  w.script->moved = 2;
  const auto answer = w.send();
  CHECK(said(answer) == "nothing");
  CHECK(w.looks == 1);
  w.show_owner("b"); // which has not acquired it yet
  CHECK(said(answer) == "nothing");
  CHECK(w.looks == 2);
  SECTION("there or elsewhere") {
    w.show_owner("a");
    CHECK(said(answer) == "value");
    CHECK(w.script->got.size() == 2);
  }
  SECTION("as long as it may wait") {
    w.script->moved = 1'000;
    for (int i = 0; i < 19; ++i) {
      w.advance(100ms);
      w.show_owner("b");
    }
    CHECK(said(answer) == "nothing");
    w.advance(100ms);
    CHECK(said(answer) == "node_unavailable");
  }
}

TEST_CASE("a command waits no longer than it may, however often it is refused") {
  const auto handover_wait = GENERATE(0ms, 100ms);
  world w{100, true, handover_wait};
  w.start_gate();
  w.show_owner("b");
  w.open();
  w.script->answers = false;
  const auto answer = w.send(5s);
  SECTION("at once") {
    w.script->moved = 1'000;
    w.keep(0, make_error(errc::node_unavailable, "it has moved"));
    for (int i = 0; i < 49; ++i) {
      w.advance(100ms);
      w.show_owner("b");
    }
  }
  SECTION("or late, after which it begins to wait anew once") {
    w.advance(2s);
    w.keep(0, make_error(errc::node_unavailable, "it has moved"));
    w.advance(3s);
    w.show_owner("b");
    w.advance(1'900ms);
    CHECK(said(answer) == "nothing");
    w.keep(1, make_error(errc::node_unavailable, "it has moved"));
  }
  CHECK(said(answer) == "nothing");
  w.advance(100ms);
  CHECK(said(answer) == "node_unavailable");
}

TEST_CASE("a command comes behind those that waited for the home of its session") {
  world w{100, true};
  w.start_gate();
  w.open();
  const auto first = w.send();
  SECTION("on another node") {
    w.set_owner("b");
  }
  SECTION("on this one") {
    w.set_owner("a");
  }
  const auto second = w.send(1s);
  CHECK(said(second) == "nothing");
  CHECK(w.script->got.empty());
  CHECK(w.here->got.empty());
  caf::anon_send(w.links, fermata::detail::homes_changed{});
  w.run();
  CHECK(said(first) == "value");
  CHECK(said(second) == "value");
  CHECK(w.script->got.size() + w.here->got.size() == 2);
  CHECK(w.counters->errands == 0);
}

TEST_CASE("in an LMDB cluster nothing is asked twice") {
  world w;
  w.start_gate();
  w.open();
  w.script->moved = 1;
  CHECK(said(w.send()) == "node_unavailable");
}

TEST_CASE("what waits for a lost node goes to the next home of its session") {
  world w{100, true};
  w.show_owner("b");
  w.open();
  CHECK(w.state() == "apart");
  CHECK(said(w.send()) == "node_unavailable");
  const auto patient = w.send(1h);
  w.advance(30s);
  CHECK(said(patient) == "nothing");
  w.show_owner("a");
  CHECK(said(patient) == "value");
  CHECK(w.counters->errands == 0);
}

TEST_CASE("a command for a session that lives here goes back to the directory as it is") {
  world w{100, true};
  w.open();
  w.show_owner("a");
  CHECK(said(w.send()) == "value");
  CHECK(w.here->got == std::vector<std::string>{"delivery"});
}

TEST_CASE("a reader is asked for where its session moves, however long it has waited") {
  world w{100, true};
  w.start_gate();
  w.show_owner("b");
  w.open();
  std::weak_ptr<follow_inquiry::element_type> asked;
  const auto read = w.follow(&asked);
  w.advance(2s);
  w.advance(1min);
  CHECK(said(read) == "nothing");
  SECTION("unless it has gone away") {
    caf::anon_send(w.links, abandoned{asked});
    w.run();
    w.keep(0, make_error(errc::node_unavailable, "it has moved"));
    CHECK(said(read) == "node_unavailable");
    CHECK(asked.expired());
  }
  SECTION("whose new home is not known yet") {
    w.keep(0, make_error(errc::node_unavailable, "it has moved"));
    CHECK(said(read) == "nothing");
    w.advance(1s);
    w.show_owner("a");
    CHECK(said(read) == "value");
  }
}

TEST_CASE("the keeper looks when a node is lost, which may have given its slots back") {
  world w{100, true};
  w.start_gate();
  w.open();
  const auto before = w.looks;
  w.stop_gate();
  CHECK(w.looks == before + 1);
}

} // namespace peer_links_test
