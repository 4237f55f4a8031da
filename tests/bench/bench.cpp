#include "bench.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>

namespace fermata::bench {

double processor_time() {
  timespec now{};
  expect(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "the processor's time can be read");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double own_memory() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:"))
      return std::stod(line.substr(8)) * 1024;
  throw std::runtime_error{"/proc/self/status has no RssAnon"};
}

spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

double median(std::vector<double> values) {
  return spread_of(std::move(values)).median;
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

measurement measurement::against(const std::vector<double>& values,
                                 const std::vector<double>& limits, std::string to_reach) && {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < values.size(); ++i)
    ratios.push_back(values[i] / limits[i]);
  limit = median(limits);
  ratio = median(std::move(ratios));
  reach = std::move(to_reach);
  return std::move(*this);
}

measurement measurement::against(double one_limit, std::string to_reach) && {
  limit = one_limit;
  ratio = value.median / one_limit;
  reach = std::move(to_reach);
  return std::move(*this);
}

} // namespace fermata::bench
