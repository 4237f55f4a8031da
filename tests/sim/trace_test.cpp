#include <fermata/actors/sim/trace.hpp>

#include <fermata_catch.hpp>

#include <algorithm>

namespace trace_test {

using namespace fermata::sim;

namespace {

trace_entry entry(std::chrono::milliseconds at, std::string node, std::string session,
                  std::string text) {
  trace_entry made;
  made.at = at;
  made.step = 7;
  made.node = std::move(node);
  made.session = std::move(session);
  made.text = std::move(text);
  return made;
}

} // namespace

TEST_CASE("a trace entry is described by its time, node, session and text") {
  using namespace std::chrono_literals;
  CHECK(describe(entry(26h + 3min + 4s + 5ms, "n1", "s1", "committed 17 call_answered c3"))
        == "1d 02:03:04.005  n1  s1  committed 17 call_answered c3");
  CHECK(describe(entry(0ms, "", "", "begins")) == "0d 00:00:00.000  -  -  begins");
}

TEST_CASE("a trace entry is one line, whatever its text quotes") {
  const auto text = describe(entry({}, "n1", "s1", "says \"a\nb\x1b[2J\""));
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("a\\u000ab\\u001b[2J") != std::string::npos);
}

TEST_CASE("a timeline has columns, and leaves the turns out") {
  const trace of{entry({}, "n1", "session-1", "a"), entry({}, "", "s", "b")};
  CHECK(timeline(of)
        == "0d 00:00:00.000  n1  session-1  a\n"
           "0d 00:00:00.000  -   s          b\n");
  CHECK(to_text(of)
        == "7  0d 00:00:00.000  n1  session-1  a\n"
           "7  0d 00:00:00.000  -  s  b\n");
}

TEST_CASE("of a long timeline the end is shown, and how much was before it") {
  const trace of{entry({}, "a-long-name", "s", "a"), entry({}, "n1", "s", "b"),
                 entry({}, "n1", "s", "c")};
  CHECK(timeline(of, 2)
        == "(1 lines before)\n"
           "0d 00:00:00.000  n1  s  b\n"
           "0d 00:00:00.000  n1  s  c\n");
  CHECK(timeline(of, 3) == timeline(of));
  CHECK(timeline({}, 0).empty());
}

TEST_CASE("the first difference of two traces is named") {
  const trace one{entry({}, "n1", "s", "a"), entry({}, "n1", "s", "b")};
  auto other = one;
  CHECK(first_difference(one, other).empty());
  other[1].text = "c";
  const auto text = first_difference(one, other);
  CHECK(text.find("line 2") != std::string::npos);
  CHECK(text.find("s  a\n") != std::string::npos);
  CHECK(text.find("s  b\n") != std::string::npos);
  CHECK(text.find("s  c\n") != std::string::npos);
}

TEST_CASE("a trace that ends early differs where it ends") {
  const trace one{entry({}, "n1", "s", "a"), entry({}, "n1", "s", "b")};
  const trace other{one[0]};
  CHECK(first_difference(one, other).find("(the end)") != std::string::npos);
  CHECK(first_difference(other, one).find("(the end)") != std::string::npos);
  CHECK(first_difference({}, one).find("line 1") != std::string::npos);
}

TEST_CASE("traces that differ in the number of a turn alone are not the same") {
  const trace one{entry({}, "n1", "s", "a")};
  auto other = one;
  ++other[0].step;
  CHECK_FALSE(first_difference(one, other).empty());
}

} // namespace trace_test
