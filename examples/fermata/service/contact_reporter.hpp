#pragma once

#include <fermata/actors/cluster/contact.hpp>
#include <fermata/actors/cluster/slots.hpp>
#include <fermata/actors/event_log.hpp>
#include <fermata/messages/redaction.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fermata::service {

/// Says on standard error, a line for each, and in the log, how this node comes to stand with the
/// others, who is refused, and what becomes of its sessions in a shared store. What comes from them is escaped. From any thread.
class contact_reporter {
public:
  /// `log`: null: there is none.
  contact_reporter(redactor redaction, std::shared_ptr<const event_log> log, bool as_json)
      : redaction_{std::move(redaction)}, log_{std::move(log)}, as_json_{as_json} {}

  void changed(const peer_report& report);
  void slots_changed(const slot_report& report);

  /// A stranger tries again and again: he is told of when he, or the reason, is another one.
  void refused(const node_name& who, const std::string& why);

private:
  void say(const char* what, const json& fields, const std::string& text) const;

  redactor redaction_;
  std::shared_ptr<const event_log> log_;
  bool as_json_;
  std::mutex mutex_;
  std::map<node_name, std::string> refusals_; ///< The last reason of each.
};

} // namespace fermata::service
