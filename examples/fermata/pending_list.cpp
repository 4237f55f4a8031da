#include "pending_list.hpp"

#include "continuation.hpp"
#include "render.hpp"
#include "tools.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>
#include <vector>

namespace fermata::command_line {

namespace {

/// What expires soonest goes first, then what has waited longest.
bool is_more_urgent(const pending_item& one, const pending_item& other) {
  if (one.expires_at != other.expires_at)
    return one.expires_at && (!other.expires_at || *one.expires_at < *other.expires_at);
  return one.since < other.since;
}

class pending_list {
public:
  pending_list(const arguments& given, records& from, console& out)
      : given_{given}, from_{from}, out_{out}, tools_{make_tools_for_showing()} {}

  caf::error print(const std::optional<session_id>& session) {
    if (out_.as_json())
      return read(session, given_.limit.value_or(std::numeric_limits<std::size_t>::max()),
                  [this](const pending_item& item) { out_.print(item); });
    return print_most_urgent(session);
  }

private:
  template <class Use>
  caf::error read(const std::optional<session_id>& session, std::size_t limit, Use use) {
    return from_.read_pending(session, limit, [&](std::vector<pending_item> items) {
      for (auto& item : items)
        use(std::move(item));
      out_.flush();
      return !out_.has_no_reader();
    });
  }

  /// Reads all, and keeps those that are shown.
  caf::error print_most_urgent(const std::optional<session_id>& session) {
    const auto shown = given_.limit.value_or(pending_shown);
    std::multiset<pending_item, decltype(&is_more_urgent)> kept{&is_more_urgent};
    std::size_t left_out = 0;
    const auto keep = [&](pending_item item) {
      kept.insert(std::move(item));
      if (kept.size() > shown) {
        kept.erase(std::prev(kept.end()));
        ++left_out;
      }
    };
    if (auto error = read(session, std::numeric_limits<std::size_t>::max(), keep))
      return error;
    for (const auto& item : kept)
      // A node may go between its list and what is shown with it, which may also be damaged.
      if (auto error = print(item); error && (session || !from_.leave_out(item.session, error)))
        return error;
    if (kept.empty() && from_.missing().empty() && from_.damaged().empty())
      out_.say("Nothing waits for anybody.");
    if (left_out > 0)
      out_.say(std::to_string(left_out) + " more wait, less urgently; --limit N shows so many.");
    return caf::none;
  }

  caf::error print(const pending_item& item) {
    if (auto error = enter(item))
      return error;
    std::optional<plan_spec> plan;
    if (item.kind == pending_kind::plan) {
      auto read = read_plan(item);
      if (!read)
        return std::move(read.error());
      plan = std::move(*read);
    }
    show_pending(out_, item, tools_, workspace_, from_.elsewhere(item.session));
    if (plan)
      show_plan(out_, *plan);
    out_.say("  -> " + continuation(given_, item));
    out_.say();
    return caf::none;
  }

  /// Reads what the calls of one session have in common.
  caf::error enter(const pending_item& item) {
    if (item.kind != pending_kind::call || session_ == item.session)
      return caf::none;
    auto folder = from_.workspace(item.session);
    if (!folder)
      return std::move(folder.error());
    workspace_ = std::move(*folder);
    session_ = item.session;
    return caf::none;
  }

  result<plan_spec> read_plan(const pending_item& item) {
    const auto id = plan_id::parse(item.id);
    return id ? from_.plan(item.session, id->revision()) : id.error();
  }

  const arguments& given_;
  records& from_;
  console& out_;
  std::vector<tool> tools_;
  session_id session_; ///< Whose `workspace_` it is.
  std::filesystem::path workspace_;
};

} // namespace

caf::error print_pending(const arguments& given, records& from, console& out,
                         const std::optional<session_id>& session) {
  return pending_list{given, from, out}.print(session);
}

} // namespace fermata::command_line
