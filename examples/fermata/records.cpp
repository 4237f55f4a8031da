#include "records.hpp"

#include "service_client.hpp"
#include "service_events.hpp"
#include "transcript.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace fermata::command_line {

namespace {

/// How many are read at a time: a screenful is there at once.
constexpr std::size_t records_page = 256;
/// Moves are short, and each page costs a walk to where it begins.
constexpr std::size_t moves_at_once = 10'000;

/// What a service may answer at most: more than it sends.
constexpr std::size_t max_answer_bytes = 100'000'000;

/// As `query_pending` reads by itself.
constexpr std::size_t max_pending = 10'000;

class store_records final : public records {
public:
  explicit store_records(store& from) : from_{from} {}

  result<session_status> status(const session_id& session) override {
    return query_status(from_, session);
  }
  result<plan_spec> plan(const session_id& session,
                         std::optional<std::uint32_t> revision) override {
    return query_plan(from_, session, revision);
  }
  result<plan_diff> difference(const session_id& session,
                               std::optional<std::uint32_t> revision) override {
    return query_plan_diff(from_, session, revision);
  }
  result<std::vector<event>> events(const session_id& session, std::uint64_t first,
                                    std::size_t limit) override {
    return query_events(from_, session, first, limit);
  }
  result<std::vector<transcript_item>> transcript(const session_id& session) override {
    return query_transcript(from_, session);
  }
  result<std::vector<remembered_record>> remembered(const session_id& session) override {
    return query_remembered(from_, session);
  }
  caf::error read_history(const session_id& session, const reader<state_transition>& use) override {
    for (std::optional<std::uint64_t> first = 1; first;) {
      auto read = query_history(from_, session, *first, moves_at_once);
      if (!read)
        return std::move(read.error());
      first = read->next;
      if (!use(std::move(read->moves)))
        break;
    }
    return caf::none;
  }
  caf::error read_sessions(const std::optional<session_state>& state,
                           const reader<session_summary>& use) override {
    for (std::optional<session_number> after = 0; after;) {
      auto read = query_session_page(from_, state, *after);
      if (!read)
        return std::move(read.error());
      after = read->next;
      add_damaged(read->damaged);
      if (!use(std::move(read->sessions)))
        break;
    }
    return caf::none;
  }
  caf::error read_pending(const std::optional<session_id>& session, std::size_t limit,
                          const reader<pending_item>& use) override {
    for (std::optional<pending_cursor> after{std::in_place}; after && limit > 0;) {
      auto read = query_pending_page(from_, session, *after, std::min(limit, records_page));
      if (!read)
        return std::move(read.error());
      limit -= read->items.size();
      after = read->next;
      add_damaged(read->damaged);
      if (!use(std::move(read->items)))
        break;
    }
    return caf::none;
  }
  caf::error read_audit(const std::optional<session_id>& session, std::size_t limit,
                        const reader<audit_entry>& use) override {
    for (std::optional<audit_cursor> after{std::in_place}; after && limit > 0;) {
      auto read = query_audit(from_, session, *after, std::min(limit, records_page));
      if (!read)
        return std::move(read.error());
      limit -= read->entries.size();
      after = read->next;
      if (!use(std::move(read->entries)))
        break;
    }
    return caf::none;
  }
  result<std::string> workspace(const session_id& session) override {
    return query_workspace(from_, session);
  }
  result<std::vector<pending_item>> pending(const session_id& session) override {
    return query_pending(from_, session);
  }
  std::vector<missing_node> missing() const override { return {}; }
  std::optional<node_name> elsewhere(const session_id&) const override { return std::nullopt; }

private:
  void add_missing(const session_id&, const caf::error&) override {}

  store& from_;
};

class service_records final : public records {
public:
  service_records(std::filesystem::path socket, membership of)
      : socket_{std::move(socket)}, of_{std::move(of)} {}

  result<session_status> status(const session_id& session) override {
    return read_one<session_status>(path_of(session));
  }
  result<plan_spec> plan(const session_id& session,
                         std::optional<std::uint32_t> revision) override {
    return read_one<plan_spec>(path_of(session) + "/plan" + query_of(revision));
  }
  result<plan_diff> difference(const session_id& session,
                               std::optional<std::uint32_t> revision) override {
    return read_one<plan_diff>(path_of(session) + "/plan/diff" + query_of(revision));
  }
  result<std::vector<event>> events(const session_id& session, std::uint64_t first,
                                    std::size_t limit) override {
    std::vector<event> all;
    // A page may end earlier, where events are large.
    while (all.size() < limit) {
      const auto body = ask(path_of(session) + "/chunks?first=" + std::to_string(first) + "&limit="
                            + std::to_string(std::min(limit - all.size(), records_page)));
      if (!body)
        return body.error();
      const auto chunks = body->value("chunks", json::array());
      for (const auto& one : chunks) {
        auto happened = read_chunk(one, session);
        if (!happened)
          return std::move(happened.error());
        all.push_back(std::move(*happened));
      }
      if (chunks.empty())
        break;
      first = all.back().number + 1;
    }
    return all;
  }
  result<std::vector<transcript_item>> transcript(const session_id& session) override {
    const auto body = ask(path_of(session) + "/transcript");
    if (!body)
      return body.error();
    std::vector<transcript_item> all;
    for (const auto& one : body->value("transcript", json::array())) {
      auto item = read_transcript_item(one);
      if (!item)
        return std::move(item.error());
      all.push_back(std::move(*item));
    }
    return all;
  }
  result<std::vector<remembered_record>> remembered(const session_id& session) override {
    const auto body = ask(path_of(session) + "/remembered");
    if (!body)
      return body.error();
    return items_of<remembered_record>(*body, "remembered");
  }
  caf::error read_history(const session_id& session, const reader<state_transition>& use) override {
    return read_pages(path_of(session) + "/history", "history", "first",
                      std::numeric_limits<std::size_t>::max(), use);
  }
  caf::error read_sessions(const std::optional<session_state>& state,
                           const reader<session_summary>& use) override {
    return read_pages("/v1/sessions"
                          + (state ? "?state=" + std::string{enum_name(*state)} : std::string{}),
                      "sessions", "after", std::numeric_limits<std::size_t>::max(), use);
  }
  caf::error read_pending(const std::optional<session_id>& session, std::size_t limit,
                          const reader<pending_item>& use) override {
    return read_pages((session ? path_of(*session) : "/v1") + "/pending", "pending", "after", limit,
                      use);
  }
  caf::error read_audit(const std::optional<session_id>& session, std::size_t limit,
                        const reader<audit_entry>& use) override {
    return read_pages((session ? path_of(*session) : "/v1") + "/audit", "audit", "after", limit,
                      use);
  }
  result<std::string> workspace(const session_id& session) override {
    auto now = status(session);
    if (!now)
      return std::move(now.error());
    return std::move(now->workspace);
  }
  result<std::vector<pending_item>> pending(const session_id& session) override {
    std::vector<pending_item> all;
    const auto met_before = damage_met_;
    auto error = read_pending(session, max_pending, [&](std::vector<pending_item> items) {
      std::move(items.begin(), items.end(), std::back_inserter(all));
      return true;
    });
    if (error)
      return error;
    // As the store itself says it of one session.
    if (damage_met_ > met_before)
      return make_error(errc::store_corrupt, "something that waits in session " + session.str()
                                                 + " is damaged: " + damaged().back());
    return all;
  }
  std::vector<missing_node> missing() const override { return missing_; }
  std::optional<node_name> elsewhere(const session_id& session) const override {
    if (of_.is_home_of(session))
      return std::nullopt;
    return home_of(of_.members, session).name;
  }

private:
  void add_missing(const session_id& session, const caf::error& why) override {
    const auto& node = home_of(of_.members, session).name.str();
    const bool is_known = std::any_of(missing_.begin(), missing_.end(),
                                      [&](const missing_node& one) { return one.node == node; });
    if (is_known)
      return;
    auto& added = missing_.emplace_back();
    added.node = node;
    added.reason = message_of(why);
  }

  static std::string path_of(const session_id& session) { return "/v1/sessions/" + session.str(); }
  static std::string query_of(const std::optional<std::uint32_t>& revision) {
    return revision ? "?revision=" + std::to_string(*revision) : std::string{};
  }

  [[nodiscard]] result<json> ask(const std::string& target) const {
    service_request request;
    request.target = target;
    const auto text = ask_service(socket_, request, max_answer_bytes);
    if (!text)
      return text.error();
    auto body = parse_json(*text);
    if (body && !body->is_object())
      return make_error(errc::internal, "the service answered with what is no object");
    return body;
  }

  template <class T>
  [[nodiscard]] result<T> read_one(const std::string& target) const {
    const auto body = ask(target);
    if (!body)
      return body.error();
    return fermata::from_json<T>(*body, unknown_fields::keep);
  }

  template <class T>
  [[nodiscard]] static result<std::vector<T>> items_of(const json& body, const char* name) {
    return fermata::from_json<std::vector<T>>(body.value(name, json::array()), unknown_fields::keep,
                                              name);
  }

  /// `next` of a page is the next one's parameter `parameter`.
  template <class T>
  caf::error read_pages(const std::string& path, const char* name, const char* parameter,
                        std::size_t limit, const reader<T>& use) {
    const std::string joint = path.find('?') == std::string::npos ? "?" : "&";
    for (std::string from; limit > 0;) {
      const auto body =
          ask(path + joint + "limit=" + std::to_string(std::min(limit, records_page)) + from);
      if (!body)
        return body.error();
      auto items = items_of<T>(*body, name);
      if (!items)
        return std::move(items.error());
      auto away = items_of<missing_node>(*body, "missing");
      if (!away)
        return std::move(away.error());
      std::move(away->begin(), away->end(), std::back_inserter(missing_));
      auto damaged = items_of<std::string>(*body, "damaged");
      if (!damaged)
        return std::move(damaged.error());
      damage_met_ += damaged->size();
      add_damaged(*damaged);
      limit -= std::min(limit, items->size());
      const bool goes_on = use(std::move(*items));
      const auto next = body->find("next");
      if (!goes_on || next == body->end())
        break;
      // Numbers, ids, and what comes of these: nothing in it needs an escape.
      from = std::string{"&"} + parameter + "="
             + (next->is_string() ? next->get<std::string>() : next->dump());
    }
    return caf::none;
  }

  std::filesystem::path socket_;
  membership of_;
  std::vector<missing_node> missing_;
  std::size_t damage_met_ = 0; ///< How often a page has said that something is damaged.
};

} // namespace

bool records::leave_out(const session_id& session, const caf::error& why) {
  if (is_damage(why))
    add_damaged({message_of(why)});
  else if (is(why, errc::node_unavailable) || is(why, errc::timed_out))
    add_missing(session, why);
  else
    return false;
  return true;
}

void records::add_damaged(const std::vector<std::string>& why) {
  // A session that is damaged is so in each of its entries.
  for (const auto& one : why)
    if (std::find(damaged_.begin(), damaged_.end(), one) == damaged_.end())
      damaged_.push_back(one);
}

std::unique_ptr<records> records_of(store& from) {
  return std::make_unique<store_records>(from);
}

std::unique_ptr<records> records_by(std::filesystem::path socket, membership of) {
  return std::make_unique<service_records>(std::move(socket), std::move(of));
}

result<std::unique_ptr<records>> choose_records(const std::filesystem::path& folder,
                                                const std::optional<session_id>& session,
                                                const result<std::shared_ptr<store>>& own) {
  const auto of = read_membership(folder);
  if (!of)
    return of.error();
  if (*of && !(*of)->shares_store && !(session && (*of)->is_home_of(*session))) {
    const auto socket = find_service(folder);
    if (!socket)
      return socket.error();
    if (*socket)
      return records_by(**socket, **of);
    if (session)
      return check_home(folder, *of, *session);
  }
  return own ? result<std::unique_ptr<records>>{records_of(**own)} : own.error();
}

} // namespace fermata::command_line
