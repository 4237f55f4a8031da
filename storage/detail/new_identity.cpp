#include <fermata/storage/detail/new_identity.hpp>

#include <random>

namespace fermata::detail {

store_identity new_identity() {
  std::random_device device;
  const auto half = [&] { return (std::uint64_t{device()} << 32) | device(); };
  const auto high = half();
  return {high, half()};
}

} // namespace fermata::detail
