#include "cluster_side.hpp"

#include "routes.hpp"
#include "session_stream.hpp"

#include <algorithm>
#include <variant>

namespace fermata::service {

const node_name* cluster_side::elsewhere(const session_id& session) const {
  if (shares_store())
    return nullptr;
  const auto* home = node_->home_of(session);
  return home->name == node_->name() ? nullptr : &home->name;
}

void cluster_side::ask(const node_name& node, const node_question& what,
                       std::function<void(result<node_answer>)> callback) const {
  node_->request(node, to_bytes(what),
                 [callback = std::move(callback)](const result<std::string>& given) {
                   callback(given ? parse_answer(*given) : given.error());
                 });
}

result<std::string> cluster_side::answer(const std::string& bytes) const {
  const auto question = parse_question(bytes);
  if (!question)
    return question.error();
  auto made = result<node_answer>{node_answer{}};
  switch (question->kind) {
  case question_kind::route:
    made = answer_route(*question);
    break;
  case question_kind::piece:
    made = answer_piece(*question);
    break;
  case question_kind::position:
    made = answer_position(*question);
    break;
  }
  if (!made)
    return std::move(made.error());
  return to_bytes(*made);
}

node_answer cluster_side::answer_route(const node_question& question) const {
  http_request request;
  request.method = "GET";
  request.target = question.target;
  request.last_event_id = question.last_event_id;
  // As of a service alone: what it has itself.
  route_context context;
  context.store = store_;
  context.redaction = redaction_;
  auto found = route(request, context);
  node_answer made;
  if (const auto* order = std::get_if<stream_order>(&found)) {
    made.status = 0;
    made.events = order->first;
    return made;
  }
  auto* response = std::get_if<http_response>(&found);
  auto none = error_response(404, "unknown_path", "this is nothing that nodes ask each other");
  if (response == nullptr)
    response = &none;
  made.status = response->status;
  made.content_type = std::move(response->content_type);
  made.text = std::move(response->body);
  return made;
}

result<node_answer> cluster_side::answer_piece(const node_question& question) const {
  session_stream view{*store_, question.session, question.from,
                      question.to_pause ? stream_end::at_pause : stream_end::never, redaction_};
  stream_inbox nothing{[] {}};
  auto text = view.next(nothing);
  if (!text)
    return std::move(text.error());
  node_answer made;
  made.reached = view.position();
  made.text = std::move(*text);
  return made;
}

result<node_answer> cluster_side::answer_position(const node_question& question) const {
  const auto found = store_->find(question.session);
  if (!found)
    return found.error();
  node_answer made;
  made.events = *found ? (*found)->events : 0;
  return made;
}

void cluster_side::contact_changed(const peer_report& report) {
  if (report.state == contact_state::connected || report.state == contact_state::connecting)
    return;
  std::vector<std::shared_ptr<stream_inbox>> there;
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = inboxes_.find(report.member.name); found != inboxes_.end())
      there = found->second;
  }
  for (const auto& one : there)
    one->committed(0);
}

void cluster_side::enter(const node_name& node, std::shared_ptr<stream_inbox> inbox) {
  const std::lock_guard lock{mutex_};
  inboxes_[node].push_back(std::move(inbox));
}

void cluster_side::leave(const node_name& node, const std::shared_ptr<stream_inbox>& inbox) {
  const std::lock_guard lock{mutex_};
  std::erase(inboxes_[node], inbox);
}

json cluster_side::describe(const std::vector<member_status>& members) const {
  const auto peers = node_->peers();
  auto array = json::array();
  for (const auto& one : members) {
    auto line = to_json(one.member);
    const auto contact = std::find_if(peers.begin(), peers.end(), [&](const peer_report& report) {
      return report.member.name == one.member.name;
    });
    line["contact"] = contact == peers.end() ? "here" : enum_name(contact->state);
    line["status"] = one.status ? to_json(*one.status) : json{};
    if (!one.status)
      line["reason"] = redaction_.text(one.reason);
    array.push_back(std::move(line));
  }
  json shown{{"cluster", node_->members().cluster.str()},
             {"version", node_->members().version},
             {"name", node_->name().str()},
             {"shares_store", shares_store()},
             {"members", std::move(array)}};
  if (shares_store())
    shown["store"] = node_->shared_store().str();
  return shown;
}

} // namespace fermata::service
