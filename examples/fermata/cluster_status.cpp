#include "cluster_status.hpp"

#include "escape.hpp"
#include "render.hpp"
#include "service_client.hpp"
#include "stores.hpp"

#include <fermata/actors/cluster/contact.hpp>
#include <fermata/messages/cluster.hpp>
#include <fermata/storage/session_slots.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace fermata::command_line {

namespace {

/// More than 64 members with long reasons.
constexpr std::size_t max_answer_bytes = 1'000'000;

/// What `/v1/cluster` says of a member.
struct shown_member {
  node_name name;
  std::string host;
  std::uint16_t port = 0;
  std::string contact;
  std::optional<node_status> status;
  std::string reason;

  shown_member() = default;
  static constexpr auto fields() {
    return field_list{field("name", &shown_member::name),
                      field("host", &shown_member::host),
                      field("port", &shown_member::port),
                      field("contact", &shown_member::contact),
                      optional_field("status", &shown_member::status),
                      optional_field("reason", &shown_member::reason)};
  }
};

struct shown_cluster {
  node_name cluster;
  std::uint32_t version = 0;
  node_name name;
  bool shares_store = false;
  store_identity store; ///< Empty: each node has its own, or is of a version that does not say.
  std::vector<shown_member> members;

  shown_cluster() = default;
  static constexpr auto fields() {
    return field_list{field("cluster", &shown_cluster::cluster),
                      field("version", &shown_cluster::version),
                      field("name", &shown_cluster::name),
                      optional_field("shares_store", &shown_cluster::shares_store),
                      optional_field("store", &shown_cluster::store),
                      field("members", &shown_cluster::members)};
  }
};

/// Asks the node that runs on the store which is meant.
result<json> ask_node(const arguments& given, const service_request& request) {
  const auto store = locate_store(given.store);
  if (!store)
    return store.error();
  const auto socket = find_service(*store);
  if (!socket)
    return socket.error();
  if (!*socket)
    return make_error(errc::store_unavailable,
                      "no service of this store answers; the state of a cluster is what one of its "
                      "nodes says, which `fermata node --store "
                          + store->string() + "` starts");
  service_patience patience;
  patience.answer = std::chrono::seconds{90}; // it has 60 s itself
  const auto text = ask_service(**socket, request, max_answer_bytes, patience);
  return text ? parse_json(*text) : text.error();
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string slots_of(const node_status& of) {
  return ", " + std::to_string(of.slots) + " slots of sessions" + (of.draining ? ", draining" : "");
}

/// How many slots of a shared store the nodes that answer serve together.
std::size_t slots_of(const shown_cluster& cluster) {
  std::size_t sum = 0;
  for (const auto& one : cluster.members)
    sum += one.status ? one.status->slots : 0;
  return sum;
}

void show(console& out, const shown_cluster& cluster) {
  out.say("Cluster " + cluster.cluster.str() + ", version " + std::to_string(cluster.version)
          + " of its members, as node " + cluster.name.str()
          + " sees it (sessions in memory, commands under way):");
  if (!cluster.store.empty())
    out.say("Its nodes share the store " + cluster.store.str() + ".");
  std::size_t longest_name = 0;
  std::size_t longest_place = 0;
  const auto place = [](const shown_member& one) {
    return escape_line(one.host) + ":" + std::to_string(one.port);
  };
  for (const auto& one : cluster.members) {
    longest_name = std::max(longest_name, one.name.str().size());
    longest_place = std::max(longest_place, place(one).size());
  }
  for (const auto& one : cluster.members) {
    auto line =
        "  " + padded(one.name.str(), longest_name) + "  " + padded(place(one), longest_place)
        + "  "
        + out.painted(one.status ? paint::good : paint::bad, padded(escape_line(one.contact), 10));
    if (one.status)
      line += "  in memory " + std::to_string(one.status->resident) + ", under way "
              + std::to_string(one.status->under_way) + ", Fermata "
              + escape_line(one.status->software) + " since " + show_time(one.status->started_at)
              + (cluster.shares_store ? slots_of(*one.status) : "");
    else
      line += "  " + escape_line(one.reason);
    out.say(line);
  }
  if (const auto served = slots_of(cluster); cluster.shares_store && served != session_slots)
    out.say(out.painted(paint::bad, "Of " + std::to_string(session_slots)
                                        + " slots of sessions these nodes serve "
                                        + std::to_string(served)
                                        + ": for the others there is no node at the moment."));
}

} // namespace

result<exit_status> run_cluster_status(const arguments& given, console& out) {
  service_request request;
  request.target = "/v1/cluster";
  const auto value = ask_node(given, request);
  if (!value)
    return value.error();
  const auto cluster = from_json<shown_cluster>(*value, unknown_fields::keep);
  if (!cluster)
    return cluster.error();
  out.print(*value);
  if (!out.as_json())
    show(out, *cluster);
  const bool all_answer =
      std::all_of(cluster->members.begin(), cluster->members.end(),
                  [](const shown_member& one) { return one.status.has_value(); });
  const bool all_served = !cluster->shares_store || slots_of(*cluster) == session_slots;
  return all_answer && all_served ? exit_status::done : exit_status::attention;
}

result<exit_status> drain_node(const arguments& given, console& out) {
  service_request request;
  request.is_post = true;
  request.target = "/v1/cluster/drain";
  const auto value = ask_node(given, request);
  if (!value)
    return value.error();
  out.print(*value);
  out.say("The other nodes have its sessions now. It passes on what comes for them until it is "
          "stopped; started again, it gets its share.");
  return exit_status::done;
}

} // namespace fermata::command_line
