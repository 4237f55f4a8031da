#pragma once

// For tests with Catch2, of version 2 or 3; the library itself does not need it.
#if __has_include(<catch2/catch_message.hpp>) && __has_include(<catch2/catch_test_macros.hpp>)
#  include <catch2/catch_message.hpp>
#  include <catch2/catch_test_macros.hpp>
#else
#  include <catch2/catch.hpp>
#endif

#include <fermata/actors/sim/each_seed.hpp>

#include <exception>

namespace fermata::sim {

/// As `each_seed`, for test cases of Catch2: a seed that passes counts as an assertion; one that
/// fails is reported with its seed, and with how to run that one again.
///
/// REQUIRE ends the story, which is then run with ever fewer faults; CHECK goes on to the story's
/// end and the next seed, and nothing is minimised. Neither may stand inside of an actor, where CAF
/// catches what they throw: judge there with `world::report`, or from outside with
/// `world::invariant`.
inline void check_each_seed(std::uint64_t from, std::uint64_t to, const story& told) {
  each_seed(from, to, [&](world& in) {
    std::exception_ptr thrown;
    {
      const Catch::ScopedMessage shown{
          Catch::MessageBuilder{"INFO", CATCH_INTERNAL_LINEINFO, Catch::ResultWas::Info}
          << "seed " << in.seed() << ": FERMATA_SIM_SEEDS=" << in.seed() << " runs it alone"};
      // Catch keeps a message that an exception passes, and would show it with all that comes.
      try {
        told(in);
      } catch (...) {
        thrown = std::current_exception();
      }
    }
    if (thrown)
      std::rethrow_exception(thrown);
#ifdef CATCH_CONFIG_PREFIX_ALL
    CATCH_SUCCEED("seed " << in.seed());
#else
    SUCCEED("seed " << in.seed());
#endif
  });
}

} // namespace fermata::sim
