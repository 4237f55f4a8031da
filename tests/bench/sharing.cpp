#include "stored_sessions.hpp"
#include "subjects.hpp"

#include "../cluster/victim_process.hpp"
#include "../storage/postgres/postgres_server.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <free_port.hpp>

#include <atomic>
#include <future>
#include <iostream>

namespace fermata::bench {

namespace {

/// What two nodes share, the one of this process and the one that is killed.
struct shared_place {
  std::string connection;
  std::string schema;
  std::string members;
  std::chrono::milliseconds lease{0};
};

std::unique_ptr<cluster_node> start_node(const shared_place& at, const std::string& name) {
  postgres_options where;
  where.connection = at.connection;
  where.schema = at.schema;
  where.node = must(node_name::parse(name));
  const auto kept = must(postgres_store::open(where));
  cluster_options net;
  net.name = where.node;
  net.members = must(parse_member_list(at.members));
  net.timing.head_start = 50ms;
  net.timing.first_retry = 20ms;
  net.ownership = must(postgres_ownership::join(kept, at.lease));
  auto options = options_over(kept);
  options.limits.resident_sessions = 100'000;
  options.limits.runtime_queue = 100'000;
  auto made = std::make_unique<cluster_node>(std::move(net), std::move(options));
  must(made->start());
  return made;
}

/// CONNECTION SCHEMA MEMBERS LEASE_MS: node far, until it is killed.
std::vector<double> be_far(std::span<const std::string> arguments) {
  const auto node = start_node({arguments[0], arguments[1], arguments[2],
                                std::chrono::milliseconds{std::stoi(arguments[3])}},
                               "far");
  std::string ignored;
  std::getline(std::cin, ignored);
  return {};
}

} // namespace

const child_task sharing_child{"sharing", be_far};

namespace {

std::string member_text() {
  const auto member = [](const char* name) {
    return json{{"name", name}, {"host", "127.0.0.1"}, {"port", test::free_port()}};
  };
  return json{{"cluster", "bench"}, {"version", 1}, {"members", {member("near"), member("far")}}}
      .dump();
}

std::size_t slots_of(const cluster_node& asked, const std::string& name) {
  for (const auto& one : asked.status())
    if (one.member.name.str() == name && one.status)
      return one.status->slots;
  return 0;
}

void wait_for_slots(const cluster_node& asked, const std::string& of, std::size_t count) {
  const auto end = clock_type::now() + 100s;
  while (slots_of(asked, of) != count) {
    expect(clock_type::now() < end, of + " serves " + std::to_string(count) + " slots");
    std::this_thread::sleep_for(1ms);
  }
}

/// Has all of them in memory; returns how long it took, in seconds.
double wake_all(cluster_node& by, const std::vector<session_id>& ids) {
  const auto begin = clock_type::now();
  std::atomic<std::size_t> left{ids.size()};
  std::atomic<std::size_t> refused{0};
  std::promise<void> done;
  for (const auto& id : ids)
    by.session(id).wake([&](const result<receipt>& given) {
      refused += given ? 0 : 1;
      if (--left == 0)
        done.set_value();
    });
  done.get_future().get();
  expect(refused == 0, "a session that is there is woken");
  return seconds_since(begin);
}

/// Paused sessions in a schema of their own, of which each of two nodes has half.
struct sharing_pair {
  sharing_pair(const test::postgres_server& server, std::size_t sessions,
               std::chrono::milliseconds lease)
      : place{server.connection(), server.new_store().schema, member_text(), lease} {
    auto where = server.new_store();
    where.schema = place.schema;
    const auto kept = must(postgres_store::open(where));
    const template_session paused{calling_plan(10)};
    bulk_writer writer{*kept};
    all = numbered_ids("shared-", 2 * sessions);
    for (const auto& id : all)
      writer.add(paused.copy(id));
    writer.flush();
  }

  void start() {
    near = start_node(place, "near");
    start_far();
  }
  void start_far() {
    far = std::make_unique<test::victim_process>(
        std::vector<std::string>{"/proc/self/exe", child_flag, sharing_child.name, place.connection,
                                 place.schema, place.members, std::to_string(place.lease.count())});
    wait_for_slots(*near, "far", session_slots / 2);
  }
  [[nodiscard]] std::vector<session_id> sessions_of(const std::string& name) const {
    std::vector<session_id> found;
    for (const auto& id : all)
      if (const auto home = near->home_of(id); home && home->name.str() == name)
        found.push_back(id);
    return found;
  }

  shared_place place;
  std::vector<session_id> all;
  std::unique_ptr<cluster_node> near;
  std::unique_ptr<test::victim_process> far;
};

std::vector<measurement> run_sharing(const context& in) {
  const test::postgres_server server;
  const auto sessions = in.sessions_or(10'000);
  const auto lease = 2'000ms;
  std::vector<double> drained;
  std::vector<double> taken_over;
  std::vector<double> answered;
  for (std::size_t round = 0; round < std::min<std::size_t>(in.rounds, 3); ++round) {
    sharing_pair pair{server, sessions, lease};
    pair.start();
    const auto lost = pair.sessions_of("far");
    auto begin = clock_type::now();
    pair.far->kill();
    wait_for_slots(*pair.near, "near", session_slots);
    taken_over.push_back(seconds_since(begin) * 1e3);
    static_cast<void>(wake_all(*pair.near, lost));
    answered.push_back(seconds_since(begin) * 1e3);

    pair.start_far();
    static_cast<void>(wake_all(*pair.near, pair.sessions_of("near")));
    begin = clock_type::now();
    must(pair.near->drain(100s));
    drained.push_back(seconds_since(begin) * 1e3);
    pair.near->stop();
  }
  const auto limit = static_cast<double>(lease.count());
  const auto count = std::to_string(sessions) + " sessions";
  return {
      measurement{"killed, " + count + " owned again", "ms", taken_over}.against(limit,
                                                                                 "its lease"),
      measurement{"  each of them in memory", "ms", answered}.against(limit, "its lease"),
      measurement{"drained, " + count + " in memory", "ms", drained}.against(limit, "its lease")};
}

} // namespace

const subject sharing{"sharing",
                      "Sessions of a node that is killed or drained, of two that share a database.",
                      run_sharing};

} // namespace fermata::bench
