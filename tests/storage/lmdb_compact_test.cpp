// Giving space back: the file of a store is replaced by a smaller one, whole or not at all.

#include "storage_helpers.hpp"

#include <fermata/storage/detail/entries.hpp>
#include <fermata/storage/detail/lmdb_environment.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <fermata_catch.hpp>

#include <sys/stat.h>

#include <fstream>
#include <random>
#include <utility>

namespace lmdb_compact_test {

using namespace fermata;
using namespace fermata::test;

namespace fs = std::filesystem;

namespace {

lmdb_options reading() {
  lmdb_options options;
  options.access = store_access::read_only;
  return options;
}

/// A store most of which is garbage.
std::string put_much_and_delete(const fs::path& directory) {
  const auto target = must(lmdb_store::open(directory));
  for (int i = 0; i < 40; ++i) {
    auto one =
        must_write(*target, change{"s" + std::to_string(i)}.event(data(9'000, 'x')).pend(1, "p"));
    one = must_write(*target, change{one}.event("2").put({record_kind::entry, 0, 1}, "e"));
    if (i % 8 != 0)
      must_delete(*target, one.id.str());
    else
      must_write(*target, change{one}.event("3").drop_below(2));
  }
  return dump(*target);
}

std::uint64_t format_of(const fs::path& directory) {
  const auto opened = must(detail::lmdb_environment::open(directory, reading()));
  return must(detail::read_meta(*must(opened->read()), detail::meta_format)).value();
}

} // namespace

TEST_CASE("a store that nothing was deleted from has the format that older versions read") {
  temporary_directory directory;
  {
    const auto target = must(lmdb_store::open(directory));
    must_write(*target, change{"a"}.event("1").event("2"));
    CHECK_FALSE(must(target->reclaim(9)).more);
  }
  CHECK(format_of(directory) == 1);
  SECTION("until a session is deleted") {
    must_delete(*must(lmdb_store::open(directory)), "a");
  }
  SECTION("until a session is imported whose first events were dropped") {
    const auto target = must(lmdb_store::open(directory));
    commit imported;
    imported.session = *session_id::parse("b");
    imported.expected_events = 5;
    imported.drops_events_below = 6;
    imported.events.push_back(data(1, 'x'));
    CHECK_FALSE(target->write(std::span{&imported, 1}).front().error);
  }
  SECTION("until an event is dropped") {
    const auto target = must(lmdb_store::open(directory));
    must_write(*target, change{must_find(*target, "a")}.drop_below(2));
  }
  CHECK(format_of(directory) == 2);
}

TEST_CASE("a store whose records are behind its journal has a format that says so, for good") {
  temporary_directory directory;
  {
    const auto target = must(lmdb_store::open(directory));
    must_write(*target, change{"a"}.event("1"));
    must_write(*target, change{must_find(*target, "a")}.event("2").defer_records());
    CHECK(format_of(directory) == 3);
    must_write(*target, change{"b"}.event("1"));
    CHECK(format_of(directory) == 3);
    must_delete(*target, "a");
    must_write(*target, change{"c"}.event("1"));
  }
  CHECK(format_of(directory) == 4);
}

TEST_CASE("what was deleted from a store before does not keep it from that format") {
  temporary_directory directory;
  const auto target = must(lmdb_store::open(directory));
  must_write(*target, change{"a"}.event("1"));
  must_delete(*target, "a");
  CHECK(format_of(directory) == 2);
  const auto b = must_write(*target, change{"b"}.event("1"));
  must_write(*target, change{b}.event("2").defer_records());
  CHECK(format_of(directory) == 4);
}

TEST_CASE("a compacted store is smaller, and holds the same without what was deleted") {
  temporary_directory directory;
  const auto before = put_much_and_delete(directory);
  const auto size = fs::file_size(directory.path() / "data.mdb");
  const auto done = must(lmdb_store::compact(directory));
  CHECK(done.erased == 35 * 3 + 5);
  CHECK(done.size_before_bytes == size);
  CHECK(done.size_after_bytes == fs::file_size(directory.path() / "data.mdb"));
  CHECK(done.size_after_bytes < size / 4);
  struct stat status {};
  REQUIRE(::stat((directory.path() / "data.mdb").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  CHECK_FALSE(fs::exists(directory.path() / "compact.partial"));
  const auto report = must(verify_store(directory));
  CHECK(report.problems == std::vector<std::string>{});
  CHECK(report.garbage == 0);
  const auto target = must(lmdb_store::open(directory));
  CHECK(dump(*target) == before);
  CHECK(must_write(*target, change{"next"}.event("1")).number == 41);
}

TEST_CASE("who may read a store may read it compacted, also after one that was killed") {
  temporary_directory directory;
  const auto before = put_much_and_delete(directory);
  REQUIRE(::chmod((directory.path() / "data.mdb").c_str(), 0640) == 0);
  fs::create_directory(directory.path() / "compact.partial");
  std::ofstream{directory.path() / "compact.partial" / "data.mdb"} << "half of it";
  must(lmdb_store::compact(directory));
  struct stat status {};
  REQUIRE(::stat((directory.path() / "data.mdb").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0640);
  CHECK(dump(*must(lmdb_store::open(directory))) == before);
}

TEST_CASE("a store that somebody has open is not compacted, and whose process it is is said") {
  temporary_directory directory;
  const auto before = put_much_and_delete(directory);
  for (const auto access : {store_access::read_write, store_access::read_only}) {
    child_process other{[&](int input, int output) {
      lmdb_options options;
      options.access = access;
      const auto opened = must(lmdb_store::open(directory, options));
      send_number(output, 1);
      receive_number(input);
    }};
    REQUIRE(other.receive() == 1);
    const auto refused = lmdb_store::compact(directory);
    REQUIRE_FALSE(refused);
    CHECK(is(refused.error(), errc::store_busy));
    CHECK(says(refused.error(), std::to_string(other.pid())));
    other.send(1);
    other.wait();
  }
  {
    const auto here = must(lmdb_store::open(directory, reading()));
    const auto refused = lmdb_store::compact(directory);
    REQUIRE_FALSE(refused);
    CHECK(is(refused.error(), errc::store_busy));
    CHECK(dump(*here) == before);
  }
  CHECK(lmdb_store::compact(directory));
}

TEST_CASE("who begins to read while the copy is made keeps the old file in its place") {
  temporary_directory directory;
  const auto before = put_much_and_delete(directory);
  child_process reader{[&](int input, int output) {
    receive_number(input);
    const auto opened = must(lmdb_store::open(directory, reading()));
    do
      send_number(output, static_cast<std::int64_t>(must_find(*opened, "s8").events));
    while (receive_number(input) == 1);
  }};
  bool opened = false;
  backup_options options;
  options.goes_on = [&](std::uint64_t written_bytes) {
    if (written_bytes > 0 && !std::exchange(opened, true)) {
      reader.send(1);
      static_cast<void>(reader.receive());
    }
    return true;
  };
  const auto refused = lmdb_store::compact(directory, options);
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::store_busy));
  CHECK(says(refused.error(), std::to_string(reader.pid())));
  CHECK_FALSE(fs::exists(directory.path() / "compact.partial"));
  // Both go on with the same file.
  const auto target = must(lmdb_store::open(directory));
  CHECK(dump(*target) == before);
  must_write(*target, change{must_find(*target, "s8")}.event("4"));
  reader.send(1);
  CHECK(reader.receive() == 4);
}

TEST_CASE("compacting that is ended leaves the old file and nothing beside it") {
  temporary_directory directory;
  const auto before = put_much_and_delete(directory);
  for (const std::uint64_t enough : {0, 1}) {
    backup_options options;
    options.goes_on = [=](std::uint64_t written_bytes) { return written_bytes < enough; };
    const auto ended = lmdb_store::compact(directory, options);
    REQUIRE_FALSE(ended);
    CHECK(is(ended.error(), errc::shutting_down));
    CHECK_FALSE(fs::exists(directory.path() / "compact.partial"));
    CHECK(dump(*must(lmdb_store::open(directory))) == before);
  }
}

TEST_CASE(
    "killing who compacts at any moment leaves one whole file, and the next owner tidies up") {
  std::mt19937_64 random{3};
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    temporary_directory directory;
    const auto before = put_much_and_delete(directory);
    {
      child_process compacting{[&](int, int output) {
        send_number(output, 1);
        static_cast<void>(lmdb_store::compact(directory));
      }};
      REQUIRE(compacting.receive() == 1);
      for (auto spins = random() % 60'000'000; spins > 0; --spins)
        asm volatile("");
      compacting.kill();
      compacting.wait();
    }
    const auto target = must(lmdb_store::open(directory));
    CHECK(dump(*target) == before);
    CHECK_FALSE(fs::exists(directory.path() / "compact.partial"));
    CHECK(must(verify_store(directory)).problems == std::vector<std::string>{});
  }
}

TEST_CASE("where there is no store, none is compacted") {
  temporary_directory directory;
  CHECK(is(lmdb_store::compact(directory.path() / "absent").error(), errc::store_unavailable));
  CHECK_FALSE(fs::exists(directory.path() / "absent"));
  CHECK(is(lmdb_store::compact(directory).error(), errc::store_unavailable));
}

TEST_CASE("a damaged store is not compacted") {
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"a"}.event("EVENT-a"));
  const auto file = directory.path() / "data.mdb";
  std::ifstream in{file, std::ios::binary};
  std::string content{std::istreambuf_iterator<char>{in}, {}};
  for (auto at = content.find("EVENT-a"); at != std::string::npos; at = content.find("EVENT-a"))
    content.replace(at, 7, "EVENT-b");
  std::ofstream{file, std::ios::binary | std::ios::trunc} << content;
  const auto refused = lmdb_store::compact(directory);
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::store_corrupt));
  CHECK_FALSE(fs::exists(directory.path() / "compact.partial"));
  std::ifstream after{file, std::ios::binary};
  CHECK(std::string{std::istreambuf_iterator<char>{after}, {}}.find("EVENT-b")
        != std::string::npos);
}

} // namespace lmdb_compact_test
