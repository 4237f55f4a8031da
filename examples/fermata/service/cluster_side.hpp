#pragma once

#include "node_question.hpp"
#include "stream_inbox.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/redaction.hpp>
#include <fermata/storage/store.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::service {

/// What a service has to do with the other nodes of its cluster: it answers theirs from the store
/// of this node, and asks them what is stored there. Made before the node, which calls `answer` and
/// `contact_changed`, and outlives it. All calls from any thread, but for `begin`.
class cluster_side {
public:
  explicit cluster_side(redactor redaction) : redaction_{std::move(redaction)} {}

  /// Before the node starts. Borrows both.
  void begin(cluster_node& node, store& of_node) {
    node_ = &node;
    store_ = &of_node;
  }

  /// All nodes have the same sessions: nobody need be asked for what another one has.
  [[nodiscard]] bool shares_store() const { return node_->shares_store(); }

  [[nodiscard]] cluster_node& node() const noexcept { return *node_; }

  /// The node that has a session; null: this one.
  [[nodiscard]] const node_name* elsewhere(const session_id& session) const;

  /// Asks the service of another node. The callback is called once, on a thread of the node or the
  /// caller's own; it must not block. Errors: those of `cluster_node::request`.
  void ask(const node_name& node, const node_question& what,
           std::function<void(result<node_answer>)> callback) const;

  /// Answers another node: `cluster_options::on_request`. Errors: those of the store, for pieces
  /// and positions; `invalid_field` for what is no question.
  [[nodiscard]] result<std::string> answer(const std::string& bytes) const;

  /// How this node stands with another one: `cluster_options::on_contact`. Streams of sessions that
  /// live there look whether they can go on.
  void contact_changed(const peer_report& report);

  /// The inbox of a stream of a session that lives on another node, until it `leave`s.
  void enter(const node_name& node, std::shared_ptr<stream_inbox> inbox);
  void leave(const node_name& node, const std::shared_ptr<stream_inbox>& inbox);

  /// What `/v1/cluster` shows.
  [[nodiscard]] json describe(const std::vector<member_status>& members) const;

  /// What this node has itself, as it would answer another one.
  [[nodiscard]] node_answer answer_here(const node_question& question) const {
    return answer_route(question);
  }

private:
  [[nodiscard]] node_answer answer_route(const node_question& question) const;
  [[nodiscard]] result<node_answer> answer_piece(const node_question& question) const;
  [[nodiscard]] result<node_answer> answer_position(const node_question& question) const;

  redactor redaction_;
  cluster_node* node_ = nullptr;
  store* store_ = nullptr;
  std::mutex mutex_;
  std::map<node_name, std::vector<std::shared_ptr<stream_inbox>>> inboxes_;
};

} // namespace fermata::service
