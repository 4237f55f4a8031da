// Several nodes over one store: who owns which sessions, and what becomes of commits of others.

#include "postgres_proxy.hpp"
#include "store_harness.hpp"
#include "wall_clock_shift.hpp"

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <fermata_catch.hpp>

#include <libpq-fe.h>

#include <csignal>
#include <thread>

namespace postgres_ownership_test {

using namespace fermata;
using namespace fermata::test;

using namespace std::chrono_literals;

namespace {

using member = postgres_nodes::member;

/// A session of the database beside those of the stores.
class session_of_database {
public:
  explicit session_of_database(const postgres_nodes& schema)
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

TEST_CASE("one process at a time has a node's name, and the next one hears which") {
  const postgres_nodes schema;
  const auto first = schema.join("a");
  auto options = schema.options;
  options.node = node("a");
  const auto second = postgres_store::open(options);
  CHECK(is(second.error(), errc::store_busy));
  CHECK(says(second.error(), "process " + std::to_string(::getpid())));
}

TEST_CASE("a store has nodes or one owner, and not both at a time") {
  const postgres_nodes schema;
  {
    auto a = schema.join("a");
    CHECK(is(postgres_store::open(schema.options).error(), errc::store_busy));
    CHECK_FALSE(a.sessions->leave());
  }
  const auto only = must(postgres_store::open(schema.options));
  auto options = schema.options;
  options.node = node("a");
  CHECK(is(postgres_store::open(options).error(), errc::store_busy));
  CHECK(is(postgres_ownership::join(only, 1h).error(), errc::invalid_field));
  // The only owner needs no slots.
  must_write(*only, change{"s"}.event("1"));
}

TEST_CASE("a node that lost its connections while nothing was written has its name again") {
  const postgres_nodes schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  member a{options, "a"};
  must(a.sessions->acquire(all_slots()));
  proxy.cut_all();
  must(a.sessions->renew());
  auto same = schema.options;
  same.node = node("a");
  CHECK(is(postgres_store::open(same).error(), errc::store_busy));
  // So it is not for its lease that nobody can be the only owner.
  schema.end_lease_of("a");
  CHECK(is(postgres_store::open(schema.options).error(), errc::store_busy));
  CHECK(must(a.sessions->renew()).lost.empty());
  must_write(*a.store, change{"s"}.event("1"));
}

TEST_CASE("a lease is not renewed without the node's name, and is once that can be had again") {
  const postgres_nodes schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  options.timeout = 2s;
  member a{options, "a"};
  const auto lease = [&] {
    return schema.sql("SELECT lease_until FROM " + schema.options.schema + ".nodes");
  };
  const auto before = lease();
  const session_of_database holder{schema};
  proxy.cut_all();
  holder.sql("SELECT pg_advisory_lock(hashtextextended('fermata " + schema.options.schema
             + " a', 0))");
  const auto refused = a.sessions->renew().error();
  CHECK(is(refused, errc::io_error));
  CHECK(says(refused, "cannot be owned again yet"));
  CHECK(lease() == before);
  holder.sql("SELECT pg_advisory_unlock_all()");
  must(a.sessions->renew());
  CHECK(lease() != before);
}

TEST_CASE("nobody is the only owner while a node has a lease, connected or not") {
  const postgres_nodes schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  member a{options, "a"};
  proxy.accept(false);
  proxy.cut_all();
  const auto refused = postgres_store::open(schema.options).error();
  CHECK(is(refused, errc::store_busy));
  CHECK(says(refused, "node a is not connected, and has a lease for another"));
  proxy.accept(true);
  must(a.sessions->renew()); // nobody has taken its place
  proxy.accept(false);
  proxy.cut_all();
  schema.end_lease_of("a");
  const auto only = open_once_free(schema.options);
  must_write(*only, change{"s"}.event("1"));
}

TEST_CASE("a store of an earlier version gets the columns of nodes that it lacks") {
  const postgres_nodes schema;
  {
    const auto a = schema.join("a");
    CHECK_FALSE(a.sessions->leave());
  }
  const std::string column = GENERATE("drains", "lease_ms");
  schema.sql("ALTER TABLE " + schema.options.schema + ".nodes DROP COLUMN " + column);
  auto options = schema.options;
  SECTION("from a node") {
    options.node = node("b");
  }
  SECTION("from an only owner") {}
  SECTION("also where none may be made") {
    options.create = false;
  }
  static_cast<void>(open_once_free(options));
  CHECK(schema.sql("SELECT count(*) FROM information_schema.columns WHERE column_name = '" + column
                   + "' AND table_schema = '" + schema.options.schema + "'")
        == "1");
  auto a = schema.join("a");
  must(a.sessions->renew(slot_wish::give));
  CHECK(must(a.sessions->look()).draining == std::vector{node("a")});
}

TEST_CASE(
    "an only owner waits for no more than the length of a lease, though a clock was set back") {
  postgres_nodes schema;
  schema.use_clock_to_set();
  {
    auto options = schema.options;
    options.node = node("a");
    const auto sessions = must(postgres_ownership::join(open_once_free(options), 10min));
    must(sessions->renew());
  }
  schema.set_clock_forward(-3h);
  std::string refused;
  // The node's session may still be ending.
  for (int attempt = 0; attempt < 100 && !refused.ends_with(" s"); ++attempt)
    refused = message_of(postgres_store::open(schema.options).error());
  CHECK(refused.ends_with("node a is not connected, and has a lease for another 600 s"));
  schema.set_clock_forward(11min);
  static_cast<void>(open_once_free(schema.options));
}

TEST_CASE("who has joined and not begun has no lease, though the clock was set back") {
  postgres_nodes schema;
  schema.use_clock_to_set();
  auto a = schema.join("a");
  const postgres_nodes::member waiting{schema.options, "waiting", false};
  schema.set_clock_forward(-50min);
  must(a.sessions->renew());
  CHECK(must(a.sessions->look()).nodes == std::vector{node("a")});
}

TEST_CASE("leases go by the clock of the database, whatever those of the nodes say") {
  const postgres_nodes schema;
  auto a = schema.join("a");
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
    auto b = schema.join("b");
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

TEST_CASE("a node that drains is no taker, in whatever order the database has names") {
  const postgres_nodes schema;
  auto a = schema.join("lima");
  auto b = schema.join("Tokyo");
  // As the column is of its own where the database is of a language.
  schema.sql("ALTER TABLE " + schema.options.schema
             + ".nodes ALTER COLUMN node TYPE text COLLATE \"en-US-x-icu\"");
  must(b.sessions->renew(slot_wish::give));
  const auto table = must(a.sessions->look());
  CHECK(table.nodes == std::vector{node("Tokyo"), node("lima")});
  CHECK(table.takers() == std::vector{node("lima")});
}

TEST_CASE("a lease is not renewed while another node takes its slots") {
  const postgres_nodes schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  auto a = schema.join("a");
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

TEST_CASE("a batch that is slow keeps no lease from being renewed") {
  const postgres_nodes schema;
  postgres_proxy proxy{postgres_server::get()};
  auto options = schema.options;
  options.connection = proxy.connection();
  options.timeout = 2s;
  member a{options, "a"};
  must(a.sessions->acquire(all_slots()));
  std::atomic<bool> is_written = false;
  proxy.hold(postgres_proxy::kept::commit);
  std::jthread writing{[&] {
    static_cast<void>(write(*a.store, change{"s"}.event("1")));
    is_written = true;
  }};
  proxy.wait_until_held();
  CHECK(a.sessions->renew());
  CHECK_FALSE(is_written);
  proxy.hold(postgres_proxy::kept::nothing);
}

TEST_CASE("views that are open keep no lease from being renewed") {
  const postgres_nodes schema;
  auto options = schema.options;
  options.max_views = 1;
  options.timeout = 3s;
  member a{options, "a"};
  must(a.sessions->acquire(all_slots()));
  const auto view = must(a.store->read());
  CHECK(a.sessions->renew());
  CHECK(a.sessions->look());
  CHECK(must(a.sessions->holds_lease(named("s"), 1min)));
}

TEST_CASE("an answer about a lease that took longer than the lease lasts is not true") {
  const postgres_nodes schema;
  auto a = schema.join("a");
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
  const postgres_nodes schema;
  auto a = schema.join("a");
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
  const postgres_nodes schema;
  const auto& name = schema.options.schema;
  auto owns = schema.join("owns");
  must(owns.sessions->acquire(slot_list(named("s"))));
  const auto has_left = schema.join("has-left");
  CHECK_FALSE(has_left.sessions->leave());
  {
    const auto gone = schema.join("gone");
    const auto young = schema.join("young");
    const auto clean = schema.join("clean");
    CHECK_FALSE(clean.sessions->leave());
  }
  schema.sql("UPDATE " + name + ".nodes SET lease_until = clock_timestamp() - CASE WHEN node = "
             + "'young' THEN interval '29 days' ELSE interval '31 days' END");
  schema.sql("UPDATE " + name + ".writers SET opened = clock_timestamp() - interval '32 days'");
  const auto joins = schema.join("joins");
  const auto names_in = [&](const std::string& table) {
    return schema.sql("SELECT string_agg(node, ' ' ORDER BY node) FROM " + name + '.' + table);
  };
  CHECK(names_in("nodes") == "joins owns young");
  CHECK(names_in("writers") == "has-left joins owns young");
}

TEST_CASE("a node that is frozen amid a batch is passed, and cannot write when it wakes") {
  const postgres_nodes schema;
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
      auto b = schema.join("b");
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
  const postgres_nodes schema;
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
  const postgres_nodes schema;
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

} // namespace postgres_ownership_test
