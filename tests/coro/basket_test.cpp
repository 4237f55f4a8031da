// The example of coro.hpp, as it stands there, and a customer.

#include <fermata/actors/coro/coro.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "support.hpp"

namespace basket_test {

namespace example {

using namespace std::chrono_literals;
using namespace fermata::coro;

struct basket_state {
  explicit basket_state(caf::event_based_actor* actor) : self(actor), scope(actor) {}
  caf::event_based_actor* self;
  std::vector<caf::actor> shops;
  actor_scope scope; // the last member: its frames refer to the others
};

// A free function that takes the state by reference; never a capturing lambda.
task<int> total(basket_state& basket) {
  const auto shops = basket.shops; // a copy: the state may change during an await
  int sum = 0;
  for (const auto& shop : shops)
    sum += co_await ask<int>(basket.self, shop, 2s, caf::get_atom_v);
  co_return sum;
}

caf::behavior basket(caf::stateful_actor<basket_state>* self, std::vector<caf::actor> shops) {
  self->state.shops = std::move(shops);
  return {[self](caf::get_atom) {
    auto promise = self->make_response_promise();
    self->state.scope.reply(promise, total(self->state)); // the sum, or the error of a shop
    return promise;
  }};
}

} // namespace example

namespace {

using namespace coro_test;

caf::behavior shop_behavior(caf::event_based_actor*, int price) {
  return {[price](caf::get_atom) { return price; }};
}

coro::task<int> buys(host_state& st, caf::actor basket) {
  co_return co_await coro::ask<int>(st.self, basket, 1min, caf::get_atom_v);
}

} // namespace

TEST_CASE("the basket of the documentation adds up, and passes on that a shop does not answer") {
  world w;
  std::vector<caf::actor> shops;
  for (const int price : {1, 20, 300})
    shops.push_back(w.keep(w.system.spawn(shop_behavior, price)));
  const auto basket = w.keep(w.system.spawn(example::basket, shops));
  shops.push_back(w.spawn_host());
  const auto slow_basket = w.keep(w.system.spawn(example::basket, shops));
  caf::expected<int> sum = caf::sec::none;
  caf::expected<int> no_sum = caf::sec::none;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(buys(st, basket), [&](caf::expected<int> x) { sum = x; });
    st.scope.spawn(buys(st, slow_basket), [&](caf::expected<int> x) { no_sum = x; });
  });
  w.run();
  w.advance(2s);
  CHECK(sum == 321);
  CHECK(no_sum == caf::make_error(caf::sec::request_timeout));
}

} // namespace basket_test
