#include "storage_helpers.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace fermata::test {

session_id named(std::string_view text) {
  return must(session_id::parse(text));
}

node_name node(std::string_view text) {
  return must(node_name::parse(text));
}

std::vector<std::uint32_t> all_slots() {
  std::vector<std::uint32_t> slots(session_slots);
  std::iota(slots.begin(), slots.end(), 0);
  return slots;
}

std::vector<std::uint32_t> slot_list(const session_id& session) {
  return {slot_of(session)};
}

bytes data(std::string_view text) {
  return {text.begin(), text.end()};
}

bytes data(std::size_t size, std::uint8_t fill) {
  return bytes(size, fill);
}

std::string text(const bytes& value) {
  return {value.begin(), value.end()};
}

change& change::event(bytes value) {
  commit_.events.push_back(std::move(value));
  return *this;
}

change& change::status(std::uint8_t status) {
  commit_.status = status;
  return *this;
}

change& change::put(record_key key, bytes value) {
  record_change part;
  part.key = key;
  part.value = std::move(value);
  commit_.records.push_back(std::move(part));
  return *this;
}

change& change::erase(record_key key) {
  record_change part;
  part.key = key;
  commit_.records.push_back(std::move(part));
  return *this;
}

change& change::pend(std::uint64_t item, std::string_view value) {
  pending_change entry;
  entry.item = item;
  entry.value = data(value);
  commit_.pending.push_back(std::move(entry));
  return *this;
}

change& change::settle(std::uint64_t item) {
  pending_change entry;
  entry.item = item;
  commit_.pending.push_back(std::move(entry));
  return *this;
}

change& change::arm(std::int64_t due, std::uint64_t timer) {
  timer_change entry;
  entry.due = at(due);
  entry.timer = timer;
  commit_.timers.push_back(entry);
  return *this;
}

change& change::disarm(std::int64_t due, std::uint64_t timer) {
  arm(due, timer);
  commit_.timers.back().armed = false;
  return *this;
}

change& change::expecting(std::uint64_t events) {
  commit_.expected_events = events;
  return *this;
}

change& change::drop_below(std::uint64_t event) {
  commit_.drops_events_below = event;
  return *this;
}

change& change::defer_records() {
  commit_.defers_records = true;
  return *this;
}

change& change::remove() {
  commit_.deletes_session = true;
  return *this;
}

timestamp at(std::int64_t milliseconds) {
  return timestamp{std::chrono::milliseconds{milliseconds}};
}

bool says(const caf::error& error, std::string_view text) {
  return message_of(error).find(text) != std::string::npos;
}

commit_outcome write(store& target, const commit& change) {
  auto outcomes = target.write({&change, 1});
  if (outcomes.size() != 1)
    throw std::runtime_error{"one commit, but " + std::to_string(outcomes.size()) + " outcomes"};
  return outcomes.front();
}

void must_delete(store& target, std::string_view session) {
  const auto outcome = write(target, change{must_find(target, session)}.remove());
  if (outcome.error)
    throw std::runtime_error{message_of(outcome.error)};
}

std::uint64_t reclaim_all(store& target, std::size_t limit) {
  std::uint64_t erased = 0;
  for (;;) {
    const auto step = must(target.reclaim(limit));
    erased += step.erased;
    if (!step.more)
      return erased;
  }
}

session_anchor must_write(store& target, const commit& change) {
  const auto outcome = write(target, change);
  if (outcome.error)
    throw std::runtime_error{message_of(outcome.error)};
  return must_find(target, change.session.str());
}

session_anchor must_find(store& target, std::string_view session) {
  auto found = must(target.find(named(session)));
  if (!found)
    throw std::runtime_error{"no session " + std::string{session}};
  return *found;
}

std::string events_of(store& target, session_number session) {
  const auto view = must(target.read());
  std::string joined;
  for (const auto& event : must(view->events(session, 1, std::numeric_limits<std::size_t>::max())))
    joined += (joined.empty() ? "" : " ") + text(event.value);
  return joined;
}

std::string dump(store& target) {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  const record_key first{static_cast<record_kind>(0), 0, 0};
  const record_key last{static_cast<record_kind>(255), std::numeric_limits<std::uint32_t>::max(),
                        std::numeric_limits<std::uint64_t>::max()};
  const auto view = must(target.read());
  std::string out;
  const auto add = [&out](auto... numbers) { ((out += std::to_string(numbers) + ' '), ...); };
  for (const auto& session : must(view->sessions(std::nullopt, 0, all))) {
    out += "session " + session.id.str() + ' ';
    add(session.number, session.events, session.status);
    for (const auto& part : must(view->scan(session.number, first, last, all))) {
      add(static_cast<unsigned>(part.key.kind), part.key.group, part.key.index);
      out += text(part.value) + ' ';
    }
    for (const auto& event : must(view->events(session.number, 1, all)))
      out += text(event.value) + ' ';
    out += '\n';
  }
  for (unsigned status = 0; status < 256; ++status)
    for (const auto& session : must(view->sessions(static_cast<std::uint8_t>(status), 0, all))) {
      out += "status ";
      add(status, session.number);
      out += '\n';
    }
  std::uint64_t position = 0;
  for (const auto& event : must(view->journal(position, all))) {
    out += "journal ";
    add(event.session, event.number);
    out += text(event.value) + '\n';
  }
  for (const auto& entry : must(view->pending(std::nullopt, 0, 0, all))) {
    out += "pending " + entry.session.str() + ' ';
    add(entry.number, entry.item);
    out += text(entry.value) + '\n';
  }
  for (const auto& timer : must(view->due(at(std::numeric_limits<std::int64_t>::max()), all))) {
    out += "timer " + timer.session.str() + ' ';
    add(timer.due.time_since_epoch().count(), timer.number, timer.timer);
    out += '\n';
  }
  return out;
}

std::string in_child(const std::function<std::string()>& body) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0)
    throw std::runtime_error{"no pipe"};
  const auto child = ::fork();
  if (child == 0) {
    // Catch's handlers would report a crash of the child as one of the test program.
    for (const auto signal : {SIGSEGV, SIGABRT, SIGTERM, SIGFPE, SIGILL, SIGINT})
      std::signal(signal, SIG_DFL);
    std::string answer;
    try {
      answer = body();
    } catch (const std::exception& error) {
      answer = error.what();
    }
    const auto written = ::write(ends[1], answer.data(), answer.size());
    ::_exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string answer;
  std::array<char, 4096> buffer{};
  for (ssize_t size = 0; (size = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    answer += "; the child ended with status " + std::to_string(status);
  return answer;
}

std::int64_t receive_number(int descriptor) {
  std::int64_t number = 0;
  return ::read(descriptor, &number, sizeof number) == sizeof number ? number : -1;
}

void send_number(int descriptor, std::int64_t number) {
  if (::write(descriptor, &number, sizeof number) != sizeof number)
    throw std::runtime_error{"the other side has gone"};
}

child_process::child_process(const main_function& body) {
  std::array<int, 2> to_child{};
  std::array<int, 2> from_child{};
  if (::pipe(to_child.data()) != 0 || ::pipe(from_child.data()) != 0)
    throw std::runtime_error{"no pipe"};
  pid_ = ::fork();
  if (pid_ == 0) {
    for (const auto signal : {SIGSEGV, SIGABRT, SIGTERM, SIGFPE, SIGILL, SIGINT})
      std::signal(signal, SIG_DFL);
    ::close(to_child[1]);
    ::close(from_child[0]);
    try {
      body(to_child[0], from_child[1]);
    } catch (const std::exception& thrown) {
      std::fprintf(stderr, "a child of the test: %s\n", thrown.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(to_child[0]);
  ::close(from_child[1]);
  output_ = to_child[1];
  input_ = from_child[0];
}

child_process::~child_process() {
  if (pid_ > 0) {
    kill();
    wait();
  }
}

std::int64_t child_process::receive() {
  return receive_number(input_);
}

void child_process::send(std::int64_t number) {
  send_number(output_, number);
}

void child_process::kill() {
  ::kill(pid_, SIGKILL);
}

int child_process::wait() {
  ::close(output_);
  ::close(input_);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

} // namespace fermata::test
