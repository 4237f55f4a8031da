#pragma once

#include <fermata/messages/cbor.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/timestamp.hpp>

#include <caf/meta/type_name.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <exception>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// A struct that travels or is stored lists its fields once, in a static function:
///
///     struct subtask_spec {
///       subtask_id id;
///       std::string description;
///       subtask_spec() = default; // not an aggregate: see CONTRIBUTING.md, "message types"
///       static constexpr auto fields() {
///         return std::tuple{field("id", &subtask_spec::id), optional_field("description",
///         &subtask_spec::description)};
///       }
///     };
///
/// JSON (`to_json`, `from_json`), records (`to_record`, `from_record`: the same as CBOR) and CAF
/// inspection derive from that list. An enum takes part with an overload of `enum_names`, found by
/// argument-dependent lookup.
namespace fermata {

template <class Struct, class Member>
struct field_info {
  std::string_view name;
  Member Struct::*member;
  bool required;
};

/// A field that must be present in the input.
template <class Struct, class Member>
[[nodiscard]] constexpr field_info<Struct, Member> field(std::string_view name,
                                                         Member Struct::*member) {
  return {name, member, true};
}

/// A field that may be absent, which leaves its default value; it is not written while it has that
/// value.
template <class Struct, class Member>
[[nodiscard]] constexpr field_info<Struct, Member> optional_field(std::string_view name,
                                                                  Member Struct::*member) {
  return {name, member, false};
}

/// What reading does with fields that the struct does not list: refuse them (input from people: a
/// misspelt field is never silently ignored), or keep them in the member `json unknown` where the
/// struct has one (records: a newer version's fields survive).
enum class unknown_fields { refuse, keep };

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

/// Carries an error and the path to it out of a nested value.
class decode_failure : public std::exception {
public:
  decode_failure(errc code, std::string why) : code_{code}, why_{std::move(why)} {}

  void prepend(std::string_view part) {
    path_ = path_.empty() || path_.front() == '[' ? std::string{part} + path_
                                                  : std::string{part} + "." + path_;
  }
  [[nodiscard]] caf::error error() const {
    return make_error(code_, path_.empty() ? why_ : path_ + ": " + why_);
  }
  [[nodiscard]] const char* what() const noexcept override { return why_.c_str(); }

private:
  errc code_;
  std::string why_;
  std::string path_;
};

[[noreturn]] inline void refuse(std::string why) {
  throw decode_failure{errc::invalid_field, std::move(why)};
}

[[noreturn]] inline void refuse_type(std::string_view expected, const json& got) {
  refuse("expected " + std::string{expected} + ", got " + got.type_name());
}

/// How a type is written and read: as JSON (`encode`, `decode`, which throws `decode_failure`), and
/// as CBOR (`write`, with the bytes that the CBOR of its JSON has; `read`, which says false where
/// `decode` has to look at what is there: see `cbor_reader`).
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

template <std::integral T>
requires(!std::same_as<T, bool>) struct codec<T> {
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
    const auto count = codec<std::int64_t>::decode(in, policy);
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
    return timestamp{std::chrono::milliseconds{codec<std::int64_t>::decode(in, policy)}};
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

/// Ids and whatever else has a text form with `str` and `parse`.
template <class T>
requires requires(const T& value, std::string_view text) {
  { value.str() } -> std::convertible_to<std::string>;
  { T::parse(text) } -> std::same_as<result<T>>;
}
struct codec<T> {
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

template <named_enum T>
struct codec<T> {
  static json encode(T value) { return enum_name(value); }
  static T decode(const json& in, unknown_fields) {
    const auto names = enum_names(T{});
    if (!in.is_string())
      refuse_type("a string", in);
    std::string accepted;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == in.get_ref<const std::string&>())
        return static_cast<T>(i);
      accepted += (i == 0 ? "" : ", ") + std::string{names[i]};
    }
    refuse("expected one of " + accepted);
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

template <described T>
struct codec<T> {
  static json encode(const T& value) {
    auto out = json::object();
    if constexpr (requires { value.unknown; })
      if (value.unknown.is_object())
        out = value.unknown;
    encode_into(out, value);
    return out;
  }

  static void encode_into(json& out, const T& value) {
    std::apply(
        [&](const auto&... info) {
          [[maybe_unused]] const auto write = [&](const auto& one) {
            if (one.required || !(value.*one.member == defaults().*one.member))
              out[std::string{one.name}] =
                  codec<std::remove_cvref_t<decltype(value.*one.member)>>::encode(value
                                                                                  .*one.member);
          };
          (write(info), ...);
        },
        T::fields());
  }

  /// `tag` is one more key that may be there: the "type" of a variant.
  static T decode(const json& in, unknown_fields policy, std::string_view tag = {}) {
    if (!in.is_object())
      refuse_type("an object", in);
    T value;
    std::size_t known = tag.empty() ? 0 : 1;
    [[maybe_unused]] const auto read = [&](const auto& one) {
      const auto found = in.find(std::string{one.name});
      if (found == in.end()) {
        if (one.required)
          refuse("the field \"" + std::string{one.name} + "\" is missing");
        return;
      }
      ++known;
      try {
        value.*one.member =
            codec<std::remove_cvref_t<decltype(value.*one.member)>>::decode(*found, policy);
      } catch (decode_failure& failure) {
        failure.prepend(one.name);
        throw;
      }
    };
    std::apply([&](const auto&... info) { (read(info), ...); }, T::fields());
    if (known != in.size())
      handle_unknown(in, policy, tag, value);
    return value;
  }

  /// `type`: the value of one more key, "type"; empty: there is none.
  static void write(cbor_writer& out, const T& value, std::string_view type = {}) {
    if constexpr (requires { value.unknown; })
      if (value.unknown.is_object() && !value.unknown.empty())
        return write_with_unknown(out, value, type);
    const auto& fields = by_name();
    std::array<bool, field_count> chosen{};
    std::size_t size = type.empty() ? 0 : 1;
    for (std::size_t i = 0; i < field_count; ++i)
      size += chosen[i] = fields[i].is_written(value);
    out.map(size);
    constexpr std::string_view tag = "type";
    const auto write_type = [&] {
      out.text(tag);
      out.text(type);
    };
    bool owes_type = !type.empty();
    for (std::size_t i = 0; i < field_count; ++i) {
      if (!chosen[i])
        continue;
      if (owes_type && tag < fields[i].name) {
        write_type();
        owes_type = false;
      }
      out.text(fields[i].name);
      fields[i].write(out, value);
    }
    if (owes_type)
      write_type();
  }

  static bool read(cbor_reader& in, T& value, std::string_view tag = {}) {
    std::size_t size = 0;
    if (!in.map(size))
      return false;
    const auto& fields = by_name();
    std::size_t next = 0;
    std::string_view last;
    for (std::size_t i = 0; i < size; ++i) {
      std::string_view key;
      if (!in.text(key) || (i > 0 && key <= last))
        return false;
      last = key;
      if (!tag.empty() && key == tag) {
        if (!in.skip())
          return false;
        continue;
      }
      while (next < field_count && fields[next].name < key)
        if (fields[next++].required)
          return false;
      if (next == field_count || fields[next].name != key || !fields[next].read(in, value))
        return false;
      ++next;
    }
    return std::none_of(fields.begin() + static_cast<std::ptrdiff_t>(next), fields.end(),
                        [](const auto& missing) { return missing.required; });
  }

private:
  static constexpr std::size_t field_count = std::tuple_size_v<decltype(T::fields())>;

  /// Absent means default, so a field that has its default value need not be written.
  static const T& defaults() {
    static const T value{};
    return value;
  }

  /// A field as CBOR has it: maps are sorted by key.
  struct named_field {
    std::string_view name;
    bool required = false;
    bool (*is_written)(const T&) = nullptr;
    void (*write)(cbor_writer&, const T&) = nullptr;
    bool (*read)(cbor_reader&, T&) = nullptr;
  };

  template <std::size_t Index>
  static constexpr named_field field_at() {
    constexpr auto info = std::get<Index>(T::fields());
    constexpr auto place = info.member;
    using member = std::remove_cvref_t<decltype(std::declval<T&>().*place)>;
    return {info.name, info.required,
            [](const T& of) { return info.required || !(of.*place == defaults().*place); },
            [](cbor_writer& out, const T& of) { codec<member>::write(out, of.*place); },
            [](cbor_reader& in, T& to) { return codec<member>::read(in, to.*place); }};
  }

  template <std::size_t... Index>
  static constexpr auto sorted_fields(std::index_sequence<Index...>) {
    std::array<named_field, field_count> sorted{field_at<Index>()...};
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& one, const auto& other) { return one.name < other.name; });
    return sorted;
  }

  /// Only made for a type that is written or read as CBOR.
  static const std::array<named_field, field_count>& by_name() {
    static constexpr auto sorted = sorted_fields(std::make_index_sequence<field_count>{});
    return sorted;
  }

  static void write_with_unknown(cbor_writer& out, const T& value, std::string_view type) {
    auto all = encode(value);
    if (!type.empty())
      all["type"] = type;
    out.value(all);
  }

  static bool is_listed(std::string_view key) {
    return std::apply([&](const auto&... info) { return ((info.name == key) || ...); },
                      T::fields());
  }

  static void handle_unknown(const json& in, unknown_fields policy, std::string_view tag,
                             T& value) {
    for (const auto& [key, member] : in.items()) {
      if (key == tag || is_listed(key))
        continue;
      if (policy == unknown_fields::refuse) {
        std::string accepted;
        std::apply(
            [&](const auto&... info) {
              ((accepted += std::string{" "} + std::string{info.name}), ...);
            },
            T::fields());
        refuse("unknown field " + quoted_excerpt(key) + "; accepted are:" + accepted);
      }
      if constexpr (requires { value.unknown; })
        value.unknown[key] = member;
    }
  }
};

/// A variant of described structs, each with a `static constexpr std::string_view type`: the
/// struct's object with one more key, "type".
template <class... Ts>
struct codec<std::variant<Ts...>> {
  static json encode(const std::variant<Ts...>& value) {
    return std::visit(
        [](const auto& alternative) {
          using alternative_type = std::remove_cvref_t<decltype(alternative)>;
          auto out = codec<alternative_type>::encode(alternative);
          out["type"] = std::string{alternative_type::type};
          return out;
        },
        value);
  }

  static std::variant<Ts...> decode(const json& in, unknown_fields policy) {
    if (!in.is_object())
      refuse_type("an object", in);
    const auto found = in.find("type");
    if (found == in.end() || !found->is_string())
      refuse("the field \"type\" is missing");
    const auto& type = found->template get_ref<const std::string&>();
    std::optional<std::variant<Ts...>> value;
    ((!value && Ts::type == type ? void(value.emplace(codec<Ts>::decode(in, policy, "type")))
                                 : void()),
     ...);
    if (!value)
      refuse("unknown type " + quoted_excerpt(type));
    return std::move(*value);
  }

  static void write(cbor_writer& out, const std::variant<Ts...>& value) {
    std::visit(
        [&](const auto& alternative) {
          using alternative_type = std::remove_cvref_t<decltype(alternative)>;
          codec<alternative_type>::write(out, alternative, alternative_type::type);
        },
        value);
  }

  static bool read(cbor_reader& in, std::variant<Ts...>& value) {
    std::string_view type;
    if (!find_type(in, type))
      return false;
    bool good = false;
    static_cast<void>(((Ts::type == type
                        && (good = codec<Ts>::read(in, value.template emplace<Ts>(), "type"), true))
                       || ...));
    return good;
  }

private:
  /// Looks ahead.
  static bool find_type(cbor_reader in, std::string_view& type) {
    std::size_t size = 0;
    if (!in.map(size))
      return false;
    for (std::size_t i = 0; i < size; ++i) {
      std::string_view key;
      if (!in.text(key))
        return false;
      if (key == "type")
        return in.text(type);
      if (!in.skip())
        return false;
    }
    return false;
  }
};

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
