#include <fermata/storage/postgres/postgres_ownership.hpp>

#include <fermata/storage/detail/slot_checks.hpp>
#include <fermata/storage/postgres/detail/database.hpp>

#include <algorithm>
#include <sstream>

namespace fermata {

using detail::listed;
using detail::postgres_parameters;

namespace {

std::uint32_t slot_at(const detail::postgres_rows& rows, std::size_t row) {
  return static_cast<std::uint32_t>(rows.number(row, 0));
}

/// Of a name that was written by a node; empty: nobody's.
node_name name_of(const std::string& text) {
  auto parsed = node_name::parse(text);
  return parsed ? std::move(*parsed) : node_name{};
}

/// With commas between them.
std::vector<node_name> names_in(const std::string& text) {
  std::vector<node_name> names;
  std::istringstream rest{text};
  for (std::string name; std::getline(rest, name, ',');)
    names.push_back(name_of(name));
  return names;
}

} // namespace

result<std::unique_ptr<postgres_ownership>>
postgres_ownership::join(std::shared_ptr<postgres_store> store, std::chrono::milliseconds lease) {
  if (auto error = detail::check_lease(lease))
    return error;
  const auto database = store->database();
  if (!database)
    return make_error(errc::store_unavailable, "the store is closed");
  auto& in = *database;
  if (in.node().empty())
    return make_error(errc::invalid_field,
                      "the store has one owner; open it with postgres_options.node to share it");
  const auto& statements = in.statements();
  const auto life = postgres_parameters{}.number(in.life());
  const auto joins = postgres_parameters{}.number(in.life()).text(in.node().str());
  if (auto error = in.change({{&statements.end_other_leases, life},
                              {&statements.join_nodes, joins},
                              {&statements.forget_old_leases, {}},
                              {&statements.forget_old_names, {}}},
                             true, [](const auto&) {}))
    return error;
  return std::unique_ptr<postgres_ownership>{
      new postgres_ownership{std::move(store), in.node(), lease}};
}

postgres_ownership::postgres_ownership(std::shared_ptr<postgres_store> store, node_name node,
                                       std::chrono::milliseconds lease)
    : store_{std::move(store)}, node_{std::move(node)}, lease_{lease} {}

template <class Body>
auto postgres_ownership::with_database(const Body& body) const
    -> std::invoke_result_t<Body, detail::postgres_database&> {
  const auto open = store_->database();
  if (!open)
    return make_error(errc::store_unavailable, "the store is closed");
  return body(*open);
}

template <class Body>
auto postgres_ownership::with_database(std::span<const std::uint32_t> slots, const Body& body) const
    -> std::invoke_result_t<Body, detail::postgres_database&> {
  using answer = std::invoke_result_t<Body, detail::postgres_database&>;
  return with_database([&](detail::postgres_database& in) -> answer {
    if (auto error = detail::check_slots(slots))
      return error;
    return body(in);
  });
}

result<ownership_news> postgres_ownership::renew(slot_wish wish) {
  return with_database([&](detail::postgres_database& in) -> result<ownership_news> {
    // Without its locks others may come under its name, or as the only owner: it would be replaced.
    if (auto error = in.keep_owning())
      return error;
    const auto renewed =
        in.ask(in.statements().renew_lease, postgres_parameters{}
                                                .number(in.life())
                                                .number(lease_.count())
                                                .text(wish == slot_wish::give ? "true" : "false"));
    if (!renewed)
      return renewed.error();
    if (renewed->empty())
      return detail::no_lease_error(in.node());
    if (renewed->text(0, 0) == "true")
      if (const auto limited = in.ask(in.statements().limit_leases, {}); !limited)
        return limited.error();
    // What is acquired meanwhile is not taken for lost.
    const auto before = in.acquired();
    const auto rows = in.ask(in.statements().own_slots, postgres_parameters{}.number(in.life()));
    if (!rows)
      return rows.error();
    std::map<std::uint32_t, std::int64_t> owned;
    for (std::size_t i = 0; i < rows->size(); ++i)
      owned[slot_at(*rows, i)] = rows->number(i, 1);
    ownership_news news;
    for (const auto& [slot, epoch] : before)
      if (const auto found = owned.find(slot); found == owned.end() || found->second != epoch) {
        if (!in.set_lost(slot, epoch))
          owned.erase(slot); // acquired again meanwhile
        else
          news.lost.push_back(slot);
      }
    const auto now = in.acquired();
    for (const auto& [slot, epoch] : owned)
      if (!now.contains(slot))
        news.offered.push_back(slot);
    return news;
  });
}

result<std::vector<std::uint32_t>>
postgres_ownership::acquire(std::span<const std::uint32_t> slots) {
  return with_database(
      slots, [&](detail::postgres_database& in) -> result<std::vector<std::uint32_t>> {
        std::vector<std::uint32_t> wanted;
        const auto before = in.acquired();
        for (const auto slot : slots)
          if (!before.contains(slot))
            wanted.push_back(slot);
        std::vector<std::uint32_t> got;
        if (wanted.empty())
          return got;
        // A lease that is found to have run out is not renewed until its slots have their next
        // owner.
        const auto take = [&](const std::vector<detail::postgres_rows>& answers) {
          const auto& rows = answers.at(1);
          for (std::size_t i = 0; i < rows.size(); ++i) {
            in.set_acquired(slot_at(rows, i), rows.number(i, 1));
            got.push_back(slot_at(rows, i));
          }
        };
        if (auto error = in.change({{&in.statements().lock_leases, {}},
                                    {&in.statements().acquire_slots,
                                     postgres_parameters{}.number(in.life()).text(listed(wanted))}},
                                   true, take))
          return error;
        std::sort(got.begin(), got.end());
        return got;
      });
}

caf::error postgres_ownership::release(std::span<const std::uint32_t> slots) {
  return with_database(slots, [&](detail::postgres_database& in) -> caf::error {
    return in.change({{&in.statements().release_slots, postgres_parameters{}.number(in.life()).text(
                                                           slots.empty() ? "-1" : listed(slots))}},
                     true, [&](const auto&) {
                       for (const auto slot : slots)
                         in.set_lost(slot);
                     });
  });
}

caf::error postgres_ownership::move(std::span<const std::uint32_t> slots, const node_name& to) {
  return with_database(slots, [&](detail::postgres_database& in) -> caf::error {
    if (slots.empty())
      return caf::none;
    auto is_moved = false;
    const auto take = [&](const std::vector<detail::postgres_rows>& answers) {
      is_moved = !answers.front().empty();
      if (is_moved)
        for (const auto slot : slots)
          in.set_lost(slot);
    };
    if (auto error = in.change(
            {{&in.statements().move_slots,
              postgres_parameters{}.number(in.life()).text(listed(slots)).text(to.str())}},
            false, take))
      return error;
    if (!is_moved)
      return detail::not_moved_error(slots, in.node(), to);
    return caf::none;
  });
}

caf::error postgres_ownership::leave() {
  return with_database([&](detail::postgres_database& in) -> caf::error {
    const auto life = postgres_parameters{}.number(in.life());
    return in.change(
        {{&in.statements().release_all_slots, life}, {&in.statements().end_lease, life}}, true,
        [&](const auto&) {
          for (const auto& [slot, epoch] : in.acquired())
            in.set_lost(slot);
        });
  });
}

result<ownership_table> postgres_ownership::look() {
  return with_database([&](detail::postgres_database& in) -> result<ownership_table> {
    const auto rows = in.ask(in.statements().all_slots, {});
    if (!rows)
      return rows.error();
    ownership_table table;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      slot_owner owner;
      owner.node = name_of(rows->text(i, 1));
      owner.epoch = static_cast<std::uint64_t>(rows->number(i, 2));
      owner.has_lease = rows->text(i, 3) == "true";
      owner.renewal = static_cast<std::uint64_t>(rows->number(i, 6));
      owner.lease = std::chrono::milliseconds{rows->number(i, 7)};
      table.slots.push_back(std::move(owner));
    }
    if (!rows->empty()) {
      table.nodes = names_in(rows->text(0, 4));
      table.draining = names_in(rows->text(0, 5));
    }
    return table;
  });
}

result<bool> postgres_ownership::holds_lease(const session_id& session,
                                             std::chrono::milliseconds at_least) {
  return with_database([&](detail::postgres_database& in) -> result<bool> {
    const auto slot = slot_of(session);
    const auto acquired = in.acquired_in(slot);
    if (!acquired)
      return false;
    const auto asked = detail::postgres_clock::now();
    const auto rows =
        in.ask(in.statements().holds_lease,
               postgres_parameters{}.number(in.life()).number(slot).number(*acquired));
    if (!rows)
      return rows.error();
    // The answer may be as old as the question.
    const auto age =
        std::chrono::ceil<std::chrono::milliseconds>(detail::postgres_clock::now() - asked);
    return !rows->empty() && std::chrono::milliseconds{rows->number(0, 0)} - age >= at_least;
  });
}

std::vector<std::uint32_t> postgres_ownership::acquired() const {
  std::vector<std::uint32_t> slots;
  if (const auto open = store_->database())
    for (const auto& [slot, epoch] : open->acquired())
      slots.push_back(slot);
  return slots;
}

} // namespace fermata
