#include "gateway.hpp"

#include "local_link.hpp"
#include "remote_link.hpp"
#include "stores.hpp"

#include <fermata/actors/system_seams.hpp>

#include <array>
#include <cstdio>
#include <utility>

namespace fermata::command_line {

namespace {

class local_gateway final : public gateway {
public:
  local_gateway(std::unique_ptr<host> owner, console& out) : host_{std::move(owner)}, out_{out} {}

  bool is_service() const override { return false; }
  fermata::store& store() override { return host_->store(); }
  session_id generate_id() override { return host_->running().generate_id(); }
  std::unique_ptr<session_link> link_to(const session_id& session) override {
    return std::make_unique<local_link>(*host_, out_, session);
  }

private:
  std::unique_ptr<host> host_;
  console& out_;
};

class service_gateway final : public gateway {
public:
  service_gateway(std::shared_ptr<fermata::store> beside, remote_options options, console& out)
      : store_{std::move(beside)}, options_{std::move(options)}, out_{out} {}

  bool is_service() const override { return true; }
  fermata::store& store() override { return *store_; }
  session_id generate_id() override {
    // As `runtime::generate_id` makes them.
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "s-%016llx",
                  static_cast<unsigned long long>(system_random()->next()));
    return *session_id::parse(text.data());
  }
  std::unique_ptr<session_link> link_to(const session_id& session) override {
    return std::make_unique<remote_link>(options_, *store_, out_, session);
  }

private:
  std::shared_ptr<fermata::store> store_;
  remote_options options_;
  console& out_;
};

/// Refuses what only the service could obey, and does not: it must not be ignored.
caf::error check_for_service(const arguments& given) {
  const auto refuse = [](const std::string& option, const std::string& instead) {
    return make_error(errc::invalid_field,
                      option + " is refused while a service owns the store: " + instead);
  };
  if (!given.models.empty())
    return refuse("--models", "it has the models that `fermata serve` was started with");
  if (!given.policy.empty())
    return refuse("--policy", "it has the policy that `fermata serve` was started with");
  if (given.approve == approval_mode::none)
    return refuse("--approve none", "what is asked for is what `fermata serve` was started with");
  if (given.command == "resume" && !given.workspace.empty())
    return refuse("--workspace", "the service works in the folder that the session has; stop it "
                                 "to work in another one");
  return caf::none;
}

} // namespace

result<std::unique_ptr<gateway>> gateway::open(const host_options& options, const arguments& given,
                                               console& out) {
  auto owned = host::open(options);
  if (owned)
    return std::unique_ptr<gateway>{std::make_unique<local_gateway>(std::move(*owned), out)};
  if (!is(owned.error(), errc::store_busy))
    return std::move(owned.error());
  remote_options remote;
  remote.socket = service_socket(options.store);
  remote.watches = options.watches;
  if (!is_listening(remote.socket))
    return std::move(owned.error());
  if (auto error = check_for_service(given))
    return error;
  auto beside = open_store(options.store, store_purpose::query);
  if (!beside)
    return std::move(beside.error());
  return std::unique_ptr<gateway>{
      std::make_unique<service_gateway>(std::move(*beside), std::move(remote), out)};
}

} // namespace fermata::command_line
