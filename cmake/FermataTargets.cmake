# What every target of this project shares: the include links, the language level and the warnings.

# Everyone writes <fermata/LAYER/...>, inside and outside: the build links the layers' folders under one include root.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/include/fermata")
set(FERMATA_LAYERS messages storage actors)
foreach(_layer IN LISTS FERMATA_LAYERS)
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${_layer}" "${PROJECT_BINARY_DIR}/include/fermata/${_layer}" SYMBOLIC)
endforeach()

# Compile and link options of our own targets; never exported to users.
add_library(fermata_build_options INTERFACE)
target_compile_options(fermata_build_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion
  # Where several sources are compiled as one, what one has for itself looks like a global or a header's to the next.
  $<IF:$<BOOL:${CMAKE_UNITY_BUILD}>,-Wshadow=local;-Wno-subobject-linkage,-Wshadow>
  $<$<BOOL:${FERMATA_WARNINGS_AS_ERRORS}>:-Werror>)
# g++ collects garbage once it has so many KB: never, of what is compiled here, which saves a tenth of the time.
target_compile_options(fermata_build_options INTERFACE
  "$<$<CXX_COMPILER_ID:GNU>:SHELL:--param ggc-min-heapsize=2000000>")
if(FERMATA_SANITIZE)
  # Using a null pointer faults without the check for it, which takes a third of the time to build; most of what leaves an object
  # meets AddressSanitizer, and the three other checks take a fifth. Alignment is checked in the storage only
  # (fermata_check_alignment), where bytes are taken for objects.
  # g++ 12 takes the checks for uses of what is not initialised: that is for a build without them to see.
  target_compile_options(fermata_build_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize=null,alignment,object-size,pointer-overflow -fno-sanitize-recover=all
    -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  target_link_options(fermata_build_options INTERFACE -fsanitize=address,undefined)
endif()

# For a library to link after fermata_build_options, whose options it overrides.
add_library(fermata_check_alignment INTERFACE)
if(FERMATA_SANITIZE)
  target_compile_options(fermata_check_alignment INTERFACE -fsanitize=alignment)
endif()

# fermata_add_library(NAME SOURCES ... LIBRARIES ...)
# A static library fermata_NAME, known to users as fermata::NAME.
function(fermata_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_library(fermata_${name} STATIC ${arg_SOURCES})
  add_library(fermata::${name} ALIAS fermata_${name})
  set_target_properties(fermata_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(fermata_${name} PUBLIC cxx_std_20)
  target_include_directories(fermata_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(fermata_${name} PUBLIC ${arg_LIBRARIES} PRIVATE $<BUILD_INTERFACE:fermata_build_options>)
endfunction()
