#include <fermata/actors/sim/faults.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace fermata::sim {

namespace {

/// Some turns more than it takes to go on behind a pause.
constexpr std::uint64_t most_turns_first = 40;

bool lasts(fault_kind kind) {
  switch (kind) {
  case fault_kind::disk_full:
  case fault_kind::slow_commits:
  case fault_kind::freeze:
  case fault_kind::slow_node:
  case fault_kind::stop:
  case fault_kind::crash:
  case fault_kind::tools_hang:
  case fault_kind::clock_forward:
  case fault_kind::clock_back:
  case fault_kind::partition:
  case fault_kind::slow_link:
  case fault_kind::drain:
  case fault_kind::cut_from_store:
  case fault_kind::store_away:
  case fault_kind::store_clock_forward:
  case fault_kind::store_clock_back:
  case fault_kind::freeze_claimed:
    return true;
  default:
    return false;
  }
}

/// It is drawn once, for the beginning.
bool is_standing(fault_kind kind) {
  return kind == fault_kind::clock_offset;
}

bool needs_peers(fault_kind kind) {
  return kind >= fault_kind::partition && !needs_shared_store(kind);
}

/// Evenly spread over the powers of two: short ones matter as much as long ones.
std::chrono::milliseconds draw_duration(std::chrono::milliseconds longest, seeded_random& random) {
  const auto magnitudes =
      static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint64_t>(longest.count())));
  if (magnitudes == 0)
    return longest;
  const auto most = std::chrono::milliseconds{std::int64_t{1} << random.below(magnitudes)};
  return std::min(longest, random.between(most / 2, most));
}

std::optional<fault_kind> draw_kind(const fault_mix& mix, bool has_peers, bool share_store,
                                    seeded_random& random) {
  constexpr auto kinds = enum_names(fault_kind{}).size();
  const auto weight = [&](fault_kind kind) {
    if (is_standing(kind) || (needs_peers(kind) && !has_peers)
        || (needs_shared_store(kind) && !share_store))
      return 0.0;
    if (mix.weights.empty())
      return 1.0;
    const auto found = mix.weights.find(kind);
    return found == mix.weights.end() ? 0.0 : found->second;
  };
  double total = 0;
  for (std::size_t kind = 0; kind < kinds; ++kind)
    total += weight(static_cast<fault_kind>(kind));
  if (total <= 0)
    return std::nullopt;
  constexpr std::uint64_t grain = 1'000'000;
  auto left = total * static_cast<double>(random.below(grain)) / static_cast<double>(grain);
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    const auto one = weight(static_cast<fault_kind>(kind));
    if (one > left)
      return static_cast<fault_kind>(kind);
    left -= one;
  }
  return std::nullopt; // not reached: `left` is less than what all come to
}

/// How far the node's clock is off from the beginning on; nothing: it is right.
std::optional<fault> draw_clock_offset(const fault_mix& mix, const std::string& node,
                                       seeded_random& random) {
  const auto found = mix.weights.find(fault_kind::clock_offset);
  if (!mix.weights.empty() && (found == mix.weights.end() || found->second <= 0))
    return std::nullopt;
  fault one;
  one.kind = fault_kind::clock_offset;
  one.node = node;
  one.duration = random.between(-mix.longest, mix.longest);
  return one;
}

std::string show(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1'000)
    return std::to_string(ms) + " ms";
  if (ms < 60'000)
    return std::to_string(ms / 1'000) + " s";
  if (ms < 3'600'000)
    return std::to_string(ms / 60'000) + " min";
  return std::to_string(ms / 3'600'000) + " h";
}

} // namespace

std::vector<fault> draw_faults(const fault_mix& mix, const std::vector<std::string>& nodes,
                               std::chrono::milliseconds horizon, seeded_random& random,
                               bool share_store) {
  std::vector<fault> drawn;
  if (mix.every.count() <= 0)
    return drawn;
  for (const auto& node : nodes) {
    auto own = seeded_random{random.next(), node};
    if (nodes.size() > 1)
      if (auto offset = draw_clock_offset(mix, node, own))
        drawn.push_back(std::move(*offset));
    for (std::chrono::milliseconds at{0};;) {
      // From half the mean to one and a half.
      at += std::max(own.between(mix.every / 2, mix.every * 3 / 2), std::chrono::milliseconds{1});
      if (at >= horizon)
        break;
      const auto kind = draw_kind(mix, nodes.size() > 1, share_store, own);
      if (!kind)
        break;
      fault one;
      one.kind = *kind;
      one.node = node;
      one.at = at;
      const auto duration = draw_duration(mix.longest, own);
      if (lasts(one.kind))
        one.duration = duration;
      if (own.chance(0.5))
        one.turns = 1 + own.below(most_turns_first);
      drawn.push_back(std::move(one));
    }
  }
  std::stable_sort(drawn.begin(), drawn.end(),
                   [](const fault& one, const fault& other) { return one.at < other.at; });
  return drawn;
}

std::string describe(const fault& one) {
  const auto lasting = show(std::chrono::abs(one.duration));
  const auto what = [&]() -> std::string {
    switch (one.kind) {
    case fault_kind::crash:
      return "crashes, and is down for " + lasting;
    case fault_kind::crash_before:
      return "will crash before its next commit";
    case fault_kind::crash_inside:
      return "will crash inside its next commit";
    case fault_kind::crash_after:
      return "will crash after its next commit";
    case fault_kind::lose_ack:
      return "will not hear that its next commit is stored";
    case fault_kind::failed_commit:
      return "will fail its next commit";
    case fault_kind::disk_full:
      return "has a full disk for " + lasting;
    case fault_kind::slow_commits:
      return "commits slowly for " + lasting;
    case fault_kind::read_error:
      return "will fail its next read";
    case fault_kind::flipped_bit:
      return "will read a flipped bit";
    case fault_kind::freeze:
      return "is frozen for " + lasting;
    case fault_kind::slow_node:
      return "is slow for " + lasting;
    case fault_kind::stop:
      return "is stopped, and down for " + lasting;
    case fault_kind::tools_hang:
      return "runs no blocking tools for " + lasting;
    case fault_kind::clock_forward:
      return "has its clock set forward by " + lasting;
    case fault_kind::clock_back:
      return "has its clock set back by " + lasting;
    case fault_kind::partition:
      return "is cut off from the others for " + lasting;
    case fault_kind::slow_link:
      return "has slow links for " + lasting;
    case fault_kind::drop_connections:
      return "loses its connections";
    case fault_kind::clock_offset:
      return "has a clock that is " + lasting
             + (one.duration < std::chrono::milliseconds{0} ? " behind" : " ahead");
    case fault_kind::drain:
      return "is drained and stopped, and down for " + lasting;
    case fault_kind::cut_from_store:
      return "does not reach the store for " + lasting;
    case fault_kind::store_away:
      return "and all others do not reach the store for " + lasting;
    case fault_kind::store_clock_forward:
      return "and all others have the store's clock set forward by " + lasting;
    case fault_kind::store_clock_back:
      return "and all others have the store's clock set back by " + lasting;
    case fault_kind::freeze_claimed:
      return "will freeze behind its next claim, for " + lasting;
    }
    return "has a fault";
  }();
  return one.node + " " + what;
}

} // namespace fermata::sim
