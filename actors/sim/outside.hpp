#pragma once

#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fermata::sim {

/// What server tools have done to the world outside of Fermata, which no crash takes back; and the
/// things there that they change. One for all nodes of a world.
class outside {
public:
  /// What was done for one call.
  struct deed {
    std::string idempotency_key;
    std::uint32_t effects = 0;
    json result; ///< Of the last effect.

    deed() = default;
  };

  outside() = default;
  outside(const outside&) = delete;
  outside& operator=(const outside&) = delete;

  /// A tool has its effect, now. With `once` it has none if there was one with this key before.
  /// What its result is: with `once` that of the first time.
  json happen(const call_id& call, const std::string& idempotency_key, json result, bool once);

  /// How often tools had their effect, by call.
  [[nodiscard]] const std::map<call_id, deed>& deeds() const noexcept { return deeds_; }
  [[nodiscard]] std::uint32_t effects_of(const call_id& call) const;
  /// In all.
  [[nodiscard]] std::uint64_t effects() const noexcept { return effects_; }
  /// The result of what happened for a call; nothing: it did not happen.
  [[nodiscard]] std::optional<json> result_of(const call_id& call) const;

  /// Identifies the present content of a document, for `tool::fingerprint`.
  [[nodiscard]] std::string fingerprint_of(const std::string& document) const;
  /// Somebody changes a document.
  void change(const std::string& document) { ++versions_[document]; }
  /// The documents that were looked at or changed and whose name begins so.
  [[nodiscard]] std::vector<std::string> documents(const std::string& prefix) const;

  /// From now on tools behave, whatever their character: they do not hang and do not fail. For the
  /// end of a story.
  void settle() noexcept { settled_ = true; }
  [[nodiscard]] bool settled() const noexcept { return settled_; }

private:
  std::map<call_id, deed> deeds_;
  std::uint64_t effects_ = 0;
  mutable std::map<std::string, std::uint64_t> versions_; ///< Those looked at begin with 0.
  bool settled_ = false;
};

} // namespace fermata::sim
