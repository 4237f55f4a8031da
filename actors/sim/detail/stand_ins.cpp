#include <fermata/actors/sim/detail/stand_ins.hpp>

#include <fermata/actors/core/current_view.hpp>
#include <fermata/actors/sim/chance_agent.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/actors/sim/server_tool.hpp>
#include <fermata/storage/records.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace fermata::sim::detail {

namespace {

constexpr auto all = std::numeric_limits<std::size_t>::max();

[[noreturn]] void refuse(const caf::error& error) {
  throw std::runtime_error{"the sessions to begin with: " + message_of(error)};
}

/// The typed records of one kind.
template <class Record>
std::vector<Record> read_all(store::view& from, session_number session, record_kind kind) {
  auto found = from.scan(
      session, {kind, 0, 0},
      {kind, std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::uint64_t>::max()},
      all);
  if (!found)
    refuse(found.error());
  std::vector<Record> records;
  for (const auto& one : *found) {
    auto parsed = from_record<Record>(one.value);
    if (!parsed)
      refuse(parsed.error());
    records.push_back(std::move(*parsed));
  }
  return records;
}

} // namespace

/// Notes who and what the sessions of a store name.
class stand_ins::reader {
public:
  reader(stand_ins& into, store::view& from) : into_{into}, from_{from} {}

  void read(session_number session) {
    for (const auto& plan : read_all<plan_record>(from_, session, record_kind::plan))
      for (const auto& [name, declared] : plan.tools)
        if (auto parsed = tool_name::parse(name))
          declared_.insert(std::move(*parsed));
    for (const auto& subtask : read_all<subtask_record>(from_, session, record_kind::subtask))
      into_.agents_.insert(subtask.agent);
    for (const auto& spec : read_all<subtask_spec>(from_, session, record_kind::subtask_spec)) {
      into_.agents_.insert(spec.agent);
      read_steps(spec.steps);
    }
    for (const auto& call : read_all<call_record>(from_, session, record_kind::call))
      if (call.kind == tool_kind::server)
        called_[call.tool] = {call.tool_version, call.idempotent};
    for (const auto& name : std::exchange(declared_, {}))
      called_.erase(name);
    for (const auto& [name, seen] : std::exchange(called_, {}))
      into_.tools_[name] = seen;
  }

private:
  /// Tools that a script has not called yet.
  void read_steps(const json& steps) {
    if (!steps.is_array())
      return;
    for (const auto& step : steps) {
      if (!step.is_object())
        continue;
      if (const auto name = step.find("tool"); name != step.end() && name->is_string())
        if (auto parsed = tool_name::parse(name->get<std::string>()))
          called_.try_emplace(std::move(*parsed));
      if (const auto calls = step.find("calls"); calls != step.end())
        read_steps(*calls);
    }
  }

  stand_ins& into_;
  store::view& from_;
  // Of the session that is read.
  std::map<tool_name, seen_tool> called_;
  std::set<tool_name> declared_; ///< By its plans: hosts run them.
};

stand_ins::stand_ins(const memory_store& store) {
  const auto readable = store.clone();
  auto view = core::read_current(*readable);
  if (!view)
    refuse(view.error());
  const auto sessions = (*view)->sessions(std::nullopt, 0, all);
  if (!sessions)
    refuse(sessions.error());
  reader noting{*this, **view};
  for (const auto& one : *sessions) {
    if (one.damage)
      refuse(one.damage);
    noting.read(one.number);
  }
  tools_.erase(question_tool());
}

void stand_ins::add_to(node_options& node, std::shared_ptr<outside> effects, std::uint64_t seed,
                       std::set<std::string>& played) const {
  node.setup = [own = node.setup, strangers = *this, effects = std::move(effects), seed,
                &played](agent_registry& agents, tool_registry& tools) {
    if (own)
      own(agents, tools);
    for (const auto& name : strangers.agents_) {
      if (name.empty() || agents.find(name) != nullptr)
        continue;
      must(agents.add(name.str(), chance_agent(seed)));
      played.insert("agent " + name.str());
    }
    for (const auto& [name, seen] : strangers.tools_) {
      if (tools.find(name) != nullptr)
        continue;
      server_tool_character character;
      character.idempotent = seen.idempotent;
      auto stand_in = make_server_tool(name, nullptr, character, effects, seed);
      stand_in.version = seen.version;
      must(tools.add(std::move(stand_in)));
      played.insert("tool " + name.str());
    }
  };
}

} // namespace fermata::sim::detail
