#include <fermata/actors/sim/detail/stage.hpp>

#include <fermata/actors/sim/detail/summary.hpp>

#include <algorithm>
#include <utility>

namespace fermata::sim::detail {

namespace {

std::vector<event> decode(const commit& body) {
  std::vector<event> events;
  events.reserve(body.events.size());
  for (const auto& value : body.events) {
    auto parsed = from_record<event>(value);
    if (!parsed)
      throw violation{"P1",
                      "an event that was stored is not readable: " + message_of(parsed.error())};
    parsed->number = body.expected_events + events.size() + 1;
    events.push_back(std::move(*parsed));
  }
  return events;
}

} // namespace

void stage::tell_news() {
  while (!pending_news.empty()) {
    const auto first_news = std::move(pending_news.front());
    pending_news.pop_front();
    std::visit([this](const auto& what) { tell(what); }, first_news);
  }
}

void stage::tell(const stored& what) {
  const auto events = decode(what.body);
  if (keeps_trace)
    for (const auto& one : events)
      note("stored " + std::to_string(one.number) + " " + summary(one.body), what.at->name,
           what.body.session.str());
  follow(what.body.session);
  const stored_commit seen{what.at->name, what.body.session, events, what.body};
  for (const auto& one : witnesses)
    one->stored(self, seen);
  if (what.at->freeze_at_claim && std::any_of(events.begin(), events.end(), [](const event& one) {
        return std::holds_alternative<call_claimed>(one.body);
      })) {
    auto& at = node(what.at->name);
    freeze(at, *std::exchange(at.freeze_at_claim, {}));
    pending_news.push_back(hit{&at, fault_kind::freeze_claimed, false});
  }
}

void stage::tell(const published& what) {
  const published_events seen{what.at->name, what.session, what.last};
  for (const auto& one : witnesses)
    one->published(self, seen);
}

void stage::tell(const answered& what) {
  if (!what.asked.body)
    return;
  if (keeps_trace)
    note("answered " + std::string{name_of(*what.asked.body)} + ": " + show(what.answer),
         what.at->name, what.asked.session.str());
  const command_answer seen{what.number, what.asked.session, *what.asked.body, what.answer,
                            what.asked.sent_at};
  for (const auto& one : witnesses)
    one->answered(self, seen);
}

void stage::tell(const hit& what) {
  if (keeps_trace && !what.noted)
    note("fault: hit by " + enum_name(what.kind), what.at->name);
  for (const auto& one : witnesses)
    one->fault_hit(self, what.at->name, what.kind);
}

void stage::tell(const moved& what) {
  if (!what.now.node.empty())
    common->owners[what.slot] = &node(what.now.node.str());
  const changed_slot seen{what.slot, what.before, what.now, what.may_begin_effects};
  for (const auto& one : witnesses)
    one->slot_changed(self, seen);
}

std::string stage::show(const result<receipt>& answer) {
  if (!answer)
    return std::string{name_of(code_of(answer.error()))};
  return enum_name(answer->kind) + " " + std::to_string(answer->event);
}

void stage::run_began(const simulated_node& at, const tool& what, const tool_context& context) {
  if (keeps_trace)
    note("run " + std::to_string(context.run) + " of " + what.name.str() + " begins for c"
             + std::to_string(context.call.number()),
         at.name, context.call.session().str());
  const tool_run seen{at.name, what, context};
  for (const auto& one : witnesses)
    one->run_began(self, seen);
}

void stage::run_ended(const simulated_node& at, const tool& what, const tool_context& context,
                      const json* content, bool cut_off) {
  if (keeps_trace)
    note("run " + std::to_string(context.run) + " of c" + std::to_string(context.call.number())
             + (cut_off              ? " is cut off"
                : content != nullptr ? " succeeds"
                                     : " fails"),
         at.name, context.call.session().str());
  const ended_tool_run seen{at.name, what, context, content, cut_off};
  for (const auto& one : witnesses)
    one->run_ended(self, seen);
}

void stage::follow(const session_id& session) {
  auto& at = home(session);
  if (!at.process || !at.followed.insert(session).second)
    return;
  // It ends with the hub, which is the process's.
  std::ignore = at.process->shared->hub.observe(session, [this, &at, session](std::uint64_t last) {
    pending_news.push_back(published{&at, session, last});
  });
}

void stage::check_invariants() {
  for (const auto& [name, check] : invariants)
    if (auto text = check(self); !text.empty())
      self.report(violation{name, std::move(text)});
}

void stage::throw_if_broken() {
  if (!broken)
    return;
  const auto first_broken = *std::exchange(broken, std::nullopt);
  throw first_broken;
}

void stage::note(std::string text, const std::string& at, const std::string& session) {
  if (!keeps_trace)
    return;
  trace_entry entry;
  entry.at = elapsed;
  entry.step = steps;
  entry.node = at;
  entry.session = session;
  entry.text = std::move(text);
  kept.push_back(std::move(entry));
}

} // namespace fermata::sim::detail
