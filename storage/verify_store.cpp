#include <fermata/storage/verify_store.hpp>

#include <fermata/storage/detail/check_tables.hpp>
#include <fermata/storage/detail/lmdb_environment.hpp>
#include <fermata/storage/detail/lmdb_file.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>

namespace fermata {

using namespace detail;

namespace {

namespace fs = std::filesystem;

// The child's answer is text: a line of counts, then a line for each problem.
constexpr int exit_done = 0;
constexpr int exit_refused = 3;

/// Pages that are free, of which LMDB keeps lists by transaction in a table without a name.
std::uint64_t count_free_pages(MDB_txn* transaction, std::uint64_t last_page,
                               verify_report& report) {
  constexpr MDB_dbi free_pages = 0;
  MDB_cursor* cursor = nullptr;
  if (const auto code = mdb_cursor_open(transaction, free_pages, &cursor)) {
    report.problems.push_back(message_of(lmdb_error(code, "reading the list of free pages")));
    return 0;
  }
  std::uint64_t count = 0;
  std::uint64_t previous = 0;
  MDB_val key{};
  MDB_val value{};
  auto code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    std::uint64_t number = 0;
    std::uint64_t listed = 0;
    std::memcpy(&number, key.mv_data, std::min(key.mv_size, sizeof number));
    std::memcpy(&listed, value.mv_data, std::min(value.mv_size, sizeof listed));
    // A list that another one was appended to leaves room behind its own pages.
    if (number <= previous || listed > last_page || value.mv_size < (listed + 1) * sizeof listed) {
      report.problems.push_back("the list of free pages is damaged");
      break;
    }
    for (std::uint64_t i = 1; i <= listed; ++i) {
      std::uint64_t page = 0;
      std::memcpy(&page, static_cast<const char*>(value.mv_data) + i * sizeof page, sizeof page);
      if (page > last_page) {
        report.problems.push_back("the list of free pages names a page that does not exist");
        code = MDB_NOTFOUND;
        break;
      }
    }
    previous = number;
    count += listed;
  }
  mdb_cursor_close(cursor);
  if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
    report.problems.push_back(message_of(lmdb_error(code, "reading the list of free pages")));
  return count;
}

/// Every page is in use by one table, or free: anything else means that pages are used twice or
/// lost.
void check_pages(MDB_txn* transaction, const lmdb_handle& handle, verify_report& report) {
  const auto pages_of = [](const MDB_stat& stat) {
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  };
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(handle.environment(), &info);
  // The two meta pages, the free list, the table of tables, the tables.
  std::uint64_t used = 2;
  MDB_dbi main = 1;
  for (const MDB_dbi unnamed : {MDB_dbi{0}, main})
    if (mdb_stat(transaction, unnamed, &stat) == MDB_SUCCESS)
      used += pages_of(stat);
  for (const auto which : all_tables)
    if (mdb_stat(transaction, handle.tables()[which], &stat) == MDB_SUCCESS)
      used += pages_of(stat);
  report.size_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
  const auto free = count_free_pages(transaction, info.me_last_pgno, report);
  // A writer beside us may have gone on: then the last page is not that of our transaction.
  if (info.me_last_txnid == mdb_txn_id(transaction) && used + free != info.me_last_pgno + 1)
    report.problems.push_back(std::to_string(used) + " pages in use and " + std::to_string(free)
                              + " free ones make not " + std::to_string(info.me_last_pgno + 1));
}

caf::error check_all(const fs::path& directory, verify_report& report) {
  lmdb_handle handle;
  lmdb_options options;
  options.access = store_access::read_only;
  if (auto error = handle.open(directory, options)) {
    if (code_of(error) != errc::store_corrupt)
      return error;
    report.problems.push_back(message_of(error));
    return caf::none;
  }
  MDB_txn* transaction = nullptr;
  if (const auto code = mdb_txn_begin(handle.environment(), nullptr, MDB_RDONLY, &transaction))
    return lmdb_error(code, "reading the store");
  check_pages(transaction, handle, report);
  lmdb_tables tables{transaction, handle.tables()};
  check_tables(tables, report);
  mdb_txn_abort(transaction);
  return caf::none;
}

std::string counts_of(const verify_report& report) {
  std::string line;
  for (const auto count : {report.sessions, report.commits, report.events, report.records,
                           report.pending, report.timers, report.garbage, report.size_bytes})
    line += std::to_string(count) + ' ';
  return line + '\n';
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(descriptor, text.data(), text.size());
    if (written <= 0)
      return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Closes what was inherited: a lock of the parent's, say of a store's owner, would outlive it
/// here.
void close_all_but(int kept) {
  constexpr unsigned first = 3;
  const auto number = static_cast<unsigned>(kept);
  if (number > first)
    ::close_range(first, number - 1, 0);
  ::close_range(std::max(first, number + 1), ~0U, 0);
}

[[noreturn]] void run_child(const fs::path& directory, int output) {
  close_all_but(output);
  // What handlers the host has are not meant for this; a dump of a mapped store helps nobody.
  for (const auto signal : {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL})
    ::signal(signal, SIG_DFL);
  const struct rlimit no_dump {};
  ::setrlimit(RLIMIT_CORE, &no_dump);
  verify_report report;
  if (auto error = check_all(directory, report)) {
    write_all(output, std::to_string(static_cast<unsigned>(code_of(error))) + ' '
                          + message_of(error) + '\n');
    ::_exit(exit_refused);
  }
  write_all(output, counts_of(report));
  for (const auto& problem : report.problems)
    write_all(output, problem + '\n');
  ::_exit(exit_done);
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto size = ::read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

verify_report parse_report(const std::string& text) {
  verify_report report;
  std::istringstream lines{text};
  lines >> report.sessions >> report.commits >> report.events >> report.records >> report.pending
      >> report.timers >> report.garbage >> report.size_bytes;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line))
    report.problems.push_back(line);
  return report;
}

result<verify_report> read_outcome(int status, const std::string& text) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == exit_done)
    return parse_report(text);
  if (WIFEXITED(status) && WEXITSTATUS(status) == exit_refused) {
    unsigned code = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), code);
    if (failed == std::errc{})
      return make_error(
          static_cast<errc>(code),
          text.substr(static_cast<std::size_t>(end - text.data()) + 1,
                      text.find('\n') - static_cast<std::size_t>(end - text.data()) - 1));
  }
  verify_report report;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return make_error(errc::io_error, "the process that checks the store was killed");
  report.problems.push_back("reading the file kills the process that reads it"
                            + (WIFSIGNALED(status)
                                   ? " (" + std::string{::strsignal(WTERMSIG(status))} + ")"
                                   : std::string{}));
  return report;
}

} // namespace

result<verify_report> verify_store(const fs::path& directory) {
  auto state = check_lmdb_file(directory / data_file_name);
  if (!state && code_of(state.error()) == errc::store_corrupt) {
    verify_report report;
    report.problems.push_back(message_of(state.error()));
    return report;
  }
  if (!state)
    return state.error();
  if (*state == file_state::absent)
    return make_error(errc::store_unavailable, "there is no store in " + directory.string());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return make_error(errc::io_error, std::string{"no pipe: "} + std::strerror(errno));
  const file_descriptor input{ends[0]};
  file_descriptor output{ends[1]};
  const auto child = ::fork();
  if (child < 0)
    return make_error(errc::io_error,
                      std::string{"no process to check the store: "} + std::strerror(errno));
  if (child == 0)
    run_child(directory, output.get());
  output.reset();
  const auto text = read_all(input.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return make_error(errc::io_error,
                        std::string{"the check did not end: "} + std::strerror(errno));
  return read_outcome(status, text);
}

} // namespace fermata
