#include <fermata/actors/sim/monitors/bound_monitor.hpp>

#include <algorithm>
#include <array>

namespace fermata::sim {

namespace {

/// A fold of steps ends after so many events (P1): no step begins behind them.
constexpr std::size_t longest_fold = 64;

/// What one step may begin with besides its calls: what models were used for, and what was said.
constexpr std::size_t step_preamble = 2;

/// Each event changes at most three records (of a message: itself, the transcript, the subtask; of
/// a call: itself, the transcript, the subtask), and each commit the head. What begins, replaces or
/// ends a plan is linear in it.
constexpr std::size_t records_per_event = 3;

/// JSON text of a number may grow in CBOR, from `1.5` to nine bytes.
constexpr std::size_t cbor_growth = 3;

/// Messages that wait for room look for it again more often than that.
constexpr std::chrono::minutes longest_wait{1};

constexpr std::array limit_names = {"plan_subtasks",
                                    "plan_size_bytes",
                                    "subtask_dependencies",
                                    "text_size_bytes",
                                    "arguments_size_bytes",
                                    "result_size_bytes",
                                    "calls_per_step",
                                    "subtask_entries",
                                    "subtask_attempts",
                                    "remembered_decisions",
                                    "late_results",
                                    "plan_messages",
                                    "progress_updates",
                                    "timer_horizon",
                                    "session_queue",
                                    "runtime_queue",
                                    "resident_sessions",
                                    "blocking_threads",
                                    "json_depth"};

std::size_t largest_value(const limits& limits, std::uint32_t largest_result) {
  const std::size_t content = std::size_t{limits.arguments_size_bytes} * 2
                              + std::max(limits.result_size_bytes, largest_result)
                              + limits.plan_size_bytes;
  constexpr std::size_t texts = 8;
  constexpr std::size_t fields = 4'096;
  return cbor_growth * content + texts * limits.text_size_bytes + fields;
}

bool is_linear(const event& fact) {
  return std::holds_alternative<plan_proposed>(fact.body)
         || std::holds_alternative<plan_decided>(fact.body)
         || std::holds_alternative<plan_ended>(fact.body);
}

bool begins_step(const event_body& body) {
  if (const auto* proposed = std::get_if<call_proposed>(&body))
    return proposed->first_of_step;
  return std::holds_alternative<agent_said>(body) || std::holds_alternative<subtask_slept>(body)
         || std::holds_alternative<subtask_handed_over>(body)
         || std::holds_alternative<subtask_finished>(body)
         || std::holds_alternative<proposal_refused>(body);
}

} // namespace

void bound_monitor::stored(world& in, const stored_commit& what) {
  check_load(in, what.node);
  check_sizes(in, what);
  check_fold(in, what);
  check_records(in, what);
}

void bound_monitor::answered(world& in, const command_answer& what) {
  check_load(in, in.home(what.session));
  if (what.answer || !is(what.answer.error(), errc::limit_exceeded))
    return;
  const auto text = message_of(what.answer.error());
  if (std::none_of(limit_names.begin(), limit_names.end(),
                   [&](const char* name) { return text.find(name) != std::string::npos; }))
    violate(in, "P10", about(what.session) + "limit_exceeded names no limit: " + text);
}

void bound_monitor::run_began(world&, const tool_run& run) {
  largest_result_ = std::max(largest_result_, run.what.result_size_bytes);
}

void bound_monitor::quiet(world& in) {
  for (const auto& [name, node] : known_->nodes()) {
    const auto load = in.load(name);
    if (!load || in.elapsed() - node.active < longest_wait || !in.is_calm(name)
        || load->resident_sessions >= node.limits.resident_sessions)
      continue;
    if (load->parked_messages > 0)
      violate(in, "P10",
              name + " has counted " + std::to_string(load->parked_messages)
                  + " messages that wait for room, although there is room");
  }
}

void bound_monitor::check_load(world& in, const std::string& node) {
  const auto load = in.load(node);
  if (!load)
    return;
  const auto& limits = known_->node(node).limits;
  if (load->resident_sessions > limits.resident_sessions)
    violate(in, "P10",
            node + " has " + std::to_string(load->resident_sessions)
                + " sessions in memory; resident_sessions is "
                + std::to_string(limits.resident_sessions));
  if (load->commands_under_way > limits.runtime_queue)
    violate(in, "P10",
            node + " has " + std::to_string(load->commands_under_way)
                + " commands under way; runtime_queue is " + std::to_string(limits.runtime_queue));
}

void bound_monitor::check_sizes(world& in, const stored_commit& what) {
  const auto largest = largest_value(known_->node(what.node).limits, largest_result_);
  const auto check = [&](std::string_view kind, std::size_t size_bytes) {
    if (size_bytes > largest)
      violate(in, "P10",
              about(what.session) + std::string{kind} + " of " + std::to_string(size_bytes)
                  + " bytes is stored; the limits allow " + std::to_string(largest));
  };
  for (const auto& value : what.raw.events)
    check("an event", value.size());
  for (const auto& one : what.raw.records)
    check("a record", one.value ? one.value->size() : 0);
  for (const auto& one : what.raw.pending)
    check("a pending item", one.value ? one.value->size() : 0);
}

void bound_monitor::check_fold(world& in, const stored_commit& what) {
  const auto first = std::find_if(what.events.begin(), what.events.end(),
                                  [](const event& one) { return begins_step(one.body); });
  const auto last = std::find_if(what.events.rbegin(), what.events.rend(),
                                 [](const event& one) { return begins_step(one.body); });
  if (last == what.events.rend())
    return;
  const auto between = static_cast<std::size_t>(last.base() - 1 - first);
  if (between > longest_fold + step_preamble)
    violate(in, "P1",
            about(what.session, what.events.back().number) + "steps were folded over "
                + std::to_string(between) + " events; a fold ends after "
                + std::to_string(longest_fold));
}

void bound_monitor::check_records(world& in, const stored_commit& what) {
  const auto most = 1 + records_per_event * what.events.size();
  if (what.raw.records.size() <= most
      || std::any_of(what.events.begin(), what.events.end(), is_linear))
    return;
  violate(in, "P11",
          about(what.session) + std::to_string(what.events.size()) + " events wrote "
              + std::to_string(what.raw.records.size()) + " records, more than "
              + std::to_string(most));
}

} // namespace fermata::sim
