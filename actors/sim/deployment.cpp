#include <fermata/actors/sim/deployment.hpp>

#include <fermata/actors/agents/model.hpp>
#include <fermata/actors/sim/waking_host.hpp>

#include <algorithm>
#include <stdexcept>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view improviser_name = "improviser";
constexpr std::string_view model_name = "model";
constexpr std::string_view planner_name = "planner";
/// The models' names in the registry.
constexpr std::string_view worker_model = "default";
constexpr std::string_view planning_model = "planning";

void must(const caf::error& error) {
  if (error)
    throw std::invalid_argument(message_of(error));
}

// -- drawing --------------------------------------------------------------------------------------

json payment_schema() {
  return {{"type", "object"},
          {"properties",
           {{"amount", {{"type", "integer"}, {"minimum", 1}, {"maximum", 100}}},
            {"note", {{"type", "string"}}}}},
          {"required", {"amount"}},
          {"additionalProperties", false}};
}

json document_schema() {
  return {{"type", "object"},
          {"properties", {{"document", {{"type", "string"}}}, {"text", {{"type", "string"}}}}},
          {"required", {"document"}}};
}

planned_tool named(std::string_view name, json schema) {
  planned_tool made;
  made.name = *tool_name::parse(name);
  made.schema = std::move(schema);
  return made;
}

/// One of each kind of tool; how reliable they are differs between worlds.
std::vector<planned_tool> draw_tools(seeded_random random) {
  const auto trouble = [&](double most) {
    return most * 0.01 * static_cast<double>(random.below(101));
  };
  const auto troubled = [&](server_tool_character& one) {
    one.most_time = random.between(milliseconds{0}, minutes{random.chance(0.2) ? 60 : 1});
    one.fails = trouble(0.2);
    one.fails_after_effect = trouble(0.1);
    one.unavailable = trouble(0.3);
  };
  std::vector<planned_tool> tools;
  auto& pay = tools.emplace_back(named("pay", payment_schema()));
  troubled(pay.character);
  pay.character.hangs = trouble(0.1);
  pay.character.time_limit = random.between(minutes{1}, hours{1});

  auto& ship = tools.emplace_back(named("ship", json(nullptr)));
  troubled(ship.character);
  ship.character.idempotent = true;
  ship.character.hangs = trouble(0.1);
  ship.character.time_limit = random.between(minutes{1}, hours{1});
  ship.character.retry = retry_policy{3, seconds{1}, minutes{10}};

  auto& stamp = tools.emplace_back(named("stamp", payment_schema()));
  troubled(stamp.character);
  stamp.character.blocking = true;
  stamp.character.time_limit = random.chance(0.5) ? milliseconds{minutes{5}} : milliseconds{0};

  auto& look_up = tools.emplace_back(named("look_up", json(nullptr)));
  troubled(look_up.character);
  look_up.character.blocking = true;
  look_up.character.idempotent = true;
  look_up.character.retry = retry_policy{2, seconds{10}, minutes{1}};

  auto& book = tools.emplace_back(named("book", payment_schema()));
  troubled(book.character);
  book.character.reconciles = true;
  book.character.is_unsure = 0.3;

  auto& edit_page = tools.emplace_back(named("edit_page", document_schema()));
  troubled(edit_page.character);
  edit_page.character.changes_document = true;

  auto& print = tools.emplace_back(named("print", payment_schema()));
  print.client = true;
  return tools;
}

policy_spec draw_policy(seeded_random random) {
  policy_spec policy;
  const auto add = [&](policy_rule rule, double chance) {
    const auto expiry = random.between(minutes{1}, hours{12});
    const bool expires = random.chance(0.25);
    const bool may_remember = random.chance(0.7);
    if (!random.chance(chance))
      return;
    if (expires && rule.action == policy_action::ask)
      rule.expires_after = expiry;
    rule.may_remember = may_remember || rule.action != policy_action::ask;
    rule.prompt = "what rule " + std::to_string(policy.rules.size() + 1) + " says";
    policy.rules.push_back(std::move(rule));
  };
  auto too_much = policy_rule::for_tools("pay", policy_action::deny);
  too_much.match.arguments["/amount"]["more_than"] = 60;
  add(std::move(too_much), 0.6);
  auto little = policy_rule::for_tools("{pay,stamp,book}", policy_action::allow);
  little.match.arguments["/amount"]["at_most"] = 30;
  add(std::move(little), 0.6);
  auto improvised = policy_rule::for_plans(policy_action::deny);
  improvised.match.agent = improviser_name;
  add(std::move(improvised), 0.2);
  add(policy_rule::for_plans(random.chance(0.5) ? policy_action::ask : policy_action::allow), 0.8);
  add(policy_rule::for_tools("ship", policy_action::allow), 0.4);
  add(policy_rule::for_tools("look_up", policy_action::allow), 0.6);
  add(policy_rule::for_tools("order", policy_action::allow), 0.5);
  add(policy_rule::for_tools("edit_page", policy_action::ask), 0.8);
  add(policy_rule::for_tools("print", policy_action::deny), 0.1);
  policy.otherwise = random.chance(0.6) ? policy_action::ask : policy_action::allow;
  return policy;
}

planned_limits draw_limits(seeded_random random) {
  planned_limits drawn;
  const auto small = [&](std::uint32_t& limit, std::uint32_t least, std::uint32_t most) {
    const auto value = least + static_cast<std::uint32_t>(random.below(most - least + 1));
    if (random.chance(0.2))
      limit = value;
  };
  small(drawn.resident_sessions, 1, 3);
  small(drawn.session_queue, 1, 2);
  small(drawn.runtime_queue, 2, 8);
  small(drawn.blocking_threads, 1, 2);
  small(drawn.remembered_decisions, 0, 1);
  small(drawn.late_results, 0, 1);
  small(drawn.plan_messages, 1, 3);
  small(drawn.subtask_attempts, 3, 5);
  small(drawn.calls_per_step, 2, 4);
  small(drawn.subtask_entries, 3, 12);
  small(drawn.commands_at_once, 1, 3);
  small(drawn.unpacked_sessions, 0, 2);
  return drawn;
}

model_character draw_model(seeded_random random) {
  model_character drawn;
  drawn.most_time = random.between(seconds{1}, minutes{2});
  drawn.calls = 0.7;
  drawn.proposes = 0.15;
  drawn.invalid = random.chance(0.5) ? 0.15 : 0;
  drawn.unknown_tools = random.chance(0.5) ? 0.1 : 0;
  drawn.cut_off = random.chance(0.5) ? 0.1 : 0;
  drawn.stalls = random.chance(0.5) ? 0.05 : 0;
  drawn.refuses = random.chance(0.3) ? 0.05 : 0;
  drawn.outages = random.chance(0.5) ? 0.1 : 0;
  return drawn;
}

human_character draw_human(seeded_random random) {
  switch (random.below(12)) {
  case 0:
    return prompt_human();
  case 1:
    return slow_human(hours{12});
  case 2:
    return double_clicking_human();
  case 3:
    return contradictory_human();
  case 4:
    return editing_human();
  case 5:
    return badly_editing_human();
  case 6:
    return stale_human();
  case 7:
    return last_moment_human();
  default:
    return difficult_human();
  }
}

host_character draw_host(seeded_random random) {
  host_character drawn;
  drawn.most_time = random.between(seconds{0}, hours{random.chance(0.5) ? 8 : 1});
  const auto trait = [&](double& of, double most) {
    const auto value = most * 0.01 * static_cast<double>(random.below(101));
    if (random.chance(0.5))
      of = value;
  };
  trait(drawn.fails, 0.2);
  trait(drawn.hangs, 0.2);
  trait(drawn.answers_twice, 0.3);
  trait(drawn.contradicts, 0.3);
  trait(drawn.answers_late, 1);
  trait(drawn.answers_early, 0.3);
  trait(drawn.answers_strangers, 0.1);
  return drawn;
}

operator_character draw_operator(seeded_random random) {
  operator_character drawn;
  drawn.most_thought = random.between(minutes{1}, hours{4});
  drawn.double_clicks = 0.3;
  drawn.nonsense = 0.2;
  if (random.chance(0.75))
    drawn.meddles_every = random.between(minutes{30}, hours{12});
  return drawn;
}

/// From one minute to half an hour. Shorter ones would cost most of a world's turns, and only make
/// takeovers come sooner.
milliseconds draw_lease(seeded_random random) {
  return minutes{std::int64_t{1} << random.below(6)};
}

/// In every third world something is deleted or dropped, by those who have made it or by itself.
void draw_retention(seeded_random random, deployment& drawn) {
  if (!random.chance(0.35))
    return;
  if (random.chance(0.7)) {
    drawn.author.trims = 0.3;
    drawn.author.deletes = 0.6;
  }
  if (random.chance(0.5))
    drawn.retention.keep_events = 1 + random.below(60);
  if (!random.chance(0.4))
    return;
  drawn.retention.delete_finished_after = random.between(minutes{1}, hours{12});
  // Where more was wanted of a session that is gone, it would be another one.
  for (auto& one : drawn.sessions) {
    one.plans.resize(std::min<std::size_t>(one.plans.size(), 1));
    one.messages.resize(std::min(one.messages.size(), 1 - one.plans.size()));
  }
}

// -- making ---------------------------------------------------------------------------------------

/// What each start of a node fills its registries from.
struct recipe {
  std::uint64_t seed = 0;
  std::vector<planned_tool> tools;
  agent_character agent;
  model_character model;
  std::shared_ptr<outside> effects;

  recipe() = default;
};

void add_tools(const recipe& from, tool_registry& tools) {
  for (const auto& one : from.tools) {
    if (!one.client) {
      must(tools.add(
          make_server_tool(one.name, one.schema, one.character, from.effects, from.seed)));
      continue;
    }
    tool made;
    made.name = one.name;
    made.schema = one.schema;
    must(tools.add(std::move(made)));
  }
}

void add_agents(const recipe& from, agent_registry& agents) {
  must(agents.add(improviser_name, chance_agent(from.seed, from.agent)));
  model_agent_options worker;
  worker.max_steps = 20;
  worker.may_propose = true;
  worker.may_hand_over = true;
  worker.agents = {{std::string{improviser_name}, "does as it likes"},
                   {std::string{model_name}, "asks a model"}};
  must(agents.add(model_name, model_agent(worker)));
  model_agent_options planner;
  planner.model = planning_model;
  planner.planner = true;
  planner.agents = worker.agents;
  planner.agents.emplace(default_agent().str(), "makes the calls it is told to make");
  must(agents.add(planner_name, model_agent(std::move(planner))));
}

void add_models(const recipe& from, model_registry& models) {
  must(
      models.add(std::string{worker_model}, std::make_shared<chance_model>(from.seed, from.model)));
  // Whoever plans mostly does that.
  auto planning = from.model;
  planning.proposes = 0.8;
  must(models.add(std::string{planning_model},
                  std::make_shared<chance_model>(from.seed + 1, planning)));
}

} // namespace

limits planned_limits::to_limits() const {
  fermata::limits made;
  made.resident_sessions = resident_sessions;
  made.unpacked_sessions = unpacked_sessions;
  made.session_queue = session_queue;
  made.tail_events = tail_events;
  made.runtime_queue = runtime_queue;
  made.commands_at_once = commands_at_once;
  made.blocking_threads = blocking_threads;
  made.remembered_decisions = remembered_decisions;
  made.late_results = late_results;
  made.plan_messages = plan_messages;
  made.subtask_attempts = subtask_attempts;
  made.calls_per_step = calls_per_step;
  made.subtask_entries = subtask_entries;
  return made;
}

std::vector<std::string> node_names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i <= count; ++i)
    names.push_back("n" + std::to_string(i));
  return names;
}

deployment draw_deployment(std::uint64_t seed, const deployment_options& options) {
  const auto stream = [&](std::string_view name) { return seeded_random{seed, name}; };
  deployment drawn;
  drawn.seed = seed;
  drawn.nodes = node_names(options.nodes);
  if (options.share_store)
    drawn.shared_lease = draw_lease(stream("lease"));
  drawn.policy = draw_policy(stream("policy"));
  drawn.limits = draw_limits(stream("limits"));
  constexpr std::uint32_t tails[] = {0, 3, 12, limits{}.tail_events};
  drawn.limits.tail_events = tails[stream("tail").below(std::size(tails))];
  auto random = stream("deployment");
  constexpr milliseconds passivations[] = {seconds{2}, minutes{1}, minutes{10}, hours{2}};
  drawn.passivate_after = passivations[random.below(std::size(passivations))];
  constexpr milliseconds packings[] = {milliseconds{0}, seconds{1}, minutes{1}};
  drawn.pack_after = packings[stream("packing").below(std::size(packings))];
  drawn.planner = random.chance(0.5);
  drawn.author.double_clicks = 0.2;
  drawn.author.proposes_badly = 0.2;
  drawn.tools = draw_tools(stream("tools"));
  drawn.agent.successors = {std::string{improviser_name}, std::string{model_name}, "nobody"};
  drawn.model = draw_model(stream("model"));
  // A node of its own for each, so that with several nodes most commands are forwarded.
  const auto some_node = [&]() -> std::string {
    return options.nodes == 1 ? "" : drawn.nodes[random.below(drawn.nodes.size())];
  };
  drawn.people.emplace_back("ada", draw_human(stream("ada")), some_node());
  if (random.chance(0.3))
    drawn.people.emplace_back("bob", draw_human(stream("bob")), some_node());
  if (random.chance(0.1))
    drawn.people.emplace_back("eve", silent_human(), some_node());
  drawn.hosts.emplace_back("host", draw_host(stream("host")), some_node());
  drawn.operators.emplace_back("operator", draw_operator(stream("operator")), some_node());
  workload_options workload;
  workload.sessions = options.sessions;
  workload.taken = options.taken;
  // All at the same moment, now and then: batches, queues, and no room.
  workload.begin_within = random.chance(0.3) ? milliseconds{0} : options.horizon / 2;
  workload.tools = drawn.tools;
  workload.agents = {std::string{improviser_name}, std::string{model_name}};
  workload.planner = drawn.planner;
  drawn.sessions = draw_sessions(seed, workload);
  draw_retention(stream("retention"), drawn);
  return drawn;
}

node_options options_for(const deployment& what, std::shared_ptr<outside> effects) {
  auto policy = approval_policy::compile(what.policy);
  if (!policy)
    must(policy.error());
  auto shared = std::make_shared<recipe>();
  shared->seed = what.seed;
  shared->tools = what.tools;
  shared->agent = what.agent;
  shared->model = what.model;
  shared->effects = std::move(effects);
  node_options made;
  made.policy = std::move(*policy);
  made.limits = what.limits.to_limits();
  made.passivate_after = what.passivate_after;
  made.pack_after = what.pack_after;
  made.retention.delete_finished_after = what.retention.delete_finished_after;
  made.retention.keep_events = what.retention.keep_events;
  if (what.planner)
    made.planner = *agent_name::parse(planner_name);
  made.setup = [shared](agent_registry& agents, tool_registry& tools) {
    add_agents(*shared, agents);
    add_tools(*shared, tools);
  };
  made.setup_models = [shared](model_registry& models) { add_models(*shared, models); };
  return made;
}

namespace {

void add_nodes(world& in, const deployment& what, const std::shared_ptr<outside>& effects,
               const node_adjustment& adjust) {
  std::map<std::string, node_options> nodes;
  for (const auto& node : what.nodes) {
    auto options = options_for(what, effects);
    if (adjust)
      adjust(node, options, effects);
    nodes.emplace(node, std::move(options));
  }
  if (what.shared_lease)
    in.add_cluster(std::move(nodes), shared_store{*what.shared_lease});
  else if (nodes.size() == 1)
    in.add_node(what.nodes.front(), std::move(nodes.begin()->second));
  else
    in.add_cluster(std::move(nodes));
}

} // namespace

cast enact(world& in, const deployment& what, const node_adjustment& adjust) {
  cast made;
  if (in.nodes().empty())
    add_nodes(in, what, made.effects_, adjust);
  const auto add = [&](auto one) { made.participants_.push_back(&in.add(std::move(one))); };
  for (const auto& one : what.people)
    add(std::make_unique<human>(one.name, one.character, one.node));
  for (const auto& one : what.hosts)
    add(std::make_unique<tool_host>(one.name, one.character, one.node));
  for (const auto& one : what.operators)
    add(std::make_unique<session_operator>(one.name, one.character, made.effects_, one.node));
  if (!what.shared_lease)
    in.add(std::make_unique<waking_host>());
  made.author_ = &in.add(std::make_unique<session_author>("author", what.sessions, what.author));
  made.author_->begin(in);
  return made;
}

void cast::settle(world& in) {
  effects_->settle();
  for (auto* one : participants_)
    one->settle(in);
}

void cast::look_at(world& in, const session_id& session) {
  author_->look_at(in, session);
  for (auto* one : participants_)
    one->look_at(in, session);
}

} // namespace fermata::sim
