#include <fermata/messages/limits.hpp>
#include <fermata/messages/record_text.hpp>
#include <fermata/storage/detail/byte_order.hpp>
#include <fermata/storage/detail/session_lines.hpp>
#include <fermata/storage/detail/session_records.hpp>
#include <fermata/storage/record_codec.hpp>
#include <fermata/storage/session_export.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>
#include <set>

namespace fermata {

using namespace detail;

namespace {

caf::error refused(std::string why) {
  return make_error(errc::invalid_field, std::move(why));
}

caf::error prefixed(const std::string& front, const caf::error& error) {
  return make_error(code_of(error), front + ": " + message_of(error));
}

/// Encodes a value as a record that can be read back.
result<bytes> encode(const json& value) {
  auto record = to_cbor(value);
  if (const auto again = parse_cbor(record); !again)
    return prefixed("this cannot be stored", again.error());
  return record;
}

constexpr auto how_to_accept = " (import_options::accept_edited, or --edited)";

/// Reads the lines of one export into one commit.
class importer {
public:
  importer(const line_source& lines, const import_options& options)
      : lines_{lines}, options_{options} {}

  /// Errors: with the number of the line.
  caf::error read() {
    auto error = read_lines();
    if (error)
      return prefixed("line " + std::to_string(line_number_), error);
    commit_.session = header_.session;
    commit_.status = static_cast<std::uint8_t>(head_->state);
    commit_.expected_events = first_event() - 1;
    commit_.drops_events_below = header_.first_event.value_or(0);
    return caf::none;
  }

  [[nodiscard]] const commit& content() const noexcept { return commit_; }

  [[nodiscard]] imported_session described_as(session_number number) const {
    imported_session imported;
    imported.session = header_.session;
    imported.number = number;
    imported.events = last_event_number();
    imported.first_event = first_event();
    imported.last_event = last_event_;
    imported.redacted = header_.redacted;
    return imported;
  }

private:
  [[nodiscard]] std::uint64_t first_event() const { return header_.first_event.value_or(1); }
  [[nodiscard]] std::uint64_t last_event_number() const {
    return first_event() - 1 + counts_.events;
  }

  caf::error read_lines() {
    if (auto error = read_header())
      return error;
    while (!ended_) {
      auto line = next();
      if (!line)
        return std::move(line.error());
      if (!*line)
        return refused("the end line is missing: the export was cut off");
      if (auto error = take(**line))
        return error;
      crc_ = line_crc_;
    }
    auto behind = next();
    if (!behind)
      return std::move(behind.error());
    return *behind ? refused("there is something behind the end line") : caf::none;
  }

  caf::error read_header() {
    auto line = next();
    if (!line)
      return std::move(line.error());
    const auto* format = *line && (*line)->is_object() && (*line)->contains("format")
                             ? &(**line)["format"]
                             : nullptr;
    if (format == nullptr || *format != export_format)
      return refused("this is no export of a session: those begin with {\"format\": \""
                     + std::string{export_format} + "\", ...}");
    // What else a newer version has in its header is its own business.
    const auto version = (*line)->find("version");
    if (version != (*line)->end() && version->is_number_unsigned()
        && version->get<std::uint64_t>() > session_export_version)
      return make_error(errc::store_too_new, "the export has version " + to_text(*version)
                                                 + "; this version reads versions up to "
                                                 + std::to_string(session_export_version));
    auto header = fermata::from_json<export_header>(**line);
    if (!header)
      return std::move(header.error());
    if (header->version == 0)
      return refused("version: expected 1 to " + std::to_string(session_export_version)
                     + ", got 0");
    if (header->first_event && *header->first_event < 2)
      return refused("first_event: expected 2 or more, got " + std::to_string(*header->first_event)
                     + "; without it, the first one is event 1");
    header_ = std::move(*header);
    crc_ = line_crc_;
    return caf::none;
  }

  /// Nothing: there are no more lines.
  result<std::optional<json>> next() {
    ++line_number_;
    auto line = lines_();
    if (!line)
      return std::move(line.error());
    if (!*line)
      return std::optional<json>{};
    size_bytes_ += (*line)->size() + 1;
    if (auto error = check_limit("import_size", size_bytes_, options_.max_size_bytes))
      return error;
    line_crc_ = crc32c(view_of("\n"), crc32c(view_of(**line), crc_));
    auto value = parse_record_text(**line);
    if (!value)
      return std::move(value.error());
    return std::optional{std::move(*value)};
  }

  caf::error take(const json& line) {
    struct kind {
      std::string_view name;
      caf::error (importer::*take)(const json&);
    };
    static constexpr std::array kinds{
        kind{"event", &importer::take_event}, kind{"record", &importer::take_record},
        kind{"pending", &importer::take_pending}, kind{"timer", &importer::take_timer},
        kind{"end", &importer::take_end}};
    if (line.is_object() && line.size() == 1)
      for (const auto& one : kinds)
        if (line.begin().key() == one.name) {
          auto error = (this->*one.take)(line.front());
          return error ? prefixed(std::string{one.name}, error) : error;
        }
    return refused("expected an object with one member: event, record, pending, timer or end; got "
                   + quoted_excerpt(to_text(line)));
  }

  caf::error take_event(const json& value) {
    if (auto error = check_event(value, last_event_number() + 1))
      return error;
    auto record = encode(value);
    if (!record)
      return std::move(record.error());
    commit_.events.push_back(std::move(*record));
    last_event_ = fermata::from_json<event>(value, unknown_fields::keep)->at;
    ++counts_.events;
    return caf::none;
  }

  caf::error take_record(const json& value) {
    auto line = fermata::from_json<record_line>(value);
    if (!line)
      return std::move(line.error());
    const auto kind = kind_named(line->kind);
    if (!kind)
      return prefixed("kind", kind.error());
    record_change change;
    change.key = {*kind, line->group, line->index};
    if (!keys_.insert(change.key).second)
      return refused("there was one of this kind, group and index before");
    if (const auto* type = type_of(*kind))
      if (auto error = type->check(line->value, change.key))
        return prefixed("value", error);
    if (*kind == record_kind::head)
      head_ = *fermata::from_json<head_record>(line->value, unknown_fields::keep);
    auto record = encode(line->value);
    if (!record)
      return std::move(record.error());
    change.value = std::move(*record);
    commit_.records.push_back(std::move(change));
    ++counts_.records;
    return caf::none;
  }

  static result<record_kind> kind_named(const json& kind) {
    std::string accepted;
    for (const auto& one : record_types()) {
      if (kind == one.name)
        return one.kind;
      accepted += std::string{one.name} + ", ";
    }
    constexpr auto newest = static_cast<std::uint64_t>(record_kind::base); // of which there is none
    if (kind.is_number_unsigned() && kind.get<std::uint64_t>() > newest
        && kind.get<std::uint64_t>() <= 255)
      return static_cast<record_kind>(kind.get<std::uint64_t>());
    return refused("expected one of " + accepted + "or a number from " + std::to_string(newest + 1)
                   + " to 255; got " + quoted_excerpt(to_text(kind)));
  }

  caf::error take_pending(const json& value) {
    auto item = item_of(value, header_.session);
    if (!item)
      return std::move(item.error());
    if (!items_.insert(*item).second)
      return refused("id: there was one of this id before");
    auto record = encode(value);
    if (!record)
      return std::move(record.error());
    pending_change change;
    change.item = *item;
    change.value = std::move(*record);
    commit_.pending.push_back(std::move(change));
    ++counts_.pending;
    return caf::none;
  }

  caf::error take_timer(const json& value) {
    auto line = fermata::from_json<timer_line>(value);
    if (!line)
      return std::move(line.error());
    if (line->number != session_timer || counts_.timers > 0)
      return refused("a session has one timer, whose number is " + std::to_string(session_timer));
    timer_change change;
    change.due = line->due;
    change.timer = line->number;
    commit_.timers.push_back(change);
    ++counts_.timers;
    return caf::none;
  }

  caf::error take_end(const json& value) {
    auto line = fermata::from_json<end_line>(value);
    if (!line)
      return std::move(line.error());
    ended_ = true;
    if (!options_.accept_edited) {
      if (line->counts != counts_)
        return refused("counts: the lines before are " + to_text(to_json(counts_)) + ", not "
                       + to_text(to_json(line->counts)) + ": lines are missing, or it was edited"
                       + how_to_accept);
      if (line->crc32c != checksum_text(crc_))
        return refused("crc32c: the lines before have " + checksum_text(crc_) + ", not "
                       + quoted_excerpt(line->crc32c) + ": they were damaged, or edited"
                       + how_to_accept);
    }
    return check_head();
  }

  /// The store and the timers go by what the head says.
  caf::error check_head() {
    if (!head_)
      return refused("the record of kind head is missing");
    if (head_->id != header_.session)
      return refused("the head is that of session " + head_->id.str() + ", not of "
                     + header_.session.str());
    if (head_->recorded != 0)
      return refused("the head's \"recorded\" is " + std::to_string(head_->recorded)
                     + ", but an export has all records as of the last event");
    if (header_.first_event && counts_.events == 0)
      return refused("first_event: there is no event " + std::to_string(first_event())
                     + "; the last one of a session is never dropped");
    if (head_->events != last_event_number())
      return refused("the head says that there are " + std::to_string(head_->events)
                     + " events, but there are " + std::to_string(last_event_number()));
    const auto armed =
        commit_.timers.empty() ? std::nullopt : std::optional{commit_.timers.front().due};
    if (head_->armed != armed)
      return refused("the head's \"armed\" and the timer are not the same");
    if (const auto error = detail::check_records(*head_, commit_.records))
      return refused(message_of(error));
    return caf::none;
  }

  const line_source& lines_;
  const import_options& options_;
  export_header header_;
  std::optional<head_record> head_;
  commit commit_;
  export_counts counts_;
  std::set<record_key> keys_;
  std::set<std::uint64_t> items_;
  timestamp last_event_;
  std::uint64_t line_number_ = 0;
  std::size_t size_bytes_ = 0;
  std::uint32_t crc_ = 0;      ///< Of the lines before this one.
  std::uint32_t line_crc_ = 0; ///< With this one.
  bool ended_ = false;
};

} // namespace

result<imported_session> import_session(store& into, const line_source& lines,
                                        const import_options& options) {
  importer reader{lines, options};
  if (auto error = reader.read())
    return error;
  if (options.check_session)
    if (auto error = options.check_session(reader.content().session))
      return error;
  auto outcomes = into.write({&reader.content(), 1});
  if (outcomes.front().error)
    return std::move(outcomes.front().error);
  return reader.described_as(outcomes.front().number);
}

result<imported_session> import_session(store& into, const std::filesystem::path& file,
                                        const import_options& options) {
  if (std::error_code unknown; std::filesystem::is_directory(file, unknown))
    return refused(file.string() + ": is a directory; expected a file that `fermata export` wrote");
  std::ifstream text{file, std::ios::binary};
  if (!text)
    return refused(file.string() + ": cannot be read: " + std::strerror(errno));
  auto imported = import_session(into, lines_of(text, options.max_size_bytes), options);
  if (!imported)
    return prefixed(file.string(), imported.error());
  return imported;
}

line_source lines_of(std::istream& text, std::size_t max_line_bytes) {
  return [&text, max_line_bytes]() -> result<std::optional<std::string>> {
    std::string line;
    for (char one = 0; text.get(one);) {
      if (one == '\n')
        return std::optional{std::move(line)};
      line += one;
      if (auto error = check_limit("import_size", line.size(), max_line_bytes))
        return error;
    }
    if (text.bad())
      return make_error(errc::io_error, "it cannot be read");
    return line.empty() ? std::optional<std::string>{} : std::optional{std::move(line)};
  };
}

} // namespace fermata
