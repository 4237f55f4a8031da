#include <fermata/storage/postgres/detail/parameters.hpp>

namespace fermata::detail {

namespace {

/// The number of type `bytea` in each database (pg_type.dat).
constexpr std::uint32_t bytea_type = 17;

template <std::unsigned_integral Number>
void append_big_endian(bytes& out, Number number) {
  for (std::size_t i = sizeof(Number); i-- > 0;)
    out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

} // namespace

postgres_parameters& postgres_parameters::number(std::int64_t value) {
  append_big_endian(values_.emplace_back(), static_cast<std::uint64_t>(value));
  return *this;
}

postgres_parameters& postgres_parameters::data(byte_view value) {
  values_.emplace_back(value.begin(), value.end());
  return *this;
}

// As `array_recv` reads it: dimensions, whether there are nulls, the type of the elements; of each
// dimension its size and first index; then the elements.
postgres_parameters& postgres_parameters::array(std::span<const byte_view> values) {
  std::size_t size_bytes = 20;
  for (const auto value : values)
    size_bytes += 4 + value.size();
  auto& out = values_.emplace_back();
  out.reserve(size_bytes);
  append_big_endian(out, std::uint32_t{values.empty() ? 0u : 1u});
  append_big_endian(out, std::uint32_t{0});
  append_big_endian(out, bytea_type);
  if (values.empty())
    return *this;
  append_big_endian(out, static_cast<std::uint32_t>(values.size()));
  append_big_endian(out, std::uint32_t{1});
  for (const auto value : values) {
    append_big_endian(out, static_cast<std::uint32_t>(value.size()));
    out.insert(out.end(), value.begin(), value.end());
  }
  return *this;
}

} // namespace fermata::detail
