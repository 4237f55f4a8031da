#include "contact_reporter.hpp"

#include "../escape.hpp"

#include <fermata/storage/session_slots.hpp>

#include <cstdio>

namespace fermata::service {

namespace {

/// Of strangers that are remembered; they name themselves as they like.
constexpr std::size_t max_refusals = 64;

/// For people.
std::string text_of(const slot_report& report) {
  const auto count = std::to_string(report.slots.size()) + " of " + std::to_string(session_slots)
                     + " slots of sessions";
  const auto left = "; it serves " + std::to_string(report.served);
  switch (report.change) {
  case slot_change::acquired:
    return "this node has " + count + " more" + left;
  case slot_change::given:
    return "this node has given " + count + " to node " + report.to.str() + left;
  case slot_change::lost:
    return "this node has lost " + count + ", since its lease had run out" + left;
  case slot_change::not_renewed:
    return "this node cannot renew its lease, and tries again: " + report.reason;
  case slot_change::renewed:
    return "this node has renewed its lease" + left;
  case slot_change::replaced:
    return "this node serves nothing more: " + report.reason;
  case slot_change::withheld:
    return "this node serves nothing, as no other node has its store: " + report.reason
           + "; when that is put right it begins";
  }
  return {};
}

} // namespace

void contact_reporter::say(const char* what, const json& fields, const std::string& text) const {
  const auto line = as_json_ ? to_text(json{{what, redaction_.value(fields)}})
                             : "fermata: " + command_line::escape_line(redaction_.text(text));
  std::fprintf(stderr, "%s\n", line.c_str());
}

void contact_reporter::changed(const peer_report& report) {
  const std::string state{enum_name(report.state)};
  json fields{{"node", report.member.name.str()},
              {"host", report.member.host},
              {"port", report.member.port},
              {"state", state}};
  if (!report.reason.empty())
    fields["reason"] = report.reason;
  say("contact", fields,
      "node " + report.member.name.str() + " (" + report.member.host + ":"
          + std::to_string(report.member.port) + ") is " + state
          + (report.reason.empty() ? "" : ": " + report.reason));
  if (log_)
    log_->note("contact_changed", report.state != contact_state::connected, fields);
}

void contact_reporter::slots_changed(const slot_report& report) {
  json fields{{"change", enum_name(report.change)}, {"served", report.served}};
  if (!report.slots.empty())
    fields["slots"] = report.slots.size();
  if (!report.to.empty())
    fields["to"] = report.to.str();
  if (!report.reason.empty())
    fields["reason"] = report.reason;
  say("slots", fields, text_of(report));
  const bool is_trouble =
      report.change == slot_change::lost || report.change == slot_change::not_renewed
      || report.change == slot_change::replaced || report.change == slot_change::withheld;
  if (log_)
    log_->note("slots_changed", is_trouble, fields);
}

void contact_reporter::refused(const node_name& who, const std::string& why) {
  {
    const std::lock_guard lock{mutex_};
    if (refusals_.size() >= max_refusals && !refusals_.contains(who))
      refusals_.clear();
    if (auto& last = refusals_[who]; last == why)
      return;
    else
      last = why;
  }
  const json fields{{"node", who.str()}, {"reason", why}};
  say("refused", fields, "refused whoever calls itself " + who.str() + ": " + why);
  if (log_)
    log_->note("node_refused", true, fields);
}

} // namespace fermata::service
