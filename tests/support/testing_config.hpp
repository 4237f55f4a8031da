#pragma once

#include <fermata/actors/runtime.hpp>

#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>

namespace fermata::test {

/// Of a system whose actors run when the test says so, by virtual time.
class testing_config : public caf::actor_system_config {
public:
  testing_config() {
    configure(*this);
    set("scheduler.policy", caf::atom("testing"));
  }
};

} // namespace fermata::test
