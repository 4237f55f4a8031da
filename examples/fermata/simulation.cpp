#include "simulation.hpp"

#include "crash_note.hpp"
#include "escape.hpp"
#include "interruption.hpp"
#include "progress_bar.hpp"
#include "times.hpp"

#include <fermata/actors/tools/command_tool.hpp>
#include <fermata/storage/session_export.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

namespace fermata::command_line {

namespace {

/// Where the traces of a campaign go, one behind the other.
class trace_file {
public:
  /// Errors: `invalid_field` if it cannot be written.
  caf::error open(const std::string& name) {
    name_ = name;
    out_.open(name, std::ios::binary | std::ios::trunc);
    return out_ ? caf::error{} : failure(errc::invalid_field);
  }

  void add(std::uint64_t seed, const sim::trace& seen) {
    out_ << "== seed " << seed << '\n' << sim::to_text(seen);
  }

  /// Errors: `io_error` if it was not written to its end.
  caf::error close() {
    out_.close();
    return out_ ? caf::error{} : failure(errc::io_error);
  }

private:
  [[nodiscard]] caf::error failure(errc code) const {
    return make_error(code, "--trace: cannot write " + name_ + ": " + std::strerror(errno));
  }

  std::string name_;
  std::ofstream out_;
};

/// Seeds that nobody has run yet, short enough to be typed.
sim::seed_range fresh_seeds() {
  return {std::random_device{}(), std::numeric_limits<std::uint64_t>::max()};
}

caf::error take_session(const arguments& given, sim::campaign_options& options) {
  auto begun = std::make_shared<memory_store>();
  import_options how;
  how.accept_edited = given.simulation.edited;
  const auto imported = import_session(*begun, given.simulation.session_file, how);
  if (!imported)
    return imported.error();
  options.store = std::move(begun);
  options.begins = imported->last_event;
  return caf::none;
}

result<sim::campaign_options> read_options(const arguments& given) {
  const auto& simulation = given.simulation;
  sim::campaign_options options;
  if (simulation.seeds) {
    options.seeds = *simulation.seeds;
  } else if (given.after) {
    options.seeds = fresh_seeds();
    // Of seeds that nobody has chosen nothing is demanded that chance could withhold.
    options.worlds_to_reach_all = std::numeric_limits<std::uint64_t>::max();
  }
  options.at_most = given.after;
  options.nodes = simulation.nodes;
  options.sessions = simulation.sessions;
  options.share_store = simulation.share_store;
  options.with_faults = !simulation.without_faults;
  options.only_faults = simulation.only_faults;
  options.only_sessions = simulation.only_sessions;
  if (!simulation.session_file.empty())
    if (auto error = take_session(given, options))
      return error;
  return options;
}

/// What is shown of a failure's timeline, from its end; `--json` and `--trace` have all of it.
constexpr std::size_t lines_shown = 400;

std::string count(std::uint64_t number, std::string_view of) {
  return std::to_string(number) + " " + std::string{of} + (number == 1 ? "" : "s");
}

std::uint64_t per_second(std::uint64_t number, std::chrono::milliseconds in) {
  return number * 1'000 / static_cast<std::uint64_t>(std::max<std::int64_t>(1, in.count()));
}

/// `word`: "seed", or "Seed".
std::string show_seeds(const sim::seed_range& seeds, const std::string& word) {
  return word + (seeds.first == seeds.last ? " " : "s ") + sim::to_text(seeds);
}

/// One line for each group of what was reached.
void show_reached(console& out, const sim::campaign_report& report) {
  std::string group;
  std::string line;
  for (const auto& [name, times] : report.reached) {
    if (times == 0)
      continue;
    const auto slash = name.find('/');
    if (name.substr(0, slash) != group) {
      if (!line.empty())
        out.say(line);
      group = name.substr(0, slash);
      line = out.painted(paint::heading, group) + ": ";
    } else {
      line += ", ";
    }
    line += name.substr(slash + 1) + " " + std::to_string(times);
  }
  if (!line.empty())
    out.say(line);
}

/// What was done with the session of `--session`.
void show_given(console& out, const sim::campaign_report& report) {
  std::string states;
  for (const auto& [state, times] : report.given)
    states += (states.empty() ? "" : ", ") + state + " " + std::to_string(times);
  if (!states.empty())
    out.say("The given session was in the end: " + states);
  std::string names;
  for (const auto& name : report.stand_ins)
    names += (names.empty() ? "" : ", ") + name;
  if (!names.empty())
    out.say("Played by stand-ins: " + names);
}

void show_failure(console& out, const arguments& given, const sim::campaign_failure& failure) {
  out.say();
  out.say(out.painted(paint::bad, "Seed " + std::to_string(failure.seed) + " breaks "
                                      + escape_line(failure.promise) + ": "
                                      + escape_line(out.redaction().text(failure.text))));
  const auto faults = failure.faults.size();
  const auto sessions = failure.sessions.size();
  out.say((faults == 0 ? "No fault"
                       : std::to_string(faults) + " of " + count(failure.faults_before, "fault"))
          + " and " + std::to_string(sessions) + " of " + count(failure.sessions_before, "session")
          + " are enough for that, as " + count(failure.runs, "more run") + " found out:");
  out.say();
  if (!out.as_json())
    out.write(escape_block(sim::timeline(out.shown(failure).timeline, lines_shown)));
  out.say();
  out.say("The whole of it again: " + replay_line(given, failure.seed));
  if (faults < failure.faults_before || sessions < failure.sessions_before) {
    auto smaller = given;
    smaller.simulation.only_faults = failure.faults;
    smaller.simulation.only_sessions = failure.sessions;
    out.say("That shorter run:       " + replay_line(smaller, failure.seed));
  }
}

std::string show_places(const std::vector<std::size_t>& places) {
  std::string text;
  for (const auto place : places)
    text += (text.empty() ? "" : ",") + std::to_string(place);
  return text.empty() ? "none" : text;
}

sim::campaign_report run_campaign(const sim::campaign_options& options, console& out) {
  progress_bar bar{!out.as_json()};
  crash_note note;
  return sim::run_campaign(options, [&](const sim::campaign_report& so_far, std::uint64_t next) {
    note.seed(next);
    bar.draw(options, so_far, next);
    return !was_interrupted();
  });
}

} // namespace

std::string replay_line(const arguments& given, std::uint64_t seed) {
  std::vector<std::string> words{given.program, "sim", "--seeds", std::to_string(seed)};
  const auto& simulation = given.simulation;
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  if (simulation.nodes != 0)
    add("--nodes", std::to_string(simulation.nodes));
  if (simulation.sessions != 0)
    add("--sessions", std::to_string(simulation.sessions));
  if (simulation.share_store)
    words.emplace_back("--shared-store");
  if (simulation.without_faults)
    words.emplace_back("--no-faults");
  if (simulation.only_faults)
    add("--only-faults", show_places(*simulation.only_faults));
  if (simulation.only_sessions)
    add("--only-sessions", show_places(*simulation.only_sessions));
  if (!simulation.session_file.empty())
    add("--session", simulation.session_file);
  if (simulation.edited)
    words.emplace_back("--edited");
  add("--trace", "seed-" + std::to_string(seed) + ".txt");
  return shell_quoted(words);
}

void show_report(console& out, const arguments& given, const sim::campaign_report& report) {
  out.say(count(report.worlds, "world")
          + (report.worlds == 0
                 ? ""
                 : " (" + show_seeds({report.first_seed, report.last_seed}, "seed") + ")")
          + " in " + show_duration(report.took) + (report.interrupted ? ", interrupted" : "") + ": "
          + count(report.resumes, "resume") + " ("
          + std::to_string(per_second(report.resumes, report.took)) + " a second), "
          + show_roughly(report.simulated) + " of virtual time, " + std::to_string(report.crashes)
          + (report.crashes == 1 ? " crash" : " crashes"));
  show_reached(out, report);
  show_given(out, report);
  if (report.failure)
    show_failure(out, given, *report.failure);
  if (!report.missed.empty()) {
    std::string names;
    for (const auto& name : report.missed)
      names += (names.empty() ? "" : ", ") + name;
    out.say(out.painted(paint::bad, "Never reached: " + names));
  }
  if (report.passed())
    out.say(out.painted(paint::good, "Nothing was found."));
}

result<exit_status> run_simulation(const arguments& given, console& out) {
  auto options = read_options(given);
  if (!options)
    return std::move(options.error());
  trace_file traces;
  if (!given.simulation.trace_file.empty()) {
    std::error_code differ; // or one of them does not exist
    if (std::filesystem::equivalent(given.simulation.session_file, given.simulation.trace_file,
                                    differ))
      return make_error(errc::invalid_field,
                        "--trace would overwrite the session that --session reads; name another "
                        "file");
    if (auto error = traces.open(given.simulation.trace_file))
      return error;
    options->on_trace = [&](std::uint64_t seed, const sim::trace& seen) { traces.add(seed, seen); };
  }
  // Known also to who sees nothing of the end.
  out.say(given.simulation.seeds || !given.after
              ? show_seeds(options->seeds, "Seed") + "."
              : "Seeds from " + std::to_string(options->seeds.first) + " on.");
  out.flush();
  const auto report = run_campaign(*options, out);
  out.print(report);
  show_report(out, given, report);
  if (!given.simulation.trace_file.empty())
    if (auto error = traces.close())
      return error;
  if (!report.passed())
    return exit_status::attention;
  return report.interrupted ? exit_status::interrupted : exit_status::done;
}

} // namespace fermata::command_line
