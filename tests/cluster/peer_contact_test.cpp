// What a node knows of its contact with another one, without actors.

#include <fermata/actors/cluster/detail/peer_contact.hpp>

#include <fermata_catch.hpp>

namespace peer_contact_test {

using namespace fermata;
using detail::peer_contact;
using deed = peer_contact::deed;
using namespace std::chrono_literals;

namespace {

contact_timing timing() {
  contact_timing made;
  made.connect_timeout = 5s;
  made.head_start = 500ms;
  made.first_retry = 250ms;
  made.longest_retry = 1s;
  made.refused_retry = 30s;
  made.heartbeat = 2s;
  made.idle_heartbeat = 10s;
  made.silence = 6s;
  return made;
}

/// A contact and the time that passes for it.
struct timed_contact {
  explicit timed_contact(const contact_timing& with = timing(), bool yields = false)
      : contact{with, yields, now} {}

  /// Time passes until something is due, at most so long.
  deed wait(std::chrono::milliseconds longest, bool awaited = false) {
    const auto end = now + longest;
    const auto due = contact.due(awaited);
    now = due && *due <= end ? std::max(*due, now) : end;
    return contact.next(now, awaited);
  }

  peer_contact::time now{1h};
  peer_contact contact;
};

} // namespace

TEST_CASE("who waits for a first attempt waits until it has failed, or takes too long") {
  timed_contact one;
  CHECK(one.contact.state() == contact_state::connecting);
  REQUIRE(one.wait(0ms) == deed::connect);
  CHECK(one.wait(4'999ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::give_up);
  CHECK(one.contact.state() == contact_state::apart);
  CHECK(one.contact.reason() == "it did not answer in time");
  // The attempt goes on all the same, and no other one is begun meanwhile.
  CHECK(one.wait(24h) == deed::nothing);
  one.contact.connected(one.now);
  CHECK(one.contact.state() == contact_state::connected);
  CHECK(one.contact.reason().empty());
}

TEST_CASE("failed attempts are repeated at growing intervals, up to the longest") {
  timed_contact one;
  one.contact.failed("refused", one.now);
  for (const auto interval : {250ms, 500ms, 1'000ms, 1'000ms}) {
    CHECK(one.contact.state() == contact_state::apart);
    CHECK(one.contact.reason() == "refused");
    CHECK(one.wait(interval - 1ms) == deed::nothing);
    CHECK(one.wait(1ms) == deed::connect);
    CHECK(one.wait(24h) == deed::nothing);
    one.contact.failed("refused", one.now);
  }
  SECTION("and soon again after one that succeeded") {
    one.contact.connected(one.now);
    one.contact.lost("gone", one.now);
    CHECK(one.contact.reason() == "gone");
    CHECK(one.wait(250ms) == deed::connect);
  }
  SECTION("and not while one that has connected by itself is greeted") {
    CHECK(one.contact.sighted());
    CHECK(one.wait(24h) == deed::nothing);
    one.contact.connected(one.now);
    CHECK_FALSE(one.contact.sighted());
  }
}

TEST_CASE("of two nodes one gives the other a head start at each attempt") {
  timed_contact one{timing(), true};
  CHECK(one.wait(499ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::connect);
  one.contact.failed("refused", one.now);
  CHECK(one.wait(749ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::connect);
  one.contact.refused("another list", one.now);
  CHECK(one.wait(30'499ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::connect);
}

TEST_CASE("a peer that refuses is tried again now and then") {
  timed_contact one;
  one.contact.refused("another list", one.now);
  one.contact.lost("gone", one.now);
  CHECK(one.contact.state() == contact_state::refused);
  CHECK(one.contact.reason() == "another list");
  CHECK(one.wait(29'999ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::connect);
  // Also where it is lost while it is tried again.
  one.contact.lost("gone", one.now);
  CHECK(one.wait(30s) == deed::connect);
}

TEST_CASE("a connected peer is asked for a sign of life, more often while it is awaited") {
  timed_contact one;
  one.contact.connected(one.now);
  CHECK(one.wait(1'999ms, true) == deed::nothing);
  CHECK(one.wait(1ms, true) == deed::heartbeat);
  one.contact.heard(one.now);
  CHECK(one.wait(9'999ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::heartbeat);
  one.contact.heard(one.now);
  CHECK(one.contact.state() == contact_state::connected);
}

TEST_CASE("no answer to a heartbeat for too long is silence, until anything comes") {
  timed_contact one;
  one.contact.connected(one.now);
  REQUIRE(one.wait(10s) == deed::heartbeat);
  CHECK(one.wait(5'999ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::give_up);
  CHECK(one.contact.state() == contact_state::silent);
  CHECK(one.contact.reason() == "it gives no sign of life");
  CHECK(one.wait(5'999ms) == deed::nothing);
  CHECK(one.wait(1ms) == deed::heartbeat); // it is asked again
  SECTION("an answer") {
    one.contact.heard(one.now);
    CHECK(one.contact.state() == contact_state::connected);
    CHECK(one.wait(10s) == deed::heartbeat);
  }
  SECTION("the end of the connection") {
    one.contact.lost("gone", one.now);
    CHECK(one.contact.state() == contact_state::apart);
    CHECK(one.wait(250ms) == deed::connect);
  }
}

TEST_CASE("without an idle heartbeat a peer from which nothing is awaited is left alone") {
  auto quiet = timing();
  quiet.idle_heartbeat = 0ms;
  timed_contact one{quiet};
  one.contact.connected(one.now);
  CHECK(one.wait(24h) == deed::nothing);
  CHECK(one.wait(0ms, true) == deed::heartbeat);
}

TEST_CASE("a connection that ends while it is made is a failed attempt") {
  timed_contact one;
  one.contact.lost("gone", one.now);
  CHECK(one.contact.state() == contact_state::apart);
  CHECK(one.wait(250ms) == deed::connect);
}

} // namespace peer_contact_test
