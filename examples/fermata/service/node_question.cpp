#include "node_question.hpp"

#include <algorithm>

namespace fermata::service {

namespace {

template <class T>
result<T> parse_head(std::string_view line) {
  const auto value = parse_json(line);
  if (!value)
    return value.error();
  return fermata::from_json<T>(*value, unknown_fields::keep);
}

} // namespace

std::string to_bytes(const node_question& question) {
  return to_text(to_json(question));
}

std::string to_bytes(const node_answer& answer) {
  return to_text(to_json(answer)) + "\n" + answer.text;
}

result<node_question> parse_question(std::string_view bytes) {
  return parse_head<node_question>(bytes);
}

result<node_answer> parse_answer(std::string_view bytes) {
  const auto end = std::min(bytes.find('\n'), bytes.size());
  auto answer = parse_head<node_answer>(bytes.substr(0, end));
  if (answer)
    answer->text = bytes.substr(std::min(end + 1, bytes.size()));
  return answer;
}

} // namespace fermata::service
