#include <fermata/actors/sim/detail/front_end.hpp>

#include <fermata/messages/type_ids.hpp>

#include <caf/actor_addr.hpp>
#include <caf/event_based_actor.hpp>

#include <chrono>
#include <memory>
#include <set>

namespace fermata::sim::detail {

namespace {

constexpr std::chrono::minutes patience{1};

caf::behavior front_end(caf::event_based_actor* self,
                        std::function<void(const caf::actor_addr&)> broken) {
  const auto monitored = std::make_shared<std::set<caf::actor_addr>>();
  self->set_down_handler([broken, monitored](const caf::down_msg& gone) {
    monitored->erase(gone.source);
    broken(gone.source);
  });
  return {
      [self, monitored](remote_request_ptr& asked) {
        if (monitored->insert(asked->directory.address()).second)
          self->monitor(asked->directory);
        auto directory = asked->directory;
        auto what = std::move(asked->what);
        self->request(directory, patience, std::move(what))
            .then([asked](receipt& given) { asked->answer(std::move(given)); },
                  [asked](caf::error& error) { asked->answer(std::move(error)); });
      },
  };
}

} // namespace

caf::actor spawn_front_end(caf::actor_system& system,
                           std::function<void(const caf::actor_addr&)> broken) {
  return system.spawn(front_end, std::move(broken));
}

} // namespace fermata::sim::detail
