#pragma once

#include <fermata/storage/detail/tables.hpp>
#include <fermata/storage/verify_store.hpp>

namespace fermata::detail {

/// Checks each entry of each table, and that the tables agree with each other; adds what it finds
/// to `report`. Ends also on tables whose entries never end: keys must ascend.
void check_tables(table_reader& tables, verify_report& report);

} // namespace fermata::detail
