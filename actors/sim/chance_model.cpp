#include <fermata/actors/sim/chance_model.hpp>

#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/sim/sample.hpp>
#include <fermata/storage/record_codec.hpp>

#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <cmath>
#include <coroutine>
#include <string>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;

/// A model that is out of order is so for so long.
constexpr std::chrono::nanoseconds outage = std::chrono::minutes{5};
/// A conversation does not get longer than that.
constexpr std::size_t most_turns = 10;
/// How much less likely calls are with each turn.
constexpr double fading = 0.8;

/// The goal of the plans that it proposes. Whoever works on one of them does not propose another,
/// or plans would follow each other for ever.
constexpr std::string_view own_goal = "what the model makes of it";

constexpr std::string_view proposing = "propose_plan";
constexpr std::string_view handing_over = "hand_over";

std::uint32_t checksum(std::string_view text, std::uint32_t crc) {
  return crc32c({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, crc);
}

/// Stands for a whole conversation.
std::uint32_t checksum(const model_request& request) {
  std::uint32_t crc = 0;
  for (const auto& message : request.messages) {
    crc = checksum(message.text, crc);
    for (const auto& call : message.calls) {
      crc = checksum(call.name, crc);
      crc = checksum(call.arguments, crc);
    }
  }
  return crc;
}

/// The arguments of a call that proposes a plan; now and then a plan that is none.
json write_plan(const model_tool& offered, seeded_random& random) {
  const auto& properties =
      offered.schema.at("properties").at("subtasks").at("items").at("properties");
  auto subtasks = json::array();
  const auto count = 1 + random.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    json one = {{"id", "part-" + std::to_string(i + 1)}, {"description", "a part of it"}};
    if (const auto& agent = properties.at("agent"); agent.contains("enum"))
      one["agent"] = sample(agent, random);
    if (i > 0 && random.chance(0.5))
      one["depends_on"] = {"part-" + std::to_string(i)};
    subtasks.push_back(std::move(one));
  }
  if (random.chance(0.1))
    subtasks.front()["depends_on"] = {"no-such-part"};
  return {{"goal", own_goal}, {"subtasks", std::move(subtasks)}};
}

const model_tool* find_tool(const model_request& request, std::string_view name) {
  const auto found = std::find_if(request.tools.begin(), request.tools.end(),
                                  [&](const model_tool& one) { return one.name == name; });
  return found == request.tools.end() ? nullptr : &*found;
}

/// The task, which comes first, has the plan's goal in it.
bool works_on_own_plan(const model_request& request) {
  return std::any_of(request.messages.begin(), request.messages.end(), [](const auto& message) {
    return message.role == model_role::user && message.text.find(own_goal) != std::string::npos;
  });
}

} // namespace

coro::task<model_reply> chance_model::complete(caf::event_based_actor* self,
                                               const model_request& request,
                                               const text_sink& on_text) {
  const auto turns = static_cast<std::size_t>(
      std::count_if(request.messages.begin(), request.messages.end(),
                    [](const auto& message) { return message.role == model_role::assistant; }));
  seeded_random random{seed_ ^ (std::uint64_t{checksum(request)} << 16)};
  const auto time = random.between(character_.least_time, character_.most_time);
  const bool stalls = random.chance(character_.stalls);
  const bool refuses = random.chance(character_.refuses);
  co_await coro::delay(self, time);
  if (is_out_of_order(self->clock().now().time_since_epoch()))
    throw coro::failure{make_error(errc::model_failed, "the model is out of order")};
  if (stalls)
    co_await std::suspend_always{};
  if (refuses)
    throw coro::failure{make_error(errc::invalid_field, "the model does not take this")};
  auto reply = reply_to(request, turns, random);
  // In two parts, so that a watcher can be left with half a text.
  const auto half = reply.text.size() / 2;
  on_text(std::string_view{reply.text}.substr(0, half));
  co_await coro::delay(self, time / 4);
  on_text(std::string_view{reply.text}.substr(half));
  co_return reply;
}

bool chance_model::is_out_of_order(std::chrono::nanoseconds at) const {
  seeded_random random{seed_ ^ static_cast<std::uint64_t>(at / outage), "outage"};
  return random.chance(character_.outages);
}

model_reply chance_model::reply_to(const model_request& request, std::size_t turns,
                                   seeded_random& random) const {
  model_reply reply;
  reply.input_tokens = 100 * request.messages.size();
  reply.output_tokens = 20;
  reply.text = "thought " + std::to_string(turns + 1) + ".";
  if (turns >= most_turns)
    return reply;
  if (random.chance(character_.cut_off))
    reply.stop = model_stop::cut_off;
  for (const auto only : {proposing, handing_over}) {
    const auto* offered = find_tool(request, only);
    if (offered == nullptr || !random.chance(character_.proposes)
        || (only == proposing && works_on_own_plan(request)))
      continue;
    const auto arguments =
        only == proposing ? write_plan(*offered, random) : sample(offered->schema, random);
    reply.calls.emplace_back("only", std::string{only}, fermata::to_text(arguments));
    return reply;
  }
  if (request.tools.empty()
      || !random.chance(character_.calls * std::pow(fading, static_cast<double>(turns))))
    return reply;
  for (auto left = 1 + random.below(4); left > 0; --left)
    reply.calls.push_back(write_call(request, random));
  return reply;
}

model_call chance_model::write_call(const model_request& request, seeded_random& random) const {
  const auto& chosen = request.tools[random.below(request.tools.size())];
  model_call written{"call", chosen.name, fermata::to_text(sample(chosen.schema, random))};
  if (random.chance(character_.unknown_tools))
    written.name = "a tool that nobody offered";
  if (random.chance(character_.invalid))
    written.arguments =
        random.chance(0.5) ? "{\"half\": of a" : fermata::to_text(misfit(chosen.schema, random));
  return written;
}

} // namespace fermata::sim
