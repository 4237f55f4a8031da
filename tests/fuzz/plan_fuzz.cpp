// A plan is refused with a reason, or it is the same plan after JSON.
#include "require.hpp"

#include <fermata/messages/plan.hpp>

using namespace fermata;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto plan = parse_plan({reinterpret_cast<const char*>(data), size});
  if (!plan) {
    fuzz::require(!message_of(plan.error()).empty(), "a refusal says why");
    fuzz::require(is_utf8(message_of(plan.error())), "a refusal is UTF-8");
    return 0;
  }
  if (const auto error = check_plan(*plan, limits{}))
    fuzz::require(is_utf8(message_of(error)), "a refusal is UTF-8");
  const auto text = to_text(to_json(*plan));
  const auto again = parse_plan(text);
  // Escapes may make a plan longer than the limit; nothing else may go wrong.
  fuzz::require(again || is(again.error(), errc::limit_exceeded), "a plan parses again");
  fuzz::require(!again || *again == *plan, "a plan is the same after JSON");
  return 0;
}
