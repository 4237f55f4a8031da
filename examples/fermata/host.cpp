#include "host.hpp"

#include "membership.hpp"
#include "stores.hpp"
#include "tools.hpp"

#include <fermata/actors/tools/process.hpp>

namespace fermata::command_line {

namespace {

/// With `all` the policy asks as well, and the command answers: so the journal says who approved.
approval_policy policy_of(const host_options& options) {
  return options.approve == approval_mode::none ? options.policy.policy.allowing_nothing()
                                                : options.policy.policy;
}

/// The sessions, and what a node owns of them where it shares them.
result<opened_sessions> open_sessions(const host_options& options,
                                      const std::optional<database_setting>& database) {
  if (options.cluster && database)
    return open_shared_store(options.store, *database, options.cluster->name, options.lease);
  return open_sessions(options.store,
                       options.create_store ? store_purpose::create : store_purpose::change,
                       database);
}

/// What a folder is to remember of its database from now on; nothing: it does that already.
std::optional<database_setting> news_of(const host_options& options,
                                        const std::optional<database_setting>& database,
                                        const store_identity& found) {
  if (!database || (!options.database && !database->identity.empty()))
    return std::nullopt;
  auto known = *database;
  known.identity = found;
  return known;
}

/// The files that are to be remembered, ready to be.
result<store_memory> prepare_memory(const host_options& options, bool is_shared,
                                    const std::optional<database_setting>& in) {
  store_memory memory;
  std::string node;
  if (options.cluster)
    node = to_text(to_json(membership{options.cluster->name, options.cluster->members, is_shared}));
  const auto database = in ? to_text(to_json(*in)) : std::string{};
  for (const auto& [name, text] :
       {std::pair{remembered_models, &options.models.to_remember},
        std::pair{remembered_policy, &options.policy.to_remember},
        std::pair{remembered_node, static_cast<const std::string*>(&node)},
        std::pair{remembered_database, &database}})
    if (!text->empty())
      if (auto error = memory.prepare(options.store, name, *text))
        return error;
  return memory;
}

} // namespace

result<std::unique_ptr<host>> host::prepare(const host_options& options) {
  auto database = options.database ? result<std::optional<database_setting>>{options.database}
                                   : read_database(options.store);
  if (!database)
    return std::move(database.error());
  auto sessions = open_sessions(options, *database);
  if (!sessions)
    return std::move(sessions.error());
  auto runner = supervised_process_runner::create(options.store / "commands.lock");
  if (!runner)
    return std::move(runner.error());
  runtime_options made;
  made.store = sessions->store;
  made.policy = policy_of(options);
  // Whoever applies a command to one session is not to set others going: `resume --due` is for
  // those, and a service.
  made.fire_timers = options.fires_timers;
  made.retention = options.retention;
  made.planner = options.models.setup.planner;
  made.observer = options.observer;
  std::unique_ptr<host> owner{new host};
  owner->store_ = sessions->store;
  owner->live_ = std::make_shared<live_feed>();
  if (options.watches)
    made.on_live = [live = owner->live_](const live_update& update) { live->push(update); };
  const bool is_shared = sessions->ownership != nullptr;
  if (options.cluster) {
    auto net = *options.cluster;
    net.ownership = std::move(sessions->ownership);
    owner->node_ = std::make_unique<cluster_node>(std::move(net), std::move(made));
  } else
    owner->runtime_ = std::make_unique<runtime>(std::move(made));
  for (auto& tool : make_tools(*runner, options.workspace))
    if (auto error = owner->running().tools().add(std::move(tool)))
      return error;
  if (auto error = add_models(owner->running(), options.models.setup))
    return error;
  auto memory = prepare_memory(options, is_shared, news_of(options, *database, sessions->identity));
  if (!memory)
    return std::move(memory.error());
  owner->memory_ = std::move(*memory);
  return owner;
}

result<std::unique_ptr<host>> host::open(const host_options& options) {
  auto made = prepare(options);
  if (made)
    if (auto error = (*made)->start())
      return error;
  return made;
}

caf::error host::start() {
  if (node_)
    return node_->start();
  runtime_->start();
  return caf::none;
}

host::~host() {
  stop();
}

void host::stop() {
  if (node_)
    node_->stop();
  if (runtime_)
    runtime_->stop();
}

} // namespace fermata::command_line
