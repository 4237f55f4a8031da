#include "support.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

#include <set>

namespace errors_test {

using namespace fermata;
using namespace messages_test;

namespace {

/// Every code that has a name.
std::vector<errc> all_codes() {
  std::vector<errc> codes;
  for (unsigned number = 0; number <= 255; ++number)
    if (const auto code = static_cast<errc>(number); name_of(code) != "unknown")
      codes.push_back(code);
  return codes;
}

caf::error through_caf(caf::actor_system& system, const caf::error& sent) {
  std::vector<char> wire;
  caf::binary_serializer sink{system, wire};
  REQUIRE_FALSE(sink(const_cast<caf::error&>(sent)));
  caf::error received;
  caf::binary_deserializer source{system, wire};
  REQUIRE_FALSE(source(received));
  return received;
}

} // namespace

TEST_CASE("every errc has a name of its own, which fits an identifier") {
  std::set<std::string_view> names;
  for (const auto code : all_codes()) {
    const auto name = name_of(code);
    CHECK(names.insert(name).second);
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    CHECK(to_string(code) == name);
  }
  // A new enumerator is added here and to `name_of`, for which -Wswitch asks.
  CHECK(names.size() == 49);
  CHECK(name_of(static_cast<errc>(0)) == "unknown");
}

TEST_CASE("no errc is zero, which would be no error to CAF") {
  for (const auto code : all_codes())
    CHECK(static_cast<bool>(make_error(code)));
}

TEST_CASE("code and message of an error come back from it, also after a journey") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system{config};
  for (const auto code : all_codes()) {
    const auto error = make_error(code, "why \xC3\xA4 \"quoted\"");
    for (const auto& each : {error, through_caf(system, error)}) {
      CHECK(each.category() == error_category);
      CHECK(is(each, code));
      CHECK(code_of(each) == code);
      CHECK(message_of(each) == "why \xC3\xA4 \"quoted\"");
    }
    CHECK_FALSE(is(error, code == errc::internal ? errc::io_error : errc::internal));
    CHECK(message_of(make_error(code)) == name_of(code));
  }
}

TEST_CASE("CAF's own errors are told as ours") {
  CHECK(code_of(caf::make_error(caf::sec::request_timeout)) == errc::timed_out);
  CHECK(code_of(caf::make_error(caf::sec::request_receiver_down)) == errc::shutting_down);
  CHECK(code_of(caf::make_error(caf::exit_reason::kill)) == errc::shutting_down);
  CHECK(code_of(caf::make_error(caf::sec::unexpected_message)) == errc::internal);
  CHECK(code_of(caf::error{}) == errc::internal);
  CHECK(contains(message_of(caf::make_error(caf::sec::request_timeout)), "request_timeout"));
}

TEST_CASE("an error of another category is not mistaken for ours of the same number") {
  const caf::error foreign{static_cast<std::uint8_t>(errc::limit_exceeded), caf::atom("other")};
  CHECK_FALSE(is(foreign, errc::limit_exceeded));
  CHECK(code_of(foreign) == errc::internal);
}

TEST_CASE("an error of ours without a message is told by its name") {
  const caf::error bare{static_cast<std::uint8_t>(errc::disk_full), error_category};
  CHECK(message_of(bare) == "disk_full");
}

} // namespace errors_test
