#include "transcript.hpp"

#include <utility>

namespace fermata::command_line {

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

} // namespace fermata::command_line
