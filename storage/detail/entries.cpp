#include <fermata/storage/detail/entries.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

caf::error malformed(table which, byte_view key, std::string_view why) {
  return make_error(errc::store_corrupt, describe(which, key) + " " + std::string{why});
}

// What the value of `heads` has.
constexpr std::uint8_t flag_record = 1;
constexpr std::uint8_t flag_dropped = 2;

std::string_view text_of(byte_view data) noexcept {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

} // namespace

result<std::uint64_t> parse_number_key(table which, byte_view key) {
  if (key.size() != 8)
    return malformed(which, key, "has a key of the wrong size");
  return load_big_endian<std::uint64_t>(key);
}

result<part_address> parse_part_key(byte_view key) {
  if (key.size() != 21)
    return malformed(table::parts, key, "has a key of the wrong size");
  part_address address;
  address.session = load_big_endian<std::uint64_t>(key);
  address.key.kind = static_cast<record_kind>(key[8]);
  address.key.group = load_big_endian<std::uint32_t>(key.subspan(9));
  address.key.index = load_big_endian<std::uint64_t>(key.subspan(13));
  return address;
}

result<pending_address> parse_pending_key(byte_view key) {
  if (key.size() != 16)
    return malformed(table::pending, key, "has a key of the wrong size");
  pending_address address;
  address.session = load_big_endian<std::uint64_t>(key);
  address.item = load_big_endian<std::uint64_t>(key.subspan(8));
  return address;
}

result<timer_address> parse_timer_key(byte_view key) {
  if (key.size() != 24)
    return malformed(table::timers, key, "has a key of the wrong size");
  timer_address address;
  address.due = timestamp{std::chrono::milliseconds{
      static_cast<std::int64_t>(load_big_endian<std::uint64_t>(key) ^ sign_bit)}};
  address.session = load_big_endian<std::uint64_t>(key.subspan(8));
  address.timer = load_big_endian<std::uint64_t>(key.subspan(16));
  return address;
}

result<garbage_address> parse_garbage_key(byte_view key) {
  if (key.size() != 16)
    return malformed(table::garbage, key, "has a key of the wrong size");
  garbage_address address;
  address.session = load_big_endian<std::uint64_t>(key);
  address.below = load_big_endian<std::uint64_t>(key.subspan(8));
  return address;
}

bytes make_head(const head_entry& head) {
  assert(head.id.size() <= max_id_size_bytes);
  assert(head.first_event >= 1 && head.first_event <= std::max<std::uint64_t>(head.events, 1));
  const auto dropped = head.first_event > 1;
  bytes payload;
  payload.reserve(27 + head.id.size() + (head.record ? head.record->size() : 0));
  append_little_endian(payload, head.last_position);
  append_little_endian(payload, head.events);
  payload.push_back(head.status);
  payload.push_back(
      static_cast<std::uint8_t>((head.record ? flag_record : 0) | (dropped ? flag_dropped : 0)));
  if (dropped)
    append_little_endian(payload, head.first_event);
  payload.push_back(static_cast<std::uint8_t>(head.id.size()));
  payload.insert(payload.end(), head.id.begin(), head.id.end());
  if (head.record)
    payload.insert(payload.end(), head.record->begin(), head.record->end());
  return payload;
}

result<head_entry> parse_head(session_number number, byte_view sealed) {
  const auto key = number_key(number);
  auto payload = unseal_value(table::heads, key, sealed);
  if (!payload)
    return payload.error();
  value_reader reader{*payload};
  head_entry head;
  head.last_position = reader.number<std::uint64_t>();
  head.events = reader.number<std::uint64_t>();
  head.status = reader.number<std::uint8_t>();
  const auto flags = reader.number<std::uint8_t>();
  const auto dropped = (flags & flag_dropped) != 0;
  if (dropped)
    head.first_event = reader.number<std::uint64_t>();
  head.id = reader.take(reader.number<std::uint8_t>());
  if ((flags & flag_record) != 0)
    head.record = reader.rest();
  if (!reader.complete() || flags > (flag_record | flag_dropped)
      || (head.last_position == 0) != (head.events == 0)
      || (dropped && (head.first_event <= 1 || head.first_event > head.events)))
    return malformed(table::heads, key, "does not parse");
  return head;
}

result<std::optional<head_entry>> read_head(table_reader& tables, session_number number) {
  auto value = tables.get(table::heads, number_key(number));
  if (!value)
    return value.error();
  if (!*value)
    return std::optional<head_entry>{};
  auto head = parse_head(number, **value);
  if (!head)
    return head.error();
  return std::optional{*head};
}

result<head_entry> require_head(table_reader& tables, session_number number,
                                std::string_view named_by) {
  auto head = read_head(tables, number);
  if (!head)
    return head.error();
  if (!*head)
    return make_error(errc::store_corrupt, std::string{named_by} + " names session number "
                                               + std::to_string(number) + ", which has no head");
  return **head;
}

result<session_anchor> make_anchor(session_number number, const head_entry& head) {
  auto id = session_id::parse(text_of(head.id));
  if (!id)
    return malformed(table::heads, number_key(number), "has an id that no session can have");
  session_anchor anchor;
  anchor.id = std::move(*id);
  anchor.number = number;
  anchor.events = head.events;
  anchor.first_event = head.first_event;
  anchor.status = head.status;
  return anchor;
}

void make_log(const log_entry& entry, std::span<const bytes> events, bytes& payload) {
  assert(entry.count == events.size() && entry.count > 0);
  std::size_t size = 28;
  for (const auto& event : events)
    size += 4 + event.size();
  payload.clear();
  payload.reserve(size);
  append_little_endian(payload, entry.session);
  append_little_endian(payload, entry.first_event);
  append_little_endian(payload, entry.previous_position);
  append_little_endian(payload, entry.count);
  for (const auto& event : events) {
    append_little_endian(payload, static_cast<std::uint32_t>(event.size()));
    payload.insert(payload.end(), event.begin(), event.end());
  }
}

result<log_entry> parse_log(std::uint64_t position, byte_view sealed) {
  const auto key = number_key(position);
  auto payload = unseal_value(table::log, key, sealed);
  if (!payload)
    return payload.error();
  value_reader reader{*payload};
  log_entry entry;
  entry.session = reader.number<std::uint64_t>();
  entry.first_event = reader.number<std::uint64_t>();
  entry.previous_position = reader.number<std::uint64_t>();
  entry.count = reader.number<std::uint32_t>();
  entry.events = reader.rest();
  // A chain that only leads back can be walked without end in sight.
  if (!reader.complete() || entry.count == 0 || entry.first_event == 0
      || entry.previous_position >= position
      || (entry.first_event == 1 && entry.previous_position != 0))
    return malformed(table::log, key, "does not parse");
  return entry;
}

result<log_entry> require_log(table_reader& tables, std::uint64_t position) {
  const auto key = number_key(position);
  auto value = tables.get(table::log, key);
  if (!value)
    return value.error();
  if (!*value)
    return malformed(table::log, key, "is missing");
  return parse_log(position, **value);
}

caf::error append_events(std::uint64_t position, const log_entry& entry, std::uint64_t first,
                         std::size_t limit, std::vector<stored_event>& out) {
  value_reader reader{entry.events};
  for (std::uint32_t i = 0; i < entry.count; ++i) {
    const auto value = reader.take(reader.number<std::uint32_t>());
    if (!reader.ok())
      return malformed(table::log, number_key(position), "has fewer events than it says");
    if (entry.first_event + i < first)
      continue;
    if (out.size() >= limit)
      return caf::none;
    stored_event event;
    event.session = entry.session;
    event.number = entry.first_event + i;
    event.value.assign(value.begin(), value.end());
    out.push_back(std::move(event));
  }
  if (!reader.complete())
    return malformed(table::log, number_key(position), "has more events than it says");
  return caf::none;
}

bytes make_garbage(const garbage_entry& entry) {
  bytes payload;
  append_little_endian(payload, entry.position);
  append_little_endian(payload, entry.last_event);
  append_little_endian(payload, entry.first_event);
  payload.push_back(entry.records ? 1 : 0);
  return payload;
}

result<garbage_entry> parse_garbage(byte_view key, byte_view sealed) {
  auto payload = unseal_value(table::garbage, key, sealed);
  if (!payload)
    return payload.error();
  value_reader reader{*payload};
  garbage_entry entry;
  entry.position = reader.number<std::uint64_t>();
  entry.last_event = reader.number<std::uint64_t>();
  entry.first_event = reader.number<std::uint64_t>();
  entry.records = reader.number<std::uint8_t>() != 0;
  if (!reader.complete() || entry.first_event == 0
      || (entry.position != 0 && entry.last_event < entry.first_event))
    return malformed(table::garbage, key, "does not parse");
  return entry;
}

bytes make_id_value(session_number number) {
  bytes payload;
  append_little_endian(payload, number);
  return payload;
}

result<session_number> parse_id_value(byte_view key, byte_view sealed) {
  auto payload = unseal_value(table::ids, key, sealed);
  if (!payload)
    return payload.error();
  value_reader reader{*payload};
  const auto number = reader.number<std::uint64_t>();
  if (!reader.complete() || number == 0)
    return malformed(table::ids, key, "does not parse");
  return number;
}

result<std::optional<session_number>> read_id(table_reader& tables, const session_id& session) {
  const auto key = table_key::of_text(session.str());
  auto value = tables.get(table::ids, key);
  if (!value)
    return value.error();
  if (!*value)
    return std::optional<session_number>{};
  auto number = parse_id_value(key, **value);
  if (!number)
    return number.error();
  return std::optional{*number};
}

result<std::optional<std::uint64_t>> read_meta(table_reader& tables, std::string_view name) {
  const auto key = table_key::of_text(name);
  auto value = tables.get(table::meta, key);
  if (!value)
    return value.error();
  if (!*value)
    return std::optional<std::uint64_t>{};
  auto payload = unseal_value(table::meta, key, **value);
  if (!payload)
    return payload.error();
  value_reader reader{*payload};
  const auto number = reader.number<std::uint64_t>();
  if (!reader.complete())
    return malformed(table::meta, key, "does not parse");
  return std::optional{number};
}

bytes make_identity_value(const store_identity& identity) {
  return seal_value(table::meta, table_key::of_text(meta_identity), view_of(identity.str()));
}

result<store_identity> read_identity(table_reader& tables) {
  const auto key = table_key::of_text(meta_identity);
  auto value = tables.get(table::meta, key);
  if (!value)
    return value.error();
  if (!*value)
    return store_identity{};
  auto payload = unseal_value(table::meta, key, **value);
  if (!payload)
    return payload.error();
  auto parsed =
      store_identity::parse({reinterpret_cast<const char*>(payload->data()), payload->size()});
  if (!parsed)
    return malformed(table::meta, key, "does not parse");
  return parsed;
}

caf::error write_meta(table_writer& tables, std::string_view name, std::uint64_t value) {
  bytes payload;
  append_little_endian(payload, value);
  const auto key = table_key::of_text(name);
  return tables.put(table::meta, key, seal_value(table::meta, key, payload));
}

} // namespace fermata::detail
