#include <fermata/storage/session_export.hpp>

#include <fermata/messages/record_text.hpp>
#include <fermata/storage/detail/byte_order.hpp>
#include <fermata/storage/detail/session_lines.hpp>
#include <fermata/storage/record_codec.hpp>

#include <limits>
#include <tuple>

namespace fermata {

using namespace detail;

namespace {

/// How many records, or pending entries, are in memory at a time.
constexpr std::size_t records_at_once = 32;

constexpr auto max_group = std::numeric_limits<std::uint32_t>::max();
constexpr auto max_index = std::numeric_limits<std::uint64_t>::max();

/// Before and behind all records, also those of kinds that a newer version added.
const record_key first_key{static_cast<record_kind>(0), 0, 0};
const record_key last_key{static_cast<record_kind>(255), max_group, max_index};

/// The key behind one that is not the last.
record_key key_after(record_key key) {
  if (++key.index == 0 && ++key.group == 0)
    key.kind = static_cast<record_kind>(static_cast<unsigned>(key.kind) + 1);
  return key;
}

/// Writes one session, as one view shows it.
class exporter {
public:
  exporter(store::view& from, session_anchor anchor, const line_sink& sink,
           const export_options& options)
      : from_{from}, anchor_{std::move(anchor)}, sink_{sink}, by_{options.redaction} {}

  result<export_counts> run() {
    for (const auto write :
         {&exporter::write_header, &exporter::write_events, &exporter::write_records,
          &exporter::write_pending, &exporter::write_timers, &exporter::write_end})
      if (auto error = (this->*write)())
        return error;
    return counts_;
  }

private:
  caf::error write_header() {
    if (auto error = read_head())
      return error;
    export_header header;
    header.format = export_format;
    header.version = anchor_.first_event > 1 ? session_export_version : 1;
    if (anchor_.first_event > 1)
      header.first_event = anchor_.first_event;
    header.session = anchor_.id;
    header.redacted = !by_.hides_nothing();
    return put(to_json(header));
  }

  /// The head says what the session has besides it, so it is looked at first.
  caf::error read_head() {
    const auto stored = from_.read(anchor_.number, head_key());
    if (!stored)
      return stored.error();
    if (!*stored)
      return corrupt("its head is missing");
    auto head = from_record<head_record>(**stored);
    if (!head)
      return corrupt("its head is not readable: " + message_of(head.error()));
    head_ = std::move(*head);
    if (head_.id != anchor_.id || head_.events != anchor_.events
        || static_cast<std::uint8_t>(head_.state) != anchor_.status)
      return corrupt("its head does not fit its anchor");
    if (head_.recorded != 0)
      return make_error(errc::invalid_field,
                        "session " + anchor_.id.str()
                            + " has events that are to be applied to its records: export it with "
                              "export_session of actors/queries.hpp, which does that");
    return caf::none;
  }

  caf::error write_events() {
    const auto write = [&](stored_event one) -> result<bool> {
      auto error = write_event(one);
      return error ? result<bool>{std::move(error)} : result<bool>{true};
    };
    constexpr auto all = std::numeric_limits<std::size_t>::max();
    if (auto error = from_.visit_events(anchor_.number, 1, all, write))
      return error;
    const auto expected = anchor_.events + 1 - anchor_.first_event;
    if (counts_.events != expected)
      return corrupt("it has " + std::to_string(counts_.events) + " events, not "
                     + std::to_string(expected));
    return caf::none;
  }

  caf::error write_event(const stored_event& one) {
    const auto number = anchor_.first_event + counts_.events++;
    auto value = parse_cbor(one.value);
    auto error = value ? check_event(*value, number) : value.error();
    if (error)
      return unreadable("event " + std::to_string(number), error);
    return put("event", by_.hides_nothing() ? std::move(*value) : hide_in_event(*value, by_));
  }

  caf::error write_records() {
    for (auto first = first_key;;) {
      const auto page = from_.scan(anchor_.number, first, last_key, records_at_once);
      if (!page)
        return page.error();
      for (const auto& one : *page)
        if (auto error = write_record(one))
          return error;
      if (page->size() < records_at_once || page->back().key == last_key)
        return caf::none;
      first = key_after(page->back().key);
    }
  }

  caf::error write_record(const record& one) {
    ++counts_.records;
    const auto* type = type_of(one.key.kind);
    record_line line;
    if (type != nullptr)
      line.kind = std::string{type->name};
    else
      line.kind = static_cast<unsigned>(one.key.kind);
    line.group = one.key.group;
    line.index = one.key.index;
    auto value = parse_cbor(one.value);
    auto error = !value            ? value.error()
                 : type != nullptr ? type->check(*value, one.key)
                                   : caf::none;
    if (error)
      return unreadable("the record " + to_text(line.kind) + " " + std::to_string(line.group) + " "
                            + std::to_string(line.index),
                        error);
    if (by_.hides_nothing())
      line.value = std::move(*value);
    else
      line.value = type != nullptr ? type->hide(*value, by_) : by_.value(*value);
    return put("record", to_json(line));
  }

  caf::error write_pending() {
    session_number after = 0;
    std::uint64_t after_item = 0;
    for (;;) {
      const auto page = from_.pending(anchor_.number, after, after_item, records_at_once);
      if (!page)
        return page.error();
      for (const auto& one : *page)
        if (auto error = write_pending_entry(one))
          return error;
      if (page->size() < records_at_once)
        return caf::none;
      after = anchor_.number;
      after_item = page->back().item;
    }
  }

  caf::error write_pending_entry(const pending_entry& one) {
    if (one.damage)
      return one.damage;
    ++counts_.pending;
    const auto what = "item " + std::to_string(one.item) + " of the pending index";
    auto value = parse_cbor(one.value);
    if (!value)
      return unreadable(what, value.error());
    const auto item = item_of(*value, anchor_.id);
    if (!item)
      return unreadable(what, item.error());
    if (*item != one.item)
      return corrupt(what + " is another one: " + std::to_string(*item));
    return put("pending", by_.hides_nothing() ? std::move(*value) : hide_in_pending(*value, by_));
  }

  /// The due-time index is not ordered by sessions, but the head says where the session's one entry
  /// is.
  caf::error write_timers() {
    if (!head_.armed)
      return caf::none;
    due_timer before;
    before.due = *head_.armed;
    before.number = anchor_.number - 1;
    before.timer = std::numeric_limits<std::uint64_t>::max();
    auto found = from_.due(*head_.armed, 1, before);
    if (!found)
      return found.error();
    timer_line line;
    line.due = *head_.armed;
    if (found->empty()
        || found->front().place() != std::tuple{line.due, anchor_.number, line.number})
      return corrupt("its timer is not armed");
    if (found->front().damage)
      return std::move(found->front().damage);
    ++counts_.timers;
    return put("timer", to_json(line));
  }

  caf::error write_end() {
    end_line line;
    line.counts = counts_;
    line.crc32c = checksum_text(crc_);
    return put("end", to_json(line));
  }

  caf::error put(const char* name, json value) {
    json line;
    line[name] = std::move(value);
    return put(std::move(line));
  }

  caf::error put(json line) {
    auto text = to_record_text(std::move(line));
    text += '\n';
    crc_ = crc32c(view_of(text), crc_);
    return sink_(text);
  }

  [[nodiscard]] caf::error corrupt(const std::string& why) const {
    return make_error(errc::store_corrupt, "session " + anchor_.id.str() + ": " + why);
  }

  [[nodiscard]] caf::error unreadable(const std::string& what, const caf::error& error) const {
    return corrupt(what + " is not readable: " + message_of(error));
  }

  store::view& from_;
  session_anchor anchor_;
  const line_sink& sink_;
  const redactor& by_;
  head_record head_;
  export_counts counts_;
  std::uint32_t crc_ = 0;
};

} // namespace

result<export_counts> export_view(store::view& from, const session_id& session,
                                  const line_sink& sink, const export_options& options) {
  auto anchor = from.find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return make_error(errc::unknown_session, "there is no session " + session.str());
  return exporter{from, std::move(**anchor), sink, options}.run();
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<export_counts>;

} // namespace fermata::detail
