#pragma once

#include <fermata/actors/model.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>

namespace fermata::sim {

/// How a simulated model behaves. Probabilities are from 0 to 1; without any of them it says one
/// thing and is done.
struct model_character {
  std::chrono::milliseconds least_time{100};
  std::chrono::milliseconds most_time{20'000};
  double calls = 0;         ///< Calls tools, up to four at once; less likely with each turn.
  double invalid = 0;       ///< Of calls: the arguments do not fit, or are no JSON.
  double unknown_tools = 0; ///< Of calls: of a tool that was not offered.
  double proposes = 0;      ///< Where it may: proposes a plan, hands over.
  double cut_off = 0;       ///< Ends at its limit of output.
  double stalls = 0;        ///< Never answers: the caller's time limit ends it.
  double refuses = 0;       ///< Fails for good.
  double outages = 0;       ///< Of the time: fails in a way that passes by itself.

  model_character() = default;
  friend bool operator==(const model_character&, const model_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("least_time_ms", &model_character::least_time),
                      optional_field("most_time_ms", &model_character::most_time),
                      optional_field("calls", &model_character::calls),
                      optional_field("invalid", &model_character::invalid),
                      optional_field("unknown_tools", &model_character::unknown_tools),
                      optional_field("proposes", &model_character::proposes),
                      optional_field("cut_off", &model_character::cut_off),
                      optional_field("stalls", &model_character::stalls),
                      optional_field("refuses", &model_character::refuses),
                      optional_field("outages", &model_character::outages)};
  }
};

/// A model whose replies the seed and the conversation decide, and nothing else, so that a step
/// that runs again gets the same one (P7). Only whether it is out of order depends on the time.
/// Every conversation ends after some turns.
class chance_model final : public model {
public:
  chance_model(std::uint64_t seed, model_character character)
      : seed_{seed}, character_{character} {}

  [[nodiscard]] coro::task<model_reply> complete(caf::event_based_actor* self,
                                                 const model_request& request,
                                                 const text_sink& on_text) override;

private:
  [[nodiscard]] bool is_out_of_order(std::chrono::nanoseconds at) const;
  [[nodiscard]] model_reply reply_to(const model_request& request, std::size_t turns,
                                     seeded_random& random) const;
  [[nodiscard]] model_call write_call(const model_request& request, seeded_random& random) const;

  std::uint64_t seed_;
  model_character character_;
};

} // namespace fermata::sim
