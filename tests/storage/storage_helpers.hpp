#pragma once

#include <fermata/storage/session_slots.hpp>
#include <fermata/storage/store.hpp>

#include <temporary_directory.hpp>

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

namespace fermata::test {

[[nodiscard]] session_id named(std::string_view text);
[[nodiscard]] node_name node(std::string_view text);
[[nodiscard]] std::vector<std::uint32_t> all_slots();
/// That of a session, alone.
[[nodiscard]] std::vector<std::uint32_t> slot_list(const session_id& session);
[[nodiscard]] bytes data(std::string_view text);
[[nodiscard]] bytes data(std::size_t size, std::uint8_t fill);
[[nodiscard]] std::string text(const bytes& value);

/// Builds a commit in one expression.
class change {
public:
  /// Creates a session.
  explicit change(std::string_view session) { commit_.session = named(session); }
  /// Changes an existing one.
  change(const session_anchor& stored) {
    commit_.session = stored.id;
    commit_.number = stored.number;
    commit_.expected_events = stored.events;
    commit_.status = stored.status;
  }

  change& event(bytes value);
  change& event(std::string_view value) { return event(data(value)); }
  change& status(std::uint8_t status);
  change& put(record_key key, bytes value);
  change& put(record_key key, std::string_view value) { return put(key, data(value)); }
  change& erase(record_key key);
  change& pend(std::uint64_t item, std::string_view value);
  change& settle(std::uint64_t item);
  change& arm(std::int64_t due, std::uint64_t timer);
  change& disarm(std::int64_t due, std::uint64_t timer);
  change& expecting(std::uint64_t events);
  change& drop_below(std::uint64_t event);
  change& defer_records();
  change& remove();

  operator const commit&() const noexcept { return commit_; }

private:
  commit commit_;
};

[[nodiscard]] timestamp at(std::int64_t milliseconds);

/// Whether that is in an error's message.
[[nodiscard]] bool says(const caf::error& error, std::string_view text);

/// Writes one commit on its own.
commit_outcome write(store& target, const commit& change);

/// Deletes a session, which must succeed.
void must_delete(store& target, std::string_view session);

/// Reclaims all that there is, so many entries at a time; returns how many were erased.
std::uint64_t reclaim_all(store& target, std::size_t limit = 256);

/// Writes one commit, which must succeed, and returns what the store then knows of its session.
session_anchor must_write(store& target, const commit& change);

/// The session of that id, which must exist.
session_anchor must_find(store& target, std::string_view session);

/// The value of a result that must be one.
template <class Value>
Value must(result<Value> checked) {
  if (!checked)
    throw std::runtime_error{message_of(checked.error())};
  return std::move(*checked);
}

/// All of a session's events, joined with spaces.
std::string events_of(store& target, session_number session);

/// Everything that a store serves, as text: equal for stores that hold the same.
std::string dump(store& target);

/// Runs `body` in a child process, and returns what it returned: empty for success. An exception
/// becomes its text. What the body prints with CHECK is lost: it must return what is wrong.
std::string in_child(const std::function<std::string()>& body);

/// A child process that talks over two pipes.
class child_process {
public:
  /// `body` gets a file to read from the parent, and one to write to it.
  using main_function = std::function<void(int input, int output)>;
  explicit child_process(const main_function& body);
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Reads one number from the child; -1 when it has ended.
  [[nodiscard]] std::int64_t receive();
  void send(std::int64_t number);
  void kill();
  /// Closes the pipes and waits for its end.
  int wait();

private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
};

/// For the bodies of children.
std::int64_t receive_number(int descriptor);
void send_number(int descriptor, std::int64_t number);

} // namespace fermata::test
