#include <fermata/storage/postgres/detail/database.hpp>

#include <fermata/storage/detail/entries.hpp>
#include <fermata/storage/detail/new_identity.hpp>
#include <fermata/storage/detail/reclaim.hpp>
#include <fermata/storage/detail/slot_checks.hpp>
#include <fermata/storage/postgres/detail/snapshot.hpp>

#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

namespace fermata::detail {

namespace {

using namespace std::chrono_literals;

constexpr int oldest_version = 130'000;

/// How long an owner is waited for that may be about to go: a killed one is until the server has
/// noticed.
constexpr auto patience_with_owner = 2s;
constexpr auto pause_between_attempts = 20ms;

caf::error invalid(const std::string& what) {
  return make_error(errc::invalid_field, "postgres_options." + what);
}

bool is_schema_name(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= 63 && is_letter(name[0]) && !name.starts_with("pg_")
         && name != "information_schema" && std::all_of(name.begin(), name.end(), [&](char c) {
              return is_letter(c) || is_digit(c);
            });
}

caf::error check_time(const char* name, std::chrono::milliseconds time) {
  if (time < 100ms || time > 1h)
    return invalid(std::string{name} + " is " + std::to_string(time.count())
                   + " ms; it may be from 100 ms to 1 h");
  return caf::none;
}

caf::error check(const postgres_options& options) {
  if (!is_schema_name(options.schema))
    return invalid("schema is no name that it can have: a lower case letter or underscore, then "
                   "letters, digits and underscores, at most 63, and not pg_...");
  if (options.node.str().size() > 0 && options.access == store_access::read_only)
    return invalid("node is " + options.node.str() + ", but who only reads is none");
  if (options.max_views == 0)
    return invalid("max_views is 0; it must be at least 1");
  if (auto error = check_time("timeout", options.timeout))
    return error;
  return check_time("transaction_timeout", options.transaction_timeout);
}

/// The same with another code: what refuses at first is trouble later.
caf::error as_io_error(const caf::error& error) {
  return is(error, errc::store_unavailable) ? make_error(errc::io_error, message_of(error)) : error;
}

/// What the server says of who has waited for a lock for too long: there is a timeout for that, and
/// one for the statement, in which there may be several locks.
bool is_about_locks(std::string_view refusal) {
  constexpr std::string_view lock_not_available = "55P03";
  constexpr std::string_view query_canceled = "57014";
  return refusal == lock_not_available || refusal == query_canceled;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unknown host";
}

} // namespace

// --- opening ---

result<std::shared_ptr<postgres_database>> postgres_database::open(postgres_options options) {
  if (auto error = check(options))
    return error;
  auto address = postgres_address::parse(options.connection);
  if (!address)
    return std::move(address.error());
  address->set_default("fallback_application_name", "fermata");
  address->set_default("keepalives_idle", "10");
  address->set_default("keepalives_interval", "5");
  address->set_default("keepalives_count", "3");
  address->set_default("tcp_user_timeout", std::to_string(options.timeout.count()));
  std::shared_ptr<postgres_database> opened{
      new postgres_database{std::move(options), std::move(*address)}};
  const auto writes = opened->options_.access == store_access::read_write;
  auto connection = writes ? opened->connect_writer(opened->until()) : opened->connect_reader();
  if (!connection)
    return std::move(connection.error());
  if (auto error = opened->examine(**connection))
    return error;
  if (auto error = opened->create(**connection))
    return error;
  if (writes)
    if (auto error = opened->check_slots(**connection))
      return error;
  if (!writes)
    opened->idle_.push_back(std::move(*connection));
  // It is refused if it is of a newer format, and is not touched then.
  if (auto error = opened->learn_identity())
    return error;
  if (auto error = opened->check_identity())
    return error;
  if (!writes)
    return opened;
  if (auto error = opened->add_what_is_new(**connection))
    return error;
  if (opened->identity().empty()) {
    if (auto error = opened->add_identity(**connection))
      return error;
    if (auto error = opened->learn_identity())
      return error;
  }
  if (auto error = opened->own(std::move(*connection)))
    return error;
  return opened;
}

postgres_database::postgres_database(postgres_options options, postgres_address address)
    : options_{std::move(options)}, address_{std::move(address)},
      statements_{options_.schema, options_.node}, process_{::getpid()} {}

postgres_database::~postgres_database() {
  // Who opens it next need not wait until the server has noticed.
  if (process_ == ::getpid() && writer_ && !writer_->is_lost())
    static_cast<void>(
        writer_->ask(statements_.end_ownership, {}, postgres_clock::now() + patience_with_owner));
}

caf::error postgres_database::check_not_inherited() const {
  if (process_ != ::getpid())
    return make_error(errc::store_unavailable,
                      "the store in " + where() + " was opened by the parent of this process");
  return caf::none;
}

std::string postgres_database::where() const {
  return describe(options_);
}

postgres_clock::time_point postgres_database::until() const {
  // The server's own timeouts come first, as it says more.
  return postgres_clock::now() + options_.timeout + options_.timeout / 10;
}

caf::error postgres_database::examine(postgres_connection& connection) const {
  const auto version = connection.server_version();
  if (version < oldest_version)
    return make_error(errc::store_unavailable, address_.description() + " is of PostgreSQL "
                                                   + std::to_string(version / 10'000)
                                                   + ", and 13 or newer is needed");
  const auto server = connection.ask(statements_.examine_server, {}, until());
  if (!server)
    return server.error();
  if (options_.access == store_access::read_only)
    return caf::none;
  if (server->text(0, 1) == "true")
    return make_error(errc::store_unavailable,
                      address_.description()
                          + " is a standby: a store in it can only be opened read_only");
  if (options_.sync && server->text(0, 0) != "on")
    return make_error(errc::store_unavailable,
                      address_.description()
                          + " runs with fsync off, and loses what it has acknowledged when its "
                            "machine stops: switch it on, or set postgres_options.sync to false");
  return caf::none;
}

caf::error postgres_database::create(postgres_connection& connection) const {
  const auto creates =
      options_.access == store_access::read_write && options_.create && options_.identity.empty();
  if (creates) {
    connection.send(statements_.begin);
    connection.send(statements_.lock_creation);
  }
  connection.send(statements_.find_schema);
  connection.send(statements_.list_tables);
  auto found = connection.receive(until());
  if (!found)
    return std::move(found.error());
  const auto& names = found->back();
  const auto has_schema = !found->at(found->size() - 2).empty();
  if (!names.empty()) {
    if (creates)
      if (auto ended = connection.ask(statements_.roll_back, {}, until()); !ended)
        return std::move(ended.error());
    return check_tables_of(names);
  }
  if (!options_.identity.empty())
    return make_error(errc::other_store, where() + " has no store where the store "
                                             + options_.identity.str() + " is expected");
  if (!creates)
    return make_error(errc::store_unavailable, "there is no store in " + where());
  if (!has_schema)
    connection.send(statements_.create_schema);
  for (const auto& statement : statements_.create_tables)
    connection.send(statement);
  bytes format;
  append_little_endian(format, first_format);
  const auto key = table_key::of_text(meta_format);
  const auto value = seal_value(table::meta, key, format);
  const std::array<byte_view, 1> keys{key};
  const std::array<byte_view, 1> values{value};
  connection.send(statements_[table::meta].insert, postgres_parameters{}.array(keys).array(values));
  connection.send(statements_.commit);
  if (auto created = connection.receive(until()); !created)
    return make_error(code_of(created.error()),
                      "creating the store: " + message_of(created.error()));
  return caf::none;
}

caf::error postgres_database::check_tables_of(const postgres_rows& names) const {
  std::set<std::string, std::less<>> found;
  for (std::size_t i = 0; i < names.size(); ++i)
    found.insert(names.text(i, 0));
  if (!found.contains(name_of(table::meta)) || !found.contains(writers_table))
    return make_error(errc::store_unavailable, where()
                                                   + " holds other tables, and no store: name a "
                                                     "schema that is not used yet");
  std::vector<std::string_view> needed{nodes_table, slots_table};
  for (const auto which : all_tables)
    needed.push_back(name_of(which));
  for (const auto name : needed)
    if (!found.contains(name))
      return make_error(errc::store_corrupt,
                        "the store in " + where() + " lacks table " + std::string{name});
  return caf::none;
}

caf::error postgres_database::check_slots(postgres_connection& connection) const {
  const auto count = connection.ask(statements_.count_slots, {}, until());
  if (!count)
    return count.error();
  if (count->number(0, 0) != session_slots)
    return make_error(errc::store_corrupt,
                      "the store in " + where() + " has " + std::to_string(count->number(0, 0))
                          + " of " + std::to_string(session_slots) + " slots of sessions");
  return caf::none;
}

/// The format is of what is in the tables, and says nothing about their columns.
caf::error postgres_database::add_what_is_new(postgres_connection& connection) const {
  const auto found = connection.ask(statements_.count_new_columns, {}, until());
  if (!found)
    return found.error();
  // Looked for first, as a change of the table waits for all that use it.
  if (found->number(0, 0) == 2)
    return caf::none;
  connection.send(statements_.begin);
  connection.send(statements_.lock_creation);
  connection.send(statements_.add_new_columns);
  connection.send(statements_.commit);
  if (const auto added = connection.receive(until()); !added)
    return make_error(code_of(added.error()),
                      "upgrading the store in " + where() + ": " + message_of(added.error()));
  return caf::none;
}

/// Where several do, the first one's is the identity of the store.
caf::error postgres_database::add_identity(postgres_connection& connection) const {
  const auto key = table_key::of_text(meta_identity);
  const auto value = make_identity_value(new_identity());
  const auto added =
      connection.ask(statements_.add_fact, postgres_parameters{}.data(key).data(value), until());
  if (!added)
    return make_error(code_of(added.error()), "giving the store in " + where()
                                                  + " an identity: " + message_of(added.error()));
  return caf::none;
}

caf::error postgres_database::check_identity() const {
  if (options_.identity.empty() || identity_ == options_.identity)
    return caf::none;
  return make_error(errc::other_store, where() + " has "
                                           + (identity_.empty() ? "a store without an identity"
                                                                : "the store " + identity_.str())
                                           + " and not the store " + options_.identity.str());
}

caf::error postgres_database::learn_identity() {
  const auto tables = read();
  if (!tables)
    return tables.error();
  auto found = read_identity(**tables);
  if (!found)
    return std::move(found.error());
  identity_ = std::move(*found);
  return caf::none;
}

caf::error postgres_database::check_format(table_reader& tables) const {
  const auto format = read_meta(tables, meta_format);
  if (!format)
    return format.error();
  if (!*format)
    return make_error(errc::store_corrupt, "the store in " + where() + " does not say its format");
  if (**format > store_format)
    return make_error(errc::store_too_new,
                      "the store in " + where() + " has format " + std::to_string(**format)
                          + "; this version reads formats up to " + std::to_string(store_format));
  return caf::none;
}

result<postgres_database::connection_ptr> postgres_database::connect_writer(time_point until) {
  auto connection = postgres_connection::connect(address_, until);
  if (!connection)
    return connection;
  const auto set_up = (*connection)
                          ->ask(statements_.set_up_writer,
                                postgres_parameters{}
                                    .text(options_.sync ? "true" : "false")
                                    .text(std::to_string(options_.timeout.count()))
                                    .text(std::to_string(lock_timeout().count()))
                                    .text(std::to_string(options_.transaction_timeout.count())),
                                until);
  if (!set_up)
    return set_up.error();
  return connection;
}

/// Whoever has had the turn for so long may have frozen. There must be time left to see to that.
std::chrono::milliseconds postgres_database::lock_timeout() const {
  return std::min(options_.timeout / 2, options_.transaction_timeout);
}

caf::error postgres_database::own(connection_ptr connection) {
  const auto give_up = postgres_clock::now() + patience_with_owner;
  for (;;) {
    const auto mine = try_ownership(*connection, until());
    if (!mine)
      return mine.error();
    if (*mine)
      break;
    end_frozen_owners(*connection);
    if (postgres_clock::now() >= give_up)
      return busy_error(*connection, options_.node.empty()
                                         ? "is open for writing already"
                                         : "is open for writing already, under the name "
                                               + options_.node.str() + " or by an only owner");
    std::this_thread::sleep_for(pause_between_attempts);
  }
  const auto begun = connection->ask(
      statements_.begin_life, postgres_parameters{}.text(host_name()).number(process_), until());
  if (!begun)
    return begun.error();
  life_ = begun->number(0, 0);
  if (const auto done = connection->ask(statements_.forget_old_lives,
                                        postgres_parameters{}.number(life_), until());
      !done)
    return done.error();
  auto session = name_session(*connection, until());
  if (!session)
    return std::move(session.error());
  owner_sessions_ = {std::move(*session)};
  writer_ = std::move(connection);
  return caf::none;
}

result<postgres_session_name> postgres_database::name_session(postgres_connection& connection,
                                                              time_point until) const {
  const auto since = connection.ask(statements_.name_session, {}, until);
  if (!since)
    return since.error();
  return postgres_session_name{connection.backend(), since->text(0, 0)};
}

result<bool> postgres_database::try_ownership(postgres_connection& connection,
                                              time_point until) const {
  const auto answer = connection.ask(statements_.try_ownership, {}, until);
  if (!answer)
    return answer.error();
  return answer->text(0, 0) == "true";
}

caf::error postgres_database::busy_error(postgres_connection& connection,
                                         const std::string& what) const {
  auto message = "the store in " + where() + ' ' + what;
  const auto owner = connection.ask(statements_.show_owner, {}, until());
  if (owner && !owner->empty())
    return make_error(errc::store_busy, message + ": by " + owner->text(0, 2) + " (session "
                                            + owner->text(0, 0) + " of the database, application "
                                            + owner->text(0, 1) + ')');
  if (options_.node.empty()) {
    // No node may be left to do it.
    static_cast<void>(connection.ask(statements_.limit_leases, {}, until()));
    if (const auto lease = connection.ask(statements_.show_lease, {}, until());
        lease && !lease->empty())
      message += ": node " + lease->text(0, 0) + " is not connected, and has a lease for another "
                 + std::to_string(lease->number(0, 1)) + " s";
  }
  return make_error(errc::store_busy, message);
}

// --- writing ---

caf::error postgres_database::attempt_writing(const attempt& body) {
  if (auto error = check_not_inherited())
    return error;
  const std::lock_guard lock{writer_mutex_};
  const auto give_up = until();
  auto has_ended_somebody = false;
  for (auto is_first = true;; is_first = false) {
    if (auto error = ensure_usable(patience::until_timeout))
      return error;
    auto reached = progress::none;
    auto error = body(reached);
    if (!error)
      return error;
    if (!writer_ || writer_->is_lost()) {
      if (reached == progress::none && is_first)
        continue;
      return error;
    }
    roll_back();
    if (reached == progress::some || !is_about_locks(writer_->last_refusal()))
      return error;
    const auto ended = end_frozen_owners(*writer_);
    // Whom that was for gets what it was for.
    const auto is_late = postgres_clock::now() >= give_up;
    if (is_late && (!ended || std::exchange(has_ended_somebody, true)))
      return error;
  }
}

caf::error postgres_database::write(const expected_reads& reads, const filler& fill) {
  return attempt_writing([&](progress& reached) {
    postgres_batch batch{*writer_, statements_, options_.timeout};
    if (auto error = begin(batch, reads))
      return error;
    // From here on something of it may be stored.
    reached = progress::some;
    return finish(batch, fill);
  });
}

caf::error postgres_database::begin(postgres_batch& batch, const expected_reads& reads) {
  writer_->send(statements_.begin);
  writer_->send(statements_.take_turn);
  writer_->send(statements_.keep_life, postgres_parameters{}.number(life_));
  batch.send_expected(reads);
  if (!options_.node.empty())
    writer_->send(statements_.slots_of_batch, postgres_parameters{}.text(listed(reads.slots)));
  const auto answers = writer_->receive(until());
  if (!answers)
    return answers.error();
  if (answers->at(1).empty())
    return make_error(errc::store_corrupt, "the store in " + where() + " does not say its format");
  if (answers->at(2).empty())
    return make_error(errc::store_busy,
                      "the store in " + where() + " does not know this process any more");
  batch.take_expected(reads, *answers, 3);
  if (auto error = check_format(batch))
    return error;
  if (!options_.node.empty())
    take_owners(answers->back());
  return caf::none;
}

caf::error postgres_database::finish(postgres_batch& batch, const filler& fill) {
  const auto filled = fill(batch);
  if (!filled)
    return filled.error();
  if (!*filled) {
    roll_back();
    return caf::none;
  }
  if (auto error = batch.send_changes())
    return error;
  writer_->send(statements_.leave_token, postgres_parameters{}.number(life_).number(++token_));
  writer_->send(statements_.commit);
  const auto answers = writer_->receive(until());
  if (answers)
    return caf::none;
  return writer_->is_lost() ? after_lost_commit(answers.error()) : answers.error();
}

void postgres_database::roll_back() {
  // If it fails, the connection is lost, and the transaction with it.
  writer_->send(statements_.roll_back);
  writer_->forget();
}

caf::error postgres_database::after_lost_commit(const caf::error& why) {
  unsettled_ = token_;
  is_unsettled_ = true;
  landed_ = false;
  const auto pending = ensure_usable(patience::until_timeout);
  if (unsettled_)
    return make_error(errc::io_error, message_of(why) + "; whether it is stored is not known yet: "
                                          + message_of(pending));
  return landed_ ? caf::error{} : why;
}

caf::error postgres_database::ensure_usable(patience how_long) {
  if (writer_ && !writer_->is_lost())
    return caf::none;
  const auto give_up = until();
  for (;;) {
    if (ousted_ && !unsettled_)
      return ousted_;
    auto error = as_io_error(reconnect(give_up));
    if (error) {
      failure_ = error;
      failed_at_ = postgres_clock::now();
    }
    if (!error || how_long == patience::one_attempt || postgres_clock::now() >= give_up)
      return error;
    std::this_thread::sleep_for(pause_between_attempts);
  }
}

caf::error postgres_database::reconnect(time_point until) {
  auto connection = connect_writer(until);
  if (!connection)
    return std::move(connection.error());
  if (auto error = settle(**connection, until))
    return error;
  // If this fails half-way, the next attempt has to know who may own the store.
  const auto session = name_session(**connection, until);
  if (!session)
    return session.error();
  owner_sessions_.push_back(*session);
  if (auto error = own_again(**connection, until))
    return error;
  owner_sessions_ = {*session};
  writer_ = std::move(*connection);
  return caf::none;
}

/// Once nobody keeps the row of this life any more, the old session's transaction is over: it kept
/// the row before it was sent what to store.
caf::error postgres_database::settle(postgres_connection& connection, time_point until) {
  // One that is about to commit is given the time for it.
  const auto patience_with_session =
      postgres_clock::now() + (unsettled_ ? options_.timeout / 4 : 0ms);
  auto is_ended = false;
  for (;;) {
    connection.send(statements_.see_token, postgres_parameters{}.number(life_));
    connection.send(statements_.find_life, postgres_parameters{}.number(life_));
    const auto found = connection.receive(until);
    if (!found)
      return found.error();
    if (found->at(1).empty()) {
      ousted_ = make_error(errc::store_busy, "others have owned the store in " + where()
                                                 + " too often since to tell what became of the "
                                                   "last commit of this process");
      return ousted_;
    }
    if (const auto& token = found->at(0); !token.empty()) {
      // What an attempt before found, which then failed, stays so.
      if (unsettled_)
        landed_ = token.number(0, 0) == *unsettled_;
      unsettled_.reset();
      is_unsettled_ = false;
      return caf::none;
    }
    if (!is_ended && postgres_clock::now() >= patience_with_session) {
      end_old_sessions(connection, until);
      is_ended = true;
    }
    if (postgres_clock::now() >= until)
      return make_error(errc::io_error, "the transaction of a lost session of "
                                            + address_.description() + " does not end");
    std::this_thread::sleep_for(pause_between_attempts);
  }
}

caf::error postgres_database::own_again(postgres_connection& connection, time_point until) {
  for (auto is_first = true;; is_first = false) {
    // The time may also end while it is asked once more.
    const auto without_answer = [&](const caf::error& why) {
      return is_first ? why
                      : make_error(errc::io_error,
                                   "the store in " + where()
                                       + " cannot be owned again yet: " + message_of(why));
    };
    const auto mine = try_ownership(connection, until);
    if (!mine)
      return without_answer(mine.error());
    const auto last = connection.ask(statements_.last_life, {}, until);
    if (!last)
      return without_answer(last.error());
    if (last->empty() || last->number(0, 0) != life_) {
      ousted_ = busy_error(connection, "has another owner since the connection to it was lost; "
                                       "open it again");
      return ousted_;
    }
    if (*mine)
      return caf::none;
    if (is_first)
      end_old_sessions(connection, until);
    // Nobody has come since, so a later call may try again.
    if (postgres_clock::now() + pause_between_attempts >= until)
      return make_error(errc::io_error,
                        message_of(busy_error(connection, "cannot be owned again yet")));
    std::this_thread::sleep_for(pause_between_attempts);
  }
}

bool postgres_database::end_frozen_owners(postgres_connection& connection) const {
  // May be refused, as below.
  const auto ended =
      connection.ask(statements_.end_frozen_owners,
                     postgres_parameters{}.number(options_.transaction_timeout.count()), until());
  return ended && !ended->empty();
}

void postgres_database::end_old_sessions(postgres_connection& connection, time_point until) {
  std::erase_if(owner_sessions_, [&](const postgres_session_name& one) {
    if (one.backend == connection.backend())
      return false;
    // May be refused, to who may not see it; then its own timeouts end it.
    const auto ended = connection.ask(
        statements_.end_session, postgres_parameters{}.number(one.backend).text(one.since), until);
    return ended && ended->empty(); // there is none any more
  });
}

result<reclaim_outcome> postgres_database::reclaim(std::size_t limit) {
  reclaim_outcome outcome;
  {
    auto tables = read();
    if (!tables)
      return std::move(tables.error());
    const auto found = has_garbage(**tables);
    if (!found)
      return found.error();
    outcome.more = *found;
    if (!*found || limit == 0)
      return outcome;
  }
  const auto fill = [&](table_writer& tables) -> result<bool> {
    const auto step = detail::reclaim(tables, limit);
    if (!step)
      return step.error();
    outcome = *step;
    return true;
  };
  if (auto error = write({}, fill))
    return error;
  return outcome;
}

// --- ownership of sessions ---

void postgres_database::take_owners(const postgres_rows& rows) {
  owners_.clear();
  for (std::size_t i = 0; i < rows.size(); ++i)
    owners_[static_cast<std::uint32_t>(rows.number(i, 0))] = {rows.number(i, 1), rows.number(i, 2),
                                                              rows.text(i, 3)};
}

caf::error postgres_database::check_owner(const session_id& session) const {
  if (options_.node.empty())
    return caf::none;
  const auto slot = slot_of(session);
  const auto found = owners_.find(slot);
  const auto owner = found != owners_.end() ? found->second : stored_owner{};
  const auto acquired = acquired_in(slot);
  if (owner.life == life_ && acquired == owner.epoch)
    return caf::none;
  return not_owner_error(session, owner.node, static_cast<std::uint64_t>(owner.epoch), acquired);
}

caf::error postgres_database::change(const std::vector<order>& orders, bool is_repeatable,
                                     const listener& is_done) {
  return attempt_writing([&](progress& reached) {
    if (!is_repeatable)
      reached = progress::some;
    writer_->send(statements_.begin);
    writer_->send(statements_.take_turn);
    for (const auto& [statement, parameters] : orders)
      writer_->send(*statement, parameters);
    writer_->send(statements_.commit);
    auto answers = writer_->receive(until());
    if (!answers)
      return std::move(answers.error());
    answers->erase(answers->begin(), answers->begin() + 2);
    is_done(*answers);
    return caf::error{};
  });
}

caf::error postgres_database::keep_owning() {
  if (auto error = check_not_inherited())
    return error;
  const std::unique_lock lock{writer_mutex_, std::try_to_lock};
  if (!lock)
    return caf::none;
  for (auto is_first = true;; is_first = false) {
    if (auto error = ensure_usable(patience::one_attempt))
      return error;
    const auto answer =
        writer_->ask(statements_.find_life, postgres_parameters{}.number(life_), until());
    if (answer)
      return caf::none;
    if (!writer_->is_lost() || !is_first)
      return answer.error();
  }
}

result<postgres_rows> postgres_database::ask(const postgres_statement& statement,
                                             const postgres_parameters& parameters) {
  if (auto error = check_not_inherited())
    return error;
  auto connection = take_asking();
  for (auto has_ended_somebody = false;;) {
    const auto is_new = connection == nullptr;
    if (is_new) {
      auto connected = connect_reader();
      if (!connected)
        return as_io_error(connected.error());
      connection = std::move(*connected);
    }
    auto rows = connection->ask(statement, parameters, until());
    if (!rows && connection->is_lost()) {
      if (is_new)
        return rows;
      connection.reset();
      drop_idle();
      continue;
    }
    if (!rows && is_about_locks(connection->last_refusal()) && !has_ended_somebody) {
      has_ended_somebody = end_frozen_owners(*connection);
      if (has_ended_somebody)
        continue;
    }
    give_back_asking(std::move(connection));
    return rows;
  }
}

std::map<std::uint32_t, std::int64_t> postgres_database::acquired() const {
  const std::lock_guard lock{slots_mutex_};
  return acquired_;
}

std::optional<std::int64_t> postgres_database::acquired_in(std::uint32_t slot) const {
  const std::lock_guard lock{slots_mutex_};
  const auto found = acquired_.find(slot);
  return found != acquired_.end() ? std::optional{found->second} : std::nullopt;
}

void postgres_database::set_acquired(std::uint32_t slot, std::int64_t epoch) {
  const std::lock_guard lock{slots_mutex_};
  acquired_[slot] = epoch;
}

void postgres_database::set_lost(std::uint32_t slot) {
  const std::lock_guard lock{slots_mutex_};
  acquired_.erase(slot);
}

bool postgres_database::set_lost(std::uint32_t slot, std::int64_t epoch) {
  const std::lock_guard lock{slots_mutex_};
  const auto found = acquired_.find(slot);
  if (found == acquired_.end() || found->second != epoch)
    return false;
  acquired_.erase(found);
  return true;
}

// --- reading ---

result<std::unique_ptr<table_reader>> postgres_database::read(const session_id* session) {
  if (auto error = check_not_inherited())
    return error;
  if (is_unsettled_)
    if (auto error = check_settled())
      return error;
  auto taken = take_idle();
  if (!taken)
    return std::move(taken.error());
  auto connection = std::move(*taken);
  for (;;) {
    const auto is_new = connection == nullptr;
    if (is_new) {
      auto connected = connect_reader();
      if (!connected) {
        give_back(nullptr);
        return as_io_error(connected.error());
      }
      connection = std::move(*connected);
    }
    auto begun = postgres_snapshot::begin(
        connection, statements_, session, options_.timeout + options_.timeout / 10,
        [self = shared_from_this()](connection_ptr used) { self->give_back(std::move(used)); });
    if (begun) {
      if (auto error = check_format(**begun))
        return error;
      return std::unique_ptr<table_reader>{std::move(*begun)};
    }
    // One that was idle may have been lost long ago, as the others.
    if (is_new || !connection->is_lost()) {
      give_back(nullptr);
      return std::move(begun.error());
    }
    connection.reset();
    drop_idle();
  }
}

caf::error postgres_database::check_settled() {
  const auto came = postgres_clock::now();
  const std::lock_guard lock{writer_mutex_};
  // Of many that have waited here, one tries.
  if (unsettled_ && failed_at_ < came)
    static_cast<void>(ensure_usable(patience::one_attempt));
  if (!unsettled_)
    return caf::none;
  return make_error(errc::io_error,
                    "whether the last commit is stored is not known yet: " + message_of(failure_));
}

result<postgres_database::connection_ptr> postgres_database::connect_reader() const {
  auto connection = postgres_connection::connect(address_, until());
  if (!connection)
    return connection;
  const auto set_up = (*connection)
                          ->ask(statements_.set_up_reader,
                                postgres_parameters{}
                                    .text(options_.sync ? "true" : "false")
                                    .text(std::to_string(options_.timeout.count()))
                                    .text(std::to_string(lock_timeout().count())),
                                until());
  if (!set_up)
    return set_up.error();
  return connection;
}

/// Counts as a view, which `give_back` ends. Null: a new connection is needed.
result<postgres_database::connection_ptr> postgres_database::take_idle() {
  std::unique_lock lock{readers_mutex_};
  if (!reader_ended_.wait_for(lock, options_.timeout,
                              [this] { return views_ < options_.max_views; }))
    return make_error(errc::overloaded, std::to_string(views_) + " views of the store in " + where()
                                            + " are open: close some, or open it with a larger "
                                              "max_views");
  ++views_;
  if (idle_.empty())
    return connection_ptr{};
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void postgres_database::give_back(connection_ptr connection) {
  const std::lock_guard lock{readers_mutex_};
  --views_;
  if (connection && !connection->is_lost())
    idle_.push_back(std::move(connection));
  reader_ended_.notify_one();
}

postgres_database::connection_ptr postgres_database::take_asking() {
  const std::lock_guard lock{readers_mutex_};
  if (asking_.empty())
    return nullptr;
  auto connection = std::move(asking_.back());
  asking_.pop_back();
  return connection;
}

void postgres_database::give_back_asking(connection_ptr connection) {
  const std::lock_guard lock{readers_mutex_};
  if (!connection->is_lost())
    asking_.push_back(std::move(connection));
}

void postgres_database::drop_idle() {
  const std::lock_guard lock{readers_mutex_};
  idle_.clear();
  asking_.clear();
}

result<std::uint64_t> postgres_database::size_bytes() {
  auto connection = connect_reader();
  if (!connection)
    return as_io_error(connection.error());
  const auto answer = (*connection)->ask(statements_.size, {}, until());
  if (!answer)
    return answer.error();
  return static_cast<std::uint64_t>(answer->number(0, 0));
}

} // namespace fermata::detail
