#include "answers.hpp"

#include "inputs.hpp"

#include <fermata/actors/tools/schema.hpp>

#include <utility>

namespace fermata::command_line {

namespace {

caf::error check(const json& schema, const json& value) {
  return schema.is_null() ? caf::error{} : check_schema(schema, value);
}

/// What is meant as JSON, or as a file, is not to be taken for a text by mistake.
bool is_meant_as_json(const std::string& line) {
  const auto first = line.find_first_not_of(" \t");
  return first != std::string::npos
         && std::string_view{"{[\"@"}.find(line[first]) != std::string_view::npos;
}

} // namespace

result<json> read_answer(const std::string& line, const json& schema) {
  // At a prompt, standard input is no file.
  auto value = line == "-" ? result<json>{json(line)} : read_json(line, "input");
  auto misfit = value ? check(schema, *value) : value.error();
  if (!misfit)
    return value;
  if (is_meant_as_json(line))
    return misfit;
  json text = line;
  auto text_misfit = check(schema, text);
  if (!text_misfit)
    return text;
  return value ? misfit : text_misfit;
}

} // namespace fermata::command_line
