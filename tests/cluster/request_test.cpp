// What hosts of different nodes ask each other.

#include "support.hpp"

#include <fermata/actors/cluster/detail/request_lanes.hpp>
#include <fermata/actors/cluster/metrics_text.hpp>

#include <caf/sec.hpp>

#include <fermata_catch.hpp>

namespace request_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::future<result<std::string>> ask(test_node& from, const std::string& to, std::string what) {
  const auto promise = std::make_shared<std::promise<result<std::string>>>();
  auto future = promise->get_future();
  from.running->request(node_named(to), std::move(what), [promise](result<std::string> given) {
    promise->set_value(std::move(given));
  });
  return future;
}

result<std::string> answer_to(std::future<result<std::string>> asked) {
  if (asked.wait_for(patience) != std::future_status::ready)
    throw std::runtime_error{"no answer in time"};
  return asked.get();
}

errc error_of(std::future<result<std::string>> asked) {
  const auto given = answer_to(std::move(asked));
  return given ? errc{} : code_of(given.error());
}

/// A host that answers with what it was asked, and does not as long as it is held up.
struct echo {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  std::size_t begun = 0;

  result<std::string> operator()(const std::string& what) {
    std::unique_lock lock{mutex};
    ++begun;
    changed.notify_all();
    changed.wait_for(lock, patience, [this] { return !held; });
    if (what == "throw")
      throw std::runtime_error{"the host is out of order"};
    if (what == "throw a number")
      throw 1;
    if (what == "refuse")
      return make_error(errc::unknown_session, "there is no session s");
    if (what == "refuse as a node")
      return make_error(errc::peer_refused, "who are you?");
    if (what == "stop as a node")
      return make_error(errc::shutting_down, "the host stops");
    if (what == "refuse as CAF")
      return caf::make_error(caf::sec::unexpected_message);
    return what;
  }
  void hold(bool on) {
    const std::lock_guard lock{mutex};
    held = on;
    changed.notify_all();
  }
  [[nodiscard]] bool wait_for_begun(std::size_t count) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, patience, [&] { return begun >= count; });
  }
};

/// `b` answers as the host does.
void let_answer(test_cluster& all, const std::shared_ptr<echo>& host) {
  all["b"].adjust = [host](cluster_options& net) {
    net.on_request = [host](const std::string& what) { return (*host)(what); };
    net.request_threads = 1;
    net.request_size_bytes = 100;
    net.answer_size_bytes = 50;
  };
}

} // namespace

TEST_CASE("a host is answered by the host of another node, with bytes or an error as they are") {
  test_cluster all{{"a", "b"}};
  let_answer(all, std::make_shared<echo>());
  all.start();
  const std::string bytes{"\0\xff {\n", 5};
  CHECK(answer_to(ask(all["a"], "b", bytes)).value() == bytes);
  CHECK(answer_to(ask(all["a"], "b", "")).value().empty());
  const auto refused = answer_to(ask(all["a"], "b", "refuse"));
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::unknown_session));
  CHECK(message_of(refused.error()) == "there is no session s");
  CHECK(all["a"].running->traffic().questions >= 3);
  CHECK(all["a"].running->traffic().errands == 0);
}

TEST_CASE("an answer of megabytes arrives as it is, and several at once") {
  test_cluster all{{"a", "b"}};
  all["b"].adjust = [](cluster_options& net) {
    net.on_request = [](const std::string& what) {
      std::string made;
      for (std::size_t i = 0; i < 3'000'001; ++i)
        made += static_cast<char>(what[0] + static_cast<char>(i % 251));
      return made;
    };
  };
  all.start();
  auto first = ask(all["a"], "b", "a");
  auto second = ask(all["a"], "b", "b");
  const auto one = answer_to(std::move(first)).value();
  const auto other = answer_to(std::move(second)).value();
  REQUIRE(one.size() == 3'000'001);
  REQUIRE(other.size() == one.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < one.size(); ++i)
    wrong += one[i] != static_cast<char>('a' + static_cast<char>(i % 251))
             || other[i] != static_cast<char>('b' + static_cast<char>(i % 251));
  CHECK(wrong == 0);
  CHECK(all["a"].running->traffic().errands == 0);
}

TEST_CASE("a host that throws is an error of that request alone") {
  test_cluster all{{"a", "b"}};
  let_answer(all, std::make_shared<echo>());
  all.start();
  const auto thrown = answer_to(ask(all["a"], "b", "throw"));
  REQUIRE_FALSE(thrown);
  CHECK(is(thrown.error(), errc::internal));
  CHECK(mentions(message_of(thrown.error()), "the host is out of order"));
  CHECK(error_of(ask(all["a"], "b", "throw a number")) == errc::internal);
  CHECK(answer_to(ask(all["a"], "b", "hello")).value() == "hello");
}

TEST_CASE("what a host answers is never taken for its node's own word") {
  test_cluster all{{"a", "b"}};
  let_answer(all, std::make_shared<echo>());
  all.start();
  const auto lost = [&] { return all["a"].running->traffic().contacts_lost; };
  const auto before = lost();
  for (const auto* what : {"refuse as a node", "stop as a node", "refuse as CAF"}) {
    CAPTURE(what);
    const auto answered = answer_to(ask(all["a"], "b", what));
    REQUIRE_FALSE(answered);
    CHECK(is(answered.error(), errc::internal));
    CHECK(mentions(message_of(answered.error()), "the other node's host failed: "));
    CHECK(answer_to(ask(all["a"], "b", "hello")).value() == "hello");
  }
  CHECK(lost() == before);
}

TEST_CASE("a host that answers nothing refuses, and nobody asks a node that is none") {
  test_cluster all{{"a", "b"}};
  let_answer(all, std::make_shared<echo>());
  all.start();
  CHECK(error_of(ask(all["b"], "a", "hello")) == errc::not_allowed);
  CHECK(error_of(ask(all["a"], "a", "hello")) == errc::invalid_field);
  CHECK(error_of(ask(all["a"], "z", "hello")) == errc::invalid_field);
}

TEST_CASE("requests and their answers are bounded in size") {
  test_cluster all{{"a", "b"}};
  let_answer(all, std::make_shared<echo>());
  all.start();
  CHECK(answer_to(ask(all["a"], "b", std::string(50, 'x'))));
  const auto answer = answer_to(ask(all["a"], "b", std::string(51, 'x')));
  REQUIRE_FALSE(answer);
  CHECK(is(answer.error(), errc::limit_exceeded));
  CHECK(mentions(message_of(answer.error()), "answer_size_bytes is 50, this has 51"));
  const auto there = answer_to(ask(all["a"], "b", std::string(101, 'x')));
  REQUIRE_FALSE(there);
  CHECK(mentions(message_of(there.error()), "request_size_bytes is 100, this has 101"));
  const auto here = answer_to(ask(all["b"], "a", std::string(101, 'x')));
  REQUIRE_FALSE(here);
  CHECK(mentions(message_of(here.error()), "request_size_bytes is 100, this has 101"));
}

TEST_CASE("more requests than may wait are overloaded, and a blocked host blocks nothing else") {
  test_cluster all{{"a", "b"}};
  const auto host = std::make_shared<echo>();
  let_answer(all, host);
  all["b"].limits.runtime_queue = 2;
  all.start();
  host->hold(true);
  auto first = ask(all["a"], "b", "1");
  REQUIRE(host->wait_for_begun(1));
  auto second = ask(all["a"], "b", "2");
  auto third = ask(all["a"], "b", "3");
  CHECK(error_of(ask(all["a"], "b", "4")) == errc::overloaded);
  const auto id = all.session_on("b");
  CHECK(accept(all["a"].session(id).send(propose_plan{shop_plan()})).event > 0);
  host->hold(false);
  CHECK(answer_to(std::move(first)).value() == "1");
  CHECK(answer_to(std::move(second)).value() == "2");
  CHECK(answer_to(std::move(third)).value() == "3");
  CHECK(answer_to(ask(all["a"], "b", "5")).value() == "5");
}

TEST_CASE("a node that is away, is lost or stops answers no request, and each gets an error") {
  test_cluster all{{"a", "b"}};
  const auto host = std::make_shared<echo>();
  let_answer(all, host);
  all.start();
  const auto lost_before = all["a"].running->traffic().contacts_lost;
  host->hold(true);
  auto lost = ask(all["a"], "b", "1");
  auto waiting = ask(all["a"], "b", "2");
  REQUIRE(host->wait_for_begun(1));
  std::thread stopping{[&] { all["b"].stop(); }};
  CHECK(error_of(std::move(lost)) == errc::node_unavailable);
  CHECK(error_of(std::move(waiting)) == errc::node_unavailable);
  host->hold(false);
  stopping.join();
  REQUIRE(all["a"].log.wait_for("b apart"));
  CHECK(error_of(ask(all["a"], "b", "3")) == errc::node_unavailable);
  CHECK(all["a"].running->traffic().contacts_lost == lost_before + 1);
  all["a"].running->stop();
  CHECK(error_of(ask(all["a"], "b", "4")) == errc::shutting_down);
}

TEST_CASE("a node counts what it has forwarded, and how it stands with the others") {
  test_cluster all{{"a", "b"}};
  all.start();
  const auto id = all.session_on("b");
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  CHECK(all["a"].session(id).status());
  const auto counted = [&] { return metrics_text(*all["a"].running); };
  CHECK(mentions(counted(), "\nfermata_node_info{name=\"a\",cluster=\"test\"} 1\n"));
  CHECK(mentions(counted(), "\nfermata_cluster_commands_total 1\n"));
  CHECK(mentions(counted(), "\nfermata_cluster_questions_total 1\n"));
  CHECK(mentions(counted(), "\nfermata_cluster_errands_under_way 0\n"));
  CHECK(mentions(counted(), "\nfermata_cluster_peers{state=\"connected\"} 1\n"));
  CHECK(mentions(metrics_text(*all["b"].running), "\nfermata_cluster_commands_total 0\n"));
  const auto lost = all["a"].running->traffic().contacts_lost;
  all["b"].stop();
  REQUIRE(all["a"].log.wait_for("b apart"));
  CHECK(mentions(counted(), "\nfermata_cluster_peers{state=\"apart\"} 1\n"));
  CHECK(mentions(counted(),
                 "\nfermata_cluster_contacts_lost_total " + std::to_string(lost + 1) + "\n"));
}

TEST_CASE("requests to one node wait in turn, and not for those to another") {
  std::vector<std::pair<std::string, detail::request_lanes::callback>> sent;
  const auto lanes = std::make_shared<detail::request_lanes>(
      [&](const node_name& to, const std::string& what, detail::request_lanes::callback answer) {
        sent.emplace_back(to.str() + what, std::move(answer));
      },
      2, 2);
  std::string heard;
  const auto ask_lane = [&](const char* to, const std::string& what) {
    lanes->ask(node_named(to), what, [&heard, what](const result<std::string>& given) {
      heard += what + (given ? *given : std::string{name_of(code_of(given.error()))}) + " ";
    });
  };
  for (const auto* what : {"1", "2", "3", "4", "5"})
    ask_lane("b", what);
  ask_lane("c", "6");
  CHECK(heard == "5overloaded ");
  REQUIRE(sent.size() == 3);
  CHECK(sent[2].first == "c6");
  sent[0].second(std::string{"!"});
  REQUIRE(sent.size() == 4);
  CHECK(sent[3].first == "b3");
  sent[1].second(make_error(errc::node_unavailable, "b is away"));
  REQUIRE(sent.size() == 5);
  sent[3].second(std::string{"!"});
  CHECK(sent.size() == 5);
  ask_lane("b", "7");
  CHECK(sent.size() == 6);
  ask_lane("b", "8");
  heard.clear();
  lanes->close();
  CHECK(heard == "8shutting_down ");
  ask_lane("c", "9");
  CHECK(heard == "8shutting_down 9shutting_down ");
  sent[5].second(std::string{"!"}); // what is under way is answered all the same
  CHECK(heard == "8shutting_down 9shutting_down 7! ");
  CHECK(sent.size() == 6);
}

} // namespace request_test
