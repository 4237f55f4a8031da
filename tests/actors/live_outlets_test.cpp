// What goes out of live updates to those who asked for them: actors of this test.

#include <fermata/actors/detail/live_outlets.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/messages/type_ids.hpp>
#include <fermata/storage/memory_store.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <fermata_catch.hpp>
#include <testing_config.hpp>

namespace live_outlets_test {

using namespace fermata;
using namespace fermata::detail;

namespace {

session_id named(std::string_view text) {
  return *session_id::parse(text);
}

using in_actor = std::function<void(live_outlets&)>;

} // namespace

} // namespace live_outlets_test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(live_outlets_test::in_actor)

namespace live_outlets_test {

namespace {

/// One actor has the outlets, as the directory does, and one listens.
class world {
public:
  world() {
    runtime_options options;
    options.store = std::make_shared<memory_store>();
    complete(options);
    shared = std::make_shared<services>(std::move(options));
    owner = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      auto outlets = std::make_shared<live_outlets>(shared);
      const auto who = [self] {
        return caf::actor_cast<caf::strong_actor_ptr>(self->current_sender());
      };
      return {[self, outlets](const listen_live& what) {
                outlets->add(self->make_response_promise(), what);
              },
              [outlets, who](const unlisten_live& what) { outlets->unlisten(who(), what); },
              [outlets, who](const live_taken& what) { outlets->taken(who(), what); },
              [outlets](const in_actor& what) { what(*outlets); }};
    });
    listener = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return {[this, self](const listen_live& what) {
                self->request(owner, caf::infinite, what)
                    .then([this](const live_batch&) { log += "over "; },
                          [this](const caf::error& why) {
                            log += std::string{name_of(code_of(why))} + " ";
                          });
              },
              [this, self](const unlisten_live& what) { self->send(owner, what); },
              [this, self](const live_taken& what) { self->send(owner, what); },
              [this](const live_batch& batch) {
                CHECK(batch.session == named("s"));
                CHECK(batch.reader == 1);
                if (batch.dropped > 0)
                  log += "dropped" + std::to_string(batch.dropped) + " ";
                for (const auto& one : batch.updates)
                  log += one.content.get<std::string>().substr(0, 5) + " ";
                size_bytes += batch.size_bytes;
              }};
    });
  }
  ~world() {
    in_owner([](live_outlets& outlets) { outlets.close(); });
    owner = {};
    listener = {};
    run();
    CHECK_FALSE(shared->live.has_listeners(named("s")));
  }

  void run() { dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler()).run(); }
  void in_owner(in_actor what) {
    caf::anon_send(owner, std::move(what));
    run();
  }
  template <class T>
  void by_listener(T what) {
    caf::anon_send(listener, std::move(what));
    run();
  }
  void say(std::string part, std::string_view session = "s") {
    live_update update;
    update.session = named(session);
    update.content = std::move(part);
    shared->show(update);
    run();
  }
  void take(std::uint64_t updates, std::uint64_t bytes) {
    live_taken what;
    what.session = named("s");
    what.reader = 1;
    what.updates = updates;
    what.size_bytes = bytes;
    by_listener(what);
  }

  test::testing_config config;
  caf::actor_system system{config};
  services_ptr shared;
  caf::actor owner;
  caf::actor listener;
  std::string log;
  std::uint64_t size_bytes = 0;
};

} // namespace

TEST_CASE("nobody makes live updates of a session that nobody listens to") {
  world w;
  CHECK_FALSE(w.shared->is_watched(named("s")));
  w.by_listener(listen_live{named("s"), 1});
  CHECK(w.shared->is_watched(named("s")));
  CHECK_FALSE(w.shared->is_watched(named("t")));
  w.say("one");
  w.say("no", "t");
  CHECK(w.log == "one ");
  w.by_listener(unlisten_live{named("s"), 2}); // another one
  w.say("two");
  w.by_listener(unlisten_live{named("s"), 1});
  CHECK_FALSE(w.shared->is_watched(named("s")));
  w.say("three");
  CHECK(w.log == "one two over ");
}

TEST_CASE("who asks for live updates again gets them once") {
  world w;
  w.by_listener(listen_live{named("s"), 7}); // of which nothing comes here
  w.by_listener(listen_live{named("s"), 1});
  CHECK(w.log == "over ");
  w.say("one");
  CHECK(w.log == "over one ");
  w.by_listener(unlisten_live{named("s"), 1});
  CHECK_FALSE(w.shared->is_watched(named("s")));
}

TEST_CASE("what one listener throws keeps live updates from nobody, nor from who says them") {
  world w;
  const auto thrower = w.shared->live.listen(named("s"), [](const live_update&) { throw 7; });
  w.by_listener(listen_live{named("s"), 1});
  w.say("one");
  CHECK(w.log == "one ");
  w.shared->live.forget(named("s"), thrower);
}

TEST_CASE("not more live updates are on their way than may be, and what is dropped is told") {
  world w;
  w.by_listener(listen_live{named("s"), 1});
  for (std::uint64_t i = 0; i < listen_live::max_updates + 3; ++i)
    w.say("x");
  CHECK(w.size_bytes == listen_live::max_updates);
  w.log.clear();
  // It is told as soon as there is room, though nobody says anything more.
  w.take(16, 16);
  CHECK(w.log == "dropped3 ");
  w.say("again");
  CHECK(w.log == "dropped3 again ");
}

TEST_CASE("live updates on their way are bounded by size, too") {
  world w;
  w.by_listener(listen_live{named("s"), 1});
  w.say("large" + std::string(listen_live::max_size_bytes, 'x'));
  CHECK(w.log.empty());
  const std::string half(listen_live::max_size_bytes / 2, 'y');
  w.say(half);
  w.say(half);
  w.say("full");
  CHECK(w.log == "dropped1 yyyyy yyyyy ");
  w.take(1, half.size());
  w.say("room");
  CHECK(w.log == "dropped1 yyyyy yyyyy dropped1 room ");
}

TEST_CASE("live updates of a session end where it moves, and with the node that listens") {
  world w;
  w.by_listener(listen_live{named("s"), 1});
  SECTION("it moves") {
    auto router = std::make_shared<session_router>();
    router->is_home_of = [](const session_id& session) { return session == named("t"); };
    w.shared->options.router = router;
    w.in_owner([](live_outlets& outlets) { outlets.depart(); });
    CHECK(w.log == "node_unavailable ");
  }
  SECTION("the node is lost") {
    w.in_owner([&](live_outlets& outlets) { outlets.gone(w.system.node()); });
    CHECK_FALSE(w.shared->is_watched(named("s")));
  }
  SECTION("the runtime stops") {
    w.in_owner([](live_outlets& outlets) { outlets.close(); });
    CHECK(w.log == "shutting_down ");
  }
  CHECK_FALSE(w.shared->is_watched(named("s")));
}

} // namespace live_outlets_test
