#include "earlier.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <stdexcept>

namespace fermata::test {

namespace {

constexpr std::chrono::seconds patience{100};

/// Stands still.
class stopped_clock final : public wall_clock {
public:
  explicit stopped_clock(timestamp at) : at_{at} {}
  timestamp now() override { return at_; }

private:
  timestamp at_;
};

coro::task<step> sleep_for_a_year(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep(std::chrono::hours{24 * 365});
  co_return step::finish("awake");
}

coro::task<step> fail_for_now(step_context&) {
  co_return step::fail_retryable("the line is busy");
}

template <class T>
T must(result<T> value) {
  if (!value)
    throw std::runtime_error{message_of(value.error())};
  return std::move(*value);
}

void must(const caf::error& error) {
  if (error)
    throw std::runtime_error{message_of(error)};
}

} // namespace

earlier::earlier(const sandbox& box, std::chrono::milliseconds ago)
    : now_{std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()) - ago} {
  runtime_options options;
  options.store = must(lmdb_store::open(box.store()));
  options.clock = std::make_shared<stopped_clock>(now_);
  options.fire_timers = false;
  runtime_ = std::make_unique<runtime>(std::move(options));
  must(runtime_->agents().add("sleeper", sleep_for_a_year));
  must(runtime_->agents().add("flaky", fail_for_now));
  runtime_->start();
}

earlier::~earlier() {
  runtime_->stop();
}

void earlier::start(std::string_view session, std::string_view plan) {
  apply(session, propose_plan{must(parse_plan(plan))});
  const auto status = must(runtime_->session(must(session_id::parse(session))).status());
  apply(session, decide_plan{status.plan.value().revision, plan_verdict::approve});
}

void earlier::apply(std::string_view session, command body) {
  const auto handle = runtime_->session(must(session_id::parse(session)));
  static_cast<void>(must(handle.send(std::move(body)).get()));
  if (!must(handle.wait_until_paused(patience)))
    throw std::runtime_error{"the session did not pause"};
}

} // namespace fermata::test
