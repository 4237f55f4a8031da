// Reading sessions of a store that nodes share, from plain threads, while they move between nodes.

#include "support.hpp"

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/session_router.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_slots.hpp>

#include <fermata_catch.hpp>

#include <caf/send.hpp>

#include <array>
#include <atomic>
#include <future>
#include <thread>

namespace shared_reading_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Which of the runtimes all sessions live on.
struct whereabouts {
  static constexpr int nowhere = -1;
  std::atomic<int> home{0};
  std::atomic<int> asked{0};                 ///< How often a stream was.
  std::atomic<std::uint64_t> incarnation{0}; ///< Of the session that it was asked about last.
  std::mutex mutex;
  std::array<caf::actor, 2> directories;

  caf::actor directory_of_home() {
    const std::lock_guard lock{mutex};
    const int now = home;
    return now == nowhere ? caf::actor{} : directories.at(static_cast<std::size_t>(now));
  }
};

caf::error nobody_there() {
  return make_error(errc::node_unavailable, "no node has it at the moment");
}

/// Asks the home, whichever it is, as the links of a cluster do.
template <class Inquiry, class Answer>
void ask(caf::event_based_actor* self, whereabouts& where, const Inquiry& asked) {
  const auto directory = where.directory_of_home();
  if (!directory)
    return asked->answer(nobody_there());
  self->request(directory, caf::infinite, asked->what)
      .then([asked](Answer& answer) { asked->answer(std::move(answer)); },
            [asked](caf::error& error) { asked->answer(std::move(error)); });
}

caf::behavior forwarding(caf::event_based_actor* self, std::shared_ptr<whereabouts> where) {
  return {
      [=](detail::delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        if (const auto directory = where->directory_of_home())
          detail::hand_on(self, directory, std::move(message));
        else
          message->answer(nobody_there());
      },
      [=](const detail::follow_inquiry& asked) {
        where->incarnation = asked->what.incarnation;
        ++where->asked;
        ask<detail::follow_inquiry, chunk_batch>(self, *where, asked);
      },
      [=](const detail::status_inquiry& asked) {
        ask<detail::status_inquiry, session_status>(self, *where, asked);
      },
      // It was asked of a home that was none any more when it came.
      [=](follow_chunks& what) {
        auto promise = self->make_response_promise();
        if (const auto directory = where->directory_of_home())
          promise.delegate(directory, std::move(what));
        else
          promise.deliver(nobody_there());
      },
      [](const detail::abandoned&) {},
  };
}

/// Two runtimes over one store. All sessions live on the first one.
class two_nodes {
public:
  explicit two_nodes(agent_function thinks = {}) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      auto router = std::make_shared<detail::session_router>();
      router->forwarder = host_.system().spawn(forwarding, where);
      forwarders_.push_back(router->forwarder);
      router->shares_store = true;
      router->is_home_of = [where = where, i](const session_id&) {
        return where->home == static_cast<int>(i);
      };
      auto options = unattended(store_);
      options.router = std::move(router);
      auto& made = nodes_.at(i) = std::make_unique<runtime>(host_.system(), std::move(options));
      if (thinks)
        add_agent(*made, "thinker", thinks);
      made->start();
      const std::lock_guard lock{where->mutex};
      where->directories.at(i) = made->directory();
    }
  }
  ~two_nodes() {
    {
      const std::lock_guard lock{where->mutex};
      where->directories = {};
    }
    for (auto& one : nodes_)
      one.reset();
    for (const auto& one : forwarders_)
      caf::anon_send_exit(one, caf::exit_reason::kill);
    forwarders_.clear();
  }
  two_nodes(const two_nodes&) = delete;
  two_nodes& operator=(const two_nodes&) = delete;

  [[nodiscard]] runtime& node(std::size_t which) { return *nodes_.at(which); }

  /// No node has sessions any more.
  void depart() {
    const auto from = where->home.exchange(whereabouts::nowhere);
    const auto cleared = std::make_shared<std::promise<void>>();
    caf::anon_send(node(static_cast<std::size_t>(from)).directory(),
                   detail::sessions_departed{[cleared] { cleared->set_value(); }});
    if (cleared->get_future().wait_for(patience) != std::future_status::ready)
      throw std::runtime_error{"sessions do not leave"};
  }
  void arrive(int at) {
    where->home = at;
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < session_slots; ++slot)
      slots.push_back(slot);
    caf::anon_send(node(static_cast<std::size_t>(at)).directory(),
                   detail::sessions_arrived{std::move(slots)});
  }

  /// Waits, busily, until a home has been looked for more often than that.
  [[nodiscard]] bool wait_until_asked(int more_often_than) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (where->asked <= more_often_than) {
      if (std::chrono::steady_clock::now() > deadline)
        return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::shared_ptr<whereabouts> where = std::make_shared<whereabouts>();

private:
  host_system host_;
  std::shared_ptr<memory_store> store_ = std::make_shared<memory_store>();
  std::vector<caf::actor> forwarders_;
  std::array<std::unique_ptr<runtime>, 2> nodes_;
};

/// Thinks until it may end, wherever it is.
struct thought {
  std::atomic<bool> may_end{false};
  std::atomic<int> begun{0};
};

coro::task<step> think(thought& of, step_context& context) {
  ++of.begun;
  while (!of.may_end)
    co_await coro::delay(context.self, 1ms);
  co_return step::finish("thought");
}

} // namespace

TEST_CASE("a stream goes on where its session has moved to, without gap or repetition") {
  two_nodes nodes;
  const auto here = nodes.node(0).session(named("s1"));
  accept(here.send(propose_plan{shop_plan()}));
  const auto before = paused(here).events;
  auto stream = here.follow(1);
  for (std::uint64_t number = 1; number <= before; ++number) {
    const auto next = stream.next(patience);
    REQUIRE(next);
    REQUIRE(*next);
    CHECK((*next)->number == number);
  }
  // It waits for the next one while the session moves.
  auto next = std::async(std::launch::async, [&] { return stream.next(patience); });
  nodes.depart();
  // It is told that nobody has it, and asks again.
  REQUIRE(nodes.wait_until_asked(nodes.where->asked));
  nodes.arrive(1);
  accept(nodes.node(1).session(named("s1")).send(tool_result{call("s1", 1), 7}));
  const auto first = next.get();
  REQUIRE(first);
  REQUIRE(*first);
  CHECK((*first)->number == before + 1);
  const auto last = paused(here).events;
  for (auto number = before + 2; number <= last; ++number) {
    const auto more = stream.next(patience);
    REQUIRE(more);
    REQUIRE(*more);
    CHECK((*more)->number == number);
  }
}

TEST_CASE("a stream says that no node has its session, when there is no time left, and goes on") {
  two_nodes nodes;
  const auto here = nodes.node(0).session(named("s1"));
  accept(here.send(propose_plan{shop_plan()}));
  auto stream = here.follow(1);
  nodes.depart();
  const auto begin = std::chrono::steady_clock::now();
  const auto next = stream.next(350ms);
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(waited >= 300ms);
  REQUIRE_FALSE(next);
  CHECK(is(next.error(), errc::node_unavailable));
  CHECK(nodes.where->asked >= 1);
  CHECK(nodes.where->asked <= 2 + waited / 100ms); // at once, again, and then each 100 ms
  nodes.arrive(1);
  const auto again = stream.next(patience);
  REQUIRE(again);
  REQUIRE(*again);
  CHECK((*again)->number == 1);
}

TEST_CASE("who waits for a pause does so while the session moves") {
  thought of;
  two_nodes nodes{[&of](step_context& context) { return think(of, context); }};
  const auto here = nodes.node(0).session(named("s1"));
  accept(here.send(propose_plan{agent_plan("thinker")}));
  auto waiting = std::async(std::launch::async, [&] { return here.wait_until_paused(patience); });
  REQUIRE(nodes.wait_until_asked(0));
  nodes.depart();
  REQUIRE(nodes.wait_until_asked(nodes.where->asked));
  nodes.arrive(1);
  of.may_end = true;
  const auto status = waiting.get();
  REQUIRE(status);
  REQUIRE(*status);
  CHECK((*status)->state == session_state::completed);
  CHECK(of.begun == 2);
}

TEST_CASE("a watch goes on where its session has moved to") {
  two_nodes nodes;
  const auto here = nodes.node(0).session(named("s1"));
  accept(here.send(propose_plan{shop_plan()}));
  std::mutex mutex;
  std::condition_variable told;
  std::uint64_t last = 0;
  const auto wait_for = [&](std::uint64_t number) {
    std::unique_lock lock{mutex};
    return told.wait_for(lock, patience, [&] { return last >= number; });
  };
  const int asked = nodes.where->asked;
  const auto watch = here.watch([&](std::uint64_t number) {
    const std::lock_guard lock{mutex};
    last = number;
    told.notify_all();
  });
  // When it knows which session that is, it asks for that one alone.
  REQUIRE(nodes.wait_until_asked(asked + 1));
  CHECK(nodes.where->incarnation != 0);
  REQUIRE(wait_for(paused(here).events));
  nodes.depart();
  nodes.arrive(1);
  accept(nodes.node(1).session(named("s1")).send(tool_result{call("s1", 1), 7}));
  CHECK(wait_for(paused(here).events));
}

TEST_CASE("a status can be read where no node has the session") {
  two_nodes nodes;
  const auto there = nodes.node(1).session(named("s1"));
  accept(there.send(propose_plan{shop_plan()}));
  nodes.depart();
  const auto status = there.status();
  REQUIRE(status);
  CHECK(status->state == session_state::waiting);
  CHECK(refusal(there.send(post_message{"hello"})) == errc::node_unavailable);
}

} // namespace shared_reading_test
