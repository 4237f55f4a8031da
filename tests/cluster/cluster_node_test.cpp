// Nodes of an LMDB cluster as a host uses them: real threads, stores and sockets.

#include "support.hpp"

#include <fermata/messages/type_ids.hpp>

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>

namespace cluster_node_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::string why(const result<receipt>& answer) {
  return answer ? "accepted" : message_of(answer.error());
}

} // namespace

TEST_CASE("any node takes any command, and each session is stored on its own node alone") {
  test_cluster all{{"a", "b", "c"}};
  all.start();
  for (int number = 0; number < 12; ++number) {
    const auto id = "s" + std::to_string(number);
    CAPTURE(id);
    const auto from_a = all["a"].session(id);
    const auto from_b = all["b"].session(id);
    const auto from_c = all["c"].session(id);
    CHECK(accept(from_a.send(propose_plan{shop_plan()})).session == named(id));
    CHECK(paused(from_b).state == session_state::waiting);
    CHECK(accept(from_c.send(tool_result{call(id, 1), "green"})).kind == receipt_kind::accepted);
    CHECK(accept(from_b.send(tool_result{call(id, 1), "green"})).kind == receipt_kind::duplicate);
    CHECK(refusal(from_a.send(tool_result{call(id, 1), "black"})) == errc::already_answered);
    CHECK(paused(from_a).state == session_state::completed);
    CHECK(from_a.status().value() == from_c.status().value());
    for (const auto& [name, one] : all.nodes)
      CHECK(one.has(id) == (&one == &all.home_of(id)));
  }
}

TEST_CASE("an error is the same from each node") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto here = all.session_on("a");
  accept(all["a"].session(here).send(propose_plan{shop_plan()}));
  static_cast<void>(paused(all["a"].session(here)));
  retry_subtask retry;
  retry.subtask = subtask_id::parse("nobody").value();
  for (const auto& body : {command{propose_plan{shop_plan()}}, command{retry},
                           command{tool_result{call(here, 7), "green"}}}) {
    const auto near = answer(all["a"].session(here).send(body));
    const auto far = answer(all["b"].session(here).send(body));
    CHECK_FALSE(near);
    CHECK(why(near) == why(far));
    CHECK(code_of(near.error()) == code_of(far.error()));
  }
  const auto unknown = all.session_on("a", 1);
  CHECK(message_of(all["a"].session(unknown).status().error())
        == message_of(all["b"].session(unknown).status().error()));
  CHECK(is(all["b"].session(unknown).status().error(), errc::unknown_session));
  CHECK(refusal(all["b"].session(unknown).wake()) == errc::unknown_session);
}

TEST_CASE("a stream of a session on another node has its events in order, also before it exists") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  auto stream = all["a"].session(id).follow(1);
  CHECK_FALSE(stream.next(0ms).value());
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  accept(all["a"].session(id).send(tool_result{call(id, 1), "green"}));
  const auto last = paused(all["b"].session(id)).events;
  auto near = all["b"].session(id).follow(1);
  for (std::uint64_t number = 1; number <= last; ++number) {
    const auto here = near.next(patience).value();
    const auto there = stream.next(patience).value();
    REQUIRE(there);
    CHECK(there->number == number);
    CHECK(*there == *here);
  }
  CHECK(stream.position() == last + 1);
  CHECK_FALSE(stream.next(0ms).value());
  SECTION("and goes on from a number") {
    auto rest = all["a"].session(id).follow(last);
    CHECK(rest.next(patience).value()->number == last);
  }
  SECTION("until it is deleted") {
    accept(all["a"].session(id).send(delete_session{"done"}));
    const auto ended = stream.next(patience);
    REQUIRE_FALSE(ended);
    CHECK(is(ended.error(), errc::unknown_session));
  }
}

TEST_CASE("a stream of a session on another node ends with it, also where another one has its id") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  accept(all["b"].session(id).send(cancel_plan{}));
  const auto last = paused(all["b"].session(id)).events;
  auto reading = all["a"].session(id).follow(last);
  REQUIRE(reading.next(patience).value());
  accept(all["b"].session(id).send(delete_session{"over"}));
  for (int plans = 0; plans < 2; ++plans) {
    accept(all["b"].session(id).send(propose_plan{shop_plan()}));
    accept(all["b"].session(id).send(cancel_plan{}));
  }
  REQUIRE(paused(all["b"].session(id)).events > last + 1);
  for (int again = 0; again < 2; ++again) {
    const auto ended = reading.next(patience);
    REQUIRE_FALSE(ended);
    CHECK(is(ended.error(), errc::unknown_session));
    CHECK(message_of(ended.error()) == "session " + id + " is deleted");
  }
  auto anew = all["a"].session(id).follow(1);
  CHECK(anew.next(patience).value()->number == 1);
}

TEST_CASE("a watch of a session on another node hears of what is committed, and ends") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  contact_log heard;
  {
    const auto watch = all["a"].session(id).watch(
        [&](std::uint64_t number) { heard.write("<" + std::to_string(number) + ">"); });
    accept(all["b"].session(id).send(propose_plan{shop_plan()}));
    const auto first = paused(all["b"].session(id)).events;
    CHECK(heard.wait_for("<" + std::to_string(first) + ">"));
    accept(all["b"].session(id).send(tool_result{call(id, 1), "green"}));
    const auto last = paused(all["b"].session(id)).events;
    CHECK(heard.wait_for("<" + std::to_string(last) + ">"));
  }
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  CHECK_FALSE(heard.has("<" + std::to_string(paused(all["a"].session(id)).events) + ">"));
}

TEST_CASE("a watch of a session on another node tells first where that stands") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  const auto before = paused(all["b"].session(id)).events;
  // Whoever has read too little before the node was asked looks again.
  contact_log heard;
  const auto watch = all["a"].session(id).watch(
      [&](std::uint64_t number) { heard.write("<" + std::to_string(number) + ">"); });
  CHECK(heard.wait_for("<" + std::to_string(before) + ">"));
}

TEST_CASE("a watch hears that a session on another node is deleted, and of the next of its id") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  accept(all["b"].session(id).send(cancel_plan{}));
  contact_log heard;
  const auto watch = all["a"].session(id).watch(
      [&](std::uint64_t number) { heard.write("<" + std::to_string(number) + ">"); });
  // It has begun to read when it hears of this.
  accept(all["b"].session(id).send(trim_history{1}));
  CHECK(heard.wait_for("<" + std::to_string(all["b"].session(id).status().value().events) + ">"));
  accept(all["b"].session(id).send(delete_session{"over"}));
  CHECK(heard.wait_for("<0>"));
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  CHECK(heard.wait_for("<" + std::to_string(paused(all["b"].session(id)).events) + ">"));
}

TEST_CASE("an actor of any node reaches any session by its directory") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  static_cast<void>(paused(all["b"].session(id)));
  caf::actor_system_config config;
  configure(config);
  caf::actor_system host{config};
  caf::scoped_actor self{host};
  const auto directory = all["a"].running->local().directory();
  std::string heard;
  const auto failed = [&](const caf::error& error) { heard = message_of(error); };
  self->request(directory, patience, session_command{named(id), tool_result{call(id, 1), "green"}})
      .receive([&](const receipt& done) { heard = enum_name(done.kind); }, failed);
  CHECK(heard == "accepted");
  self->request(directory, patience, status_query{named(id)})
      .receive([&](const session_status& status) { heard = status.session.str(); }, failed);
  CHECK(heard == id);
  self->request(directory, patience, follow_chunks{named(id), 1})
      .receive([&](const chunk_batch& batch) { heard = std::to_string(batch.chunks[0].number); },
               failed);
  CHECK(heard == "1");
  // A reader that gives up is answered, from whichever node.
  follow_chunks waits{named(id), 1'000};
  waits.reader = 17;
  auto waiting = self->request(directory, patience, waits);
  self->send(directory, unfollow_chunks{named(id), 17});
  waiting.receive([&](const chunk_batch& batch) { heard = std::to_string(batch.chunks.size()); },
                  failed);
  CHECK(heard == "0");
}

TEST_CASE("a node that is down is unavailable, creates nothing elsewhere, and goes on later") {
  test_cluster all{{"a", "b", "c"}};
  all.start();
  const auto old = all.session_on("b");
  const auto fresh = all.session_on("b", 1);
  accept(all["a"].session(old).send(propose_plan{shop_plan()}));
  const auto last = paused(all["a"].session(old)).events;
  auto stream = all["a"].session(old).follow(1);
  while (stream.position() <= last)
    REQUIRE(stream.next(patience).value());
  CHECK_FALSE(stream.next(0ms).value());
  all["b"].stop();
  REQUIRE(all["a"].log.wait_for("b apart"));
  REQUIRE(all["c"].log.wait_for("b apart"));
  const auto refused = answer(all["a"].session(fresh).send(propose_plan{shop_plan()}));
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::node_unavailable));
  CHECK(mentions(why(refused), "node b (127.0.0.1:"));
  CHECK(is(all["c"].session(old).status().error(), errc::node_unavailable));
  const auto cut_off = stream.next(patience);
  REQUIRE_FALSE(cut_off);
  CHECK(is(cut_off.error(), errc::node_unavailable));
  CHECK(refusal(all["c"].session(fresh).send(propose_plan{shop_plan()}, send_options{30ms}))
        == errc::node_unavailable);
  CHECK_FALSE(all["a"].has(fresh));
  CHECK_FALSE(all["c"].has(fresh));
  auto patient =
      all["a"].session(old).send(tool_result{call(old, 1), "green"}, send_options{patience});
  all["b"].start();
  accept(std::move(patient));
  CHECK(paused(all["c"].session(old)).state == session_state::completed);
  CHECK_FALSE(all["b"].has(fresh));
  const auto next = stream.next(patience);
  REQUIRE(next);
  CHECK((*next)->number == stream.position() - 1);
}

TEST_CASE("one that is alone serves its own sessions") {
  test_cluster all{{"a", "b"}};
  all["a"].start();
  const auto id = all.session_on("a");
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  CHECK(paused(all["a"].session(id)).state == session_state::waiting);
  CHECK(refusal(all["a"].session(all.session_on("b")).send(propose_plan{shop_plan()}))
        == errc::node_unavailable);
}

TEST_CASE("nodes with other member lists refuse each other, saying the difference") {
  test_cluster all{{"a", "b"}};
  all["b"].members.version = 2;
  all["a"].start();
  all["b"].start();
  CHECK(all["a"].log.wait_for("refused b: the member lists differ: the list has version 2 here, "
                              "and 1 there"));
  CHECK(all["b"].log.wait_for("a refused node a refuses this node: the member lists differ: the "
                              "list has version 2 here, and 1 there"));
  CHECK(refusal(all["b"].session(all.session_on("a")).send(propose_plan{shop_plan()}))
        == errc::node_unavailable);
}

TEST_CASE("a second node of a name is refused") {
  test_cluster all{{"a", "b"}};
  all.start();
  SECTION("on the same port") {
    test_node again{"a", all.members};
    const auto error = again.try_start();
    REQUIRE(error);
    CHECK(is(error, errc::cannot_listen));
    CHECK(mentions(message_of(error), "is another node running there?"));
  }
  SECTION("on another machine") {
    test_node again{"a", all.members};
    // It says it is a, and listens where a does not.
    auto elsewhere = again.options();
    elsewhere.listen_address = "127.0.0.2";
    cluster_node impostor{elsewhere, unattended(open_store(again.folder))};
    CHECK_FALSE(impostor.start());
    CHECK(all["b"].log.wait_for("refused a: another node of that name is connected"));
    CHECK(again.log.wait_for("b refused node b refuses this node: another node of that name"));
  }
  CHECK(accept(all["b"].session(all.session_on("a")).send(propose_plan{shop_plan()})).event > 0);
}

TEST_CASE("one that has died without a word makes room for its next life") {
  test_cluster all{{"a", "b"}};
  all["a"].start();
  caf::actor_system_config config;
  configure(config);
  config.load<caf::io::middleman>();
  config.set("middleman.app-identifiers", std::vector<std::string>{"fermata"});
  caf::actor_system half_dead{config}; // it greets as b, and answers nothing
  const auto gate =
      half_dead.middleman().remote_actor("127.0.0.1", all.members.members.front().port);
  REQUIRE(gate);
  caf::scoped_actor self{half_dead};
  node_hello hello;
  hello.software = "1";
  hello.name = node_named("b");
  hello.life = 1;
  hello.members = all.members;
  bool is_let_in = false;
  self->request(*gate, patience, hello, caf::actor_cast<caf::actor>(self))
      .receive([&](const node_hello&) { is_let_in = true; }, [](const caf::error&) {});
  CHECK(is_let_in);
  all["b"].start();
  CHECK(all["b"].log.wait_for("a connected"));
  CHECK(accept(all["b"].session(all.session_on("a")).send(propose_plan{shop_plan()})).event > 0);
}

TEST_CASE("whoever has not greeted is given nothing") {
  test_cluster all{{"a"}};
  all["a"].start();
  caf::actor_system_config config;
  configure(config);
  config.load<caf::io::middleman>();
  config.set("middleman.app-identifiers", std::vector<std::string>{"fermata"});
  caf::actor_system stranger{config};
  const auto gate =
      stranger.middleman().remote_actor("127.0.0.1", all.members.members.front().port);
  REQUIRE(gate);
  caf::scoped_actor self{stranger};
  const auto id = named("s1");
  std::string heard;
  const auto note = [&](const caf::error& error) { heard = message_of(error); };
  self->request(*gate, patience, session_command{id, propose_plan{shop_plan()}})
      .receive([&](const receipt&) { heard = "a receipt"; }, note);
  CHECK(mentions(heard, "takes nothing from who has not greeted it"));
  self->request(*gate, patience, status_query{id})
      .receive([&](const session_status&) { heard = "a status"; }, note);
  CHECK(mentions(heard, "takes nothing from who has not greeted it"));
  node_hello other;
  other.protocol = cluster_protocol + 1;
  other.software = "9.9";
  other.name = node_named("z");
  other.members = all.members;
  const auto own = caf::actor_cast<caf::actor>(self);
  self->request(*gate, patience, other, own)
      .receive([&](const node_hello&) { heard = "a welcome"; }, note);
  CHECK(mentions(heard, "it speaks version " + std::to_string(cluster_protocol + 1)
                            + " of the protocol (Fermata \"9.9\")"));
  other.protocol = cluster_protocol;
  self->request(*gate, patience, other, own)
      .receive([&](const node_hello&) { heard = "a welcome"; }, note);
  CHECK(mentions(heard, "there is no member of that name"));
  self->request(*gate, patience, node_hello{}, own) // without names, which cannot be read
      .receive([&](const node_hello&) { heard = "a welcome"; }, note);
  CHECK(mentions(heard, "unexpected_message"));
  self->send(*gate, atoms::stop_atom_v);
  self->request(*gate, patience, status_query{id})
      .receive([&](const session_status&) { heard = "a status"; }, note);
  CHECK(mentions(heard, "takes nothing from who has not greeted it"));
  CHECK_FALSE(all["a"].has("s1"));
}

TEST_CASE("readers that go away leave room for others") {
  test_cluster all{{"a", "b"}};
  all["a"].limits.runtime_queue = 3;
  all.start();
  const auto id = all.session_on("b");
  accept(all["b"].session(id).send(propose_plan{shop_plan()}));
  static_cast<void>(paused(all["b"].session(id)));
  for (int i = 0; i < 20; ++i) {
    auto stream = all["a"].session(id).follow(1'000);
    const auto none = stream.next(0ms);
    // One that went away is forgotten when its node has said so.
    if (!none)
      CHECK(is(none.error(), errc::overloaded));
  }
  auto status = all["a"].session(id).status();
  while (!status && is(status.error(), errc::overloaded))
    status = all["a"].session(id).status();
  CHECK(status);
}

TEST_CASE("what waits in the cluster, and how its nodes are, says what is missing") {
  test_cluster all{{"a", "b", "c"}};
  for (auto& [name, one] : all.nodes)
    one.policy = approval_policy::ask_for_plans();
  all.start();
  for (const auto* name : {"a", "b", "b"})
    accept(all["c"]
               .session(all.session_on(name, all["b"].has(all.session_on("b")) ? 1 : 0))
               .send(propose_plan{shop_plan()}));
  auto waiting = all["c"].running->pending();
  CHECK(waiting.items.size() == 3);
  CHECK(waiting.missing.empty());
  CHECK_FALSE(waiting.more);
  waiting = all["c"].running->pending(1);
  CHECK(waiting.items.size() == 2);
  CHECK(waiting.more);
  auto nodes = all["c"].running->status();
  REQUIRE(nodes.size() == 3);
  for (const auto& one : nodes) {
    REQUIRE(one.status);
    CHECK(one.status->name == one.member.name);
  }
  CHECK(nodes[1].status->resident == 2);
  all["b"].stop();
  REQUIRE(all["c"].log.wait_for("b apart"));
  waiting = all["c"].running->pending();
  CHECK(waiting.items.size() == 1);
  REQUIRE(waiting.missing.size() == 1);
  CHECK(waiting.missing[0].member.name.str() == "b");
  CHECK(mentions(waiting.missing[0].reason, "node b"));
  nodes = all["c"].running->status();
  CHECK_FALSE(nodes[1].status);
  CHECK(mentions(nodes[1].reason, "node b"));

  // What is damaged on a node keeps nothing else of it from being told.
  all["c"].log.forget("b connected");
  const auto folder = all["b"].folder.path() / "store";
  damage_session(folder, number_of(folder, named(all.session_on("b"))));
  all["b"].start();
  REQUIRE(all["c"].log.wait_for("b connected"));
  waiting = all["c"].running->pending();
  CHECK(waiting.items.size() == 2);
  CHECK(waiting.missing.empty());
  REQUIRE(waiting.damaged.size() == 1);
  CHECK(mentions(waiting.damaged[0], "session number"));
}

TEST_CASE("options that no node can be made of are refused, saying which") {
  const auto refused = [](const cluster_options& net) -> std::string {
    temporary_directory folder;
    try {
      cluster_node node{net, unattended(open_store(folder))};
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  cluster_options net;
  CHECK(mentions(refused(net), "cluster_options::members"));
  CHECK(message_of(check(net)) == refused(net));
  net.members = members_named({"a", "b"});
  net.name = node_named("c");
  CHECK(mentions(refused(net), "\"c\" is no member of the cluster"));
  net.name = node_named("a");
  CHECK(refused(net) == "accepted");
  net.timing.heartbeat = 0ms;
  CHECK(mentions(refused(net), "timing"));
  net.timing.heartbeat = 1s;
  net.timing.idle_heartbeat = -1ms;
  CHECK(mentions(refused(net), "idle_heartbeat are 0 milliseconds or more"));
  net.timing.idle_heartbeat = 1s;
  net.listen_address = "0.0.0.0";
  CHECK(mentions(refused(net), "0.0.0.0 is no loopback address"));
  net.listen_address = "::1";
  CHECK(refused(net) == "accepted");
  for (const auto* none : {"localhost", "10.0.0", "1.2.3.4:80", "[::1]"}) {
    net.listen_address = none;
    CHECK(mentions(refused(net), "cluster_options::listen_address: \"" + std::string{none}
                                     + "\" is no IP address"));
  }
  net.listen_address.clear();
  net.members.members[1].host = "127.example.org";
  CHECK(mentions(refused(net), "plain TCP trusts whoever reaches it"));
  net.members.members[1].host = "192.0.2.1";
  CHECK(mentions(refused(net), "plain TCP trusts whoever reaches it"));
  net.trust_network = true;
  CHECK(refused(net) == "accepted");
  CHECK_FALSE(check(net));
}

} // namespace cluster_node_test
