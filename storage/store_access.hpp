#pragma once

#include <cstdint>

namespace fermata {

/// Who may use a store that is open: its one owner writes; readers come and go beside it.
enum class store_access : std::uint8_t { read_write, read_only };

} // namespace fermata
