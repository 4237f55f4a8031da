#include "gathering.hpp"

#include <algorithm>

namespace fermata::service {

namespace {

/// Text as a value of a query.
std::string query_value(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string made;
  for (const unsigned char one : text) {
    const bool is_plain = std::isalnum(one) != 0 || one == '-' || one == '.' || one == '_';
    if (is_plain)
      made += static_cast<char>(one);
    else
      (made += '%') += {digits[one >> 4], digits[one & 15]};
  }
  return made;
}

/// What an error response says, or that there is one.
std::string reason_in(const node_answer& refusal) {
  const auto body = parse_json(refusal.text);
  if (body && body->is_object())
    if (const auto text = body->find("message"); text != body->end() && text->is_string())
      return text->get<std::string>();
  return "it answered with status " + std::to_string(refusal.status);
}

} // namespace

gathering::gathering(gather_order order, const member_list& members)
    : order_{std::move(order)}, members_{&members} {
  if (!order_.after)
    return;
  const auto colon = std::min(order_.after->find(':'), order_.after->size());
  const auto name = order_.after->substr(0, colon);
  const auto& all = members.members;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const cluster_member& one) { return one.name.str() == name; });
  if (found == all.end() || colon == order_.after->size()) {
    refuse(error_response(
        make_error(errc::invalid_field, "after: " + quoted_excerpt(*order_.after)
                                            + " is refused; accepted is the `next` of a page of "
                                              "this list, whichever node gave it"),
        redactor{}));
    return;
  }
  place_ = static_cast<std::size_t>(found - all.begin());
  cursor_ = order_.after->substr(colon + 1);
}

const cluster_member* gathering::node() const {
  return is_over_ ? nullptr : &members_->members[place_];
}

node_question gathering::question() const {
  node_question made;
  made.kind = question_kind::route;
  made.target = order_.path + "?limit=" + std::to_string(order_.limit - items_.size());
  if (!cursor_.empty())
    made.target += "&after=" + query_value(cursor_);
  for (const auto& [name, value] : order_.filters)
    made.target += "&" + name + "=" + query_value(value);
  return made;
}

void gathering::refuse(http_response with) {
  refusal_ = std::move(with);
  is_over_ = true;
}

void gathering::take(result<node_answer> given, const redactor& redaction) {
  // Of another node that stops it would be `node_unavailable`.
  if (!given && is(given.error(), errc::shutting_down))
    return refuse(error_response(given.error(), redaction));
  if (given && given->status == 200)
    return take_page(*given);
  // What is wrong with the question is so for all nodes; anything else is this one's affair.
  if (given && given->status >= 400 && given->status < 500) {
    http_response refused;
    refused.status = given->status;
    refused.content_type = given->content_type;
    refused.body = std::move(given->text);
    return refuse(std::move(refused));
  }
  const auto reason = given ? reason_in(*given) : message_of(given.error());
  missing_.push_back(
      {{"node", members_->members[place_].name.str()}, {"reason", redaction.text(reason)}});
  next_node();
}

void gathering::take_page(const node_answer& page) {
  auto body = parse_json(page.text);
  if (!body || !body->is_object() || !body->contains(order_.name)
      || !body->at(order_.name).is_array())
    return refuse(
        error_response(make_error(errc::internal, "node " + members_->members[place_].name.str()
                                                      + " answered with what is no such list"),
                       redactor{}));
  for (auto& one : body->at(order_.name))
    items_.push_back(std::move(one));
  for (const auto& why : body->value("damaged", json::array()))
    damaged_.push_back("node " + members_->members[place_].name.str() + ": "
                       + (why.is_string() ? why.get<std::string>() : why.dump()));
  size_bytes_ += page.text.size();
  if (const auto next = body->find("next"); next != body->end() && next->is_string()) {
    next_ = members_->members[place_].name.str() + ":" + next->get<std::string>();
    is_over_ = true;
    return;
  }
  next_node();
}

void gathering::next_node() {
  cursor_.clear();
  if (++place_ == members_->members.size()) {
    is_over_ = true;
  } else if (items_.size() >= order_.limit || size_bytes_ >= max_page_size_bytes) {
    next_ = members_->members[place_].name.str() + ":";
    is_over_ = true;
  }
}

http_response gathering::response() const {
  if (refusal_)
    return *refusal_;
  json body{{order_.name, items_}, {"missing", missing_}};
  if (!damaged_.empty())
    body["damaged"] = damaged_;
  if (!next_.empty())
    body["next"] = next_;
  return json_response(body);
}

} // namespace fermata::service
