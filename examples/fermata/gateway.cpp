#include "gateway.hpp"

#include "local_link.hpp"
#include "log.hpp"
#include "membership.hpp"
#include "remote_link.hpp"
#include "service_client.hpp"
#include "stores.hpp"

#include <fermata/actors/system_seams.hpp>

#include <array>
#include <cstdio>
#include <utility>

namespace fermata::command_line {

namespace {

/// The first id that lives where the command looks for it: in the store of the node, if it is one.
template <class Generate>
session_id generate_for(const std::optional<membership>& of, const Generate& generate) {
  auto id = generate();
  while (of && !of->is_home_of(id))
    id = generate();
  return id;
}

class local_gateway final : public gateway {
public:
  local_gateway(std::unique_ptr<host> owner, std::optional<membership> of, console& out)
      : host_{std::move(owner)}, records_{command_line::records_of(host_->store())},
        membership_{std::move(of)}, out_{out} {}

  bool is_service() const override { return false; }
  fermata::store& store() override { return host_->store(); }
  records& records_of(const session_id&) override { return *records_; }
  session_id generate_id() override {
    return generate_for(membership_, [&] { return host_->running().generate_id(); });
  }
  std::unique_ptr<session_link> link_to(const session_id& session) override {
    return std::make_unique<local_link>(*host_, out_, session);
  }

private:
  std::unique_ptr<host> host_;
  std::unique_ptr<records> records_;
  std::optional<membership> membership_;
  console& out_;
};

class service_gateway final : public gateway {
public:
  service_gateway(std::shared_ptr<fermata::store> beside, remote_options options,
                  std::optional<membership> of, console& out)
      : store_{std::move(beside)}, options_{std::move(options)},
        beside_{command_line::records_of(*store_)}, membership_{std::move(of)}, out_{out} {
    if (membership_)
      elsewhere_ = records_by(options_.socket, *membership_);
  }

  bool is_service() const override { return true; }
  fermata::store& store() override { return *store_; }
  records& records_of(const session_id& session) override {
    return elsewhere_ && !membership_->is_home_of(session) ? *elsewhere_ : *beside_;
  }
  session_id generate_id() override {
    // As `runtime::generate_id` makes them.
    return generate_for(membership_, [random = system_random()] {
      std::array<char, 24> text{};
      std::snprintf(text.data(), text.size(), "s-%016llx",
                    static_cast<unsigned long long>(random->next()));
      return *session_id::parse(text.data());
    });
  }
  std::unique_ptr<session_link> link_to(const session_id& session) override {
    return std::make_unique<remote_link>(options_, records_of(session), out_, session);
  }

private:
  std::shared_ptr<fermata::store> store_;
  remote_options options_;
  std::unique_ptr<records> beside_;    ///< Of the store.
  std::unique_ptr<records> elsewhere_; ///< Of the node; null: it is a service alone.
  std::optional<membership> membership_;
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
  // With `all` it is this command that approves.
  if (given.gives_approve && given.approve != approval_mode::all)
    return refuse(given.approve == approval_mode::none ? "--approve none" : "--approve reads",
                  "what is asked for is what `fermata serve` was started with");
  if (!given.log.empty())
    return refuse("--log", "what happens is logged where `fermata serve` was told to");
  if (given.command == "resume" && !given.workspace.empty())
    return refuse("--workspace", "the service works in the folder that the session has; stop it "
                                 "to work in another one");
  return caf::none;
}

/// Reads the files that only the owner of the store needs, once.
caf::error read_files(gateway_options& options, const arguments& given, const console& out) {
  if (options.has_read_files)
    return caf::none;
  auto& owner = options.owner;
  auto models = choose_models(given.models, owner.store);
  if (!models)
    return std::move(models.error());
  auto policy = choose_policy(given.policy, owner.store);
  if (!policy)
    return std::move(policy.error());
  auto log = open_log(given.log, given.log_level, out.redaction());
  if (!log)
    return std::move(log.error());
  if (given.command == "message" && models->setup.planner.empty())
    owner.create_store = false;
  owner.models = std::move(*models);
  owner.policy = std::move(*policy);
  owner.observer = std::move(*log);
  options.has_read_files = true;
  return caf::none;
}

/// `store_busy` when another process owns the store. It is let go of again: what is wrong with a
/// file is to be said before there is a store.
caf::error check_free(const std::filesystem::path& store) {
  // A database's owner is waited for, who may be about to go; a service says at once that it is
  // there.
  const auto database = read_database(store);
  if (database && *database)
    if (const auto socket = find_service(store); socket && *socket)
      return make_error(errc::store_busy,
                        "the service of " + store.string() + " owns its sessions");
  const auto opened = open_store(store, store_purpose::change);
  return !opened && is(opened.error(), errc::store_busy) ? opened.error() : caf::error{};
}

result<std::unique_ptr<gateway>> open_by_service(const host_options& options,
                                                 const caf::error& busy, const arguments& given,
                                                 console& out) {
  const auto socket = find_service(options.store);
  if (!socket)
    return socket.error();
  if (!*socket)
    return busy;
  if (auto error = check_for_service(given))
    return error;
  auto beside = open_store(options.store, store_purpose::query);
  if (!beside)
    return std::move(beside.error());
  remote_options remote;
  remote.store = options.store;
  remote.socket = **socket;
  remote.watches = options.watches;
  auto of = read_membership(options.store);
  if (!of)
    return std::move(of.error());
  return std::unique_ptr<gateway>{std::make_unique<service_gateway>(
      std::move(*beside), std::move(remote), std::move(*of), out)};
}

} // namespace

result<std::unique_ptr<gateway>> gateway::open(gateway_options& options, const arguments& given,
                                               console& out) {
  if (const auto busy = check_free(options.owner.store))
    return open_by_service(options.owner, busy, given, out);
  if (auto error = read_files(options, given, out))
    return error;
  auto owned = host::open(options.owner);
  if (!owned)
    return is(owned.error(), errc::store_busy)
               ? open_by_service(options.owner, owned.error(), given, out)
               : std::move(owned.error());
  // The node that this command began with may have stopped meanwhile; now it cannot start.
  auto of = read_membership(options.owner.store);
  if (!of)
    return std::move(of.error());
  if (auto error = check_homes(options.owner.store, *of, given))
    return error;
  return std::unique_ptr<gateway>{
      std::make_unique<local_gateway>(std::move(*owned), std::move(*of), out)};
}

} // namespace fermata::command_line
