#pragma once

#include "storage_helpers.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/verify_store.hpp>

// Each test program that shares tests of stores has a header of this name.
#define TESTED_STORES memory_harness, lmdb_harness
#define DURABLE_STORES lmdb_harness

namespace fermata::test {

/// A store to test, and a way to close and open it again.
class memory_harness {
public:
  store& get() { return *store_; }
  void reopen() {
    store_->crash();
    store_->restart();
  }

private:
  std::shared_ptr<memory_store> store_ = std::make_shared<memory_store>();
};

class lmdb_harness {
public:
  lmdb_harness() { reopen(); }
  store& get() { return *store_; }
  void reopen() {
    store_.reset();
    store_ = must(lmdb_store::open(directory_.path() / "store"));
  }
  verify_report verify() { return must(verify_store(directory_.path() / "store")); }

private:
  temporary_directory directory_;
  std::shared_ptr<lmdb_store> store_;
};

} // namespace fermata::test
