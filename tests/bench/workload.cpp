#include "workload.hpp"

#include <fermata/actors/core/persistence.hpp>

namespace fermata::bench {

json sample_json() {
  constexpr std::size_t around = std::string_view{R"({"text":""})"}.size();
  return {{"text", std::string(200 - around, 'x')}};
}

plan_spec calling_plan(std::size_t subtasks) {
  auto plan = must(
      parse_plan(R"({"goal": "call on", "tools": {"ask": {"kind": "client"}}, "subtasks": []})"));
  for (std::size_t i = 0; i < subtasks; ++i) {
    subtask_spec subtask;
    subtask.id = must(subtask_id::parse("t" + std::to_string(i)));
    subtask.steps = {json{{"tool", "ask"}, {"arguments", sample_json()}}};
    plan.subtasks.push_back(std::move(subtask));
  }
  return plan;
}

runtime_options options_over(std::shared_ptr<store> kept) {
  runtime_options options;
  options.store = std::move(kept);
  options.policy = approval_policy::allow_everything();
  options.passivate_after = std::chrono::hours{1};
  return options;
}

session_id numbered(std::string_view prefix, std::size_t number) {
  const auto digits = std::to_string(number);
  return must(session_id::parse(std::string{prefix}
                                + std::string(8 - std::min<std::size_t>(8, digits.size()), '0')
                                + digits));
}

std::vector<session_id> numbered_ids(std::string_view prefix, std::size_t count) {
  std::vector<session_id> ids;
  for (std::size_t i = 1; i <= count; ++i)
    ids.push_back(numbered(prefix, i));
  return ids;
}

workload::workload(runtime& rt, const std::vector<session_id>& ids, std::size_t subtasks)
    : subtasks_{subtasks}, plan_{calling_plan(subtasks)} {
  std::vector<std::future<result<receipt>>> sent;
  for (const auto& id : ids) {
    rested_.push_back(sessions_.size());
    sessions_.push_back(take_over(rt, id));
    if (auto& one = sessions_.back(); one.calls_left == 0) {
      sent.push_back(one.handle.send(propose_plan{plan_}));
      one.calls_left = subtasks_;
    }
  }
  for (auto& one : sent)
    must(one.get());
}

workload::driven workload::take_over(runtime& rt, const session_id& id) const {
  driven one{rt.session(id)};
  if (!must(rt.store().find(id)))
    return one;
  const auto status = must(one.handle.status());
  one.calls_left = status.progress.running + status.progress.pending;
  const auto view = must(rt.store().read());
  const auto number = must(view->find(id)).value().number;
  const auto head = must(core::read_record<head_record>(*view, number, head_key(), "head"));
  one.next_call = head.calls + (one.calls_left == 0 ? 1 : 0);
  return one;
}

void workload::begin(std::size_t resumes, std::size_t under_way) {
  left_ = resumes;
  under_way_ = std::min({under_way, sessions_.size(), resumes});
  begun_ = {seconds{clock_type::now().time_since_epoch()}.count(), processor_time()};
  for (auto i = std::min({under_way, sessions_.size(), resumes}); i > 0; --i)
    go_on();
}

void workload::stop() {
  const std::lock_guard lock{mutex_};
  left_ = 0;
}

effort workload::wait() {
  std::unique_lock lock{mutex_};
  done_.wait(lock, [this] { return under_way_ == 0; });
  must(failed_);
  return {seconds{clock_type::now().time_since_epoch()}.count() - begun_.wall,
          processor_time() - begun_.processor};
}

void workload::go_on() {
  std::size_t which = 0;
  {
    const std::lock_guard lock{mutex_};
    if (left_ == 0 || failed_) {
      --under_way_;
      done_.notify_all();
      return;
    }
    --left_;
    which = rested_.front();
    rested_.pop_front();
  }
  resume(which);
}

tool_result workload::next_result(driven& one) {
  --one.calls_left;
  return {call_id{one.handle.id(), one.next_call++}, sample_json()};
}

void workload::resume(std::size_t which) {
  auto& one = sessions_[which];
  one.sent = clock_type::now();
  if (one.calls_left > 0)
    return one.handle.send(next_result(one),
                           [this, which](const result<receipt>& given) { answered(which, given); });
  one.calls_left = subtasks_;
  one.handle.send(propose_plan{plan_}, [this, which](const result<receipt>& given) {
    given ? resume(which) : answered(which, given);
  });
}

void workload::answered(std::size_t which, const result<receipt>& given) {
  {
    const std::lock_guard lock{mutex_};
    if (!given)
      failed_ = given.error();
    rested_.push_back(which);
    latencies_.push_back(microseconds_since(sessions_[which].sent));
  }
  go_on();
}

double workload::resume_one(std::size_t which) {
  auto& one = sessions_[which];
  if (one.calls_left == 0) {
    must(one.handle.send(propose_plan{plan_}).get());
    one.calls_left = subtasks_;
  }
  const auto begin = clock_type::now();
  must(one.handle.send(next_result(one)).get());
  return microseconds_since(begin);
}

} // namespace fermata::bench
