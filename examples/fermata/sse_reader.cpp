#include "sse_reader.hpp"

#include <algorithm>
#include <utility>

namespace fermata::command_line {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

caf::error too_large(std::size_t limit) {
  return make_error(errc::limit_exceeded,
                    "an event of the stream is larger than " + std::to_string(limit) + " bytes");
}

} // namespace

caf::error sse_reader::push(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_carriage_return_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    if (auto error = add_to_line(bytes.substr(0, end)))
      return error;
    if (end == bytes.size())
      break;
    after_carriage_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (auto error = end_line())
      return error;
  }
  return caf::none;
}

std::optional<sse_event> sse_reader::take() {
  if (complete_.empty())
    return std::nullopt;
  auto oldest = std::move(complete_.front());
  complete_.pop_front();
  return oldest;
}

caf::error sse_reader::add_to_line(std::string_view part) {
  constexpr std::string_view data_field = "data:";
  line_ += part;
  // Which field it is stays; the rest is not kept for the end of the line, which may be far.
  if (is_signal() && line_.starts_with(data_field))
    line_.resize(data_field.size());
  return line_.size() > max_event_bytes_ ? too_large(max_event_bytes_) : caf::error{};
}

caf::error sse_reader::end_line() {
  std::string_view line = line_;
  if (std::exchange(is_first_line_, false) && line.starts_with(byte_order_mark))
    line.remove_prefix(byte_order_mark.size());
  if (line.empty()) {
    dispatch();
  } else if (!line.starts_with(':')) {
    const auto colon = std::min(line.find(':'), line.size());
    auto value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' '))
      value.remove_prefix(1);
    if (next_.data.size() + value.size() > max_event_bytes_)
      return too_large(max_event_bytes_);
    read_field(line.substr(0, colon), value);
  }
  line_.clear();
  return caf::none;
}

void sse_reader::read_field(std::string_view name, std::string_view value) {
  if (name == "event") {
    next_.name = value;
  } else if (name == "id") {
    next_.id = value;
  } else if (name == "data") {
    if (std::exchange(has_data_, true) && !is_signal())
      next_.data += '\n';
    next_.data += value;
  }
  // Whatever else there may be is for others.
}

void sse_reader::dispatch() {
  if (std::exchange(has_data_, false)) {
    auto& event = complete_.emplace_back(next_);
    if (event.name.empty())
      event.name = "message";
  }
  next_.name.clear();
  next_.data.clear();
}

} // namespace fermata::command_line
