# Writes OUTPUT, the C++ table of the mutations in FOLDER.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/mutation_file.cmake")

set(_rows)
file(GLOB _files "${FOLDER}/*.mutation")
foreach(_file IN LISTS _files)
  fermata_read_mutation("${_file}")
  string(TOLOWER "${mutation_shares_store}" _shares_store)
  string(APPEND _rows "    {\"${mutation_name}\", \"${mutation_breaks}\", R\"~(${mutation_what})~\", ${mutation_found_within},
     ${_shares_store}},\n")
endforeach()
fermata_write_if_different("${OUTPUT}" "// Made by tests/mutations/list.cmake.
#include <mutation.hpp>

namespace fermata::test {

std::span<const mutation> all_mutations() noexcept {
  static constexpr mutation all[] = {
${_rows}  };
  return all;
}

} // namespace fermata::test
")
