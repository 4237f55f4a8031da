#include <fermata/actors/detail/live_readers.hpp>

#include <caf/send.hpp>

#include <utility>

namespace fermata {

live_watch::live_watch(std::unique_ptr<implementation> made) : implementation_{std::move(made)} {}
live_watch::live_watch() noexcept = default;
live_watch::live_watch(live_watch&&) noexcept = default;
live_watch& live_watch::operator=(live_watch&&) noexcept = default;
live_watch::~live_watch() = default;

namespace detail {

namespace {

class local_live final : public live_watch::implementation {
public:
  local_live(services_ptr with, session_id id, live_observer show)
      : shared_{std::move(with)}, session_{std::move(id)}, listener_{shared_->live.listen(
                                                               session_, std::move(show))} {}
  ~local_live() override { shared_->live.forget(session_, listener_); }

private:
  services_ptr shared_;
  session_id session_;
  std::uint64_t listener_;
};

class remote_live final : public live_watch::implementation {
public:
  remote_live(services_ptr with, live_ear_ptr ear)
      : shared_{std::move(with)}, ear_{std::move(ear)} {
    caf::anon_send(shared_->options.router->forwarder, ear_);
  }
  ~remote_live() override {
    ear_->close();
    caf::anon_send(shared_->options.router->forwarder, ear_);
  }

private:
  services_ptr shared_;
  live_ear_ptr ear_;
};

} // namespace

std::unique_ptr<live_watch::implementation> listen_here(services_ptr shared, session_id session,
                                                        live_observer show) {
  return std::make_unique<local_live>(std::move(shared), std::move(session), std::move(show));
}

std::unique_ptr<live_watch::implementation>
listen_elsewhere(services_ptr shared, session_id session, live_observer show,
                 std::function<void(std::uint64_t)> lost) {
  return std::make_unique<remote_live>(
      std::move(shared),
      std::make_shared<live_ear>(std::move(session), std::move(show), std::move(lost)));
}

} // namespace detail

} // namespace fermata
