#include <fermata/actors/observer.hpp>

#include <exception>

namespace fermata {

namespace {

class observer_group final : public runtime_observer {
public:
  explicit observer_group(std::vector<std::shared_ptr<runtime_observer>> all)
      : all_{std::move(all)} {}

  void started(const std::function<std::optional<runtime_load>()>& load) override {
    tell([&](auto& one) { one.started(load); });
  }
  void committed(const session_id& session, std::span<const event> events,
                 std::span<const event_note> notes) override {
    tell([&](auto& one) { one.committed(session, events, notes); });
  }
  void commit_failed(const session_id& session, const caf::error& why) override {
    tell([&](auto& one) { one.commit_failed(session, why); });
  }
  void answered(const answered_command& what) override {
    tell([&](auto& one) { one.answered(what); });
  }
  void written(const written_transaction& what) override {
    tell([&](auto& one) { one.written(what); });
  }
  void reclaimed(const reclaimed_space& what) override {
    tell([&](auto& one) { one.reclaimed(what); });
  }
  void activated(const session_id& session, std::size_t resident) override {
    tell([&](auto& one) { one.activated(session, resident); });
  }
  void passivated(const session_id& session, std::size_t resident) override {
    tell([&](auto& one) { one.passivated(session, resident); });
  }
  void activation_failed(const session_id& session, const caf::error& why) override {
    tell([&](auto& one) { one.activation_failed(session, why); });
  }
  void damage_found(const caf::error& damage) override {
    tell([&](auto& one) { one.damage_found(damage); });
  }
  void step_ended(const ended_step& what) override {
    tell([&](auto& one) { one.step_ended(what); });
  }
  void run_ended(const ended_run& what) override {
    tell([&](auto& one) { one.run_ended(what); });
  }

private:
  template <class Tell>
  void tell(const Tell& tell) {
    std::exception_ptr thrown;
    for (const auto& one : all_) {
      try {
        tell(*one);
      } catch (...) {
        thrown = std::current_exception();
      }
    }
    if (thrown)
      std::rethrow_exception(thrown);
  }

  std::vector<std::shared_ptr<runtime_observer>> all_;
};

} // namespace

std::shared_ptr<runtime_observer> observe_with(std::vector<std::shared_ptr<runtime_observer>> all) {
  std::erase(all, nullptr);
  if (all.size() == 1)
    return std::move(all.front());
  return all.empty() ? nullptr : std::make_shared<observer_group>(std::move(all));
}

} // namespace fermata
