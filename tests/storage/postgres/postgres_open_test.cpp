// Opening: what is accepted, what is refused and how it is said, and who may write.

#include "store_harness.hpp"

#include <fermata/storage/detail/entries.hpp>

#include <fermata_catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace postgres_open_test {

using namespace fermata;
using namespace fermata::test;

namespace {

caf::error refusal(const postgres_options& options) {
  auto opened = postgres_store::open(options);
  return opened ? caf::error{} : opened.error();
}

postgres_options reading(const postgres_harness& of) {
  auto options = of.options();
  options.access = store_access::read_only;
  return options;
}

std::string hex(detail::byte_view data) {
  std::string text = "'\\x";
  for (const auto byte : data) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 0xF];
  }
  return text + '\'';
}

} // namespace

TEST_CASE("options that cannot be are refused, saying what would be accepted") {
  const auto fresh = postgres_server::get().new_store();
  for (const auto* schema :
       {"", "Upper", "1st", "a-b", "a;b", "pg_x", "information_schema", "\"q\""}) {
    auto options = fresh;
    options.schema = schema;
    CAPTURE(schema);
    CHECK(is(refusal(options), errc::invalid_field));
    CHECK(says(refusal(options), "at most 63"));
  }
  auto options = fresh;
  options.schema = std::string(64, 'x');
  CHECK(is(refusal(options), errc::invalid_field));
  options = fresh;
  options.timeout = std::chrono::milliseconds{99};
  CHECK(says(refusal(options), "100 ms to 1 h"));
  options = fresh;
  options.transaction_timeout = std::chrono::hours{2};
  CHECK(says(refusal(options), "100 ms to 1 h"));
  options = fresh;
  options.max_views = 0;
  CHECK(says(refusal(options), "at least 1"));
  options = fresh;
  options.connection = "hots=here";
  CHECK(is(refusal(options), errc::invalid_field));
  CHECK(says(refusal(options), "hots"));
}

TEST_CASE("a schema may be named as a word of SQL") {
  for (const auto* schema : {"user", "order"}) {
    auto options = postgres_server::get().new_store();
    options.schema = schema;
    CHECK_FALSE(refusal(options));
    CHECK_FALSE(refusal(options));
    postgres_server::get().sql("DROP SCHEMA \"" + options.schema + "\" CASCADE");
  }
}

TEST_CASE("a password is in no message, also of a connection string that is none") {
  auto options = postgres_server::get().new_store();
  for (const auto* connection :
       {"host=here password=my secret", "postgresql://me:secret@here:port:x/db?secret",
        "postgresql://me:se@secret@localhost:1/db", "postgresql://me:my/secret@localhost:1/db",
        "postgresql://me:1/secret@localhost:1/db", "postgresql://me:secret/@localhost:1/db",
        "dbname=postgresql://me:secret@h/db", "host=/nowhere password=secret",
        "postgresql://me:secret@localhost:1/db"}) {
    options.connection = connection;
    const auto error = refusal(options);
    CAPTURE(message_of(error));
    CHECK(error);
    CHECK_FALSE(says(error, "secret"));
    CHECK_FALSE(says(error, "\n"));
  }
}

TEST_CASE("a database that cannot be used is store_unavailable, with its own words") {
  auto options = postgres_server::get().new_store();
  const auto host = "host=" + postgres_server::get().directory().string();
  options.connection = host + " user=fermata dbname=nowhere";
  CHECK(is(refusal(options), errc::store_unavailable));
  CHECK(says(refusal(options), "\"nowhere\" does not exist"));
  options.connection = host + " user=nobody_known dbname=postgres";
  CHECK(is(refusal(options), errc::store_unavailable));
  options.connection = "host=/nowhere dbname=postgres";
  CHECK(is(refusal(options), errc::store_unavailable));
  CHECK(says(refusal(options), "database postgres at /nowhere"));
}

TEST_CASE("where there is no store, none is made unless that is wanted, and never for reading") {
  auto options = postgres_server::get().new_store();
  options.create = false;
  CHECK(is(refusal(options), errc::store_unavailable));
  options.create = true;
  options.access = store_access::read_only;
  CHECK(is(refusal(options), errc::store_unavailable));
  options.access = store_access::read_write;
  options.identity = store_identity{1, 2};
  CHECK(is(refusal(options), errc::other_store));
  CHECK(says(refusal(options),
             "has no store where the store " + options.identity.str() + " is expected"));
  CHECK(postgres_server::get().sql("SELECT count(*) FROM pg_namespace WHERE nspname = '"
                                   + options.schema + "'")
        == "0");
}

TEST_CASE("a schema with other tables, or without some of a store's, is refused") {
  auto options = postgres_server::get().new_store();
  const auto& server = postgres_server::get();
  server.sql("CREATE SCHEMA " + options.schema + " AUTHORIZATION fermata; CREATE TABLE "
             + options.schema + ".others (a int)");
  CHECK(is(refusal(options), errc::store_unavailable));
  CHECK(says(refusal(options), "other tables"));
  server.sql("DROP TABLE " + options.schema + ".others");
  // An empty one that exists is taken.
  CHECK_FALSE(refusal(options));
  server.sql("DROP TABLE " + options.schema + ".timers");
  CHECK(is(refusal(options), errc::store_corrupt));
  CHECK(says(refusal(options), "timers"));
}

TEST_CASE("a store without all of its slots is store_corrupt") {
  postgres_harness harness;
  harness.close();
  const auto& options = harness.options();
  const auto& server = postgres_server::get();
  server.sql("DELETE FROM " + options.schema + ".slots WHERE slot = 3");
  CHECK(is(refusal(options), errc::store_corrupt));
  CHECK(says(refusal(options), "255 of 256 slots"));
  for (const auto* table : {"slots", "nodes"}) {
    server.sql("ALTER TABLE " + options.schema + '.' + table + " RENAME TO others");
    CHECK(is(refusal(options), errc::store_corrupt));
    CHECK(says(refusal(options), table));
    server.sql("ALTER TABLE " + options.schema + ".others RENAME TO " + table);
  }
}

TEST_CASE("a store of a newer format is store_too_new, also if it is open since before") {
  postgres_harness harness;
  const auto a = must_write(harness.get(), change{"a"}.event("1"));
  const auto key = detail::table_key::of_text(detail::meta_format);
  bytes format;
  detail::append_little_endian(format, detail::store_format + 1);
  postgres_server::get().sql("UPDATE " + harness.options().schema + ".meta SET value = "
                             + hex(detail::seal_value(detail::table::meta, key, format))
                             + " WHERE key = 'format'");
  CHECK(is(write(harness.get(), change{a}.event("2")).error, errc::store_too_new));
  CHECK(is(harness.get().find(named("a")).error(), errc::store_too_new));
  CHECK(is(harness.get().read().error(), errc::store_too_new));
  harness.close();
  const auto lives = [&] {
    return postgres_server::get().sql("SELECT max(life) FROM " + harness.options().schema
                                      + ".writers");
  };
  const auto before = lives();
  CHECK(is(refusal(harness.options()), errc::store_too_new));
  CHECK(lives() == before);
  CHECK(is(refusal(reading(harness)), errc::store_too_new));
}

TEST_CASE("a store keeps its identity, and one that an earlier version made gets one for good") {
  postgres_harness harness;
  const auto first = harness.get().identity();
  CHECK_FALSE(first.empty());
  harness.reopen();
  CHECK(harness.get().identity() == first);
  CHECK(must(postgres_store::open(reading(harness)))->identity() == first);
  CHECK(harness.verify().identity == first);
  harness.get().close();
  CHECK(harness.get().identity() == first);
  // As it was made by one, or copied and told so; the guide has this statement.
  postgres_server::get().sql("DELETE FROM " + harness.options().schema
                             + ".meta WHERE key = 'identity'");
  const auto reader = must(postgres_store::open(reading(harness)));
  CHECK(reader->identity().empty());
  CHECK(must(reader->verify()).sound());
  harness.reopen();
  const auto second = harness.get().identity();
  CHECK_FALSE(second.empty());
  CHECK(second != first);
  harness.reopen();
  CHECK(harness.get().identity() == second);
}

TEST_CASE("of several who open a store without an identity at once, all get the same") {
  const auto& server = postgres_server::get();
  auto options = server.new_store();
  must(postgres_store::open(options))->close();
  for (int round = 0; round < 5; ++round) {
    server.sql("DELETE FROM " + options.schema + ".meta WHERE key = 'identity'");
    std::vector<std::string> found(4);
    std::vector<std::thread> openers;
    for (std::size_t number = 0; number < found.size(); ++number)
      openers.emplace_back([&, number] {
        auto own = options;
        own.node = node("n" + std::to_string(number));
        if (auto opened = postgres_store::open(own))
          found[number] = (*opened)->identity().str();
      });
    for (auto& opener : openers)
      opener.join();
    CHECK(found.front().size() == store_identity::size_digits);
    CHECK(std::count(found.begin(), found.end(), found.front()) == 4);
  }
  server.sql("DROP SCHEMA " + options.schema + " CASCADE");
}

TEST_CASE("a store that is not the one expected is refused, and is not touched") {
  postgres_harness harness;
  const auto found = harness.get().identity();
  harness.close();
  const auto& server = postgres_server::get();
  auto options = harness.options();
  options.identity = found;
  CHECK_FALSE(refusal(options));
  options.identity = store_identity{1, 2};
  CHECK(is(refusal(options), errc::other_store));
  CHECK(says(refusal(options),
             "has the store " + found.str() + " and not the store " + options.identity.str()));
  const auto meta = options.schema + ".meta WHERE key = 'identity'";
  server.sql("DELETE FROM " + meta);
  CHECK(is(refusal(options), errc::other_store));
  CHECK(says(refusal(options), "has a store without an identity"));
  CHECK(server.sql("SELECT count(*) FROM " + meta) == "0");
}

TEST_CASE("an identity that is damaged is store_corrupt, and not replaced by another") {
  postgres_harness harness;
  harness.close();
  const auto& server = postgres_server::get();
  const auto flip = "UPDATE " + harness.options().schema
                    + ".meta SET value = set_bit(value, 45, 1 - get_bit(value, 45)) WHERE key = "
                      "'identity'";
  server.sql(flip);
  CHECK(is(refusal(harness.options()), errc::store_corrupt));
  CHECK(says(refusal(harness.options()), "identity"));
  server.sql(flip);
  CHECK_FALSE(refusal(harness.options()));
}

TEST_CASE("a server that does not wait for its disk is refused, unless that is wanted") {
  const auto& server = postgres_server::get();
  auto options = server.new_store();
  const auto switch_fsync = [&](const char* to) {
    server.sql(std::string{"ALTER SYSTEM SET fsync = "} + to);
    server.sql("SELECT pg_reload_conf()");
    while (server.sql("SHOW fsync") != to)
      std::this_thread::yield();
  };
  switch_fsync("off");
  const auto error = refusal(options);
  options.sync = false;
  const auto accepted = refusal(options);
  switch_fsync("on");
  CHECK(is(error, errc::store_unavailable));
  CHECK(says(error, "fsync"));
  CHECK_FALSE(accepted);
}

TEST_CASE("a second owner is store_busy, and told who the first one is") {
  postgres_harness harness;
  const auto error = refusal(harness.options());
  CHECK(is(error, errc::store_busy));
  CHECK(says(error, "process " + std::to_string(::getpid())));
  harness.close();
  CHECK_FALSE(refusal(harness.options()));
}

TEST_CASE("two stores in one database do not know of each other") {
  postgres_harness one;
  postgres_harness other;
  must_write(one.get(), change{"a"}.event("1"));
  CHECK_FALSE(must(other.get().find(named("a"))));
}

TEST_CASE("a reader sees what the owner commits, and cannot write") {
  postgres_harness harness;
  const auto reader = must(postgres_store::open(reading(harness)));
  must_write(harness.get(), change{"a"}.event("1"));
  CHECK(must_find(*reader, "a").events == 1);
  CHECK(is(write(*reader, change{"b"}).error, errc::store_unavailable));
  CHECK(is(reader->reclaim(1).error(), errc::store_unavailable));
  harness.close();
  CHECK(must_find(*reader, "a").events == 1);
}

TEST_CASE("a store that is closed serves nobody, and another one may open it") {
  postgres_harness harness;
  must_write(harness.get(), change{"a"}.event("1"));
  harness.get().close();
  CHECK(is(harness.get().find(named("a")).error(), errc::store_unavailable));
  CHECK(is(harness.get().read().error(), errc::store_unavailable));
  CHECK(is(write(harness.get(), change{"b"}).error, errc::store_unavailable));
  CHECK(is(harness.get().reclaim(1).error(), errc::store_unavailable));
  CHECK(is(harness.get().verify().error(), errc::store_unavailable));
  CHECK_FALSE(refusal(harness.options()));
}

TEST_CASE("a store is its opener's: a child cannot use it, and does not harm it by ending") {
  postgres_harness harness;
  must_write(harness.get(), change{"a"}.event("1"));
  CHECK(in_child([&]() -> std::string {
          if (!is(harness.get().find(named("a")).error(), errc::store_unavailable))
            return "it reads";
          if (!is(write(harness.get(), change{"b"}).error, errc::store_unavailable))
            return "it writes";
          harness.close();
          return {};
        })
        == "");
  must_write(harness.get(), change{"b"}.event("1"));
  CHECK(must_find(harness.get(), "a").events == 1);
}

TEST_CASE("more views than max_views are overloaded, and the next one is served once one ends") {
  postgres_harness harness;
  harness.close();
  auto options = harness.options();
  options.max_views = 2;
  options.timeout = std::chrono::seconds{1};
  const auto target = must(postgres_store::open(options));
  auto first = must(target->read());
  auto second = must(target->read());
  const auto error = target->read().error();
  CHECK(is(error, errc::overloaded));
  CHECK(says(error, "max_views"));
  // Writing needs none.
  CHECK_FALSE(write(*target, change{"a"}.event("1")).error);
  second.reset();
  CHECK(must_find(*target, "a").events == 1);
}

TEST_CASE("a flipped bit is store_corrupt, names what it is in, and verify finds it") {
  postgres_harness harness;
  auto a = must_write(harness.get(), change{"a"}.event("1").put({record_kind::entry, 0, 1}, "e"));
  const auto flip = [&](const char* table) {
    postgres_server::get().sql("UPDATE " + harness.options().schema + '.' + table
                               + " SET value = set_bit(value, 45, 1 - get_bit(value, 45))");
  };
  CHECK(harness.verify().sound());
  flip("parts");
  auto view = must(harness.get().read());
  const auto error = view->read(a.number, {record_kind::entry, 0, 1}).error();
  CHECK(is(error, errc::store_corrupt));
  CHECK(says(error, "index 1 of session number 1"));
  view.reset();
  CHECK(harness.verify().problems.size() == 1);
  flip("parts");
  flip("heads");
  CHECK(is(harness.get().find(named("a")).error(), errc::store_corrupt));
  CHECK(is(write(harness.get(), change{a}.event("2")).error, errc::store_corrupt));
  CHECK_FALSE(harness.verify().sound());
  flip("heads");
  flip("meta");
  CHECK(is(harness.get().find(named("a")).error(), errc::store_corrupt));
  CHECK_FALSE(harness.verify().sound());
  flip("meta");
  must_write(harness.get(), change{a}.event("2"));
}

} // namespace postgres_open_test
