# Checks that what reads and writes a struct is compiled once: that no two object files of the libraries have the table of
# the same struct, or one of their own that no linker merges. See CONTRIBUTING.md, "Rules".
#
#   cmake -D NM=nm -D "LIBRARIES=a.a;b.a" -P compiled_once.cmake
cmake_minimum_required(VERSION 3.25)

set(_tables)
foreach(_library IN LISTS LIBRARIES)
  execute_process(COMMAND "${NM}" -C --defined-only "${_library}"
    OUTPUT_VARIABLE _symbols ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL " [A-Za-z] fermata::detail::struct_codec<[^\n]*>::table\\(\\)::fields\n" _found "${_symbols}")
  list(FILTER _found EXCLUDE REGEX "anonymous namespace") # these are a source's own
  list(APPEND _tables ${_found})
endforeach()

list(LENGTH _tables _count)
if(_count LESS 100)
  message(FATAL_ERROR "${_count} structs have a table in ${LIBRARIES}: this test looks for the wrong thing")
endif()
foreach(_table IN LISTS _tables)
  string(REGEX REPLACE " ([A-Za-z]) fermata::detail::struct_codec<(.*)>::table.*" "\\1;\\2" _parts "${_table}")
  list(GET _parts 0 _kind)
  list(GET _parts 1 _struct)
  if(NOT _kind MATCHES "^[uVW]$")
    message(SEND_ERROR "each object file has a table of ${_struct} of its own")
  elseif(_struct IN_LIST _seen)
    message(SEND_ERROR "the table of ${_struct} is compiled twice: its header lacks `extern template struct struct_codec<...>;`")
  endif()
  list(APPEND _seen "${_struct}")
endforeach()
