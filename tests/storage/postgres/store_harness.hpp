#pragma once

#include "postgres_proxy.hpp"
#include "postgres_server.hpp"
#include "storage_helpers.hpp"

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <optional>

// Each test program that shares tests of stores has a header of this name.
#define TESTED_STORES postgres_harness, postgres_node_harness
#define DURABLE_STORES postgres_harness
#define SHARED_STORES postgres_nodes

namespace fermata::test {

/// Opens a store once the owner before has gone, who may be dying.
inline std::shared_ptr<postgres_store> open_once_free(const postgres_options& options) {
  for (int attempt = 0;; ++attempt) {
    auto opened = postgres_store::open(options);
    if (opened || !is(opened.error(), errc::store_busy) || attempt == 20)
      return must(std::move(opened));
  }
}

/// A schema with a store, and a way to close and open it again.
class postgres_harness {
public:
  postgres_harness() { reopen(); }
  ~postgres_harness() {
    store_.reset();
    postgres_server::get().sql("DROP SCHEMA " + options_.schema + " CASCADE");
  }
  postgres_harness(const postgres_harness&) = delete;
  postgres_harness& operator=(const postgres_harness&) = delete;

  postgres_store& get() { return *store_; }
  [[nodiscard]] const postgres_options& options() const noexcept { return options_; }
  void close() { store_.reset(); }
  void reopen() {
    store_.reset();
    store_ = open_once_free(options_);
  }
  verify_report verify() { return must(store_->verify()); }

private:
  postgres_options options_ = postgres_server::get().new_store();
  std::shared_ptr<postgres_store> store_;
};

/// The same, as a node that owns all sessions.
class postgres_node_harness {
public:
  postgres_node_harness() {
    options_.node = node("n1");
    reopen();
  }
  ~postgres_node_harness() {
    sessions_.reset();
    store_.reset();
    postgres_server::get().sql("DROP SCHEMA " + options_.schema + " CASCADE");
  }
  postgres_node_harness(const postgres_node_harness&) = delete;
  postgres_node_harness& operator=(const postgres_node_harness&) = delete;

  postgres_store& get() { return *store_; }
  void reopen() {
    sessions_.reset();
    store_.reset();
    store_ = open_once_free(options_);
    sessions_ = must(postgres_ownership::join(store_, std::chrono::hours{1}));
    must(sessions_->renew());
    must(sessions_->acquire(all_slots()));
  }

private:
  postgres_options options_ = postgres_server::get().new_store();
  std::shared_ptr<postgres_store> store_;
  std::unique_ptr<postgres_ownership> sessions_;
};

/// A schema that nodes share.
class postgres_nodes {
public:
  /// One of them.
  struct member {
    member(postgres_options options, std::string_view name, bool has_lease = true) {
      options.node = node(name);
      store = open_once_free(options);
      // The clock of the database decides: a test that wants a lease to end says so there.
      sessions = must(postgres_ownership::join(store, std::chrono::hours{1}));
      if (has_lease)
        must(sessions->renew());
    }

    std::shared_ptr<postgres_store> store;
    std::unique_ptr<postgres_ownership> sessions;
  };

  postgres_nodes() = default;
  ~postgres_nodes() {
    sql("DROP SCHEMA " + options.schema + " CASCADE; DROP SCHEMA IF EXISTS " + clock_schema()
        + " CASCADE");
  }
  postgres_nodes(const postgres_nodes&) = delete;
  postgres_nodes& operator=(const postgres_nodes&) = delete;

  [[nodiscard]] member join(std::string_view name) const { return {options, name}; }
  [[nodiscard]] member join_without_lease(std::string_view name) const {
    return {options, name, false};
  }
  /// A node whose name another process can take while it lives.
  [[nodiscard]] member join_replaceable(std::string_view name) {
    auto through = options;
    through.connection = proxy_.emplace(postgres_server::get()).connection();
    return {through, name};
  }
  /// Takes such a name. The node before goes on, and reaches the database again.
  [[nodiscard]] member replace(std::string_view name) {
    proxy_->accept(false);
    proxy_->cut_all();
    auto next = join(name);
    proxy_->accept(true);
    return next;
  }
  /// As if so much time had passed for the database.
  void end_lease_of(std::string_view name) const {
    sql("UPDATE " + options.schema + ".nodes SET lease_until = clock_timestamp() WHERE node = '"
        + std::string{name} + "'");
  }
  /// Nodes that join from now on go by a clock that can be set: they find it in front of the
  /// database's own.
  void use_clock_to_set() {
    const auto schema = clock_schema();
    sql("CREATE SCHEMA " + schema + "; CREATE TABLE " + schema
        + ".clock (ahead interval); INSERT INTO " + schema + ".clock VALUES ('0'); CREATE FUNCTION "
        + schema
        + ".clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT "
          "pg_catalog.clock_timestamp() + ahead FROM "
        + schema + ".clock'; GRANT USAGE ON SCHEMA " + schema
        + " TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA " + schema + " TO PUBLIC");
    options.connection += " options='-c search_path=" + schema + ",pg_catalog'";
  }
  void set_clock_forward(std::chrono::seconds by) const {
    sql("UPDATE " + clock_schema() + ".clock SET ahead = ahead + interval '"
        + std::to_string(by.count()) + " s'");
  }
  [[nodiscard]] verify_report verify() const { return must(open_once_free(options)->verify()); }
  std::string sql(const std::string& statements) const {
    return postgres_server::get().sql(statements);
  }

  postgres_options options = postgres_server::get().new_store();

private:
  [[nodiscard]] std::string clock_schema() const { return "clock_of_" + options.schema; }

  std::optional<postgres_proxy> proxy_;
};

} // namespace fermata::test
