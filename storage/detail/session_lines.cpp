#include <fermata/storage/detail/session_lines.hpp>

#include <algorithm>
#include <array>
#include <concepts>

namespace fermata::detail {

namespace {

/// Brings back what a newer version added: fields of `stored` that `known`, what this version reads
/// of it, does not have. Nobody knows what they are, so they are hidden as what comes from outside.
void keep_unknown(json& shown, const json& stored, const json& known, const redactor& by) {
  if (stored == known)
    return;
  if (stored.is_object() && known.is_object() && shown.is_object()) {
    for (const auto& [name, member] : stored.items())
      if (!known.contains(name))
        shown.update(by.value(json::object({{name, member}})));
      else if (const auto place = shown.find(name); place != shown.end())
        keep_unknown(*place, member, known[name], by);
  } else if (stored.is_array() && known.is_array() && shown.is_array()
             && stored.size() == known.size() && stored.size() == shown.size()) {
    for (std::size_t i = 0; i < stored.size(); ++i)
      keep_unknown(shown[i], stored[i], known[i], by);
  }
}

template <class T>
json hide(const json& value, const redactor& by) {
  auto read = fermata::from_json<T>(value, unknown_fields::keep);
  if constexpr (requires { read->unknown; })
    read->unknown = nullptr;
  const auto known = to_json(*read);
  auto shown = to_json(redacted(std::move(*read), by));
  keep_unknown(shown, value, known, by);
  return shown;
}

caf::error misplaced(std::string_view field, std::uint64_t got, std::uint64_t expected) {
  return make_error(errc::invalid_field, std::string{field} + ": expected "
                                             + std::to_string(expected) + ", got "
                                             + std::to_string(got));
}

/// A record that says where it belongs must be there.
template <class T>
caf::error check_place(const T& value, const record_key& key) {
  if constexpr (std::same_as<T, head_record>) {
    if (key != head_key())
      return make_error(errc::invalid_field, "there is one head, whose group and index are 0");
  } else if constexpr (std::same_as<T, plan_record>) {
    if (value.revision != key.group)
      return misplaced("revision", value.revision, key.group);
  } else if constexpr (requires { value.number; }) {
    if (value.number != key.index)
      return misplaced("number", value.number, key.index);
  }
  return caf::none;
}

template <class T>
caf::error check(const json& value, const record_key& key) {
  const auto read = fermata::from_json<T>(value, unknown_fields::keep);
  return read ? check_place(*read, key) : read.error();
}

template <class T>
constexpr record_type make_type(record_kind kind, std::string_view name) {
  return {kind, name, check<T>, hide<T>};
}

constexpr std::array types{make_type<head_record>(record_kind::head, "head"),
                           make_type<plan_record>(record_kind::plan, "plan"),
                           make_type<subtask_spec>(record_kind::subtask_spec, "subtask_spec"),
                           make_type<subtask_record>(record_kind::subtask, "subtask"),
                           make_type<call_record>(record_kind::call, "call"),
                           make_type<entry_record>(record_kind::entry, "entry"),
                           make_type<message_record>(record_kind::message, "message"),
                           make_type<remembered_record>(record_kind::remembered, "remembered")};

} // namespace

std::string checksum_text(std::uint32_t crc) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4)
    text += digits[crc >> shift & 15];
  return text;
}

std::span<const record_type> record_types() {
  return types;
}

const record_type* type_of(record_kind kind) {
  const auto found = std::find_if(types.begin(), types.end(),
                                  [&](const record_type& one) { return one.kind == kind; });
  return found == types.end() ? nullptr : &*found;
}

caf::error check_event(const json& value, std::uint64_t number) {
  const auto read = fermata::from_json<event>(value, unknown_fields::keep);
  if (!read)
    return read.error();
  return read->number == number ? caf::error{} : misplaced("number", read->number, number);
}

json hide_in_event(const json& value, const redactor& by) {
  return hide<event>(value, by);
}

result<std::uint64_t> item_of(const json& value, const session_id& session) {
  const auto item = fermata::from_json<pending_item>(value, unknown_fields::keep);
  if (!item)
    return item.error();
  if (item->session != session)
    return make_error(errc::invalid_field,
                      "session: expected " + session.str() + ", got " + item->session.str());
  if (const auto call = call_id::parse(item->id); call && call->session() == session)
    return call->number();
  if (const auto plan = plan_id::parse(item->id); plan && plan->session() == session)
    return pending_plan_base + plan->revision();
  return make_error(errc::invalid_field, "id: expected " + session.str() + ":cN or " + session.str()
                                             + ":pN, got " + quoted_excerpt(item->id));
}

json hide_in_pending(const json& value, const redactor& by) {
  return hide<pending_item>(value, by);
}

} // namespace fermata::detail
