// The `model` port: streaming, limits, and whatever a model may do wrong; and the scripted model.

#include "model_support.hpp"

#include <limits>

namespace model_test {

using namespace agents_test;

namespace {

/// A model with its own idea of what to do when its text is refused.
class stubborn_model final : public model {
public:
  explicit stubborn_model(bool complains = false) : complains_{complains} {}

  coro::task<model_reply> complete(caf::event_based_actor*, const model_request&,
                                   const text_sink& on_text) override {
    return run(on_text, complains_);
  }

private:
  static coro::task<model_reply> run(const text_sink& on_text, bool complains) {
    try {
      for (int i = 0; i < 10; ++i)
        on_text("far too much");
    } catch (const std::exception&) {
      if (complains)
        throw std::runtime_error{"something else"};
    }
    model_reply reply;
    reply.text = "short";
    co_return reply;
  }

  bool complains_;
};

scripted_reply counted(scripted_reply reply, std::uint64_t input, std::uint64_t output) {
  reply.reply.input_tokens = input;
  reply.reply.output_tokens = output;
  return reply;
}

model_options limited(std::size_t reply_size_bytes) {
  model_options options;
  options.reply_size_bytes = reply_size_bytes;
  return options;
}

} // namespace

TEST_CASE("what a model says is shown part by part as it comes") {
  desk at;
  auto slowly = streaming({"one ", "two ", "three"});
  slowly.pause = 10s;
  at.add_model({slowly});
  CHECK(at.asked() == "nothing yet");
  CHECK(at.shown == std::vector<std::string>{"one "});
  at.world.advance(10s);
  CHECK(at.shown == std::vector<std::string>{"one ", "two "});
  CHECK(at.answer() == "nothing yet");
  at.world.advance(10s);
  CHECK(at.shown.size() == 3);
  CHECK(at.answer() == "one two three");
}

TEST_CASE("a character that comes in two parts is shown whole") {
  desk at;
  at.add_model({streaming({"a\xE2", "\x82", "\xACz"})});
  CHECK(at.asked() == "a\xE2\x82\xACz");
  CHECK(at.shown == std::vector<std::string>{"a", "\xE2\x82\xACz"});
}

TEST_CASE("nobody has to watch a model") {
  desk at;
  at.ctx.show_text = nullptr;
  at.add_model({streaming({"o", "k"})});
  CHECK(at.asked() == "ok");
}

TEST_CASE("a model that never ends fails at its time limit, and nothing of it is left") {
  desk at;
  model_options options;
  options.time_limit = 20s;
  at.add_model({scripted_reply::silence()}, options);
  CHECK(at.asked() == "nothing yet");
  at.world.advance(19s);
  CHECK(at.answer() == "nothing yet");
  at.world.advance(1s);
  CHECK(at.answer()
        == "model_failed: model \"default\" did not answer within its time limit of 20000 ms");
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a model that is slower than its time limit fails, whatever it would have said") {
  desk at;
  model_options options;
  options.time_limit = 20s;
  auto late = scripted_reply::says("late");
  late.delay = 21s;
  at.add_model({late}, options);
  CHECK(at.asked() == "nothing yet");
  at.world.advance(30s);
  CHECK(at.answer().starts_with("model_failed: "));
}

TEST_CASE("a time limit of 0 is none") {
  desk at;
  model_options options;
  options.time_limit = 0s;
  auto late = scripted_reply::says("late");
  late.delay = 240h;
  at.add_model({late}, options);
  CHECK(at.asked() == "nothing yet");
  at.world.advance(240h);
  CHECK(at.answer() == "late");
}

TEST_CASE("a model that goes on and on is stopped by the limit of its reply while it streams") {
  desk at;
  auto babbling = streaming({"bla "});
  babbling.babbles = true;
  babbling.pause = 1s;
  at.add_model({babbling}, limited(10));
  CHECK(at.asked() == "nothing yet");
  at.world.advance(1s);
  CHECK(at.answer() == "nothing yet");
  at.world.advance(1s);
  CHECK(at.answer()
        == "model_failed: model \"default\" said more than it may: the limit reply_size_bytes is "
           "10");
  CHECK(at.shown.size() == 2);
}

TEST_CASE("a model that goes on for ever in small bits is stopped by its time limit") {
  desk at;
  auto babbling = streaming({"."});
  babbling.babbles = true;
  babbling.pause = 10s;
  at.add_model({babbling});
  CHECK(at.asked() == "nothing yet");
  for (int i = 0; i < 30; ++i)
    at.world.advance(10s);
  CHECK(at.answer().starts_with("model_failed: model \"default\" did not answer within"));
}

TEST_CASE("a model that overlooks that its text is refused, or makes something of it, is refused "
          "all the same") {
  for (const bool complains : {false, true}) {
    desk at;
    CHECK_FALSE(at.models.add("default", std::make_shared<stubborn_model>(complains), limited(20)));
    CHECK(at.asked().starts_with("model_failed: model \"default\" said more than it may"));
  }
}

TEST_CASE("a reply that is too large as a whole is refused, calls included") {
  desk at;
  auto quiet = scripted_reply::says("12345");
  quiet.parts = {"1"};
  auto calling = writes("read_file", "123456789");
  at.add_model({quiet, quiet, calling}, limited(5));
  CHECK(at.asked() == "12345");
  quiet.reply.text += "6";
  desk other;
  other.add_model({quiet, calling}, limited(5));
  CHECK(other.asked().starts_with("model_failed: model \"default\" said more than it may"));
  CHECK(other.asked().starts_with("model_failed: model \"default\" said more than it may"));
}

TEST_CASE("a model that says nothing at all has failed") {
  desk at;
  at.add_model({{}, scripted_reply::says(" \n\t"), cut_off({}), writes("read_file", "{}")});
  CHECK(at.asked() == "model_failed: model \"default\" said nothing at all");
  CHECK(at.asked() == "model_failed: model \"default\" said nothing at all");
  CHECK(at.asked()
        == "model_failed: model \"default\" was cut off at its limit of output before it said "
           "anything");
  CHECK(at.asked().empty());
}

TEST_CASE("a model that says something that is not UTF-8 has failed") {
  desk at;
  const std::string refusal = "model_failed: model \"default\" said something that is not UTF-8";
  auto unstreamed = scripted_reply::says("x\xE2\x82");
  unstreamed.parts = {"x"};
  std::vector<model_call> odd_id;
  odd_id.emplace_back("\xFF", "read_file", "{}");
  at.add_model({scripted_reply::says("\xC3("), streaming({"\xE2\x82", "("}), unstreamed,
                writes("read\xFF", "{}"), writes("read_file", "{\"a\": \"\xFF\"}"),
                scripted_reply::calls(odd_id)});
  for (int i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(at.asked() == refusal);
  }
  CHECK(at.shown == std::vector<std::string>{"x"});
}

TEST_CASE("what a model was asked for is counted, also when its reply is refused or never comes") {
  desk at;
  model_options options;
  options.time_limit = 1s;
  const auto all = std::numeric_limits<std::uint64_t>::max();
  at.add_model({counted(scripted_reply::says("ok"), 10, 2), counted({}, 100, 20),
                scripted_reply::fails(make_error(errc::model_failed, "busy")),
                scripted_reply::silence(), counted(scripted_reply::says("ok"), all, 1)},
               options);
  CHECK(at.asked() == "ok");
  CHECK(at.ctx.usage == model_usage{1, 10, 2});
  CHECK(at.asked().starts_with("model_failed: "));
  CHECK(at.ctx.usage == model_usage{2, 110, 22});
  CHECK(at.asked() == "model_failed: busy");
  CHECK(at.ctx.usage == model_usage{3, 110, 22});
  CHECK(at.asked() == "nothing yet");
  at.world.advance(1s);
  CHECK(at.ctx.usage == model_usage{4, 110, 22});
  CHECK(at.asked() == "ok");
  CHECK(at.ctx.usage == model_usage{5, all, 23});
}

TEST_CASE("a model that there is not is refused with the names of those there are") {
  desk at;
  CHECK(at.asked() == "invalid_field: no model is called \"default\"; registered are: none");
  at.add_model({}, {}, "small");
  at.add_model({}, {}, "large");
  CHECK(at.asked()
        == "invalid_field: no model is called \"default\"; registered are: \"large\", \"small\"");
  at.ctx.models = nullptr;
  CHECK(at.asked() == "invalid_field: no model is called \"default\"; registered are: none");
  CHECK(at.ctx.usage == model_usage{});
}

TEST_CASE("a registry refuses a second model of one name, and what is no model") {
  model_registry models;
  const auto made = std::make_shared<stubborn_model>();
  model_options odd;
  odd.time_limit = -1ms;
  CHECK(verdict_on(models.add("m", made)) == "accepted");
  CHECK(verdict_on(models.add("m", made))
        == "invalid_field: model \"m\" refused: there is one of that name");
  CHECK(verdict_on(models.add("", made)) == "invalid_field: model \"\" refused: it has no name");
  CHECK(verdict_on(models.add("n", nullptr))
        == "invalid_field: model \"n\" refused: there is no model");
  CHECK(verdict_on(models.add("o", made, odd))
            .starts_with("invalid_field: model \"o\" refused: its time limit must be from 0 to"));
  CHECK(models.find("m") != nullptr);
  CHECK(models.find("n") == nullptr);
  CHECK(models.all().size() == 1);
}

TEST_CASE("a conversation that is too large for a model is refused by name of the limit") {
  desk at;
  model_options options;
  options.request_size_bytes = 4;
  at.add_model({scripted_reply::says("ok")}, options);
  CHECK(at.asked("12345").starts_with("limit_exceeded: "));
  CHECK(contains(at.answer(), "request_size_bytes"));
  CHECK(at.asked("1234") == "ok");
}

TEST_CASE("a conversation in which a call has not exactly one result right behind it is refused") {
  const model_call one{"1", "read_file", "{}"};
  const model_call two{"2", "read_file", "{}"};
  model_message user{model_role::user, "do it"};
  model_message calls{model_role::assistant, ""};
  calls.calls = {one, two};
  model_message first{model_role::tool, "r"};
  first.call = "1";
  model_message second{model_role::tool, "r"};
  second.call = "2";
  const auto check = [](std::vector<model_message> messages) {
    model_request request;
    request.messages = std::move(messages);
    return verdict_on(check_conversation(request));
  };
  CHECK(check({user, calls, second, first}) == "accepted");
  CHECK(check({user, calls, first, second, user}) == "accepted");
  CHECK(check({}) == "invalid_field: messages: at least one is needed");
  CHECK(check({user, calls, first})
        == "invalid_field: messages[3]: the call \"2\" has no result right behind it");
  CHECK(check({user, calls, first, user, second})
        == "invalid_field: messages[3]: the call \"2\" has no result right behind it");
  const std::string twice = "which is no call of the assistant right before it, or has a result "
                            "already";
  CHECK(check({user, calls, first, second, second})
        == "invalid_field: messages[4]: this is the result of \"2\", " + twice);
  CHECK(check({user, first})
        == "invalid_field: messages[1]: this is the result of \"1\", " + twice);
  CHECK(check({user, calls, first, second, calls, first, second})
        == "invalid_field: messages[4]: the call id \"1\" is empty, or that of another call");
  calls.calls = {one, one};
  CHECK(check({user, calls, first})
        == "invalid_field: messages[1]: the call id \"1\" is empty, or that of another call");
  calls.calls = {model_call{"", "read_file", "{}"}};
  CHECK(check({user, calls}).starts_with("invalid_field: messages[1]: the call id \"\" is empty"));
  user.calls = {one};
  CHECK(check({user}) == "invalid_field: messages[0]: only an assistant calls tools");
}

TEST_CASE("a model is not asked to continue a conversation that is not whole") {
  desk at;
  const auto asked = at.add_model({scripted_reply::says("ok")});
  model_request request;
  request.messages.emplace_back(model_role::assistant, "");
  request.messages.back().calls.emplace_back("1", "read_file", "{}");
  at.ask(std::move(request));
  CHECK(at.answer().starts_with("invalid_field: messages[1]: "));
  CHECK(asked->requests().empty());
  CHECK(at.ctx.usage == model_usage{});
}

// -- the scripted model ---------------------------------------------------------------------------

TEST_CASE("a scripted model says what it is told in order, and then that it has no more") {
  desk at;
  at.add_model({scripted_reply::says("1"), scripted_reply::says("2")});
  CHECK(at.asked() == "1");
  CHECK(at.asked() == "2");
  CHECK(at.asked() == "invalid_field: the scripted model is asked for reply 3; it has 2");
}

TEST_CASE("a model that is scripted by turn says the same to an equal conversation") {
  desk at;
  const auto added = std::make_shared<scripted_model>(
      by_turn({scripted_reply::calls("read_file", json::object()), scripted_reply::says("done")}));
  CHECK_FALSE(at.models.add("default", added));
  CHECK(at.next() == "call read_file {}");
  CHECK(at.next() == "call read_file {}");
  auto& calls = at.entry(entry_source::agent, "");
  at.call(calls, "read_file", json::object(), {call_outcome::succeeded, "A"});
  CHECK(at.next() == R"(finish "done")");
}

} // namespace model_test
