#include "preflight.hpp"

#include "escape.hpp"
#include "models.hpp"
#include "stores.hpp"
#include "tools.hpp"

#include <fermata/actors/preflight.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_store.hpp>

namespace fermata::command_line {

namespace {

/// What the command has of agents and tools, in a runtime that never starts.
result<std::unique_ptr<runtime>> make_registries(const chosen_models& models) {
  runtime_options options;
  options.store = std::make_shared<memory_store>();
  options.planner = models.setup.planner;
  auto made = std::make_unique<runtime>(std::move(options));
  for (auto& tool : make_tools_for_showing())
    if (auto error = made->tools().add(std::move(tool)))
      return error;
  if (auto error = add_models(*made, models.setup))
    return error;
  return made;
}

json to_line(const preflight_finding& found) {
  json line{{"error", name_of(code_of(found.why))}, {"message", message_of(found.why)}};
  if (!found.session.empty())
    line["session"] = found.session.str();
  if (found.subtask)
    line["subtask"] = found.subtask->str();
  if (found.call)
    line["call"] = found.call->str();
  return line;
}

} // namespace

result<exit_status> run_preflight(const arguments& given, console& out) {
  const auto folder = locate_store(given.store);
  if (!folder)
    return folder.error();
  const auto models = choose_models(given.models, *folder);
  if (!models)
    return models.error();
  const auto known = make_registries(*models);
  if (!known)
    return known.error();
  const auto of = open_store(*folder, store_purpose::query);
  if (!of)
    return of.error();
  const auto report = preflight(**of, (*known)->agents(), (*known)->tools());
  if (!report)
    return report.error();
  for (const auto& found : report->findings) {
    const auto line = out.redaction().value(to_line(found));
    out.print(line);
    out.say(out.painted(paint::bad, escape_line(out.redaction().text(found.text()))));
  }
  const auto count = report->findings.size();
  out.print(json{
      {"preflight",
       {{"sessions", report->sessions}, {"findings", count}, {"complete", report->is_complete}}}});
  if (!report->is_complete)
    out.say("There is more: these are the first " + std::to_string(count) + ".");
  out.say(std::to_string(report->sessions) + " sessions are not over; "
          + (count == 0 ? std::string{"all of them would go on."}
                        : std::to_string(count) + " things would keep them from going on."));
  return count == 0 ? exit_status::done : exit_status::attention;
}

} // namespace fermata::command_line
