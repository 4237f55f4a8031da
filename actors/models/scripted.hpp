#pragma once

#include <fermata/actors/model.hpp>

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace fermata {

/// What a `scripted_model` does when it is asked.
struct scripted_reply {
  model_reply reply;
  /// What is streamed, part by part; empty: the reply's text at once.
  std::vector<std::string> parts;
  std::chrono::milliseconds delay{0}; ///< Before anything happens; on the actor's clock.
  std::chrono::milliseconds pause{0}; ///< Between two parts; on the actor's clock.
  bool babbles = false;               ///< Streams its parts again and again, and never ends.
  bool hangs = false;                 ///< Never ends once its parts are streamed.
  caf::error failure;                 ///< Thrown in place of the reply.

  scripted_reply() = default;

  /// Says something and calls nothing.
  [[nodiscard]] static scripted_reply says(std::string text);
  /// Calls one tool; the call's id is "call", each time.
  [[nodiscard]] static scripted_reply calls(std::string tool, const json& arguments);
  /// Says something, or nothing, and calls tools as they are written: whatever is in them.
  [[nodiscard]] static scripted_reply calls(std::vector<model_call> written, std::string text = {});
  [[nodiscard]] static scripted_reply fails(caf::error why);
  /// Never says anything, and never ends.
  [[nodiscard]] static scripted_reply silence();
};

/// A model for tests, which says what it is told to: anything that a model may do wrong as well.
class scripted_model final : public model {
public:
  using script = std::function<scripted_reply(const model_request&)>;

  /// Gives its replies one after the other, to whoever asks; then fails with `invalid_field`. The
  /// place is lost with the object: where a process crashes, use `by_turn`.
  explicit scripted_model(std::vector<scripted_reply> replies);

  /// Asks `answer` each time: on many threads at once where sessions are.
  explicit scripted_model(script answer);

  [[nodiscard]] coro::task<model_reply> complete(caf::event_based_actor* self,
                                                 const model_request& request,
                                                 const text_sink& on_text) override;

  /// What it was asked so far, in order. From any thread.
  [[nodiscard]] std::vector<model_request> requests() const;

private:
  script answer_;
  mutable std::mutex mutex_;
  std::vector<model_request> requests_;
};

/// The n-th reply to a conversation in which there are n messages of the assistant, from 0; then
/// `invalid_field`. It depends on nothing but the conversation, so a step that runs again after a
/// crash gets the same reply. Proposing a plan and handing over leave no message of the assistant.
[[nodiscard]] scripted_model::script by_turn(std::vector<scripted_reply> replies);

} // namespace fermata
