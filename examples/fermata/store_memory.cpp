#include "store_memory.hpp"

#include "inputs.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

namespace fermata::command_line {

namespace {

std::filesystem::path prepared(const std::filesystem::path& kept) {
  return kept.string() + ".new";
}

/// Makes what a file or a folder has now outlast a power cut. Sets errno.
bool synced(const std::filesystem::path& path) {
  const file_descriptor opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  return opened && ::fsync(opened.get()) == 0;
}

caf::error keep_one(const std::filesystem::path& kept) {
  std::error_code error;
  std::filesystem::rename(prepared(kept), kept, error);
  if (error)
    return make_error(errc::io_error, kept.string() + ": cannot be replaced: " + error.message());
  const auto folder = kept.parent_path();
  if (!synced(folder))
    return make_error(errc::io_error,
                      folder.string() + ": cannot be synced: " + std::strerror(errno));
  return caf::none;
}

} // namespace

result<std::optional<chosen_file>> choose_file(const file_choice& choice,
                                               const std::filesystem::path& store) {
  chosen_file chosen;
  chosen.name = choice.given.empty() ? environment_variable(choice.variable) : choice.given;
  chosen.is_remembered = chosen.name.empty();
  if (chosen.is_remembered) {
    chosen.name = (store / choice.remembered).string();
    if (std::error_code ignored; !std::filesystem::exists(chosen.name, ignored))
      return std::optional<chosen_file>{};
  }
  auto text = read_text(chosen.name, choice.limit_bytes);
  if (!text)
    return std::move(text.error());
  chosen.text = std::move(*text);
  return std::optional{std::move(chosen)};
}

store_memory& store_memory::operator=(store_memory&& other) noexcept {
  std::swap(kept_, other.kept_);
  return *this;
}

store_memory::~store_memory() {
  forget();
}

void store_memory::forget() noexcept {
  std::error_code ignored;
  for (const auto& one : kept_)
    std::filesystem::remove(prepared(one), ignored);
}

caf::error store_memory::prepare(const std::filesystem::path& store, const std::string& name,
                                 const std::string& text) {
  const auto kept = store / name;
  // Where a database is may come with its password.
  const file_descriptor made{::open(prepared(kept).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  std::ofstream out{prepared(kept), std::ios::binary | std::ios::trunc};
  out << text << std::flush;
  if (!out || !synced(prepared(kept)))
    return make_error(errc::io_error,
                      prepared(kept).string() + ": cannot be written: " + std::strerror(errno));
  kept_.push_back(kept);
  return caf::none;
}

caf::error store_memory::keep() {
  while (!kept_.empty()) {
    if (auto error = keep_one(kept_.back()))
      return error;
    kept_.pop_back();
  }
  return caf::none;
}

} // namespace fermata::command_line
