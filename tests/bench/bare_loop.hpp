#pragma once

#include "plain_lmdb.hpp"
#include "workload.hpp"

#include <memory>
#include <span>

namespace fermata::bench {

/// The actors of a runtime with nothing in them: a directory, one for each session, and a journal
/// on its own thread, which write the bytes of commits with plain LMDB. What is left of a resume's
/// processor time when there are no plans, JSON, agents and records: messages, threads and LMDB.
class bare_loop {
public:
  /// `writes` must outlive it.
  bare_loop(plain_lmdb& writes, std::size_t sessions);
  ~bare_loop();

  /// A resume for each of the shapes, in all sessions at once, which take turns. Throws what the
  /// journal could not write.
  effort run(std::span<const commit_shape> shapes);

private:
  class loop;
  std::unique_ptr<loop> loop_;
};

} // namespace fermata::bench
