#include <fermata/storage/detail/paced_copy.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace fermata::detail {

namespace {

/// What is written between two looks at the clock: a tenth of what a second may take.
constexpr std::uint64_t pieces_per_second = 10;
constexpr std::uint64_t smallest_piece_bytes = 4'096;
constexpr std::uint64_t largest_piece_bytes = 256 * 1'024;

std::size_t piece_size(const backup_options& options) {
  if (options.bytes_per_second == 0)
    return largest_piece_bytes;
  return std::clamp(options.bytes_per_second / pieces_per_second, smallest_piece_bytes,
                    largest_piece_bytes);
}

int write_all(int file, const char* data, std::size_t size) {
  while (size > 0) {
    const auto count = ::write(file, data, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errno;
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return 0;
}

} // namespace

paced_copy::paced_copy(int file, const backup_options& options)
    : options_{options}, file_{file}, piece_(piece_size(options)) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::system_error{errno, std::generic_category(), "a pipe for a backup"};
  output_ = file_descriptor{ends[0]};
  input_ = file_descriptor{ends[1]};
  thread_ = std::thread{[this] { run(); }};
}

paced_copy::~paced_copy() {
  static_cast<void>(finish());
}

int paced_copy::finish() {
  input_.reset();
  if (thread_.joinable())
    thread_.join();
  return failure_;
}

void paced_copy::run() {
  while (take_piece())
    wait_for_pace();
  output_.reset(); // whoever writes on gets EPIPE; LMDB takes the signal itself
}

bool paced_copy::take_piece() {
  const auto count = ::read(output_.get(), piece_.data(), piece_.size());
  if (count < 0 && errno == EINTR)
    return true;
  if (count < 0)
    failure_ = errno;
  if (count <= 0)
    return false;
  const auto size_bytes = static_cast<std::uint64_t>(count);
  failure_ = write_all(file_, piece_.data(), size_bytes);
  written_bytes_ += size_bytes;
  if (failure_ == 0 && options_.goes_on && !options_.goes_on(written_bytes_))
    failure_ = ECANCELED;
  if (failure_ == 0 && options_.bytes_per_second > 0)
    failure_ = keep_pace(size_bytes);
  return failure_ == 0;
}

int paced_copy::keep_pace(std::uint64_t size_bytes) {
  // Time that was lost is not made up for, and what is written gets to the disk second by second:
  // both would be a burst.
  const std::chrono::duration<double> pause{static_cast<double>(size_bytes)
                                            / static_cast<double>(options_.bytes_per_second)};
  due_ = std::max(due_, clock::now()) + std::chrono::duration_cast<clock::duration>(pause);
  unsynced_bytes_ += size_bytes;
  if (unsynced_bytes_ < options_.bytes_per_second)
    return 0;
  unsynced_bytes_ = 0;
  return ::fdatasync(file_) == 0 ? 0 : errno;
}

void paced_copy::wait_for_pace() const {
  if (options_.bytes_per_second > 0)
    std::this_thread::sleep_until(due_);
}

} // namespace fermata::detail
