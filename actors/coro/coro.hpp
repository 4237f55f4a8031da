#pragma once

/// \file
/// C++20 coroutine tasks on CAF's event-based actors. Needs CAF's core library and nothing else.
///
///     #include <fermata/actors/coro/coro.hpp>
///
///     #include <caf/event_based_actor.hpp>
///     #include <caf/stateful_actor.hpp>
///
///     using namespace std::chrono_literals;
///     using namespace fermata::coro;
///
///     struct basket_state {
///       explicit basket_state(caf::event_based_actor* actor) : self(actor), scope(actor) {}
///       caf::event_based_actor* self;
///       std::vector<caf::actor> shops;
///       actor_scope scope; // the last member: its frames refer to the others
///     };
///
///     // A free function that takes the state by reference; never a capturing lambda.
///     task<int> total(basket_state& basket) {
///       const auto shops = basket.shops; // a copy: the state may change during an await
///       int sum = 0;
///       for (const auto& shop : shops)
///         sum += co_await ask<int>(basket.self, shop, 2s, caf::get_atom_v);
///       co_return sum;
///     }
///
///     caf::behavior basket(caf::stateful_actor<basket_state>* self,
///                          std::vector<caf::actor> shops) {
///       self->state.shops = std::move(shops);
///       return {[self](caf::get_atom) {
///         auto promise = self->make_response_promise();
///         self->state.scope.reply(promise, total(self->state)); // the sum, or the error of a shop
///         return promise;
///       }};
///     }
///
/// The rules behind it:
/// - A `task` is lazy and owns its frame. The actor's state owns an `actor_scope`, the scope owns
///   the root tasks, and tasks own the tasks they await. Cancelling is destroying the frame;
///   destructors clean up, nothing is thrown.
/// - Everything runs on the actor, inside its message handlers: no locks. But at every `co_await`
///   other messages are handled, so hold no iterator, `current_sender()` or lock across it.
/// - Errors travel as one exception type, `failure`, and become a `caf::error` once, at the root.
/// - Every `ask` has a timeout.
/// - g++ 12 destroys an aggregate or a capturing lambda twice if it is a temporary in a `co_await`
///   expression. Give your message types a constructor, or move a named local in.

#include <fermata/actors/coro/ask.hpp>
#include <fermata/actors/coro/awaitable.hpp>
#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/coro/frames.hpp>
#include <fermata/actors/coro/scope.hpp>
#include <fermata/actors/coro/suspension.hpp>
#include <fermata/actors/coro/task.hpp>
#include <fermata/actors/coro/when_all.hpp>
#include <fermata/actors/coro/when_any.hpp>
