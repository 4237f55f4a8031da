#include <fermata/actors/cluster/metrics_text.hpp>

#include <algorithm>
#include <string_view>

namespace fermata {

namespace {

void begin(std::string& text, std::string_view name, std::string_view type, std::string_view help) {
  text.append("# HELP fermata_").append(name).append(" ").append(help);
  text.append("\n# TYPE fermata_").append(name).append(" ").append(type).append("\n");
}

void add(std::string& text, std::string_view name, std::string_view labels, std::uint64_t value) {
  text.append("fermata_").append(name).append(labels).append(" ");
  text.append(std::to_string(value)).append("\n");
}

void add_alone(std::string& text, std::string_view name, std::string_view type,
               std::string_view help, std::uint64_t value) {
  begin(text, name, type, help);
  add(text, name, "", value);
}

} // namespace

std::string metrics_text(const cluster_node& node) {
  std::string text;
  begin(text, "node_info", "gauge", "Which node this process is");
  // The characters of names need no escapes.
  add(text, "node_info",
      "{name=\"" + node.name().str() + "\",cluster=\"" + node.members().cluster.str() + "\"}", 1);
  begin(text, "cluster_peers", "gauge", "Other nodes, by how this one stands with them");
  const auto peers = node.peers();
  for (const auto state : enum_names(contact_state{})) {
    const auto count = std::count_if(peers.begin(), peers.end(), [&](const peer_report& one) {
      return enum_name(one.state) == state;
    });
    add(text, "cluster_peers", "{state=\"" + std::string{state} + "\"}",
        static_cast<std::uint64_t>(count));
  }
  const auto traffic = node.traffic();
  add_alone(text, "cluster_commands_total", "counter", "Commands forwarded to other nodes",
            traffic.commands);
  add_alone(text, "cluster_questions_total", "counter", "Questions forwarded to other nodes",
            traffic.questions);
  add_alone(text, "cluster_errands_under_way", "gauge",
            "Commands and questions that other nodes have not answered yet", traffic.errands);
  add_alone(text, "cluster_readers", "gauge", "Readers that wait for events of other nodes",
            traffic.readings);
  add_alone(text, "cluster_contacts_lost_total", "counter", "Connections with other nodes lost",
            traffic.contacts_lost);
  add_alone(text, "cluster_slots", "gauge",
            "Slots of sessions of a shared store that this node serves", traffic.slots_served);
  add_alone(text, "cluster_slots_acquired_total", "counter",
            "Slots of sessions of a shared store taken over, or moved to this node",
            traffic.slots_acquired);
  add_alone(text, "cluster_slots_given_total", "counter",
            "Slots of sessions of a shared store moved to other nodes", traffic.slots_given);
  add_alone(text, "cluster_slots_lost_total", "counter",
            "Slots of sessions of a shared store lost as the lease had run out",
            traffic.slots_lost);
  return text;
}

} // namespace fermata
