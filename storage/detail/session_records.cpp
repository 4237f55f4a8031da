#include <fermata/storage/detail/session_records.hpp>

#include <array>
#include <map>
#include <optional>
#include <string>

namespace fermata::detail {

namespace {

caf::error unfit(const std::string& what) {
  return make_error(errc::store_corrupt, what);
}

class checker {
public:
  checker(const head_record& head, const std::vector<record_change>& records) : head_{head} {
    for (const auto& one : records)
      if (one.value)
        records_.emplace(one.key, &*one.value);
  }

  [[nodiscard]] caf::error run() const {
    if (auto error = check_counts())
      return error;
    if (auto error = check_plans())
      return error;
    if (const auto counted = count_waiting(); head_.waiting != counted)
      return unfit("the head's \"waiting\" is " + to_text(to_json(head_.waiting))
                   + ", but by the other records it is " + to_text(to_json(counted)));
    return check_calls();
  }

private:
  /// The next one of each kind gets the number behind the counted ones.
  [[nodiscard]] caf::error check_counts() const {
    struct counted {
      record_kind kind;
      const char* name;
      std::uint64_t count;
    };
    const std::array all{counted{record_kind::call, "calls", head_.calls},
                         counted{record_kind::entry, "entries", head_.entries},
                         counted{record_kind::message, "messages", head_.messages},
                         counted{record_kind::remembered, "decisions", head_.decisions}};
    for (const auto& [key, value] : records_) {
      for (const auto& one : all)
        if (key.kind == one.kind && (key.index == 0 || key.index > one.count))
          return unfit("the head's \"" + std::string{one.name} + "\" is "
                       + std::to_string(one.count) + ", but there is number "
                       + std::to_string(key.index));
      if (key.kind == record_kind::plan && key.group > head_.last_revision)
        return unfit("the head's \"last_revision\" is " + std::to_string(head_.last_revision)
                     + ", but there is a plan of revision " + std::to_string(key.group));
    }
    return caf::none;
  }

  [[nodiscard]] caf::error check_plans() const {
    for (const auto revision : {head_.active_revision, head_.draft_revision})
      if (revision != 0 && !find<plan_record>(plan_key(revision)))
        return unfit("the head names a plan of revision " + std::to_string(revision)
                     + ", which is missing");
    if (head_.running && !running())
      return unfit("the head's \"running\" is " + std::to_string(*head_.running)
                   + ", which is no subtask of the active plan");
    return caf::none;
  }

  /// Answers are counted down on the subtask that runs, and its attempt ends with the last.
  [[nodiscard]] caf::error check_calls() const {
    const auto attempt = running().value_or(subtask_record{});
    const auto end = attempt.first_call + attempt.calls;
    if (attempt.calls > head_.calls || end > head_.calls + 1)
      return unfit("the running subtask has calls up to number " + std::to_string(end - 1)
                   + ", but the head's \"calls\" is " + std::to_string(head_.calls));
    std::uint32_t open = 0;
    std::uint32_t there = 0;
    for (const auto& [key, value] : records_) {
      if (key.kind != record_kind::call)
        continue;
      // Of an earlier revision too: a subtask that goes on in the next one keeps its calls.
      const bool belongs = head_.running && key.index >= attempt.first_call && key.index < end;
      there += belongs ? 1 : 0;
      if (read<call_record>(*value).status == call_status::answered)
        continue;
      if (!belongs)
        return unfit("call " + std::to_string(key.index)
                     + " is open, but is none of the running subtask's attempt");
      ++open;
    }
    if (there != attempt.calls)
      return unfit("the running subtask's \"calls\" is " + std::to_string(attempt.calls) + ", but "
                   + std::to_string(there) + " are there");
    if (open != attempt.open_calls)
      return unfit("the running subtask's \"open_calls\" is " + std::to_string(attempt.open_calls)
                   + ", but " + std::to_string(open) + " are open");
    return caf::none;
  }

  /// What waits for somebody or a timer, by the records of calls, subtasks and the draft.
  [[nodiscard]] waiting_counts count_waiting() const {
    waiting_counts counts;
    for (const auto& [key, value] : records_) {
      if (key.kind == record_kind::call) {
        count(read<call_record>(*value).status, counts);
      } else if (key == plan_key(head_.draft_revision)) {
        counts.decision += !read<plan_record>(*value).sent_back;
      } else if (key.kind == record_kind::subtask && key.group == head_.active_revision) {
        const auto subtask = read<subtask_record>(*value);
        counts.backoff += subtask.status == subtask_status::backing_off
                          || (subtask.status == subtask_status::running && subtask.next_step);
      }
    }
    return counts;
  }

  static void count(call_status status, waiting_counts& counts) {
    counts.decision += status == call_status::awaiting_decision;
    counts.result += status == call_status::awaiting_result;
    counts.answer += status == call_status::awaiting_answer;
    counts.outcome += status == call_status::awaiting_outcome;
    counts.backoff += status == call_status::backing_off;
  }

  [[nodiscard]] std::optional<subtask_record> running() const {
    return head_.running ? find<subtask_record>(subtask_key(head_.active_revision, *head_.running))
                         : std::nullopt;
  }

  template <class Record>
  [[nodiscard]] std::optional<Record> find(const record_key& key) const {
    const auto found = records_.find(key);
    return found == records_.end() ? std::nullopt : std::optional{read<Record>(*found->second)};
  }

  template <class Record>
  static Record read(const bytes& value) {
    return *from_record<Record>(value);
  }

  const head_record& head_;
  std::map<record_key, const bytes*> records_;
};

} // namespace

caf::error check_records(const head_record& head, const std::vector<record_change>& records) {
  return checker{head, records}.run();
}

} // namespace fermata::detail
