#include <fermata/messages/field_table.hpp>

#include <algorithm>
#include <bitset>

namespace fermata::detail {

namespace {

constexpr std::string_view type_key = "type";

bool is_written(const field_entry& field, const void* of) {
  return field.required || !field.is_default(of);
}

void handle_unknown(const field_table& fields, const json& in, unknown_fields policy,
                    std::string_view tag, void* to) {
  for (const auto& [key, value] : in.items()) {
    if (key == tag
        || std::ranges::find(fields.listed, key, &field_entry::name) != fields.listed.end())
      continue;
    if (policy == unknown_fields::refuse) {
      std::string accepted;
      for (const auto& field : fields.listed)
        accepted += std::string{" "} + std::string{field.name};
      refuse("unknown field " + quoted_excerpt(key) + "; accepted are:" + accepted);
    }
    if (fields.keep_unknown != nullptr)
      fields.keep_unknown(key, value, to);
  }
}

/// Looks ahead.
bool find_type(cbor_reader in, std::string_view& type) {
  std::size_t size = 0;
  if (!in.map(size))
    return false;
  for (std::size_t i = 0; i < size; ++i) {
    std::string_view key;
    if (!in.text(key))
      return false;
    if (key == type_key)
      return in.text(type);
    if (!in.skip())
      return false;
  }
  return false;
}

} // namespace

void decode_failure::prepend(std::string_view part) {
  path_ = path_.empty() || path_.front() == '[' ? std::string{part} + path_
                                                : std::string{part} + "." + path_;
}

caf::error decode_failure::error() const {
  return make_error(code_, path_.empty() ? why_ : path_ + ": " + why_);
}

void refuse(std::string why) {
  throw decode_failure{errc::invalid_field, std::move(why)};
}

void refuse_type(std::string_view expected, const json& got) {
  refuse("expected " + std::string{expected} + ", got " + got.type_name());
}

std::size_t decode_name(std::span<const std::string_view> names, const json& in) {
  if (!in.is_string())
    refuse_type("a string", in);
  std::string accepted;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == in.get_ref<const std::string&>())
      return i;
    accepted += (i == 0 ? "" : ", ") + std::string{names[i]};
  }
  refuse("expected one of " + accepted);
}

json encode_struct(const field_table& fields, const void* of) {
  auto out = json::object();
  if (fields.unknown != nullptr && fields.unknown(of).is_object())
    out = fields.unknown(of);
  for (const auto& field : fields.listed)
    if (is_written(field, of))
      out[std::string{field.name}] = field.encode(of);
  return out;
}

void decode_struct(const field_table& fields, const json& in, unknown_fields policy,
                   std::string_view tag, void* to) {
  if (!in.is_object())
    refuse_type("an object", in);
  std::size_t known = tag.empty() ? 0 : 1;
  for (const auto& field : fields.listed) {
    const auto found = in.find(std::string{field.name});
    if (found == in.end()) {
      if (field.required)
        refuse("the field \"" + std::string{field.name} + "\" is missing");
      continue;
    }
    ++known;
    try {
      field.decode(*found, policy, to);
    } catch (decode_failure& failure) {
      failure.prepend(field.name);
      throw;
    }
  }
  if (known != in.size())
    handle_unknown(fields, in, policy, tag, to);
}

void write_struct(const field_table& fields, cbor_writer& out, const void* of,
                  std::string_view type) {
  if (fields.unknown != nullptr) {
    if (const auto& unknown = fields.unknown(of); unknown.is_object() && !unknown.empty()) {
      auto all = encode_struct(fields, of);
      if (!type.empty())
        all[std::string{type_key}] = type;
      return out.value(all);
    }
  }
  std::bitset<max_fields> chosen;
  for (std::size_t i = 0; i < fields.sorted.size(); ++i)
    chosen[i] = is_written(fields.sorted[i], of);
  bool owes_type = !type.empty();
  out.map(chosen.count() + (owes_type ? 1 : 0));
  const auto write_type = [&] {
    out.text(type_key);
    out.text(type);
    owes_type = false;
  };
  for (std::size_t i = 0; i < fields.sorted.size(); ++i) {
    const auto& field = fields.sorted[i];
    if (!chosen[i])
      continue;
    if (owes_type && type_key < field.name)
      write_type();
    out.text(field.name);
    field.write(out, of);
  }
  if (owes_type)
    write_type();
}

bool read_struct(const field_table& fields, cbor_reader& in, std::string_view tag, void* to) {
  std::size_t size = 0;
  if (!in.map(size))
    return false;
  auto next = fields.sorted.begin();
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
    for (; next != fields.sorted.end() && next->name < key; ++next)
      if (next->required)
        return false;
    if (next == fields.sorted.end() || next->name != key || !next->read(in, to))
      return false;
    ++next;
  }
  return std::none_of(next, fields.sorted.end(),
                      [](const auto& missing) { return missing.required; });
}

json encode_variant(const alternative_entry& held, const void* of) {
  auto out = encode_struct(held.fields(), held.held(of));
  out[std::string{type_key}] = held.type;
  return out;
}

void decode_variant(std::span<const alternative_entry> alternatives, const json& in,
                    unknown_fields policy, void* to) {
  if (!in.is_object())
    refuse_type("an object", in);
  const auto found = in.find(std::string{type_key});
  if (found == in.end() || !found->is_string())
    refuse("the field \"type\" is missing");
  const auto& type = found->get_ref<const std::string&>();
  const auto named = std::ranges::find(alternatives, type, &alternative_entry::type);
  if (named == alternatives.end())
    refuse("unknown type " + quoted_excerpt(type));
  decode_struct(named->fields(), in, policy, type_key, named->emplace(to));
}

void write_variant(const alternative_entry& held, cbor_writer& out, const void* of) {
  write_struct(held.fields(), out, held.held(of), held.type);
}

bool read_variant(std::span<const alternative_entry> alternatives, cbor_reader& in, void* to) {
  std::string_view type;
  if (!find_type(in, type))
    return false;
  const auto named = std::ranges::find(alternatives, type, &alternative_entry::type);
  return named != alternatives.end()
         && read_struct(named->fields(), in, type_key, named->emplace(to));
}

} // namespace fermata::detail
