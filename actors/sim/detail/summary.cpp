#include <fermata/actors/sim/detail/summary.hpp>

#include <fermata/messages/fields.hpp>

#include <array>

namespace fermata::sim::detail {

namespace {

/// In the order in which they are shown.
constexpr std::array shown = {"revision", "call",   "subtask", "tool", "run",        "attempt",
                              "decision", "status", "verdict", "from", "resolution", "to",
                              "remember", "until",  "at",      "by"};

void append(std::string& text, const json& value, std::string_view key) {
  if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()))
    return;
  text += ' ';
  if (key == "call" && value.is_number())
    text += 'c';
  if (key == "revision")
    text += 'p';
  if (value.is_string())
    text += value.get_ref<const std::string&>();
  else
    text += value.dump();
}

std::string summarise(std::string_view type, const json& fields) {
  std::string text{type};
  for (const auto* key : shown)
    if (const auto found = fields.find(key); found != fields.end())
      append(text, *found, key);
  if (const auto answer = fields.find("answer"); answer != fields.end() && answer->is_object())
    append(text, answer->value("outcome", json{}), "outcome");
  if (const auto decisions = fields.find("decisions"); decisions != fields.end())
    for (const auto& one : *decisions)
      append(text, one.value("call", json{}), "call");
  return text;
}

} // namespace

std::string summary(const event_body& of) {
  return summarise(name_of(of), to_json(of));
}

std::string summary(const command& of) {
  return summarise(name_of(of), to_json(of));
}

std::string summary(const slot_report& of) {
  auto text = "slots " + enum_name(of.change);
  if (!of.slots.empty())
    text += " " + std::to_string(of.slots.size());
  if (!of.to.empty())
    text += " to " + of.to.str();
  if (!of.reason.empty())
    text += ": " + of.reason;
  return text + "; serves " + std::to_string(of.served);
}

} // namespace fermata::sim::detail
