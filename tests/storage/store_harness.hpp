#pragma once

#include "storage_helpers.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/memory_ownership.hpp>
#include <fermata/storage/verify_store.hpp>

// Each test program that shares tests of stores has a header of this name.
#define TESTED_STORES memory_harness, memory_node_harness, lmdb_harness
#define DURABLE_STORES lmdb_harness
#define SHARED_STORES memory_nodes

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

/// Data that nodes share.
class memory_nodes {
public:
  /// One of them.
  struct member {
    std::shared_ptr<memory_store> store;
    std::unique_ptr<memory_ownership> sessions;
  };

  [[nodiscard]] member join(std::string_view name) const {
    auto made = join_without_lease(name);
    must(made.sessions->renew());
    return made;
  }
  [[nodiscard]] member join_without_lease(std::string_view name) const {
    auto store = data_->beside();
    auto sessions = must(memory_ownership::join(table_, node(name), store, std::chrono::hours{1}));
    return {std::move(store), std::move(sessions)};
  }
  /// A node whose name another process can take while it lives.
  [[nodiscard]] member join_replaceable(std::string_view name) const { return join(name); }
  /// Takes such a name.
  [[nodiscard]] member replace(std::string_view name) const { return join(name); }
  void end_lease_of(std::string_view name) const { table_->end_lease(node(name)); }
  /// Nodes that join from now on go by a clock that can be set.
  void use_clock_to_set() {}
  void set_clock_forward(std::chrono::seconds by) { *ahead_ += by; }
  [[nodiscard]] verify_report verify() const { return data_->verify(); }

private:
  std::shared_ptr<memory_store> data_ = std::make_shared<memory_store>();
  std::shared_ptr<std::chrono::seconds> ahead_ = std::make_shared<std::chrono::seconds>(0);
  std::shared_ptr<memory_ownership_table> table_ = std::make_shared<memory_ownership_table>(
      [ahead = ahead_] { return std::chrono::steady_clock::now() + *ahead; });
};

/// One opening of several, of a node that owns all sessions.
class memory_node_harness {
public:
  memory_node_harness() { join(); }
  store& get() { return *self_.store; }
  void reopen() {
    self_.store->crash();
    join();
  }

private:
  void join() {
    self_ = nodes_.join("n1");
    must(self_.sessions->acquire(all_slots()));
  }

  memory_nodes nodes_;
  memory_nodes::member self_;
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
