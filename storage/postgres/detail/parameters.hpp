#pragma once

#include <fermata/storage/detail/byte_order.hpp>

#include <cassert>
#include <string_view>
#include <vector>

namespace fermata::detail {

/// The parameters of one execution of a statement, in PostgreSQL's binary format.
class postgres_parameters {
public:
  /// A `bigint`.
  postgres_parameters& number(std::int64_t value);
  /// A `text`.
  postgres_parameters& text(std::string_view value) { return data(view_of(value)); }
  /// A `bytea`.
  postgres_parameters& data(byte_view value);
  /// A `bytea[]`.
  postgres_parameters& array(std::span<const byte_view> values);

  [[nodiscard]] const std::vector<bytes>& values() const noexcept { return values_; }

private:
  std::vector<bytes> values_;
};

} // namespace fermata::detail
