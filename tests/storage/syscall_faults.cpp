#include "syscall_faults.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

namespace fermata::test {

namespace {

syscall_fault armed;
int calls = 0;
bool counting = false;
std::string trace;

bool is_data_file(int descriptor) {
  std::array<char, 512> target{};
  const auto link = "/proc/self/fd/" + std::to_string(descriptor);
  const auto size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0
         && std::string_view{target.data(), static_cast<std::size_t>(size)}.ends_with("/data.mdb");
}

template <class Call>
auto intercept(int descriptor, char kind, Call call) -> decltype(call()) {
  if (!counting || (armed.meta && kind != 'm' && kind != 'M') || !is_data_file(descriptor))
    return call();
  ++calls;
  trace += kind;
  const auto fails = armed.call != 0 && calls >= armed.call && calls - armed.call < armed.times;
  if (!fails)
    return call();
  if (armed.done && calls == armed.call)
    call();
  errno = armed.code;
  return -1;
}

} // namespace

void arm(const syscall_fault& fault) {
  armed = fault;
  calls = 0;
  trace.clear();
  counting = true;
}

int disarm() {
  counting = false;
  return calls;
}

std::string traced_calls() {
  return trace;
}

} // namespace fermata::test

// What glibc declares, with its exception specifications.
extern "C" {

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  constexpr off_t meta_pages_end = 2 * 4096;
  const auto synchronised = (::fcntl(descriptor, F_GETFL) & O_DSYNC) != 0;
  const auto kind = offset >= meta_pages_end ? 'w' : synchronised ? 'M' : 'm';
  return fermata::test::intercept(descriptor, kind, [&]() -> ssize_t {
    return ::syscall(SYS_pwrite64, descriptor, data, size, offset);
  });
}

ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  return fermata::test::intercept(descriptor, 'w', [&]() -> ssize_t {
    return ::syscall(SYS_writev, descriptor, parts, count);
  });
}

int fdatasync(int descriptor) {
  return fermata::test::intercept(descriptor, 's', [&]() -> int {
    return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
  });
}
}
