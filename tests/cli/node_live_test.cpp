// Live updates over HTTP of a session that lives on another node: two nodes in this process, each
// with its service.
#include "node_support.hpp"

#include <fermata/storage/memory_ownership.hpp>
#include <fermata/storage/memory_store.hpp>

#include <service/cluster_side.hpp>
#include <service/live_board.hpp>
#include <service/server.hpp>

#include <fermata_catch.hpp>
#include <prompter.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace node_live_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// What nodes that share a store have in common.
struct shared_data {
  std::shared_ptr<memory_store> data = std::make_shared<memory_store>();
  std::shared_ptr<memory_ownership_table> table = std::make_shared<memory_ownership_table>();
};

class service_node {
public:
  /// `in`: null: it has a store of its own.
  service_node(const std::string& name, const member_list& members,
               const std::shared_ptr<prompter>& prompts, shared_data* in) {
    cluster_options net;
    net.name = node_named(name);
    net.members = members;
    net.on_request = [this](const std::string& question) { return others_.answer(question); };
    net.on_contact = [this](const peer_report& report) { others_.contact_changed(report); };
    runtime_options made;
    made.policy = approval_policy::allow_everything();
    if (in != nullptr) {
      auto opened = in->data->beside();
      net.ownership = std::move(*memory_ownership::join(in->table, net.name, opened, 10s));
      made.store = opened;
    } else {
      made.store = lmdb_store::open(folder_.path() / "store").value();
    }
    store_ = made.store;
    node_ = std::make_unique<cluster_node>(std::move(net), std::move(made));
    others_.begin(*node_, *store_);
    REQUIRE_FALSE(node_->local().agents().add(
        "speaker", [prompts](step_context& context) { return speak(context, prompts); }));
    service::server_options options;
    options.socket = folder_.path() / "socket";
    auto bound = service::server::bind(node_->local(), live_, std::move(options), &others_);
    REQUIRE(bound);
    server_ = std::move(*bound);
    REQUIRE_FALSE(node_->start());
    server_->start();
  }

  [[nodiscard]] http_client client() const { return http_client{folder_.path() / "socket"}; }
  [[nodiscard]] cluster_node& node() { return *node_; }

private:
  temporary_directory folder_;
  service::live_board live_;
  service::cluster_side others_{redactor{}};
  std::shared_ptr<store> store_;
  std::unique_ptr<cluster_node> node_;
  std::unique_ptr<service::server> server_;
};

/// Says a mark again and again, until it ends: the session's node does not know at once who
/// listens.
class repeated_mark {
public:
  repeated_mark(const std::shared_ptr<prompter>& by, const std::string& mark)
      : thread_{[by, mark](std::stop_token stop) {
          std::mutex mutex;
          std::condition_variable_any never;
          std::unique_lock lock{mutex};
          while (!stop.stop_requested()) {
            by->say(mark);
            never.wait_for(lock, stop, 10ms, [] { return false; });
          }
        }} {}

private:
  std::jthread thread_;
};

/// The events of a stream up to the live update that says a part, with it.
std::vector<streamed_event> read_up_to(http_client& stream, std::string_view part) {
  std::vector<streamed_event> seen;
  for (;;) {
    auto event = stream.next_event();
    if (!event)
      throw std::runtime_error{"the stream has ended"};
    seen.push_back(std::move(*event));
    if (seen.back().name == "live" && seen.back().data.at("content") == part)
      return seen;
  }
}

std::string speech() {
  return R"({"type": "propose_plan", "plan": {"goal": "speak", "subtasks": [{"id": "a", "agent": "speaker"}]}})";
}

} // namespace

TEST_CASE("a client at any node sees what an agent is saying, between the events of its session") {
  for (const bool shares : {false, true}) {
    CAPTURE(shares);
    const auto members = members_named({"lima", "paris"});
    const auto prompts = std::make_shared<prompter>();
    shared_data common;
    service_node lima{"lima", members, prompts, shares ? &common : nullptr};
    service_node paris{"paris", members, prompts, shares ? &common : nullptr};
    const auto lives_on_paris = [&](const std::string& id) {
      const auto* home = lima.node().home_of(session_id::parse(id).value());
      return home != nullptr && home->name.str() == "paris";
    };
    std::string id;
    REQUIRE(eventually([&] {
      const auto peers = lima.node().peers();
      for (int number = 0; number < 20; ++number)
        if (id = "s" + std::to_string(number); lives_on_paris(id))
          return peers.front().state == contact_state::connected;
      return false;
    }));
    auto teller = lima.client();
    tell(teller, id, speech());
    std::optional watching{lima.client()};
    auto& watcher = *watching;
    watcher.request("GET", "/v1/sessions/" + id + "/stream?first=1");
    REQUIRE(watcher.receive_header().status == 200);
    {
      const repeated_mark repeated{prompts, "<begin>"};
      const auto first = read_up_to(watcher, "<begin>");
      // All events so far come before it.
      CHECK(first.at(0).id == 1);
      CHECK(first.back().data == json{{"kind", "text"}, {"subtask", "a"}, {"content", "<begin>"}});
      CHECK_FALSE(first.back().id);
    }
    prompts->say("one");
    prompts->say("two");
    if (shares) // whose events may overtake what is on its way
      read_up_to(watcher, "two");
    prompts->say("");
    std::string rest;
    std::optional<streamed_event> event;
    do {
      event = watcher.next_event();
      REQUIRE(event);
      if (event->name == "live")
        rest += event->data.at("content").get<std::string>() + " ";
      else
        rest += event->id ? "event " : event->name + " ";
    } while (!event->id || event->data.at("kind") != "completion");
    // Behind what is said comes what has the whole of it.
    CHECK(contains(rest, shares ? "event " : "one two event "));
    CHECK_FALSE(contains(rest.substr(rest.find("event ")), "two"));
    CHECK(lima.node().traffic().readings > 0);
    watching.reset();
    CHECK(eventually([&] { return lima.node().traffic().readings == 0; }));
  }
}

} // namespace node_live_test
