#include "pending_list.hpp"

#include "continuation.hpp"
#include "render.hpp"
#include "tools.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace fermata::command_line {

namespace {

/// How many are read at a time: a screenful is there at once.
constexpr std::size_t page = 256;

class pending_list {
public:
  pending_list(const arguments& given, store& from, console& out)
      : given_{given}, from_{from}, out_{out}, tools_{make_tools_for_showing()} {}

  caf::error print(const std::optional<session_id>& session) {
    auto left = given_.limit.value_or(std::numeric_limits<std::size_t>::max());
    std::optional<pending_cursor> after{std::in_place};
    while (after && left > 0 && !out_.has_no_reader()) {
      const auto read = query_pending_page(from_, session, *after, std::min(left, page));
      if (!read)
        return read.error();
      for (const auto& item : read->items)
        if (auto error = print(item))
          return error;
      out_.flush();
      left -= read->items.size();
      after = read->next;
    }
    if (is_empty_)
      out_.say("Nothing waits for anybody.");
    return caf::none;
  }

private:
  caf::error print(const pending_item& item) {
    is_empty_ = false;
    out_.print(item);
    if (out_.as_json())
      return caf::none;
    if (auto error = enter(item))
      return error;
    show_pending(out_, item, tools_, workspace_);
    if (item.kind == pending_kind::plan)
      if (auto error = print_plan(item))
        return error;
    out_.say("  -> " + continuation(given_, item));
    out_.say();
    return caf::none;
  }

  /// Reads what the calls of one session have in common.
  caf::error enter(const pending_item& item) {
    if (item.kind != pending_kind::call || session_ == item.session)
      return caf::none;
    auto folder = query_workspace(from_, item.session);
    if (!folder)
      return std::move(folder.error());
    workspace_ = std::move(*folder);
    session_ = item.session;
    return caf::none;
  }

  caf::error print_plan(const pending_item& item) {
    const auto id = plan_id::parse(item.id);
    const auto plan = id ? query_plan(from_, item.session, id->revision()) : id.error();
    if (!plan)
      return plan.error();
    show_plan(out_, *plan);
    return caf::none;
  }

  const arguments& given_;
  store& from_;
  console& out_;
  std::vector<tool> tools_;
  session_id session_; ///< Whose `workspace_` it is.
  std::filesystem::path workspace_;
  bool is_empty_ = true;
};

} // namespace

caf::error print_pending(const arguments& given, store& from, console& out,
                         const std::optional<session_id>& session) {
  return pending_list{given, from, out}.print(session);
}

} // namespace fermata::command_line
