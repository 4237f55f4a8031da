#include <fermata/storage/memory_ownership.hpp>

#include <fermata/storage/detail/new_identity.hpp>
#include <fermata/storage/detail/slot_checks.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace fermata {

memory_ownership_table::memory_ownership_table(clock now)
    : memory_ownership_table{std::move(now), detail::new_identity()} {}

memory_ownership_table::memory_ownership_table(clock now, store_identity identity)
    : now_{std::move(now)}, identity_{std::move(identity)}, slots_(session_slots) {}

void memory_ownership_table::end_lease(const node_name& node) {
  const std::lock_guard lock{mutex_};
  if (const auto found = members_.find(node); found != members_.end())
    found->second.lease_until = now_();
}

memory_ownership_table::member* memory_ownership_table::find(const node_name& node,
                                                             std::uint64_t life) {
  const auto found = members_.find(node);
  return found != members_.end() && found->second.life == life ? &found->second : nullptr;
}

bool memory_ownership_table::is_taken(const slot& one) {
  const auto* owner = find(one.owner, one.life);
  return owner != nullptr && has_lease(*owner);
}

slot_owner memory_ownership_table::owner_of(const slot& one) {
  slot_owner owner;
  owner.epoch = one.epoch;
  owner.has_lease = is_taken(one);
  if (const auto* member = find(one.owner, one.life)) {
    owner.node = one.owner;
    owner.renewal = member->renewal;
    owner.lease = member->lease;
  }
  return owner;
}

ownership_table memory_ownership_table::contents() {
  ownership_table seen;
  for (const auto& one : slots_)
    seen.slots.push_back(owner_of(one));
  for (const auto& [name, node] : members_)
    if (has_lease(node)) {
      seen.nodes.push_back(name);
      if (node.drains)
        seen.draining.push_back(name);
    }
  return seen;
}

ownership_table memory_ownership_table::look() {
  const std::lock_guard lock{mutex_};
  return contents();
}

void memory_ownership_table::on_change(
    std::function<void(std::uint32_t, const slot_owner&, const slot_owner&)> changed) {
  const std::lock_guard lock{mutex_};
  changed_ = std::move(changed);
}

/// One process under the name of a node. All of it with the table locked.
struct memory_ownership::life {
  life(std::shared_ptr<memory_ownership_table> of, node_name name)
      : table{std::move(of)}, node{std::move(name)} {}

  /// Null: it has left, or another life has come under its name.
  [[nodiscard]] memory_ownership_table::member* member() const { return table->find(node, number); }

  /// The epoch in which it has acquired a slot.
  [[nodiscard]] std::optional<std::uint64_t> acquired_in(std::uint32_t slot) const {
    const auto found = acquired.find(slot);
    return found != acquired.end() ? std::optional{found->second} : std::nullopt;
  }

  [[nodiscard]] bool owns(std::uint32_t slot) const {
    const auto& stored = table->slots_[slot];
    return stored.life == number && acquired_in(slot) == stored.epoch && member() != nullptr;
  }

  [[nodiscard]] caf::error check_owner(const session_id& session) const {
    if (owns(slot_of(session)))
      return caf::none;
    const auto& slot = table->slots_[slot_of(session)];
    const auto has_owner = table->find(slot.owner, slot.life) != nullptr;
    return detail::not_owner_error(session, has_owner ? slot.owner.str() : "", slot.epoch,
                                   acquired_in(slot_of(session)));
  }

  void give(std::uint32_t slot, const node_name& to, std::uint64_t to_life) {
    const auto before = table->owner_of(table->slots_[slot]);
    table->slots_[slot] = {to, to_life, table->slots_[slot].epoch + 1};
    acquired.erase(slot);
    if (table->changed_)
      table->changed_(slot, before, table->owner_of(table->slots_[slot]));
  }

  const std::shared_ptr<memory_ownership_table> table;
  const node_name node;
  std::uint64_t number = 0;
  std::map<std::uint32_t, std::uint64_t> acquired; ///< With the epochs.
};

result<std::unique_ptr<memory_ownership>>
memory_ownership::join(std::shared_ptr<memory_ownership_table> table, node_name node,
                       std::shared_ptr<memory_store> store, std::chrono::milliseconds lease) {
  if (auto error = detail::check_lease(lease))
    return error;
  if (node.empty())
    return make_error(errc::invalid_field, "a node that shares a store needs a name");
  auto& in = *table;
  const auto joined = std::make_shared<life>(std::move(table), std::move(node));
  std::unique_ptr<memory_ownership> ownership{
      new memory_ownership{std::move(store), lease, joined}};
  const auto begin = [&] {
    joined->number = ++in.last_life_;
    in.members_[joined->node] = {joined->number, in.now_(), lease, false, 0}; // it has run out
    return caf::error{};
  };
  if (auto error = ownership->look_at(begin))
    return error;
  ownership->store_->on_commit([joined](const session_id& session) {
    const std::lock_guard lock{joined->table->mutex_};
    return joined->check_owner(session);
  });
  return ownership;
}

memory_ownership::memory_ownership(std::shared_ptr<memory_store> store,
                                   std::chrono::milliseconds lease, std::shared_ptr<life> joined)
    : store_{std::move(store)}, lease_{lease}, life_{std::move(joined)}, node_{life_->node} {}

const store_identity& memory_ownership::identity() const noexcept {
  return life_->table->identity();
}

caf::error memory_ownership::look_at(const std::function<caf::error()>& body) const {
  return store_->between_writes([&] {
    const std::lock_guard lock{life_->table->mutex_};
    return body();
  });
}

caf::error memory_ownership::change(const std::function<caf::error()>& body) const {
  return look_at([&] {
    const auto& members = life_->table->members_;
    if (const auto found = members.find(node_);
        found != members.end() && found->second.life != life_->number)
      return make_error(errc::store_busy,
                        "another process has come under the name of node " + node_.str());
    return body();
  });
}

result<ownership_news> memory_ownership::renew(slot_wish wish) {
  ownership_news news;
  auto& slots = life_->table->slots_;
  auto error = look_at([&] {
    auto* self = life_->member();
    if (self == nullptr)
      return detail::no_lease_error(node_);
    const auto now = life_->table->now_();
    self->lease_until = now + lease_;
    self->renewal = ++life_->table->last_renewal_;
    // Others' are further away where the clock was set back.
    for (auto& [name, other] : life_->table->members_)
      other.lease_until = std::min(other.lease_until, now + other.lease);
    self->drains = wish == slot_wish::give;
    std::erase_if(life_->acquired, [&](const auto& one) {
      const auto& [number, epoch] = one;
      const auto is_lost = slots[number].life != life_->number || slots[number].epoch != epoch;
      if (is_lost)
        news.lost.push_back(number);
      return is_lost;
    });
    for (std::uint32_t number = 0; number < session_slots; ++number)
      if (slots[number].life == life_->number && !life_->acquired.contains(number))
        news.offered.push_back(number);
    return caf::error{};
  });
  if (error)
    return error;
  return news;
}

result<std::vector<std::uint32_t>> memory_ownership::acquire(std::span<const std::uint32_t> slots) {
  if (auto error = detail::check_slots(slots))
    return error;
  std::vector<std::uint32_t> got;
  auto& table = *life_->table;
  auto error = change([&] {
    const auto* self = life_->member();
    if (self == nullptr || !table.has_lease(*self))
      return caf::error{};
    for (const auto number : slots) {
      const auto& slot = table.slots_[number];
      if (life_->acquired.contains(number) || (slot.life != life_->number && table.is_taken(slot)))
        continue;
      life_->give(number, node_, life_->number);
      life_->acquired[number] = slot.epoch;
      got.push_back(number);
    }
    return caf::error{};
  });
  if (error)
    return error;
  std::sort(got.begin(), got.end());
  return got;
}

caf::error memory_ownership::release(std::span<const std::uint32_t> slots) {
  if (auto error = detail::check_slots(slots))
    return error;
  return change([&] {
    for (const auto number : slots)
      if (life_->table->slots_[number].life == life_->number)
        life_->give(number, {}, 0);
      else
        life_->acquired.erase(number);
    return caf::error{};
  });
}

caf::error memory_ownership::move(std::span<const std::uint32_t> slots, const node_name& to) {
  if (auto error = detail::check_slots(slots))
    return error;
  if (slots.empty())
    return caf::none;
  return change([&] {
    auto& table = *life_->table;
    const auto next = table.members_.find(to);
    const auto is_mine = [&](std::uint32_t number) {
      return table.slots_[number].life == life_->number;
    };
    if (next == table.members_.end() || !table.has_lease(next->second)
        || !std::all_of(slots.begin(), slots.end(), is_mine))
      return detail::not_moved_error(slots, node_, to);
    for (const auto number : slots)
      life_->give(number, to, next->second.life);
    return caf::error{};
  });
}

caf::error memory_ownership::leave() {
  return change([&] {
    auto& table = *life_->table;
    for (std::uint32_t number = 0; number < session_slots; ++number)
      if (table.slots_[number].life == life_->number)
        life_->give(number, {}, 0);
    life_->acquired.clear();
    table.members_.erase(node_);
    return caf::error{};
  });
}

result<ownership_table> memory_ownership::look() {
  ownership_table seen;
  auto error = look_at([&] {
    seen = life_->table->contents();
    return caf::error{};
  });
  if (error)
    return error;
  return seen;
}

result<bool> memory_ownership::holds_lease(const session_id& session,
                                           std::chrono::milliseconds at_least) {
  auto holds = false;
  auto error = look_at([&] {
    const auto* self = life_->member();
    if (self == nullptr || !life_->owns(slot_of(session)) || !life_->table->has_lease(*self))
      return caf::error{};
    const auto left = self->lease_until - life_->table->now_();
    holds = std::min(std::chrono::floor<std::chrono::milliseconds>(left), lease_) >= at_least;
    return caf::error{};
  });
  if (error)
    return error;
  return holds;
}

std::vector<std::uint32_t> memory_ownership::acquired() const {
  std::vector<std::uint32_t> slots;
  const std::lock_guard lock{life_->table->mutex_};
  for (const auto& [number, epoch] : life_->acquired)
    slots.push_back(number);
  return slots;
}

} // namespace fermata
