#include <fermata/actors/preflight.hpp>

#include <fermata/actors/core/call_rules.hpp>
#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/tools/schema.hpp>

#include <utility>

namespace fermata {

namespace {

/// How many sessions are read as of one moment.
constexpr std::size_t page_size = 256;

bool is_over(subtask_status status) {
  return status == subtask_status::done || status == subtask_status::skipped
         || status == subtask_status::cancelled;
}

/// Lists what is wrong with one session.
class inspection {
public:
  inspection(const core::session_data& data, const agent_registry& agents,
             const tool_registry& tools, std::vector<preflight_finding>& into)
      : data_{data}, agents_{agents}, tools_{tools}, into_{into} {}

  void run() {
    if (data_.has_plan_in_force())
      look_at(*data_.active);
    if (data_.draft)
      look_at(*data_.draft);
    for (const auto& [number, call] : data_.calls)
      if (call.status != call_status::answered)
        look_at(call);
  }

private:
  void look_at(const core::plan_data& plan) {
    for (std::size_t i = 0; i < plan.specs().size(); ++i) {
      const auto& state = plan.subtasks()[i];
      if (is_over(state.status))
        continue;
      auto subtask = plan.specs()[i];
      if (!state.agent.empty())
        subtask.agent = state.agent; // who it was handed over to
      look_at(plan.record, subtask);
    }
  }

  void look_at(const plan_record& plan, const subtask_spec& subtask) {
    if (auto error = agents_.check(subtask))
      return add(std::move(error), subtask.id);
    const auto tools = agents_.tools_of(subtask);
    if (!tools)
      return add(tools.error(), subtask.id);
    for (const auto& name : *tools)
      if (!core::find_tool(plan.tools, name, tools_))
        add(core::no_such_tool(name), subtask.id);
  }

  void look_at(const call_record& call) {
    if (call.kind != tool_kind::server)
      return; // it is answered from outside, whatever is registered
    const call_id id{data_.head.id, call.number};
    const auto* tool = tools_.find(call.tool);
    if (tool == nullptr)
      return add(core::no_such_tool(call.tool), call.subtask, id);
    if (tool->kind() != tool_kind::server)
      return add(make_error(errc::unknown_tool, "the runtime does not run the tool "
                                                    + call.tool.str() + " itself any more"),
                 call.subtask, id);
    if (tool->version != call.tool_version)
      add(make_error(errc::stale_approval, "the tool " + call.tool.str() + " has version "
                                               + std::to_string(tool->version)
                                               + " now; the call was made for version "
                                               + std::to_string(call.tool_version)),
          call.subtask, id);
    if (auto error = check_schema(tool->schema, call.arguments))
      add(make_error(errc::invalid_arguments,
                     "the arguments do not fit the tool's schema: " + message_of(error)),
          call.subtask, id);
  }

  void add(caf::error why, const subtask_id& subtask, std::optional<call_id> call = {}) {
    preflight_finding found;
    found.session = data_.head.id;
    found.subtask = subtask;
    found.call = std::move(call);
    found.why = std::move(why);
    into_.push_back(std::move(found));
  }

  const core::session_data& data_;
  const agent_registry& agents_;
  const tool_registry& tools_;
  std::vector<preflight_finding>& into_;
};

void look_at(store::view& in, const session_anchor& session, const agent_registry& agents,
             const tool_registry& tools, preflight_report& report) {
  ++report.sessions;
  const auto loaded = session.damage ? session.damage : core::load(in, session.id);
  if (loaded && *loaded)
    return inspection{(*loaded)->data, agents, tools, report.findings}.run();
  if (loaded)
    return; // somebody has deleted it
  preflight_finding unreadable;
  unreadable.session = session.id;
  unreadable.why = loaded.error();
  report.findings.push_back(std::move(unreadable));
}

} // namespace

std::string preflight_finding::text() const {
  if (session.empty())
    return message_of(why);
  std::string place = "session " + session.str();
  if (subtask)
    place += ", subtask " + subtask->str();
  if (call)
    place += ", call " + call->str();
  return place + ": " + message_of(why);
}

result<preflight_report> preflight(store& of, const agent_registry& agents,
                                   const tool_registry& tools, std::size_t limit) {
  preflight_report report;
  for (std::uint8_t state = 0; state < enum_names(session_state{}).size(); ++state) {
    if (accepts_new_plan(static_cast<session_state>(state)))
      continue; // there is nothing to go on with
    for (session_number after = 0;;) {
      const auto view = of.read();
      if (!view)
        return view.error();
      const auto page = (*view)->sessions(state, after, page_size);
      if (!page)
        return page.error();
      if (page->empty())
        break;
      for (const auto& one : *page) {
        look_at(**view, one, agents, tools, report);
        if (report.findings.size() > limit) {
          report.findings.resize(limit);
          report.is_complete = false;
          return report;
        }
      }
      after = page->back().number;
    }
  }
  return report;
}

} // namespace fermata
