#pragma once

#include <fermata/messages/fields.hpp>

#include <map>
#include <string>

/// JSON Schemas (2020-12, as OpenAPI 3.1 has them) of the messages, from the lists of their fields:
/// what a description of the messages must say.
namespace fermata::test {

/// The name of a struct without its namespace.
template <class T>
[[nodiscard]] std::string struct_name() {
  const std::string_view text = __PRETTY_FUNCTION__; // "... [with T = fermata::chunk; ...]"
  const auto begin = text.find("T = ") + 4;
  const auto name = text.substr(begin, text.find_first_of(";]", begin) - begin);
  return std::string{name.substr(name.rfind(':') + 1)};
}

/// Collects the schemas of structs, by their names, with those of the structs that they have.
class field_schemas {
public:
  /// A reference to the schema of a struct, or the schema of anything else.
  template <class T>
  json add() {
    if constexpr (described<T>) {
      const auto name = struct_name<T>();
      if (!schemas_.contains(name)) {
        schemas_[name] = nullptr; // so that it is not looked at again from within
        schemas_[name] = object_schema<T>();
      }
      return {{"$ref", "#/components/schemas/" + name}};
    } else {
      return other<T>::schema(*this);
    }
  }

  [[nodiscard]] const std::map<std::string, json>& all() const noexcept { return schemas_; }

private:
  template <class T>
  struct other;

  template <class T>
  json object_schema() {
    auto required = json::array();
    auto properties = json::object();
    if constexpr (requires { T::type; }) {
      required.push_back("type");
      properties["type"] = {{"const", T::type}};
    }
    T::fields().for_each([&](const auto& one) {
      using member = std::remove_cvref_t<decltype(std::declval<T>().*one.member)>;
      properties[std::string{one.name}] = add<member>();
      if (one.required)
        required.push_back(one.name);
    });
    json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty())
      schema["required"] = required;
    return schema;
  }

  std::map<std::string, json> schemas_;
};

template <class T>
struct field_schemas::other {
  static json schema(field_schemas&) {
    if constexpr (std::is_same_v<T, json>) {
      return json::object();
    } else if constexpr (std::is_same_v<T, bool>) {
      return {{"type", "boolean"}};
    } else if constexpr (std::is_same_v<T, double>) {
      return {{"type", "number"}};
    } else if constexpr (std::is_same_v<T, timestamp>) {
      return {{"type", "integer"}};
    } else if constexpr (std::is_unsigned_v<T> || std::is_same_v<T, std::chrono::milliseconds>) {
      return {{"type", "integer"}, {"minimum", 0}};
    } else if constexpr (std::is_integral_v<T>) {
      return {{"type", "integer"}};
    } else if constexpr (named_enum<T>) {
      return {{"type", "string"}, {"enum", enum_names(T{})}};
    } else {
      return {{"type", "string"}}; // text, and ids
    }
  }
};

template <class T>
struct field_schemas::other<std::optional<T>> {
  static json schema(field_schemas& all) { return {{"anyOf", {all.add<T>(), {{"type", "null"}}}}}; }
};

template <class T>
struct field_schemas::other<std::vector<T>> {
  static json schema(field_schemas& all) { return {{"type", "array"}, {"items", all.add<T>()}}; }
};

template <class T>
struct field_schemas::other<std::map<std::string, T>> {
  static json schema(field_schemas& all) {
    return {{"type", "object"}, {"additionalProperties", all.add<T>()}};
  }
};

template <class... Ts>
struct field_schemas::other<std::variant<Ts...>> {
  static json schema(field_schemas& all) { return {{"oneOf", {all.add<Ts>()...}}}; }
};

} // namespace fermata::test
