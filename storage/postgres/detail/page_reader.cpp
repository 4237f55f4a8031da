#include <fermata/storage/postgres/detail/page_reader.hpp>

#include <algorithm>

namespace fermata::detail {

result<postgres_rows> page_reader::next(postgres_clock::time_point until) {
  constexpr std::int64_t most_rows = 256;
  auto rows = connection_.ask(
      statement_, postgres_parameters{}.data(from_).number(rows_).number(page_size_bytes), until);
  if (!rows)
    return rows;
  std::int64_t size_bytes = 0;
  for (std::size_t i = 0; i < rows->size(); ++i)
    size_bytes += static_cast<std::int64_t>(rows->data(i, 1).size());
  is_over_ = static_cast<std::int64_t>(rows->size()) < rows_ && size_bytes < page_size_bytes;
  rows_ = std::min(most_rows, rows_ * 4);
  if (!rows->empty()) {
    const auto last = rows->data(rows->size() - 1, 0);
    from_.assign(last.begin(), last.end());
    from_.push_back(0);
  }
  return rows;
}

} // namespace fermata::detail
