#include "transcript.hpp"

#include <optional>
#include <utility>

namespace fermata::command_line {

namespace {

struct told_item {
  subtask_id subtask;
  std::string text;
  entry_source source = entry_source::agent;
  std::optional<call_id> call;
  tool_name tool;
  json arguments;
  call_status status = call_status::awaiting_decision;
  std::optional<tool_answer> answer;

  told_item() = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &told_item::subtask),
                      optional_field("text", &told_item::text),
                      optional_field("source", &told_item::source),
                      optional_field("call", &told_item::call),
                      optional_field("tool", &told_item::tool),
                      optional_field("arguments", &told_item::arguments),
                      optional_field("status", &told_item::status),
                      optional_field("answer", &told_item::answer)};
  }
};

} // namespace

transcript_item shown_item(transcript_item item, const redactor& by) {
  item.text = by.text(item.text);
  if (item.call)
    item.call = redacted(std::move(*item.call), by);
  return item;
}

json transcript_json(const transcript_item& item, const session_id& session) {
  json line{{"subtask", item.subtask.str()}};
  if (!item.call) {
    line["text"] = item.text;
    line["source"] = enum_name(item.source);
    return line;
  }
  const auto& call = *item.call;
  line["call"] = call_id{session, call.number}.str();
  line["tool"] = call.tool.str();
  line["arguments"] = call.arguments;
  line["status"] = enum_name(call.status);
  line["answer"] = call.answer ? to_json(*call.answer) : json(nullptr);
  return line;
}

result<transcript_item> read_transcript_item(const json& line) {
  auto told = fermata::from_json<told_item>(line, unknown_fields::keep);
  if (!told)
    return std::move(told.error());
  transcript_item item;
  item.subtask = std::move(told->subtask);
  item.source = told->source;
  item.text = std::move(told->text);
  if (!told->call)
    return item;
  call_record call;
  call.number = told->call->number();
  call.tool = std::move(told->tool);
  call.arguments = std::move(told->arguments);
  call.status = told->status;
  call.answer = std::move(told->answer);
  item.call = std::move(call);
  return item;
}

} // namespace fermata::command_line
