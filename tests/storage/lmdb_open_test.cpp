// Who may open a store, beside whom, and what is refused.

#include "storage_helpers.hpp"

#include <fermata/storage/file_descriptor.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <future>

namespace lmdb_open_test {

using namespace fermata;
using namespace fermata::test;

namespace fs = std::filesystem;

namespace {

lmdb_options reading() {
  lmdb_options options;
  options.access = store_access::read_only;
  return options;
}

result<std::shared_ptr<lmdb_store>> open_reading(const fs::path& directory) {
  return lmdb_store::open(directory, reading());
}

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

} // namespace

TEST_CASE("a store and its files are private, whatever the umask") {
  temporary_directory directory;
  const auto path = directory.path() / "made" / "store";
  const auto previous = ::umask(0);
  auto opened = lmdb_store::open(path);
  ::umask(previous);
  const auto target = must(std::move(opened));
  must_write(*target, change{"a"});
  CHECK(mode_of(path) == 0700);
  for (const auto* name : {"data.mdb", "lock.mdb", "owner.lock"})
    CHECK(mode_of(path / name) == 0600);
}

TEST_CASE("a second owner in the same process is refused, naming its own pid") {
  temporary_directory directory;
  auto first = must(lmdb_store::open(directory));
  const auto second = lmdb_store::open(directory);
  REQUIRE_FALSE(second);
  CHECK(is(second.error(), errc::store_busy));
  CHECK(says(second.error(), "process " + std::to_string(::getpid())));
  must_write(*first, change{"a"});
  first.reset();
  CHECK(must_find(*must(lmdb_store::open(directory)), "a").number == 1);
}

TEST_CASE("a second owner in another process is refused, naming the owner's pid") {
  temporary_directory directory;
  child_process owner{[&](int input, int output) {
    const auto target = must(lmdb_store::open(directory));
    send_number(output, 1);
    receive_number(input);
  }};
  REQUIRE(owner.receive() == 1);
  const auto second = lmdb_store::open(directory);
  REQUIRE_FALSE(second);
  CHECK(is(second.error(), errc::store_busy));
  CHECK(says(second.error(), "process " + std::to_string(owner.pid())));
  owner.kill();
  owner.wait();
  CHECK(lmdb_store::open(directory));
}

TEST_CASE("a child that a dead owner left behind is waited for, as long as it has the lock") {
  temporary_directory directory;
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  file_descriptor held{ends[0]};
  file_descriptor release{ends[1]};
  child_process owner{[&](int, int output) {
    release.reset();
    const auto target = must(lmdb_store::open(directory));
    if (::fork() == 0) {
      send_number(output, 1);
      receive_number(held.get());
      ::_exit(0);
    }
    ::pause();
  }};
  REQUIRE(owner.receive() == 1);
  owner.kill();
  owner.wait();
  auto next = std::async(std::launch::async, [&] { return lmdb_store::open(directory); });
  release.reset();
  CHECK(next.get());
}

TEST_CASE("a closed store refuses everything and can be opened again") {
  temporary_directory directory;
  const auto target = must(lmdb_store::open(directory));
  must_write(*target, change{"a"});
  target->close();
  CHECK(is(target->find(named("a")).error(), errc::store_unavailable));
  CHECK(is(target->read().error(), errc::store_unavailable));
  CHECK(is(write(*target, change{"b"}).error, errc::store_unavailable));
  CHECK(is(target->backup_to(directory.path() / "copy"), errc::store_unavailable));
  CHECK(must_find(*must(lmdb_store::open(directory)), "a").number == 1);
}

TEST_CASE("a view that outlives its store still reads, and ownership ends with it") {
  temporary_directory directory;
  auto target = must(lmdb_store::open(directory));
  must_write(*target, change{"a"});
  auto view = must(target->read());
  target.reset();
  CHECK(must(view->find(named("a"))));
  CHECK(is(lmdb_store::open(directory).error(), errc::store_busy));
  view.reset();
  CHECK(lmdb_store::open(directory));
}

TEST_CASE("a reader beside an owner in another process sees its commits") {
  temporary_directory directory;
  child_process owner{[&](int input, int output) {
    const auto target = must(lmdb_store::open(directory));
    for (int i = 1; receive_number(input) == i; ++i) {
      must_write(*target, change{"s" + std::to_string(i)});
      send_number(output, i);
    }
  }};
  std::shared_ptr<lmdb_store> reader;
  for (int i = 1; i <= 3; ++i) {
    owner.send(i);
    REQUIRE(owner.receive() == i);
    if (!reader)
      reader = must(open_reading(directory));
    CHECK(must_find(*reader, "s" + std::to_string(i)).number == static_cast<unsigned>(i));
    CHECK_FALSE(must(reader->find(named("s" + std::to_string(i + 1)))));
  }
  CHECK(is(write(*reader, change{"x"}).error, errc::store_unavailable));
  CHECK(must(verify_store(directory)).sound());
}

TEST_CASE("a reader in the owner's process shares what is open") {
  temporary_directory directory;
  auto owner = must(lmdb_store::open(directory));
  const auto reader = must(open_reading(directory));
  must_write(*owner, change{"a"});
  CHECK(must_find(*reader, "a").number == 1);
  CHECK(is(write(*reader, change{"b"}).error, errc::store_unavailable));
  owner.reset();
  CHECK(must_find(*reader, "a").number == 1);
}

TEST_CASE(
    "in a child process a store of its parent is refused, and ending it there disturbs nobody") {
  temporary_directory directory;
  auto target = must(lmdb_store::open(directory));
  auto a = must_write(*target, change{"a"}.event("1"));
  auto view = must(target->read());
  CHECK(in_child([&]() -> std::string {
          if (!is(target->read().error(), errc::store_unavailable)
              || !is(write(*target, change{"b"}).error, errc::store_unavailable))
            return "not refused";
          if (must_find(*must(open_reading(directory)), "a").events != 1)
            return "the child cannot read for itself";
          view.reset();
          target.reset();
          return {};
        })
        == "");
  // Were the view's entry in the table of readers gone, its pages would be written over.
  for (int i = 0; i < 20; ++i)
    a = must_write(*target, change{a}.event(data(9000, 'x')).put({record_kind::entry, 0, 0}, "y"));
  CHECK(text(must(view->events(a.number, 1, 9)).at(0).value) == "1");
  CHECK(must(view->find(named("a")))->events == 1);
}

TEST_CASE("a store that nobody owns can be read, and keeps a writer of the same process out") {
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"a"});
  auto reader = must(open_reading(directory));
  CHECK(must_find(*reader, "a").number == 1);
  CHECK(is(lmdb_store::open(directory).error(), errc::store_busy));
  reader.reset();
  CHECK(lmdb_store::open(directory));
}

TEST_CASE("reading does not make a store where there is none") {
  temporary_directory directory;
  const auto missing = directory.path() / "missing";
  CHECK(is(open_reading(missing).error(), errc::store_unavailable));
  CHECK_FALSE(fs::exists(missing));
  CHECK(is(open_reading(directory).error(), errc::store_unavailable));
  CHECK(fs::is_empty(directory.path()));
  CHECK(is(verify_store(missing).error(), errc::store_unavailable));
  lmdb_options existing;
  existing.create = false;
  CHECK(is(lmdb_store::open(missing, existing).error(), errc::store_unavailable));
  CHECK(is(lmdb_store::open(directory, existing).error(), errc::store_unavailable));
}

TEST_CASE("a place where no directory can be made is unavailable, with the reason") {
  temporary_directory directory;
  const auto file = directory.path() / "file";
  std::ofstream{file} << "not a directory";
  for (const auto& path : {file, file / "store"}) {
    const auto opened = lmdb_store::open(path);
    REQUIRE_FALSE(opened);
    CHECK(is(opened.error(), errc::store_unavailable));
    CHECK(says(opened.error(), "Not a directory"));
  }
}

TEST_CASE("a directory without permission to write is unavailable, for writers and readers") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root, to become somebody else in a child");
    return;
  }
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"a"});
  for (const auto* name : {"data.mdb", "lock.mdb", "owner.lock"})
    fs::permissions(directory.path() / name, fs::perms{0644});
  fs::permissions(directory, fs::perms{0755});
  CHECK(in_child([&]() -> std::string {
          constexpr uid_t nobody = 65534;
          if (::setuid(nobody) != 0)
            return "setuid failed";
          const auto writer = lmdb_store::open(directory);
          if (writer || !is(writer.error(), errc::store_unavailable))
            return "writing was not refused";
          const auto reader = open_reading(directory);
          if (reader || !is(reader.error(), errc::store_unavailable)
              || !says(reader.error(), "lock.mdb"))
            return "reading was not refused with a reason";
          return {};
        })
        == "");
}

TEST_CASE("a store on a file system that is read-only can be read, and not written") {
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"a"});
  const auto outcome = in_child([&]() -> std::string {
    const auto* path = directory.path().c_str();
    if (::unshare(CLONE_NEWNS) != 0
        || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
        || ::mount(path, path, nullptr, MS_BIND, nullptr) != 0
        || ::mount(path, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return "skipped";
    const auto writer = lmdb_store::open(directory);
    if (writer || !is(writer.error(), errc::store_unavailable))
      return "writing was not refused";
    if (must_find(*must(open_reading(directory)), "a").number != 1)
      return "the session was not found";
    return {};
  });
  if (outcome == "skipped")
    WARN("skipped: mounting is not permitted here");
  else
    CHECK(outcome == "");
}

TEST_CASE("address space that is not to be had is unavailable, naming the setting") {
  temporary_directory directory;
  CHECK(in_child([&]() -> std::string {
          lmdb_options options;
          options.map_size_bytes = std::uint64_t{1} << 56;
          const auto opened = lmdb_store::open(directory, options);
          if (opened || !is(opened.error(), errc::store_unavailable)
              || !says(opened.error(), "map_size_bytes"))
            return "not refused with a reason";
          // What has failed leaves nothing open behind it.
          return lmdb_store::open(directory) ? "" : "the store cannot be opened any more";
        })
        == "");
}

TEST_CASE("a store of a newer format is refused, naming both formats") {
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"a"});
  raise_store_format(directory);
  const auto opened = lmdb_store::open(directory);
  REQUIRE_FALSE(opened);
  CHECK(is(opened.error(), errc::store_too_new));
  CHECK(says(opened.error(), "has format 5"));
  CHECK(says(opened.error(), "up to 4"));
  CHECK(is(open_reading(directory).error(), errc::store_too_new));
  CHECK(is(verify_store(directory).error(), errc::store_too_new));
}

TEST_CASE("a record of a newer format is refused, and the others are served") {
  temporary_directory directory;
  const record_key first{record_kind::entry, 0, 1};
  const record_key second{record_kind::entry, 0, 2};
  must_write(*must(lmdb_store::open(directory)), change{"a"}.put(first, "1").put(second, "2"));
  raise_record_format(directory, 1, first);
  const auto target = must(lmdb_store::open(directory));
  const auto view = must(target->read());
  CHECK(is(view->read(1, first).error(), errc::store_too_new));
  CHECK(text(must(view->read(1, second)).value()) == "2");
}

TEST_CASE("an LMDB file of somebody else's is not taken over") {
  temporary_directory directory;
  MDB_env* environment = nullptr;
  mdb_env_create(&environment);
  mdb_env_set_maxdbs(environment, 4);
  REQUIRE(mdb_env_open(environment, directory.path().c_str(), 0, 0600) == 0);
  MDB_txn* transaction = nullptr;
  MDB_dbi table = 0;
  REQUIRE(mdb_txn_begin(environment, nullptr, 0, &transaction) == 0);
  REQUIRE(mdb_dbi_open(transaction, "theirs", MDB_CREATE, &table) == 0);
  REQUIRE(mdb_txn_commit(transaction) == 0);
  mdb_env_close(environment);
  const auto opened = lmdb_store::open(directory);
  REQUIRE_FALSE(opened);
  CHECK(is(opened.error(), errc::store_corrupt));
  CHECK(says(opened.error(), "not a store of Fermata"));
}

TEST_CASE("views beyond max_readers are refused, and possible again when one ends") {
  temporary_directory directory;
  lmdb_options options;
  options.max_readers = 3;
  const auto target = must(lmdb_store::open(directory, options));
  std::vector<std::unique_ptr<store::view>> views;
  for (auto view = target->read(); view; view = target->read())
    views.push_back(std::move(*view));
  CHECK(views.size() == 3);
  CHECK(is(target->read().error(), errc::overloaded));
  views.pop_back();
  CHECK(target->read());
}

TEST_CASE("what a reader that was killed held back is given free by the next opening") {
  temporary_directory directory;
  lmdb_options options;
  options.max_readers = 2;
  const auto target = must(lmdb_store::open(directory, options));
  for (int i = 0; i < 4; ++i) {
    child_process reader{[&](int input, int output) {
      const auto store = must(open_reading(directory));
      const auto view = must(store->read());
      send_number(output, 1);
      receive_number(input);
    }};
    REQUIRE(reader.receive() == 1);
    reader.kill();
    reader.wait();
  }
}

TEST_CASE("a backup keeps its pace, and ends when it is told to") {
  temporary_directory directory;
  const auto target = must(lmdb_store::open(directory.path() / "store"));
  for (int i = 0; i < 20; ++i)
    must_write(*target, change{"s" + std::to_string(i)}.event(data(3000, 'x')));
  std::vector<std::uint64_t> seen;
  backup_options options;
  options.bytes_per_second = 400'000;
  options.goes_on = [&](std::uint64_t written_bytes) {
    seen.push_back(written_bytes);
    return true;
  };
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(target->backup_to(directory.path() / "paced", options) == caf::none);
  // Never faster; how much slower is the machine's.
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto size_bytes = fs::file_size(directory.path() / "paced" / "data.mdb");
  CHECK(took.count() >= static_cast<double>(size_bytes) / 400'000);
  REQUIRE(seen.size() >= size_bytes / 40'000);
  CHECK(seen.back() == size_bytes);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(must(verify_store(directory.path() / "paced")).sound());

  options.goes_on = [](std::uint64_t written_bytes) { return written_bytes < 50'000; };
  const auto ended = target->backup_to(directory.path() / "ended", options);
  CHECK(is(ended, errc::shutting_down));
  CHECK(fs::is_empty(directory.path() / "ended"));
  CHECK(target->backup_to(directory.path() / "ended") == caf::none);
}

TEST_CASE("one backup at a time is written to a directory, over what a killed one has left") {
  temporary_directory directory;
  const auto target = must(lmdb_store::open(directory.path() / "store"));
  must_write(*target, change{"s"}.event("1"));
  const auto copy = directory.path() / "copy";
  fs::create_directory(copy);
  const auto partial = copy / "data.mdb.partial";
  std::ofstream{partial} << std::string(1'000'000, 'x');
  {
    const file_descriptor other{::open(partial.c_str(), O_WRONLY | O_CLOEXEC)};
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    const auto refused = target->backup_to(copy);
    CHECK(is(refused, errc::store_unavailable));
    CHECK(message_of(refused).find("is being written by another backup") != std::string::npos);
    CHECK(fs::file_size(partial) == 1'000'000);
  }
  CHECK(target->backup_to(copy) == caf::none);
  CHECK_FALSE(fs::exists(partial));
  CHECK(must(verify_store(copy)).sound());
}

TEST_CASE("a backup is a store that holds what was committed, made while views are open") {
  temporary_directory directory;
  const auto target = must(lmdb_store::open(directory.path() / "store"));
  for (int i = 0; i < 50; ++i)
    must_write(*target, change{"s" + std::to_string(i)}.event(data(3000, 'x')).pend(1, "p"));
  const auto copy = directory.path() / "copies" / "first";
  const auto view = must(target->read());
  CHECK(target->backup_to(copy) == caf::none);
  CHECK(mode_of(copy) == 0700);
  CHECK(mode_of(copy / "data.mdb") == 0600);
  CHECK(is(target->backup_to(copy), errc::store_unavailable));
  must_write(*target, change{"later"});
  const auto restored = must(lmdb_store::open(copy));
  CHECK_FALSE(must(restored->find(named("later"))));
  CHECK(must(must(restored->read())->sessions(std::nullopt, 0, 100)).size() == 50);
  CHECK(write(*restored, change{"new"}).number == 51);
  CHECK(must(verify_store(copy)).sound());
}

} // namespace lmdb_open_test
