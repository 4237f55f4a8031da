// A file is an export of a session, or is refused; what is taken is exported and imported as the
// same again.
#include "require.hpp"

#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_export.hpp>

#include <sstream>
#include <string>

using namespace fermata;

namespace {

result<imported_session> import_text(store& into, const std::string& text) {
  std::istringstream lines{text};
  import_options options;
  options.accept_edited = true; // or nothing would get through
  return import_session(into, lines_of(lines), options);
}

std::string exported(store& from, const session_id& session) {
  std::string text;
  const auto view = from.read();
  fuzz::require(view.engaged(), "what was imported can be read");
  const auto done = export_view(**view, session, [&](std::string_view line) -> caf::error {
    text += line;
    return caf::none;
  });
  fuzz::require(done.engaged(), "what was imported is exported");
  return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memory_store first;
  const auto read = import_text(first, {reinterpret_cast<const char*>(data), size});
  if (!read)
    return 0;
  fuzz::require(first.verify().sound(), "what was imported is sound");
  const auto text = exported(first, read->session);
  memory_store second;
  fuzz::require(import_text(second, text).engaged(), "an export is imported");
  fuzz::require(exported(second, read->session) == text, "an export is the same after an import");
  return 0;
}
