#include <mutation.hpp>

namespace fermata::test {

namespace {

std::string_view selected;
std::uint64_t times = 0;

} // namespace

void select_mutation(std::string_view name) noexcept {
  selected = name;
  times = 0;
}

bool mutated(std::string_view name) noexcept {
  if (name != selected)
    return false;
  ++times;
  return true;
}

std::uint64_t times_mutated() noexcept {
  return times;
}

} // namespace fermata::test
