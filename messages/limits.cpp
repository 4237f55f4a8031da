#include <fermata/messages/limits.hpp>

namespace fermata {

caf::error check_limit(std::string_view limit_name, std::size_t size, std::size_t limit) {
  if (size <= limit)
    return caf::none;
  return make_error(errc::limit_exceeded, std::string{limit_name} + " is " + std::to_string(limit)
                                              + ", this has " + std::to_string(size));
}

} // namespace fermata
