#pragma once

#include <fermata/actors/coro/task.hpp>
#include <fermata/messages/json.hpp>

#include <caf/fwd.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The port through which agents reach language models. Fermata brings no network client; a host
/// registers what implements `model`. For tests there is models/scripted.hpp.
namespace fermata {

class step_context;

/// A tool as a model is told of it.
struct model_tool {
  std::string name;
  std::string description;
  json schema; ///< The JSON Schema of its arguments; null: any object.

  model_tool() = default;
  model_tool(std::string called, std::string does, json arguments)
      : name{std::move(called)}, description{std::move(does)}, schema(std::move(arguments)) {}
};

/// A tool call as a model wrote it: nothing of it has been checked.
struct model_call {
  std::string id; ///< The model's own name for it within its reply; may be empty or repeated.
  std::string name;
  std::string arguments; ///< JSON text, or what the model took for it.

  model_call() = default;
  model_call(std::string by_id, std::string tool, std::string with)
      : id{std::move(by_id)}, name{std::move(tool)}, arguments{std::move(with)} {}
};

enum class model_role : std::uint8_t { system, user, assistant, tool };
constexpr std::array<std::string_view, 4> enum_names(model_role) {
  return {"system", "user", "assistant", "tool"};
}

/// One message of a conversation.
struct model_message {
  model_role role = model_role::user;
  std::string text;
  std::vector<model_call> calls; ///< Of an assistant.
  std::string call;              ///< Of a tool: the id of the call that this is the result of.
  bool is_error = false;         ///< Of a tool: the call did not succeed.

  model_message() = default;
  model_message(model_role by, std::string said) : role{by}, text{std::move(said)} {}
};

/// What a model is asked to continue.
struct model_request {
  std::vector<model_message> messages;
  std::vector<model_tool> tools;

  model_request() = default;
};

/// Why a model stopped.
enum class model_stop : std::uint8_t {
  finished, ///< It said what it had to say, or calls tools.
  cut_off   ///< Its own limit of output was reached: what it said is not whole.
};

/// A model's whole reply; what was streamed is a part of it.
struct model_reply {
  std::string text;
  std::vector<model_call> calls;
  model_stop stop = model_stop::finished;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;

  model_reply() = default;
};

/// Called with each part of the reply's text as it comes; a part may end within a character. Called
/// on the actor that the model runs for, until its task ends or is destroyed. Throws
/// `coro::failure` when the reply is refused, which the model lets pass.
using text_sink = std::function<void(std::string_view)>;

/// A language model. One object serves all sessions of a runtime, on many threads at once.
class model {
public:
  model() = default;
  model(const model&) = delete;
  model& operator=(const model&) = delete;
  virtual ~model() = default;

  /// Continues a conversation. Runs on `self`, the session's actor, and must not block; what it
  /// awaits may take as long as it likes, since the caller limits the time. It is cancelled by
  /// destroying the task. `request` and `on_text` outlive the task. Failures are thrown as
  /// `coro::failure`: `model_failed` for one that may pass by itself, any other for one that will
  /// not.
  [[nodiscard]] virtual coro::task<model_reply> complete(caf::event_based_actor* self,
                                                         const model_request& request,
                                                         const text_sink& on_text) = 0;
};

/// How a model is used.
struct model_options {
  std::chrono::milliseconds time_limit{300'000}; ///< Of one request; 0: it may take for ever.
  std::size_t reply_size_bytes = 1'000'000; ///< Text and calls of one reply, also while it streams.
  std::size_t request_size_bytes = 8'000'000; ///< Texts and calls of one conversation.

  model_options() = default;
};

/// The models of a runtime. Filled before the runtime starts, read-only and shared by all its
/// threads afterwards.
class model_registry {
public:
  struct entry {
    std::shared_ptr<model> what;
    model_options options;

    entry(std::shared_ptr<model> registered, model_options used)
        : what{std::move(registered)}, options{used} {}
  };

  /// Errors: `invalid_field` for a second model of one name, an empty name, no model, or a time
  /// limit that is negative or longer than `max_duration`.
  [[nodiscard]] caf::error add(std::string name, std::shared_ptr<model> added,
                               model_options options = {});

  /// Nothing when there is none of that name. Valid as long as the registry.
  [[nodiscard]] const entry* find(std::string_view name) const noexcept;

  [[nodiscard]] const std::map<std::string, entry, std::less<>>& all() const noexcept {
    return models_;
  }

private:
  std::map<std::string, entry, std::less<>> models_;
};

/// Checks what models demand of a conversation, and refuse or make up where it is missing: there is
/// a message, every call has an id of its own, and every call of an assistant has exactly one
/// result, right behind it. Errors: `invalid_field`, naming the message and the call.
[[nodiscard]] caf::error check_conversation(const model_request& request);

/// Asks a model from within an agent's step: within its time limit and sizes, showing whole
/// characters to `ctx.show_text` as they come, and counting in `ctx.usage`, also for a reply that
/// is refused. `ctx` outlives the task, which runs on `ctx.self`.
///
/// Throws `coro::failure`: `model_failed` when the model does not answer in time, says nothing at
/// all, more than it may (reply_size_bytes), or something that is not UTF-8; what the model throws;
/// `invalid_field` when there is no model of that name, naming those there are, and that of
/// `check_conversation`; `limit_exceeded` (request_size_bytes).
[[nodiscard]] coro::task<model_reply> complete(step_context& ctx, std::string name,
                                               model_request request);

} // namespace fermata
