#include "membership.hpp"

#include "inputs.hpp"
#include "service_client.hpp"
#include "stores.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <vector>

namespace fermata::command_line {

namespace {

/// Of 64 members with long names and hosts, and some.
constexpr std::size_t max_file_bytes = 65'536;

constexpr std::size_t examples_shown = 5;

std::string names_of(const member_list& list) {
  std::string all;
  for (const auto& one : list.members)
    all += (all.empty() ? "" : ", ") + one.name.str();
  return all;
}

result<std::optional<tls_files>> read_tls_files(const arguments& given) {
  const std::array files{&given.certificate, &given.key, &given.authority};
  const auto count = std::count_if(files.begin(), files.end(),
                                   [](const std::string* file) { return !file->empty(); });
  if (count == 0)
    return std::optional<tls_files>{};
  if (count < 3)
    return make_error(errc::invalid_field, "--certificate, --key and --authority go together");
  tls_files made;
  made.certificate = given.certificate;
  made.key = given.key;
  made.authority = given.authority;
  return std::optional{std::move(made)};
}

/// What is wrong with the options of a node, in the words of the command.
caf::error as_option_error(const std::string& refusal) {
  using namespace std::string_view_literals;
  constexpr std::array prefixes{
      std::pair{"cluster_options::tls: "sv, "--certificate, --key, --authority: "sv},
      std::pair{"cluster_options::listen_address: "sv, "--listen-address: "sv},
      std::pair{"cluster_options::members: "sv, "--members: "sv},
      std::pair{"cluster_options::name: "sv, "--name: "sv}, std::pair{"cluster_options: "sv, ""sv}};
  constexpr std::array words{
      std::pair{"give it tls, or say trust_network"sv,
                "name --certificate, --key and --authority, or say --trust-network"sv}};
  auto text = refusal;
  for (const auto& [from, to] : prefixes)
    if (text.starts_with(from)) {
      text.replace(0, from.size(), to);
      break;
    }
  for (const auto& [from, to] : words)
    if (const auto at = text.find(from); at != std::string::npos)
      text.replace(at, from.size(), to);
  return make_error(errc::invalid_field, std::move(text));
}

/// The sessions that a command names, also by their calls and plans.
std::vector<session_id> sessions_of(const arguments& given) {
  std::vector<session_id> all;
  const auto add = [&](const std::string& text) {
    if (auto session = session_id::parse(text.substr(0, text.find(':'))))
      all.push_back(std::move(*session)); // whatever is none, the command itself refuses
  };
  add(given.session);
  add(given.id);
  for (const auto& one : given.ids)
    add(one);
  return all;
}

} // namespace

result<std::optional<membership>> read_membership(const std::filesystem::path& store) {
  const auto file = store / remembered_node;
  if (std::error_code ignored; !std::filesystem::exists(file, ignored))
    return std::optional<membership>{};
  const auto text = read_text(file.string(), max_file_bytes);
  if (!text)
    return text.error();
  const auto value = parse_json(*text);
  auto read = value ? from_json<membership>(*value, unknown_fields::keep)
                    : result<membership>{value.error()};
  if (!read)
    return make_error(code_of(read.error()), file.string() + ": " + message_of(read.error()));
  // Whoever looks for the home of a session counts on both.
  if (const auto error = check(read->members))
    return make_error(code_of(error), file.string() + ": members: " + message_of(error));
  if (find_member(read->members, read->name) == nullptr)
    return make_error(errc::invalid_field, file.string() + ": name: " + read->name.str()
                                               + " is no member; the members are "
                                               + names_of(read->members));
  return std::optional{std::move(*read)};
}

result<cluster_options> read_cluster_options(const arguments& given) {
  cluster_options made;
  const auto text = read_text(given.members, max_file_bytes);
  if (!text)
    return text.error();
  auto members = parse_member_list(*text);
  if (!members)
    return make_error(code_of(members.error()), given.members + ": " + message_of(members.error()));
  const auto name = node_name::parse(given.name);
  if (!name)
    return make_error(errc::invalid_field, "--name: " + message_of(name.error()));
  if (find_member(*members, *name) == nullptr)
    return make_error(errc::invalid_field, "--name " + given.name + ": no member of cluster "
                                               + members->cluster.str() + " has that name; "
                                               + given.members + " has " + names_of(*members));
  auto tls = read_tls_files(given);
  if (!tls)
    return std::move(tls.error());
  made.name = *name;
  made.members = std::move(*members);
  made.tls = std::move(*tls);
  made.trust_network = given.trust_network;
  made.listen_address = given.listen_address;
  if (const auto refused = check(made))
    return as_option_error(message_of(refused));
  return made;
}

caf::error check_store_of(const std::filesystem::path& store, const std::optional<membership>& as) {
  const auto known = read_membership(store);
  if (!known)
    return known.error();
  if (!*known)
    return caf::none;
  const auto refuse = [&](const std::string& why) {
    return make_error(errc::invalid_field, store.string() + " is the store of node "
                                               + (*known)->text() + why + "; what makes it so is "
                                               + (store / remembered_node).string());
  };
  if (!as)
    return refuse(", and a service alone would take sessions that live on other nodes; start it "
                  "with `fermata node`");
  if ((*known)->name != as->name || (*known)->members.cluster != as->members.cluster)
    return refuse(", and not of " + as->text()
                  + ": its sessions would not be found, and others begun beside them");
  if ((*known)->shares_store != as->shares_store)
    return refuse(as->shares_store ? ", with sessions of its own, and not in a database"
                                   : ", whose sessions are in a database");
  if (as->shares_store)
    return caf::none; // they live wherever there is a node
  auto names = [](const member_list& list) {
    std::vector<node_name> all;
    for (const auto& one : list.members)
      all.push_back(one.name);
    std::sort(all.begin(), all.end());
    return all;
  };
  if (names((*known)->members) != names(as->members))
    return refuse(" with the members " + names_of((*known)->members)
                  + ", and sessions live where these names say; with others, begin a new cluster");
  return caf::none;
}

caf::error check_sessions_of(store& of, const membership& as) {
  std::string examples;
  std::size_t count = 0;
  for (std::optional<session_number> after = 0; after;) {
    const auto some = query_session_page(of, std::nullopt, *after);
    if (!some)
      return some.error();
    if (!some->damaged.empty())
      return make_error(errc::store_corrupt,
                        "whose session it is cannot be told: " + some->damaged.front());
    after = some->next;
    for (const auto& one : some->sessions) {
      if (as.is_home_of(one.session))
        continue;
      if (++count <= examples_shown)
        examples += (count == 1 ? "" : ", ") + one.session.str() + " (of "
                    + home_of(as.members, one.session).name.str() + ")";
    }
  }
  if (count == 0)
    return caf::none;
  return make_error(errc::invalid_field,
                    "the store has " + std::to_string(count) + " session" + (count == 1 ? "" : "s")
                        + " that would live on other nodes, where nobody "
                        + "would find what is here: " + examples
                        + (count > examples_shown ? ", ..." : "")
                        + "; `fermata export` each, `fermata import` it into the store of that "
                          "node, and `fermata delete` it here, or begin with an empty store");
}

caf::error check_home(const std::filesystem::path& store, const std::optional<membership>& of,
                      const session_id& session, const char* why_not_here) {
  if (!of || of->is_home_of(session))
    return caf::none;
  const auto& home = home_of(of->members, session);
  return make_error(errc::invalid_field, "session " + session.str() + " lives on node "
                                             + home.name.str() + " (" + home.host + "), and "
                                             + store.string() + " is the store of node "
                                             + of->text() + why_not_here + "; name the store of "
                                             + home.name.str() + " there");
}

caf::error check_homes(const std::filesystem::path& store, const std::optional<membership>& of,
                       const arguments& given) {
  for (const auto& one : sessions_of(given))
    if (auto error = check_home(store, of, one))
      return error;
  return caf::none;
}

caf::error check_homes(const arguments& given) {
  if (sessions_of(given).empty())
    return caf::none;
  const auto store = locate_store(given.store);
  if (!store)
    return caf::none; // which the command itself says
  const auto here = read_membership(*store);
  if (!here)
    return here.error();
  const bool is_export = given.command == "export";
  for (const auto& one : sessions_of(given))
    if (auto error = check_home(*store, *here, one, is_export ? "" : node_is_down)) {
      // The node that runs on it answers for all; an export is of a store.
      const auto node = is_export ? result<std::optional<std::filesystem::path>>{std::nullopt}
                                  : find_service(*store);
      if (!node)
        return node.error();
      if (!*node)
        return error;
    }
  return caf::none;
}

} // namespace fermata::command_line
