// A node over PostgreSQL in a process of its own, for the tests to kill and to freeze:
//
//   victim FOLDER NAME CONNECTION SCHEMA LEASE_MS [freeze-after-claim]
//
// It has the member list in FOLDER/members.json, and its tool's effects in FOLDER/effects. With the
// last word it stops itself, as by SIGSTOP, between the first commit with a claim and the start of
// what was claimed. It ends in order when its standard input does.

#include "effects.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/actors/observer.hpp>
#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace fermata;
using sim::must;

namespace {

class freezer final : public runtime_observer {
public:
  void committed(const session_id&, std::span<const event> events,
                 std::span<const event_note>) override {
    for (const auto& one : events)
      if (std::holds_alternative<call_claimed>(one.body) && !done_.exchange(true))
        ::raise(SIGSTOP);
  }

private:
  std::atomic<bool> done_{false};
};

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  return text.str();
}

} // namespace

int main(int count, char** values) try {
  if (count < 6)
    throw std::runtime_error{"usage: victim FOLDER NAME CONNECTION SCHEMA LEASE_MS"};
  const std::filesystem::path folder{values[1]};
  postgres_options where;
  where.connection = values[3];
  where.schema = values[4];
  where.node = must(node_name::parse(values[2]));
  const auto store = must(postgres_store::open(where));
  cluster_options net;
  net.name = where.node;
  net.members = must(parse_member_list(text_of(folder / "members.json")));
  net.timing.head_start = std::chrono::milliseconds{100};
  net.timing.first_retry = std::chrono::milliseconds{20};
  net.timing.longest_retry = std::chrono::milliseconds{200};
  net.ownership =
      must(postgres_ownership::join(store, std::chrono::milliseconds{std::stoi(values[5])}));
  runtime_options options;
  options.store = store;
  options.policy = approval_policy::allow_everything();
  if (count > 6)
    options.observer = std::make_shared<freezer>();
  cluster_node node{std::move(net), std::move(options)};
  test::effects_file{folder / "effects"}.add_tool_to(node.local());
  must(node.start());
  for (char byte = 0; ::read(STDIN_FILENO, &byte, 1) > 0;)
    ;
  return 0;
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
