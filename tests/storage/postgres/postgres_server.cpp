#include "postgres_server.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <temporary_directory.hpp>

#include <libpq-fe.h>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace fermata::test {

namespace fs = std::filesystem;

using namespace std::chrono_literals;

namespace {

/// Where Debian keeps the programs of a server, which are not in the PATH; the newest version.
fs::path server_programs() {
  fs::path newest;
  int version = 0;
  std::error_code failure;
  for (const auto& folder : fs::directory_iterator{"/usr/lib/postgresql", failure}) {
    const auto found = std::atoi(folder.path().filename().c_str());
    if (found > version && fs::exists(folder.path() / "bin" / "initdb")) {
      version = found;
      newest = folder.path() / "bin";
    }
  }
  if (newest.empty())
    throw std::runtime_error{
        "these tests need PostgreSQL, which is not installed: Debian's package "
        "postgresql (see cmake/debian-packages.txt)"};
  return newest;
}

/// PostgreSQL refuses to run as root.
const passwd* server_user() {
  if (::geteuid() != 0)
    return nullptr;
  for (const auto* name : {"postgres", "nobody"})
    if (const auto* user = ::getpwnam(name))
      return user;
  throw std::runtime_error{"there is no user to run PostgreSQL"};
}

/// Starts a program as that user, with its output in a file.
pid_t start_program(const std::vector<std::string>& words, const fs::path& directory) {
  const auto* user = server_user();
  const auto child = ::fork();
  if (child != 0)
    return child;
  for (const auto signal : {SIGSEGV, SIGABRT, SIGTERM, SIGFPE, SIGILL, SIGINT})
    std::signal(signal, SIG_DFL);
  ::setsid(); // a Ctrl-C is for the tests, which then end it
  if (user != nullptr
      && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0
          || ::setuid(user->pw_uid) != 0))
    ::_exit(126);
  const auto log = ::open((directory / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const auto& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  if (::chdir(directory.c_str()) == 0)
    ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

std::string log_of(const fs::path& directory) {
  std::ifstream in{directory / "log"};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// A file that can be read once the process has ended; -1: it has, or ended long ago.
int process_file(pid_t process) {
  return static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
}

/// Waits until one of two files can be read; of those that there are.
void wait_for(int one, int other, std::chrono::milliseconds time) {
  std::array<pollfd, 2> files{pollfd{one, POLLIN, 0}, pollfd{other, POLLIN, 0}};
  ::poll(files.data(), files.size(), static_cast<int>(time.count()));
}

/// Waits until the program has closed its end, then ends the server and removes its files.
[[noreturn]] void keep(int pipe, const fs::path& directory) {
  for (const auto signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, SIG_IGN);
  char ignored = 0;
  while (::read(pipe, &ignored, 1) > 0)
    continue;
  pid_t server = 0;
  std::ifstream{directory / "data" / "postmaster.pid"} >> server;
  if (const auto running = server > 0 ? process_file(server) : -1; running >= 0) {
    ::kill(server, SIGQUIT);
    wait_for(running, -1, 5s);
  }
  std::error_code failure;
  fs::remove_all(directory, failure);
  ::_exit(0);
}

fs::path new_directory() {
  auto pattern = (fs::canonical(fs::temp_directory_path()) / "fermata-pg-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error{"no directory for PostgreSQL"};
  return pattern;
}

struct finish {
  void operator()(PGconn* session) const noexcept { PQfinish(session); }
  void operator()(PGresult* answer) const noexcept { PQclear(answer); }
};

} // namespace

postgres_server& postgres_server::get() {
  static postgres_server instance;
  return instance;
}

postgres_server::postgres_server(const std::string& settings, const fs::path& directory)
    : directory_{directory.empty() ? new_directory() : directory}, settings_{settings} {
  fs::create_directories(directory_);
  const auto programs = server_programs();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::runtime_error{"no pipe"};
  keeper_process_ = ::fork();
  if (keeper_process_ == 0) {
    ::setsid();
    ::close(ends[1]);
    keep(ends[0], directory_);
  }
  ::close(ends[0]);
  keeper_ = ends[1];
  if (const auto* user = server_user())
    fs::permissions(directory_, fs::perms::owner_all),
        static_cast<void>(::chown(directory_.c_str(), user->pw_uid, user->pw_gid));
  int status = -1;
  ::waitpid(start_program({programs / "initdb", "-D", directory_ / "data", "-U", "admin", "-A",
                           "trust", "-N", "--no-instructions", "--locale=C", "-E", "UTF8"},
                          directory_),
            &status, 0);
  if (status != 0)
    throw std::runtime_error{"initdb failed: " + log_of(directory_)};
  std::ofstream{directory_ / "data" / "postgresql.conf", std::ios::app}
      << "listen_addresses = ''\nunix_socket_directories = '" << directory_.string()
      << "'\nshared_buffers = 16MB\nmax_connections = 40\n"
      << settings_ << '\n';
  start();
  sql("CREATE ROLE fermata LOGIN PASSWORD 'the-secret'");
  sql("GRANT CREATE ON DATABASE postgres TO fermata");
}

postgres_server::~postgres_server() {
  ::close(keeper_);
  if (process_ > 0) // which the keeper ends
    ::waitpid(process_, nullptr, 0);
  ::waitpid(keeper_process_, nullptr, 0);
}

std::string postgres_server::connection() const {
  return "host=" + directory_.string() + " dbname=postgres user=fermata";
}

postgres_options postgres_server::new_store() const {
  static std::atomic<int> last = 0;
  postgres_options options;
  options.connection = connection();
  options.schema = "store_" + std::to_string(++last);
  return options;
}

std::string postgres_server::sql(const std::string& statements) const {
  const auto where = "host=" + directory_.string() + " dbname=postgres user=admin";
  const std::unique_ptr<PGconn, finish> session{PQconnectdb(where.c_str())};
  PQsetNoticeReceiver(
      session.get(), [](void*, const PGresult*) {}, nullptr);
  const std::unique_ptr<PGresult, finish> answer{PQexec(session.get(), statements.c_str())};
  const auto status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw std::runtime_error{statements + ": " + PQerrorMessage(session.get())};
  return PQntuples(answer.get()) > 0 ? PQgetvalue(answer.get(), 0, 0) : std::string{};
}

void postgres_server::kill() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void postgres_server::stop() {
  ::kill(process_, SIGQUIT);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void postgres_server::start() {
  const auto where = "host=" + directory_.string() + " dbname=postgres user=admin";
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  // It writes there, in postmaster.pid, that it is ready.
  const file_descriptor changes{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  ::inotify_add_watch(changes.get(), (directory_ / "data").c_str(), IN_MODIFY);
  while (PQping(where.c_str()) != PQPING_OK) {
    // After a kill it refuses to start until the last of its processes has noticed.
    if (process_ > 0 && ::waitpid(process_, nullptr, WNOHANG) == process_)
      process_ = -1;
    if (process_ <= 0)
      process_ =
          start_program({server_programs() / "postgres", "-D", directory_ / "data"}, directory_);
    if (std::chrono::steady_clock::now() >= give_up)
      throw std::runtime_error{"PostgreSQL does not start: " + log_of(directory_)};
    const file_descriptor ended{process_file(process_)};
    wait_for(changes.get(), ended.get(), 1s);
    std::array<char, 4096> ignored{};
    while (::read(changes.get(), ignored.data(), ignored.size()) > 0)
      continue;
  }
}

} // namespace fermata::test
