#pragma once

#include <fermata/storage/store.hpp>

#include <map>
#include <string>
#include <vector>

namespace fermata::test {

/// What a store holds, as plainly as it can be said: the model that random histories are compared
/// with. It knows of no garbage, as nobody is to see any.
class plain_store {
public:
  /// Whether a store would write this commit.
  bool write(const commit& change);

  /// As `dump` of a store that holds the same.
  [[nodiscard]] std::string dump() const;

private:
  struct session {
    std::string id;
    std::map<std::uint64_t, std::string> events; ///< By their numbers; those that are kept.
    std::uint64_t last_event = 0;
    unsigned status = 0;
    std::map<record_key, std::string> records;
    std::map<std::uint64_t, std::string> pending;
    std::map<std::pair<std::int64_t, std::uint64_t>, bool> timers;
  };
  struct journal_entry {
    session_number session = 0;
    std::uint64_t event = 0;
  };

  static void apply(const commit& change, session& to);

  std::map<session_number, session> sessions_;
  std::vector<journal_entry> journal_;
  session_number next_ = 1;
};

} // namespace fermata::test
