#pragma once

#include <fermata/actors/sim/campaign.hpp>

#include <chrono>
#include <string>

namespace fermata::command_line {

/// Shows on standard error how far a campaign is, in one line that is drawn over and over. Draws
/// nothing where that is no terminal, and clears the line in the end.
class progress_bar {
public:
  /// `wanted`: false draws nothing.
  explicit progress_bar(bool wanted);
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// Takes next to no time where the line was drawn a moment ago.
  void draw(const sim::campaign_options& of, const sim::campaign_report& so_far,
            std::uint64_t next);

  /// What is drawn, without the control characters; `columns` wide at most.
  [[nodiscard]] static std::string line(const sim::campaign_options& of,
                                        const sim::campaign_report& so_far, std::uint64_t next,
                                        std::size_t columns);

private:
  bool draws_;
  std::chrono::steady_clock::time_point drawn_at_;
};

} // namespace fermata::command_line
