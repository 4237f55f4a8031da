#pragma once

#include <fermata/storage/file_descriptor.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace fermata::detail {

/// Copies what is written into a pipe to a file, at the pace that a backup may take; a thread of
/// its own does it. When it fails or is ended, whoever writes gets EPIPE.
class paced_copy {
public:
  /// `file` is open for writing until `finish` has returned. Throws `std::system_error` where there
  /// is no pipe or thread to be had.
  paced_copy(int file, const backup_options& options);
  paced_copy(const paced_copy&) = delete;
  paced_copy& operator=(const paced_copy&) = delete;
  ~paced_copy();

  /// Where to write.
  [[nodiscard]] int input() const noexcept { return input_.get(); }

  /// Waits until all is in the file. An `errno`: what writing failed with, `ECANCELED` where it was
  /// ended; 0: all is there.
  [[nodiscard]] int finish();

private:
  using clock = std::chrono::steady_clock;

  void run();
  /// False: it was the last one.
  bool take_piece();
  /// An `errno`, or 0.
  int keep_pace(std::uint64_t size_bytes);
  void wait_for_pace() const;

  const backup_options& options_;
  int file_;
  file_descriptor input_;
  file_descriptor output_;
  std::vector<char> piece_;
  std::uint64_t written_bytes_ = 0;
  std::uint64_t unsynced_bytes_ = 0;
  clock::time_point due_ = clock::now(); ///< When the next piece may be written.
  int failure_ = 0;
  std::thread thread_;
};

} // namespace fermata::detail
