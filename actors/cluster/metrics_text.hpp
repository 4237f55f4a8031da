#pragma once

#include <fermata/actors/cluster/cluster_node.hpp>

#include <string>

namespace fermata {

/// What a node counts of the others, in Prometheus' text form, version 0.0.4: to be put behind the
/// text of its runtime's metrics, where there are some. Counters begin at 0 with the process. From
/// any thread.
///
/// The names, each with `fermata_` in front, their types and labels:
///
///     node_info                      gauge    name, cluster; always 1
///     cluster_peers                  gauge    state: connecting, connected, silent, apart, refused
///     cluster_commands_total         counter  forwarded to other nodes
///     cluster_questions_total        counter  the same of questions, readers and requests
///     cluster_errands_under_way      gauge    commands and questions without an answer yet
///     cluster_readers                gauge    of streams, that wait for more from other nodes
///     cluster_contacts_lost_total    counter
///     cluster_slots                  gauge    of a shared store, that this node serves: 256 in all
///     cluster_slots_acquired_total   counter  of a shared store
///     cluster_slots_given_total      counter  the same, moved to other nodes
///     cluster_slots_lost_total       counter  the same, as the lease had run out
[[nodiscard]] std::string metrics_text(const cluster_node& node);

} // namespace fermata
