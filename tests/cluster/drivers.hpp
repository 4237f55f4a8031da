#pragma once

#include "support.hpp"

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

/// What goes on while nodes are killed.
namespace fermata::test {

/// What a session was acknowledged.
class acknowledgements {
public:
  explicit acknowledgements(std::string session) : session_{std::move(session)} {}

  /// An answer that says what became of a command; `accepted`: as which error it may say that it
  /// was done before.
  void note(const result<receipt>& answered, errc accepted) {
    if (answered)
      receipts.push_back(*answered);
    else if (!is(answered.error(), accepted))
      throw std::runtime_error{session_ + ": " + message_of(answered.error())};
  }

  std::vector<receipt> receipts;

private:
  std::string session_;
};

/// Threads that take one session after the other to its end: s0, s1, and so on.
class drivers {
public:
  /// `drive` takes one, and returns what it was acknowledged.
  explicit drivers(std::function<std::vector<receipt>(const std::string&)> drive)
      : drive_{std::move(drive)} {
    for (int i = 0; i < 4; ++i)
      threads_.emplace_back([this] { run(); });
  }
  drivers(const drivers&) = delete;
  drivers& operator=(const drivers&) = delete;
  ~drivers() { finish(); }

  /// How many have come to their end.
  [[nodiscard]] std::size_t done() {
    const std::lock_guard lock{mutex_};
    return acknowledged_.size();
  }
  /// Waits until so many have, or somebody has failed; returns how many have.
  std::size_t wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience,
                      [&] { return acknowledged_.size() >= count || !failure_.empty(); });
    return acknowledged_.size();
  }
  [[nodiscard]] std::string failure() {
    const std::lock_guard lock{mutex_};
    return failure_;
  }
  /// Lets them end what they have begun; returns what was acknowledged.
  const std::map<std::string, std::vector<receipt>>& finish() {
    enough_ = true;
    threads_.clear();
    return acknowledged_;
  }

private:
  void run() {
    try {
      while (!enough_) {
        const auto id = "s" + std::to_string(next_++);
        auto receipts = drive_(id);
        const std::lock_guard lock{mutex_};
        acknowledged_.emplace(id, std::move(receipts));
        changed_.notify_all();
      }
    } catch (const std::exception& error) {
      const std::lock_guard lock{mutex_};
      failure_ = error.what();
      changed_.notify_all();
    }
  }

  std::function<std::vector<receipt>(const std::string&)> drive_;
  std::atomic<bool> enough_{false};
  std::atomic<int> next_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<receipt>> acknowledged_;
  std::string failure_;
  std::vector<std::jthread> threads_;
};

/// How many nodes are to be killed: a few, or as FERMATA_CLUSTER_KILLS says.
inline int kills(int few) {
  const auto* text = std::getenv("FERMATA_CLUSTER_KILLS");
  return text != nullptr ? std::max(1, std::atoi(text)) : few;
}

} // namespace fermata::test
