#include <fermata/actors/sim/detail/stage.hpp>

#include <fermata/actors/detail/directory.hpp>
#include <fermata/actors/sim/detail/summary.hpp>

#include <caf/send.hpp>

namespace fermata::sim::detail {

ticket stage::post(simulated_node& at, const session_id& session, message_body body,
                   std::string_view type, std::shared_ptr<const command> shown) {
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

} // namespace fermata::sim::detail
