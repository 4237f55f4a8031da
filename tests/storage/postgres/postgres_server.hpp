#pragma once

#include <fermata/storage/postgres/postgres_store.hpp>

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

namespace fermata::test {

/// A PostgreSQL server of this test program's own, from the system's package: an unprivileged user
/// runs it, on a socket in a temporary directory. It starts when it is first asked for, and ends
/// with the program, also if that is killed: a process that waits for this sees to it.
class postgres_server {
public:
  /// Throws when PostgreSQL is not installed.
  [[nodiscard]] static postgres_server& get();

  /// A server beside that one, with settings of its own, in an existing directory or one that is
  /// made for it.
  explicit postgres_server(const std::string& settings = {},
                           const std::filesystem::path& directory = {});
  ~postgres_server();
  postgres_server(const postgres_server&) = delete;
  postgres_server& operator=(const postgres_server&) = delete;

  /// The directory of its socket.
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

  /// For a role that may make schemas, and nothing else.
  [[nodiscard]] std::string connection() const;

  /// Options that lead to a schema that nobody has used yet.
  [[nodiscard]] postgres_options new_store() const;

  /// Executes SQL as superuser, and returns its first value.
  std::string sql(const std::string& statements) const;

  /// As at a power failure, for those who are connected: `kill -9` of the server's first process.
  void kill();
  /// Ends it at once, without a checkpoint.
  void stop();
  /// Starts it again, and waits until it serves.
  void start();

private:
  std::filesystem::path directory_;
  std::string settings_;
  pid_t process_ = -1;
  int keeper_ = -1; ///< A pipe whose end the keeper waits for.
  pid_t keeper_process_ = -1;
};

} // namespace fermata::test
