#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <free_port.hpp>
#include <temporary_directory.hpp>

#include <future>
#include <tuple>

namespace fermata::bench {

namespace {

constexpr std::size_t subtasks = 500;

/// Two nodes in this process, which share its processors.
class pair_of_nodes {
public:
  explicit pair_of_nodes(const std::filesystem::path& directory) {
    members_.cluster = must(node_name::parse("bench"));
    for (const auto* name : {"near", "far"})
      members_.members.emplace_back(must(node_name::parse(name)), "127.0.0.1", test::free_port());
    far_ = start("far", directory);
    near_ = start("near", directory);
    must(reached_.get_future().get());
  }

  [[nodiscard]] runtime& near() { return near_->local(); }
  [[nodiscard]] runtime& far() { return far_->local(); }

  /// Sessions that live on the far one.
  [[nodiscard]] std::vector<session_id> ids(const std::string& prefix, std::size_t count) const {
    std::vector<session_id> found;
    for (std::size_t number = 1; found.size() < count; ++number)
      if (auto id = numbered(prefix, number); home_of(members_, id).name.str() == "far")
        found.push_back(std::move(id));
    return found;
  }

private:
  std::unique_ptr<cluster_node> start(const std::string& name,
                                      const std::filesystem::path& directory) {
    cluster_options net;
    net.name = must(node_name::parse(name));
    net.members = members_;
    if (name == "near")
      net.on_contact = [this](const peer_report& report) {
        if (report.state == contact_state::connected && !std::exchange(is_reached_, true))
          reached_.set_value(caf::error{});
      };
    auto made = std::make_unique<cluster_node>(
        std::move(net), options_over(must(lmdb_store::open(directory / name))));
    must(made->start());
    return made;
  }

  member_list members_;
  std::promise<caf::error> reached_;
  bool is_reached_ = false;
  std::unique_ptr<cluster_node> far_;
  std::unique_ptr<cluster_node> near_;
};

/// Resumes of the same node's sessions, by itself and by way of the other one.
struct sides {
  std::vector<double> here;
  std::vector<double> forwarded;
};

std::vector<measurement> run_cluster(const context& in) {
  const auto count = in.sessions_or(1'000);
  const auto resumes = in.scaled(10'000);
  const test::temporary_directory folder{in.directory};
  pair_of_nodes nodes{folder.path()};
  workload here{nodes.far(), nodes.ids("here-", count), subtasks};
  workload forwarded{nodes.near(), nodes.ids("sent-", count), subtasks};
  sides rate;
  sides latency;
  for (std::size_t round = 0; round < in.rounds + 1; ++round) {
    for (auto [work, rates, latencies] :
         {std::tuple{&here, &rate.here, &latency.here},
          std::tuple{&forwarded, &rate.forwarded, &latency.forwarded}}) {
      const auto took = work->run(resumes, std::min<std::size_t>(count, 100));
      std::vector<double> alone;
      for (std::size_t i = 0; i < in.scaled(300); ++i)
        alone.push_back(work->resume_one(i % work->size()));
      if (round == 0)
        continue; // to warm up
      rates->push_back(static_cast<double>(resumes) / took.wall);
      latencies->push_back(median(alone));
    }
  }
  return {measurement{"forwarded, 100 in flight", "resumes/s", rate.forwarded}.against(
              rate.forwarded, rate.here, "given to the session's own node"),
          measurement{"forwarded, alone", "us", latency.forwarded}.against(
              latency.forwarded, latency.here, "given to the session's own node")};
}

} // namespace

const subject cluster{"cluster", "Resumes that go through another node of this machine.",
                      run_cluster};

} // namespace fermata::bench
