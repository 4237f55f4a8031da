# Finds RE2, for which Debian 12 ships a pkg-config file but no CMake package.
#
# Defines RE2_FOUND and the imported target RE2::RE2. Set RE2_ROOT to look in another prefix. Newer versions of RE2
# need Abseil and ship a CMake package that says so; that package is preferred where it exists.

find_package(re2 CONFIG QUIET)
if(TARGET re2::re2)
  set(_re2_target re2::re2)
else()
  find_path(RE2_INCLUDE_DIR NAMES re2/re2.h)
  find_library(RE2_LIBRARY NAMES re2)
  set(_re2_required RE2_LIBRARY RE2_INCLUDE_DIR)
endif()

include(FindPackageHandleStandardArgs)
if(_re2_target)
  find_package_handle_standard_args(RE2 REQUIRED_VARS _re2_target)
else()
  find_package_handle_standard_args(RE2 REQUIRED_VARS ${_re2_required})
endif()

if(RE2_FOUND AND NOT TARGET RE2::RE2)
  if(_re2_target)
    add_library(RE2::RE2 INTERFACE IMPORTED)
    target_link_libraries(RE2::RE2 INTERFACE ${_re2_target})
  else()
    find_package(Threads REQUIRED)
    add_library(RE2::RE2 UNKNOWN IMPORTED)
    set_target_properties(RE2::RE2 PROPERTIES
      IMPORTED_LOCATION "${RE2_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${RE2_INCLUDE_DIR}"
      INTERFACE_LINK_LIBRARIES Threads::Threads)
  endif()
endif()
unset(_re2_target)
mark_as_advanced(RE2_INCLUDE_DIR RE2_LIBRARY)
