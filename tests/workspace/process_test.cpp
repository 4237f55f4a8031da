#include <fermata/actors/tools/process.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

namespace process_test {

using namespace fermata;
using fermata::test::temporary_directory;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<supervised_process_runner> make_runner(const temporary_directory& folder,
                                                       std::chrono::milliseconds grace = 300ms) {
  supervised_process_options options;
  options.termination_grace = grace;
  auto made = supervised_process_runner::create(folder.path() / "lock", options);
  REQUIRE(made);
  return *made;
}

process_request shell(const std::string& script) {
  process_request request;
  request.argv = {"/bin/sh", "-c", script};
  return request;
}

/// Waits on a pidfd, which also works for processes that are not our children.
bool has_ended(pid_t pid, std::chrono::milliseconds within = 10s) {
  const file_descriptor process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!process)
    return errno == ESRCH;
  pollfd watched{process.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(within.count())) == 1;
}

/// A named pipe for processes to say their pids in; reading waits for them.
class mailbox {
public:
  explicit mailbox(const temporary_directory& folder) : path_{folder.path() / "mailbox"} {
    REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    // Open in both directions: opening never blocks, and there is no end before all was said.
    pipe_ = file_descriptor{::open(path_.c_str(), O_RDWR | O_CLOEXEC)};
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

  pid_t read_pid() {
    std::string line;
    for (char c = 0; c != '\n';) {
      pollfd watched{pipe_.get(), POLLIN, 0};
      REQUIRE(::poll(&watched, 1, 10'000) == 1);
      REQUIRE(::read(pipe_.get(), &c, 1) == 1);
      line += c;
    }
    return static_cast<pid_t>(std::stol(line));
  }

private:
  std::filesystem::path path_;
  file_descriptor pipe_;
};

/// Children, and grandchildren that have gone to a session of their own, all deaf to SIGTERM; each
/// says its pid in the mailbox.
std::string deaf_family(const mailbox& to) {
  return "trap '' TERM; echo $$ > " + to.path() + "; setsid sh -c 'echo $$ > " + to.path()
         + "; while :; do sleep 100; done' & while :; do sleep 100; done";
}

} // namespace

TEST_CASE("a command's output, error output and exit status are its result") {
  temporary_directory folder;
  auto ended = make_runner(folder)->run(shell("echo out; echo err >&2; exit 3"), {});
  REQUIRE(ended);
  CHECK(ended->exit_status == 3);
  CHECK_FALSE(ended->signal);
  CHECK(ended->output == "out\n");
  CHECK(ended->error_output == "err\n");
  CHECK_FALSE(ended->timed_out);
  CHECK_FALSE(ended->output_truncated);
}

TEST_CASE("arguments reach the program as they are, in the working directory it was given") {
  temporary_directory folder;
  const auto runner = make_runner(folder);
  process_request request;
  request.argv = {"printf", "%s|", "a b", "$HOME", "'\"", ""};
  CHECK(runner->run(request, {}).value().output == "a b|$HOME|'\"||");
  request = shell("pwd; cat; echo $EXTRA");
  request.working_directory = folder.path();
  request.environment["EXTRA"] = "more";
  CHECK(runner->run(request, {}).value().output == folder.path().string() + "\nmore\n");
}

TEST_CASE("a command sees only the listed variables and none of the runtime's descriptors") {
  temporary_directory folder;
  ::setenv("FERMATA_TEST_SECRET", "secret", 1);
  const int leaky = ::open("/dev/null", O_RDONLY); // Without O_CLOEXEC.
  const auto ended = make_runner(folder)->run(shell("env; ls /proc/self/fd | wc -l"), {});
  ::close(leaky);
  ::unsetenv("FERMATA_TEST_SECRET");
  REQUIRE(ended);
  CHECK(ended->output.find("secret") == std::string::npos);
  CHECK(ended->output.find("PATH=") != std::string::npos);
  // 0, 1, 2, and the one with which ls reads the directory.
  CHECK(ended->output.ends_with("\n4\n"));
}

TEST_CASE("a command that ends by a signal says which") {
  temporary_directory folder;
  const auto ended = make_runner(folder)->run(shell("kill -SEGV $$"), {});
  REQUIRE(ended);
  CHECK(ended->signal == SIGSEGV);
  CHECK_FALSE(ended->exit_status);
}

TEST_CASE("output beyond the limit is dropped, flagged, and does not block the command") {
  temporary_directory folder;
  auto request =
      shell("head -c 5000000 /dev/zero | tr '\\0' x; printf 'e\\303\\274\\303\\274' >&2");
  request.output_limit_bytes = 4;
  const auto ended = make_runner(folder)->run(request, {});
  REQUIRE(ended);
  CHECK(ended->exit_status == 0);
  CHECK(ended->output == "xxxx");
  CHECK(ended->output_truncated);
  CHECK(ended->error_output == "e\xc3\xbc"); // The half character is dropped.
  CHECK(ended->error_output_truncated);
}

TEST_CASE("output that is not UTF-8 is repaired") {
  temporary_directory folder;
  const auto ended = make_runner(folder)->run(shell("printf 'a\\377b'"), {});
  CHECK(ended.value().output
        == "a\xef\xbf\xbd"
           "b");
}

TEST_CASE("a program that cannot be started is an error, an exit status of 127 is not") {
  temporary_directory folder;
  const auto runner = make_runner(folder);
  const auto message = [&](const process_request& request) {
    const auto ended = runner->run(request, {});
    REQUIRE_FALSE(ended);
    return message_of(ended.error());
  };
  process_request request;
  request.argv = {"no-such-program-anywhere"};
  CHECK(message(request).find("PATH") != std::string::npos);
  request.argv = {"/no/such/program"};
  CHECK(message(request).find("No such file") != std::string::npos);
  request.argv = {folder.put("text", "not a program").string()};
  CHECK(message(request).find("Permission denied") != std::string::npos);
  request = shell("true");
  request.working_directory = folder.path() / "missing";
  CHECK(message(request).find("working directory") != std::string::npos);
  request.argv = {};
  CHECK(is(runner->run(request, {}).error(), errc::invalid_arguments));
  request.argv = {std::string{"a\0b", 3}};
  CHECK(is(runner->run(request, {}).error(), errc::invalid_arguments));
  CHECK(runner->run(shell("exit 127"), {}).value().exit_status == 127);
}

TEST_CASE("a program that cannot be started for now may be tried again, and then runs") {
  const temporary_directory folder;
  const auto runner = make_runner(folder);
  const auto program = folder.path() / "tool";
  REQUIRE(std::filesystem::copy_file("/bin/true", program));
  process_request request;
  request.argv = {program.string()};
  {
    const file_descriptor written{::open(program.c_str(), O_WRONLY | O_CLOEXEC)};
    REQUIRE(written);
    const auto ended = runner->run(request, {});
    REQUIRE_FALSE(ended);
    CHECK(is(ended.error(), errc::tool_unavailable));
    CHECK(message_of(ended.error()).find("Text file busy") != std::string::npos);
  }
  const auto ended = runner->run(request, {});
  REQUIRE(ended);
  CHECK(ended->exit_status == 0);
}

TEST_CASE("the time limit ends a command and a grandchild in another session") {
  temporary_directory folder;
  mailbox mail{folder};
  auto request = shell(deaf_family(mail));
  request.time_limit = 3s; // until then it has said who it is
  const auto ended = make_runner(folder, 100ms)->run(request, {});
  REQUIRE(ended);
  CHECK(ended->timed_out);
  CHECK(ended->signal == SIGKILL);
  CHECK(ended->duration < 10s);
  CHECK(has_ended(mail.read_pid(), 0ms));
  CHECK(has_ended(mail.read_pid(), 0ms));
}

TEST_CASE("a command that heeds SIGTERM is not killed") {
  temporary_directory folder;
  auto request = shell("trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done");
  request.time_limit = 2s;
  const auto ended = make_runner(folder, 10s)->run(request, {});
  REQUIRE(ended);
  CHECK(ended->timed_out);
  CHECK(ended->exit_status == 5);
  CHECK(ended->output == "bye\n");
}

TEST_CASE("a stop request ends a command and its descendants") {
  temporary_directory folder;
  mailbox mail{folder};
  const auto runner = make_runner(folder, 100ms);
  std::stop_source stop;
  std::optional<result<process_result>> ended;
  std::thread thread{[&] { ended = runner->run(shell(deaf_family(mail)), stop.get_token()); }};
  const auto first = mail.read_pid();
  const auto second = mail.read_pid();
  stop.request_stop();
  thread.join();
  REQUIRE(*ended);
  CHECK((*ended)->stopped);
  CHECK(has_ended(first, 0ms));
  CHECK(has_ended(second, 0ms));
  CHECK(runner->run(shell("exit 0"), stop.get_token()).value().stopped);
}

TEST_CASE("what a command leaves in the background ends with it") {
  temporary_directory folder;
  mailbox mail{folder};
  const auto ended = make_runner(folder)->run(
      shell("setsid sh -c 'echo $$ > " + mail.path() + "; sleep 100' & sleep 100 & exit 0"), {});
  REQUIRE(ended);
  CHECK(ended->exit_status == 0);
  CHECK(ended->duration < 50s);
  // The command may have ended before its child could speak.
  std::thread late{[&] { std::ofstream{mail.path()} << "0\n"; }};
  const auto pid = mail.read_pid();
  late.join();
  CHECK((pid == 0 || has_ended(pid, 0ms)));
}

TEST_CASE("many commands run at once without holding each other's pipes") {
  temporary_directory folder;
  const auto runner = make_runner(folder);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        const auto ended = runner->run(shell("echo " + std::to_string(i)), {});
        good += ended && ended->output == std::to_string(i) + "\n";
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(good == 40);
}

TEST_CASE("a handler of the host's signals does not run in the supervisor") {
  temporary_directory folder;
  // The command's parent is the supervisor. It ignores what would end the runtime.
  const auto ended =
      make_runner(folder)->run(shell("kill -TERM $PPID; kill -INT $PPID; echo on"), {});
  CHECK(ended.value().output == "on\n");
}

TEST_CASE("what the host ignores, its commands do not, and their ends are seen") {
  temporary_directory folder;
  const auto runner = make_runner(folder);
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  const auto child_before = ::signal(SIGCHLD, SIG_IGN);
  const auto killed = runner->run(shell("kill -PIPE $$; exit 1"), {});
  const auto exited = runner->run(shell("(exit 4); exit $?"), {});
  ::signal(SIGPIPE, pipe_before);
  ::signal(SIGCHLD, child_before);
  CHECK(killed.value().signal == SIGPIPE);
  CHECK(exited.value().exit_status == 4);
}

TEST_CASE("when the supervisor is killed the command ends, and run says so") {
  temporary_directory folder;
  mailbox mail{folder};
  const auto ended = make_runner(folder)->run(
      shell("echo $$ > " + mail.path() + "; kill -KILL $PPID; exec sleep 100"), {});
  REQUIRE_FALSE(ended);
  CHECK(message_of(ended.error()).find("supervisor was killed") != std::string::npos);
  CHECK(has_ended(mail.read_pid()));
}

TEST_CASE("a lock file has one runner at a time") {
  temporary_directory folder;
  auto first = make_runner(folder);
  supervised_process_options options;
  options.lock_wait = 30ms;
  const auto second = supervised_process_runner::create(folder.path() / "lock", options);
  REQUIRE_FALSE(second);
  CHECK(is(second.error(), errc::store_busy));
  CHECK(message_of(second.error()).find(std::to_string(::getpid())) != std::string::npos);
  first.reset();
  CHECK(supervised_process_runner::create(folder.path() / "lock", options));
  CHECK(is(supervised_process_runner::create(folder.path() / "no" / "lock", options).error(),
           errc::store_unavailable));
}

TEST_CASE("when a runtime is killed its commands end, and the next one waits for that") {
  temporary_directory folder;
  mailbox mail{folder};
  const auto runtime = ::fork();
  if (runtime == 0) {
    // Only this thread exists here; no test macro may run in this process.
    supervised_process_options options;
    options.termination_grace = 3s;
    auto runner = supervised_process_runner::create(folder.path() / "lock", options);
    if (runner)
      (void)(*runner)->run(shell(deaf_family(mail)), {});
    ::_exit(1);
  }
  REQUIRE(runtime > 0);
  const auto command = mail.read_pid();
  const auto grandchild = mail.read_pid();
  REQUIRE(::kill(runtime, SIGKILL) == 0);
  REQUIRE(::waitpid(runtime, nullptr, 0) == runtime);

  // Both ignore SIGTERM, so for the time of the grace they are still there, and so is the lock.
  supervised_process_options impatient;
  impatient.lock_wait = 0ms;
  const auto early = supervised_process_runner::create(folder.path() / "lock", impatient);
  REQUIRE_FALSE(early);
  CHECK(is(early.error(), errc::store_busy));

  const auto next = supervised_process_runner::create(folder.path() / "lock");
  REQUIRE(next);
  CHECK(has_ended(command, 0ms));
  CHECK(has_ended(grandchild, 0ms));
  CHECK((*next)->run(shell("exit 0"), {}).value().exit_status == 0);
}

} // namespace process_test
