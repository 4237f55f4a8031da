#include <fermata/actors/tools/schema_reader.hpp>
#include <fermata/actors/tools/text.hpp>

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <optional>
#include <utility>

namespace fermata::detail {

namespace {

using pointer = json::json_pointer;

/// Carries the reason out of the walk.
class refusal : public std::exception {
public:
  refusal(const pointer& place, const std::string& why)
      : why_{"not a usable JSON Schema: at " + in_quotes(place.to_string()) + ": " + why} {}
  [[nodiscard]] const char* what() const noexcept override { return why_.c_str(); }

private:
  std::string why_;
};

/// The place in the same document that a reference names.
pointer target_of(const json& reference, const pointer& place) {
  const auto* text = reference.get_ptr<const std::string*>();
  if (text == nullptr || text->empty() || text->front() != '#'
      || text->find('%') != std::string::npos || (text->size() > 1 && (*text)[1] != '/'))
    throw refusal{place, "$ref must be \"#\" or \"#/...\", a place in the same schema"};
  try {
    return pointer{text->substr(1)};
  } catch (const json::exception&) {
    throw refusal{place, "$ref is not a JSON Pointer"};
  }
}

enum class form { text, whole_number, number, flag, array, object, names, values };

bool has_form(const json& value, form expected) {
  switch (expected) {
  case form::text:
    return value.is_string();
  case form::whole_number:
    return value.is_number_integer() && value >= 0;
  case form::number:
    return value.is_number();
  case form::flag:
    return value.is_boolean();
  case form::array:
    return value.is_array() && !value.empty();
  case form::object:
    return value.is_object();
  case form::values:
    return value.is_array() && !value.empty();
  case form::names:
    return value.is_array()
           && std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_string(); });
  }
  return false;
}

std::string_view words_for(form expected) {
  constexpr std::array<std::string_view, 8> words{
      "a text",    "a whole number from 0", "a number",        "true or false", "a list of schemas",
      "an object", "a list of texts",       "a list of values"};
  return words.at(static_cast<std::size_t>(expected));
}

struct keyword {
  std::string_view name;
  form expected;
};

constexpr std::array<keyword, 27> forms{{{"$ref", form::text},
                                         {"pattern", form::text},
                                         {"format", form::text},
                                         {"title", form::text},
                                         {"description", form::text},
                                         {"minLength", form::whole_number},
                                         {"maxLength", form::whole_number},
                                         {"minItems", form::whole_number},
                                         {"maxItems", form::whole_number},
                                         {"minProperties", form::whole_number},
                                         {"maxProperties", form::whole_number},
                                         {"minimum", form::number},
                                         {"maximum", form::number},
                                         {"exclusiveMinimum", form::number},
                                         {"exclusiveMaximum", form::number},
                                         {"multipleOf", form::number},
                                         {"uniqueItems", form::flag},
                                         {"allOf", form::array},
                                         {"anyOf", form::array},
                                         {"oneOf", form::array},
                                         {"properties", form::object},
                                         {"definitions", form::object},
                                         {"$defs", form::object},
                                         {"dependencies", form::object},
                                         {"required", form::names},
                                         {"enum", form::values},
                                         {"examples", form::values}}};

/// Those that valijson gets as they are.
constexpr std::array<const char*, 15> plain_keywords{"type",
                                                     "enum",
                                                     "const",
                                                     "multipleOf",
                                                     "maximum",
                                                     "minimum",
                                                     "exclusiveMaximum",
                                                     "exclusiveMinimum",
                                                     "maxLength",
                                                     "minLength",
                                                     "maxItems",
                                                     "minItems",
                                                     "maxProperties",
                                                     "minProperties",
                                                     "required"};

/// Those that look at all of a text.
constexpr std::array<const char*, 6> text_keywords{"maxLength", "minLength", "pattern",
                                                   "format",    "const",     "enum"};

std::size_t parts_of(const json& node, const char* keyword) {
  const auto found = node.find(keyword);
  return found == node.end() ? 0 : count_parts(*found);
}

/// What a schema is to take of the budget each time that it is applied.
step_cost cost_of(const json& node) {
  constexpr std::size_t parts_per_step = 32;
  step_cost cost;
  cost.violations = parts_of(node, "required");
  if (const auto found = node.find("dependencies"); found != node.end())
    for (const auto& names : *found)
      cost.violations += names.is_array() ? names.size() : 0;
  auto parts = cost.violations + parts_of(node, "enum") + parts_of(node, "const");
  if (const auto found = node.find("properties"); found != node.end())
    parts += found->size();
  cost.work = 1 + parts / parts_per_step;
  cost.reads_text = std::any_of(text_keywords.begin(), text_keywords.end(),
                                [&](const char* name) { return node.contains(name); });
  return cost;
}

/// Makes a document in which each schema is a definition of its own, under its number.
class reader {
public:
  explicit reader(const json& schema) : schema_{schema} {}

  json read() {
    auto made = refer(pointer{});
    while (!ahead_.empty()) {
      const auto place = std::move(ahead_.back());
      ahead_.pop_back();
      auto definition = define(place);
      places_.at(place.to_string()).definition = std::move(definition);
    }
    for (const auto& [place, one] : places_)
      measure(place);
    auto definitions = json::object();
    for (auto& [place, one] : places_)
      if (!one.definition.is_null())
        definitions[std::to_string(one.number)] = std::move(one.definition);
    made["definitions"] = std::move(definitions);
    return made;
  }

private:
  struct subschema {
    json reference; ///< What stands for it in others; null: it is being found out.
    std::size_t number = 0;
    json definition;
    std::vector<std::string> next; ///< What applies to the same place of the value.
    std::size_t chain = 0;         ///< The longest way onwards, once it is known.
    bool open = false;             ///< On the way that is being measured.
  };

  /// What stands for a schema, which is read later. It leads there at once, however many references
  /// are on the way: valijson's stack grows with each.
  json refer(const pointer& place) {
    const auto [found, is_new] = places_.try_emplace(place.to_string());
    auto& one = found->second;
    if (!is_new && one.reference.is_null())
      throw refusal{place, "the schema refers to itself without going into the value"};
    if (!is_new)
      return one.reference;
    one.number = places_.size();
    if (places_.size() > max_subschemas)
      throw refusal{place, "there are more than " + std::to_string(max_subschemas) + " schemas"};
    const auto& node = schema_.at(place);
    if (const auto to = node.find("$ref"); node.is_object() && to != node.end()) {
      const auto target = target_of(*to, place);
      if (!schema_.contains(target))
        throw refusal{place, "$ref leads to nothing"};
      one.next.push_back(target.to_string());
      one.reference = refer(target); // Draft 7: whatever stands beside $ref is ignored.
    } else {
      one.reference = {{"$ref", "#/definitions/" + std::to_string(one.number)}};
      ahead_.push_back(place);
    }
    return one.reference;
  }

  /// `from` and `to` apply to the same place of the value.
  json refer_same_place(const pointer& from, const pointer& to) {
    places_.at(from.to_string()).next.push_back(to.to_string());
    return refer(to);
  }

  json define(const pointer& place) {
    const auto& node = schema_.at(place);
    if (node.is_boolean())
      return node;
    if (!node.is_object())
      throw refusal{place,
                    std::string{"a schema is an object, true or false, not "} + node.type_name()};
    check_keywords(node, place);
    const auto cost = cost_of(node);
    json made;
    made["allOf"] = json::array(
        {json{{std::string{step_keyword}, {cost.work, cost.violations, cost.reads_text ? 1 : 0}}}});
    copy_keywords(node, made);
    add_parts_of_value(node, place, made);
    add_same_place(node, place, made);
    return made;
  }

  void check_keywords(const json& node, const pointer& place) {
    for (const auto& [name, expected] : forms)
      if (const auto found = node.find(name); found != node.end() && !has_form(*found, expected))
        throw refusal{place / std::string{name}, "expected " + std::string{words_for(expected)}};
    if (node.contains("patternProperties"))
      throw refusal{place, "patternProperties is not supported; use additionalProperties with a "
                           "schema, and propertyNames with a pattern"};
    if (const auto found = node.find("multipleOf"); found != node.end() && *found <= 0)
      throw refusal{place / "multipleOf", "expected a number above 0"};
    if (const auto found = node.find("type"); found != node.end())
      check_type(*found, place / "type");
    if (const auto found = node.find("pattern"); found != node.end())
      check_pattern(found->get_ref<const std::string&>(), place / "pattern");
  }

  static void check_type(const json& type, const pointer& place) {
    constexpr std::array<std::string_view, 7> known{"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};
    const auto is_known = [&](const json& name) {
      return name.is_string()
             && std::find(known.begin(), known.end(), name.get_ref<const std::string&>())
                    != known.end();
    };
    const bool fits = type.is_array()
                          ? !type.empty() && std::all_of(type.begin(), type.end(), is_known)
                          : is_known(type);
    if (!fits)
      throw refusal{place, "expected null, boolean, integer, number, string, array or object, or a "
                           "list of these"};
  }

  void check_pattern(const std::string& text, const pointer& place) {
    const RE2 pattern{text, pattern_options()};
    if (!pattern.ok())
      throw refusal{place,
                    "not a regular expression of RE2, or too large a one: " + pattern.error()};
    pattern_size_ += static_cast<std::size_t>(pattern.ProgramSize());
    if (pattern_size_ > max_pattern_size)
      throw refusal{place, "the patterns of the schema are too large together"};
  }

  static void copy_keywords(const json& node, json& made) {
    for (const auto* name : plain_keywords)
      if (const auto found = node.find(name); found != node.end())
        made[name] = *found;
    if (const auto found = node.find("pattern"); found != node.end())
      made[std::string{pattern_keyword}] = *found;
    if (node.value("uniqueItems", false))
      made[std::string{unique_items_keyword}] = true;
    // Draft 7: a format that is not known is not checked.
    if (const auto found = node.find("format");
        found != node.end() && (*found == "date" || *found == "time" || *found == "date-time"))
      made[std::string{format_keyword}] = *found;
  }

  /// Schemas of what is within the place of the value, and those that only references lead to.
  void add_parts_of_value(const json& node, const pointer& place, json& made) {
    for (const auto* name : {"contains", "propertyNames"})
      if (node.contains(name))
        made[name] = refer(place / name);
    // With true and false valijson does something of its own.
    for (const auto* name : {"additionalItems", "additionalProperties"})
      if (const auto found = node.find(name); found != node.end())
        made[name] = found->is_boolean() ? *found : refer(place / name);
    for (const auto* name : {"properties", "definitions", "$defs"})
      if (const auto found = node.find(name); found != node.end()) {
        auto parts = json::object();
        for (const auto& [key, part] : found->items())
          parts[key] = refer(place / name / key);
        if (name == std::string_view{"properties"})
          made[name] = std::move(parts);
      }
    if (const auto found = node.find("items"); found != node.end()) {
      if (!found->is_array())
        made["items"] = refer(place / "items");
      else
        made["items"] = json::array();
      for (std::size_t i = 0; found->is_array() && i < found->size(); ++i)
        made["items"].push_back(refer(place / "items" / i));
    }
  }

  void add_same_place(const json& node, const pointer& place, json& made) {
    for (const auto* name : {"not", "if", "then", "else"})
      if (node.contains(name))
        made[name] = refer_same_place(place, place / name);
    for (const auto* name : {"allOf", "anyOf", "oneOf"})
      if (const auto found = node.find(name); found != node.end())
        for (std::size_t i = 0; i < found->size(); ++i)
          made[name].push_back(refer_same_place(place, place / name / i));
    if (const auto found = node.find("dependencies"); found != node.end())
      for (const auto& [key, part] : found->items())
        made["dependencies"][key] =
            part.is_array() ? part : refer_same_place(place, place / "dependencies" / key);
  }

  /// Refuses circles and long chains of schemas for one place of the value: valijson would go round
  /// and round, or deep into the stack. Its own depth is bounded by the same number.
  std::size_t measure(const std::string& place, std::size_t depth = 1) {
    auto& one = places_.at(place);
    if (one.open)
      throw refusal{pointer{place}, "the schema refers to itself without going into the value"};
    if (depth > max_schema_chain)
      throw refusal{pointer{place}, "more than " + std::to_string(max_schema_chain)
                                        + " schemas in a chain apply to one place"};
    if (one.chain == 0) {
      one.open = true;
      std::size_t longest = 0;
      for (const auto& next : one.next)
        longest = std::max(longest, measure(next, depth + 1));
      one.open = false;
      one.chain = longest + 1;
    }
    if (depth + one.chain > max_schema_chain + 1)
      throw refusal{pointer{place}, "more than " + std::to_string(max_schema_chain)
                                        + " schemas in a chain apply to one place"};
    return one.chain;
  }

  const json& schema_;
  std::vector<pointer> ahead_;
  std::map<std::string, subschema> places_; ///< Every schema that was seen, by its place.
  std::size_t pattern_size_ = 0;
};

const json* follow_references(const json& root, const json* node) {
  for (std::size_t hop = 0; node->is_object() && node->contains("$ref"); ++hop) {
    if (hop == max_schema_chain)
      return nullptr;
    node = &root.at(target_of(node->at("$ref"), pointer{}));
  }
  return node;
}

/// The schema of one part, where it can be named without looking at the value.
const json* part_of(const json& node, const std::string& name) {
  if (!node.is_object())
    return nullptr;
  if (const auto found = node.find("properties"); found != node.end() && found->contains(name))
    return &found->at(name);
  for (const auto* rest : {"items", "additionalProperties"})
    if (const auto found = node.find(rest); found != node.end() && found->is_object())
      return &*found;
  return nullptr;
}

} // namespace

RE2::Options pattern_options() {
  RE2::Options options{RE2::Quiet};
  options.set_max_mem(max_pattern_memory_bytes);
  return options;
}

std::size_t count_parts(const json& value) {
  std::size_t parts = 1;
  if (value.is_structured())
    for (const auto& part : value)
      parts += count_parts(part);
  return parts;
}

result<json> read_schema(const json& schema) {
  try {
    return reader{schema}.read();
  } catch (const refusal& refused) {
    return make_error(errc::invalid_field, refused.what());
  } catch (const json::exception& thrown) {
    // A reference to what is no schema, or is none any more.
    return make_error(errc::invalid_field,
                      std::string{"not a JSON Schema that can be read: "} + thrown.what());
  }
}

json accepted_at(const json& schema, const json::json_pointer& place) {
  const json* node = follow_references(schema, &schema);
  std::vector<std::string> names;
  for (auto rest = place; !rest.empty(); rest.pop_back())
    names.push_back(rest.back());
  for (auto name = names.rbegin(); name != names.rend() && node != nullptr; ++name) {
    node = part_of(*node, *name);
    if (node != nullptr)
      node = follow_references(schema, node);
  }
  auto accepted = json::object();
  if (node == nullptr || !node->is_object())
    return accepted;
  for (const auto& [key, value] : node->items()) {
    if (key == "properties") {
      for (const auto& [name, part] : value.items())
        accepted[key].push_back(name);
    } else if (!value.is_object() && key != "title" && key != "description" && key != "default"
               && key != "examples" && key.front() != '$') {
      accepted[key] = value;
    }
  }
  return accepted;
}

} // namespace fermata::detail
