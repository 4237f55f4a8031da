#pragma once

#include "postgres_server.hpp"
#include "storage_helpers.hpp"

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <numeric>

// Each test program that shares tests of stores has a header of this name.
#define TESTED_STORES postgres_harness, postgres_node_harness
#define DURABLE_STORES postgres_harness

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
    options_.node = must(node_name::parse("n1"));
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
    std::vector<std::uint32_t> slots(session_slots);
    std::iota(slots.begin(), slots.end(), 0);
    must(sessions_->acquire(slots));
  }

private:
  postgres_options options_ = postgres_server::get().new_store();
  std::shared_ptr<postgres_store> store_;
  std::unique_ptr<postgres_ownership> sessions_;
};

} // namespace fermata::test
