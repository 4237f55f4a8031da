#include "support.hpp"

#include <fermata/messages/cluster.hpp>

#include <algorithm>
#include <map>

namespace cluster_test {

using namespace fermata;
using namespace messages_test;

namespace {

member_list three() {
  return value_of(parse_member_list(R"({"cluster": "shop", "version": 1, "members": [
    {"name": "a", "host": "10.0.0.1", "port": 4242},
    {"name": "b", "host": "10.0.0.2", "port": 4242},
    {"name": "c", "host": "10.0.0.3", "port": 4242}]})"));
}

session_id session(int number) {
  return make<session_id>("s" + std::to_string(number));
}

std::string refused(std::string_view text) {
  return verdict_on(parse_member_list(text));
}

} // namespace

TEST_CASE("a member list comes back from its JSON") {
  const auto list = three();
  CHECK(list.cluster.str() == "shop");
  CHECK(list.members.size() == 3);
  CHECK(value_of(parse_member_list(to_json(list).dump())) == list);
}

TEST_CASE("a member list that is none is refused, saying why") {
  CHECK(contains(refused("{"), "invalid_json"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1})"), "members"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": []})"),
                 "members is empty; a cluster has one member or more"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 0, "members": [
                   {"name": "a", "host": "h", "port": 1}]})"),
                 "version is 1 or more"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": [
                   {"name": "a", "host": "h", "port": 1}, {"name": "a", "host": "h", "port": 2}]})"),
                 "two members are called a"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": [
                   {"name": "a", "host": "h", "port": 1}, {"name": "b", "host": "h", "port": 1}]})"),
                 "the members a and b have one address, h:1"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": [
                   {"name": "a", "host": "", "port": 1}]})"),
                 "member a: host"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": [
                   {"name": "a", "host": "h", "port": 0}]})"),
                 "member a: port is 1 to 65535"));
  CHECK(contains(refused(R"({"cluster": "x", "version": 1, "members": [
                   {"name": "a", "host": "h", "port": 70000}]})"),
                 "port"));
  auto many = three();
  for (int i = 0; i < 62; ++i)
    many.members.emplace_back(make<node_name>("n" + std::to_string(i)), "h",
                              static_cast<std::uint16_t>(i + 1));
  CHECK(contains(verdict_on(check(many)), "limit_exceeded"));
}

TEST_CASE("the difference of two member lists names what is on which side") {
  const auto mine = three();
  auto theirs = mine;
  std::reverse(theirs.members.begin(), theirs.members.end());
  CHECK(difference(mine, theirs).empty());
  theirs.version = 2;
  theirs.members.pop_back();
  theirs.members.front().port = 4343;
  theirs.members.emplace_back(make<node_name>("d"), "10.0.0.4", std::uint16_t{4242});
  CHECK(difference(mine, theirs)
        == "the list has version 1 here, and 2 there; member a is only here; member c is at "
           "10.0.0.3:4242 here, and at 10.0.0.3:4343 there; member d is only there");
  theirs.cluster = make<node_name>("other");
  CHECK(contains(difference(mine, theirs), "the cluster is shop here, and other there"));
}

TEST_CASE("a difference shows what a stranger says without its control characters") {
  const auto mine = three();
  auto theirs = mine;
  theirs.members[0].host = "10.0.0.1\x1B[2J";
  CHECK(difference(mine, theirs).find('\x1B') == std::string::npos);
}

TEST_CASE("where a session lives is part of what versions of Fermata agree on") {
  const auto list = three();
  std::string homes;
  for (int i = 0; i < 24; ++i)
    homes += home_of(list, session(i)).name.str();
  CHECK(homes == "aaccbccaabccbcbbcbccbbcb");
}

TEST_CASE("where a session lives does not depend on the order of members") {
  const auto list = three();
  auto turned = list;
  std::rotate(turned.members.begin(), turned.members.begin() + 1, turned.members.end());
  for (int i = 0; i < 1'000; ++i)
    CHECK(home_of(list, session(i)) == home_of(turned, session(i)));
}

TEST_CASE("sessions are spread evenly over the members") {
  const auto list = three();
  std::map<std::string, int> counts;
  for (int i = 0; i < 30'000; ++i)
    ++counts[home_of(list, session(i)).name.str()];
  for (const auto& [name, count] : counts) {
    CAPTURE(name);
    CHECK(count > 9'700); // 10,000, and 3.7 standard deviations
    CHECK(count < 10'300);
  }
}

TEST_CASE("a member that is added takes sessions from the others, and moves no other") {
  const auto before = three();
  auto after = before;
  after.members.emplace_back(make<node_name>("d"), "10.0.0.4", std::uint16_t{4242});
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto& now = home_of(after, session(i)).name;
    if (now == home_of(before, session(i)).name)
      continue;
    CHECK(now.str() == "d");
    ++moved;
  }
  CHECK(moved > 2'300);
  CHECK(moved < 2'700);
}

} // namespace cluster_test
