#include "contact_reporter.hpp"

#include "../escape.hpp"

#include <cstdio>

namespace fermata::service {

namespace {

/// Of strangers that are remembered; they name themselves as they like.
constexpr std::size_t max_refusals = 64;

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
