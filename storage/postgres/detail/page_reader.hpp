#pragma once

#include <fermata/storage/postgres/detail/statements.hpp>

namespace fermata::detail {

/// Entries of one table in order, in pages that are small at first: most walks end soon.
class page_reader {
public:
  page_reader(postgres_connection& connection, const postgres_statements& statements, table which,
              byte_view from)
      : connection_{connection}, statement_{statements[which].page}, from_{from.begin(),
                                                                           from.end()} {}

  /// The next entries, as keys and values.
  [[nodiscard]] result<postgres_rows> next(postgres_clock::time_point until);

  /// True when there are no entries behind those that `next` has returned.
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

  /// The smallest key that is greater than those that `next` has returned.
  [[nodiscard]] const bytes& from() const noexcept { return from_; }

private:
  postgres_connection& connection_;
  const postgres_statement& statement_;
  bytes from_;
  std::int64_t rows_ = 16;
  bool is_over_ = false;
};

} // namespace fermata::detail
