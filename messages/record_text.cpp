#include <fermata/messages/record_text.hpp>

#include <fermata/messages/detail/strict_json.hpp>

#include <cmath>
#include <limits>
#include <optional>

namespace fermata {

namespace {

constexpr std::string_view reserved = "$fermata.";
constexpr std::string_view text_name = "$fermata.text";
constexpr std::string_view binary_name = "$fermata.binary";
constexpr std::string_view number_name = "$fermata.number";
constexpr std::string_view name_prefix = "$fermata.name:";

constexpr std::string_view digits = "0123456789abcdef";

template <class Bytes>
std::string to_hexadecimal(const Bytes& data) {
  std::string text;
  text.reserve(2 * data.size());
  for (const auto one : data) {
    const auto byte = static_cast<std::uint8_t>(one);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// Nothing: it has something else than pairs of the digits that `to_hexadecimal` writes.
std::optional<std::string> from_hexadecimal(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string data;
  data.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = digits.find(text[i]);
    const auto low = digits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos)
      return std::nullopt;
    data += static_cast<char>(high << 4 | low);
  }
  return data;
}

json escaped_as(std::string_view name, std::string text) {
  return json::object({{std::string{name}, std::move(text)}});
}

bool needs_escape(const std::string& name) {
  return name.starts_with(reserved) || !is_utf8(name);
}

// What follows recurses as deep as the value is nested, which whoever has read it has bounded.

void escape(json& value);

void escape_members(json::object_t& members) {
  bool is_plain = true;
  for (auto& [name, member] : members) {
    escape(member);
    is_plain = is_plain && !needs_escape(name);
  }
  if (is_plain)
    return;
  json::object_t escaped;
  for (auto& [name, member] : members)
    escaped.emplace(needs_escape(name) ? std::string{name_prefix} + to_hexadecimal(name) : name,
                    std::move(member));
  members = std::move(escaped);
}

void escape(json& value) {
  if (value.is_string() && !is_utf8(value.get_ref<const std::string&>())) {
    value = escaped_as(text_name, to_hexadecimal(value.get_ref<const std::string&>()));
  } else if (value.is_binary()) {
    value = escaped_as(binary_name, to_hexadecimal(value.get_binary()));
  } else if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    const auto number = value.get<double>();
    value = escaped_as(number_name, std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
  } else if (value.is_array()) {
    for (auto& element : value)
      escape(element);
  } else if (value.is_object()) {
    escape_members(value.get_ref<json::object_t&>());
  }
}

/// What stands in the place of a value that JSON cannot carry. Nothing: it says nothing.
std::optional<json> unescaped(std::string_view name, const json& body) {
  if (!body.is_string())
    return std::nullopt;
  const auto& text = body.get_ref<const std::string&>();
  if (name == number_name) {
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    if (text == "nan")
      return json(std::numeric_limits<double>::quiet_NaN());
    if (text == "inf" || text == "-inf")
      return json(text == "inf" ? infinity : -infinity);
    return std::nullopt;
  }
  auto data = from_hexadecimal(text);
  if (!data)
    return std::nullopt;
  if (name == text_name)
    return json(std::move(*data));
  if (name == binary_name)
    return json::binary(bytes{data->begin(), data->end()});
  return std::nullopt;
}

caf::error unescape(json& value);

caf::error unescape_members(json::object_t& members) {
  bool is_plain = true;
  for (auto& [name, member] : members) {
    if (auto error = unescape(member))
      return error;
    is_plain = is_plain && !name.starts_with(reserved);
  }
  if (is_plain)
    return caf::none;
  json::object_t original;
  for (auto& [name, member] : members) {
    const auto known = name.starts_with(name_prefix)
                           ? from_hexadecimal(std::string_view{name}.substr(name_prefix.size()))
                           : std::optional{name};
    if (!known || (known == name && name.starts_with(reserved)))
      return make_error(errc::invalid_json,
                        "the member " + quoted_excerpt(name)
                            + " means nothing: what begins with $fermata. stands for what JSON "
                              "cannot carry");
    if (!original.emplace(*known, std::move(member)).second)
      return make_error(errc::invalid_json,
                        "the member " + quoted_excerpt(name) + " appears twice in one object");
  }
  members = std::move(original);
  return caf::none;
}

caf::error unescape(json& value) {
  if (value.is_array()) {
    for (auto& element : value)
      if (auto error = unescape(element))
        return error;
    return caf::none;
  }
  if (!value.is_object())
    return caf::none;
  if (value.size() == 1)
    if (auto whole = unescaped(value.begin().key(), value.front())) {
      value = std::move(*whole);
      return caf::none;
    }
  return unescape_members(value.get_ref<json::object_t&>());
}

} // namespace

std::string to_record_text(json value) {
  escape(value);
  return to_text(value);
}

result<json> parse_record_text(std::string_view text) {
  auto parsed = detail::parse_json_text(text, max_record_text_depth);
  if (const auto* failure = std::get_if<detail::parse_failure>(&parsed))
    return make_error(errc::invalid_json,
                      "not valid JSON at column "
                          + std::to_string(detail::column_at(text, failure->offset)) + ": "
                          + failure->why);
  auto& value = std::get<json>(parsed);
  if (auto error = unescape(value))
    return error;
  return std::move(value);
}

} // namespace fermata
