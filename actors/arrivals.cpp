#include <fermata/actors/detail/arrivals.hpp>

#include <caf/send.hpp>

#include <array>
#include <chrono>

namespace fermata::detail {

namespace {

/// How many sessions are looked at in one turn of the directory.
constexpr std::size_t page_size = 256;

/// How many sessions are woken at once.
constexpr std::size_t woken_at_once = 64;

/// When a page is read again that could not be read.
constexpr std::chrono::seconds page_retry_interval{5};

/// How long after its first wake one is woken again that could not be.
constexpr std::chrono::milliseconds wake_again_after{1'000};

/// What is under way has one of these: `running` with a step or a claimed run, or `suspended` while
/// a run had not ended. The others wait for somebody, who addresses them, or for a timer.
constexpr std::array states{session_state::running, session_state::suspended};

} // namespace

void arrivals::begin(const std::vector<std::uint32_t>& slots) {
  for (const auto slot : slots)
    coming_.set(slot);
  if (slots_.none())
    start();
}

void arrivals::start() {
  slots_ = std::exchange(coming_, {});
  state_ = 0;
  behind_ = 0;
  if (slots_.any())
    self_->send(self_, next_arrivals{});
}

void arrivals::look() {
  if (stopped_)
    return;
  auto view = shared_->store().read();
  auto page = view
                  ? (*view)->sessions(static_cast<std::uint8_t>(states[state_]), behind_, page_size)
                  : view.error();
  if (!page)
    return self_->delayed_send(self_, page_retry_interval, next_arrivals{});
  view->reset(); // those that are woken write
  for (auto& one : *page) {
    if (one.damage)
      shared_->observe([&](auto& observer) { observer.damage_found(one.damage); });
    if (!one.id.empty() && slots_.test(slot_of(one.id)))
      found_.push_back(std::move(one.id));
  }
  if (page->size() == page_size) {
    behind_ = page->back().number;
  } else {
    behind_ = 0;
    ++state_;
  }
  wake_some();
}

void arrivals::wake_some() {
  for (; !found_.empty() && under_way_ < woken_at_once; ++under_way_) {
    auto message = std::make_shared<delivery>();
    message->session = std::move(found_.front());
    found_.pop_front();
    wake again;
    again.retried_after = wake_again_after;
    message->body = again;
    message->answer = reply{[to = caf::actor_cast<caf::actor>(self_)](const result<receipt>&) {
                              caf::anon_send(to, arrival_woken{});
                            },
                            admission{}};
    deliver_(std::move(message));
  }
  if (!found_.empty())
    return; // those under way make room
  if (state_ < states.size())
    self_->send(self_, next_arrivals{});
  else
    start();
}

void arrivals::woken() {
  --under_way_;
  if (!stopped_ && !found_.empty())
    wake_some();
}

} // namespace fermata::detail
