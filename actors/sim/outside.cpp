#include <fermata/actors/sim/outside.hpp>

namespace fermata::sim {

json outside::happen(const call_id& call, const std::string& idempotency_key, json result,
                     bool once) {
  auto& done = deeds_[call];
  if (once && done.effects > 0 && done.idempotency_key == idempotency_key)
    return done.result;
  done.idempotency_key = idempotency_key;
  ++done.effects;
  ++effects_;
  done.result = std::move(result);
  return done.result;
}

std::uint32_t outside::effects_of(const call_id& call) const {
  const auto found = deeds_.find(call);
  return found == deeds_.end() ? 0 : found->second.effects;
}

std::optional<json> outside::result_of(const call_id& call) const {
  const auto found = deeds_.find(call);
  return found == deeds_.end() ? std::nullopt : std::optional{found->second.result};
}

std::string outside::fingerprint_of(const std::string& document) const {
  return document + "@" + std::to_string(versions_[document]);
}

std::vector<std::string> outside::documents(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto one = versions_.lower_bound(prefix);
       one != versions_.end() && one->first.starts_with(prefix); ++one)
    names.push_back(one->first);
  return names;
}

} // namespace fermata::sim
