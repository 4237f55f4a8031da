#pragma once

#include "bell.hpp"
#include "cluster_side.hpp"
#include "letter_box.hpp"
#include "live_board.hpp"
#include "memory_budget.hpp"
#include "routes.hpp"
#include "server_options.hpp"
#include "stream_view.hpp"

#include <fermata/actors/runtime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

namespace fermata::service {

/// What a server does for its clients at the moment; it only moves on.
enum class service_phase {
  serving,
  draining, ///< Refuses commands and streams; answers queries; streams go on.
  ending    ///< The runtime has stopped: streams end, and connections close.
};

/// What the connections of a server share. Outlives them.
struct connection_setting {
  connection_setting(runtime& to, live_board& board, server_options with, cluster_side* others)
      : running{&to}, live{&board}, cluster{others}, options{std::move(with)},
        bodies{options.bodies_size_bytes}, readers{options.readers} {}

  runtime* running;
  live_board* live;
  cluster_side* cluster; ///< Null: there are no other nodes.
  server_options options;
  memory_budget bodies;
  std::atomic<service_phase> phase{service_phase::serving};
  std::shared_ptr<boost::asio::io_context> context = std::make_shared<boost::asio::io_context>();
  boost::asio::thread_pool readers;
};

/// Who a connection is for.
enum class client_kind {
  local,  ///< Came by the Unix socket, whose mode let it in.
  remote, ///< Came by TCP, and has to show the token.
  surplus ///< One more than there may be: it is told so.
};

/// One client: reads its requests, one at a time, and answers each with a response or a stream.
///
/// It is a coroutine on a strand, so a client costs no thread, and nothing of it needs a lock. What
/// it reads of the store, one of the server's readers reads for it, while it waits. It lives until
/// it has ended; members that other threads may call say so.
class connection : public std::enable_shared_from_this<connection> {
public:
  using socket_type = boost::asio::generic::stream_protocol::socket;

  /// `socket` has a strand of the setting's context as its executor. `ended` is called once, on it.
  connection(socket_type socket, std::shared_ptr<connection_setting> setting, client_kind client,
             std::function<void(connection*)> ended);

  void start();

  /// The server's phase has changed. From any thread.
  void look_again();

  /// Ends it, whatever it does. From any thread.
  void close();

private:
  struct incoming;
  struct received;
  struct subscription;
  struct attention;
  using time_limit_action = void (connection::*)();

  static boost::asio::awaitable<void> live(std::shared_ptr<connection> self);
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<bool> request_comes();
  boost::asio::awaitable<bool> serve_request();
  boost::asio::awaitable<std::unique_ptr<received>> receive();
  boost::asio::awaitable<bool> read_header(incoming& request);
  boost::asio::awaitable<bool> read_body(incoming& request);
  boost::asio::awaitable<bool> refuse(http_response response);
  boost::asio::awaitable<void> refuse_unread(incoming& request);
  boost::asio::awaitable<bool> carry_out(std::unique_ptr<received> request);
  boost::asio::awaitable<bool> show_session(stream_order order, bool keep);
  boost::asio::awaitable<bool> show_elsewhere(elsewhere_order order, bool keep);
  boost::asio::awaitable<bool> drain_node(bool keep);
  boost::asio::awaitable<bool> show_list(gather_order order, bool keep);
  boost::asio::awaitable<bool> show_cluster(bool keep);
  template <class Work>
  boost::asio::awaitable<std::invoke_result_t<Work&>> read(Work& work);
  template <class Answer>
  boost::asio::awaitable<std::optional<Answer>>
  await_others(std::shared_ptr<letter_box<Answer>> awaited);
  boost::asio::awaitable<result<node_answer>> ask(const node_name& node, node_question question);
  boost::asio::awaitable<result<std::uint64_t>> events_of(const session_id& session);
  boost::asio::awaitable<bool> give_command(command_order order, memory_budget::share share,
                                            bool keep);
  boost::asio::awaitable<bool> write(http_response response, bool keep);
  boost::asio::awaitable<bool> stream(std::unique_ptr<stream_view> view,
                                      std::shared_ptr<stream_inbox> inbox, bool keep);
  boost::asio::awaitable<bool> stream_pieces(stream_view& view, stream_inbox& inbox);
  boost::asio::awaitable<bool> write_stream_header(bool keep);
  boost::asio::awaitable<bool> write_piece(std::string text);
  boost::asio::awaitable<std::optional<memory_budget::share>>
  wait_for_share(std::size_t size_bytes);
  boost::asio::awaitable<void> close_gently();

  [[nodiscard]] route_context context() const;
  [[nodiscard]] const node_name* elsewhere(const session_id& session) const;
  [[nodiscard]] std::unique_ptr<stream_view> view_of(const session_id& session, std::uint64_t first,
                                                     stream_end end) const;
  [[nodiscard]] bool is_ending() const;
  [[nodiscard]] bool is_gone() const { return client_has_left_ || is_shut_; }
  [[nodiscard]] std::chrono::milliseconds within(std::chrono::milliseconds limit) const;
  void limit_time(std::chrono::milliseconds limit, time_limit_action then);
  void lift_limit();
  void stop_reading();
  void shut();
  void watch_client();

  socket_type socket_;
  std::shared_ptr<connection_setting> setting_;
  client_kind client_;
  std::function<void(connection*)> ended_;
  std::shared_ptr<bell> bell_;
  boost::asio::steady_timer limit_;
  boost::beast::flat_buffer buffer_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  unsigned version_ = 11;     ///< Of HTTP, of the request that is served.
  bool is_head_ = false;      ///< That request wants the header of its answer alone.
  std::uint64_t limits_ = 0;  ///< Counts time limits, so that an old one cannot strike.
  std::uint64_t watches_ = 0; ///< Counts attentions, for the same reason.
  bool is_stranger_;          ///< Has not shown the token yet.
  bool is_idle_ = false;
  bool is_late_ = false;         ///< The request did not arrive in time.
  bool client_has_left_ = false; ///< As far as somebody paid attention.
  bool was_refused_ = false;     ///< With something of its request unread.
  bool is_shut_ = false;
};

} // namespace fermata::service
