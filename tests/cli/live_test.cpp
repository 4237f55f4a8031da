// What a terminal shows of agents and tools while they are at work.
#include "captured_output.hpp"
#include "live_feed.hpp"
#include "live_view.hpp"

#include <fermata_catch.hpp>

#include <vector>

namespace live_test {

using namespace fermata;
using namespace fermata::command_line;
using fermata::test::captured_output;

namespace {

const auto session = *session_id::parse("s");
const auto writer = *subtask_id::parse("write");

/// What is printed of some updates and events. Assertions come afterwards: their reports would be
/// captured too.
template <class Act>
std::string shown(Act act) {
  captured_output output;
  {
    console out{false};
    live_view view{out, session};
    act(view);
  }
  return output.take();
}

live_update text(std::string content) {
  live_update update;
  update.session = session;
  update.subtask = writer;
  update.content = std::move(content);
  return update;
}

live_update progress(std::uint64_t call, json content) {
  live_update update;
  update.session = session;
  update.call = call_id{session, call};
  update.kind = live_kind::progress;
  update.content = std::move(content);
  return update;
}

live_feed::batch of(std::vector<live_update> updates) {
  live_feed::batch made;
  made.updates = std::move(updates);
  return made;
}

event said(std::string what) {
  agent_said body;
  body.subtask = writer;
  body.text = std::move(what);
  event made;
  made.body = std::move(body);
  return made;
}

} // namespace

TEST_CASE("a streamed text is shown line by line, and not again when it is recorded") {
  bool is_shown = false;
  const auto output = shown([&](live_view& view) {
    view.show(of({text("Hello"), text(", wor")}));
    view.show(of({text("ld.\nAnd"), text(" more")}));
    is_shown = view.finish(said("Hello, world.\nAnd more"));
  });
  CHECK(is_shown);
  CHECK(output.find("write says:\n") == 0);
  CHECK(output.find("Hello, world.\n") != std::string::npos);
  CHECK(output.find("And more\n") != std::string::npos);
}

TEST_CASE("a recorded text is shown when it is not what was streamed") {
  std::vector<bool> are_shown;
  static_cast<void>(shown([&](live_view& view) {
    view.show(of({text("Hello")}));
    are_shown.push_back(view.finish(said("Hello, world")));
    are_shown.push_back(view.finish(said("Hello")));
    auto partly = of({text("Hello")});
    partly.is_complete = false;
    view.show(partly);
    are_shown.push_back(view.finish(said("Hello")));
  }));
  CHECK(are_shown == std::vector{false, false, false});
}

TEST_CASE("a step that runs again takes back what it said") {
  bool is_shown = false;
  const auto output = shown([&](live_view& view) {
    auto again = text({});
    again.kind = live_kind::restarted;
    again.content = nullptr;
    view.show(of({text("Wrong"), again, text("Right")}));
    is_shown = view.finish(said("Right"));
  });
  CHECK(is_shown);
  CHECK(output.find("what it said is void") > output.find("Wrong"));
}

TEST_CASE("streamed text and progress are escaped, and long lines are broken") {
  const std::string evil = "\x1b[2J\u202E\r";
  const auto output = shown([&](live_view& view) {
    view.show(of({text(evil), text(std::string(300, 'x')), progress(1, evil)}));
    static_cast<void>(view.finish(said({})));
  });
  INFO(output);
  CHECK(output.find('\x1b') == std::string::npos);
  CHECK(output.find("\u202E") == std::string::npos);
  CHECK(output.find('\r') == std::string::npos);
  CHECK(output.find("<U+001B>[2J<U+202E><U+000D>") != std::string::npos);
  CHECK(output.find(std::string(100, 'x')) == std::string::npos);
}

TEST_CASE("of a tool's reports that come at once the last is shown, and none of other sessions") {
  const auto output = shown([](live_view& view) {
    auto other = progress(1, "foreign");
    other.session = *session_id::parse("t");
    view.show(of({progress(1, {{"percent", 10}}), progress(2, "half"),
                  progress(1, {{"percent", 20}}), other}));
  });
  CHECK(output == "s:c1: {\"percent\":20}\ns:c2: \"half\"\n");
}

TEST_CASE("a feed that nobody takes from is bounded, and says that something is missing") {
  live_feed feed;
  CHECK(feed.take().updates.empty());
  for (int i = 0; i < 100; ++i)
    feed.push(text(std::string(100'000, 'x')));
  const auto full = feed.take();
  CHECK_FALSE(full.is_complete);
  CHECK(full.updates.size() < 50);
  feed.push(text("next"));
  const auto next = feed.take();
  CHECK(next.is_complete);
  CHECK(next.updates.size() == 1);
}

} // namespace live_test
