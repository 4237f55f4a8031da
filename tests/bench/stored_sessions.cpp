#include "stored_sessions.hpp"

#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/coro/task.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/memory_store.hpp>

#include <fstream>
#include <limits>

namespace fermata::bench {

coro::task<step> sleeper(step_context& context) {
  if (context.transcript.empty())
    co_return step::sleep(std::chrono::days{365});
  co_return step::finish("awake");
}

namespace {

template <class T, class Change>
void rewrite(record_change& change, Change changed) {
  auto record = must(from_record<T>(*change.value));
  changed(record);
  change.value = to_record(record);
}

/// All places where a session's id, or the time of its sleep, stands; none of these is in events,
/// but where it went to sleep in its tail, which none does.
void adjust(record_change& change, commit& in, timestamp due) {
  if (change.key.kind == record_kind::base)
    rewrite<head_record>(change, [&](head_record& head) { head.id = in.session; });
  else if (change.key.kind == record_kind::head)
    rewrite<head_record>(change, [&](head_record& head) {
      head.id = in.session;
      in.defers_records = head.recorded != 0;
      if (!head.armed)
        return;
      head.armed = due;
      timer_change armed;
      armed.due = due;
      armed.timer = session_timer;
      in.timers.push_back(armed);
    });
  else if (change.key.kind == record_kind::subtask)
    rewrite<subtask_record>(change, [&](subtask_record& subtask) {
      if (subtask.next_step)
        subtask.next_step = due;
    });
  else if (change.key.kind == record_kind::entry)
    rewrite<entry_record>(change, [&](entry_record& entry) {
      if (entry.until)
        entry.until = due;
    });
}

} // namespace

template_session::template_session(const plan_spec& plan, approval_policy policy,
                                   std::size_t results) {
  const auto kept = std::make_shared<memory_store>();
  const auto id = must(session_id::parse("template"));
  {
    auto options = options_over(kept);
    options.policy = std::move(policy);
    runtime rt{std::move(options)};
    must(rt.agents().add("sleeper", sleeper));
    rt.start();
    const auto session = rt.session(id);
    must(session.send(propose_plan{plan}).get());
    for (std::size_t call = 1; call <= results; ++call)
      must(session.send(tool_result{call_id{id, call}, sample_json()}).get());
    expect(must(session.wait_until_paused(10s)).has_value(), "the template comes to rest");
  }
  const auto view = must(kept->read());
  const auto anchor = must(view->find(id)).value();
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  for (auto& one : must(
           view->scan(anchor.number, head_key(), {record_kind::base, most, anchor.events}, most))) {
    record_change change;
    change.key = one.key;
    change.value = std::move(one.value);
    base_.records.push_back(std::move(change));
  }
  for (auto& one : must(view->events(anchor.number, 1, most)))
    base_.events.push_back(std::move(one.value));
  base_.status = anchor.status;
  if (const auto head =
          must(core::read_record<head_record>(*view, anchor.number, head_key(), "head"));
      results > 0)
    expect(head.recorded != 0 && head.events - head.recorded > limits{}.tail_events * 3 / 4,
           "the template has a long tail");
  if (const auto waiting = must(view->pending(anchor.number, 0, 0, 1)); !waiting.empty()) {
    item_ = must(from_record<pending_item>(waiting[0].value));
    item_number_ = waiting[0].item;
  }
}

commit template_session::copy(const session_id& id, timestamp due) const {
  auto made = base_;
  made.session = id;
  for (auto& change : made.records)
    adjust(change, made, due);
  if (item_)
    made.pending.push_back(waiting_of(made.session));
  return made;
}

std::size_t template_session::record_bytes() const {
  std::size_t sum = 0;
  for (const auto& one : base_.records)
    sum += one.value->size();
  return sum;
}

pending_change template_session::waiting_of(const session_id& session) const {
  auto item = *item_;
  item.session = session;
  item.id = call_id{session, item_number_}.str();
  pending_change change;
  change.item = item_number_;
  change.value = to_record(item);
  return change;
}

void bulk_writer::add(commit one) {
  constexpr std::size_t at_once = 2'000;
  batch_.push_back(std::move(one));
  if (batch_.size() == at_once)
    flush();
}

void bulk_writer::flush() {
  for (const auto& outcome : to_.write(batch_))
    must(outcome.error);
  batch_.clear();
}

std::filesystem::path filled_store(const context& in, const std::string& name,
                                   const std::function<void(const std::shared_ptr<store>&)>& fill) {
  const auto directory = (in.keep.empty() ? in.directory : in.keep) / name;
  const auto mark = directory / "complete";
  if (std::filesystem::exists(mark))
    return directory;
  std::filesystem::remove_all(directory);
  fill(must(lmdb_store::open(directory)));
  std::ofstream{mark} << "All sessions are in it.\n";
  return directory;
}

namespace {

void write_all(store& kept, const paused_store& made) {
  const template_session small{calling_plan(1)};
  const template_session cold{calling_plan(10)};
  // Each answer comes to four events, which are not in the records.
  const template_session tailed{calling_plan(10), approval_policy::allow_everything(), 9};
  const template_session active{calling_plan(active_subtasks)};
  const auto colds = made.cold();
  const auto tails = made.tailed();
  const auto spread = made.spread();
  bulk_writer writer{kept};
  const auto stride = made.count / made.special;
  for (std::size_t i = 1; i <= made.count; ++i) {
    writer.add(small.copy(numbered("small-", i)));
    if (const auto nth = i / stride; i % stride == 0 && nth <= made.special) {
      writer.add(cold.copy(colds[nth - 1]));
      writer.add(tailed.copy(tails[nth - 1]));
      writer.add(active.copy(spread[nth - 1]));
    }
  }
  for (const auto& id : made.together())
    writer.add(active.copy(id));
  writer.flush();
}

} // namespace

paused_store paused_sessions(const context& in, std::size_t count) {
  paused_store made;
  made.count = count;
  made.special = std::min<std::size_t>(1'000, count);
  made.directory = filled_store(in, "paused-with-tails-" + std::to_string(count),
                                [&](const auto& kept) { write_all(*kept, made); });
  return made;
}

paused_store few_paused_sessions(const context& in) {
  return paused_sessions(in, std::clamp<std::size_t>(in.stored / 10, 1, 1'000));
}

} // namespace fermata::bench
