#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

/// A struct that travels or is stored lists its fields once, in a static function:
///
///     struct subtask_spec {
///       subtask_id id;
///       std::string description;
///       subtask_spec() = default; // not an aggregate: see CONTRIBUTING.md, "message types"
///       static constexpr auto fields() {
///         return field_list{field("id", &subtask_spec::id), optional_field("description",
///         &subtask_spec::description)};
///       }
///     };
///
/// What derives from that list is in `fields.hpp`.
namespace fermata {

/// What reading does with fields that the struct does not list: refuse them (input from people: a
/// misspelt field is never silently ignored), or keep them in the member `json unknown` where the
/// struct has one (records: a newer version's fields survive).
enum class unknown_fields { refuse, keep };

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
/// value. Its type has `==`.
template <class Struct, class Member>
[[nodiscard]] constexpr field_info<Struct, Member> optional_field(std::string_view name,
                                                                  Member Struct::*member) {
  return {name, member, false};
}

namespace detail {

template <std::size_t Index, class Field>
struct field_slot {
  Field info;
};

template <class Indices, class... Fields>
struct field_slots;

template <std::size_t... Index, class... Fields>
struct field_slots<std::index_sequence<Index...>, Fields...> : field_slot<Index, Fields>... {
  constexpr explicit field_slots(const Fields&... infos) : field_slot<Index, Fields>{infos}... {}

  template <class Function>
  constexpr void for_each(const Function& function) const {
    (function(static_cast<const field_slot<Index, Fields>&>(*this).info), ...);
  }
};

} // namespace detail

/// The fields of a struct, in the order in which it lists them; at most 64. A `std::tuple` would do
/// as well, and costs much more to compile.
template <class... Fields>
class field_list : detail::field_slots<std::index_sequence_for<Fields...>, Fields...> {
  using slots = detail::field_slots<std::index_sequence_for<Fields...>, Fields...>;

public:
  /// How many they are.
  static constexpr std::size_t size = sizeof...(Fields);

  constexpr explicit field_list(const Fields&... infos) : slots{infos...} {}

  /// Calls a function with the `field_info` of each field.
  using slots::for_each;

  /// The `field_info` of one of them, counted from 0.
  template <std::size_t Index>
  [[nodiscard]] constexpr auto at() const {
    return info_in<Index>(*this);
  }

private:
  template <std::size_t Index, class Field>
  static constexpr Field info_in(const detail::field_slot<Index, Field>& slot) {
    return slot.info;
  }
};

} // namespace fermata
