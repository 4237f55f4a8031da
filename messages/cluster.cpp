#include <fermata/messages/cluster.hpp>

#include <algorithm>
#include <cassert>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

namespace fermata {

namespace {

/// FNV-1a (Fowler, Noll, Vo) of `<name> NUL <session>`, then the last steps of SplitMix64 (Steele,
/// Lea, Flood, 2014), as FNV alone leaves the upper bits of short texts alike. Part of what nodes
/// agree on: it never changes.
std::uint64_t weight(std::string_view name, std::string_view session) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  const auto add = [&](unsigned char byte) { hash = (hash ^ byte) * 0x100000001B3u; };
  for (const char byte : name)
    add(static_cast<unsigned char>(byte));
  add(0);
  for (const char byte : session)
    add(static_cast<unsigned char>(byte));
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
  return hash ^ (hash >> 31);
}

std::string address_of(const cluster_member& member) {
  return member.host + ":" + std::to_string(member.port);
}

/// For a person, where it comes from another node.
std::string shown(const cluster_member& member) {
  const auto address = address_of(member);
  const auto is_plain = [](unsigned char c) { return std::isgraph(c) != 0; };
  return std::all_of(address.begin(), address.end(), is_plain) ? address : quoted_excerpt(address);
}

caf::error check_member(const cluster_member& member) {
  if (auto error = check_id("node name", member.name.str()))
    return error;
  if (member.host.empty() || member.host.size() > 253)
    return make_error(errc::invalid_field, "member " + member.name.str()
                                               + ": host is a name or an address of 1 to 253 "
                                                 "characters");
  if (member.port == 0)
    return make_error(errc::invalid_field, "member " + member.name.str() + ": port is 1 to 65535");
  return caf::none;
}

} // namespace

result<member_list> parse_member_list(std::string_view text) {
  const auto document = parse_json(text);
  if (!document)
    return document.error();
  auto list = from_json<member_list>(*document);
  if (!list)
    return list;
  if (auto error = check(*list))
    return error;
  return list;
}

caf::error check(const member_list& list) {
  if (auto error = check_id("node name", list.cluster.str()))
    return make_error(code_of(error), "cluster: " + message_of(error));
  if (list.version == 0)
    return make_error(errc::invalid_field, "version is 1 or more");
  if (list.members.empty())
    return make_error(errc::invalid_field, "members is empty; a cluster has one member or more");
  if (auto error =
          check_limit("member_list::max_members", list.members.size(), member_list::max_members))
    return error;
  std::set<node_name> names;
  std::map<std::string, node_name> addresses;
  for (const auto& member : list.members) {
    if (auto error = check_member(member))
      return error;
    if (!names.insert(member.name).second)
      return make_error(errc::invalid_field, "two members are called " + member.name.str());
    const auto [other, added] = addresses.emplace(address_of(member), member.name);
    if (!added)
      return make_error(errc::invalid_field, "the members " + other->second.str() + " and "
                                                 + member.name.str() + " have one address, "
                                                 + address_of(member));
  }
  return caf::none;
}

const cluster_member* find_member(const member_list& list, const node_name& name) {
  const auto found = std::find_if(list.members.begin(), list.members.end(),
                                  [&](const auto& one) { return one.name == name; });
  return found == list.members.end() ? nullptr : &*found;
}

std::string difference(const member_list& mine, const member_list& theirs) {
  std::string said;
  const auto say = [&](const std::string& what) { said += (said.empty() ? "" : "; ") + what; };
  if (mine.cluster != theirs.cluster)
    say("the cluster is " + mine.cluster.str() + " here, and " + theirs.cluster.str() + " there");
  if (mine.version != theirs.version)
    say("the list has version " + std::to_string(mine.version) + " here, and "
        + std::to_string(theirs.version) + " there");
  for (const auto& member : mine.members) {
    const auto* other = find_member(theirs, member.name);
    if (other == nullptr)
      say("member " + member.name.str() + " is only here");
    else if (*other != member)
      say("member " + member.name.str() + " is at " + address_of(member) + " here, and at "
          + shown(*other) + " there");
  }
  for (const auto& member : theirs.members)
    if (find_member(mine, member.name) == nullptr)
      say("member " + member.name.str() + " is only there");
  return said;
}

const cluster_member& home_of(const member_list& list, const session_id& session) {
  assert(!list.members.empty());
  const cluster_member* home = nullptr;
  std::uint64_t greatest = 0;
  for (const auto& member : list.members) {
    const auto found = weight(member.name.str(), session.str());
    // Of two that are equal the name decides, and not the order of the list.
    if (home == nullptr || std::tie(found, member.name) > std::tie(greatest, home->name)) {
      home = &member;
      greatest = found;
    }
  }
  return *home;
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<cluster_member>;
template struct struct_codec<member_list>;
template struct struct_codec<node_hello>;
template struct struct_codec<node_status>;
template struct struct_codec<next_piece>;
template struct struct_codec<pending_query>;
template struct struct_codec<pending_list>;

} // namespace fermata::detail
