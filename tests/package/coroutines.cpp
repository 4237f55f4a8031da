// A program that uses the coroutines alone: an actor that sums up what two others answer.
#include <fermata/actors/coro/coro.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <cstdlib>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct basket_state {
  explicit basket_state(caf::event_based_actor* actor) : self{actor}, scope{actor} {}
  caf::event_based_actor* self;
  std::vector<caf::actor> shops;
  fermata::coro::actor_scope scope;
};

fermata::coro::task<int> total(basket_state& basket) {
  int sum = 0;
  for (std::size_t i = 0; i < basket.shops.size(); ++i)
    sum += co_await fermata::coro::ask<int>(basket.self, basket.shops[i], 10s, caf::get_atom_v);
  co_return sum;
}

caf::behavior basket(caf::stateful_actor<basket_state>* self, std::vector<caf::actor> shops) {
  self->state.shops = std::move(shops);
  return {[self](caf::get_atom) {
    auto promise = self->make_response_promise();
    self->state.scope.reply(promise, total(self->state));
    return promise;
  }};
}

caf::behavior shop(caf::event_based_actor*, int price) {
  return {[price](caf::get_atom) { return price; }};
}

} // namespace

int main() {
  caf::actor_system_config config;
  caf::actor_system system{config};
  int sum = 0;
  {
    caf::scoped_actor self{system};
    const std::vector<caf::actor> shops{system.spawn(shop, 40), system.spawn(shop, 2)};
    const auto buyer = system.spawn(basket, shops);
    self->request(buyer, 10s, caf::get_atom_v)
        .receive([&](int answer) { sum = answer; }, [](const caf::error&) {});
    self->send_exit(buyer, caf::exit_reason::user_shutdown);
  }
  return sum == 42 ? EXIT_SUCCESS : EXIT_FAILURE;
}
