#include "recording.hpp"

#include "counting_store.hpp"
#include "workload.hpp"

#include <fermata/storage/memory_store.hpp>

#include <algorithm>

namespace fermata::bench {

recording::recording(std::size_t sessions, std::size_t rounds) {
  const auto counted = std::make_shared<counting_store>(std::make_shared<memory_store>());
  runtime rt{options_over(counted)};
  rt.start();
  counted->kept = &proposals;
  workload work{rt, numbered_ids("s-", sessions), rounds * 2};
  counted->kept = &resumes;
  work.run(sessions * rounds);
  rt.stop();
}

std::size_t recording::period() const {
  std::vector<std::size_t> recorded;
  std::size_t resume = 0;
  for (const auto& one : resumes) {
    if (one.session != resumes.front().session)
      continue;
    ++resume;
    if (!one.defers_records)
      recorded.push_back(resume);
  }
  expect(recorded.size() >= 2, "a session has written its records twice");
  return recorded[1] - recorded[0];
}

void write(store& to, std::span<const commit> commits, std::size_t batch) {
  for (; !commits.empty(); commits = commits.subspan(std::min(batch, commits.size())))
    for (const auto& outcome : to.write(commits.first(std::min(batch, commits.size()))))
      must(outcome.error);
}

} // namespace fermata::bench
