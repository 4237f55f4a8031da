// How a node answers the hosts of others, piece by piece: actors of this test.

#include <fermata/actors/cluster/detail/request_desk.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/messages/cluster.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <fermata_catch.hpp>
#include <testing_config.hpp>

#include <utility>

namespace request_desk_test {

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

using with_desk = std::function<void(request_desk&)>;

} // namespace

} // namespace request_desk_test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(request_desk_test::with_desk)

namespace request_desk_test {

namespace {

/// Runs jobs when the test says so.
class held_pool final : public blocking_pool {
public:
  void post(std::function<void()> job) override { jobs.push_back(std::move(job)); }
  std::size_t capacity() const noexcept override { return 1; }
  void run() {
    for (auto& job : std::exchange(jobs, {}))
      job();
  }

  std::vector<std::function<void()>> jobs;
};

/// One actor has the desk, as a gate does, and two ask.
class world {
public:
  world() {
    desk_options options;
    options.handler = [this](const std::string&) { return result<std::string>{answer}; };
    options.pool = pool;
    options.max_waiting = 10;
    options.request_size_bytes = 100;
    options.answer_size_bytes = 1'000'000;
    owner = system.spawn([options](caf::event_based_actor* self) -> caf::behavior {
      auto desk = std::make_shared<request_desk>(self, options);
      return {[self, desk](std::string& what) {
                desk->take(std::move(what), self->make_response_promise());
              },
              [self, desk](next_piece what) {
                desk->give_piece(what.number, self->make_response_promise());
              },
              [desk](const answered_request_ptr& one) { desk->deliver(one); },
              [desk](const unasked_answer& what) { desk->forget(what); },
              [desk](const with_desk& what) { what(*desk); }};
    });
    first = spawn_asker();
    second = spawn_asker();
  }
  ~world() {
    pool->run();
    for (auto* one : {&owner, &first, &second})
      caf::anon_send_exit(std::exchange(*one, {}), caf::exit_reason::kill);
    run();
  }

  void run() { scheduler().run(); }
  void advance(std::chrono::milliseconds duration) {
    scheduler().advance_time(duration);
    run();
  }
  /// What the desk answers; an error by its name.
  template <class What>
  std::string ask(const caf::actor& by, What what) {
    given = "nothing";
    caf::anon_send(by, std::move(what));
    run();
    pool->run();
    run();
    return given;
  }
  void lose(const caf::actor& who) {
    caf::anon_send(owner, with_desk{[&](request_desk& desk) { desk.lost(who.address()); }});
    run();
  }
  std::size_t kept() {
    std::size_t count = 0;
    caf::anon_send(owner, with_desk{[&](request_desk& desk) { count = desk.kept(); }});
    run();
    return count;
  }

  std::string answer;
  std::string given;
  answer_piece last;
  std::shared_ptr<held_pool> pool = std::make_shared<held_pool>();
  test::testing_config config;
  caf::actor_system system{config};
  caf::actor owner;
  caf::actor first;
  caf::actor second;

private:
  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  caf::actor spawn_asker() {
    return system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      const auto pass_on = [this, self](auto& what) {
        self->request(owner, caf::infinite, std::move(what))
            .then(
                [this](const answer_piece& piece) {
                  last = piece;
                  given = piece.bytes;
                },
                [this](const caf::error& why) { given = name_of(code_of(why)); });
      };
      return {[pass_on](std::string& what) { pass_on(what); },
              [pass_on](next_piece& what) { pass_on(what); }};
    });
  }
};

} // namespace

TEST_CASE("an answer goes out in pieces of a bounded size, and is kept until it is out") {
  world w;
  w.answer = "short";
  CHECK(w.ask(w.first, std::string{"?"}) == "short");
  CHECK(w.last.left_bytes == 0);
  CHECK(w.kept() == 0);
  w.answer = std::string(answer_piece::max_size_bytes, 'x') + "yz";
  CHECK(w.ask(w.first, std::string{"?"}) == std::string(answer_piece::max_size_bytes, 'x'));
  CHECK(w.last.left_bytes == 2);
  CHECK(w.kept() == 1);
  // It is the answer of who asked, and of nobody else.
  CHECK(w.ask(w.second, next_piece{w.last.number}) == "node_unavailable");
  CHECK(w.ask(w.first, next_piece{w.last.number}) == "yz");
  CHECK(w.last.left_bytes == 0);
  CHECK(w.kept() == 0);
  CHECK(w.ask(w.first, next_piece{w.last.number}) == "node_unavailable");
}

TEST_CASE("the rest of an answer is kept as long as somebody may ask for it, and not for ever") {
  world w;
  w.answer = std::string(3 * answer_piece::max_size_bytes, 'x');
  w.ask(w.first, std::string{"?"});
  w.advance(59s);
  CHECK(w.kept() == 1);
  w.ask(w.first, next_piece{w.last.number});
  w.advance(59s);
  CHECK(w.kept() == 1);
  w.advance(1s);
  CHECK(w.kept() == 0);
  CHECK(w.ask(w.first, next_piece{w.last.number}) == "node_unavailable");
}

TEST_CASE("nothing is kept for who asked and was lost, whatever of it was done by then") {
  world w;
  w.answer = std::string(answer_piece::max_size_bytes + 1, 'x');
  w.ask(w.second, std::string{"?"});
  SECTION("it has a piece") {
    w.ask(w.first, std::string{"?"});
    CHECK(w.kept() == 2);
    w.lose(w.first);
  }
  SECTION("it is being answered") {
    caf::anon_send(w.first, std::string{"?"});
    w.run();
    w.lose(w.first);
    w.pool->run();
    w.run();
  }
  SECTION("it waits") {
    caf::anon_send(w.second, std::string{"first"});
    w.run();
    caf::anon_send(w.first, std::string{"?"});
    w.run();
    w.lose(w.first);
    w.pool->run();
    w.run();
    CHECK(w.pool->jobs.empty());
    CHECK(w.kept() == 2);
    w.lose(w.second);
    CHECK(w.kept() == 0);
    return;
  }
  CHECK(w.kept() == 1);
}

} // namespace request_desk_test
