#include <fermata/actors/sim/sample.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace fermata::sim {

namespace {

/// What people write: also what has to be escaped wherever it is shown.
constexpr std::array<std::string_view, 8> texts{
    "tea",          "two of each", "caf\u00e9 \u2615", "",
    "a\"b\\c/../d", "\x1b[31mred", "line\nbreak",      "0"};

std::string sample_text(const json& schema, seeded_random& random) {
  std::string text{texts[random.below(texts.size())]};
  const auto least = schema.value("minLength", std::size_t{0});
  while (text.size() < least)
    text += 'x';
  const auto most = schema.value("maxLength", std::size_t{64});
  return text.size() <= most ? text : std::string(std::max(least, std::min(most, least + 1)), 'y');
}

std::int64_t sample_integer(const json& schema, seeded_random& random) {
  const auto least = schema.value("minimum", std::int64_t{0});
  const auto most = std::max(least, schema.value("maximum", least + 100));
  return least
         + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least) + 1));
}

json sample_array(const json& schema, seeded_random& random) {
  const auto least = schema.value("minItems", std::size_t{0});
  const auto most = std::max(least, schema.value("maxItems", least + 2));
  auto made = json::array();
  for (auto left = least + random.below(most - least + 1); left > 0; --left)
    made.push_back(sample(schema.value("items", json::object()), random));
  return made;
}

json sample_object(const json& schema, seeded_random& random) {
  auto made = json::object();
  const auto required = schema.value("required", json::array());
  const auto is_required = [&](const std::string& key) {
    return std::find(required.begin(), required.end(), json(key)) != required.end();
  };
  const auto properties = schema.value("properties", json::object());
  for (const auto& [key, property] : properties.items()) {
    auto value = sample(property, random);
    if (random.chance(0.5) || is_required(key))
      made[key] = std::move(value);
  }
  for (const auto& key : required)
    if (key.is_string() && !made.contains(key.get<std::string>()))
      made[key.get<std::string>()] = "anything";
  return made;
}

/// The type that a schema asks for; of several the first.
std::string type_of(const json& schema) {
  const auto type = schema.value("type", json{});
  if (type.is_string())
    return type.get<std::string>();
  if (type.is_array() && !type.empty() && type.front().is_string())
    return type.front().get<std::string>();
  return schema.contains("properties") || schema.contains("required") ? "object" : "";
}

} // namespace

json sample(const json& schema, seeded_random& random) {
  if (!schema.is_object())
    return schema.is_null() ? json::object() : json("anything");
  if (schema.contains("const"))
    return schema["const"];
  if (const auto values = schema.find("enum");
      values != schema.end() && values->is_array() && !values->empty())
    return (*values)[random.below(values->size())];
  const auto type = type_of(schema);
  if (type == "object")
    return sample_object(schema, random);
  if (type == "array")
    return sample_array(schema, random);
  if (type == "integer")
    return sample_integer(schema, random);
  if (type == "number")
    return static_cast<double>(sample_integer(schema, random));
  if (type == "boolean")
    return random.chance(0.5);
  if (type == "null")
    return nullptr;
  return sample_text(schema, random);
}

json misfit(const json& schema, seeded_random& random) {
  const auto type = schema.is_object() ? type_of(schema) : schema.is_null() ? "object" : "";
  if (type == "object") {
    const bool lacks = schema.is_object() && !schema.value("required", json::array()).empty();
    switch (random.below(lacks ? 4 : 3)) {
    case 0:
      return json::array({"not", "an", "object"});
    case 1:
      return "not an object";
    case 2:
      return nullptr;
    default:
      return json::object();
    }
  }
  if (type == "string" || (schema.is_object() && schema.contains("enum")))
    return json{{"is", "no such value"}};
  return "no such value";
}

} // namespace fermata::sim
