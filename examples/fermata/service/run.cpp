#include "run.hpp"

#include "../escape.hpp"
#include "../host.hpp"
#include "../interruption.hpp"
#include "../log.hpp"
#include "../membership.hpp"
#include "../stores.hpp"
#include "cluster_side.hpp"
#include "contact_reporter.hpp"
#include "server.hpp"
#include "stop_signal.hpp"
#include "token.hpp"

#include <fermata/actors/cluster/metrics_text.hpp>
#include <fermata/actors/metrics.hpp>
#include <fermata/actors/queries.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <future>
#include <mutex>
#include <vector>

namespace fermata::service {

namespace {

using command_line::arguments;
using command_line::console;
using command_line::exit_status;
using command_line::host;
using command_line::host_options;

/// File descriptors beyond those of clients: the store's, the system's, tools' pipes.
constexpr std::size_t other_files = 256;

/// Sessions that are woken at the same time.
constexpr std::size_t woken_at_once = 256;

result<server_options> read_options(const arguments& given, const std::filesystem::path& store) {
  server_options options;
  options.socket =
      given.socket.empty() ? store / "service.sock" : std::filesystem::path{given.socket};
  options.socket = std::filesystem::absolute(options.socket);
  options.listen = given.listen;
  options.connections = given.connections;
  if (!given.token_file.empty()) {
    auto token = read_token(given.token_file);
    if (!token)
      return std::move(token.error());
    options.token = std::move(*token);
  }
  return options;
}

/// A client costs a file descriptor, of which a process has 1,024 unless it asks for more.
caf::error allow_files(std::size_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return make_error(errc::io_error, std::string{"getrlimit: "} + std::strerror(errno));
  const rlim_t needed = connections + other_files;
  if (limit.rlim_cur >= needed)
    return caf::none;
  if (limit.rlim_max < needed)
    return make_error(errc::invalid_field,
                      std::to_string(connections) + " connections need " + std::to_string(needed)
                          + " open files, and this process may have "
                          + std::to_string(limit.rlim_max)
                          + "; take fewer with --connections N, or raise `ulimit -Hn`");
  limit.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return make_error(errc::io_error, std::string{"setrlimit: "} + std::strerror(errno));
  return caf::none;
}

/// By which clients tell a store from others, however they name it.
result<std::filesystem::path> canonical_path(const std::filesystem::path& store) {
  std::error_code failure;
  auto path = std::filesystem::canonical(store, failure);
  if (failure)
    return make_error(errc::io_error, store.string() + ": " + failure.message());
  return path;
}

/// `service.json` in the store's folder, as long as the service runs: tells commands where it is.
class announcement {
public:
  /// Errors: `io_error`.
  [[nodiscard]] caf::error make(const std::filesystem::path& store, const server_options& options) {
    file_ = store / "service.json";
    const auto made = store / "service.json.new";
    const auto text = to_text({{"socket", options.socket.string()},
                               {"pid", ::getpid()},
                               {"store", options.store.string()}})
                      + "\n";
    const file_descriptor opened{
        ::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!opened
        || ::write(opened.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())
        || ::rename(made.c_str(), file_.c_str()) != 0)
      return make_error(errc::io_error,
                        file_.string() + " cannot be written: " + std::strerror(errno));
    return caf::none;
  }

  announcement() = default;
  announcement(const announcement&) = delete;
  announcement& operator=(const announcement&) = delete;
  ~announcement() {
    std::error_code ignored;
    if (!file_.empty())
      std::filesystem::remove(file_, ignored);
  }

private:
  std::filesystem::path file_;
};

/// Lets the sessions go on that a process left running when it was killed: nobody else would.
caf::error wake_running_sessions(runtime& running, const redactor& redaction) {
  // The others can go on; this one says so again to whoever addresses it.
  const auto complain = [&](const std::string& why) {
    std::fprintf(stderr, "fermata: %s\n", command_line::escape_line(redaction.text(why)).c_str());
  };
  for (std::optional<session_number> after = 0; after && !stop_was_asked_for();) {
    const auto left =
        query_session_page(running.store(), session_state::running, *after, woken_at_once);
    if (!left)
      return left.error();
    after = left->next;
    for (const auto& why : left->damaged)
      complain(why);
    std::vector<std::future<result<receipt>>> woken;
    for (const auto& one : left->sessions)
      woken.push_back(running.session(one.session).wake());
    for (auto& one : woken)
      if (const auto answered = one.get(); !answered)
        complain(message_of(answered.error()));
  }
  return caf::none;
}

/// Says which node this is, and adds it to the line.
void say_who(console& out, const cluster_node& node, json& line) {
  const auto& self = *find_member(node.members(), node.name());
  line["node"] = {{"name", node.name().str()},
                  {"cluster", node.members().cluster.str()},
                  {"host", self.host},
                  {"port", self.port}};
  out.say("as node " + node.name().str() + " of cluster " + node.members().cluster.str()
          + ", which the others reach at " + command_line::escape_line(self.host) + ":"
          + std::to_string(self.port) + ".");
}

void say_where(console& out, const std::filesystem::path& store, const server_options& options,
               std::uint16_t port, const cluster_node* node) {
  json line{{"store", store.string()}, {"socket", options.socket.string()}};
  out.say("Serving " + command_line::escape_line(store.string()) + " at "
          + command_line::escape_line(options.socket.string()));
  if (port != 0) {
    line["port"] = port;
    out.say("and at "
            + command_line::escape_line(options.listen.substr(0, options.listen.rfind(':'))) + ":"
            + std::to_string(port) + ", for clients that have the token.");
  }
  if (node != nullptr)
    say_who(out, *node, line);
  out.print({{"serving", std::move(line)}});
  out.flush();
}

/// Where the folder remembered another database, and not yet which store that has.
void say_replaced(const std::filesystem::path& store,
                  const std::optional<command_line::database_setting>& before,
                  const std::optional<command_line::database_setting>& now) {
  if (!before || !now || !before->identity.empty()
      || (before->connection == now->connection && before->schema == now->schema))
    return;
  const auto text = store.string() + " remembered " + command_line::describe(*before)
                    + ", and remembers " + command_line::describe(*now) + " instead";
  std::fprintf(stderr, "fermata: %s\n", command_line::escape_line(text).c_str());
}

/// What a node is to be; nothing: it is a service alone. Errors: those of the options, also where
/// the store is another node's.
result<std::optional<cluster_options>>
read_member(const arguments& given, const std::filesystem::path& store, bool is_shared) {
  if (given.command != "node") {
    if (auto error = command_line::check_store_of(store, std::nullopt))
      return error;
    return std::optional<cluster_options>{};
  }
  auto member = command_line::read_cluster_options(given);
  if (!member)
    return std::move(member.error());
  if (auto error = command_line::check_store_of(
          store, command_line::membership{member->name, member->members, is_shared}))
    return error;
  return std::optional{std::move(*member)};
}

/// Where a node starts on a store that is nobody's. Errors: those of `check_sessions_of`.
caf::error check_taking_over(host& owner, const std::filesystem::path& store) {
  const auto* node = owner.node();
  if (node == nullptr || node->shares_store())
    return caf::none;
  const auto known = command_line::read_membership(store);
  if (!known)
    return known.error();
  return *known ? caf::error{}
                : command_line::check_sessions_of(
                    owner.store(), command_line::membership{node->name(), node->members(), false});
}

/// Why a service ends by itself; empty: it does not.
struct own_end {
  std::mutex mutex;
  std::string reason;
};

/// Lets the node of these options tell of others, and answer them.
void connect(cluster_options& net, const std::shared_ptr<cluster_side>& others,
             const std::shared_ptr<contact_reporter>& reporter,
             const std::shared_ptr<own_end>& ending) {
  net.on_contact = [others, reporter](const peer_report& report) {
    others->contact_changed(report);
    reporter->changed(report);
  };
  net.on_refused = [reporter](const node_name& who, const std::string& why) {
    reporter->refused(who, why);
  };
  net.on_slots = [reporter, ending](const slot_report& report) {
    reporter->slots_changed(report);
    if (report.change != slot_change::replaced)
      return;
    // It would serve nothing any more.
    const std::lock_guard lock{ending->mutex};
    ending->reason = report.reason;
    stop_by_itself();
  };
  net.on_request = [others](const std::string& question) { return others->answer(question); };
}

} // namespace

result<exit_status> run_service(const arguments& given, console& out) {
  const auto store = command_line::locate_store(given.store);
  if (!store)
    return store.error();
  auto options = read_options(given, *store);
  if (!options)
    return std::move(options.error());
  // Where there is a store, its lock says who else serves, which is more than a socket does.
  std::error_code unknown;
  if (auto error = server::check(*options, !std::filesystem::exists(*store, unknown)))
    return error;
  if (auto error = allow_files(options->connections))
    return error;
  const auto remembered = command_line::read_database(*store);
  if (!remembered)
    return remembered.error();
  auto database = command_line::choose_database(given, *store);
  if (!database)
    return std::move(database.error());
  if (given.gives_lease && !*database)
    return make_error(errc::invalid_field, "--lease is of sessions in a database, which --database "
                                           "names: in a store of its own a node has them for good");
  auto member = read_member(given, *store, database->has_value());
  if (!member)
    return std::move(member.error());
  auto models = command_line::choose_models(given.models, *store);
  if (!models)
    return std::move(models.error());
  auto policy = command_line::choose_policy(given.policy, *store);
  if (!policy)
    return std::move(policy.error());
  if (auto error = watch_for_stop_signals())
    return error;
  if (command_line::was_interrupted())
    return exit_status::interrupted; // it came before there was somebody to stop

  auto log = command_line::open_log(given.log, given.log_level, out.redaction());
  if (!log)
    return std::move(log.error());
  const auto counted = std::make_shared<fermata::metrics>();
  options->metrics = [counted] { return counted->text(); };
  options->redaction = out.redaction();

  const auto live = std::make_shared<live_board>(out.redaction());
  host_options where;
  where.store = *store;
  where.create_store = true;
  where.fires_timers = true;
  where.retention.delete_finished_after = given.after;
  if (given.keep > 0)
    where.retention.keep_events = given.keep;
  where.approve = given.approve;
  where.models = std::move(*models);
  where.policy = std::move(*policy);
  where.observer = observe_with({counted, *log, live});
  where.cluster = std::move(*member);
  if (!given.database.empty())
    where.database = *database;
  where.lease = given.lease;
  const auto others = where.cluster ? std::make_shared<cluster_side>(out.redaction()) : nullptr;
  const auto ending = std::make_shared<own_end>();
  if (where.cluster)
    connect(*where.cluster, others,
            std::make_shared<contact_reporter>(out.redaction(), *log, out.as_json()), ending);
  auto owner = host::prepare(where);
  if (!owner)
    return std::move(owner.error());
  if (auto* node = (*owner)->node()) {
    others->begin(*node, (*owner)->store());
    options->metrics = [counted, node] { return counted->text() + metrics_text(*node); };
  }
  auto& running = (*owner)->running();
  auto canonical = canonical_path(*store);
  if (!canonical)
    return std::move(canonical.error());
  options->store = std::move(*canonical);
  // Nothing of the sessions moves before it is known that they can be served.
  auto serving = server::bind(running, *live, *options, others.get());
  if (!serving)
    return std::move(serving.error());
  if (auto error = check_taking_over(**owner, *store))
    return error;
  announcement announced;
  if (auto error = announced.make(*store, *options))
    return error;
  if (auto error = (*owner)->start())
    return error;
  // A node that could not start has made the store nobody's.
  if (auto error = (*owner)->memory().keep())
    return error;
  say_replaced(*store, *remembered, *database);
  (*serving)->start();
  say_where(out, *store, *options, (*serving)->port(), (*owner)->node());
  // A node that shares them wakes those that it gets.
  if (const auto* node = (*owner)->node(); node == nullptr || !node->shares_store())
    if (auto error = wake_running_sessions(running, out.redaction()))
      return error;

  wait_for_stop_signal();
  (*serving)->drain();
  (*owner)->stop();
  (*serving)->stop();
  const std::lock_guard lock{ending->mutex};
  return ending->reason.empty() ? result<exit_status>{exit_status::done}
                                : make_error(errc::store_busy, ending->reason);
}

} // namespace fermata::service
