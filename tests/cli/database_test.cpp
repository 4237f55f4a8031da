// Sessions in PostgreSQL, by the command: a service alone, and nodes that share them.
#include "../storage/postgres/postgres_server.hpp"
#include "node_support.hpp"

#include <fermata_catch.hpp>

#include <fstream>
#include <sys/stat.h>

namespace database_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A schema that nobody has used yet, as options of the command.
class new_schema {
public:
  new_schema() : options_{postgres_server::get().new_store()} {}
  ~new_schema() {
    postgres_server::get().sql("DROP SCHEMA IF EXISTS " + options_.schema + " CASCADE");
  }
  new_schema(const new_schema&) = delete;
  new_schema& operator=(const new_schema&) = delete;

  [[nodiscard]] const std::string& name() const { return options_.schema; }
  [[nodiscard]] std::vector<std::string> words() const {
    return {"--database", options_.connection, "--schema", options_.schema};
  }

private:
  postgres_options options_;
};

/// A service over a database, until it is ended.
class database_service {
public:
  database_service(const sandbox& box, std::vector<std::string> options) {
    options.insert(options.begin(), {"--json", "serve"});
    running_ = std::make_unique<child>(box.invocation(std::move(options)));
    if (!running_->expect("\"serving\""))
      throw std::runtime_error{"it does not serve: " + running_->error_output()};
  }
  int stop() {
    running_->signal(SIGTERM);
    return running_->wait();
  }
  [[nodiscard]] std::string error_output() const { return running_->error_output(); }

private:
  std::unique_ptr<child> running_;
};

/// Three nodes over one schema.
class sharing_nodes {
public:
  explicit sharing_nodes(const std::string& lease) : lease_{lease} {
    for (const auto* name : names)
      nodes_.push_back(std::make_unique<node_process>(name, members));
    for (const auto& one : nodes_)
      start(*one);
    wait_until_shared(3);
  }

  void start(node_process& which) {
    auto words = schema_.words();
    words.insert(words.end(), {"--lease", lease_});
    which.start(std::move(words));
  }
  node_process& operator[](std::size_t place) { return *nodes_.at(place); }

  /// Until so many nodes have about as many slots each, and all together, as the first one that
  /// runs sees it.
  void wait_until_shared(std::size_t count, std::size_t asked = 0) {
    INFO("shared by " << count);
    REQUIRE(eventually([&] {
      std::size_t sum = 0;
      std::size_t owners = 0;
      const auto shown = nodes_.at(asked)->get("/v1/cluster").value();
      for (const auto& member : shown.at("members")) {
        const auto slots = member.at("status").is_object()
                               ? member.at("status").value("slots", std::size_t{0})
                               : 0;
        sum += slots;
        owners += slots >= session_slots / count ? 1 : 0;
      }
      return sum == session_slots && owners == count;
    }));
  }

  static constexpr std::array<const char*, 3> names{"lima", "paris", "tokyo"};
  member_list members = members_named({"lima", "paris", "tokyo"});

private:
  new_schema schema_;
  std::string lease_;
  std::vector<std::unique_ptr<node_process>> nodes_;
};

json remembered(const sandbox& box) {
  std::ifstream file{box.store() / "database.json"};
  return json::parse(file);
}

std::string state_of(const node_process& at, const std::string& session) {
  const auto answer = at.get("/v1/sessions/" + session);
  return answer.status == 200 ? answer.value().at("state").get<std::string>() : "";
}

} // namespace

TEST_CASE("a service keeps sessions in a database, which its store remembers for all commands") {
  const sandbox box;
  const new_schema schema;
  {
    database_service service{box, schema.words()};
    const auto begun = box.run({"run", "-", "--session", "s"}, seed_plan());
    CHECK(begun.status == 3);
    CHECK(begun.last().at("state") == "awaiting_plan_decision");
    CHECK(box.run({"approve", "s:p1"}).status == 3);
    CHECK(service.stop() == 0);
  }
  CHECK_FALSE(std::filesystem::exists(box.store() / "data.mdb"));
  // Without a service, and without saying where again.
  CHECK(box.run({"status", "s"}).last().at("state") == "waiting");
  CHECK(box.run({"approve", "s:c1"}).status == 3);
  const auto ended = box.run({"result", "s:c1", "42"});
  CHECK(ended.status == 0);
  const auto events = box.run({"events", "s"}).lines.size();
  CHECK(events > 5);
  const auto sound = box.run({"verify"});
  REQUIRE(sound.status == 0);
  CHECK(sound.last().at("sessions") == 1);
  CHECK(sound.last().at("events") == events);
  CHECK(std::stoul(postgres_server::get().sql("SELECT count(*) FROM " + schema.name() + ".heads"))
        == 1);
}

TEST_CASE("where a database is, is kept from others, since its password may be in it") {
  const sandbox box;
  const new_schema schema;
  REQUIRE(database_service{box, schema.words()}.stop() == 0);
  struct stat found {};
  REQUIRE(::stat((box.store() / "database.json").c_str(), &found) == 0);
  CHECK((found.st_mode & 077) == 0);
}

TEST_CASE("a folder remembers the identity of its database, and takes no other one for it") {
  const sandbox box;
  const new_schema schema;
  REQUIRE(database_service{box, schema.words()}.stop() == 0);
  REQUIRE(box.run({"run", "-", "--session", "s"}, seed_plan()).status == 3);
  const auto identity = box.run({"verify"}).last().at("identity").get<std::string>();
  CHECK(remembered(box).at("identity") == identity);
  // Another one that is named, and another one in the remembered place.
  const new_schema other;
  auto words = other.words();
  {
    const sandbox elsewhere;
    REQUIRE(database_service{elsewhere, words}.stop() == 0);
  }
  words.insert(words.begin(), "serve");
  const auto named = box.run(words);
  CHECK(named.status == 2);
  CHECK(contains(named.err,
                 "the sessions of " + box.store().string() + " are in the store " + identity));
  CHECK(contains(named.err, "schema " + other.name()));
  CHECK(contains(named.err, "remove " + (box.store() / "database.json").string()));
  CHECK(remembered(box).at("schema") == schema.name());
  // Of a name that is wrong nothing is made.
  const auto typo = schema.name() + "_x";
  const auto none = box.run({"serve", "--database", words[2], "--schema", typo});
  CHECK(none.status == 2);
  CHECK(contains(none.err, "schema " + typo));
  CHECK(contains(none.err, "has no store where the store "));
  CHECK(
      postgres_server::get().sql("SELECT count(*) FROM pg_namespace WHERE nspname = '" + typo + "'")
      == "0");
  const auto& server = postgres_server::get();
  server.sql("ALTER SCHEMA " + schema.name() + " RENAME TO " + schema.name() + "_away");
  server.sql("ALTER SCHEMA " + other.name() + " RENAME TO " + schema.name());
  CHECK(box.run({"serve"}).status == 2);
  CHECK(box.run({"status", "s"}).status == 2);
  CHECK(box.run({"approve", "s:p1"}).status == 2);
  // Wherever it has moved, it is the same; how it was reached before is of no interest.
  words = {"--database", schema.words()[1] + " connect_timeout=7", "--schema",
           schema.name() + "_away"};
  {
    database_service moved{box, words};
    CHECK(box.run({"status", "s"}).last().at("state") == "awaiting_plan_decision");
    CHECK(moved.stop() == 0);
    CHECK_FALSE(contains(moved.error_output(), "remembered"));
  }
  CHECK(remembered(box).at("schema") == schema.name() + "_away");
  CHECK(remembered(box).at("identity") == identity);
  // On purpose, as the message says.
  std::filesystem::remove(box.store() / "database.json");
  REQUIRE(database_service{box, schema.words()}.stop() == 0);
  CHECK(remembered(box).at("identity") != identity);
  server.sql("DROP SCHEMA " + schema.name() + "_away CASCADE");
}

TEST_CASE("what an earlier version remembered of a database goes on, and gets the identity") {
  const sandbox box;
  const new_schema schema;
  REQUIRE(database_service{box, schema.words()}.stop() == 0);
  const auto identity = remembered(box).at("identity");
  const auto forget = [&] {
    auto known = remembered(box);
    known.erase("identity");
    std::ofstream{box.store() / "database.json"} << known.dump();
  };
  forget();
  SECTION("by a start without words") {
    REQUIRE(database_service{box, {}}.stop() == 0);
  }
  SECTION("by a command") {
    CHECK(box.run({"run", "-", "--session", "s"}, seed_plan()).status == 3);
  }
  CHECK(remembered(box).at("identity") == identity);
  CHECK(remembered(box).at("schema") == schema.name());
  // Which store that was, nobody knows: what is replaced is said.
  forget();
  const new_schema other;
  database_service replacing{box, other.words()};
  CHECK(replacing.stop() == 0);
  CHECK(contains(replacing.error_output(), "remembered schema " + schema.name()));
  CHECK(contains(replacing.error_output(), "remembers schema " + other.name()));
  CHECK(remembered(box).at("identity") != identity);
}

TEST_CASE("a store with sessions of its own takes no database, and loses none") {
  const sandbox box;
  const new_schema schema;
  REQUIRE(box.run({"run", "-", "--session", "s"}, seed_plan()).status == 3);
  auto words = schema.words();
  words.insert(words.begin(), "serve");
  const auto refused = box.run(std::move(words));
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "has sessions itself"));
  CHECK(box.run({"status", "s"}).last().at("state") == "awaiting_plan_decision");
  CHECK_FALSE(std::filesystem::exists(box.store() / "database.json"));
}

TEST_CASE("what is wrong with a database is said in the words of the command") {
  const sandbox box;
  const new_schema schema;
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "serve");
    return box.run(std::move(words));
  };
  const auto where = schema.words();
  CHECK(contains(with({"--database", where[1], "--schema", "No Name"}).err, "--schema is no name"));
  CHECK(with({"--schema", "x"}).status == 2);
  const auto gone = with({"--database", "host=/nowhere dbname=x password=secret"});
  CHECK(gone.status == 4);
  CHECK(contains(gone.err, "/nowhere"));
  for (const auto* option : {"--database", "--schema"}) {
    auto words = schema.words();
    words.insert(words.end(), {option, ""});
    CHECK(with(words).status == 2);
  }
  CHECK(contains(with({"--database", ""}).err, "is empty"));
  CHECK_FALSE(contains(gone.err, "secret"));
  CHECK_FALSE(std::filesystem::exists(box.store() / "database.json"));
  std::filesystem::create_directories(box.store());
  std::ofstream{box.store() / "database.json"} << "{";
  const auto broken = box.run({"status", "s"});
  CHECK(broken.status == 2);
  CHECK(contains(broken.err, "database.json"));
}

TEST_CASE("commands about a store's files say what is done for a database instead") {
  const sandbox box;
  const new_schema schema;
  REQUIRE(database_service{box, schema.words()}.stop() == 0);
  const auto backup = box.run({"backup", (box.workspace() / "copy").string()});
  CHECK(backup.status == 2);
  CHECK(contains(backup.err, "pg_dump"));
  const auto compact = box.run({"compact"});
  CHECK(compact.status == 2);
  CHECK(contains(compact.err, "vacuums"));
}

TEST_CASE("of nodes that share a database any does everything, and a killed one's work goes on") {
  sharing_nodes all{"5s"};
  auto client = all[0].client();
  std::vector<std::string> ids;
  for (int number = 0; number < 12; ++number)
    ids.push_back("s" + std::to_string(number));
  for (const auto& id : ids) {
    tell(client, id, proposal(2));
    tell(client, id, approval_of_plan());
    tell(client, id, approval_of_call(id + ":c1"));
  }
  for (std::size_t place = 0; place < 3; ++place) {
    CHECK(all[place].get("/v1/sessions").value().at("sessions").size() == ids.size());
    CHECK(all[place].get("/v1/pending").value().at("pending").size() == ids.size());
  }
  all[1].kill();
  // Whatever was with it is with the others, within the lease and what comes after it.
  auto other = all[2].client();
  const auto insist = [&](const std::string& id, const std::string& command) {
    CAPTURE(id, command);
    REQUIRE(eventually(
        [&] { return other.call("POST", commands_of(id), command, wants_receipt).status == 200; }));
  };
  for (const auto& id : ids) {
    insist(id, result_of(id + ":c1", 1));
    insist(id, approval_of_call(id + ":c2"));
    insist(id, result_of(id + ":c2", 2));
    CHECK(eventually([&] { return state_of(all[0], id) == "completed"; }));
  }
  all.wait_until_shared(2);
  all.start(all[1]);
  all.wait_until_shared(3);
  CHECK(all[1].get("/v1/sessions").value().at("sessions").size() == ids.size());
}

TEST_CASE("a node that is drained gives its sessions to the others, and is not missed") {
  sharing_nodes all{"10s"};
  auto client = all[0].client();
  tell(client, "s", proposal());
  const auto drained = all[1].box.run({"cluster", "drain"});
  REQUIRE(drained.status == 0);
  CHECK(drained.last().at("drained").at("node") == "paris");
  all.wait_until_shared(2);
  CHECK(all[1].get("/v1/sessions/s").status == 200);
  auto of_drained = all[1].client();
  tell(of_drained, "s", approval_of_plan());
  CHECK(eventually([&] { return state_of(all[2], "s") == "waiting"; }));
  const auto shown = all[0].box.run_plainly({"cluster", "status"});
  CHECK(shown.status == 0);
  CHECK(contains(shown.out, "0 slots of sessions, draining"));
}

TEST_CASE(
    "nodes of two schemas refuse each other by name, and the one that came later serves none") {
  const auto members = members_named({"lima", "paris"});
  const new_schema schema;
  const new_schema other;
  node_process lima{"lima", members};
  node_process paris{"paris", members};
  lima.start(schema.words());
  auto client = lima.client();
  tell(client, "s", proposal());
  paris.start(other.words());
  const auto identity = [](const node_process& of) {
    return of.get("/v1/cluster").value().at("store").get<std::string>();
  };
  const auto ours = identity(lima);
  const auto theirs = identity(paris);
  CHECK(ours != theirs);
  CHECK(lima.box.run({"verify"}).last().at("identity") == ours);
  const auto refused = [](const node_process& at, std::size_t which) {
    const auto member = at.get("/v1/cluster").value().at("members").at(which);
    return member.at("contact") == "refused" ? member.at("reason").get<std::string>() : "";
  };
  REQUIRE(eventually([&] { return !refused(lima, 1).empty() && !refused(paris, 0).empty(); }));
  CHECK(contains(refused(paris, 0), "paris has the store " + theirs + ", and lima the store " + ours
                                        + ": give all nodes the same database and schema"));
  CHECK(contains(refused(lima, 1), "lima has the store " + ours));
  const auto shown = paris.box.run_plainly({"cluster", "status"});
  CHECK(shown.status == 1);
  CHECK(contains(shown.out, "share the store " + theirs));
  CHECK(contains(shown.out, "serve 0"));
  // A session that is told of at both is in one.
  auto of_paris = paris.client();
  CHECK(of_paris.call("POST", commands_of("s"), proposal(), wants_receipt).status == 503);
  tell(client, "s", approval_of_plan());
  CHECK(postgres_server::get().sql("SELECT count(*) FROM " + other.name() + ".heads") == "0");
  for (auto* one : {&lima, &paris}) {
    one->process().signal(SIGTERM);
    CHECK(one->process().wait() == 0);
  }
  const auto said = paris.process().error_output();
  CHECK(contains(said, R"("change":"withheld")"));
  CHECK(contains(lima.process().error_output(), R"({"refused":{"node":"paris")"));
}

TEST_CASE("a cluster with stores of their own has nothing to drain") {
  const auto members = members_named({"lima"});
  node_process lima{"lima", members};
  lima.start();
  const auto refused = lima.box.run({"cluster", "drain"});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "share"));
}

TEST_CASE("a node of a store of its own does not become one of a database, nor the other way") {
  const auto members = members_named({"lima"});
  const new_schema schema;
  node_process shares{"lima", members};
  auto words = schema.words();
  shares.start(words);
  shares.kill();
  const auto alone = shares.box.run({"serve"});
  CHECK(alone.status == 2);
  CHECK(contains(alone.err, "fermata node"));
  node_process owns{"lima", members};
  owns.start();
  owns.kill();
  words.insert(words.begin(), {"node", "--members", owns.members_file(), "--name", "lima"});
  const auto refused = owns.box.run(std::move(words));
  CHECK(refused.status == 2);
}

} // namespace database_test
