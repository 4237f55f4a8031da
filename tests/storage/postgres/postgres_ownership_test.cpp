// Several nodes over one store: who owns which sessions, and what becomes of commits of others.

#include "postgres_proxy.hpp"
#include "store_harness.hpp"
#include "wall_clock_shift.hpp"

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <fermata_catch.hpp>

#include <libpq-fe.h>

#include <csignal>
#include <numeric>
#include <random>
#include <thread>

using namespace fermata;
using namespace fermata::test;

using namespace std::chrono_literals;

namespace {

/// The clock of the database decides, so a test that wants a lease to end says so there.
constexpr auto long_lease = 1h;

node_name node(std::string_view text) {
  return must(node_name::parse(text));
}

std::vector<std::uint32_t> all_slots() {
  std::vector<std::uint32_t> slots(session_slots);
  std::iota(slots.begin(), slots.end(), 0);
  return slots;
}

bool says(const caf::error& error, std::string_view text) {
  return message_of(error).find(text) != std::string::npos;
}

/// One node of those that share a schema.
struct member {
  member(postgres_options options, std::string_view name) {
    options.node = node(name);
    store = open_once_free(options);
    sessions = must(postgres_ownership::join(store, long_lease));
  }

  std::shared_ptr<postgres_store> store;
  std::unique_ptr<postgres_ownership> sessions;
};

class shared_schema {
public:
  ~shared_schema() { sql("DROP SCHEMA " + options.schema + " CASCADE"); }

  std::string sql(const std::string& statements) const {
    return postgres_server::get().sql(statements);
  }
  /// As if so much time had passed for the database.
  void end_lease_of(std::string_view name) const {
    sql("UPDATE " + options.schema + ".nodes SET lease_until = clock_timestamp() WHERE node = '"
        + std::string{name} + "'");
  }
  std::string epoch_of(const session_id& session) const {
    return sql("SELECT epoch FROM " + options.schema
               + ".slots WHERE slot = " + std::to_string(slot_of(session)));
  }

  postgres_options options = postgres_server::get().new_store();
};

std::vector<std::uint32_t> slot_list(const session_id& session) {
  return {slot_of(session)};
}

/// A session of the database beside those of the stores.
class session_of_database {
public:
  explicit session_of_database(const shared_schema& schema)
      : session_{PQconnectdb(schema.options.connection.c_str())} {}
  ~session_of_database() { PQfinish(session_); }
  session_of_database(const session_of_database&) = delete;
  session_of_database& operator=(const session_of_database&) = delete;

  void sql(const std::string& statements) const {
    auto* answer = PQexec(session_, statements.c_str());
    const auto status = PQresultStatus(answer);
    PQclear(answer);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
      throw std::runtime_error{PQerrorMessage(session_)};
  }
  /// Is sent more than it takes.
  void stop_listening() const {
    PQsendQuery(session_, "SELECT repeat('x', 1000) FROM generate_series(1, 100000)");
    while (postgres_server::get().sql("SELECT wait_event FROM pg_stat_activity WHERE pid = "
                                      + std::to_string(PQbackendPID(session_)))
           != "ClientWrite")
      std::this_thread::yield();
  }

private:
  PGconn* session_;
};

/// How often somebody has to write who is refused for as long as another one has the turn.
int writes_until_one_succeeds(store& target) {
  for (int attempt = 1; attempt < 10; ++attempt) {
    const auto outcome = write(target, change{"t"}.event("1"));
    if (!outcome.error)
      return attempt;
    CHECK(is(outcome.error, errc::io_error));
  }
  return 10;
}

} // namespace

TEST_CASE("a node writes the sessions of its slots, and conflicts with their owner elsewhere") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  CHECK(is(write(*a.store, change{"s"}.event("1")).error, errc::conflict));
  CHECK(must(a.sessions->acquire(slot_list(named("s")))) == slot_list(named("s")));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  // What somebody owns, nobody else gets.
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  const auto refused = write(*b.store, change{must_find(*b.store, "s")}.event("2"));
  CHECK(is(refused.error, errc::conflict));
  CHECK(says(refused.error, "node a in epoch 1"));
  CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots - 1);
  const auto t = must_write(*b.store, change{"t"}.event("1"));
  CHECK(t.number == s.number + 1);
  // Both see both.
  CHECK(must_find(*a.store, "t").number == t.number);
}

TEST_CASE("of a batch, the commits of sessions that moved away are skipped, and no other") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(all_slots()));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  const auto t = must_write(*a.store, change{"t"}.event("1"));
  REQUIRE(slot_of(named("s")) != slot_of(named("t")));
  schema.end_lease_of("a");
  REQUIRE(must(b.sessions->acquire(slot_list(named("s")))).size() == 1);
  const std::vector<commit> batch{change{s}.event("stale"), change{t}.event("2"),
                                  change{"u"}.event("1")};
  const auto outcomes = a.store->write(batch);
  CHECK(is(outcomes[0].error, errc::conflict));
  CHECK(says(outcomes[0].error, "node b in epoch 2"));
  CHECK(outcomes[0].number == 0);
  CHECK_FALSE(outcomes[1].error);
  CHECK_FALSE(outcomes[2].error);
  CHECK(events_of(*b.store, s.number) == "1");
  CHECK(events_of(*b.store, t.number) == "1 2");
  must_write(*b.store, change{s}.event("2"));
}

TEST_CASE("an epoch that is over stays over, also when the slot has come back") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(slot_list(named("s"))));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  schema.end_lease_of("a");
  must(b.sessions->acquire(slot_list(named("s"))));
  must(a.sessions->renew()); // it learns of it
  CHECK_FALSE(b.sessions->move(slot_list(named("s")), node("a")));
  // It is a's again, but a has not acquired it: what it has in memory may be of before.
  CHECK(is(write(*a.store, change{s}.event("2")).error, errc::conflict));
  CHECK(must(a.sessions->renew()).offered == slot_list(named("s")));
  must(a.sessions->acquire(slot_list(named("s"))));
  must_write(*a.store, change{s}.event("2"));
}

TEST_CASE(
    "a lease that was renewed is kept, and one that has run out is only lost to who takes it") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(all_slots()));
  CHECK(must(a.sessions->holds_lease(named("s"), 30min)));
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 2h)));
  CHECK_FALSE(must(b.sessions->holds_lease(named("s"), 0s)));
  schema.end_lease_of("a");
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  must_write(*a.store, change{"s"}.event("1"));
  // Who has no lease acquires nothing.
  schema.end_lease_of("b");
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  must(a.sessions->renew());
  must(b.sessions->renew());
  CHECK(must(a.sessions->holds_lease(named("s"), 30min)));
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  schema.end_lease_of("a");
  must(b.sessions->acquire(slot_list(named("s"))));
  CHECK(must(b.sessions->holds_lease(named("s"), 30min)));
  // A lease does not bring a slot back.
  const auto news = must(a.sessions->renew());
  CHECK(news.lost == slot_list(named("s")));
  CHECK(news.offered.empty());
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  CHECK(a.sessions->acquired().size() == session_slots - 1);
}

TEST_CASE("a slot that is moved is refused at once, and written by the next one once acquired") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(all_slots()));
  const auto slot = slot_of(named("s"));
  must_write(*a.store, change{"s"}.event("1"));
  CHECK(is(a.sessions->move(std::vector{slot}, node("nobody")), errc::not_allowed));
  CHECK(is(b.sessions->move(std::vector{slot}, node("a")), errc::not_allowed));
  CHECK(is(a.sessions->move(std::vector{session_slots}, node("b")), errc::invalid_field));
  CHECK_FALSE(a.sessions->move(std::vector{slot}, node("b")));
  CHECK(is(write(*a.store, change{must_find(*a.store, "s")}.event("2")).error, errc::conflict));
  CHECK(is(write(*b.store, change{must_find(*b.store, "s")}.event("2")).error, errc::conflict));
  CHECK(must(b.sessions->renew()).offered == std::vector{slot});
  CHECK(must(b.sessions->acquire({&slot, 1})) == std::vector{slot});
  must_write(*b.store, change{must_find(*b.store, "s")}.event("2"));
}

TEST_CASE("what is released, or was owned by who has left, is free at once") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(all_slots()));
  CHECK_FALSE(a.sessions->release(slot_list(named("s"))));
  CHECK(is(write(*a.store, change{"s"}.event("1")).error, errc::conflict));
  CHECK(must(b.sessions->acquire(all_slots())) == slot_list(named("s")));
  // Releasing what is another's changes nothing.
  CHECK_FALSE(a.sessions->release(slot_list(named("s"))));
  CHECK(must(b.sessions->renew()).lost.empty());
  CHECK_FALSE(a.sessions->leave());
  CHECK(a.sessions->acquired().empty());
  CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots - 1);
  CHECK(is(a.sessions->renew().error(), errc::store_busy));
  CHECK(must(a.sessions->acquire(all_slots())).empty());
}

TEST_CASE("the table says who owns what, and fair shares are reached from it") {
  const shared_schema schema;
  member a{schema.options, "a"};
  auto table = must(a.sessions->look());
  REQUIRE(table.slots.size() == session_slots);
  CHECK(table.slots[0].node.empty());
  CHECK(table.nodes == std::vector{node("a")});
  must(a.sessions->acquire(all_slots()));
  member b{schema.options, "b"};
  table = must(b.sessions->look());
  CHECK(table.nodes == std::vector{node("a"), node("b")});
  CHECK(table.slots[7].node == node("a"));
  CHECK(table.slots[7].epoch == 1);
  CHECK(table.slots[7].has_lease);
  const auto fair = fair_owners(table.owners(), table.takers());
  std::vector<std::uint32_t> for_b;
  for (std::uint32_t slot = 0; slot < session_slots; ++slot)
    if (fair[slot] == node("b"))
      for_b.push_back(slot);
  REQUIRE_FALSE(a.sessions->move(for_b, node("b")));
  CHECK(must(b.sessions->acquire(must(b.sessions->renew()).offered)).size() == session_slots / 2);
  CHECK(must(a.sessions->look()).owners() == fair);
  schema.end_lease_of("a");
  CHECK_FALSE(must(b.sessions->look()).slots[7].has_lease);
  CHECK(must(b.sessions->look()).nodes == std::vector{node("b")});
}

TEST_CASE("a node that drains says so to the others, until it takes slots again") {
  const shared_schema schema;
  member a{schema.options, "a"};
  const member b{schema.options, "b"};
  must(a.sessions->renew(slot_wish::give));
  auto table = must(b.sessions->look());
  CHECK(table.nodes == std::vector{node("a"), node("b")});
  CHECK(table.draining == std::vector{node("a")});
  CHECK(table.takers() == std::vector{node("b")});
  must(a.sessions->renew());
  table = must(b.sessions->look());
  CHECK(table.draining.empty());
  CHECK(table.takers() == table.nodes);
}

TEST_CASE("slots are moved together, or none of them") {
  const shared_schema schema;
  member a{schema.options, "a"};
  member b{schema.options, "b"};
  must(a.sessions->acquire(std::vector<std::uint32_t>{1, 2}));
  must(b.sessions->acquire(std::vector<std::uint32_t>{3}));
  CHECK(is(a.sessions->move(std::vector<std::uint32_t>{1, 3}, node("b")), errc::not_allowed));
  CHECK(a.sessions->acquired() == std::vector<std::uint32_t>{1, 2});
  CHECK(must(b.sessions->renew()).offered.empty());
  CHECK_FALSE(a.sessions->move(std::vector<std::uint32_t>{1, 2}, node("b")));
  CHECK(a.sessions->acquired().empty());
  CHECK(must(b.sessions->renew()).offered == std::vector<std::uint32_t>{1, 2});
}

TEST_CASE("one process at a time has a node's name, and the next one need not wait for its lease") {
  const shared_schema schema;
  auto options = schema.options;
  options.node = node("a");
  {
    member first{schema.options, "a"};
    must(first.sessions->acquire(all_slots()));
    must_write(*first.store, change{"s"}.event("1"));
    const auto second = postgres_store::open(options);
    CHECK(is(second.error(), errc::store_busy));
    CHECK(says(second.error(), "process " + std::to_string(::getpid())));
  }
  member again{schema.options, "a"};
  CHECK(is(write(*again.store, change{must_find(*again.store, "s")}.event("2")).error,
           errc::conflict));
  CHECK(must(again.sessions->acquire(all_slots())).size() == session_slots);
  CHECK(schema.epoch_of(named("s")) == "2");
  must_write(*again.store, change{must_find(*again.store, "s")}.event("2"));
}

TEST_CASE("a store has nodes or one owner, and not both at a time") {
  const shared_schema schema;
  {
    member a{schema.options, "a"};
    CHECK(is(postgres_store::open(schema.options).error(), errc::store_busy));
  }
  const auto only = must(postgres_store::open(schema.options));
  auto options = schema.options;
  options.node = node("a");
  CHECK(is(postgres_store::open(options).error(), errc::store_busy));
  CHECK(is(postgres_ownership::join(only, long_lease).error(), errc::invalid_field));
  // The only owner needs no slots.
  must_write(*only, change{"s"}.event("1"));
}

TEST_CASE("leases go by the clock of the database, whatever those of the nodes say") {
  const shared_schema schema;
  member a{schema.options, "a"};
  must(a.sessions->acquire(all_slots()));
  const auto seconds_left = [&](const char* of) {
    return std::stod(schema.sql("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM "
                                + schema.options.schema + ".nodes WHERE node = '" + of + "'"));
  };
  for (const auto shift : {-1h, 1h}) {
    const auto before = std::chrono::system_clock::now();
    const wall_clock_shift shifted{shift};
    const auto moved = std::chrono::system_clock::now() - before;
    REQUIRE((moved > shift - 1min && moved < shift + 1min));
    // By its own clock, what this node sees has run out long ago, or has not begun.
    member b{schema.options, "b"};
    CHECK(must(b.sessions->acquire(all_slots())).empty());
    CHECK(must(b.sessions->renew()).lost.empty());
    CHECK((seconds_left("b") > 3'500 && seconds_left("b") <= 3'600));
    must(a.sessions->renew());
    CHECK((seconds_left("a") > 3'500 && seconds_left("a") <= 3'600));
    CHECK(must(a.sessions->holds_lease(named("s"), 55min)));
    CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 61min)));
    schema.end_lease_of("a");
    CHECK(must(b.sessions->acquire(slot_list(named("s")))).size() == 1);
    must(a.sessions->renew());
    CHECK_FALSE(b.sessions->move(slot_list(named("s")), node("a")));
    must(a.sessions->renew());
    CHECK(must(a.sessions->acquire(slot_list(named("s")))).size() == 1);
  }
}

TEST_CASE("a lease is not renewed while another node takes its slots") {
  const shared_schema schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  member a{schema.options, "a"};
  must(a.sessions->acquire(all_slots()));
  must(a.sessions->holds_lease(named("s"), 0s));
  member b{options, "b"};
  schema.end_lease_of("a");
  proxy.hold(postgres_proxy::kept::commit);
  std::size_t acquired = 0;
  std::jthread acquiring{[&] {
    const auto slots = b.sessions->acquire(all_slots());
    acquired = slots ? slots->size() : 0;
  }};
  proxy.wait_until_held();
  const auto count = [&](const std::string& which) {
    return schema.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'fermata' AND "
                      + which);
  };
  // All that was sent before the COMMIT is done.
  while (count("state = 'active' AND wait_event = 'ClientRead' AND query LIKE '%RETURNING slot%'")
         != "1")
    std::this_thread::yield();
  std::atomic<bool> is_renewed = false;
  caf::error failed;
  std::jthread renewing{[&] {
    const auto news = a.sessions->renew();
    failed = news ? caf::error{} : news.error();
    is_renewed = true;
  }};
  while (!is_renewed && count("wait_event_type = 'Lock'") == "0")
    std::this_thread::yield();
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  proxy.hold(postgres_proxy::kept::nothing);
  acquiring.join();
  renewing.join();
  CHECK(acquired == session_slots);
  CHECK_FALSE(failed);
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
}

TEST_CASE("views that are open keep no lease from being renewed") {
  const shared_schema schema;
  auto options = schema.options;
  options.max_views = 1;
  options.timeout = 1s;
  member a{options, "a"};
  must(a.sessions->acquire(all_slots()));
  const auto view = must(a.store->read());
  CHECK(a.sessions->renew());
  CHECK(a.sessions->look());
  CHECK(must(a.sessions->holds_lease(named("s"), 1min)));
}

TEST_CASE("a node whose name another process has taken has no lease any more") {
  const shared_schema schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  member first{options, "a"};
  must(first.sessions->acquire(all_slots()));
  proxy.accept(false);
  proxy.cut_all();
  options.connection = schema.options.connection;
  options.node = node("a");
  const auto second = open_once_free(options);
  proxy.accept(true);
  CHECK_FALSE(must(first.sessions->holds_lease(named("s"), 0s)));
  CHECK(is(first.sessions->renew().error(), errc::store_busy));
}

TEST_CASE("an answer about a lease that took longer than the lease lasts is not true") {
  const shared_schema schema;
  member a{schema.options, "a"};
  must(a.sessions->acquire(all_slots()));
  const session_of_database held{schema};
  held.sql("BEGIN; LOCK TABLE " + schema.options.schema + ".nodes");
  std::optional<bool> answer;
  std::jthread asking{[&] {
    if (const auto holds = a.sessions->holds_lease(named("s"), 0s))
      answer = *holds;
  }};
  while (schema.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'fermata' AND "
                    "wait_event_type = 'Lock'")
         == "0")
    std::this_thread::yield();
  const auto long_ago = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < long_ago + 200ms)
    std::this_thread::yield();
  held.sql("UPDATE " + schema.options.schema
           + ".nodes SET lease_until = clock_timestamp() + interval '150 ms'; COMMIT");
  asking.join();
  CHECK(answer == false);
}

TEST_CASE("what fails at the end of a round trip is an error, and shifts no later answers") {
  const shared_schema schema;
  member a{schema.options, "a"};
  must(a.sessions->renew());
  const auto& name = schema.options.schema;
  schema.sql("CREATE FUNCTION " + name + ".refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
             + "RAISE EXCEPTION 'refused at the end'; END $$; CREATE CONSTRAINT TRIGGER late "
               "AFTER UPDATE ON "
             + name + ".nodes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION " + name
             + ".refuse()");
  const auto refused = a.sessions->renew().error();
  CHECK(is(refused, errc::io_error));
  CHECK(says(refused, "refused at the end"));
  CHECK(must(a.sessions->look()).nodes == std::vector{node("a")});
  schema.sql("DROP TRIGGER late ON " + name + ".nodes");
  must(a.sessions->renew());
}

TEST_CASE("names that never return are forgotten, and those of who lives or owns are not") {
  const shared_schema schema;
  const auto& name = schema.options.schema;
  member owns{schema.options, "owns"};
  must(owns.sessions->acquire(slot_list(named("s"))));
  const member has_left{schema.options, "has-left"};
  CHECK_FALSE(has_left.sessions->leave());
  {
    const member gone{schema.options, "gone"};
    const member young{schema.options, "young"};
    const member clean{schema.options, "clean"};
    CHECK_FALSE(clean.sessions->leave());
  }
  schema.sql("UPDATE " + name + ".nodes SET lease_until = clock_timestamp() - CASE WHEN node = "
             + "'young' THEN interval '29 days' ELSE interval '31 days' END");
  schema.sql("UPDATE " + name + ".writers SET opened = clock_timestamp() - interval '32 days'");
  const member joins{schema.options, "joins"};
  const auto names_in = [&](const std::string& table) {
    return schema.sql("SELECT string_agg(node, ' ' ORDER BY node) FROM " + name + '.' + table);
  };
  CHECK(names_in("nodes") == "joins owns young");
  CHECK(names_in("writers") == "has-left joins owns young");
}

TEST_CASE("a node that is frozen amid a batch is passed, and cannot write when it wakes") {
  const shared_schema schema;
  postgres_proxy proxy{postgres_server::get()};
  for (const auto place : {postgres_proxy::kept::changes, postgres_proxy::kept::commit}) {
    auto of_frozen = schema.options;
    of_frozen.connection = proxy.connection();
    of_frozen.transaction_timeout = 3s;
    child_process frozen{[&](int input, int output) {
      const member a{of_frozen, "a"};
      must(a.sessions->acquire(all_slots()));
      const auto before = must(a.store->find(named("s")));
      send_number(output, 1);
      receive_number(input);
      const auto next = before ? change{*before} : change{"s"};
      const auto outcome = write(*a.store, change{next}.event("of the frozen"));
      send_number(output, outcome.error ? static_cast<int>(code_of(outcome.error)) : 0);
      receive_number(input);
      // Awake, it goes on; but it is not the owner any more.
      const auto late = write(*a.store, change{must_find(*a.store, "s")}.event("late"));
      send_number(output, late.error ? static_cast<int>(code_of(late.error)) : 0);
      send_number(output, must(a.sessions->holds_lease(named("s"), 0s)) ? 1 : 0);
      send_number(output, static_cast<std::int64_t>(must(a.sessions->renew()).lost.size()));
      receive_number(input);
    }};
    REQUIRE(frozen.receive() == 1);
    proxy.hold(place);
    frozen.send(1);
    proxy.wait_until_held();
    ::kill(frozen.pid(), SIGSTOP);
    schema.end_lease_of("a");
    {
      member b{schema.options, "b"};
      CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots);
      const auto s = must(b.store->find(named("s")));
      must_write(*b.store, (s ? change{*s} : change{"s"}).event("of b"));
      proxy.hold(postgres_proxy::kept::nothing);
      ::kill(frozen.pid(), SIGCONT);
      CHECK(frozen.receive() == static_cast<int>(errc::io_error));
      frozen.send(1);
      CHECK(frozen.receive() == static_cast<int>(errc::conflict));
      CHECK(frozen.receive() == 0);
      CHECK(frozen.receive() == session_slots);
      const auto events = events_of(*b.store, 1);
      CHECK(events.find("frozen") == std::string::npos);
      CHECK(events.find("late") == std::string::npos);
      CHECK_FALSE(b.sessions->leave());
    }
    frozen.send(1);
    CHECK(frozen.receive() == -1); // it leaves the name to the next one
  }
}

TEST_CASE("a node that is frozen holds nobody up for long, also where timeouts are short") {
  const shared_schema schema;
  postgres_proxy proxy{postgres_server::get()};
  auto of_frozen = schema.options;
  of_frozen.connection = proxy.connection();
  member a{of_frozen, "a"};
  must(a.sessions->acquire(slot_list(named("s"))));
  auto options = schema.options;
  options.timeout = 2s;
  options.transaction_timeout = 4s;
  member b{options, "b"};
  must(b.sessions->acquire(slot_list(named("t"))));
  proxy.hold(postgres_proxy::kept::commit);
  commit_outcome late;
  std::jthread frozen{[&] { late = write(*a.store, change{"s"}.event("1")); }};
  proxy.wait_until_held();
  CHECK(writes_until_one_succeeds(*b.store) < 10);
  proxy.hold(postgres_proxy::kept::nothing);
  frozen.join();
  CHECK(is(late.error, errc::io_error));
}

TEST_CASE("a node that has frozen while the database sends holds nobody up for long") {
  const shared_schema schema;
  auto options = schema.options;
  options.timeout = 2s;
  options.transaction_timeout = 1s;
  member b{options, "b"};
  must(b.sessions->acquire(slot_list(named("t"))));
  const session_of_database frozen{schema};
  // As a node that has the turn.
  frozen.sql("SELECT pg_advisory_lock_shared(1717924461::bigint << 32 | '" + schema.options.schema
             + "'::regnamespace::oid::bigint)");
  frozen.sql("BEGIN; SELECT FROM " + schema.options.schema + ".meta FOR UPDATE");
  frozen.stop_listening();
  CHECK(writes_until_one_succeeds(*b.store) < 10);
}

TEST_CASE("nodes that write and take slots from each other all the time lose nothing, and agree") {
  const shared_schema schema;
  std::vector<std::string> failures;
  std::mutex mutex;
  std::map<std::string, std::uint64_t> acknowledged;
  std::vector<std::thread> threads;
  for (int number = 0; number < 3; ++number)
    threads.emplace_back([&, number] {
      try {
        std::mt19937_64 random{static_cast<std::uint64_t>(number)};
        member self{schema.options, "n" + std::to_string(number)};
        for (int step = 0; step < 60; ++step) {
          if (random() % 4 == 0)
            if (auto error = self.sessions->release(self.sessions->acquired()))
              throw std::runtime_error{message_of(error)};
          // A third of the slots, so that several nodes have some.
          std::vector<std::uint32_t> wanted;
          for (auto slot = static_cast<std::uint32_t>(random() % 3); slot < session_slots;
               slot += 3)
            wanted.push_back(slot);
          must(self.sessions->acquire(wanted));
          std::vector<commit> batch;
          for (int i = 0; i < 6; ++i) {
            const auto name = "s" + std::to_string(random() % 12);
            const auto stored = must(self.store->find(named(name)));
            batch.push_back((stored ? change{*stored} : change{name}).event("x"));
          }
          const auto outcomes = self.store->write(batch);
          const std::lock_guard lock{mutex};
          for (std::size_t i = 0; i < batch.size(); ++i)
            if (!outcomes[i].error)
              ++acknowledged[batch[i].session.str()];
            else if (!is(outcomes[i].error, errc::conflict))
              failures.push_back(message_of(outcomes[i].error));
        }
        if (auto error = self.sessions->leave())
          failures.push_back(message_of(error));
      } catch (const std::exception& error) {
        const std::lock_guard lock{mutex};
        failures.emplace_back(error.what());
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(failures == std::vector<std::string>{});
  const auto store = must(postgres_store::open(schema.options));
  CHECK(must(store->verify()).problems == std::vector<std::string>{});
  CHECK_FALSE(acknowledged.empty());
  std::uint64_t total = 0;
  for (const auto& [name, events] : acknowledged) {
    CHECK(must_find(*store, name).events == events);
    total += events;
  }
  // The journal of all has no gaps.
  std::uint64_t position = 0;
  CHECK(must(must(store->read())->journal(position, 100'000)).size() == total);
  CHECK(position == total);
}
