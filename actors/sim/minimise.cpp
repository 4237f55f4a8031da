#include <fermata/actors/sim/minimise.hpp>

#include <algorithm>
#include <numeric>
#include <set>

namespace fermata::sim {

namespace {

/// The parts that are still needed, and the search for fewer.
class search {
public:
  search(std::size_t count, const fails_with& fails, std::size_t most_tests)
      : fails_{fails}, most_tests_{most_tests} {
    found_.parts.resize(count);
    std::iota(found_.parts.begin(), found_.parts.end(), std::size_t{0});
  }

  minimised run() {
    // Often what fails needs none of them.
    if (found_.parts.empty() || try_with({})) {
      found_.parts.clear();
      found_.is_minimal = true;
      return std::move(found_);
    }
    for (std::size_t pieces = std::min<std::size_t>(2, found_.parts.size());;) {
      if (found_.parts.size() <= 1) {
        // That it does not fail with none is known.
        found_.is_minimal = !exhausted_;
        break;
      }
      if (const auto next = reduce(pieces); next != 0) {
        pieces = std::min(next, found_.parts.size());
        continue;
      }
      if (exhausted_)
        break;
      if (pieces == found_.parts.size()) {
        found_.is_minimal = true;
        break;
      }
      pieces = std::min(2 * pieces, found_.parts.size());
    }
    return std::move(found_);
  }

private:
  /// Whether it fails with these; if so they are all that is needed.
  bool try_with(std::vector<std::size_t> parts) {
    if (asked_.contains(parts))
      return false;
    if (found_.tests == most_tests_) {
      exhausted_ = true;
      return false;
    }
    ++found_.tests;
    if (!fails_(parts)) {
      asked_.insert(std::move(parts));
      return false;
    }
    found_.parts = std::move(parts);
    return true;
  }

  /// Divides what is needed into so many pieces, and looks for a piece that is enough, or for one
  /// that is not needed. Into how many pieces to divide what is left then; 0: neither was found.
  std::size_t reduce(std::size_t pieces) {
    const auto parts = found_.parts;
    const auto begin_of = [&](std::size_t piece) {
      return parts.begin() + static_cast<std::ptrdiff_t>(piece * parts.size() / pieces);
    };
    for (std::size_t piece = 0; piece < pieces && !exhausted_; ++piece)
      if (try_with({begin_of(piece), begin_of(piece + 1)}))
        return 2;
    // Of two pieces each is all but the other.
    for (std::size_t piece = 0; piece < pieces && pieces > 2 && !exhausted_; ++piece) {
      std::vector<std::size_t> rest{parts.begin(), begin_of(piece)};
      rest.insert(rest.end(), begin_of(piece + 1), parts.end());
      if (try_with(std::move(rest)))
        return pieces - 1;
    }
    return 0;
  }

  const fails_with& fails_;
  std::size_t most_tests_;
  bool exhausted_ = false;
  std::set<std::vector<std::size_t>> asked_; ///< With which it does not fail.
  minimised found_;
};

} // namespace

minimised minimise(std::size_t count, const fails_with& fails, std::size_t most_tests) {
  return search{count, fails, most_tests}.run();
}

} // namespace fermata::sim
