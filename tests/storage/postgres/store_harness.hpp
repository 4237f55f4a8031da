#pragma once

#include "postgres_server.hpp"
#include "storage_helpers.hpp"

// Each test program that shares tests of stores has a header of this name.
#define TESTED_STORES postgres_harness
#define DURABLE_STORES postgres_harness

namespace fermata::test {

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
    store_ = must(postgres_store::open(options_));
  }
  verify_report verify() { return must(store_->verify()); }

private:
  postgres_options options_ = postgres_server::get().new_store();
  std::shared_ptr<postgres_store> store_;
};

} // namespace fermata::test
