#pragma once

#include <fermata/messages/cbor.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/field_list.hpp>
#include <fermata/messages/json.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

/// Structs are read and written by functions that know their fields from a table: the table is all
/// that there is to compile for a struct.
namespace fermata::detail {

/// Carries an error and the path to it out of a nested value.
class decode_failure : public std::exception {
public:
  decode_failure(errc code, std::string why) : code_{code}, why_{std::move(why)} {}

  void prepend(std::string_view part);
  [[nodiscard]] caf::error error() const;
  [[nodiscard]] const char* what() const noexcept override { return why_.c_str(); }

private:
  errc code_;
  std::string why_;
  std::string path_;
};

/// Throws `decode_failure`: `invalid_field`.
[[noreturn]] void refuse(std::string why);
[[noreturn]] void refuse_type(std::string_view expected, const json& got);

/// The place of a name among those that an enum has. Throws `decode_failure`.
[[nodiscard]] std::size_t decode_name(std::span<const std::string_view> names, const json& in);

/// A field of some struct: `of` and `to` are the struct.
struct field_entry {
  std::string_view name;
  bool required = false;
  /// Absent means default, so a field that has its default value need not be written. Null for a
  /// required one.
  bool (*is_default)(const void* of) = nullptr;
  json (*encode)(const void* of) = nullptr;
  /// Throws `decode_failure`.
  void (*decode)(const json& in, unknown_fields policy, void* to) = nullptr;
  void (*write)(cbor_writer& out, const void* of) = nullptr;
  bool (*read)(cbor_reader& in, void* to) = nullptr;
};

/// How many fields a struct may have; with more it does not compile.
inline constexpr std::size_t max_fields = 64;

struct field_table {
  std::span<const field_entry> listed; ///< As the struct lists them.
  std::span<const field_entry> sorted; ///< By name, as CBOR has them.
  /// The member `unknown`; null where there is none.
  const json& (*unknown)(const void* of) = nullptr;
  void (*keep_unknown)(const std::string& name, const json& value, void* to) = nullptr;
};

[[nodiscard]] json encode_struct(const field_table& fields, const void* of);

/// `tag` is one more key that may be there: the "type" of a variant. Throws `decode_failure`.
void decode_struct(const field_table& fields, const json& in, unknown_fields policy,
                   std::string_view tag, void* to);

/// `type`: the value of one more key, "type"; empty: there is none.
void write_struct(const field_table& fields, cbor_writer& out, const void* of,
                  std::string_view type);

[[nodiscard]] bool read_struct(const field_table& fields, cbor_reader& in, std::string_view tag,
                               void* to);

/// A struct that a variant may hold: `of` and `to` are the variant.
struct alternative_entry {
  std::string_view type;
  const field_table& (*fields)() = nullptr;
  const void* (*held)(const void* of) = nullptr;
  void* (*emplace)(void* to) = nullptr;
};

[[nodiscard]] json encode_variant(const alternative_entry& held, const void* of);

/// Throws `decode_failure`.
void decode_variant(std::span<const alternative_entry> alternatives, const json& in,
                    unknown_fields policy, void* to);

void write_variant(const alternative_entry& held, cbor_writer& out, const void* of);

[[nodiscard]] bool read_variant(std::span<const alternative_entry> alternatives, cbor_reader& in,
                                void* to);

} // namespace fermata::detail
