#include <fermata/storage/postgres/detail/statements.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

table_statements statements_of(table which, const std::string& schema) {
  const std::string name{name_of(which)};
  const auto path = schema + '.' + name;
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
std::string set_up(const std::string& timeouts) {
  return "SELECT set_config('synchronous_commit', CASE WHEN NOT $1::text::boolean THEN 'off' WHEN "
         "current_setting('synchronous_commit') = 'off' THEN 'on' ELSE "
         "current_setting('synchronous_commit') END, false), set_config('enable_seqscan', 'off', "
         "false), set_config('enable_bitmapscan', 'off', false), set_config('jit', 'off', false), "
         "set_config('plan_cache_mode', 'force_generic_plan', false), "
         "set_config('statement_timeout', $2, false)"
         + timeouts;
}

/// Advisory locks are numbers of the whole database: these begin with `ferm`, and end with what
/// identifies the schema, or 0 for whoever makes one.
constexpr std::string_view lock_number = "(1717924461::bigint << 32)";

std::string ownership_of(const std::string& schema) {
  return '(' + std::string{lock_number} + " | '" + schema + "'::regnamespace::oid::bigint)";
}

std::vector<postgres_statement> creation_of(const std::string& schema) {
  std::vector<postgres_statement> statements;
  for (const auto which : all_tables) {
    const std::string name{name_of(which)};
    // What is written again and again stays on its page, which needs room for that.
    const auto* filling = which == table::heads || which == table::parts ? "70" : "100";
    statements.push_back({"create_" + name,
                          "CREATE TABLE " + schema + '.' + name
                              + " (key bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = "
                              + filling + ')'});
  }
  statements.push_back(
      {"create_writers", "CREATE TABLE " + schema + '.' + std::string{writers_table}
                             + " (life bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text "
                               "NOT NULL, process bigint NOT NULL, opened timestamptz NOT NULL "
                               "DEFAULT clock_timestamp(), token bigint NOT NULL DEFAULT 0) WITH "
                               "(fillfactor = 50)"});
  return statements;
}

} // namespace

postgres_statements::postgres_statements(const std::string& schema)
    : create_tables{creation_of(schema)} {
  for (std::size_t i = 0; i < all_tables.size(); ++i)
    of_tables_[i] = statements_of(all_tables[i], schema);
  const auto ownership = ownership_of(schema);
  const auto writers = schema + '.' + std::string{writers_table};
  const auto meta = schema + '.' + std::string{name_of(table::meta)};
  const auto pending = schema + '.' + std::string{name_of(table::pending)};
  const auto name = [](const char* as, std::string sql) {
    return postgres_statement{as, std::move(sql)};
  };
  set_up_writer =
      name("set_up_writer", set_up(", set_config('lock_timeout', $2, false), "
                                   "set_config('idle_in_transaction_session_timeout', $3, false)"));
  set_up_reader = name("set_up_reader", set_up(""));
  name_session = name("name_session", "SELECT backend_start::text FROM pg_stat_activity WHERE pid "
                                      "= pg_backend_pid()");
  examine_server = name("examine_server", "SELECT current_setting('fsync'), "
                                          "pg_is_in_recovery()::text, current_database()::text");
  list_tables =
      name("list_tables",
           "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') "
           "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = '"
               + schema + "')");
  find_schema = name("find_schema", "SELECT FROM pg_namespace WHERE nspname = '" + schema + "'");
  create_schema = name("create_schema", "CREATE SCHEMA " + schema);
  begin = name("begin", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
  begin_reading = name("begin_reading", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  commit = name("commit", "COMMIT");
  roll_back = name("roll_back", "ROLLBACK");
  take_turn = name("take_turn", "SELECT FROM " + meta + " WHERE key = 'format' FOR UPDATE");
  keep_life =
      name("keep_life", "SELECT token FROM " + writers + " WHERE life = $1::bigint FOR UPDATE");
  see_token = name("see_token", "SELECT token FROM " + writers
                                    + " WHERE life = $1::bigint FOR UPDATE SKIP LOCKED");
  find_life = name("find_life", "SELECT FROM " + writers + " WHERE life = $1::bigint");
  read_meta = name("read_meta", "SELECT key, value FROM " + meta);
  pending_ranges = name(
      "pending_ranges",
      "SELECT found.key, found.value FROM unnest($1::bytea[], $2::bytea[]) AS range (first, "
      "behind) CROSS JOIN LATERAL (SELECT key, value FROM "
          + pending + " WHERE key >= range.first AND key < range.behind UNION ALL (SELECT key, "
          + "value FROM " + pending + " WHERE key >= range.behind ORDER BY key LIMIT 1)) AS found");
  leave_token =
      name("leave_token", "UPDATE " + writers + " SET token = $2::bigint WHERE life = $1::bigint");
  lock_creation =
      name("lock_creation", "SELECT pg_advisory_xact_lock(" + std::string{lock_number} + ")::text");
  try_ownership = name("try_ownership", "SELECT pg_try_advisory_lock(" + ownership + ")::text");
  end_ownership = name("end_ownership", "SELECT pg_advisory_unlock_all()::text");
  const auto of_owner =
      " FROM pg_locks AS held JOIN pg_stat_activity AS holder USING (pid) WHERE held.locktype = "
      "'advisory' AND held.granted AND held.database = (SELECT oid FROM pg_database WHERE datname "
      "= "
      "current_database()) AND held.objsubid = 1 AND (held.classid::bigint << 32 | "
      "held.objid::bigint) = "
      + ownership;
  show_owner = name("show_owner", "SELECT holder.pid::text, holder.application_name, (SELECT "
                                  "'process ' || process || ' on ' || host || ', since ' || "
                                  "date_trunc('second', opened) FROM "
                                      + writers + " ORDER BY life DESC LIMIT 1)" + of_owner);
  end_frozen_owner =
      name("end_frozen_owner",
           "SELECT pg_terminate_backend(holder.pid)::text" + of_owner
               + " AND holder.xact_start IS NOT NULL AND holder.wait_event = 'ClientRead' AND "
                 "holder.state_change < clock_timestamp() - $1::bigint * interval '1 ms'");
  begin_life = name("begin_life", "INSERT INTO " + writers
                                      + " (host, process) VALUES ($1::text, $2::bigint) RETURNING "
                                        "life");
  // Who wakes after so many others have come and gone does not learn any more what became of the
  // last batch.
  forget_old_lives =
      name("forget_old_lives", "DELETE FROM " + writers + " WHERE life <= $1::bigint - 1000");
  last_life = name("last_life", "SELECT life FROM " + writers + " ORDER BY life DESC LIMIT 1");
  end_session = name("end_session", "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity "
                                    "WHERE pid = $1::bigint AND backend_start::text = $2::text");
  size = name("size", "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
                      "WHERE relkind = 'r' AND relnamespace = '"
                          + schema + "'::regnamespace");
}

const table_statements& postgres_statements::operator[](table which) const noexcept {
  const auto found = std::find(all_tables.begin(), all_tables.end(), which);
  return of_tables_[static_cast<std::size_t>(found - all_tables.begin())];
}

} // namespace fermata::detail
