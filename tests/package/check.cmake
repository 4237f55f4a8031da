# Builds and runs the project in this folder.
#
#   cmake -D WAY=installed|subdirectory -D BUILD=<Fermata's build folder> -D SOURCE=<its source folder>
#         -D FLAGS=<compiler flags> -D COMPILER=<c++> -P check.cmake
#
# installed: against an installation of BUILD into a scratch prefix. subdirectory: with SOURCE as a part of the project.

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(folder "${BUILD}/package/${WAY}")
set(prefix "${BUILD}/package/prefix")
set(arguments -G Ninja -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_FLAGS=${FLAGS}" -D CMAKE_BUILD_TYPE=None)
if(LAUNCHER)
  list(APPEND arguments -D "CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
endif()

if(WAY STREQUAL "installed")
  file(REMOVE_RECURSE "${folder}" "${prefix}")
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
  run("${prefix}/bin/fermata" version)
  list(APPEND arguments -D "CMAKE_PREFIX_PATH=${prefix}")
else()
  # Kept between runs: it builds the libraries once more.
  list(APPEND arguments -D "FERMATA_SOURCE_DIR=${SOURCE}")
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${folder}" ${arguments})
run("${CMAKE_COMMAND}" --build "${folder}")
run("${folder}/embedded")
run("${folder}/coroutines")
run("${folder}/observed")
run("${folder}/stored")
