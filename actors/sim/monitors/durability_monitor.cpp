#include <fermata/actors/sim/monitors/durability_monitor.hpp>

#include <fermata/storage/record_codec.hpp>
#include <fermata/storage/records.hpp>

#include <algorithm>
#include <utility>

namespace fermata::sim {

namespace {

/// A look at what is durable on a node, which faults do not get in the way of.
struct durable_view {
  explicit durable_view(const world& in, const std::string& node)
      : copy{in.store(node).clone()}, view{copy->read()} {}

  std::shared_ptr<memory_store> copy;
  result<std::unique_ptr<store::view>> view;
};

/// How the events from `first` on differ from those whose checksums there are; empty: they do not.
template <class Trail>
std::string compare(store::view& view, const session_anchor& session, const Trail& of,
                    std::uint64_t first) {
  auto next = first;
  std::string wrong;
  const auto error = view.visit_events(
      session.number, first, of.events, [&](const stored_event& one) -> result<bool> {
        if (one.number != next)
          wrong = "there is a gap behind event " + std::to_string(next - 1);
        else if (crc32c(one.value) != of.checksums[next - of.first])
          wrong = "event " + std::to_string(next) + " is not the one that was stored";
        ++next;
        return wrong.empty();
      });
  if (error)
    return "events from " + std::to_string(first) + " on cannot be read: " + message_of(error);
  if (wrong.empty() && next != of.events + 1)
    return "there is a gap behind event " + std::to_string(next - 1);
  return wrong;
}

} // namespace

void durability_monitor::stored(world& in, const stored_commit& what) {
  auto [found, added] = sessions_.try_emplace(what.session);
  auto& kept = found->second;
  if (kept.deleted && what.raw.number == 0) {
    kept = {}; // another one of the same id
    added = true;
  }
  if (added) {
    kept.node = what.node;
    kept.events = what.raw.expected_events;
    kept.first = kept.fresh = kept.events + 1;
  }
  if (kept.deleted)
    violate(in, "P1",
            about(what.session, kept.events) + "something is stored of it, but it is deleted");
  if (what.raw.expected_events != kept.events)
    violate(in, "P1",
            about(what.session) + "a commit that was decided behind event "
                + std::to_string(what.raw.expected_events) + " is stored behind event "
                + std::to_string(kept.events));
  if (what.raw.events.empty())
    violate(in, "P1", about(what.session, kept.events) + "a commit without an event is stored");
  for (const auto& value : what.raw.events)
    kept.checksums.push_back(crc32c(value));
  kept.events = what.raw.expected_events + what.raw.events.size();
  if (const auto first = what.raw.drops_events_below; first > kept.first) {
    const auto dropped = std::min<std::uint64_t>(first - kept.first, kept.checksums.size());
    kept.checksums.erase(kept.checksums.begin(),
                         kept.checksums.begin() + static_cast<std::ptrdiff_t>(dropped));
    kept.first = first;
    kept.fresh = std::max(kept.fresh, first);
  }
  if (what.raw.deletes_session) {
    kept.deleted = true;
    kept.checksums = {};
  }
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
  if (of.deleted) {
    if (!anchor || *anchor)
      broken("the session is found, although it was deleted");
    return;
  }
  if (!anchor || !*anchor)
    return broken("the session is not found"
                  + (anchor ? std::string{} : ": " + message_of(anchor.error())));
  const auto& found = **anchor;
  if (found.events != of.events)
    return broken(std::to_string(found.events) + " events are stored; there were "
                  + std::to_string(of.events));
  if (const auto text = compare(view, found, of, std::exchange(of.fresh, of.events + 1));
      !text.empty())
    return broken(text);
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
  if (of.deleted) {
    if (!anchor || *anchor)
      violate(in, "P1", about(session) + "it is found, although it was deleted");
    return;
  }
  const auto text = !anchor || !*anchor ? "it is not found" : compare(view, **anchor, of, of.first);
  if (!text.empty())
    violate(in, "P1", about(session) + "long after it was stored, " + text);
}

} // namespace fermata::sim
