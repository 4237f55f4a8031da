#include "stored_sessions.hpp"
#include "subjects.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <temporary_directory.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <atomic>

namespace fermata::bench {

namespace {

/// Reads a session's chunks as they come.
struct reader_state {
  caf::actor directory;
  session_id session;
  std::atomic<std::size_t>* chunks = nullptr;
};
using reader_actor = caf::stateful_actor<reader_state>;

void read_from(reader_actor* self, std::uint64_t first) {
  self->request(self->state.directory, caf::infinite, follow_chunks{self->state.session, first})
      .then(
          [self](const chunk_batch& batch) {
            *self->state.chunks += batch.chunks.size();
            read_from(self, batch.chunks.back().number + 1);
          },
          [self](const caf::error&) { self->quit(); });
}

caf::behavior reader(reader_actor* self, const caf::actor& directory, const session_id& session,
                     std::uint64_t first, std::atomic<std::size_t>* chunks) {
  self->state = {directory, session, chunks};
  read_from(self, first);
  return {[](int) {}};
}

/// All sessions of a runtime, followed or not.
class audience {
public:
  audience(const std::filesystem::path& directory, const std::vector<session_id>& ids)
      : system_{configured()}, runtime_{system_, options_over(must(lmdb_store::open(directory)))},
        ids_{ids} {
    runtime_.start();
    work_.emplace(runtime_, ids, active_subtasks);
  }

  /// Resumes a second.
  double run(std::size_t resumes, std::size_t under_way) {
    return static_cast<double>(resumes) / work_->run(resumes, under_way).wall;
  }

  double run_watched(std::size_t resumes, std::size_t under_way) {
    std::atomic<std::size_t> told{0};
    std::vector<event_watch> watches;
    for (const auto& id : ids_)
      watches.push_back(runtime_.session(id).watch([&told](std::uint64_t) { ++told; }));
    const auto rate = run(resumes, under_way);
    watches.clear();
    expect(told > 0, "watchers are told");
    return rate;
  }

  double run_read(std::size_t resumes, std::size_t under_way) {
    std::vector<caf::actor> readers;
    for (const auto& id : ids_)
      readers.push_back(system_.spawn(reader, runtime_.directory(), id,
                                      must(runtime_.session(id).status()).events + 1, &chunks_));
    const auto rate = run(resumes, under_way);
    for (const auto& one : readers)
      caf::anon_send_exit(one, caf::exit_reason::kill);
    expect(chunks_ > 0, "readers get chunks");
    return rate;
  }

private:
  caf::actor_system_config& configured() {
    configure(config_);
    config_.set("scheduler.policy", caf::atom("sharing"));
    return config_;
  }

  caf::actor_system_config config_;
  caf::actor_system system_;
  std::atomic<std::size_t> chunks_{0};
  runtime runtime_;
  std::vector<session_id> ids_;
  std::optional<workload> work_;
};

std::vector<measurement> run_subscribers(const context& in) {
  const auto followed = in.scaled(10'000);
  const auto under_way = in.sessions_or(1'000);
  const auto resumes = followed;
  const test::temporary_directory folder{in.directory};
  const auto ids = numbered_ids("s-", followed);
  {
    const auto kept = must(lmdb_store::open(folder.path() / "store"));
    const template_session active{calling_plan(active_subtasks)};
    bulk_writer writer{*kept};
    for (const auto& id : ids)
      writer.add(active.copy(id));
    writer.flush();
  }
  audience of{folder.path() / "store", ids};
  of.run(resumes, under_way); // warm: all are resident
  std::vector<double> nobody;
  std::vector<double> watched;
  std::vector<double> read;
  for (std::size_t i = 0; i < in.rounds; ++i) {
    nobody.push_back(of.run(resumes, under_way));
    watched.push_back(of.run_watched(resumes, under_way));
    read.push_back(of.run_read(resumes, under_way));
  }
  const auto count = std::to_string(followed);
  return {measurement{count + " watched", "resumes/s", watched}.against(watched, nobody,
                                                                        "not watched; >= 0.80"),
          measurement{count + " read by an actor each", "resumes/s", read}.against(
              read, nobody, "not read; >= 0.80")};
}

} // namespace

const subject subscribers{"subscribers", "Resumes of sessions that are all followed.",
                          run_subscribers};

} // namespace fermata::bench
