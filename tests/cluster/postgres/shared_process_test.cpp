// Nodes that share a PostgreSQL store, in processes of their own: killed, and frozen.

#include "../../storage/postgres/postgres_server.hpp"
#include "../drivers.hpp"
#include "../victim_process.hpp"
#include "effects.hpp"

#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <fermata_catch.hpp>

namespace shared_process_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// First an effect of the runtime's own, then a call of the host's tool.
plan_spec painting() {
  return plan(R"({"goal": "paint", "tools": {"ask_shop": {"kind": "client"}}, "subtasks": [
    {"id": "paint", "steps": [{"tool": "paint", "arguments": {}}]},
    {"id": "ask", "depends_on": ["paint"], "steps": [{"tool": "ask_shop", "arguments": {}}]}]})");
}

/// Nodes that share a schema: one in this process, which lives, and others that do not.
class shared_database {
public:
  explicit shared_database(std::chrono::milliseconds lease) : lease_{lease} {
    folder_.put("members.json", to_json(members_).dump());
  }
  ~shared_database() {
    own_.reset();
    store_.reset();
    postgres_server::get().sql("DROP SCHEMA IF EXISTS " + options_.schema + " CASCADE");
  }
  shared_database(const shared_database&) = delete;
  shared_database& operator=(const shared_database&) = delete;

  /// Node a.
  void start() {
    auto where = options_;
    where.node = node_named("a");
    auto opened = postgres_store::open(where);
    if (!opened)
      throw std::runtime_error{message_of(opened.error())};
    store_ = *opened;
    cluster_options net;
    net.name = where.node;
    net.members = members_;
    net.timing = quick();
    net.ownership = std::move(postgres_ownership::join(store_, lease_).value());
    own_ = std::make_unique<cluster_node>(std::move(net), unattended(store_));
    effects().add_tool_to(own_->local());
    if (auto error = own_->start())
      throw std::runtime_error{message_of(error)};
  }
  [[nodiscard]] std::vector<std::string> victim(std::string name) const {
    return {FERMATA_POSTGRES_VICTIM, folder_.path().string(), std::move(name),
            options_.connection,     options_.schema,         std::to_string(lease_.count())};
  }
  [[nodiscard]] session_handle session(const std::string& id) const {
    return own_->session(named(id));
  }
  [[nodiscard]] effects_file effects() const { return effects_file{folder_.path() / "effects"}; }

  /// How many slots a node serves, as node a sees it.
  [[nodiscard]] std::size_t slots_of(const std::string& name) const {
    for (const auto& one : own_->status())
      if (one.member.name.str() == name)
        return one.status ? one.status->slots : 0;
    return 0;
  }
  /// Waits until these nodes serve all that there is.
  void wait_for_all_at(const std::vector<std::string>& names) const {
    wait_until(
        [&] {
          std::size_t sum = 0;
          for (const auto& name : names)
            sum += slots_of(name);
          return sum == session_slots;
        },
        "nobody takes over");
  }
  /// Waits until a node serves something.
  void wait_for_share_of(const std::string& name) const {
    wait_until([&] { return slots_of(name) > 0; }, name + " gets no slots");
  }
  static void wait_until(const std::function<bool()>& is_so, const std::string& otherwise) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
      if (std::chrono::steady_clock::now() > end)
        throw std::runtime_error{otherwise};
      std::this_thread::yield();
    }
  }
  /// An id in a slot that a node serves.
  [[nodiscard]] std::string session_on(const std::string& node) const {
    for (int number = 0;; ++number) {
      auto id = "on-" + node + std::to_string(number);
      const auto home = own_->home_of(named(id));
      if (home && home->name.str() == node)
        return id;
    }
  }

private:
  std::chrono::milliseconds lease_;
  postgres_options options_ = postgres_server::get().new_store();
  member_list members_ = members_named({"a", "b", "c"});
  temporary_directory folder_;
  std::shared_ptr<postgres_store> store_;
  std::unique_ptr<cluster_node> own_;
};

/// Sends until there is an answer that says what became of it.
result<receipt> insist(const session_handle& session, const command& body) {
  for (;;) {
    auto answered = answer(session.send(body, send_options{patience}));
    // `node_unavailable`: also of a node that is not certain of its lease, on a slow machine.
    if (answered
        || !(is(answered.error(), errc::timed_out) || is(answered.error(), errc::node_unavailable)))
      return answered;
  }
}

/// Takes a session from its plan to its end, as somebody who looks whether an effect is there
/// before he says what became of it. What it was acknowledged.
std::vector<receipt> drive(const shared_database& all, const std::string& id) {
  const auto session = all.session(id);
  acknowledgements acknowledged{id};
  acknowledged.note(insist(session, propose_plan{painting()}), errc::session_busy);
  for (;;) {
    const auto status = session.wait_until_paused(patience);
    if (!status || !*status)
      continue; // its node has gone
    if ((*status)->state == session_state::completed)
      return std::move(acknowledged.receipts);
    if ((*status)->waiting.outcome > 0) {
      const auto painted = all.effects().counts().contains(id + ":c1");
      acknowledged.note(
          insist(session, painted ? resolve_outcome{call(id, 1), outcome_resolution::happened,
                                                    json{"painted"}}
                                  : resolve_outcome{call(id, 1), outcome_resolution::rerun}),
          errc::already_answered);
    } else if ((*status)->waiting.result > 0) {
      acknowledged.note(insist(session, tool_result{call(id, 2), "green"}), errc::unknown_call);
    }
  }
}

} // namespace

TEST_CASE("P1 P4 P6 P8 nodes that share a database lose and repeat nothing when they are killed") {
  shared_database all{5s};
  all.start();
  victim_process b{all.victim("b")};
  victim_process c{all.victim("c")};
  drivers driving{[&](const std::string& id) { return drive(all, id); }};
  for (int i = 0; i < kills(3) && driving.failure().empty(); ++i) {
    const std::string name = i % 2 == 0 ? "b" : "c";
    all.wait_for_share_of(name);
    const auto before = driving.done();
    auto& victim = name == "b" ? b : c;
    victim.kill();
    // Some come back at once, and some when others have what they had.
    if (i % 4 < 2)
      all.wait_for_all_at({"a", name == "b" ? "c" : "b"});
    victim.begin();
    CHECK(driving.wait_for(before + 8) >= before + 8);
  }
  const auto& acknowledged = driving.finish();
  CHECK(driving.failure() == "");
  const auto effects = all.effects().counts();
  for (const auto& [id, receipts] : acknowledged) {
    CAPTURE(id);
    const auto status = all.session(id).status();
    REQUIRE(status);
    CHECK(status->state == session_state::completed);
    const auto painted = effects.find(id + ":c1");
    REQUIRE(painted != effects.end());
    CHECK(painted->second == 1);
    for (const auto& one : receipts)
      CHECK(one.event <= status->events);
  }
}

TEST_CASE("P8 a node that freezes after a claim starts nothing when it wakes after its takeover") {
  shared_database all{5s};
  all.start();
  auto words = all.victim("b");
  words.emplace_back("freeze-after-claim");
  const victim_process b{words};
  all.wait_for_share_of("b");
  const auto id = all.session_on("b");
  auto sent = all.session(id).send(propose_plan{painting()}, send_options{patience});
  REQUIRE(b.wait_until_frozen());
  // The next home asks, as it cannot know.
  shared_database::wait_until(
      [&] {
        const auto status = all.session(id).status();
        return status && status->waiting.outcome == 1;
      },
      "nobody asks for the outcome");
  CHECK(all.effects().counts().empty());
  b.thaw();
  // It is a member again, with sessions that it gets, and what it had claimed is not done.
  all.wait_for_share_of("b");
  CHECK(all.effects().counts().empty());
  accept(all.session(id).send(resolve_outcome{call(id, 1), outcome_resolution::rerun},
                              send_options{patience}));
  CHECK(paused(all.session(id)).waiting.result == 1);
  CHECK(all.effects().counts() == std::map<std::string, int>{{id + ":c1", 1}});
  static_cast<void>(answer(std::move(sent)));
}

} // namespace shared_process_test
