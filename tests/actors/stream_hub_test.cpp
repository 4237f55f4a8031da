// The hub that tells readers of events that there are more.

#include "support.hpp"

#include <fermata/actors/detail/stream_hub.hpp>

namespace stream_hub_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

TEST_CASE("a reader hears of an end that comes between its reading and its waiting") {
  detail::stream_hub hub;
  hub.enter(sid());
  const auto endings = hub.endings(sid());
  hub.publish(sid(), 7);
  CHECK_FALSE(hub.wait_for(sid(), 8, endings, 0ms)); // it has read up to 7
  hub.end(sid());
  CHECK(hub.wait_for(sid(), 8, endings, 0ms));
  CHECK_FALSE(hub.wait_for(sid(), 8, hub.endings(sid()), 0ms));
  hub.leave(sid());
}

TEST_CASE("numbers begin anew behind an end") {
  detail::stream_hub hub;
  hub.enter(sid());
  hub.publish(sid(), 7);
  hub.end(sid());
  const auto endings = hub.endings(sid());
  CHECK_FALSE(hub.wait_for(sid(), 1, endings, 0ms));
  hub.publish(sid(), 1);
  CHECK(hub.wait_for(sid(), 1, endings, 0ms));
  hub.leave(sid());
}

TEST_CASE("those who watch and observe a session are told of its end") {
  detail::stream_hub hub;
  CHECK_FALSE(hub.end(sid()));
  std::vector<std::uint64_t> told;
  const auto observation =
      hub.observe(sid(), [&](std::uint64_t number) { told.push_back(number); });
  hub.publish(sid(), 7);
  CHECK_FALSE(hub.end(sid()));
  CHECK(told == std::vector<std::uint64_t>{7, 0});
  hub.watch(sid());
  CHECK(hub.end(sid()));
  hub.unwatch(sid());
  hub.forget(sid(), observation);
}

} // namespace stream_hub_test
