#include <fermata/actors/sim/monitors/bound_monitor.hpp>

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

namespace fermata::sim {

namespace {

/// A fold of steps ends after so many events (P1): no step begins behind them.
constexpr std::size_t longest_fold = 64;

/// What one step may begin with besides its calls: what models were used for, and what was said.
constexpr std::size_t step_preamble = 2;

/// Each event changes at most three records (of a message: itself, the transcript, the subtask; of
/// a call: itself, the transcript, the subtask), and each commit the head, which is written twice
/// where the others are. What begins, replaces or ends a plan is linear in it.
constexpr std::size_t records_per_event = 3;

/// What an activation may have to apply of a session's events.
constexpr std::uint64_t largest_tail_bytes = 32'768;

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

/// The plan may be any that there was before.
bool ends_plan(const event& fact) {
  return std::holds_alternative<plan_proposed>(fact.body)
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
  check_values(in, what);
  check_fold(in, what);
  check_records(in, what);
}

void bound_monitor::sent(world&, const sent_command& what) {
  waiting_.emplace(what.number, waiting_command{what.node, what.session});
}

void bound_monitor::node_down(world&, const std::string& node) {
  std::erase_if(waiting_, [&](const auto& one) { return one.second.node == node; });
}

void bound_monitor::answered(world& in, const command_answer& what) {
  waiting_.erase(what.number);
  check_load(in, in.home(what.session));
  if (what.answer || !is(what.answer.error(), errc::limit_exceeded))
    return;
  const auto text = message_of(what.answer.error());
  if (std::none_of(limit_names.begin(), limit_names.end(),
                   [&](const char* name) { return text.find(name) != std::string::npos; }))
    violate(in, "P10", about(what.session) + "limit_exceeded names no limit: " + text);
}

void bound_monitor::run_began(world& in, const tool_run& run) {
  largest_result_ = std::max(largest_result_, run.what.result_size_bytes);
  if (!std::holds_alternative<blocking_tool>(run.what.run))
    return;
  const auto functions = 1 + in.waiting_functions(run.node);
  const auto most = known_->node(run.node).limits.blocking_threads;
  if (functions > most)
    violate(in, "P10",
            run.node + " has started " + std::to_string(functions)
                + " blocking functions; blocking_threads is " + std::to_string(most));
}

void bound_monitor::check_waiting(world& in) {
  std::map<std::string, std::size_t> of_nodes;
  std::map<session_id, std::size_t> of_sessions;
  for (const auto& [number, one] : waiting_) {
    const auto& limits = known_->node(one.node).limits;
    const auto of_node = ++of_nodes[one.node];
    if (of_node > limits.runtime_queue)
      violate(in, "P10",
              one.node + " has not answered " + std::to_string(of_node)
                  + " commands; runtime_queue is " + std::to_string(limits.runtime_queue));
    if (in.shares_store() || one.node != in.home(one.session))
      continue; // it is on its way, or may be: the session may have come only just now
    const auto of_session = ++of_sessions[one.session];
    const auto load = in.load(one.node);
    // The session has taken one of them; before it is in memory, all are the runtime's. Those that
    // waited for one whose reading failed go to the next, and are not refused.
    if (of_session > 2 * std::size_t{limits.session_queue} + 1 && in.is_responsive(one.node) && load
        && load->parked_messages == 0)
      violate(in, "P10",
              about(one.session) + std::to_string(of_session)
                  + " commands wait for it; session_queue is "
                  + std::to_string(limits.session_queue));
  }
}

void bound_monitor::quiet(world& in) {
  check_waiting(in);
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

namespace {

/// What the limits say of one value, where they say something.
struct sized_value {
  std::string_view limit_name;
  std::size_t size_bytes;
  std::size_t limit;
};

template <class Body>
std::vector<sized_value> sizes_of(const Body& body, const limits& limits, std::size_t result) {
  std::vector<sized_value> sizes;
  const auto add_text = [&]<class Text>(const Text& text) {
    if constexpr (std::is_same_v<Text, std::string>) // some name a subtask there
      sizes.push_back({"text_size_bytes", text.size(), limits.text_size_bytes});
  };
  if constexpr (std::is_same_v<Body, agent_said>)
    sizes.push_back({"result_size_bytes", body.text.size(), limits.result_size_bytes});
  else if constexpr (requires { body.text; })
    add_text(body.text);
  if constexpr (requires { body.goal; })
    add_text(body.goal);
  if constexpr (requires { body.feedback; })
    add_text(body.feedback);
  if constexpr (requires { body.by; })
    add_text(body.by);
  if constexpr (requires { body.arguments; })
    sizes.push_back({"arguments_size_bytes", fermata::to_text(body.arguments).size(),
                     limits.arguments_size_bytes});
  if constexpr (requires { body.result; })
    sizes.push_back({"result_size_bytes", fermata::to_text(body.result).size(), result});
  if constexpr (requires { body.answer.content; })
    if (body.answer.outcome == call_outcome::succeeded) // the others are written by the runtime
      sizes.push_back({"result_size_bytes", fermata::to_text(body.answer.content).size(), result});
  return sizes;
}

} // namespace

void bound_monitor::check_values(world& in, const stored_commit& what) {
  const auto& limits = known_->node(what.node).limits;
  const auto result = std::max(limits.result_size_bytes, largest_result_);
  const auto least =
      std::min({limits.text_size_bytes, limits.arguments_size_bytes, limits.result_size_bytes});
  for (std::size_t i = 0; i < what.events.size(); ++i) {
    // CBOR may need less than JSON text, of a number three times less.
    if (what.raw.events[i].size() * cbor_growth < least)
      continue;
    const auto sizes = std::visit([&](const auto& body) { return sizes_of(body, limits, result); },
                                  what.events[i].body);
    for (const auto& one : sizes)
      if (one.size_bytes > one.limit)
        violate(in, "P10",
                about(what.session, what.events[i].number) + "a value of "
                    + std::to_string(one.size_bytes) + " bytes is stored; "
                    + std::string{one.limit_name} + " is " + std::to_string(one.limit));
  }
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
  const auto& known = *known_->find(in, what.session);
  if (known.index >= tails_.size())
    tails_.resize(known.index + 1);
  auto& tail = tails_[known.index];
  if (what.raw.number == 0)
    tail = {0};
  for (const auto& value : what.raw.events)
    tail.size_bytes += value.size();
  const auto subtasks_of = [](const auto& plan) { return plan ? std::size_t{plan->size()} : 0; };
  for (const auto& fact : what.events)
    if (is_linear(fact))
      tail.linear_records += 2 * (subtasks_of(known.model.active) + subtasks_of(known.model.draft));
  if (what.raw.defers_records)
    return check_deferring(in, what, tail);
  const auto last = what.raw.expected_events + what.events.size();
  // Of one that is older than this monitor, or was imported, it is known from here on.
  const auto events = tail.recorded ? last - *tail.recorded : 0;
  const auto most = 2 + records_per_event * events + tail.linear_records;
  const bool is_judged =
      tail.recorded && std::none_of(what.events.begin(), what.events.end(), ends_plan);
  if (is_judged && what.raw.records.size() > most)
    violate(in, "P11",
            about(what.session) + std::to_string(events) + " events wrote "
                + std::to_string(what.raw.records.size()) + " records, more than "
                + std::to_string(most));
  tail = {last};
}

void bound_monitor::check_deferring(world& in, const stored_commit& what, const tail& of) {
  const auto last = what.raw.expected_events + what.events.size();
  if (std::any_of(what.raw.records.begin(), what.raw.records.end(),
                  [](const auto& one) { return one.key != head_key() && one.key != base_key(); }))
    violate(in, "P11",
            about(what.session, last) + "records are written by a commit that leaves them behind");
  const auto limit = known_->node(what.node).limits.tail_events;
  if (of.recorded && last - *of.recorded > limit)
    violate(in, "P10",
            about(what.session, last) + std::to_string(last - *of.recorded)
                + " events are not in its records; tail_events is " + std::to_string(limit));
  if (of.size_bytes > largest_tail_bytes)
    violate(in, "P10",
            about(what.session, last) + std::to_string(of.size_bytes)
                + " bytes of events are not in its records, more than "
                + std::to_string(largest_tail_bytes));
}

} // namespace fermata::sim
