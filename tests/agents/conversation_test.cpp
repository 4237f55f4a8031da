// What reaches a model of what is recorded.

#include "model_support.hpp"

namespace conversation_test {

using namespace agents_test;

TEST_CASE("a model is told the goal, the subtask, and what its dependencies left") {
  desk at;
  at.ctx.dependencies.resize(2);
  at.ctx.dependencies[0].subtask = make<subtask_id>("collect");
  at.ctx.dependencies[0].result = json{{"found", 3}};
  at.ctx.dependencies[1].subtask = make<subtask_id>("look-up");
  at.ctx.dependencies[1].status = subtask_status::skipped;
  conversation_options options;
  options.system = "Be brief.";
  CHECK(told(at.conversation(options))
        == "system: Be brief.\n"
           "user: The goal of the plan:\na goal\n\nYour subtask in it (work):\nDo it.\n\n"
           "What subtask collect left:\n{\"found\":3}\n\n"
           "What subtask look-up left: nothing, it was skipped\n\n");
}

TEST_CASE("users' messages from before come behind the task, and later ones where they came") {
  desk at;
  at.earlier.resize(2);
  at.earlier[0].text = "first";
  at.earlier[1].text = "second";
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json{{"path", "a"}}, {call_outcome::succeeded, "A"});
  at.entry(entry_source::user, "third");
  at.entry(entry_source::user, "fourth");
  CHECK(after_task(at.conversation())
        == "user: first\nuser: second\n"
           "assistant:  <c1 read_file {\"path\":\"a\"}>\ntool c1: A\n"
           "user: third\nuser: fourth\n");
}

TEST_CASE(
    "what was said with calls is one message with them, with the results in order behind it") {
  desk at;
  at.entry(entry_source::agent, "I look.");
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json{{"path", "a"}}, {call_outcome::succeeded, "A"});
  at.call(calls, "read_file", json{{"path", "b"}}, {call_outcome::succeeded, json{{"b", 1}}});
  CHECK(after_task(at.conversation())
        == "assistant: I look. <c1 read_file {\"path\":\"a\"}> <c2 read_file {\"path\":\"b\"}>\n"
           "tool c1: A\ntool c2: {\"b\":1}\n");
}

TEST_CASE("whatever became of a call, the model sees one result that says so") {
  desk at;
  const auto succeeded = call_outcome::succeeded;
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json::object(),
          {call_outcome::failed, json{{"error", "tool_failed"}, {"message", "no such file"}}});
  at.call(calls, "write_file", json::object(),
          {call_outcome::rejected, json{{"rejected", true}, {"feedback", "not there"}}});
  at.call(calls, "write_file", json::object(),
          {call_outcome::expired, json{{"expired", true}, {"reason", ""}}});
  at.call(calls, "write_file", json::object(),
          {call_outcome::cancelled, json{{"cancelled", true}, {"reason", "enough"}}});
  at.call(calls, "write_file", json{{"path", "a"}}, {succeeded, "done"}).ran = json{{"path", "b"}};
  at.call(calls, "write_file", json::object(), {succeeded, "as if"}).by_person = true;
  at.call(calls, "ask_human", json{{"question", "?"}}, {succeeded, "yes"}).by_person = true;
  at.call(calls, "read_file",
          "{\"path\": ", {call_outcome::failed, json{{"error", "invalid_arguments"}}});
  at.call(calls, "read_file", json::object(), {succeeded, nullptr});

  const auto conversation = at.conversation();
  model_request request;
  request.messages = conversation;
  CHECK(verdict_on(check_conversation(request)) == "accepted");
  REQUIRE(conversation.size() == 11);
  // The model finds what it asked for, and beside the results what ran.
  const auto& made = conversation[1].calls;
  CHECK(made[4].arguments == R"({"path":"a"})");
  CHECK(made[7].arguments == R"({"malformed":"{\"path\": "})");
  const std::vector<std::string> results{
      "[The call failed]\n{\"error\":\"tool_failed\",\"message\":\"no such file\"}",
      "[A person rejected the call; the tool did not run]\n"
      "{\"feedback\":\"not there\",\"rejected\":true}",
      "[The call expired: nobody decided on it or answered it in time]\n"
      "{\"expired\":true,\"reason\":\"\"}",
      "[The call was cancelled]\n{\"cancelled\":true,\"reason\":\"enough\"}",
      "[A person changed the arguments before they approved the call; what ran is write_file "
      "{\"path\":\"b\"}]\ndone",
      "[A person answered in place of the tool, which did not run]\nas if",
      "yes",
      "[The arguments were not valid JSON at line 1, column 10: syntax error while parsing value - "
      "unexpected end of input; expected '[', '{', or a literal]\n[The call failed]\n"
      "{\"error\":\"invalid_arguments\"}",
      "null"};
  const std::vector<bool> errors{true, true, true, true, false, false, false, true, false};
  for (std::size_t i = 0; i < results.size(); ++i) {
    CAPTURE(i);
    CHECK(conversation[i + 2].call == "c" + std::to_string(i + 1));
    CHECK(conversation[i + 2].text == results[i]);
    CHECK(conversation[i + 2].is_error == errors[i]);
  }
}

TEST_CASE("a call that stands twice in a transcript is shown once") {
  desk at;
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json::object(), {call_outcome::succeeded, "A"});
  const auto same = at.transcript.front();
  at.transcript.push_back(same);
  at.transcript.back().calls.push_back(same.calls.front());
  model_request request;
  request.messages = at.conversation();
  CHECK(verdict_on(check_conversation(request)) == "accepted");
  CHECK(after_task(request.messages) == "assistant:  <c1 read_file {}>\ntool c1: A\n");
}

TEST_CASE("what others than a person tell the model is marked as such") {
  desk at;
  at.entry(entry_source::agent, "I give up.");
  at.entry(entry_source::handover, "Mind the gap.");
  at.entry(entry_source::refusal, "The proposed plan is refused: no");
  at.entry(entry_source::runtime, "The proposed plan, revision 2, was rejected: no");
  at.entry(entry_source::timer, "");
  CHECK(after_task(at.conversation())
        == "assistant: I give up.\n"
           "user: [The subtask was handed over to you, with this note]\nMind the gap.\n"
           "user: [This is from the runtime, not from a person]\nThe proposed plan is refused: no\n"
           "user: [This is from the runtime, not from a person]\n"
           "The proposed plan, revision 2, was rejected: no\n");
}

TEST_CASE("a model that said something without an end is asked to go on, each time") {
  desk at;
  at.entry(entry_source::agent, "part 1");
  CHECK(after_task(at.conversation()) == "assistant: part 1\nuser: Go on where you stopped.\n");
  at.entry(entry_source::agent, "part 2");
  CHECK(after_task(at.conversation())
        == "assistant: part 1\nuser: Go on where you stopped.\n"
           "assistant: part 2\nuser: Go on where you stopped.\n");
  at.entry(entry_source::user, "hello?");
  CHECK(after_task(at.conversation())
        == "assistant: part 1\nuser: Go on where you stopped.\n"
           "assistant: part 2\nuser: hello?\n");
}

TEST_CASE("of a long result the middle is left out, at whole characters, and the model is told") {
  CHECK(readable_excerpt("0123456789", 10) == "0123456789");
  CHECK(readable_excerpt("0123456789", 8) == "012345\n[... 2 bytes are left out here ...]\n89");
  CHECK(readable_excerpt("01234\xE2\x82\xAC\xE2\x82\xAC", 8)
        == "01234\n[... 3 bytes are left out here ...]\n\xE2\x82\xAC");
  CHECK(readable_excerpt("a\xFFz", 100) == "a\xEF\xBF\xBDz");
  desk at;
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json::object(),
          {call_outcome::succeeded, std::string(1'000'000, 'x')});
  const auto conversation = at.conversation();
  CHECK(conversation.back().text.size() < 100'100);
  CHECK(contains(conversation.back().text, "[... 900000 bytes are left out here ...]"));
}

TEST_CASE("P7: an equal context gives an equal conversation, and a longer one goes on from it") {
  desk at;
  at.entry(entry_source::agent, "I look.");
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json::object(), {call_outcome::succeeded, "A"});
  const auto before = told(at.conversation());
  CHECK(before == told(at.conversation()));
  at.entry(entry_source::user, "and?");
  CHECK(told(at.conversation()) == before + "user: and?\n");
}

} // namespace conversation_test
