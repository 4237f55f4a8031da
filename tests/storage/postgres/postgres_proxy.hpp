#pragma once

#include "postgres_server.hpp"

#include <temporary_directory.hpp>

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace fermata::test {

/// Stands between a store and its server: counts what is sent, and cuts connections.
class postgres_proxy {
public:
  explicit postgres_proxy(const postgres_server& server);
  ~postgres_proxy();
  postgres_proxy(const postgres_proxy&) = delete;
  postgres_proxy& operator=(const postgres_proxy&) = delete;

  [[nodiscard]] std::string connection() const;

  /// Where to cut a connection: before the server gets the COMMIT, or before its answer arrives; or
  /// before it gets the COMMIT, which is only late: it gets it once somebody has looked whether the
  /// batch is stored.
  enum class place { nowhere, request, response, late_request };
  /// Cuts at the next COMMIT.
  void cut_at_commit(place where) { cut_ = where; }
  /// Also cuts the next connection on which somebody has looked whether a batch is stored: once
  /// that is answered.
  void cut_after_look() { cuts_after_look_ = true; }
  /// Also cuts the next connection that is to own the store: for its client, while the server goes
  /// on with it until this ends.
  void cut_new_owner() { cuts_new_owner_ = true; }
  /// What is kept from the server: all that follows the first round trip of a transaction, or the
  /// COMMIT, which stands amid the second one.
  enum class kept { nothing, changes, commit };
  void hold(kept what);
  void wait_until_held();
  /// Ends all connections now.
  void cut_all();
  /// Whether new connections are taken; also whether a cut ends that.
  void accept(bool accepts) { accepts_ = accepts; }
  void refuse_after_cut(bool refuses) { refuses_after_cut_ = refuses; }

  // What is counted: all but a ROLLBACK, which is sent whenever a view ends, and not waited for.
  std::atomic<int> round_trips = 0;
  std::atomic<int> statements = 0; ///< Executed.

private:
  struct link;

  void serve();
  void carry(link& of);
  /// Passes on the client's messages that are complete. False: cut here.
  bool pass_on(link& of);
  void wait_while_held(kept what);
  void send_what_is_late();

  fermata::test::temporary_directory directory_;
  std::string server_;
  int listener_ = -1;
  std::atomic<bool> stops_ = false;
  std::atomic<place> cut_ = place::nowhere;
  std::atomic<bool> cuts_after_look_ = false;
  std::atomic<bool> cuts_new_owner_ = false;
  int lingering_server_ = -1;
  std::atomic<bool> accepts_ = true;
  std::atomic<bool> refuses_after_cut_ = false;
  kept holds_ = kept::nothing;
  bool is_held_ = false;
  std::condition_variable changed_;
  int late_server_ = -1;
  std::string late_data_;
  std::mutex mutex_;
  std::list<link> links_;
  std::thread thread_;
};

} // namespace fermata::test
