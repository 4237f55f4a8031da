// What the core says of calls, as it says it: without actors, clocks or I/O.

#include "support.hpp"

#include <fermata/actors/core/call_rules.hpp>
#include <fermata/messages/digest.hpp>

namespace call_rules_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Values with everything that text can be made of.
const std::vector<json> contents{
    nullptr,
    json::object(),
    json{{"text", "plain"}, {"number", -1.5}, {"list", {1, "two", nullptr}}},
    "quotes \" and \\, \n, \x1f, \x7f, \xC3\xA4",
    std::string(5'000, 'x'),
    "not UTF-8: \xFF\xC3",
    json{{"a \"name\"\n", {{"inner", json::object()}, {"\xC3\xA4", true}}}, {"", nullptr}},
};

} // namespace

TEST_CASE("P4: an answer's digest is that of its JSON") {
  for (const auto& content : contents)
    for (const auto outcome :
         {call_outcome::succeeded, call_outcome::failed, call_outcome::rejected,
          call_outcome::expired, call_outcome::cancelled}) {
      const tool_answer answer{outcome, content};
      CHECK(core::digest_of_answer(answer) == digest_of(to_json(answer)));
    }
}

TEST_CASE("P9: an approval's digest is that of what is shown, as an object") {
  core::session_data data;
  data.head.id = sid();
  for (const auto* incarnation : {"0123456789abcdef", "\"odd\"", "\xFF"})
    for (const auto* fingerprint : {"", "sha256 of \"a\\b\"", "\xE2\x82"})
      for (const auto& arguments : contents) {
        data.head.incarnation = incarnation;
        const json shown{{"arguments", arguments},
                         {"call", call_id{sid(), 7}.str()},
                         {"fingerprint", fingerprint},
                         {"incarnation", incarnation},
                         {"revision", 3},
                         {"tool", "write_file"},
                         {"tool_version", 12}};
        CHECK(core::approval_digest(data, 7, 3, must(tool_name::parse("write_file")), 12, arguments,
                                    fingerprint)
              == digest_of(shown));
      }
}

} // namespace call_rules_test
