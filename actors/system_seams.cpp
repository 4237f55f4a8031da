#include <fermata/actors/system_seams.hpp>

#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace fermata {

namespace {

class system_clock_seam final : public wall_clock {
public:
  timestamp now() override {
    return std::chrono::time_point_cast<timestamp::duration>(std::chrono::system_clock::now());
  }
  /// Goes on while the machine sleeps, as a lease does.
  std::chrono::steady_clock::time_point steady() override {
    timespec since_boot{};
    if (::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0)
      return std::chrono::steady_clock::now();
    return std::chrono::steady_clock::time_point{std::chrono::seconds{since_boot.tv_sec}
                                                 + std::chrono::nanoseconds{since_boot.tv_nsec}};
  }
};

class system_random_seam final : public random_source {
public:
  std::uint64_t next() override {
    const std::lock_guard lock{mutex_};
    return (std::uint64_t{device_()} << 32) | device_();
  }

private:
  std::mutex mutex_;
  std::random_device device_;
};

class thread_pool_seam final : public blocking_pool {
public:
  explicit thread_pool_seam(std::size_t threads) : capacity_{std::max<std::size_t>(threads, 1)} {}

  ~thread_pool_seam() override {
    {
      const std::lock_guard lock{mutex_};
      closed_ = true;
    }
    more_.notify_all();
  }

  void post(std::function<void()> job) override {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < capacity_)
      threads_.emplace_back([this] { work(); });
    more_.notify_one();
  }

  [[nodiscard]] std::size_t capacity() const noexcept override { return capacity_; }

private:
  void work() {
    std::unique_lock lock{mutex_};
    for (;;) {
      ++idle_;
      more_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
      --idle_;
      if (jobs_.empty())
        return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr; // what it holds is dropped outside of the lock
      lock.lock();
    }
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool closed_ = false;
  std::vector<std::jthread> threads_; // last: they are joined before what they use is destroyed
};

} // namespace

std::shared_ptr<wall_clock> system_clock() {
  return std::make_shared<system_clock_seam>();
}

std::shared_ptr<random_source> system_random() {
  return std::make_shared<system_random_seam>();
}

std::shared_ptr<blocking_pool> thread_pool(std::size_t threads) {
  return std::make_shared<thread_pool_seam>(threads);
}

} // namespace fermata
