#include <fermata/storage/postgres/detail/connection.hpp>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <utility>

namespace fermata::detail {

namespace {

using namespace std::string_view_literals;

errc code_of_state(std::string_view state) {
  if (state == "53100"sv)
    return errc::disk_full;
  if (state == "53300"sv) // too many connections
    return errc::overloaded;
  if (state.starts_with("54"sv)) // larger than a limit of the server
    return errc::limit_exceeded;
  if (state.starts_with("28"sv) || state == "3D000"sv || state == "42501"sv) // may not, or no such
    return errc::store_unavailable;
  if (state == "XX001"sv || state == "XX002"sv || state == "42P01"sv || state == "3F000"sv
      || state == "23505"sv)
    return errc::store_corrupt;
  return errc::io_error;
}

const char* field_of(const PGresult* answered, int field) {
  const auto* value = PQresultErrorField(answered, field);
  return value != nullptr ? value : "";
}

/// The server says so before it ends the session.
bool ends_session(const PGresult* answered) {
  const std::string_view severity = field_of(answered, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL"sv || severity == "PANIC"sv;
}

caf::error error_of(const PGresult* answered, const std::string& where) {
  const std::string state = field_of(answered, PG_DIAG_SQLSTATE);
  const std::string detail = field_of(answered, PG_DIAG_MESSAGE_DETAIL);
  const auto message = std::string{field_of(answered, PG_DIAG_MESSAGE_PRIMARY)}
                       + (detail.empty() ? "" : ": " + detail);
  return make_error(code_of_state(state),
                    where + " refuses: " + one_line(message.c_str()) + " (SQLSTATE " + state + ")");
}

int milliseconds_until(postgres_clock::time_point until) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - postgres_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

/// False: not in time, whatever has come before, or never.
bool poll_one(int socket, short events, postgres_clock::time_point until) {
  while (postgres_clock::now() < until) {
    pollfd one{socket, events, 0};
    const auto ready = ::poll(&one, 1, milliseconds_until(until));
    if (ready > 0)
      return true; // what is wrong with it, libpq finds
    if (ready < 0 && errno != EINTR)
      return false;
  }
  return false;
}

void ignore_notice(void*, const PGresult*) {}

/// A message may quote the connection string, in which there may be a password.
bool may_hold_password(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.find("pass") != std::string::npos || text.find("://") != std::string::npos;
}

/// A URI whose password holds a letter that should be encoded is divided in the wrong place: part
/// of the password is in what is taken for the host or the database. Or it stands where no URI
/// should.
bool is_of_uri(std::string_view text) {
  return text.find('@') != std::string_view::npos || text.find("://") != std::string_view::npos;
}

/// What libpq says while a session is being opened. Its codes do not come with it.
caf::error refused(const postgres_address& address, const PGconn* session) {
  const auto message = one_line(PQerrorMessage(session));
  const auto full = message.find("too many clients") != std::string::npos
                    || message.find("remaining connection slots") != std::string::npos;
  return make_error(full ? errc::overloaded : errc::store_unavailable,
                    address.description() + " cannot be reached: "
                        + (address.is_secret() ? "why is not shown, as its host or name holds what "
                                                 "may be a password; encode @ as %40, / as %2F"
                                               : message));
}

} // namespace

std::string one_line(const char* message) {
  std::string line;
  for (const auto* at = message; *at != '\0'; ++at) {
    const auto is_space = std::isspace(static_cast<unsigned char>(*at)) != 0;
    if (!is_space)
      line += *at;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  while (!line.empty() && line.back() == ' ')
    line.pop_back();
  return line;
}

// --- postgres_rows ---

byte_view postgres_rows::data(std::size_t row, int column) const noexcept {
  const auto at = static_cast<int>(row);
  return {reinterpret_cast<const std::uint8_t*>(PQgetvalue(answered_.get(), at, column)),
          static_cast<std::size_t>(PQgetlength(answered_.get(), at, column))};
}

std::string postgres_rows::text(std::size_t row, int column) const {
  const auto value = data(row, column);
  return {value.begin(), value.end()};
}

std::int64_t postgres_rows::number(std::size_t row, int column) const noexcept {
  const auto value = data(row, column);
  assert(value.empty() || value.size() == 8);
  return value.size() == 8 ? static_cast<std::int64_t>(load_big_endian<std::uint64_t>(value)) : 0;
}

// --- postgres_address ---

result<postgres_address> postgres_address::parse(const std::string& connection) {
  char* message = nullptr;
  auto* parsed = PQconninfoParse(connection.c_str(), &message);
  if (parsed == nullptr) {
    const auto why = message != nullptr && !may_hold_password(connection)
                         ? ": " + one_line(message)
                         : std::string{", which is not shown here as it may hold a password"};
    PQfreemem(message);
    return make_error(errc::invalid_field,
                      "postgres_options.connection must be a connection string (host=... "
                      "dbname=...) or URI (postgresql://...) of libpq"
                          + why);
  }
  postgres_address address;
  std::string database;
  std::string host;
  for (const auto* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val == nullptr)
      continue;
    address.settings_.emplace_back(option->keyword, option->val);
    const std::set<std::string_view> shown{"dbname", "host", "hostaddr", "port"};
    if (shown.contains(option->keyword) && is_of_uri(option->val))
      address.is_secret_ = true;
    if (option->keyword == "dbname"sv)
      database = option->val;
    else if (option->keyword == "host"sv || (option->keyword == "hostaddr"sv && host.empty()))
      host = option->val;
  }
  PQconninfoFree(parsed);
  if (address.is_secret_) {
    address.description_ = "the database";
    return address;
  }
  address.description_ = (database.empty() ? "the default database" : "database " + database)
                         + (host.empty() ? "" : " at " + host);
  return address;
}

void postgres_address::set_default(const std::string& keyword, const std::string& value) {
  const auto is_set = std::any_of(settings_.begin(), settings_.end(),
                                  [&](const auto& one) { return one.first == keyword; });
  if (!is_set)
    settings_.emplace_back(keyword, value);
}

// --- postgres_connection ---

result<std::unique_ptr<postgres_connection>>
postgres_connection::connect(const postgres_address& address, postgres_clock::time_point until) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : address.settings()) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  auto* session = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (session == nullptr)
    return make_error(errc::io_error, "there is no memory for a connection to a database");
  std::unique_ptr<postgres_connection> opened{
      new postgres_connection{session, address.description()}};
  if (PQstatus(session) == CONNECTION_BAD)
    return refused(address, session);
  for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!poll_one(PQsocket(session), events, until))
      return make_error(errc::store_unavailable,
                        address.description() + " does not answer in time");
    next = PQconnectPoll(session);
    if (next == PGRES_POLLING_FAILED)
      return refused(address, session);
  }
  PQsetNoticeReceiver(session, ignore_notice, nullptr);
  if (PQsetnonblocking(session, 1) != 0 || PQenterPipelineMode(session) != 1)
    return refused(address, session);
  return opened;
}

postgres_connection::postgres_connection(PGconn* session, std::string description)
    : session_{session}, description_{std::move(description)}, process_{::getpid()} {}

postgres_connection::~postgres_connection() {
  if (!is_inherited()) // the parent's session would be ended
    PQfinish(session_);
}

void postgres_connection::send(const postgres_statement& statement,
                               const postgres_parameters& parameters) {
  if (is_lost_)
    return;
  if (!prepared_.contains(statement.name) && preparing_.insert(statement.name).second) {
    if (PQsendPrepare(session_, statement.name.c_str(), statement.sql.c_str(), 0, nullptr) != 1)
      return lose(PQerrorMessage(session_));
    expected_.push_back({awaited::preparation, statement.name});
  }
  std::vector<const char*> values;
  std::vector<int> sizes;
  for (const auto& value : parameters.values()) {
    values.push_back(reinterpret_cast<const char*>(value.data()));
    // An empty value is not null.
    if (value.empty())
      values.back() = "";
    sizes.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> formats(values.size(), 1);
  if (PQsendQueryPrepared(session_, statement.name.c_str(), static_cast<int>(values.size()),
                          values.data(), sizes.data(), formats.data(), 1)
      != 1)
    return lose(PQerrorMessage(session_));
  expected_.push_back({awaited::answer, statement.name});
}

void postgres_connection::end_pipeline() {
  if (is_lost_)
    return;
  if (PQpipelineSync(session_) != 1)
    return lose(PQerrorMessage(session_));
  expected_.push_back({awaited::end, {}});
}

void postgres_connection::forget() {
  end_pipeline();
  if (is_lost_)
    return;
  ++forgotten_;
  if (PQflush(session_) != 0)
    lose("it does not take what is sent");
}

result<std::vector<postgres_rows>> postgres_connection::receive(postgres_clock::time_point until) {
  end_pipeline();
  last_refusal_.clear();
  std::vector<postgres_rows> answers;
  caf::error failed;
  while (!is_lost_) {
    const auto flushed = PQflush(session_);
    if (flushed < 0) {
      // What it has said before it closed the connection explains more.
      if (PQconsumeInput(session_) == 1)
        static_cast<void>(take_answers(answers, failed));
      lose(PQerrorMessage(session_));
      break;
    }
    if (take_answers(answers, failed))
      break;
    if (is_lost_)
      break;
    if (!wait(flushed == 1, until))
      lose("it did not answer in time");
    else if (PQconsumeInput(session_) != 1) {
      static_cast<void>(take_answers(answers, failed));
      lose(PQerrorMessage(session_));
    }
  }
  if (is_lost_)
    return make_error(errc::io_error, "the connection to " + description_ + " is lost: " + loss_);
  if (failed)
    return failed;
  return answers;
}

result<postgres_rows> postgres_connection::ask(const postgres_statement& statement,
                                               const postgres_parameters& parameters,
                                               postgres_clock::time_point until) {
  send(statement, parameters);
  auto answers = receive(until);
  if (!answers)
    return std::move(answers.error());
  return std::move(answers->front());
}

bool postgres_connection::wait(bool wants_to_write, postgres_clock::time_point until) const {
  const auto events = static_cast<short>(wants_to_write ? POLLIN | POLLOUT : POLLIN);
  return poll_one(PQsocket(session_), events, until);
}

bool postgres_connection::take_answers(std::vector<postgres_rows>& answers, caf::error& failed) {
  auto between = false;
  while (!expected_.empty() && !is_lost_ && PQisBusy(session_) == 0) {
    auto* answered = PQgetResult(session_);
    if (answered != nullptr)
      take(answered, answers, failed);
    else if (between || PQstatus(session_) == CONNECTION_BAD) // one stands between two answers
      lose(PQerrorMessage(session_));
    between = answered == nullptr;
  }
  return expected_.empty();
}

void postgres_connection::take(PGresult* answered, std::vector<postgres_rows>& answers,
                               caf::error& failed) {
  postgres_rows rows{answered};
  const auto status = PQresultStatus(answered);
  if (status == PGRES_FATAL_ERROR
      && (ends_session(answered) || PQstatus(session_) == CONNECTION_BAD)) {
    return lose(PQresultErrorMessage(answered));
  }
  if (status == PGRES_FATAL_ERROR && !failed) {
    failed = error_of(answered, description_);
    last_refusal_ = field_of(answered, PG_DIAG_SQLSTATE);
  }
  // What commits at the end of the pipeline may fail there; the end comes all the same.
  if (expected_.front().what == awaited::end && status != PGRES_PIPELINE_SYNC)
    return;
  const auto next = std::move(expected_.front());
  expected_.pop_front();
  if (next.what == awaited::end) {
    preparing_.clear();
    if (forgotten_ > 0) {
      --forgotten_;
      answers.clear();
      failed = caf::none;
    }
    return;
  }
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    return; // failed, or not executed since one before it failed
  if (next.what == awaited::preparation)
    prepared_.insert(next.statement);
  else
    answers.push_back(std::move(rows));
}

void postgres_connection::lose(const std::string& why) {
  if (!std::exchange(is_lost_, true))
    loss_ = one_line(why.c_str());
}

} // namespace fermata::detail
