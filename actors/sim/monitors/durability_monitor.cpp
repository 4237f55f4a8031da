#include <fermata/actors/sim/monitors/durability_monitor.hpp>

#include <fermata/storage/record_codec.hpp>
#include <fermata/storage/records.hpp>

namespace fermata::sim {

namespace {

/// A look at what is durable on a node, which faults do not get in the way of.
struct durable_view {
  explicit durable_view(const world& in, const std::string& node)
      : copy{in.store(node).clone()}, view{copy->read()} {}

  std::shared_ptr<memory_store> copy;
  result<std::unique_ptr<store::view>> view;
};

} // namespace

void durability_monitor::stored(world& in, const stored_commit& what) {
  auto [found, added] = sessions_.try_emplace(what.session);
  auto& kept = found->second;
  if (added) {
    kept.node = what.node;
    kept.events = what.raw.expected_events;
    kept.first = kept.events + 1;
  }
  if (what.raw.expected_events != kept.events)
    violate(in, "P1",
            about(what.session) + "a commit that was decided behind event "
                + std::to_string(what.raw.expected_events) + " is stored behind event "
                + std::to_string(kept.events));
  if (what.raw.events.empty())
    violate(in, "P1", about(what.session, kept.events) + "a commit without an event is stored");
  for (const auto& value : what.raw.events) {
    kept.fresh.push_back(crc32c(value));
    kept.all = crc32c(value, kept.all);
  }
  kept.events = what.raw.expected_events + what.raw.events.size();
  kept.status = what.raw.status;
  for (const auto& change : what.raw.records)
    if (change.key == head_key() && change.value)
      kept.head = crc32c(*change.value);
}

void durability_monitor::published(world& in, const published_events& what) {
  const auto found = sessions_.find(what.session);
  const auto events = found == sessions_.end() ? 0 : found->second.events;
  if (found != sessions_.end() && what.last > events)
    violate(in, "P1",
            about(what.session) + "followers are told of event " + std::to_string(what.last)
                + ", but only " + std::to_string(events) + " are stored");
}

void durability_monitor::node_up(world& in, const std::string& node) {
  durable_view durable{in, node};
  if (!durable.view)
    return violate(
        in, "P1",
        node + ": its store cannot be read after a start: " + message_of(durable.view.error()));
  for (auto& [session, kept] : sessions_)
    if (kept.node == node)
      check_fresh(in, **durable.view, session, kept);
}

void durability_monitor::check_fresh(world& in, store::view& view, const session_id& session,
                                     trail& of) {
  const auto broken = [&](const std::string& text) {
    violate(in, "P1", about(session) + "after a start of " + of.node + ", " + text);
  };
  const auto anchor = view.find(session);
  if (!anchor || !*anchor)
    return broken("the session is not found"
                  + (anchor ? std::string{} : ": " + message_of(anchor.error())));
  const auto& found = **anchor;
  if (found.events != of.events)
    return broken(std::to_string(found.events) + " events are stored; there were "
                  + std::to_string(of.events));
  const auto first = of.events - of.fresh.size() + 1;
  const auto events = view.events(found.number, first, of.fresh.size());
  if (!events)
    return broken("events from " + std::to_string(first)
                  + " on cannot be read: " + message_of(events.error()));
  if (events->size() != of.fresh.size())
    return broken("there are gaps behind event " + std::to_string(first - 1));
  for (std::size_t i = 0; i < of.fresh.size(); ++i)
    if ((*events)[i].number != first + i || crc32c((*events)[i].value) != of.fresh[i])
      return broken("event " + std::to_string(first + i) + " is not the one that was stored");
  of.fresh.clear();
  const auto head = view.read(found.number, head_key());
  if (!head || !*head || crc32c(**head) != of.head || found.status != of.status)
    violate(in, "P7",
            about(session, of.events) + "after a start of " + of.node
                + ", the head is not the one that was stored last");
}

void durability_monitor::ended(world& in) {
  for (const auto& node : in.nodes()) {
    durable_view durable{in, node};
    if (!durable.view)
      return violate(in, "P1",
                     node + ": its store cannot be read: " + message_of(durable.view.error()));
    for (const auto& [session, kept] : sessions_)
      if (kept.node == node)
        check_all(in, **durable.view, session, kept);
  }
}

void durability_monitor::check_all(world& in, store::view& view, const session_id& session,
                                   const trail& of) {
  const auto anchor = view.find(session);
  std::uint32_t crc = 0;
  std::uint64_t count = 0;
  caf::error error;
  if (anchor && *anchor)
    error = view.visit_events((*anchor)->number, of.first, of.events,
                              [&](stored_event one) -> result<bool> {
                                crc = crc32c(one.value, crc);
                                ++count;
                                return true;
                              });
  if (error || crc != of.all || count != of.events - of.first + 1)
    violate(in, "P1",
            about(session) + "of the events from " + std::to_string(of.first) + " to "
                + std::to_string(of.events) + " not all are as they were stored"
                + (error ? ": " + message_of(error) : std::string{}));
}

} // namespace fermata::sim
