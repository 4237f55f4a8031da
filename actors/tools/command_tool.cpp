#include <fermata/actors/tools/command_tool.hpp>
#include <fermata/actors/tools/text.hpp>
#include <fermata/actors/tools/workspace.hpp>
#include <fermata/messages/limits.hpp>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

namespace fermata {

namespace {

/// A program that could not be started for want of something is tried again within some seconds.
const retry_policy start_retry{4, std::chrono::seconds{1}, std::chrono::seconds{10}};

constexpr int default_time_limit_seconds = 60;
constexpr int max_time_limit_seconds = 3'600;
constexpr std::size_t default_output_limit_bytes = 65'536;
constexpr std::size_t max_output_limit_bytes = 200'000;
/// Below `limits::result_size_bytes`: a command that has run must not lose its result because
/// control characters take six bytes each as JSON text.
constexpr std::size_t result_text_size_bytes = 900'000;

json schema() {
  const json text{{"type", "string"}};
  json argv{{"type", "array"}, {"items", text}, {"minItems", 1}, {"maxItems", 1'000}};
  argv["description"] = "The program and its arguments; there is no shell";
  json properties{{"argv", std::move(argv)},
                  {"time_limit_seconds",
                   {{"type", "integer"},
                    {"minimum", 1},
                    {"maximum", max_time_limit_seconds},
                    {"default", default_time_limit_seconds}}},
                  {"output_limit_bytes",
                   {{"type", "integer"},
                    {"minimum", 0},
                    {"maximum", max_output_limit_bytes},
                    {"default", default_output_limit_bytes},
                    {"description", "How much is kept of standard output, and of standard error"}}},
                  {"working_directory",
                   {{"type", "string"},
                    {"minLength", 1},
                    {"default", "."},
                    {"description", "A directory, relative to the workspace"}}}};
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", json::array({"argv"})},
          {"additionalProperties", false}};
}

std::vector<std::string> argv_of(const json& arguments) {
  return arguments.at("argv").get<std::vector<std::string>>();
}

std::string directory_of(const json& arguments) {
  return arguments.value("working_directory", std::string{"."});
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string{"SIG"} + name : "signal " + std::to_string(number);
}

json result_of(const process_result& ended) {
  json shown{{"stdout", ended.output},
             {"stderr", ended.error_output},
             {"timed_out", ended.timed_out},
             {"truncated", ended.output_truncated || ended.error_output_truncated}};
  if (ended.exit_status)
    shown["exit_status"] = *ended.exit_status;
  else if (ended.signal)
    shown["signal"] = signal_name(*ended.signal);
  for (std::size_t size = max_output_limit_bytes; to_text(shown).size() > result_text_size_bytes;
       size /= 2) {
    shown["stdout"] = cut_utf8(ended.output, size);
    shown["stderr"] = cut_utf8(ended.error_output, size);
    shown["truncated"] = true;
  }
  return shown;
}

/// Reports the last whole line that a command has printed, every now and then.
class output_reporter {
public:
  /// In the time that the command may take it does not report more than a run of a tool may
  /// (`limits::progress_updates`).
  output_reporter(const tool_context& context, std::chrono::milliseconds time_limit)
      : context_{context}, interval_{std::max(shortest_interval, time_limit / most_reports)} {}

  void operator()(std::string_view part) {
    if (skips_) {
      const auto end = part.find('\n');
      if (end == std::string_view::npos)
        return;
      part.remove_prefix(end + 1);
      skips_ = false;
    }
    auto text = std::exchange(open_line_, {}) + std::string{part};
    const auto end = text.rfind('\n');
    if (end == std::string::npos) {
      skips_ = text.size() > max_line_bytes; // it is no use any more
      if (!skips_)
        open_line_ = std::move(text);
      return;
    }
    open_line_ = text.substr(end + 1);
    text.resize(end);
    report(text.substr(text.rfind('\n') + 1)); // npos + 1 is 0
  }

private:
  void report(std::string line) {
    const auto now = std::chrono::steady_clock::now();
    if (line.empty() || (reported_ && now - *reported_ < interval_))
      return;
    reported_ = now;
    context_.progress(
        {{"output", std::string{cut_utf8(as_utf8(std::move(line)), max_line_bytes)}}});
  }

  static constexpr std::size_t max_line_bytes = 4'096;
  static constexpr std::chrono::milliseconds shortest_interval{200};
  static constexpr int most_reports = static_cast<int>(limits{}.progress_updates);
  const tool_context& context_;
  std::chrono::milliseconds interval_;
  std::string open_line_;
  bool skips_ = false; ///< The rest of a line that is too long.
  std::optional<std::chrono::steady_clock::time_point> reported_;
};

result<json> execute(process_runner& runner, const tool_context& context) {
  auto files = workspace::open(context.workspace);
  if (!files)
    return std::move(files.error());
  auto directory = files->directory(directory_of(context.arguments));
  if (!directory)
    return std::move(directory.error());
  process_request request;
  request.argv = argv_of(context.arguments);
  request.working_directory = std::move(*directory);
  request.time_limit = std::chrono::seconds{
      context.arguments.value("time_limit_seconds", default_time_limit_seconds)};
  request.output_limit_bytes =
      context.arguments.value("output_limit_bytes", default_output_limit_bytes);
  if (context.progress)
    request.on_output = [reporter = output_reporter{context, request.time_limit}](
                            std::string_view part) mutable { reporter(part); };
  auto ended = runner.run(request, context.stop);
  if (!ended)
    return std::move(ended.error());
  if (ended->stopped)
    return make_error(errc::shutting_down, "the command was ended before it was done");
  return result_of(*ended);
}

std::string preview(const json& arguments, const std::filesystem::path& folder) {
  auto text = shell_quoted(argv_of(arguments)) + "\n";
  text += "in the directory " + in_quotes(directory_of(arguments)) + " of "
          + in_quotes(folder.native()) + "\n";
  return text;
}

} // namespace

std::string shell_quoted(const std::vector<std::string>& argv) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789@%+=:,./-_";
  std::string out;
  for (const auto& argument : argv) {
    out += out.empty() ? "" : " ";
    // A first word with `=` would be an assignment to a shell.
    const bool assigns = &argument == &argv.front() && argument.find('=') != std::string::npos;
    if (!argument.empty() && !assigns && argument.find_first_not_of(plain) == std::string::npos) {
      out += argument;
      continue;
    }
    out += '\'';
    for (const char c : argument)
      out += c == '\'' ? std::string{"'\\''"} : std::string{c};
    out += '\'';
  }
  return out;
}

tool execute_command_tool(std::shared_ptr<process_runner> runner) {
  assert(runner);
  tool made;
  auto name = tool_name::parse("execute_command");
  assert(name);
  made.name = std::move(*name);
  made.description = "Runs a program in the workspace, without a shell, and waits for its end. It "
                     "is not confined to the workspace: it can do whatever the user that runs "
                     "this can do. Processes that it leaves in the background are ended.";
  made.schema = schema();
  made.run = blocking_tool{[runner = std::move(runner)](const tool_context& context) {
    return execute(*runner, context);
  }};
  made.retry = start_retry;
  made.preview = preview;
  return made;
}

} // namespace fermata
