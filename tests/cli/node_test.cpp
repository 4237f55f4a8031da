// `fermata node` as processes: three of them on loopback ports, and what any of them answers.
#include "../cluster/certificates.hpp"
#include "node_support.hpp"

#include <fermata/messages/cluster.hpp>

#include <fermata_catch.hpp>
#include <gateway.hpp>
#include <membership.hpp>
#include <records.hpp>
#include <stores.hpp>

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

namespace node_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Three nodes that reach each other.
class three_nodes {
public:
  three_nodes() {
    for (const auto* name : names)
      nodes_.push_back(std::make_unique<node_process>(name, members));
    for (const auto& one : nodes_)
      one->start();
    wait_for_all();
  }

  node_process& operator[](std::size_t place) { return *nodes_.at(place); }
  [[nodiscard]] static constexpr std::size_t size() { return 3; }

  /// A session that lives on a node.
  [[nodiscard]] std::string session_on(std::size_t place, int which = 0) const {
    for (int number = 0;; ++number) {
      auto id = "s" + std::to_string(number);
      if (home_of(members, session_id::parse(id).value()).name.str() == names[place]
          && which-- == 0)
        return id;
    }
  }

  /// Until each node has heard of each.
  void wait_for_all() {
    for (const auto& one : nodes_)
      REQUIRE(eventually([&] {
        const auto all = one->get("/v1/cluster").value().at("members");
        return std::all_of(all.begin(), all.end(),
                           [](const json& member) { return member.at("status").is_object(); });
      }));
  }

  static constexpr std::array<const char*, 3> names{"lima", "paris", "tokyo"};
  member_list members = members_named({"lima", "paris", "tokyo"});

private:
  std::vector<std::unique_ptr<node_process>> nodes_;
};

/// The first id that lives on a node.
std::string session_of(const member_list& members, std::string_view node) {
  for (int number = 0;; ++number)
    if (auto id = "s" + std::to_string(number);
        home_of(members, session_id::parse(id).value()).name.str() == node)
      return id;
}

/// Makes a store that of a node.
void assign(const sandbox& box, const std::string& node, const member_list& members) {
  const command_line::membership made{node_named(node), members};
  std::ofstream{box.store() / command_line::remembered_node} << to_text(to_json(made));
}

/// Paris, whose host is asked and does not answer until it is let go.
class held_peer {
public:
  explicit held_peer(const member_list& members) {
    cluster_options net;
    net.name = node_named("paris");
    net.members = members;
    net.request_threads = 4;
    net.on_request = [this](const std::string&) { return hold(); };
    runtime_options options;
    options.store = lmdb_store::open(folder_.path() / "store").value();
    node_ = std::make_unique<cluster_node>(std::move(net), std::move(options));
    REQUIRE_FALSE(node_->start());
  }
  ~held_peer() { let_go(); }
  held_peer(const held_peer&) = delete;
  held_peer& operator=(const held_peer&) = delete;

  /// Until it is asked once more.
  [[nodiscard]] bool wait_for_question() {
    std::unique_lock lock{mutex_};
    const bool came = changed_.wait_for(lock, 120s, [&] { return asked_ > seen_; });
    seen_ = asked_;
    return came;
  }
  void let_go() {
    const std::lock_guard lock{mutex_};
    held_ = false;
    changed_.notify_all();
  }

private:
  result<std::string> hold() {
    std::unique_lock lock{mutex_};
    ++asked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    return make_error(errc::internal, "it was held");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = true;
  int asked_ = 0;
  int seen_ = 0;
  temporary_directory folder_;
  std::unique_ptr<cluster_node> node_;
};

/// Lima, with a server in this process, once it is connected with paris.
class lone_server {
public:
  lone_server(const member_list& members, service::server_options options) {
    cluster_options net;
    net.name = node_named("lima");
    net.members = members;
    net.on_request = [this](const std::string& question) { return others_.answer(question); };
    runtime_options made;
    made.store = lmdb_store::open(folder_.path() / "store").value();
    store_ = made.store;
    node_ = std::make_unique<cluster_node>(std::move(net), std::move(made));
    others_.begin(*node_, *store_);
    options.socket = folder_.path() / "socket";
    auto bound = service::server::bind(node_->local(), live_, std::move(options), &others_);
    REQUIRE(bound);
    server_ = std::move(*bound);
    REQUIRE_FALSE(node_->start());
    server_->start();
    REQUIRE(eventually([&] {
      const auto peers = node_->peers();
      return !peers.empty() && peers.front().state == contact_state::connected;
    }));
  }

  [[nodiscard]] http_client client() const { return http_client{folder_.path() / "socket"}; }
  [[nodiscard]] std::size_t connections() const { return server_->connections(); }

private:
  temporary_directory folder_;
  service::live_board live_;
  service::cluster_side others_{redactor{}};
  std::shared_ptr<store> store_;
  std::unique_ptr<cluster_node> node_;
  std::unique_ptr<service::server> server_;
};

const json& member_of(const json& cluster, std::string_view name) {
  for (const auto& one : cluster.at("members"))
    if (one.at("name") == name)
      return one;
  throw std::runtime_error{"there is no such member"};
}

/// The ids of chunks, with the names of all other events.
std::string contents(const std::vector<streamed_event>& events) {
  std::string all;
  for (const auto& one : events)
    all += (one.id ? std::to_string(*one.id) : one.name) + " ";
  return all;
}

/// All items of a list, over pages of a size.
std::vector<json> all_pages(const node_process& at, const std::string& name, int size) {
  std::vector<json> items;
  std::string after;
  for (int pages = 0; pages < 100; ++pages) {
    const auto page = at.get("/v1/" + name + "?limit=" + std::to_string(size) + after).value();
    CHECK(page.at("missing").empty());
    CHECK(page.at(name).size() <= static_cast<std::size_t>(size));
    for (const auto& one : page.at(name))
      items.push_back(one);
    if (!page.contains("next"))
      return items;
    after = "&after=" + page.at("next").get<std::string>();
  }
  throw std::runtime_error{"a list without an end"};
}

} // namespace

TEST_CASE("any node takes any command, and shows what follows as the session's own does") {
  three_nodes all;
  for (std::size_t home = 0; home < all.size(); ++home) {
    const auto id = all.session_on(home);
    CAPTURE(id, all.names[home]);
    const auto& other = all[(home + 1) % all.size()];
    const auto& third = all[(home + 2) % all.size()];
    const auto proposed = other.client().call("POST", commands_of(id), proposal());
    REQUIRE(proposed.status == 200);
    CHECK(contents(parse_events(proposed.body)) == "receipt 1 2 3 paused ");
    CHECK(parse_events(proposed.body).back().data.at("pending").at(0).at("id") == id + ":p1");
    const auto approved = third.client().call("POST", commands_of(id), approval_of_plan());
    const auto begun = parse_events(approved.body);
    CHECK(begun.front().name == "receipt");
    CHECK(begun.at(1).id == 4);
    CHECK(begun.back().data.at("status").at("state") == "waiting");
    auto client = other.client();
    tell(client, id, approval_of_call(id + ":c1"));
    const auto ended =
        parse_events(third.client().call("POST", commands_of(id), result_of(id + ":c1", 1)).body);
    CHECK(ended.back().data.at("status").at("state") == "completed");
    // Again: a duplicate, which shows nothing but where it stands.
    const auto again = other.client().call("POST", commands_of(id), result_of(id + ":c1", 1));
    CHECK(contents(parse_events(again.body)) == "receipt paused ");
    const auto woken = third.client().call("POST", "/v1/sessions/" + id + "/wake");
    CHECK(contents(parse_events(woken.body)) == "receipt paused ");
  }
}

TEST_CASE("any node answers any question about a session as its own does, errors too") {
  three_nodes all;
  const auto id = all.session_on(1);
  auto client = all[0].client();
  tell(client, id, proposal(2));
  tell(client, id, approval_of_plan());
  for (const auto* path : {"", "/plan", "/plan?revision=1", "/plan?revision=9", "/plan?revision=x",
                           "/plan/diff", "/transcript", "/remembered", "/history?limit=1", "/audit",
                           "/audit?after=1-0", "/audit?after=x", "/pending", "/pending?limit=1",
                           "/chunks?first=2&limit=3", "/stream?first=1000", "?wrong=1"}) {
    const auto target = "/v1/sessions/" + id + path;
    CAPTURE(target);
    const auto here = all[1].get(target);
    for (const auto place : {0, 2}) {
      const auto there = all[static_cast<std::size_t>(place)].get(target);
      CHECK(there.status == here.status);
      CHECK(there.body == here.body);
      CHECK(there.header("content-type") == here.header("content-type"));
    }
  }
  const auto unknown = "/v1/sessions/" + all.session_on(1, 7);
  CHECK(all[1].get(unknown).status == 404);
  CHECK(all[0].get(unknown).body == all[1].get(unknown).body);
}

TEST_CASE("lists have what all nodes have, each thing once, page by page at any node") {
  three_nodes all;
  std::vector<std::string> in_order;
  auto client = all[0].client();
  for (std::size_t home = 0; home < all.size(); ++home)
    for (const int which : {0, 1}) {
      in_order.push_back(all.session_on(home, which));
      tell(client, in_order.back(), proposal());
    }
  for (const int size : {1, 2, 5, 100}) {
    CAPTURE(size);
    for (std::size_t place = 0; place < all.size(); ++place) {
      std::vector<std::string> sessions;
      for (const auto& one : all_pages(all[place], "sessions", size))
        sessions.push_back(one.at("session"));
      CHECK(sessions == in_order);
    }
    std::vector<std::string> waiting;
    for (const auto& one : all_pages(all[2], "pending", size))
      waiting.push_back(one.at("session"));
    CHECK(waiting == in_order);
  }
  tell(client, in_order.at(3), approval_of_plan());
  const auto decided = all[2].get("/v1/audit").value().at("audit");
  REQUIRE(decided.size() == 1);
  CHECK(decided.at(0).at("session") == in_order.at(3));
  const auto moved = all[0].get("/v1/sessions?state=waiting").value().at("sessions");
  REQUIRE(moved.size() == 1);
  CHECK(moved.at(0).at("session") == in_order.at(3));
  CHECK(all[0].get("/v1/sessions?state=planning").value().at("sessions").empty());
  for (const auto* bad : {"?state=asleep", "?limit=0", "?after=s1", "?after=rome:", "?wrong=1"}) {
    CAPTURE(bad);
    CHECK(all[0].get(std::string{"/v1/sessions"} + bad).status == 400);
  }
  CHECK(all[0].get("/v1/pending?after=tokyo:x").error() == "invalid_field");
}

TEST_CASE("a node that is killed is missing, its streams end, and all goes on when it is back") {
  three_nodes all;
  const auto id = all.session_on(2);
  auto client = all[0].client();
  tell(client, id, proposal());
  auto follower = all[0].client();
  follower.request("GET", "/v1/sessions/" + id + "/stream");
  REQUIRE(follower.receive_header().status == 200);
  std::uint64_t last = 0;
  while (last < 3)
    last = follower.next_event().value().id.value();

  all[2].kill();
  const auto rest = follower.all_events();
  REQUIRE_FALSE(rest.empty());
  CHECK(contents(rest) == "error ");
  CHECK(rest.back().data.at("error") == "node_unavailable");
  CHECK(follower.ended_well());
  const auto refused = all[1].get("/v1/sessions/" + id);
  CHECK(refused.status == 503);
  CHECK(refused.error() == "node_unavailable");
  const auto command = client.call("POST", commands_of(id), approval_of_plan());
  CHECK(command.status == 503);
  CHECK(command.error() == "node_unavailable");
  CHECK(client.call("POST", commands_of(id), approval_of_plan(), wants_receipt).error()
        == "node_unavailable");
  for (const auto* list : {"/v1/sessions", "/v1/pending", "/v1/audit"}) {
    const auto missing = all[1].get(list).value().at("missing");
    REQUIRE(missing.size() == 1);
    CHECK(missing.at(0).at("node") == "tokyo");
    CHECK(contains(missing.at(0).at("reason"), "node tokyo"));
  }
  const auto status = all[0].box.run({"cluster", "status"});
  CHECK(status.status == 1);
  CHECK(member_of(status.last(), "tokyo").at("contact") == "apart");
  CHECK(member_of(status.last(), "tokyo").at("status").is_null());
  CHECK(member_of(status.last(), "lima").at("contact") == "here");
  CHECK(contains(all[0].get("/metrics").body, "\nfermata_cluster_peers{state=\"apart\"} 1\n"));
  CHECK(contains(all[0].get("/metrics").body, "\nfermata_cluster_contacts_lost_total 1\n"));

  all[2].start();
  all.wait_for_all();
  auto again = all[0].client();
  again.request("GET", "/v1/sessions/" + id + "/stream", {},
                {{"Last-Event-ID", std::to_string(last)}});
  REQUIRE(again.receive_header().status == 200);
  tell(client, id, approval_of_plan());
  for (const auto end = last + 2; last < end;)
    CHECK(again.next_event().value().id == ++last);
  CHECK(all[0].box.run({"cluster", "status"}).status == 0);
  all[0].process().signal(SIGTERM);
  CHECK(all[0].process().wait() == 0);
  CHECK(contains(all[0].process().error_output(), R"("node":"tokyo","port":)"
                                                      + std::to_string(all.members.members[2].port)
                                                      + R"(,"reason":)"));
}

TEST_CASE("a node that stops ends its streams of sessions elsewhere with shutting_down") {
  three_nodes all;
  const auto id = all.session_on(1);
  auto client = all[0].client();
  tell(client, id, proposal());
  client.request("GET", "/v1/sessions/" + id + "/stream");
  REQUIRE(client.receive_header().status == 200);
  CHECK(client.next_event().value().id == 1);
  all[0].process().signal(SIGTERM);
  const auto rest = client.all_events();
  REQUIRE_FALSE(rest.empty());
  CHECK(rest.back().name == "error");
  CHECK(rest.back().data.at("error") == "shutting_down");
  CHECK(client.ended_well());
  CHECK(all[0].process().wait() == 0);
  CHECK_FALSE(std::filesystem::exists(all[0].box.store() / "service.json"));
}

TEST_CASE("a node says which it is, what it stands for and how it is with the others") {
  three_nodes all;
  CHECK(contains(all[1].process().output(), R"("node":{"cluster":"market","host":"127.0.0.1",)"
                                            R"("name":"paris","port":)"
                                                + std::to_string(all.members.members[1].port)));
  const auto shown = all[1].get("/v1/cluster").value();
  CHECK(shown.at("name") == "paris");
  CHECK(shown.at("cluster") == "market");
  CHECK(shown.at("version") == 1);
  CHECK(member_of(shown, "lima").at("contact") == "connected");
  CHECK(member_of(shown, "lima").at("status").at("resident") == 0);
  auto client = all[1].client();
  tell(client, all.session_on(0), proposal());
  CHECK(member_of(all[2].get("/v1/cluster").value(), "lima").at("status").at("resident") == 1);
  const auto metrics = all[1].get("/metrics").body;
  CHECK(contains(metrics, "\nfermata_node_info{name=\"paris\",cluster=\"market\"} 1\n"));
  CHECK(contains(metrics, "\nfermata_cluster_peers{state=\"connected\"} 2\n"));
  CHECK(contains(metrics, "\nfermata_cluster_commands_total 1\n"));
  CHECK(contains(metrics, "\nfermata_build_info"));
  const auto table = all[1].box.run_plainly({"cluster", "status"});
  CHECK(table.status == 0);
  CHECK(contains(table.out, "Cluster market, version 1 of its members, as node paris sees it "));
  CHECK(contains(table.out, "lima   127.0.0.1:" + std::to_string(all.members.members[0].port)
                                + "  connected   in memory 1, under way 0, Fermata "));
}

TEST_CASE("a command on any node's store is for any session, and prints what its own would") {
  three_nodes all;
  const auto id = all.session_on(1);
  const auto& here = all[1].box;
  const auto& there = all[0].box;
  const auto plan = there.write("plan.json", seed_plan());
  const auto proposed = there.run({"run", plan, "--session", id});
  REQUIRE(proposed.status == 3);
  CHECK(proposed.lines.size() == 6);
  CHECK(proposed.last() == here.run({"status", id}).last());
  CHECK(there.run({"approve", id + ":p1"}).status == 3);
  CHECK(there.run({"approve", id + ":c1", "--digest", "other"}).status == 2);
  CHECK(there.run({"approve", id + ":c1", "--remember", "call"}).status == 3);
  CHECK(there.run({"watch", id, "--until-paused"}).lines
        == here.run({"watch", id, "--until-paused"}).lines);
  CHECK(there.run({"result", id + ":c1", "7"}).last().at("state") == "completed");
  for (const auto* query :
       {"status", "plan", "events", "transcript", "history", "audit", "pending", "remembered"}) {
    CAPTURE(query);
    const auto far = there.run({query, id});
    CHECK(far.status == 0);
    CHECK(far.lines == here.run({query, id}).lines);
    CHECK(there.run_plainly({query, id}).out == here.run_plainly({query, id}).out);
  }
  CHECK(there.run({"events", id, "--from", "5"}).lines
        == here.run({"events", id, "--from", "5"}).lines);
  CHECK(there.run({"plan", id, "--diff"}).lines == here.run({"plan", id, "--diff"}).lines);
  CHECK(there.run({"status", all.session_on(1, 5)}).error().at("error") == "unknown_session");
  CHECK(there.run({"export", id}).status == 2);
  const auto trimmed = there.run({"trim", id, "--keep", "3"}).last().at("trimmed");
  CHECK(trimmed.at("events") == here.run({"status", id}).last().at("events"));
  CHECK(there.run({"delete", id}).status == 0);
  CHECK(here.run({"status", id}).error().at("error") == "unknown_session");
}

TEST_CASE("lists of a command on a node's store are of all nodes, and say which are missing") {
  three_nodes all;
  const auto plan = all[0].box.write("plan.json", seed_plan());
  std::vector<std::string> ids;
  for (std::size_t home = 0; home < all.size(); ++home) {
    ids.push_back(all.session_on(home));
    REQUIRE(all[0].box.run({"run", plan, "--session", ids.back()}).status == 3);
  }
  for (int i = 0; i < 4; ++i) { // one without a name lives where it is begun
    const auto begun = all[0].box.run({"run", plan});
    REQUIRE(begun.status == 3);
    const auto id = session_id::parse(begun.last().at("session").get<std::string>()).value();
    CHECK(home_of(all.members, id).name.str() == "lima");
  }
  for (const auto* list : {"sessions", "pending"}) {
    CAPTURE(list);
    const auto lines = all[1].box.run({list}).lines;
    CHECK(lines.size() == 7);
    for (const auto& id : ids)
      CHECK(std::count_if(lines.begin(), lines.end(),
                          [&](const json& one) { return one.at("session") == id; })
            == 1);
  }
  CHECK(all[2].box.run({"pending", "--limit", "2"}).lines.size() == 2);
  CHECK(contains(all[2].box.run_plainly({"pending"}).out, "approve " + ids[0] + ":p1"));
  REQUIRE(all[2].box.run({"approve", ids[0] + ":p1"}).status == 3);
  CHECK(all[1].box.run({"audit"}).lines.size() == 1);
  CHECK(all[1].box.run({"sessions", "--state", "waiting"}).lines.size() == 1);

  all[2].kill();
  const auto rest = all[0].box.run({"pending"});
  CHECK(rest.status == 1);
  CHECK(rest.lines.size() == 7);
  CHECK(rest.last().at("missing").at("node") == "tokyo");
  CHECK(contains(all[0].box.run_plainly({"sessions"}).out, "Missing is what node tokyo has: "));
  for (const auto& id : {ids[0], ids[1]})
    REQUIRE(all[1].box.run({"cancel", id}).status == 0);
  all[0].kill();
  const auto nothing = all[1].box.run_plainly({"pending"});
  CHECK(nothing.status == 1);
  CHECK_FALSE(contains(nothing.out, "Nothing waits for anybody."));
  all[0].start();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"status", ids[2]}, {"approve", ids[2] + ":p1"}, {"run", plan, "--session", ids[2]}}) {
    CAPTURE(words.front());
    const auto refused = all[0].box.run(words);
    CHECK(refused.status == 4);
    CHECK(refused.error().at("error") == "node_unavailable");
  }
}

TEST_CASE(
    "without a node that runs on it, a store is for its own sessions, and says where others are") {
  const auto members = members_named({"lima", "paris"});
  node_process lima{"lima", members};
  lima.start();
  lima.process().signal(SIGTERM);
  CHECK(lima.process().wait() == 0);
  const auto there = session_of(members, "paris");
  const auto plan = lima.box.write("plan.json", seed_plan());
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"status", there},
                                             {"run", plan, "--session", there},
                                             {"approve", there + ":p1"},
                                             {"result", there + ":c1", "1"},
                                             {"delete", there},
                                             {"watch", there}}) {
    CAPTURE(words.front());
    const auto refused = lima.box.run(words);
    CHECK(refused.status == 2);
    CHECK(contains(refused.error().at("message"), "session " + there + " lives on node paris"));
  }
  CHECK(lima.box.run({"sessions"}).lines.empty());
  const auto begun = lima.box.run({"run", plan});
  REQUIRE(begun.status == 3);
  CHECK(home_of(members, session_id::parse(begun.last().at("session").get<std::string>()).value())
            .name.str()
        == "lima");
}

TEST_CASE("a node that stops once a command has begun leaves no session to its store") {
  const auto members = members_named({"lima", "paris"});
  const sandbox box;
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan())}).status == 3);
  assign(box, "lima", members);
  const auto there = session_id::parse(session_of(members, "paris")).value();
  const auto says_where = [&](const caf::error& refused) {
    return contains(message_of(refused), "session " + there.str() + " lives on node paris");
  };
  {
    const auto own = command_line::open_store(box.store(), command_line::store_purpose::query);
    const auto looked = command_line::choose_records(box.store(), there, own);
    REQUIRE_FALSE(looked);
    CHECK(says_where(looked.error()));
    CHECK(command_line::choose_records(box.store(), std::nullopt, own));
  }

  command_line::console out{true};
  command_line::gateway_options options;
  options.owner.store = box.store();
  command_line::arguments given;
  given.command = "approve";
  given.ids = {there.str() + ":p1"};
  const auto opened = command_line::gateway::open(options, given, out);
  REQUIRE_FALSE(opened);
  CHECK(says_where(opened.error()));
  given.ids = {session_of(members, "lima") + ":p1"};
  CHECK(command_line::gateway::open(options, given, out));
}

TEST_CASE("a node does not start on a store that has sessions of other nodes, and says which") {
  const auto members = members_named({"lima", "paris"});
  node_process lima{"lima", members};
  const auto there = session_of(members, "paris");
  const auto plan = lima.box.write("plan.json", seed_plan());
  REQUIRE(lima.box.run({"run", plan, "--session", there}).status == 3);
  REQUIRE(lima.box.run({"run", plan, "--session", session_of(members, "lima")}).status == 3);
  const auto refused = lima.box.run({"node", "--members", lima.members_file(), "--name", "lima"});
  CHECK(refused.status == 2);
  CHECK(contains(refused.error().at("message"), "the store has 1 session that would live"));
  CHECK(contains(refused.error().at("message"), there + " (of paris); `fermata export`"));
  CHECK(lima.box.run({"status", there}).status == 0);
  CHECK_FALSE(std::filesystem::exists(lima.box.store() / "node.json"));
  CHECK(lima.box.run({"cancel", there}).status == 0);
  CHECK(lima.box.run({"delete", there}).status == 0);
  lima.start();
  CHECK(lima.get("/v1/sessions").value().at("sessions").size() == 1);
}

TEST_CASE("a session is not imported into the store of a node that it would not live on") {
  const auto members = members_named({"lima", "paris"});
  const auto there = session_of(members, "paris");
  const sandbox from;
  REQUIRE(from.run({"run", "-", "--session", there}, seed_plan()).status == 3);
  const auto file = (from.workspace() / "exported").string();
  REQUIRE(from.run({"export", there, "--out", file}).status == 0);
  for (const auto* name : {"lima", "paris"}) {
    CAPTURE(name);
    node_process into{name, members};
    into.start();
    into.kill();
    const auto imported = into.box.run({"import", file});
    const bool lives_there = std::string_view{name} == "paris";
    CHECK(imported.status == (lives_there ? 0 : 2));
    CHECK(into.box.run({"sessions"}).lines.size() == (lives_there ? 1 : 0));
    if (!lives_there)
      CHECK(contains(imported.error().at("message"), "lives on node paris"));
  }
}

TEST_CASE("a node.json that names no node is refused by whoever reads it") {
  const auto members = members_named({"lima", "paris"});
  const sandbox box;
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan())}).status == 3);
  const auto refusal = [&] {
    const auto ended = box.run({"sessions"});
    CHECK(ended.status == 2);
    return ended.error().at("message").get<std::string>();
  };
  assign(box, "rome", members);
  CHECK(contains(refusal(), "node.json: name: rome is no member; the members are lima, paris"));
  auto twice = members;
  twice.members[1].name = node_named("lima");
  assign(box, "lima", twice);
  CHECK(contains(refusal(), "node.json: members: "));
}

TEST_CASE("a store belongs to its node: no other one, and no service alone, starts on it") {
  const auto members = members_named({"lima", "paris"});
  node_process lima{"lima", members};
  lima.start();
  lima.process().signal(SIGTERM);
  CHECK(lima.process().wait() == 0);
  const auto refused = [&](std::vector<std::string> words) {
    const auto ended = lima.box.run(std::move(words));
    CHECK(ended.status == 2);
    return ended.error().at("message").get<std::string>();
  };
  CHECK(contains(refused({"node", "--members", lima.members_file(), "--name", "paris"}),
                 "is the store of node lima of cluster market, and not of paris"));
  CHECK(contains(refused({"serve"}), "start it with `fermata node`"));
  auto more = members;
  more.members.emplace_back(node_named("rome"), "127.0.0.1", free_port());
  const auto longer = lima.box.write("longer.json", to_text(to_json(more)));
  CHECK(contains(refused({"node", "--members", longer, "--name", "lima"}),
                 "with the members lima, paris"));
  auto moved = members;
  moved.version = 2;
  moved.members[1].port = free_port();
  node_process again{"lima", moved};
  std::filesystem::copy(lima.box.store(), again.box.store());
  again.start(); // another place for a member is another version, of the same cluster
}

TEST_CASE("a client that leaves, or has waited long enough, does not wait for another node") {
  const auto members = members_named({"lima", "paris"});
  held_peer paris{members};
  service::server_options options;
  SECTION("a question has a time") {
    options.node_timeout = 20ms;
    const lone_server lima{members, options};
    const auto id = session_of(members, "paris");
    const auto late = lima.client().call("GET", "/v1/sessions/" + id);
    CHECK(late.status == 504);
    CHECK(contains(late.body, "timed_out"));
    const auto list = lima.client().call("GET", "/v1/sessions").value();
    CHECK(list.at("missing").at(0).at("node") == "paris");
    CHECK(contains(list.at("missing").at(0).at("reason"), "has not answered"));
  }
  SECTION("and a client is free to go") {
    options.node_timeout = 24h;
    lone_server lima{members, options};
    for (const auto* target : {"/v1/sessions", "/v1/pending?limit=1"}) {
      CAPTURE(target);
      {
        auto client = lima.client();
        client.request("GET", target);
        REQUIRE(paris.wait_for_question());
      }
      CHECK(eventually([&] { return lima.connections() == 0; }));
    }
  }
  paris.let_go();
}

TEST_CASE("nodes with certificates of one authority reach each other, and no other node them") {
  const temporary_directory folder;
  const authority ours{"ours"};
  const authority theirs{"theirs"};
  const auto options = [&](const authority& by, const std::string& name) {
    const auto files = by.issue(folder, name);
    return std::vector<std::string>{"--certificate", files.certificate.string(),
                                    "--key",         files.key.string(),
                                    "--authority",   files.authority.string()};
  };
  const auto members = members_named({"lima", "paris", "tokyo"});
  node_process lima{"lima", members};
  node_process paris{"paris", members};
  node_process tokyo{"tokyo", members};
  lima.start(options(ours, "lima"));
  paris.start(options(ours, "paris"));
  tokyo.start(options(theirs, "tokyo"));
  const auto contact = [](const node_process& of, std::string_view with) {
    return member_of(of.get("/v1/cluster").value(), with).at("contact").get<std::string>();
  };
  const auto is_connected = [&] { return contact(lima, "paris") == "connected"; };
  CHECK(eventually(is_connected));
  // Not because one of them was not there yet.
  const auto refuses = [&](const node_process& one, std::string_view other) {
    const auto seen = member_of(one.get("/v1/cluster").value(), other);
    return seen.at("contact") == "apart"
           && contains(seen.at("reason"), "it ended the connection while it was made");
  };
  CHECK(eventually([&] { return refuses(tokyo, "lima"); }));
  CHECK(eventually([&] { return refuses(lima, "tokyo"); }));
  // On a busy machine both may connect at once, which ends both connections, and is tried again.
  CHECK(eventually(is_connected));
}

TEST_CASE("what no node can be made of is refused before there is a store") {
  const sandbox box;
  const temporary_directory folder;
  const authority ours{"ours"};
  const auto members = members_named({"lima", "paris"});
  const auto file = box.write("members.json", to_text(to_json(members)));
  auto far = members;
  far.members[1].host = "192.0.2.1";
  const auto far_file = box.write("far.json", to_text(to_json(far)));
  const auto good = ours.issue(folder, "lima");
  const auto old = ours.issue(folder, "old", -10s);
  const auto refusal = [&](std::vector<std::string> options) {
    options.insert(options.begin(), "node");
    const auto ended = box.run(std::move(options));
    CHECK(ended.status == 2);
    CHECK_FALSE(std::filesystem::exists(box.store()));
    return ended.error().at("message").get<std::string>();
  };
  CHECK(contains(refusal({"--name", "lima"}), "--members"));
  CHECK(contains(refusal({"--members", file}), "--name"));
  CHECK(contains(refusal({"--members", "none", "--name", "lima"}), "none: cannot be read"));
  CHECK(
      contains(refusal({"--members", box.write("bad", "{"), "--name", "lima"}), "not valid JSON"));
  CHECK(contains(refusal({"--members", box.write("empty", R"({"cluster": "x", "members": []})"),
                          "--name", "lima"}),
                 "empty: "));
  CHECK(contains(refusal({"--members", file, "--name", "rome"}), "members.json has lima, paris"));
  CHECK(contains(refusal({"--members", file, "--name", "/"}), "--name: "));
  CHECK(contains(refusal({"--members", far_file, "--name", "lima"}), "or say --trust-network"));
  CHECK(contains(refusal({"--members", file, "--name", "lima", "--listen-address", "192.0.2.1"}),
                 "--listen-address: 192.0.2.1 is no loopback address"));
  CHECK(contains(refusal({"--members", file, "--name", "lima", "--listen-address", "somewhere"}),
                 "--listen-address: \"somewhere\" is no IP address"));
  CHECK(contains(
      refusal({"--members", file, "--name", "lima", "--certificate", good.certificate.string()}),
      "go together"));
  CHECK(contains(
      refusal({"--members", far_file, "--name", "lima", "--certificate", old.certificate.string(),
               "--key", old.key.string(), "--authority", old.authority.string()}),
      "has expired"));
  CHECK(contains(refusal({"--members", file, "--name", "lima", "--approve", "all"}),
                 "node approves nothing by itself"));
}

TEST_CASE("a second node of a name cannot listen, and one with another list is refused by name") {
  const auto members = members_named({"lima", "paris"});
  node_process lima{"lima", members};
  lima.start();
  const sandbox elsewhere;
  const auto second = elsewhere.run({"node", "--members", lima.members_file(), "--name", "lima"});
  CHECK(second.status == 4);
  CHECK(second.error().at("error") == "cannot_listen");
  CHECK_FALSE(std::filesystem::exists(elsewhere.store() / "node.json"));
  auto others = members;
  others.version = 2;
  node_process paris{"paris", others};
  paris.start({"--log", (paris.box.workspace() / "log").string()});
  REQUIRE(eventually([&] {
    return member_of(paris.get("/v1/cluster").value(), "lima").at("contact") == "refused"
           && member_of(lima.get("/v1/cluster").value(), "paris").at("contact") == "refused";
  }));
  CHECK(contains(member_of(paris.get("/v1/cluster").value(), "lima").at("reason"),
                 "the member lists differ"));
  CHECK(paris.box.run({"cluster", "status"}).status == 1);
  CHECK(paris.get("/v1/sessions").value().at("missing").size() == 1);
  paris.process().signal(SIGTERM);
  CHECK(paris.process().wait() == 0);
  std::ostringstream log;
  log << std::ifstream{paris.box.workspace() / "log"}.rdbuf();
  CHECK(contains(log.str(), R"("event":"contact_changed")"));
  CHECK(contains(log.str(), R"("state":"refused")"));
  lima.process().signal(SIGTERM);
  CHECK(lima.process().wait() == 0);
  CHECK(contains(lima.process().error_output() + paris.process().error_output(),
                 R"({"refused":{"node":")"));
}

TEST_CASE("the status of a cluster is refused where no node runs, saying why") {
  const sandbox box;
  const auto nobody = box.run({"cluster", "status"});
  CHECK(nobody.status == 4);
  CHECK(nobody.error().at("error") == "store_unavailable");
  CHECK(contains(nobody.error().at("message"), "fermata node --store"));
  child service{box.invocation({"--json", "serve"})};
  REQUIRE(service.expect("\"serving\""));
  const auto alone = box.run({"cluster", "status"});
  CHECK(alone.status == 2);
  CHECK(contains(alone.error().at("message"), "is no node of a cluster"));
  CHECK_FALSE(http_client{box.store() / "service.sock"}
                  .call("GET", "/v1/sessions")
                  .value()
                  .contains("missing"));
}

} // namespace node_test
