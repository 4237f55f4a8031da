#pragma once

#include <fermata/storage/detail/tables.hpp>
#include <fermata/storage/postgres/detail/connection.hpp>

namespace fermata::detail {

/// The table of those who have opened the store for writing: one row for each opening, its life.
inline constexpr std::string_view writers_table = "writers";

/// What is asked of one of the store's tables.
struct table_statements {
  postgres_statement get;     ///< The value of a key.
  postgres_statement get_all; ///< Keys and values of those of some keys that there are.
  /// Keys and values in order, from a key on, at most so many, and no more behind so many bytes.
  postgres_statement page;
  postgres_statement last;        ///< The greatest key.
  postgres_statement last_before; ///< The greatest key that is less than one.
  postgres_statement insert;      ///< Keys and values that were not there.
  postgres_statement put;         ///< Keys and values.
  postgres_statement erase;       ///< Keys.
};

/// All statements of a store in one schema, whose name is an identifier that needs no quotes.
class postgres_statements {
public:
  explicit postgres_statements(const std::string& schema);

  [[nodiscard]] const table_statements& operator[](table which) const noexcept;

  /// How a session is to work: timeouts, and plans that go by the indexes, whatever the statistics
  /// say of tables that were empty a moment ago.
  postgres_statement set_up_writer;
  postgres_statement set_up_reader;
  /// When the session began, which tells it from others of the same number.
  postgres_statement name_session;
  postgres_statement examine_server;
  postgres_statement find_schema;
  postgres_statement list_tables;
  postgres_statement create_schema;
  std::vector<postgres_statement> create_tables;

  postgres_statement begin;
  postgres_statement begin_reading;
  postgres_statement commit;
  postgres_statement roll_back;

  /// Lets the owners write one after the other: until the transaction ends.
  postgres_statement take_turn;
  /// Keeps a life's row, with its token, until the transaction ends.
  postgres_statement keep_life;
  /// The token of a life, unless a transaction keeps it.
  postgres_statement see_token;
  postgres_statement find_life;
  postgres_statement read_meta;
  /// Of each range of keys its entries, and the first one behind it.
  postgres_statement pending_ranges;
  postgres_statement leave_token;

  postgres_statement lock_creation;
  postgres_statement try_ownership;
  postgres_statement end_ownership;
  postgres_statement show_owner;
  /// Ends the owner's session if, amid a transaction, it has been waiting for its client for longer
  /// than so many milliseconds. The server's own timeout does not count between the messages of a
  /// pipeline.
  postgres_statement end_frozen_owner;
  postgres_statement begin_life;
  postgres_statement forget_old_lives;
  postgres_statement last_life;
  postgres_statement end_session;
  postgres_statement size;

private:
  std::array<table_statements, all_tables.size()> of_tables_;
};

/// The bytes of values behind which a page of entries ends.
inline constexpr std::int64_t page_size_bytes = 4 << 20;

} // namespace fermata::detail
