// A conversation: a user's message becomes a plan, a language model works on it, and the user is
// heard while it does. The models are scripted; a host registers ones of its own.
#include "../narrator.hpp"

#include <fermata/actors/agents/model.hpp>
#include <fermata/actors/models/scripted.hpp>
#include <fermata/storage/memory_store.hpp>

#include <algorithm>

using namespace fermata;
using namespace fermata::example;

namespace {

scripted_reply counted(scripted_reply reply, std::uint64_t input_tokens,
                       std::uint64_t output_tokens) {
  reply.reply.input_tokens = input_tokens;
  reply.reply.output_tokens = output_tokens;
  return reply;
}

scripted_reply streamed(scripted_reply reply, std::vector<std::string> parts) {
  reply.parts = std::move(parts);
  for (const auto& part : reply.parts)
    reply.reply.text += part;
  return reply;
}

// Turns what the user says into a plan.
scripted_reply plan(const model_request&) {
  return counted(
      scripted_reply::calls("propose_plan", {{"goal", "A haiku"},
                                             {"subtasks",
                                              {{{"id", "write"},
                                                {"description", "Write a haiku about waiting."},
                                                {"agent", "model"}}}}}),
      120, 40);
}

// Looks for rhymes first; then gives to the editor what it has, and what the user said meanwhile.
scripted_reply write(const model_request& asked) {
  const auto& last = asked.messages.back();
  const bool begins = std::none_of(asked.messages.begin(), asked.messages.end(),
                                   [](const auto& one) { return one.role == model_role::tool; });
  if (begins)
    return counted(streamed(scripted_reply::calls("find_words", {{"about", "waiting"}}),
                            {"Let me ", "look for ", "words."}),
                   200, 12);
  expect(last.role == model_role::user, "the model sees the user's message");
  return counted(
      scripted_reply::calls("hand_over", {{"agent", "editor"}, {"note", "Mind: " + last.text}}),
      260, 20);
}

scripted_reply edit(const model_request&) {
  return counted(streamed(scripted_reply{}, {"Low tide; ", "the boat leans. ", "No hurry."}), 300,
                 17);
}

void add_models_and_agents(runtime& rt) {
  const std::map<std::string, std::string> others{{"model", "writes"}, {"editor", "finishes"}};
  const auto add = [&](const char* agent, scripted_model::script script,
                       model_agent_options options) {
    options.model = agent;
    options.agents = others;
    must(rt.models().add(agent, std::make_shared<scripted_model>(std::move(script))));
    must(rt.agents().add(agent, model_agent(options)));
  };
  model_agent_options planner;
  planner.planner = true;
  model_agent_options writer;
  writer.may_hand_over = true;
  add("planner", plan, planner);
  add("model", write, writer);
  add("editor", edit, {});
  tool words; // the host runs it
  words.name = must(tool_name::parse("find_words"));
  words.description = "Finds words about something.";
  must(rt.tools().add(words));
}

} // namespace

int main() try {
  runtime_options options;
  options.store = std::make_shared<memory_store>();
  options.policy = approval_policy::ask_for_plans();
  options.planner = must(agent_name::parse("planner"));
  options.on_live = [](const live_update& shown) {
    std::cout << "   ~ " << shown.content.get<std::string>() << std::endl;
  };
  runtime rt{options};
  add_models_and_agents(rt);
  rt.start();
  const auto session = rt.session(must(session_id::parse("chat")));
  narrator story{session};

  heading("a user says something to a session that does not exist yet");
  must(session.send(post_message{"Write me a haiku about waiting."}).get());
  story.tell();

  heading("the plan is approved; the model streams what it says, and calls a tool");
  const auto revision = must(session.status()).plan->revision;
  must(session.send(decide_plan{revision, plan_verdict::approve}).get());
  story.tell();

  heading("the user says more while the tool works; the model hears of it with the result");
  must(session.send(post_message{"Let it be about the sea."}).get());
  must(session.send(tool_result{call_id{session.id(), 1}, {"tide", "boat"}}).get());
  const auto status = story.tell();
  expect(status.state == session_state::completed, "the haiku is there");
  std::cout << "   asked models " << status.usage.requests
            << " times: " << status.usage.input_tokens << " tokens in, "
            << status.usage.output_tokens << " out\n";
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
