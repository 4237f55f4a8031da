#include <fermata/storage/postgres/detail/statements.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

/// As an identifier; without quotes, some names are words of SQL.
std::string quoted(const std::string& schema) {
  return '"' + schema + '"';
}

table_statements statements_of(table which, const std::string& schema) {
  const std::string name{name_of(which)};
  const auto path = quoted(schema) + '.' + name;
  const auto named = [&](const char* verb, std::string sql) {
    return postgres_statement{name + '_' + verb, std::move(sql)};
  };
  const auto insert =
      "INSERT INTO " + path + " (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])";
  table_statements of;
  of.get = named("get", "SELECT value FROM " + path + " WHERE key = $1::bytea");
  of.get_all =
      named("get_all", "SELECT key, value FROM " + path + " WHERE key = ANY ($1::bytea[])");
  of.page =
      named("page", "SELECT key, value FROM (SELECT key, value, sum(octet_length(value)) OVER "
                    "(ORDER BY key) - octet_length(value) AS before FROM "
                        + path
                        + " WHERE key >= $1::bytea ORDER BY key LIMIT $2::bigint) AS page "
                          "WHERE before < $3::bigint ORDER BY key");
  of.last = named("last", "SELECT key FROM " + path + " ORDER BY key DESC LIMIT 1");
  of.last_before = named("last_before", "SELECT key FROM " + path
                                            + " WHERE key < $1::bytea ORDER BY key DESC LIMIT 1");
  of.insert = named("insert", insert);
  of.put = named("put", insert + " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value");
  of.erase = named("erase", "DELETE FROM " + path + " WHERE key = ANY ($1::bytea[])");
  return of;
}

/// What a session is to be like, in one statement; `timeouts` are more of the same.
/// The rest is about clients whose machine is gone, and has no effect on sockets of Unix: the
/// server notices within 25 s, or when what it sends is not acknowledged for as long as a statement
/// may take; and also amid a statement, where it can (since PostgreSQL 14, on Linux).
std::string set_up(const std::string& timeouts) {
  return "SELECT set_config('synchronous_commit', CASE WHEN NOT $1::text::boolean THEN 'off' WHEN "
         "current_setting('synchronous_commit') = 'off' THEN 'on' ELSE "
         "current_setting('synchronous_commit') END, false), set_config('enable_seqscan', 'off', "
         "false), set_config('enable_bitmapscan', 'off', false), set_config('jit', 'off', false), "
         "set_config('plan_cache_mode', 'force_generic_plan', false), "
         "set_config('statement_timeout', $2, false), set_config('lock_timeout', $3, false), "
         "set_config('default_transaction_isolation', 'read committed', false), "
         "set_config('tcp_keepalives_idle', '10', false), "
         "set_config('tcp_keepalives_interval', '5', false), "
         "set_config('tcp_keepalives_count', '3', false), "
         "set_config('tcp_user_timeout', $2, false), "
         "(SELECT set_config(name, '10s', false) FROM pg_settings WHERE name = "
         "'client_connection_check_interval' AND version() LIKE '%linux%')"
         + timeouts;
}

/// Advisory locks are numbers of the whole database: these begin with `ferm`, and end with what
/// identifies the schema, or 0 for whoever makes one.
constexpr std::string_view lock_number = "(1717924461::bigint << 32)";

constexpr const char* is_live = "lease_until > clock_timestamp()";

/// Further away than its length: the clock of the database was set back.
std::string is_too_long(const std::string& row = {}) {
  return row + "lease_until > clock_timestamp() + " + row + "lease_ms * interval '1 ms'";
}

} // namespace

/// What the statements are made of.
struct postgres_statements::names {
  explicit names(const std::string& of_schema, const node_name& of_node)
      : schema{of_schema}, node{of_node.str()} {}

  std::string schema;
  std::string node; ///< Empty: the only owner.

  [[nodiscard]] std::string path(std::string_view table_name) const {
    return quoted(schema) + '.' + std::string{table_name};
  }
  /// The lock that the only owner has alone, and nodes share.
  [[nodiscard]] std::string store_lock() const {
    return '(' + std::string{lock_number} + " | '" + quoted(schema)
           + "'::regnamespace::oid::bigint)";
  }
  /// The lock of one node.
  [[nodiscard]] std::string node_lock() const { return node_lock_of('\'' + node + '\''); }
  [[nodiscard]] std::string node_lock_of(const std::string& name) const {
    return "hashtextextended('fermata " + schema + " ' || " + name + ", 0)";
  }
};

postgres_statements::postgres_statements(const std::string& schema, const node_name& node) {
  const names of{schema, node};
  for (std::size_t i = 0; i < all_tables.size(); ++i)
    of_tables_[i] = statements_of(all_tables[i], schema);
  state_sessions(of);
  state_creation(of);
  state_transactions(of);
  state_lives(of);
  state_ownership(of);
  state_slots(of);
}

void postgres_statements::state_sessions(const names& of) {
  set_up_writer = {"set_up_writer",
                   set_up(", set_config('idle_in_transaction_session_timeout', $4, false)")};
  set_up_reader = {"set_up_reader", set_up("")};
  name_session = {"name_session",
                  "SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"};
  end_session = {"end_session",
                 "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE "
                 "pid = $1::bigint AND backend_start::text = $2::text"};
  examine_server = {"examine_server", "SELECT current_setting('fsync'), pg_is_in_recovery()::text"};
  size = {"size",
          "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE "
          "relkind = 'r' AND relnamespace = '"
              + quoted(of.schema) + "'::regnamespace"};
}

void postgres_statements::state_creation(const names& of) {
  lock_creation = {"lock_creation",
                   "SELECT pg_advisory_xact_lock(" + std::string{lock_number} + ")::text"};
  list_tables = {
      "list_tables",
      "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND "
      "relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = '"
          + of.schema + "')"};
  find_schema = {"find_schema", "SELECT FROM pg_namespace WHERE nspname = '" + of.schema + "'"};
  create_schema = {"create_schema", "CREATE SCHEMA " + quoted(of.schema)};
  const auto add = [&](std::string_view table_name, const std::string& columns) {
    create_tables.push_back({"create_" + std::string{table_name},
                             "CREATE TABLE " + of.path(table_name) + " (" + columns});
  };
  for (const auto which : all_tables)
    // What is written again and again stays on its page, which needs room for that.
    add(name_of(which),
        std::string{"key bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = "}
            + (which == table::heads || which == table::parts ? "70)" : "100)"));
  add(writers_table, "life bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node text NOT NULL, "
                     "host text NOT NULL, "
                     "process bigint NOT NULL, opened timestamptz NOT NULL DEFAULT "
                     "clock_timestamp(), token bigint "
                     "NOT NULL DEFAULT 0) WITH (fillfactor = 50)");
  const std::string drains = "drains boolean NOT NULL DEFAULT false";
  // Of nodes that do not say how long theirs are: as long as one may be.
  const std::string lease = "lease_ms bigint NOT NULL DEFAULT 3600000";
  add(nodes_table, "life bigint PRIMARY KEY, node text NOT NULL, lease_until timestamptz NOT NULL, "
                       + drains + ", " + lease + ")");
  count_new_columns = {
      "count_new_columns",
      "SELECT count(*) FROM pg_attribute WHERE attrelid = '" + of.path(nodes_table)
          + "'::regclass AND attname IN ('drains', 'lease_ms') AND NOT attisdropped"};
  add_new_columns = {"add_new_columns", "ALTER TABLE " + of.path(nodes_table)
                                            + " ADD COLUMN IF NOT EXISTS " + drains
                                            + ", ADD COLUMN IF NOT EXISTS " + lease};
  add_fact = {"add_fact", "INSERT INTO " + of.path(name_of(table::meta))
                              + " (key, value) VALUES ($1::bytea, $2::bytea) ON CONFLICT (key) DO "
                                "NOTHING"};
  add(slots_table, "slot bigint PRIMARY KEY, owner bigint NOT NULL, epoch bigint NOT NULL)");
  create_tables.push_back({"fill_slots", "INSERT INTO " + of.path(slots_table)
                                             + " SELECT slot, 0, 0 FROM generate_series(0, "
                                             + std::to_string(session_slots - 1) + ") AS slot"});
}

void postgres_statements::state_transactions(const names& of) {
  const auto meta = of.path(name_of(table::meta));
  const auto pending = of.path(name_of(table::pending));
  begin = {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"};
  begin_reading = {"begin_reading", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
  commit = {"commit", "COMMIT"};
  roll_back = {"roll_back", "ROLLBACK"};
  take_turn = {"take_turn", "SELECT FROM " + meta + " WHERE key = 'format' FOR UPDATE"};
  read_meta = {"read_meta", "SELECT key, value FROM " + meta};
  pending_ranges = {
      "pending_ranges",
      "SELECT found.key, found.value FROM unnest($1::bytea[], $2::bytea[]) AS range (first, "
      "behind) "
      "CROSS JOIN LATERAL (SELECT key, value FROM "
          + pending + " WHERE key >= range.first AND key < range.behind UNION ALL (SELECT key, "
          + "value FROM " + pending + " WHERE key >= range.behind ORDER BY key LIMIT 1)) AS found"};
}

void postgres_statements::state_lives(const names& of) {
  const auto writers = of.path(writers_table);
  const auto this_life = " WHERE life = $1::bigint";
  begin_life = {"begin_life", "INSERT INTO " + writers + " (node, host, process) VALUES ('"
                                  + of.node + "', $1::text, $2::bigint) RETURNING life"};
  // Who wakes after so many others have come and gone does not learn any more what became of the
  // last batch.
  forget_old_lives = {"forget_old_lives", "DELETE FROM " + writers + " WHERE node = '" + of.node
                                              + "' AND life <= $1::bigint - 1000"};
  last_life = {"last_life", "SELECT life FROM " + writers
                                + (of.node.empty() ? "" : " WHERE node IN ('', '" + of.node + "')")
                                + " ORDER BY life DESC LIMIT 1"};
  keep_life = {"keep_life", "SELECT token FROM " + writers + this_life + " FOR UPDATE"};
  see_token = {"see_token", "SELECT token FROM " + writers + this_life + " FOR UPDATE SKIP LOCKED"};
  find_life = {"find_life", "SELECT FROM " + writers + this_life};
  leave_token = {"leave_token", "UPDATE " + writers + " SET token = $2::bigint" + this_life};
}

void postgres_statements::state_ownership(const names& of) {
  const auto is_node = !of.node.empty();
  try_ownership = {
      "try_ownership",
      // Who gets one of both keeps none.
      is_node ? "SELECT (CASE WHEN NOT pg_try_advisory_lock(" + of.node_lock()
                    + ") THEN false WHEN pg_try_advisory_lock_shared(" + of.store_lock()
                    + ") THEN true ELSE NOT pg_advisory_unlock(" + of.node_lock() + ") END)::text"
              : "SELECT (CASE WHEN NOT pg_try_advisory_lock(" + of.store_lock()
                    + ") THEN false WHEN NOT EXISTS (SELECT FROM " + of.path(nodes_table)
                    + " WHERE " + is_live + ") THEN true ELSE NOT pg_advisory_unlock("
                    + of.store_lock() + ") END)::text"};
  end_ownership = {"end_ownership", "SELECT pg_advisory_unlock_all()::text"};
  // A number of 64 bits is shown in two parts.
  const std::string holders =
      " FROM pg_locks AS held JOIN pg_stat_activity AS holder USING (pid) WHERE held.locktype = "
      "'advisory' AND held.granted AND held.pid <> pg_backend_pid() AND held.database = (SELECT "
      "oid "
      "FROM pg_database WHERE datname = current_database()) AND held.objsubid = 1 AND ";
  const std::string lock = "(held.classid::bigint << 32 | held.objid::bigint)";
  const auto in_the_way = is_node ? "(" + lock + " = " + of.node_lock() + " OR (" + lock + " = "
                                        + of.store_lock() + " AND held.mode = 'ExclusiveLock'))"
                                  : lock + " = " + of.store_lock();
  show_owner = {
      "show_owner",
      "SELECT holder.pid::text, holder.application_name, (SELECT 'process ' || process || "
      "' on ' || host || ', since ' || date_trunc('second', opened) FROM "
          + of.path(writers_table) + (is_node ? " WHERE node IN ('', '" + of.node + "')" : "")
          + " ORDER BY life DESC LIMIT 1)" + holders + in_the_way + " LIMIT 1"};
  show_lease = {"show_lease", "SELECT node, ceil(extract(epoch FROM lease_until - "
                              "clock_timestamp()))::bigint FROM "
                                  + of.path(nodes_table) + " WHERE " + is_live
                                  + " ORDER BY lease_until DESC LIMIT 1"};
  end_frozen_owners = {"end_frozen_owners",
                       "SELECT pg_terminate_backend(holder.pid)::text" + holders + lock + " = "
                           + of.store_lock()
                           + " AND holder.xact_start IS NOT NULL AND holder.wait_event IN "
                             "('ClientRead', 'ClientWrite') AND "
                             // What is still to come was there before the clock was set back.
                             "(holder.state_change < clock_timestamp() - $1::bigint * interval "
                             "'1 ms' OR holder.state_change > clock_timestamp() + $1::bigint * "
                             "interval '1 ms')"};
}

void postgres_statements::state_slots(const names& of) {
  const auto nodes = of.path(nodes_table);
  const auto slots = of.path(slots_table);
  const auto writers = of.path(writers_table);
  // Whoever has come under this node's name since.
  const auto is_last = "NOT EXISTS (SELECT FROM " + writers + " WHERE node IN ('', '" + of.node
                       + "') AND life > $1::bigint)";
  const auto listed = "slot = ANY (string_to_array($2, ',')::bigint[])";
  // In the order that names have here, whatever the database's collation is.
  const std::string name_list = "coalesce(string_agg(node, ',' ORDER BY node COLLATE \"C\"), '')";
  end_other_leases = {"end_other_leases", "DELETE FROM " + nodes + " WHERE node = '" + of.node
                                              + "' AND life <> $1::bigint"};
  const std::string long_ago = " < clock_timestamp() - interval '30 days'";
  forget_old_leases = {"forget_old_leases", "DELETE FROM " + nodes + " WHERE lease_until" + long_ago
                                                + " AND NOT EXISTS (SELECT FROM " + slots
                                                + " WHERE owner = life)"};
  // So few that their locks have room in the server. The oldest first: who finds no life of its own
  // any more does not go on.
  forget_old_names = {"forget_old_names",
                      "DELETE FROM " + writers
                          + " WHERE life IN (SELECT life FROM (SELECT life, node FROM " + writers
                          + " AS old WHERE node NOT IN ('', '" + of.node + "') AND opened"
                          + long_ago + " AND NOT EXISTS (SELECT FROM " + nodes
                          + " WHERE nodes.node = old.node) "
                            "ORDER BY life LIMIT 100) AS gone WHERE pg_try_advisory_xact_lock("
                          + of.node_lock_of("node") + "))"};
  // Over at once, and limited to that where the clock is set back.
  join_nodes = {"join_nodes",
                "INSERT INTO " + nodes
                    + " (life, node, lease_until, lease_ms) VALUES ($1::bigint, $2::text, "
                      "clock_timestamp(), 0) ON CONFLICT (life) DO UPDATE SET lease_until = "
                      "EXCLUDED.lease_until, lease_ms = EXCLUDED.lease_ms"};
  renew_lease = {"renew_lease",
                 "UPDATE " + nodes
                     + " SET lease_until = clock_timestamp() + $2::bigint * interval "
                       "'1 ms', lease_ms = $2::bigint, drains = $3::text::boolean WHERE life = "
                       "$1::bigint AND "
                     + is_last + " RETURNING EXISTS (SELECT FROM " + nodes
                     + " AS other WHERE other.life <> $1::bigint AND " + is_too_long("other.")
                     + ")::text"};
  // Who is amid a renewal, or an acquisition, needs nobody's help, and is not waited for.
  limit_leases = {"limit_leases",
                  "UPDATE " + nodes
                      + " SET lease_until = clock_timestamp() + lease_ms * interval '1 ms' WHERE "
                        "life IN (SELECT life FROM "
                      + nodes + " WHERE " + is_too_long() + " FOR UPDATE SKIP LOCKED)"};
  lock_leases = {"lock_leases", "SELECT FROM " + nodes + " ORDER BY life FOR UPDATE"};
  end_lease = {"end_lease", "DELETE FROM " + nodes + " WHERE life = $1::bigint"};
  acquire_slots = {"acquire_slots",
                   "UPDATE " + slots + " SET owner = $1::bigint, epoch = epoch + 1 WHERE " + listed
                       + " AND (owner = $1::bigint OR NOT EXISTS (SELECT FROM " + nodes
                       + " WHERE life = owner AND " + is_live + ")) AND EXISTS (SELECT FROM "
                       + nodes + " WHERE life = $1::bigint AND " + is_live
                       + ") RETURNING slot, epoch"};
  release_slots = {"release_slots", "UPDATE " + slots + " SET owner = 0, epoch = epoch + 1 WHERE "
                                        + listed + " AND owner = $1::bigint"};
  release_all_slots = {"release_all_slots", "UPDATE " + slots
                                                + " SET owner = 0, epoch = epoch + 1 WHERE owner = "
                                                  "$1::bigint"};
  // All or none.
  move_slots = {"move_slots",
                "UPDATE " + slots + " SET owner = life, epoch = epoch + 1 FROM (SELECT life FROM "
                    + nodes + " WHERE node = $3::text AND " + is_live + ") AS next WHERE " + listed
                    + " AND NOT EXISTS (SELECT FROM " + slots + " AS other WHERE other." + listed
                    + " AND other.owner <> $1::bigint) RETURNING slot"};
  count_slots = {"count_slots", "SELECT count(*) FROM " + slots + " WHERE slot >= 0 AND slot < "
                                    + std::to_string(session_slots)};
  own_slots = {"own_slots", "SELECT slot, epoch FROM " + slots + " WHERE owner = $1::bigint"};
  all_slots = {"all_slots", "SELECT slot, coalesce(node, ''), epoch, coalesce("
                                + std::string{is_live} + ", false)::text, (SELECT " + name_list
                                + " FROM " + nodes + " WHERE " + is_live + "), (SELECT " + name_list
                                + " FROM " + nodes + " WHERE drains AND " + is_live
                                + "), coalesce(extract(epoch FROM lease_until) * 1000000, "
                                  "0)::bigint, coalesce(lease_ms, 0) FROM "
                                + slots + " LEFT JOIN " + nodes + " ON life = owner ORDER BY slot"};
  holds_lease = {"holds_lease",
                 "SELECT least(floor(extract(epoch FROM lease_until - clock_timestamp()) * "
                 "1000)::bigint, lease_ms) FROM "
                     + slots + " JOIN " + nodes
                     + " ON life = owner WHERE owner = $1::bigint AND slot = $2::bigint AND epoch "
                       "= $3::bigint AND "
                     + is_last};
  slots_of_batch = {"slots_of_batch",
                    "SELECT slot, owner, epoch, coalesce(node, '') FROM " + slots + " LEFT JOIN "
                        + nodes
                        + " ON life = owner WHERE slot = ANY (string_to_array($1, ',')::bigint[])"};
}

const table_statements& postgres_statements::operator[](table which) const noexcept {
  const auto found = std::find(all_tables.begin(), all_tables.end(), which);
  return of_tables_[static_cast<std::size_t>(found - all_tables.begin())];
}

} // namespace fermata::detail
