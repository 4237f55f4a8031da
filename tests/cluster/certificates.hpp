#pragma once

#include <fermata/actors/cluster/cluster_node.hpp>

#include <temporary_directory.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace fermata::test {

/// An authority that signs certificates, and writes them into a folder.
class authority {
public:
  explicit authority(const std::string& name);
  ~authority();
  authority(const authority&) = delete;
  authority& operator=(const authority&) = delete;

  /// The files of a node. It is in force from an hour ago on, for `validity` from now.
  [[nodiscard]] tls_files issue(const temporary_directory& folder, const std::string& name,
                                std::chrono::seconds validity = std::chrono::hours{1}) const;

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata::test
