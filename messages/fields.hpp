#pragma once

#include <fermata/messages/cbor.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/field_list.hpp>
#include <fermata/messages/field_table.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/timestamp.hpp>

#include <caf/meta/type_name.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// What derives from the list of a struct's fields (see `field_list.hpp`): JSON (`to_json`,
/// `from_json`), records (`to_record`, `from_record`: the same as CBOR) and CAF inspection. An enum
/// takes part with an overload of `enum_names`, found by argument-dependent lookup, which gives a
/// `std::array<std::string_view, N>`.
namespace fermata {

template <class T>
concept described = requires {
  T::fields();
};

template <class T>
concept named_enum = std::is_enum_v<T> && requires(T value) {
  enum_names(value);
};

/// As documents and messages name an enumerator.
template <named_enum Enum>
[[nodiscard]] std::string enum_name(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

template <class T>
[[nodiscard]] json to_json(const T& value);

/// Reads a value. Errors: `invalid_field` or the error of the offending part; the message begins
/// with the path to it, and the path with `path`: where the value itself stands.
template <class T>
[[nodiscard]] result<T> from_json(const json& value, unknown_fields policy = unknown_fields::refuse,
                                  std::string_view path = {});

namespace detail {

/// How a type is written and read: as JSON (`encode`, `decode`, which throws `decode_failure`), and
/// as CBOR (`write`, with the bytes that the CBOR of its JSON has; `read`, which says false where
/// `decode` has to look at what is there: see `cbor_reader`).
///
/// Types of a kind share a template. They do so as its bases: of several specialisations that
/// differ in their constraints only, g++ 12 compiles a copy for each object file.
template <class T>
struct codec;

template <>
struct codec<bool> {
  static json encode(bool value) { return value; }
  static bool decode(const json& in, unknown_fields) {
    if (!in.is_boolean())
      refuse_type("true or false", in);
    return in.get<bool>();
  }
  static void write(cbor_writer& out, bool value) { out.boolean(value); }
  static bool read(cbor_reader& in, bool& value) { return in.boolean(value); }
};

template <class T>
struct integer_codec {
  static json encode(T value) { return value; }
  static T decode(const json& in, unknown_fields) {
    if (!in.is_number_integer())
      refuse_type("an integer", in);
    const bool fits = in.is_number_unsigned() ? std::in_range<T>(in.get<std::uint64_t>())
                                              : std::in_range<T>(in.get<std::int64_t>());
    if (!fits)
      refuse("expected an integer from " + std::to_string(std::numeric_limits<T>::min()) + " to "
             + std::to_string(std::numeric_limits<T>::max()));
    return in.get<T>();
  }
  static void write(cbor_writer& out, T value) {
    if constexpr (std::signed_integral<T>)
      out.integer(value);
    else
      out.unsigned_integer(value);
  }
  static bool read(cbor_reader& in, T& value) {
    std::uint64_t number = 0;
    std::int64_t negative = 0;
    const bool is_negative = in.is_negative();
    const bool fits = is_negative ? in.integer(negative) && std::in_range<T>(negative)
                                  : in.unsigned_integer(number) && std::in_range<T>(number);
    if (fits)
      value = is_negative ? static_cast<T>(negative) : static_cast<T>(number);
    return fits;
  }
};

template <>
struct codec<double> {
  static json encode(double value) { return value; }
  static double decode(const json& in, unknown_fields) {
    if (!in.is_number())
      refuse_type("a number", in);
    return in.get<double>();
  }
  static void write(cbor_writer& out, double value) { out.value(value); }
  static bool read(cbor_reader& in, double& value) { return in.floating(value); }
};

template <>
struct codec<std::string> {
  static json encode(const std::string& value) { return value; }
  static std::string decode(const json& in, unknown_fields) {
    if (!in.is_string())
      refuse_type("a string", in);
    return in.get<std::string>();
  }
  static void write(cbor_writer& out, const std::string& value) { out.text(value); }
  static bool read(cbor_reader& in, std::string& value) {
    std::string_view text;
    if (!in.text(text))
      return false;
    value = text;
    return true;
  }
};

template <>
struct codec<json> {
  static json encode(const json& value) { return value; }
  static json decode(const json& in, unknown_fields) { return in; }
  static void write(cbor_writer& out, const json& value) { out.value(value); }
  static bool read(cbor_reader& in, json& value) { return in.value(value); }
};

/// A duration in milliseconds; in JSON that number, and the field's name ends in `_ms`.
template <>
struct codec<std::chrono::milliseconds> {
  static json encode(std::chrono::milliseconds value) { return value.count(); }
  static std::chrono::milliseconds decode(const json& in, unknown_fields policy) {
    const auto count = integer_codec<std::int64_t>::decode(in, policy);
    if (count < 0 || count > max_duration.count())
      refuse("expected milliseconds from 0 to " + std::to_string(max_duration.count()));
    return std::chrono::milliseconds{count};
  }
  static void write(cbor_writer& out, std::chrono::milliseconds value) {
    out.integer(value.count());
  }
  static bool read(cbor_reader& in, std::chrono::milliseconds& value) {
    std::int64_t count = 0;
    if (!in.integer(count) || count < 0 || count > max_duration.count())
      return false;
    value = std::chrono::milliseconds{count};
    return true;
  }
};

template <>
struct codec<timestamp> {
  static json encode(timestamp value) { return value.time_since_epoch().count(); }
  static timestamp decode(const json& in, unknown_fields policy) {
    return timestamp{std::chrono::milliseconds{integer_codec<std::int64_t>::decode(in, policy)}};
  }
  static void write(cbor_writer& out, timestamp value) {
    out.integer(value.time_since_epoch().count());
  }
  static bool read(cbor_reader& in, timestamp& value) {
    std::int64_t count = 0;
    if (!in.integer(count))
      return false;
    value = timestamp{std::chrono::milliseconds{count}};
    return true;
  }
};

/// Ids and whatever else has a text form.
template <class T>
struct text_codec {
  static json encode(const T& value) { return value.str(); }
  static T decode(const json& in, unknown_fields) {
    if (!in.is_string())
      refuse_type("a string", in);
    auto parsed = T::parse(in.get_ref<const std::string&>());
    if (!parsed)
      throw decode_failure{code_of(parsed.error()), message_of(parsed.error())};
    return std::move(*parsed);
  }
  static void write(cbor_writer& out, const T& value) { out.text(value.str()); }
  static bool read(cbor_reader& in, T& value) {
    std::string_view text;
    if (!in.text(text))
      return false;
    auto parsed = T::parse(text);
    if (!parsed)
      return false;
    value = std::move(*parsed);
    return true;
  }
};

template <class T>
struct enum_codec {
  static json encode(T value) { return enum_name(value); }
  static T decode(const json& in, unknown_fields) {
    return static_cast<T>(decode_name(enum_names(T{}), in));
  }
  static void write(cbor_writer& out, T value) {
    out.text(enum_names(value).at(static_cast<std::size_t>(value)));
  }
  static bool read(cbor_reader& in, T& value) {
    const auto names = enum_names(T{});
    std::string_view text;
    if (!in.text(text))
      return false;
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end())
      return false;
    value = static_cast<T>(found - names.begin());
    return true;
  }
};

template <class T>
struct codec<std::optional<T>> {
  static json encode(const std::optional<T>& value) {
    return value ? codec<T>::encode(*value) : json(nullptr);
  }
  static std::optional<T> decode(const json& in, unknown_fields policy) {
    if (in.is_null())
      return std::nullopt;
    return codec<T>::decode(in, policy);
  }
  static void write(cbor_writer& out, const std::optional<T>& value) {
    if (value)
      codec<T>::write(out, *value);
    else
      out.null();
  }
  static bool read(cbor_reader& in, std::optional<T>& value) {
    value.reset();
    return in.take_null() || codec<T>::read(in, value.emplace());
  }
};

template <class T>
struct codec<std::vector<T>> {
  static json encode(const std::vector<T>& values) {
    auto out = json::array();
    for (const auto& value : values)
      out.push_back(codec<T>::encode(value));
    return out;
  }
  static std::vector<T> decode(const json& in, unknown_fields policy) {
    if (!in.is_array())
      refuse_type("an array", in);
    std::vector<T> values;
    values.reserve(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      try {
        values.push_back(codec<T>::decode(in[i], policy));
      } catch (decode_failure& failure) {
        failure.prepend("[" + std::to_string(i) + "]");
        throw;
      }
    }
    return values;
  }
  static void write(cbor_writer& out, const std::vector<T>& values) {
    out.array(values.size());
    for (const auto& value : values)
      codec<T>::write(out, value);
  }
  static bool read(cbor_reader& in, std::vector<T>& values) {
    std::size_t size = 0;
    if (!in.array(size))
      return false;
    values.clear();
    for (std::size_t i = 0; i < size; ++i)
      if (!codec<T>::read(in, values.emplace_back()))
        return false;
    return true;
  }
};

template <class T>
struct codec<std::map<std::string, T>> {
  static json encode(const std::map<std::string, T>& values) {
    auto out = json::object();
    for (const auto& [key, value] : values)
      out[key] = codec<T>::encode(value);
    return out;
  }
  static std::map<std::string, T> decode(const json& in, unknown_fields policy) {
    if (!in.is_object())
      refuse_type("an object", in);
    std::map<std::string, T> values;
    for (const auto& [key, value] : in.items()) {
      try {
        values.emplace(key, codec<T>::decode(value, policy));
      } catch (decode_failure& failure) {
        failure.prepend(check_id("key", key) ? quoted_excerpt(key) : key);
        throw;
      }
    }
    return values;
  }
  static void write(cbor_writer& out, const std::map<std::string, T>& values) {
    out.map(values.size());
    for (const auto& [key, value] : values) {
      out.text(key);
      codec<T>::write(out, value);
    }
  }
  static bool read(cbor_reader& in, std::map<std::string, T>& values) {
    std::size_t size = 0;
    if (!in.map(size))
      return false;
    values.clear();
    for (std::size_t i = 0; i < size; ++i) {
      std::string_view key;
      if (!in.text(key) || (!values.empty() && key <= values.rbegin()->first))
        return false;
      if (!codec<T>::read(in, values.emplace_hint(values.end(), key, T{})->second))
        return false;
    }
    return true;
  }
};

/// What is made for each struct is its table. It is not inline, so that a header can say
/// `extern template struct struct_codec<...>;`, and one source compiles it for all.
template <class T>
struct struct_codec {
  static json encode(const T& value) { return encode_struct(table(), &value); }
  static T decode(const json& in, unknown_fields policy) {
    T value;
    decode_struct(table(), in, policy, {}, &value);
    return value;
  }
  static void write(cbor_writer& out, const T& value) { write_struct(table(), out, &value, {}); }
  static bool read(cbor_reader& in, T& value) { return read_struct(table(), in, {}, &value); }

  static const field_table& table();
};

/// Makes the table of a struct.
template <class T>
class field_table_of {
public:
  static_assert(
      requires { decltype(T::fields())::size; }, "fields() has to give a field_list");
  static constexpr std::size_t size = decltype(T::fields())::size;
  static_assert(size <= max_fields, "a struct has at most 64 fields");

  static constexpr std::array<field_entry, size> listed() {
    return listed(std::make_index_sequence<size>{});
  }
  static constexpr std::array<field_entry, size> sorted() {
    auto entries = listed();
    std::sort(entries.begin(), entries.end(),
              [](const auto& one, const auto& other) { return one.name < other.name; });
    return entries;
  }
  static constexpr field_table table(std::span<const field_entry> listed,
                                     std::span<const field_entry> sorted) {
    if constexpr (requires(T value) { value.unknown; })
      return {listed, sorted, [](const void* of) -> const json& { return struct_at(of).unknown; },
              [](const std::string& name, const json& value, void* to) {
                struct_at(to).unknown[name] = value;
              }};
    else
      return {listed, sorted, nullptr, nullptr};
  }

private:
  static const T& struct_at(const void* place) { return *static_cast<const T*>(place); }
  static T& struct_at(void* place) { return *static_cast<T*>(place); }

  static const T& defaults() {
    static const T value{};
    return value;
  }

  template <std::size_t... Index>
  static constexpr std::array<field_entry, size> listed(std::index_sequence<Index...>) {
    return {entry<Index>()...};
  }

  template <std::size_t Index>
  static constexpr auto is_default() -> bool (*)(const void*) {
    constexpr auto info = T::fields().template at<Index>();
    if constexpr (info.required) {
      return nullptr;
    } else {
      constexpr auto place = info.member;
      static_assert(
          requires(const T& one) { one.*place == one.*place; },
          "an optional field is compared with its default: its type needs ==");
      return [](const void* of) { return struct_at(of).*place == defaults().*place; };
    }
  }

  template <std::size_t Index>
  static constexpr field_entry entry() {
    constexpr auto info = T::fields().template at<Index>();
    constexpr auto place = info.member;
    using member = std::remove_cvref_t<decltype(std::declval<T&>().*place)>;
    return {
        info.name,
        info.required,
        is_default<Index>(),
        [](const void* of) { return codec<member>::encode(struct_at(of).*place); },
        [](const json& in, unknown_fields policy, void* to) {
          struct_at(to).*place = codec<member>::decode(in, policy);
        },
        [](cbor_writer& out, const void* of) { codec<member>::write(out, struct_at(of).*place); },
        [](cbor_reader& in, void* to) { return codec<member>::read(in, struct_at(to).*place); }};
  }
};

template <class T>
const field_table& struct_codec<T>::table() {
  using maker = field_table_of<T>;
  static constexpr auto listed = maker::listed();
  static constexpr auto sorted = maker::sorted();
  static constexpr field_table fields = maker::table(listed, sorted);
  return fields;
}

/// A variant of described structs, each with a `static constexpr std::string_view type`: the
/// struct's object with one more key, "type".
template <class... Ts>
struct codec<std::variant<Ts...>> {
  using variant = std::variant<Ts...>;

  static json encode(const variant& value) { return encode_variant(held_by(value), &value); }
  static variant decode(const json& in, unknown_fields policy) {
    variant value;
    decode_variant(alternatives(), in, policy, &value);
    return value;
  }
  static void write(cbor_writer& out, const variant& value) {
    write_variant(held_by(value), out, &value);
  }
  static bool read(cbor_reader& in, variant& value) {
    return read_variant(alternatives(), in, &value);
  }

private:
  static const std::array<alternative_entry, sizeof...(Ts)>& alternatives();

  static const alternative_entry& held_by(const variant& value) {
    if (value.valueless_by_exception())
      throw std::bad_variant_access{};
    return alternatives()[value.index()];
  }
};

template <class... Ts>
const std::array<alternative_entry, sizeof...(Ts)>& codec<std::variant<Ts...>>::alternatives() {
  static constexpr std::array<alternative_entry, sizeof...(Ts)> entries{alternative_entry{
      Ts::type, &codec<Ts>::table,
      [](const void* of) -> const void* {
        return std::get_if<Ts>(static_cast<const variant*>(of));
      },
      [](void* to) -> void* { return &static_cast<variant*>(to)->template emplace<Ts>(); }}...};
  return entries;
}

template <class T>
concept has_text_form = requires(const T& value, std::string_view text) {
  { value.str() } -> std::convertible_to<std::string>;
  { T::parse(text) } -> std::same_as<result<T>>;
};

template <class T>
[[nodiscard]] consteval auto shared_codec() {
  if constexpr (described<T>)
    return std::type_identity<struct_codec<T>>{};
  else if constexpr (has_text_form<T>)
    return std::type_identity<text_codec<T>>{};
  else if constexpr (named_enum<T>)
    return std::type_identity<enum_codec<T>>{};
  else if constexpr (std::integral<T>)
    return std::type_identity<integer_codec<T>>{};
  else
    static_assert(!sizeof(T), "a type needs fields(), enum_names, or str and parse");
}

template <class T>
struct codec : decltype(shared_codec<T>())::type {};

} // namespace detail

template <class T>
json to_json(const T& value) {
  return detail::codec<T>::encode(value);
}

template <class T>
result<T> from_json(const json& value, unknown_fields policy, std::string_view path) {
  try {
    return detail::codec<T>::decode(value, policy);
  } catch (detail::decode_failure& failure) {
    if (!path.empty())
      failure.prepend(path);
    return failure.error();
  }
}

/// The record form of a value: its JSON as CBOR. As large as it is, and no larger: records wait in
/// memory for the journal and its followers.
template <class T>
[[nodiscard]] bytes to_record(const T& value) {
  detail::cbor_buffer buffer;
  detail::cbor_writer writer{buffer};
  detail::codec<T>::write(writer, value);
  return buffer.content();
}

/// Reads the record form. Errors: `invalid_json`, `invalid_field`.
template <class T>
[[nodiscard]] result<T> from_record(std::span<const std::uint8_t> data) {
  detail::cbor_reader reader{data};
  if (T value; detail::codec<T>::read(reader, value) && reader.is_at_end())
    return value;
  auto value = parse_cbor(data);
  if (!value)
    return std::move(value.error());
  return fermata::from_json<T>(*value, unknown_fields::keep);
}

/// A described struct that travels between actors by itself, not only as a part of others: it has a
/// `static constexpr const char* wire_name`, which peers know it by and which never changes.
template <class T>
concept travelling = described<T> && requires {
  { T::wire_name } -> std::convertible_to<const char*>;
};

namespace detail {

/// Loads a sequence of bytes in pieces. CAF by itself allocates what the data announces, which may
/// be 4 GB of nothing.
template <class Source>
caf::error load_bytes(Source& source, bytes& loaded) {
  constexpr std::size_t piece_size_bytes = 65'536;
  std::size_t size = 0;
  if (auto error = source.begin_sequence(size))
    return error;
  while (loaded.size() < size) {
    const auto before = loaded.size();
    const auto piece = std::min(piece_size_bytes, size - before);
    loaded.resize(before + piece);
    if (auto error = source.apply_raw(piece, loaded.data() + before))
      return error;
  }
  return source.end_sequence();
}

} // namespace detail

/// CAF inspection of a travelling struct: it travels as its record, so that a node can read what a
/// newer one added.
template <class Inspector, travelling T>
typename Inspector::result_type inspect(Inspector& f, T& value) {
  if constexpr (Inspector::reads_state) {
    // Reading the state of the object: serializing or printing it.
    auto record = to_record(value);
    return f(caf::meta::type_name(T::wire_name), record);
  } else {
    bytes record;
    if (auto error = detail::load_bytes(f, record))
      return error;
    auto loaded = from_record<T>(record);
    if (!loaded)
      return std::move(loaded.error());
    value = std::move(*loaded);
    return caf::none;
  }
}

} // namespace fermata
