// A node in a process of its own, for the tests to kill: victim FOLDER NAME. It has the member list
// in FOLDER/members.json and its store in FOLDER/NAME, and ends in order when its standard input
// does.

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace fermata;
using sim::must;

int main(int count, char** values) try {
  if (count != 3)
    throw std::runtime_error{"usage: victim FOLDER NAME"};
  const std::filesystem::path folder{values[1]};
  std::ostringstream members;
  members << std::ifstream{folder / "members.json"}.rdbuf();
  cluster_options net;
  net.name = must(node_name::parse(values[2]));
  net.members = must(parse_member_list(members.str()));
  net.timing.head_start = std::chrono::milliseconds{100};
  net.timing.first_retry = std::chrono::milliseconds{20};
  net.timing.longest_retry = std::chrono::milliseconds{200};
  runtime_options options;
  options.store = must(lmdb_store::open(folder / values[2]));
  options.policy = approval_policy::allow_everything();
  cluster_node node{std::move(net), std::move(options)};
  must(node.start());
  // As a host does: what a dead process left running goes on.
  for (const auto& one : must(query_sessions(node.local().store(), session_state::running)))
    node.session(one.session).wake([](const result<receipt>&) {});
  for (char byte = 0; ::read(STDIN_FILENO, &byte, 1) > 0;)
    ;
  return 0;
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
