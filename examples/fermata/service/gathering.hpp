#pragma once

#include "http.hpp"
#include "node_question.hpp"
#include "routes.hpp"

#include <fermata/messages/cluster.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace fermata::service {

/// Puts a list over all sessions together of those that the nodes have, a page at a time: node by
/// node in the order of the member list. Without sockets; whoever has it asks the nodes.
///
///     while (const auto* node = all.node())
///       all.take(ask(*node, all.question()));
///     respond(all.response());
class gathering {
public:
  gathering(gather_order order, const member_list& members);

  /// Who is to be asked next; null: nobody, and the response is there.
  [[nodiscard]] const cluster_member* node() const;

  /// What it is to be asked: its own list, from where this page begins, with what there is room
  /// for.
  [[nodiscard]] node_question question() const;

  /// Takes the answer, or the error why there is none. With `shutting_down`, which is of this node
  /// itself, there is no list.
  void take(result<node_answer> given, const redactor& redaction);

  [[nodiscard]] http_response response() const;

private:
  void refuse(http_response with);
  void take_page(const node_answer& page);
  void next_node();

  gather_order order_;
  const member_list* members_;
  std::size_t place_ = 0;
  std::string cursor_; ///< Within the node's list; empty: from its beginning.
  std::string next_;   ///< Where the next page begins; empty: there is none.
  json items_ = json::array();
  json missing_ = json::array();
  json damaged_ = json::array();
  std::size_t size_bytes_ = 0;
  bool is_over_ = false;
  std::optional<http_response> refusal_;
};

} // namespace fermata::service
