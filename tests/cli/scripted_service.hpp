#pragma once

#include <fermata/messages/json.hpp>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fermata::test {

/// What a scripted service does with one request.
struct scripted_answer {
  std::function<void()> meanwhile; ///< Is done first.
  std::string bytes;
  bool stays_open = false;  ///< Until the other side closes.
  std::string rest;         ///< Comes behind it,
  std::size_t repeated = 0; ///< so many times,
  std::string last;         ///< and this behind all of it.

  scripted_answer() = default;
  scripted_answer(std::string what, bool open = false) : bytes{std::move(what)}, stays_open{open} {}
};

/// Plays the service of a store on a Unix socket: answers one request after the other, whatever it
/// is, with what it was given; then nobody listens any more. Whoever only asks whose service it is
/// is told, as often as he likes.
class scripted_service {
public:
  /// Of the store in whose folder the socket is.
  scripted_service(const std::filesystem::path& socket, std::vector<scripted_answer> answers);

  /// `health`: what it says of itself.
  scripted_service(const std::filesystem::path& socket, std::vector<scripted_answer> answers,
                   const json& health);
  ~scripted_service();
  scripted_service(const scripted_service&) = delete;
  scripted_service& operator=(const scripted_service&) = delete;

  /// The requests that were answered so, each with its body.
  [[nodiscard]] std::vector<std::string> requests();

private:
  void serve(std::vector<scripted_answer> answers);

  int listener_ = -1;
  std::string health_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

/// The head of an answer that streams, without a length: it ends with the connection.
[[nodiscard]] std::string stream_head();

/// One event of a stream.
[[nodiscard]] std::string sse(std::string_view name, const json& data);

/// What the service of a store says of itself.
[[nodiscard]] json health_of(const std::filesystem::path& store);

/// A whole answer.
[[nodiscard]] std::string answer_of(std::string_view status, const json& body);

} // namespace fermata::test
