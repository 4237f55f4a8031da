// Nodes that prove who they are.

#include "certificates.hpp"
#include "support.hpp"

#include <fermata_catch.hpp>

#include <caf/io/middleman.hpp>

namespace cluster_tls_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::string refused(const tls_files& files) {
  temporary_directory folder;
  cluster_options net;
  net.members = members_named({"a"});
  net.members.members[0].host = "192.0.2.1"; // not a loopback address
  net.name = node_named("a");
  net.tls = files;
  try {
    cluster_node node{net, unattended(open_store(folder))};
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

} // namespace

TEST_CASE("nodes with certificates of one authority speak with each other") {
  temporary_directory folder;
  const authority ours{"ours"};
  test_cluster all{{"a", "b"}};
  for (auto& [name, one] : all.nodes)
    one.tls = ours.issue(folder, name);
  all.start();
  const auto id = all.session_on("b");
  accept(all["a"].session(id).send(propose_plan{shop_plan()}));
  accept(all["a"].session(id).send(tool_result{call(id, 1), "green"}));
  CHECK(paused(all["a"].session(id)).state == session_state::completed);
}

TEST_CASE("a node with a certificate of another authority, or none, is not let in") {
  temporary_directory folder;
  const authority ours{"ours"};
  const authority theirs{"theirs"};
  test_cluster all{{"a", "b"}};
  all["a"].tls = ours.issue(folder, "a");
  SECTION("of another authority") {
    all["b"].tls = theirs.issue(folder, "b");
  }
  SECTION("none") {
    all["b"].tls.reset();
  }
  all["a"].start();
  all["b"].start();
  CHECK(all["b"].log.wait_for("a apart"));
  CHECK(all["a"].log.wait_for("b apart"));
  CHECK(refusal(all["b"].session(all.session_on("a")).send(propose_plan{shop_plan()}))
        == errc::node_unavailable);
  CHECK_FALSE(all["a"].has(all.session_on("a")));
  CHECK_FALSE(all["b"].log.has("a connected"));
}

TEST_CASE("files that a node cannot speak by are refused when it is made") {
  temporary_directory folder;
  const authority ours{"ours"};
  const authority theirs{"theirs"};
  const auto good = ours.issue(folder, "a");
  CHECK(refused(good) == "accepted");
  auto files = good;
  files.certificate = folder.path() / "none";
  CHECK(mentions(refused(files), "none cannot be read"));
  files = good;
  files.certificate = folder.put("empty", "");
  CHECK(mentions(refused(files), "is no certificate in PEM"));
  files = good;
  files.key = good.certificate;
  CHECK(mentions(refused(files), "is no private key in PEM without a passphrase"));
  files = good;
  files.key = ours.issue(folder, "b").key;
  CHECK(mentions(refused(files), "is not the key of the certificate"));
  files = good;
  files.authority = theirs.issue(folder, "c").authority;
  CHECK(mentions(refused(files), "is not accepted: "));
  files = good;
  files.authority = folder.put("nobody", "");
  CHECK(mentions(refused(files), "has no certificate in PEM"));
  CHECK(mentions(refused(ours.issue(folder, "old", -60s)), "certificate has expired"));
}

} // namespace cluster_tls_test
