#include <fermata/actors/sim/detail/stage.hpp>

#include <fermata/actors/detail/directory.hpp>
#include <fermata/actors/sim/detail/summary.hpp>

#include <caf/send.hpp>

#include <stdexcept>

namespace fermata::sim::detail {

namespace {

/// How long a node waits for a connection.
constexpr milliseconds connection_patience{10'000};

} // namespace

ticket stage::post(const session_id& session, message_body body, std::string_view type,
                   std::shared_ptr<const command> shown) {
  auto& at = home(session);
  ticket sent;
  const auto number = ++sent_commands;
  if (!at.process) {
    sent.state_->lost = true;
    return sent;
  }
  unanswered asked{std::move(shown), session, clock->now(),
                   [state = sent.state_] { state->lost = true; }};
  note_sent(at, asked);
  at.asked.emplace(number, std::move(asked));
  auto message = std::make_shared<fermata::detail::delivery>();
  message->session = session;
  message->body = std::move(body);
  // Nobody outside hears what a dying process says.
  message->answer = fermata::detail::reply{
      [this, &at, state = sent.state_, number, mine = at.life](result<receipt> answer) {
        if (mine == at.life)
          take_answer(at, number, *state, std::move(answer));
      },
      fermata::detail::admission{}};
  auto& shared = at.process->shared;
  message->answer.watch(fermata::detail::watch_answer(shared, session, type));
  if (auto refused = fermata::detail::check_admission(*shared)) {
    message->answer(std::move(refused));
    return sent;
  }
  message->answer.admit(fermata::detail::admission{shared->under_way});
  caf::anon_send(at.process->node.directory, std::move(message));
  return sent;
}

void stage::take_answer(simulated_node& at, std::uint64_t number, ticket::state& state,
                        result<receipt> answer) {
  state.answer = answer;
  auto found = at.asked.extract(number);
  if (!found.empty() && is_watched())
    pending_news.push_back(answered{&at, number, std::move(found.mapped()), std::move(answer)});
}

void stage::note_sent(const simulated_node& at, const unanswered& asked) {
  if (!asked.body)
    return;
  if (keeps_trace)
    note("sent " + summary(*asked.body), at.name, asked.session.str());
  if (!witnesses.empty())
    follow(asked.session);
  const sent_command what{sent_commands, at.name, asked.session, *asked.body};
  for (const auto& one : witnesses)
    one->sent(self, what);
}

ticket stage::post_from(simulated_node& caller, const session_id& session, command body) {
  ticket sent;
  const auto number = ++sent_commands;
  if (!caller.process) {
    sent.state_->lost = true;
    return sent;
  }
  if (!caller.process->front_end)
    throw std::logic_error("node " + caller.name + " is not on the network");
  unanswered asked{std::make_shared<const command>(body), session, clock->now(),
                   [state = sent.state_] { state->lost = true; }};
  note_sent(caller, asked);
  caller.asked.emplace(number, std::move(asked));
  auto request = std::make_shared<remote_request>();
  request->to = home(session).name;
  request->what = session_command{session, std::move(body)};
  request->answer = [this, &caller, state = sent.state_, number,
                     mine = caller.life](result<receipt> answer) {
    if (mine == caller.life)
      take_answer(caller, number, *state, std::move(answer));
  };
  hand_over(caller, std::move(request));
  return sent;
}

void stage::hand_over(simulated_node& caller, remote_request_ptr request) {
  const auto to = request->to;
  if (const auto reached = caller.reached.find(to); reached != caller.reached.end()) {
    request->directory = reached->second;
    caf::anon_send(caller.process->front_end, std::move(request));
    return;
  }
  auto& waiting = caller.connecting[to];
  waiting.push_back(std::move(request));
  if (waiting.size() > 1)
    return;
  links.connect(caller.name, to, connection_patience,
                [this, &caller, to, mine = caller.life](result<caf::actor> directory) {
                  if (mine == caller.life)
                    connected(caller, to, std::move(directory));
                });
}

void stage::connected(simulated_node& caller, const std::string& to, result<caf::actor> directory) {
  const auto waiting = std::move(caller.connecting.extract(to).mapped());
  if (directory)
    caller.reached[to] = std::move(*directory);
  for (const auto& one : waiting)
    if (directory)
      hand_over(caller, one);
    else
      one->answer(make_error(errc::timed_out, "node " + to + " cannot be reached"));
}

void stage::broken_connection(simulated_node& caller, const caf::actor_addr& gone) {
  std::erase_if(caller.reached, [&](const auto& one) { return one.second == gone; });
}

} // namespace fermata::sim::detail
