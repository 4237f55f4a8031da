#include <fermata/actors/tools/process.hpp>
#include <fermata/actors/tools/supervisor.hpp>
#include <fermata/actors/tools/text.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>

namespace fermata {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// How long the end of a command may take beyond its time limit and grace before `run` gives up on
/// it: only a process that hangs within the kernel takes so long.
constexpr std::chrono::seconds patience{30};

std::string reason(int code) {
  return std::generic_category().message(code);
}

caf::error cannot_run(const std::string& program, const std::string& why,
                      errc code = errc::tool_failed) {
  return make_error(code, "cannot run " + in_quotes(program) + ": " + why);
}

/// The system's reason why nothing was started. Where it is short of something for now, or somebody
/// still writes the program, the same may be tried again.
caf::error cannot_start(const std::string& program, int code) {
  const bool may_pass = code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE
                        || code == ETXTBSY;
  return cannot_run(program, reason(code),
                    may_pass ? errc::tool_unavailable : errc::tool_failed);
}

/// Takes a descriptor out of the range 0 to 2, which a host may have closed, and where the
/// supervisor puts /dev/null.
file_descriptor above_standard(int fd) {
  file_descriptor owned{fd};
  if (fd < 0 || fd > STDERR_FILENO)
    return owned;
  return file_descriptor{::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
}

struct pipe_ends {
  file_descriptor read;
  file_descriptor write;

  pipe_ends() = default;
  [[nodiscard]] bool open() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return false;
    read = above_standard(ends[0]);
    write = above_standard(ends[1]);
    return read && write && ::fcntl(read.get(), F_SETFL, O_NONBLOCK) == 0;
  }
};

/// Reads one output of a command and keeps its beginning.
class output_reader {
public:
  output_reader(int fd, std::size_t limit_bytes,
                std::function<void(std::string_view)> listener = {})
      : fd_{fd}, limit_bytes_{limit_bytes}, listener_{std::move(listener)} {}

  /// The descriptor to wait for; -1 after the end.
  [[nodiscard]] int fd() const noexcept { return ended_ ? -1 : fd_; }

  /// Reads what there is, at most `most_chunks` pieces.
  void read(std::size_t most_chunks) {
    std::array<char, 65'536> chunk;
    for (std::size_t i = 0; i < most_chunks && !ended_; ++i) {
      const auto got = ::read(fd_, chunk.data(), chunk.size());
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0 && errno == EAGAIN)
        return;
      if (got <= 0) {
        ended_ = true;
        return;
      }
      const auto size = static_cast<std::size_t>(got);
      const auto kept = std::min(size, limit_bytes_ - text_.size());
      text_.append(chunk.data(), kept);
      truncated_ = truncated_ || kept < size;
      if (listener_)
        listener_({chunk.data(), size});
    }
  }

  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

  [[nodiscard]] std::string text() && {
    if (truncated_)
      drop_partial_character();
    return as_utf8(std::move(text_));
  }

private:
  /// The cut may have gone through a character, which is no fault of the command.
  void drop_partial_character() {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text_.size()); ++back) {
      const auto byte = static_cast<unsigned char>(text_[text_.size() - back]);
      if ((byte & 0xC0U) == 0x80U)
        continue;
      const std::size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
      if (length > back)
        text_.resize(text_.size() - back);
      return;
    }
  }

  int fd_;
  std::size_t limit_bytes_;
  std::function<void(std::string_view)> listener_;
  std::string text_;
  bool truncated_ = false;
  bool ended_ = false;
};

bool is_executable_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)
         && ::access(path.c_str(), X_OK) == 0;
}

/// The path of a program. Searched here, because execvp is not safe after a fork. Nothing when
/// there is none.
std::optional<std::string> find_program(const std::string& name,
                                        const std::map<std::string, std::string>& environment) {
  if (name.find('/') != std::string::npos)
    return name;
  const auto variable = environment.find("PATH");
  std::string_view rest = variable == environment.end() ? std::string_view{"/usr/bin:/bin"}
                                                        : std::string_view{variable->second};
  while (!name.empty() && !rest.empty()) {
    const auto colon = rest.find(':');
    const auto folder = rest.substr(0, colon);
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    // Folders relative to wherever the command runs are not looked at.
    auto candidate = std::string{folder} + "/" + name;
    if (folder.starts_with('/') && is_executable_file(candidate))
      return candidate;
  }
  return std::nullopt;
}

caf::error check_request(const process_request& request) {
  if (request.argv.empty() || request.argv.front().empty())
    return make_error(errc::invalid_arguments, "a command needs a program");
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (std::any_of(request.argv.begin(), request.argv.end(), has_nul))
    return make_error(errc::invalid_arguments, "an argument has a NUL character");
  for (const auto& [name, value] : request.environment)
    if (name.empty() || has_nul(name) || name.find('=') != std::string::npos || has_nul(value))
      return make_error(errc::invalid_arguments, "the environment variable " + in_quotes(name)
                                                     + " has a NUL character or no "
                                                       "proper name");
  if (request.time_limit <= milliseconds{0})
    return make_error(errc::invalid_arguments, "the time limit must be above 0");
  return caf::none;
}

/// The C form of a list of texts; borrows them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts)
    out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// One command under way: the runtime's side of its pipes.
class running_command {
public:
  running_command(const process_request& request, milliseconds grace)
      : request_{request}, grace_{grace} {}
  running_command(const running_command&) = delete;
  running_command& operator=(const running_command&) = delete;

  /// Errors: `tool_unavailable` when the system lacks descriptors or processes; `tool_failed`.
  caf::error start(const std::string& program,
                   const std::map<std::string, std::string>& environment, int lock) {
    auto null_device = above_standard(::open("/dev/null", O_RDWR | O_CLOEXEC));
    stop_ = above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!null_device || !stop_ || !output_.open() || !error_output_.open() || !status_.open()
        || !lifeline_.open())
      return cannot_start(request_.argv.front(), errno);

    auto argv = request_.argv;
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment)
      variables.push_back(name + "=" + value);
    const auto argv_pointers = pointers_to(argv);
    const auto variable_pointers = pointers_to(variables);
    detail::supervisor_task task;
    task.program = program.c_str();
    task.argv = argv_pointers.data();
    task.environment = variable_pointers.data();
    task.working_directory =
        request_.working_directory.empty() ? nullptr : request_.working_directory.c_str();
    task.null_device = null_device.get();
    task.output = output_.write.get();
    task.error_output = error_output_.write.get();
    task.status = status_.write.get();
    task.lifeline = lifeline_.read.get();
    task.lock = lock;
    task.time_limit_milliseconds = request_.time_limit.count();
    task.grace_milliseconds = grace_.count();
    if (!fork_supervisor(task))
      return cannot_start(request_.argv.front(), errno);
    output_.write.reset();
    error_output_.write.reset();
    status_.write.reset();
    lifeline_.read.reset();
    return caf::none;
  }

  result<process_result> wait(const std::stop_token& stop) {
    const auto started = steady_clock::now();
    const auto give_up = started + request_.time_limit + grace_ + patience;
    output_reader output{output_.read.get(), request_.output_limit_bytes, request_.on_output};
    output_reader error_output{error_output_.read.get(), request_.output_limit_bytes};
    process_result ended;
    const std::stop_callback on_stop{stop, [this] {
                                       const std::uint64_t one = 1;
                                       [[maybe_unused]] const auto put =
                                           ::write(stop_.get(), &one, sizeof one);
                                     }};
    while (!status_ended_) {
      if (!wait_for_events(output, error_output))
        return make_error(errc::tool_failed, "waiting for the command failed: " + reason(errno));
      output.read(4);
      error_output.read(4);
      read_status();
      if (stop.stop_requested() && !finished_ && !ended.stopped) {
        ended.stopped = true;
        lifeline_.write.reset();
      }
      if (!status_ended_ && steady_clock::now() > give_up)
        return make_error(errc::tool_timed_out,
                          "the command reached its time limit and cannot be ended: a process of "
                          "it hangs within the system");
    }
    reap_supervisor();
    // All writers have ended; what they wrote is in the pipes, at most a pipe's size.
    output.read(64);
    error_output.read(64);
    if (auto error = outcome(ended))
      return error;
    ended.output_truncated = output.truncated();
    ended.error_output_truncated = error_output.truncated();
    ended.output = std::move(output).text();
    ended.error_output = std::move(error_output).text();
    ended.duration = std::chrono::duration_cast<milliseconds>(steady_clock::now() - started);
    return ended;
  }

private:
  bool fork_supervisor(const detail::supervisor_task& task) {
    // The supervisor starts with all signals blocked, so that no handler of the host runs in it.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    supervisor_ = ::_Fork();
    if (supervisor_ == 0)
      detail::run_supervisor(task);
    const int code = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = code;
    return supervisor_ > 0;
  }

  bool wait_for_events(const output_reader& output, const output_reader& error_output) {
    std::array<pollfd, 4> watched{};
    watched[0].fd = output.fd();
    watched[1].fd = error_output.fd();
    watched[2].fd = status_.read.get();
    watched[3].fd = lifeline_.write ? stop_.get() : -1;
    for (auto& one : watched)
      one.events = POLLIN;
    return ::poll(watched.data(), watched.size(), 1'000) >= 0 || errno == EINTR;
  }

  void read_status() {
    for (;;) {
      detail::supervisor_message message;
      const auto got = ::read(status_.read.get(), &message, sizeof message);
      if (got < 0 && errno == EINTR)
        continue;
      if (got == 0)
        status_ended_ = true;
      if (got != sizeof message)
        return;
      if (message.what == detail::supervisor_message::kind::ended)
        finished_ = message;
      else
        failed_ = message;
    }
  }

  void reap_supervisor() {
    // A host that ignores SIGCHLD, or waits for all children, may have been faster: no matter.
    while (::waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  caf::error outcome(process_result& ended) const {
    using kind = detail::supervisor_message::kind;
    const auto& program = request_.argv.front();
    if (failed_) {
      if (failed_->what == kind::no_directory)
        return cannot_run(program, "the working directory "
                                       + in_quotes(request_.working_directory.native()) + ": "
                                       + reason(failed_->value));
      return cannot_start(program, failed_->value);
    }
    if (!finished_)
      return cannot_run(program, "its supervisor was killed");
    if (WIFEXITED(finished_->value))
      ended.exit_status = WEXITSTATUS(finished_->value);
    else
      ended.signal = WTERMSIG(finished_->value);
    ended.timed_out = finished_->timed_out != 0;
    ended.stopped = ended.stopped && !ended.timed_out;
    return caf::none;
  }

  const process_request& request_;
  milliseconds grace_;
  pipe_ends output_;
  pipe_ends error_output_;
  pipe_ends status_;
  pipe_ends lifeline_;
  file_descriptor stop_;
  pid_t supervisor_ = -1;
  std::optional<detail::supervisor_message> finished_;
  std::optional<detail::supervisor_message> failed_;
  bool status_ended_ = false;
};

/// Says nothing when commands can be run here.
std::optional<std::string> missing_support() {
  const file_descriptor children{::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC)};
  if (!children)
    return "/proc/thread-self/children cannot be read (" + reason(errno)
           + "); /proc must be mounted and the kernel have CONFIG_PROC_CHILDREN";
  // Closes nothing: no descriptor has that number.
  if (::syscall(SYS_close_range, ~0U, ~0U, 0U) != 0)
    return "the system call close_range fails (" + reason(errno) + "); Linux 5.9 is needed";
  return std::nullopt;
}

std::string owner_of(int lock) {
  std::array<char, 32> text{};
  const auto size = ::pread(lock, text.data(), text.size() - 1, 0);
  const std::string_view digits{text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  const auto end = digits.find_first_not_of("0123456789");
  return end == 0 || digits.empty() ? "unknown" : std::string{digits.substr(0, end)};
}

} // namespace

result<std::shared_ptr<supervised_process_runner>>
supervised_process_runner::create(const std::filesystem::path& lock_file,
                                  supervised_process_options options) {
  if (const auto missing = missing_support())
    return make_error(errc::store_unavailable, "commands cannot be run: " + *missing);
  auto lock = above_standard(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto unavailable = [&] {
    return make_error(errc::store_unavailable, "cannot use the lock file "
                                                   + in_quotes(lock_file.native()) + ": "
                                                   + reason(errno));
  };
  if (!lock)
    return unavailable();
  const auto end = steady_clock::now() + options.lock_wait;
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return unavailable();
    if (steady_clock::now() >= end)
      return make_error(errc::store_busy,
                        "the lock file " + in_quotes(lock_file.native())
                            + " is held by the runtime with pid " + owner_of(lock.get())
                            + ", or by commands that it has left behind and that are being ended");
    std::this_thread::sleep_for(milliseconds{10});
  }
  // For the message above; not relied on.
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0
      || ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return unavailable();

  std::map<std::string, std::string> environment;
  for (const auto& name : options.inherited_environment)
    if (const char* value = std::getenv(name.c_str()))
      environment.emplace(name, value);
  return std::make_shared<supervised_process_runner>(token{}, std::move(lock), std::move(options),
                                                     std::move(environment));
}

result<process_result> supervised_process_runner::run(const process_request& request,
                                                      std::stop_token stop) {
  if (auto error = check_request(request))
    return error;
  if (stop.stop_requested()) {
    process_result stopped;
    stopped.stopped = true;
    return stopped;
  }
  auto environment = environment_;
  for (const auto& [name, value] : request.environment)
    environment[name] = value;
  const auto program = find_program(request.argv.front(), environment);
  if (!program)
    return cannot_run(request.argv.front(), "there is no such program in PATH");
  running_command command{request, options_.termination_grace};
  if (auto error = command.start(*program, environment, lock_.get()))
    return error;
  return command.wait(stop);
}

} // namespace fermata
