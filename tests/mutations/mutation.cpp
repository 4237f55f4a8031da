#include <mutation.hpp>

namespace fermata::test {

namespace {

std::string_view selected;
std::uint64_t times = 0;
std::set<std::string_view> reached;

} // namespace

void select_mutation(std::string_view name) noexcept {
  selected = name;
  times = 0;
}

bool mutated(std::string_view name) noexcept {
  if (selected.empty())
    reached.insert(name);
  if (name != selected)
    return false;
  ++times;
  return true;
}

const std::set<std::string_view>& places_reached() noexcept {
  return reached;
}

std::uint64_t times_mutated() noexcept {
  return times;
}

} // namespace fermata::test
