// Nodes that share a PostgreSQL store: real threads and sockets, and a server that comes and goes.

#include "support.hpp"

#include <postgres_proxy.hpp>
#include <postgres_server.hpp>

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <fermata_catch.hpp>

namespace postgres_nodes_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds lease{4'000};

template <class T>
T must(result<T> made) {
  if (!made)
    throw std::runtime_error{message_of(made.error())};
  return std::move(*made);
}

struct postgres_node {
  postgres_node(const member_list& members, std::string_view name, postgres_options where,
                slot_watch& slots) {
    where.node = node_named(name);
    where.timeout = 2s;
    auto store = must(postgres_store::open(where));
    cluster_options net;
    net.name = where.node;
    net.members = members;
    net.timing = quick();
    net.handover_wait = patience;
    net.ownership = must(postgres_ownership::join(store, lease));
    net.on_slots = [this, &slots](const slot_report& report) {
      log.write(enum_name(report.change) + (report.reason.empty() ? "" : " ") + report.reason);
      slots.changed();
    };
    net.on_contact = [this](const peer_report& report) {
      log.write(report.member.name.str() + " " + enum_name(report.state));
    };
    running = std::make_unique<cluster_node>(std::move(net), unattended(std::move(store)));
    if (auto error = running->start())
      throw std::runtime_error{message_of(error)};
  }
  [[nodiscard]] std::size_t slots() const {
    for (const auto& one : running->status())
      if (one.member.name == running->name())
        return one.status->slots;
    return 0;
  }
  [[nodiscard]] bool serves(const std::string& id) const {
    const auto* home = running->home_of(named(id));
    return home != nullptr && home->name == running->name();
  }

  contact_log log;
  std::unique_ptr<cluster_node> running;
};

/// Gives a command until it is not refused for the database's sake.
result<receipt> send_until_heard(cluster_node& at, const std::string& id, const command& what) {
  for (;;) {
    auto answered = answer(at.session(named(id)).send(what));
    if (answered || !(is(answered.error(), errc::io_error) || is(answered.error(), errc::internal)))
      return answered;
  }
}

} // namespace

TEST_CASE("nodes share a PostgreSQL store: they join, drain, die, and each session goes on") {
  const auto members = members_named({"a", "b"});
  const auto& server = postgres_server::get();
  const auto where = server.new_store();
  postgres_proxy proxy{server};
  auto behind_proxy = where;
  behind_proxy.connection = proxy.connection();
  slot_watch slots;
  postgres_node a{members, "a", where, slots};
  REQUIRE(slots.wait_until([&] { return a.slots() == session_slots; }));
  std::vector<std::string> ids;
  for (int number = 0; number < 8; ++number) {
    ids.push_back("s" + std::to_string(number));
    accept(a.running->session(named(ids.back())).send(propose_plan{shop_plan()}));
    static_cast<void>(paused(a.running->session(named(ids.back()))));
  }
  postgres_node b{members, "b", behind_proxy, slots};
  REQUIRE(slots.wait_until([&] { return a.slots() == 128 && b.slots() == 128; }));
  REQUIRE(a.log.wait_for("b connected"));
  REQUIRE(b.log.wait_for("a connected"));
  for (const auto& id : ids)
    CHECK(a.serves(id) != b.serves(id));
  for (std::size_t i = 0; i < 4; ++i)
    accept(b.running->session(named(ids[i])).send(tool_result{call(ids[i], 1), "green"}));
  SECTION("a node that drains") {
    CHECK_FALSE(b.running->drain(patience));
    CHECK(b.slots() == 0);
  }
  SECTION("a node that does not reach the database any more") {
    proxy.accept(false);
    proxy.cut_all();
  }
  REQUIRE(slots.wait_until([&] { return a.slots() == session_slots; }));
  for (std::size_t i = 4; i < 8; ++i)
    accept(a.running->session(named(ids[i])).send(tool_result{call(ids[i], 1), "green"}));
  for (const auto& id : ids)
    CHECK(paused(a.running->session(named(id))).state == session_state::completed);
}

TEST_CASE("a database that is away for longer than a lease loses nothing, and nobody's slots") {
  const auto members = members_named({"a", "b"});
  postgres_server server;
  const auto where = server.new_store();
  slot_watch slots;
  postgres_node a{members, "a", where, slots};
  postgres_node b{members, "b", where, slots};
  REQUIRE(slots.wait_until([&] { return a.slots() == 128 && b.slots() == 128; }));
  REQUIRE(a.log.wait_for("b connected"));
  std::vector<std::string> ids;
  for (int number = 0; number < 8; ++number) {
    ids.push_back("s" + std::to_string(number));
    accept(a.running->session(named(ids.back())).send(propose_plan{shop_plan()}));
    static_cast<void>(paused(a.running->session(named(ids.back()))));
  }
  server.stop();
  REQUIRE(a.log.wait_for("not_renewed"));
  REQUIRE(b.log.wait_for("not_renewed"));
  // Each call waits for the database for a while: so the leases run out.
  const auto away_since = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < away_since + lease)
    CHECK_FALSE(
        answer(a.running->session(named(ids[0])).send(tool_result{call(ids[0], 1), "green"})));
  // What they say from now on has "renewed" in it only where they are.
  a.log.forget("not_renewed");
  b.log.forget("not_renewed");
  server.start();
  for (const auto& id : ids)
    CHECK(send_until_heard(*b.running, id, tool_result{call(id, 1), "green"}));
  REQUIRE(a.log.wait_for("renewed"));
  REQUIRE(b.log.wait_for("renewed"));
  for (const auto& id : ids)
    CHECK(paused(a.running->session(named(id))).state == session_state::completed);
  CHECK(a.running->traffic().slots_lost == 0);
  CHECK(b.running->traffic().slots_lost == 0);
}

TEST_CASE("of nodes with two schemas of one server, only those that served before have sessions") {
  const auto members = members_named({"a", "b"});
  const auto& server = postgres_server::get();
  const auto where = server.new_store();
  const auto elsewhere = server.new_store();
  slot_watch slots;
  postgres_node a{members, "a", where, slots};
  REQUIRE(slots.wait_until([&] { return a.slots() == session_slots; }));
  {
    postgres_node b{members, "b", elsewhere, slots};
    CHECK(a.running->shared_store() != b.running->shared_store());
    REQUIRE(b.log.wait_for("withheld node a refuses this node: b has the store "
                           + b.running->shared_store().str() + ", and a the store "
                           + a.running->shared_store().str()));
    REQUIRE(b.log.wait_for("a refused"));
    REQUIRE(a.log.wait_for("b refused"));
    accept(a.running->session(named("s")).send(propose_plan{shop_plan()}));
    static_cast<void>(paused(a.running->session(named("s"))));
    // Who has all of its store cannot give it to a node of another.
    CHECK(is(a.running->drain(patience), errc::not_allowed));
    CHECK(b.slots() == 0);
    CHECK(server.sql("SELECT count(*) FROM " + elsewhere.schema + ".heads") == "0");
  }
  postgres_node b{members, "b", where, slots};
  REQUIRE(slots.wait_until([&] { return a.slots() == 128 && b.slots() == 128; }));
  CHECK(server.sql("SELECT count(*) FROM " + where.schema + ".heads") == "1");
}

} // namespace postgres_nodes_test
