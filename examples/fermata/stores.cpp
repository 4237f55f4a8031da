#include "stores.hpp"

#include "inputs.hpp"

#include <fermata/storage/lmdb_store.hpp>

namespace fermata::command_line {

result<std::filesystem::path> locate_store(const std::string& given) {
  if (!given.empty())
    return std::filesystem::path{given};
  if (const auto named = environment_variable("FERMATA_STORE"); !named.empty())
    return std::filesystem::path{named};
  // The XDG Base Directory Specification: a relative path is to be ignored.
  std::filesystem::path data = environment_variable("XDG_DATA_HOME");
  if (!data.is_absolute()) {
    const auto home = environment_variable("HOME");
    if (home.empty())
      return make_error(errc::store_unavailable,
                        "there is no HOME to keep the store in; name one with --store DIR or "
                        "FERMATA_STORE");
    data = std::filesystem::path{home} / ".local" / "share";
  }
  return data / "fermata" / "store";
}

result<std::shared_ptr<store>> open_store(const std::filesystem::path& folder,
                                          store_purpose purpose) {
  lmdb_options options;
  options.access =
      purpose == store_purpose::query ? store_access::read_only : store_access::read_write;
  options.create = purpose == store_purpose::create;
  auto opened = lmdb_store::open(folder, options);
  if (!opened)
    return std::move(opened.error());
  return std::shared_ptr<store>{std::move(*opened)};
}

} // namespace fermata::command_line
