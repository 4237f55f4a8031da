#include <fermata/actors/agents/script.hpp>

#include <fermata/messages/fields.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <span>

namespace fermata {

namespace {

constexpr std::string_view reference_key = "$ref";

/// The longest part of a tool's error that becomes part of the reason why a subtask failed.
constexpr std::size_t max_shown_error_bytes = 1'000;

/// What follows a call that did not succeed.
enum class reaction : std::uint8_t { fail, go_on };
constexpr std::array<std::string_view, 2> enum_names(reaction) {
  return {"fail", "continue"};
}

struct script_call {
  tool_name tool;
  json arguments = json::object();
  std::chrono::milliseconds expires_after{0};

  script_call() = default;
  friend bool operator==(const script_call&, const script_call&) = default;
  static constexpr auto fields() {
    return field_list{field("tool", &script_call::tool),
                      optional_field("arguments", &script_call::arguments),
                      optional_field("expires_after_ms", &script_call::expires_after)};
  }
};

/// One of a script's steps as it is written: `tool` with its arguments, `calls`, or `sleep_ms`.
struct script_step {
  std::optional<std::chrono::milliseconds> sleep;
  std::optional<tool_name> tool;
  json arguments = json::object();
  std::chrono::milliseconds expires_after{0};
  std::vector<script_call> calls;
  reaction on_error = reaction::fail;
  reaction on_rejected = reaction::go_on;

  script_step() = default;
  friend bool operator==(const script_step&, const script_step&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("sleep_ms", &script_step::sleep),
                      optional_field("tool", &script_step::tool),
                      optional_field("arguments", &script_step::arguments),
                      optional_field("expires_after_ms", &script_step::expires_after),
                      optional_field("calls", &script_step::calls),
                      optional_field("on_error", &script_step::on_error),
                      optional_field("on_rejected", &script_step::on_rejected)};
  }
};

std::string indexed(std::string_view name, std::size_t index) {
  return std::string{name} + "[" + std::to_string(index) + "]";
}

std::string member_path(const std::string& path, const std::string& key) {
  return path + "." + (check_id("key", key) ? quoted_excerpt(key) : key);
}

caf::error refuse_step(const std::string& path, const std::string& why) {
  return make_error(errc::invalid_field, path + ": " + why);
}

bool is_several(const json& written) {
  return written.contains("calls");
}

bool is_sleep(const json& written) {
  return written.contains("sleep_ms");
}

/// Reads one of the subtask's steps. Its references are not looked at.
result<script_step> read_step(const subtask_spec& subtask, std::size_t index) {
  const auto path = indexed("steps", index);
  const auto& written = subtask.steps[index];
  auto read = from_json<script_step>(written, unknown_fields::refuse, path);
  if (!read)
    return read;
  if (int{read->tool.has_value()} + is_several(written) + is_sleep(written) != 1)
    return refuse_step(path, "a step has one of \"tool\", \"calls\" and \"sleep_ms\"");
  if (is_sleep(written)) {
    if (written.size() != 1)
      return refuse_step(path, "a step with \"sleep_ms\" has nothing else");
    if (!read->sleep)
      return refuse_step(path + ".sleep_ms", "expected milliseconds, got null");
    return read;
  }
  if (read->tool) {
    script_call only;
    only.tool = *read->tool;
    only.arguments = std::move(read->arguments);
    only.expires_after = read->expires_after;
    read->calls.push_back(std::move(only));
  } else if (written.contains("arguments")) {
    return refuse_step(path + ".arguments", "each of \"calls\" has arguments of its own");
  } else if (written.contains("expires_after_ms")) {
    return refuse_step(path + ".expires_after_ms", "each of \"calls\" has an expiry of its own");
  } else if (read->calls.empty()) {
    return refuse_step(path + ".calls", "at least one call is needed");
  }
  return read;
}

/// The path to the arguments of a step's call.
std::string arguments_path(const subtask_spec& subtask, std::size_t index, std::size_t call) {
  auto path = indexed("steps", index);
  if (is_several(subtask.steps[index]))
    path += "." + indexed("calls", call);
  return path + ".arguments";
}

// -- references -----------------------------------------------------------------------------------

bool is_reference(const json& value) {
  return value.is_object() && value.size() == 1 && value.contains(reference_key);
}

/// The tokens of a JSON Pointer (RFC 6901, sections 3 and 4); nothing when it is not one.
std::optional<std::vector<std::string>> pointer_tokens(std::string_view text) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      tokens.emplace_back();
    } else if (tokens.empty()) {
      return std::nullopt;
    } else if (text[i] != '~') {
      tokens.back() += text[i];
    } else {
      ++i;
      if (i == text.size() || (text[i] != '0' && text[i] != '1'))
        return std::nullopt;
      tokens.back() += text[i] == '0' ? '~' : '/';
    }
  }
  return tokens;
}

/// An array index as RFC 6901 writes it: decimal, without leading zeros.
std::optional<std::size_t> array_index(std::string_view token) {
  std::size_t index = 0;
  const auto* end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, index);
  if (error != std::errc{} || stop != end || (token.front() == '0' && token.size() > 1))
    return std::nullopt;
  return index;
}

/// Where a reference points to: a document's part, and the way down from there.
struct reference {
  const std::string* text = nullptr;
  std::vector<std::string> tokens; ///< As in the text.
  std::size_t step = 0;            ///< For a step's result.

  reference() = default;
  [[nodiscard]] const std::string& root() const { return tokens.front(); }
  [[nodiscard]] std::span<const std::string> way_down() const {
    return std::span{tokens}.subspan(root() == "goal" ? 1 : 2);
  }
};

/// Reads a reference that stands where `steps_before` steps have been taken.
result<reference> read_reference(const json& value, const subtask_spec& subtask,
                                 std::size_t steps_before, const std::string& path) {
  const auto& pointer = value[reference_key];
  if (!pointer.is_string())
    return refuse_step(path, std::string{"a $ref must be a string, not "} + pointer.type_name());
  reference read;
  read.text = &pointer.get_ref<const std::string&>();
  const auto refuse_reference = [&](const std::string& why) {
    return refuse_step(path, "the reference " + quoted_excerpt(*read.text) + " " + why);
  };
  auto tokens = pointer_tokens(*read.text);
  if (!tokens)
    return refuse_reference("is not a JSON Pointer (RFC 6901)");
  read.tokens = std::move(*tokens);
  const auto& all = read.tokens;
  if (all.size() == 1 && all[0] == "goal")
    return read;
  if (all.size() < 2 || (all[0] != "results" && all[0] != "steps"))
    return refuse_reference(
        "is refused; accepted are /results/<dependency>, /steps/<index> and what is in them, "
        "and /goal");
  if (all[0] == "results") {
    const auto& known = subtask.depends_on;
    if (std::none_of(known.begin(), known.end(),
                     [&](const subtask_id& id) { return id.str() == all[1]; }))
      return refuse_reference("is refused: this subtask does not depend on "
                              + quoted_excerpt(all[1]));
    return read;
  }
  const auto index = array_index(all[1]);
  if (!index)
    return refuse_reference("is refused: " + quoted_excerpt(all[1])
                            + " is not the number of a step, counted from 0");
  if (*index >= steps_before)
    return refuse_reference(steps_before == 0
                                ? std::string{"is refused: no step comes before it"}
                                : "is refused: the last step before it is "
                                      + std::to_string(steps_before - 1) + ", counted from 0");
  read.step = *index;
  return read;
}

/// Checks the references in arguments or a result. Recurses as deep as JSON may be nested.
caf::error check_references(const json& value, const subtask_spec& subtask,
                            std::size_t steps_before, const std::string& path) {
  if (is_reference(value)) {
    auto read = read_reference(value, subtask, steps_before, path);
    return read ? caf::error{} : std::move(read.error());
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      if (auto error = check_references(member, subtask, steps_before, member_path(path, key)))
        return error;
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      if (auto error = check_references(value[i], subtask, steps_before, indexed(path, i)))
        return error;
  }
  return caf::none;
}

// -- what is recorded -----------------------------------------------------------------------------

using calls_of_step = std::vector<answered_call>;

/// The calls of each step that was taken, in order; none of one that slept.
std::vector<const calls_of_step*> taken_steps(const step_context& ctx) {
  std::vector<const calls_of_step*> taken;
  for (const auto& entry : ctx.transcript)
    if (!entry.calls.empty() || entry.source == entry_source::timer)
      taken.push_back(&entry.calls);
  return taken;
}

json result_of(const answered_call& call) {
  const auto& content = call.answer.content;
  switch (call.answer.outcome) {
  case call_outcome::succeeded:
    return content;
  case call_outcome::rejected:
    return content.is_object() ? content : json{{"rejected", true}, {"feedback", content}};
  case call_outcome::failed:
  case call_outcome::expired:
  case call_outcome::cancelled:
    break;
  }
  return json{{"error", content}};
}

json result_of(const calls_of_step& calls, const json& written) {
  if (is_sleep(written))
    return nullptr;
  if (!is_several(written))
    return result_of(calls.front());
  auto results = json::array();
  for (const auto& call : calls)
    results.push_back(result_of(call));
  return results;
}

/// One run of a script's next step: what is recorded, and what the script says follows.
class script_run {
public:
  explicit script_run(const step_context& ctx) : ctx_{ctx}, taken_{taken_steps(ctx)} {}

  step next() const {
    if (!taken_.empty() && taken_.size() <= steps_size())
      if (auto failed = check_last_step())
        return std::move(*failed);
    return taken_.size() < steps_size() ? call_next() : finish();
  }

private:
  std::size_t steps_size() const { return ctx_.subtask.steps.size(); }

  /// The end of the script when it does not go on after the answers to the last step. A tool's
  /// failure may pass by itself; what a person decided does not.
  std::optional<step> check_last_step() const {
    const auto index = taken_.size() - 1;
    const auto& calls = *taken_[index];
    const auto succeeded = [](const answered_call& call) {
      return call.answer.outcome == call_outcome::succeeded;
    };
    if (std::ranges::all_of(calls, succeeded))
      return std::nullopt;
    const auto written = read_step(ctx_.subtask, index);
    if (!written)
      return step::fail(message_of(written.error()));
    for (const auto& call : calls) {
      const auto outcome = call.answer.outcome;
      if (succeeded(call))
        continue;
      const bool rejected = outcome == call_outcome::rejected;
      if ((rejected ? written->on_rejected : written->on_error) == reaction::go_on)
        continue;
      auto reason = indexed("steps", index) + " (" + call.tool.str() + ") " + enum_name(outcome)
                    + ": " + shown(call.answer.content);
      if ((outcome == call_outcome::failed || outcome == call_outcome::expired)
          && !may_have_happened(call.answer.content))
        return step::fail_retryable(std::move(reason));
      return step::fail(std::move(reason));
    }
    return std::nullopt;
  }

  /// True for the error of a run that was cut off by its time limit, and of one behind such a run:
  /// what it had begun may have taken effect, and another attempt would repeat it under another key
  /// (P8).
  static bool may_have_happened(const json& content) {
    return content.is_object()
           && (content.value("error", json{}) == name_of(errc::tool_timed_out)
               || content.value("may_have_taken_effect", json{}) == true);
  }

  /// An answer's content for people: its message where it has one.
  static std::string shown(const json& content) {
    std::string text;
    for (const auto* key : {"message", "feedback", "reason"})
      if (content.is_object() && content.contains(key) && content[key].is_string()) {
        text = content[key].get<std::string>();
        break;
      }
    if (text.empty())
      text = content.is_string() ? content.get<std::string>() : to_text(content);
    if (text.size() <= max_shown_error_bytes)
      return text;
    auto end = max_shown_error_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;
    return text.substr(0, end) + "...";
  }

  step call_next() const {
    const auto index = taken_.size();
    auto written = read_step(ctx_.subtask, index);
    if (!written)
      return step::fail(message_of(written.error()));
    if (written->sleep)
      return step::sleep(*written->sleep);
    std::vector<tool_request> requests;
    for (std::size_t i = 0; i < written->calls.size(); ++i) {
      auto& call = written->calls[i];
      auto arguments = resolve(call.arguments, index, arguments_path(ctx_.subtask, index, i));
      if (!arguments)
        return step::fail(message_of(arguments.error()));
      auto& request = requests.emplace_back(std::move(call.tool), std::move(*arguments));
      request.expires_after = call.expires_after;
    }
    return step::calls(std::move(requests));
  }

  step finish() const {
    if (ctx_.subtask.result.is_null())
      return step::finish(steps_size() == 0 ? json(nullptr)
                                            : result_of(*taken_[steps_size() - 1],
                                                        ctx_.subtask.steps[steps_size() - 1]));
    auto result = resolve(ctx_.subtask.result, steps_size(), "result");
    return result ? step::finish(std::move(*result)) : step::fail(message_of(result.error()));
  }

  /// A copy of `value` with its references replaced. What they name is data: a reference in it
  /// stays as it is.
  result<json> resolve(const json& value, std::size_t steps_before, const std::string& path) const {
    if (is_reference(value)) {
      const auto read = read_reference(value, ctx_.subtask, steps_before, path);
      if (!read)
        return read.error();
      return look_up(*read, path);
    }
    if (value.is_object()) {
      auto copy = json::object();
      for (const auto& [key, member] : value.items()) {
        auto resolved = resolve(member, steps_before, member_path(path, key));
        if (!resolved)
          return resolved;
        copy[key] = std::move(*resolved);
      }
      return copy;
    }
    if (value.is_array()) {
      auto copy = json::array();
      for (std::size_t i = 0; i < value.size(); ++i) {
        auto resolved = resolve(value[i], steps_before, indexed(path, i));
        if (!resolved)
          return resolved;
        copy.push_back(std::move(*resolved));
      }
      return copy;
    }
    return value;
  }

  result<json> look_up(const reference& wanted, const std::string& path) const {
    const auto root = root_of(wanted);
    const json* at = &root;
    for (const auto& token : wanted.way_down()) {
      const json* next = nullptr;
      if (at->is_object()) {
        const auto member = at->find(token);
        next = member == at->end() ? nullptr : &*member;
      } else if (at->is_array()) {
        const auto index = array_index(token);
        next = index && *index < at->size() ? &(*at)[*index] : nullptr;
      }
      if (next == nullptr)
        return refuse_step(path, "the reference " + quoted_excerpt(*wanted.text)
                                     + " names nothing: there is no " + quoted_excerpt(token)
                                     + " in "
                                     + (at->is_array() ? "an array of " + std::to_string(at->size())
                                                       : std::string{at->type_name()}));
      at = next;
    }
    return *at;
  }

  json root_of(const reference& wanted) const {
    if (wanted.root() == "goal")
      return ctx_.goal;
    if (wanted.root() == "steps")
      return result_of(*taken_[wanted.step], ctx_.subtask.steps[wanted.step]);
    for (const auto& dependency : ctx_.dependencies)
      if (dependency.subtask.str() == wanted.tokens[1])
        return dependency.result;
    return nullptr;
  }

  const step_context& ctx_;
  std::vector<const calls_of_step*> taken_;
};

// -- the agent ------------------------------------------------------------------------------------

caf::error check_script(const subtask_spec& subtask) {
  if (!subtask.parameters.is_null())
    return refuse_step("parameters", "this field is for other agents; agent \"script\" has steps");
  if (!subtask.steps.is_null() && !subtask.steps.is_array())
    return refuse_step("steps", std::string{"expected an array, got "} + subtask.steps.type_name());
  for (std::size_t i = 0; i < subtask.steps.size(); ++i) {
    const auto step = read_step(subtask, i);
    if (!step)
      return step.error();
    for (std::size_t k = 0; k < step->calls.size(); ++k) {
      const auto& arguments = step->calls[k].arguments;
      const auto path = arguments_path(subtask, i, k);
      if (!arguments.is_object())
        return refuse_step(path, std::string{"expected an object, got "} + arguments.type_name());
      if (auto error = check_references(arguments, subtask, i, path))
        return error;
    }
  }
  return check_references(subtask.result, subtask, subtask.steps.size(), "result");
}

std::vector<tool_name> tools_of_script(const subtask_spec& subtask) {
  std::set<tool_name> tools;
  for (std::size_t i = 0; i < subtask.steps.size(); ++i)
    if (const auto step = read_step(subtask, i))
      for (const auto& call : step->calls)
        tools.insert(call.tool);
  return {tools.begin(), tools.end()};
}

/// Stateless: where the script stands follows from the transcript (P7).
coro::task<step> run_script(step_context& ctx) {
  co_return script_run{ctx}.next();
}

} // namespace

agent script_agent() {
  agent script;
  script.run = run_script;
  script.check = check_script;
  script.tools_of = tools_of_script;
  return script;
}

} // namespace fermata
