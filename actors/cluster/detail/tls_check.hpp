#pragma once

#include <fermata/actors/cluster/cluster_node.hpp>

#include <string>

namespace fermata::detail {

/// Why no node can speak by these files; empty: one can. Reads them as OpenSSL does that will use
/// them: the certificate is in force, its key is its own, the authority signed it.
[[nodiscard]] std::string objection_to(const tls_files& files);

} // namespace fermata::detail
