#include <fermata/messages/json.hpp>

#include <fermata/messages/detail/strict_json.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>
#include <variant>

namespace fermata {

using detail::parse_failure;

namespace {

/// The longest part of the parser's own message that is passed on: it quotes the input.
constexpr std::size_t max_parser_message_bytes = 200;
/// The longest text that is quoted in a message.
constexpr std::size_t max_quoted_bytes = 80;

std::string too_deep(std::size_t max_depth) {
  return "nested more than " + std::to_string(max_depth) + " levels deep (limit json_depth)";
}

/// Builds a value from the events of nlohmann's parser, which by itself would keep the last of
/// duplicate keys without a word and recurse as deep as the input says.
class strict_builder {
public:
  explicit strict_builder(std::size_t max_depth) : max_depth_{max_depth} {}

  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(number_integer_t value) { return add(value); }
  bool number_unsigned(number_unsigned_t value) { return add(value); }
  bool number_float(number_float_t value, const string_t&) { return add(value); }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(binary_t& value) { return add(std::move(value)); }

  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(string_t& value) {
    if (open_.back()->contains(value))
      return fail("the key " + quoted_excerpt(value) + " appears twice in one object");
    key_ = std::move(value);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) {
    position_ = position;
    has_position_ = true;
    return fail(readable(error.what()));
  }

  [[nodiscard]] json& root() noexcept { return root_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  /// The offset of the offending byte, or the input's size when its end came too early.
  /// `consumed` is how far the parser has come, which it does not tell when the builder stops it.
  [[nodiscard]] std::size_t failed_at(std::size_t consumed) const noexcept {
    // Both count the offending byte itself; the parser also counts the end as a byte.
    const auto counted = has_position_ ? position_ : consumed;
    return counted == 0 ? 0 : counted - 1;
  }

private:
  /// The part of the parser's message that a person needs; the front repeats position and library
  /// names, and the end quotes the input, which may be long or not UTF-8.
  static std::string readable(std::string_view text) {
    if (const auto start = text.find("syntax error"); start != std::string_view::npos)
      text.remove_prefix(start);
    else if (const auto bracket = text.find("] "); bracket != std::string_view::npos)
      text.remove_prefix(bracket + 2);
    if (text.size() > max_parser_message_bytes || !is_utf8(text))
      text = text.substr(0, text.find("; last read"));
    if (text.size() > max_parser_message_bytes || !is_utf8(text))
      return quoted_excerpt(text);
    return std::string{text};
  }

  bool fail(std::string why) {
    if (failure_.empty())
      failure_ = std::move(why);
    return false;
  }

  json* place(json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    auto& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    auto& member = parent[key_];
    member = std::move(value);
    return &member;
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json value) {
    if (open_.size() == max_depth_)
      return fail(too_deep(max_depth_));
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::size_t max_depth_;
  json root_;
  std::vector<json*> open_;
  std::string key_;
  std::string failure_;
  std::size_t position_ = 0;
  bool has_position_ = false;
};

/// Iterates over bytes and remembers how far the parser has come, which it does not tell when we
/// stop it ourselves.
class counting_iterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  counting_iterator(const char* at, const char** furthest) : at_{at}, furthest_{furthest} {}

  reference operator*() const { return *at_; }
  counting_iterator& operator++() {
    ++at_;
    *furthest_ = std::max(*furthest_, at_);
    return *this;
  }
  counting_iterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const counting_iterator& a, const counting_iterator& b) {
    return a.at_ == b.at_;
  }
  friend bool operator!=(const counting_iterator& a, const counting_iterator& b) {
    return a.at_ != b.at_;
  }

private:
  const char* at_;
  const char** furthest_;
};

std::string line_and_column(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  return "line " + std::to_string(line) + ", column "
         + std::to_string(detail::column_at(text, offset));
}

/// Runs nlohmann's parser.
std::variant<json, parse_failure> parse(std::string_view input, json::input_format_t format,
                                        std::size_t max_depth) {
  strict_builder builder{max_depth};
  const char* furthest = input.data();
  const counting_iterator begin{input.data(), &furthest};
  const counting_iterator end{input.data() + input.size(), &furthest};
  if (json::sax_parse(begin, end, &builder, format))
    return std::move(builder.root());
  const auto consumed = static_cast<std::size_t>(furthest - input.data());
  return parse_failure{builder.failed_at(consumed), builder.failure()};
}

/// Finds the first string of indefinite length (RFC 8949, section 3.2.3), or returns the input's
/// size. We never write one, and nlohmann's reader recurses into their chunks without a bound. A
/// value's headers and contents follow each other, so that no nesting needs to be tracked.
std::size_t find_indefinite_string(std::string_view input) {
  std::size_t at = 0;
  while (at < input.size()) {
    const auto head = static_cast<std::uint8_t>(input[at]);
    const auto major = head >> 5;
    const auto info = head & 31U;
    const bool is_string = major == 2 || major == 3;
    if (is_string && info == 31)
      return at;
    std::uint64_t argument = info;
    ++at;
    if (info >= 24 && info <= 27) {
      const auto size = std::size_t{1} << (info - 24);
      argument = 0;
      for (std::size_t i = 0; i < size && at < input.size(); ++i, ++at)
        argument = argument << 8 | static_cast<std::uint8_t>(input[at]);
    }
    if (is_string) {
      if (argument > input.size() - at)
        break;
      at += argument;
    }
  }
  return input.size();
}

bool is_deeper(const json& value, std::size_t levels) {
  if (!value.is_structured())
    return false;
  if (levels == 0)
    return true;
  return std::any_of(value.begin(), value.end(),
                     [&](const json& part) { return is_deeper(part, levels - 1); });
}

std::string library_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Eight characters at a time, as they are in memory.
using word = std::uint64_t;

constexpr word in_each_byte(std::uint8_t value) noexcept {
  return ~word{0} / 0xFF * value;
}

/// The first of the characters; where there are fewer, letters follow them.
word load_word(std::string_view text) noexcept {
  auto loaded = in_each_byte('x');
  std::memcpy(&loaded, text.data(), std::min(text.size(), sizeof loaded));
  return loaded;
}

constexpr word high_bits = in_each_byte(0x80);

/// Some bit of `high_bits` exactly if a byte is below `limit`, which is 0x80 at most; for bytes
/// that are below 0x80 themselves.
constexpr word below(word bytes, std::uint8_t limit) noexcept {
  return (bytes - in_each_byte(limit)) & ~bytes & high_bits;
}

/// True for what stands in a JSON string as it is: ASCII but for controls, quotes and backslashes.
bool is_plain(std::string_view text) noexcept {
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), sizeof(word)))) {
    const auto bytes = load_word(text);
    const auto special =
        (bytes & high_bits) | below(bytes, 0x20) | below(bytes ^ in_each_byte('"'), 1)
        | below(bytes ^ in_each_byte('\\'), 1) | below(bytes ^ in_each_byte(0x7F), 1);
    if (special != 0)
      return false;
  }
  return true;
}

} // namespace

std::variant<json, parse_failure> detail::parse_json_text(std::string_view text,
                                                          std::size_t max_depth) {
  auto parsed = parse(text, json::input_format_t::json, max_depth);
  // The parser takes a NUL byte for the input's end, and would ignore what comes behind it.
  if (const auto end = text.find('\0');
      std::holds_alternative<json>(parsed) && end != std::string_view::npos)
    parsed = parse_failure{end, "a NUL byte"};
  return parsed;
}

std::size_t detail::column_at(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line = before.substr(before.rfind('\n') + 1);
  // A person counts characters: the bytes that do not continue one.
  return 1 + static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
           return (static_cast<std::uint8_t>(c) & 0xC0) != 0x80;
         }));
}

result<json> parse_json(std::string_view text) {
  auto parsed = detail::parse_json_text(text, max_json_depth);
  if (auto* value = std::get_if<json>(&parsed))
    return std::move(*value);
  const auto& failure = std::get<parse_failure>(parsed);
  return make_error(errc::invalid_json, "not valid JSON at " + line_and_column(text, failure.offset)
                                            + ": " + failure.why);
}

result<json> parse_cbor(std::span<const std::uint8_t> data) {
  const std::string_view input{reinterpret_cast<const char*>(data.data()), data.size()};
  const auto refuse = [](std::size_t offset, const std::string& why) {
    return make_error(errc::invalid_json,
                      "not valid CBOR at byte " + std::to_string(offset) + ": " + why);
  };
  if (const auto found = find_indefinite_string(input); found != input.size())
    return refuse(found, "a string of indefinite length, which records do not have");
  auto parsed = parse(input, json::input_format_t::cbor, max_record_depth);
  if (auto* value = std::get_if<json>(&parsed))
    return std::move(*value);
  const auto& failure = std::get<parse_failure>(parsed);
  return refuse(failure.offset, failure.why);
}

caf::error check_depth(const json& value) {
  if (is_deeper(value, max_json_depth))
    return make_error(errc::limit_exceeded, too_deep(max_json_depth));
  return caf::none;
}

bytes to_cbor(const json& value) {
  bytes out;
  json::to_cbor(value, out);
  return out;
}

std::string to_text(const json& value) {
  constexpr std::size_t usual_size_bytes = 256;
  std::string text;
  text.reserve(usual_size_bytes);
  append_text(text, value);
  return text;
}

void append_string(std::string& out, const std::string& text) {
  if (is_plain(text))
    out.append(1, '"').append(text).append(1, '"');
  else
    out += library_text(text);
}

// As the library does it, which takes a virtual call for each character.
void append_text(std::string& out, const json& value) {
  if (value.is_object()) {
    auto before = '{';
    for (const auto& [name, member] : value.get_ref<const json::object_t&>()) {
      out += std::exchange(before, ',');
      append_string(out, name);
      out += ':';
      append_text(out, member);
    }
    out += value.empty() ? "{}" : "}";
  } else if (value.is_array()) {
    auto before = '[';
    for (const auto& element : value) {
      out += std::exchange(before, ',');
      append_text(out, element);
    }
    out += value.empty() ? "[]" : "]";
  } else if (value.is_string()) {
    append_string(out, value.get_ref<const std::string&>());
  } else if (value.is_number_unsigned()) {
    out += std::to_string(value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    out += std::to_string(value.get<std::int64_t>());
  } else {
    out += library_text(value);
  }
}

std::string quoted_excerpt(std::string_view text) {
  const bool whole = text.size() <= max_quoted_bytes;
  // A character that is cut in two becomes U+FFFD like any other bytes that are not UTF-8.
  const json shown = std::string{text.substr(0, max_quoted_bytes)};
  return shown.dump(-1, ' ', true, json::error_handler_t::replace) + (whole ? "" : "...");
}

bool is_utf8(std::string_view text) noexcept {
  // The table of well-formed byte sequences of The Unicode Standard, chapter 3, table 3-7.
  for (std::size_t i = 0; i < text.size();) {
    if (text.size() - i >= sizeof(word) && (load_word(text.substr(i)) & high_bits) == 0) {
      i += sizeof(word);
      continue;
    }
    const auto lead = static_cast<std::uint8_t>(text[i]);
    std::size_t length = 1;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      low = lead == 0xE0 ? 0xA0 : 0x80;
      high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      low = lead == 0xF0 ? 0x90 : 0x80;
      high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
      return false;
    }
    if (text.size() - i < length)
      return false;
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      if (next < (k == 1 ? low : 0x80) || next > (k == 1 ? high : 0xBF))
        return false;
    }
    i += length;
  }
  return true;
}

caf::error check_utf8(const json& value) {
  if (value.is_discarded() || value.is_binary())
    return make_error(errc::invalid_json,
                      std::string{"a value is no JSON: it is "}
                          + (value.is_binary() ? "binary" : "what parsing something else left"));
  if (value.is_string() && !is_utf8(value.get_ref<const std::string&>()))
    return make_error(errc::invalid_json, "the text "
                                              + quoted_excerpt(value.get_ref<const std::string&>())
                                              + " is not UTF-8");
  if (value.is_array())
    for (const auto& element : value)
      if (auto error = check_utf8(element))
        return error;
  if (value.is_object())
    for (const auto& [key, member] : value.items()) {
      if (!is_utf8(key))
        return make_error(errc::invalid_json, "the key " + quoted_excerpt(key) + " is not UTF-8");
      if (auto error = check_utf8(member))
        return error;
    }
  return caf::none;
}

} // namespace fermata
