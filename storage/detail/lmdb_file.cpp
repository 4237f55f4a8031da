#include <fermata/storage/detail/lmdb_file.hpp>

#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>

namespace fermata::detail {

namespace {

/// What the beginning of a meta page says: `MDB_page` and `MDB_meta` of LMDB 0.9 on a 64-bit
/// system, in the byte order of the machine.
struct meta_page {
  std::uint16_t page_flags = 0;
  std::uint32_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t page_size = 0;
  std::uint64_t free_root = 0;
  std::uint64_t main_root = 0;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};

constexpr std::size_t meta_size_bytes = 152;
constexpr std::uint16_t meta_page_flag = 0x08;
constexpr std::uint32_t lmdb_magic = 0xBEEFC0DE;
constexpr std::uint32_t lmdb_version = 1;
constexpr std::uint64_t no_page = ~std::uint64_t{0};
/// LMDB's limit on the pages that a transaction changes, `MDB_IDL_UM_MAX`.
constexpr std::uint64_t most_pages_of_a_transaction = (1 << 17) - 1;

template <class Number>
Number load(const std::array<char, meta_size_bytes>& data, std::size_t offset) {
  Number number{};
  std::memcpy(&number, data.data() + offset, sizeof number);
  return number;
}

bool read_meta(int descriptor, std::uint64_t offset, meta_page& meta) {
  std::array<char, meta_size_bytes> data{};
  if (::pread(descriptor, data.data(), data.size(), static_cast<off_t>(offset))
      != static_cast<ssize_t>(data.size()))
    return false;
  meta.page_flags = load<std::uint16_t>(data, 10);
  meta.magic = load<std::uint32_t>(data, 16);
  meta.version = load<std::uint32_t>(data, 20);
  meta.page_size = load<std::uint32_t>(data, 40);
  meta.free_root = load<std::uint64_t>(data, 80);
  meta.main_root = load<std::uint64_t>(data, 128);
  meta.last_page = load<std::uint64_t>(data, 136);
  meta.transaction = load<std::uint64_t>(data, 144);
  return true;
}

bool is_header(const meta_page& meta, const meta_page& first) {
  return (meta.page_flags & meta_page_flag) != 0 && meta.magic == lmdb_magic
         && meta.page_size == first.page_size && std::has_single_bit(meta.page_size)
         && meta.page_size >= 512 && meta.page_size <= 65536;
}

/// Only of the newest: LMDB takes a meta page that it could not write back by its number alone, and
/// leaves the new roots in it.
bool names_pages_that_exist(const meta_page& newest) {
  constexpr std::uint64_t most_pages = std::uint64_t{1} << 47;
  const auto within = [&](std::uint64_t root) {
    return root == no_page || root <= newest.last_page;
  };
  return newest.last_page < most_pages && within(newest.free_root) && within(newest.main_root);
}

result<file_state> check_once(int descriptor, const std::string& name) {
  meta_page first;
  meta_page second;
  if (!read_meta(descriptor, 0, first))
    return make_error(errc::store_corrupt,
                      name + " is shorter than the header that every store has");
  if (!is_header(first, first))
    return make_error(errc::store_corrupt, name + " does not begin like a store");
  if (first.version != lmdb_version)
    return make_error(errc::store_too_new, name + " has version " + std::to_string(first.version)
                                               + " of LMDB's format; this version reads version "
                                               + std::to_string(lmdb_version));
  if (!read_meta(descriptor, first.page_size, second) || !is_header(second, first))
    return make_error(errc::store_corrupt, "the second header of " + name + " is damaged");
  const auto& newest = first.transaction > second.transaction ? first : second;
  if (!names_pages_that_exist(newest))
    return make_error(errc::store_corrupt, "the newest header of " + name + " is damaged");
  const auto needed = (newest.last_page + 1) * newest.page_size;
  // The length is asked for last: a writer beside us makes the file longer before it says so.
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    return make_error(errc::store_unavailable,
                      name + " cannot be examined: " + std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size >= needed)
    return file_state::complete;
  // What was never written was allocated by one transaction, and those have a limit.
  if (needed - size > most_pages_of_a_transaction * newest.page_size)
    return make_error(errc::store_corrupt, name + " has " + std::to_string(size) + " bytes of the "
                                               + std::to_string(needed)
                                               + " that it says it has: it was truncated");
  return file_state::short_;
}

} // namespace

result<file_state> check_lmdb_file(const std::filesystem::path& file) {
  const file_descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!descriptor && errno == ENOENT)
    return file_state::absent;
  if (!descriptor)
    return make_error(errc::store_unavailable,
                      file.string() + " cannot be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor.get(), &status) == 0 && status.st_size == 0)
    return file_state::absent;
  // A writer beside us may be in the middle of a meta page: what is wrong twice more is wrong.
  auto state = check_once(descriptor.get(), file.string());
  for (int attempt = 0; attempt < 2 && !state; ++attempt)
    state = check_once(descriptor.get(), file.string());
  return state;
}

caf::error extend_lmdb_file(int descriptor, std::uint64_t size_bytes) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    return make_error(errc::io_error,
                      std::string{"the store cannot be examined: "} + std::strerror(errno));
  if (static_cast<std::uint64_t>(status.st_size) < size_bytes
      && ::ftruncate(descriptor, static_cast<off_t>(size_bytes)) != 0)
    return make_error(errc::io_error,
                      std::string{"the store cannot be extended: "} + std::strerror(errno));
  return caf::none;
}

} // namespace fermata::detail
