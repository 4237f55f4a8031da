# Fails unless PROGRAM, started by LAUNCHER if that is not empty, ends well and prints what is in EXPECTED. ARGUMENTS are
# the folders that it makes.

if(NOT "${ARGUMENTS}" STREQUAL "")
  file(REMOVE_RECURSE ${ARGUMENTS})
endif()
execute_process(COMMAND ${LAUNCHER} "${PROGRAM}" ${ARGUMENTS}
  INPUT_FILE /dev/null OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${status}:\n${output}\n${errors}")
endif()
file(READ "${EXPECTED}" expected)
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM} does not print what is in ${EXPECTED}, but:\n${output}")
endif()
