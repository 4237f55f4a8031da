#pragma once

#include <fermata/messages/events.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace fermata::core {

/// True for an event whose commit writes all records: no tail has it.
[[nodiscard]] bool needs_records(const event_body& body);

/// The events of a transaction as they are written, and what its end has to know of them: the
/// events themselves become what `apply` makes of them.
class recorded_events {
public:
  void add(const event& fact);

  [[nodiscard]] bool empty() const noexcept { return encoded_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return encoded_.size(); }
  /// True if one of them does.
  [[nodiscard]] bool needs_records() const noexcept { return needs_records_; }
  [[nodiscard]] bool ends_plan() const noexcept { return ends_plan_; }
  [[nodiscard]] bool schedules_deletion() const noexcept { return schedules_deletion_; }
  /// 0: they drop none.
  [[nodiscard]] std::uint64_t drops_events_below() const noexcept { return drops_events_below_; }
  /// In their record form, in the order in which they were added.
  [[nodiscard]] std::vector<bytes> take() && noexcept { return std::move(encoded_); }

private:
  std::vector<bytes> encoded_;
  std::uint64_t drops_events_below_ = 0;
  bool needs_records_ = false;
  bool ends_plan_ = false;
  bool schedules_deletion_ = false;
};

} // namespace fermata::core
