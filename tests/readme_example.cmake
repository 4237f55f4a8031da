# Fails unless the README's examples are true: its C++ stands word for word in EXAMPLE, which is built and run by other
# tests, and its plan is one that the fermata COMMAND accepts.

file(READ "${README}" text)

function(read_block language result)
  set(fence "```${language}\n")
  string(FIND "${text}" "${fence}" begin)
  if(begin EQUAL -1)
    message(FATAL_ERROR "${README} shows no ${language}")
  endif()
  string(LENGTH "${fence}" length)
  math(EXPR begin "${begin} + ${length}")
  string(SUBSTRING "${text}" ${begin} -1 block)
  string(FIND "${block}" "```" end)
  string(SUBSTRING "${block}" 0 ${end} block)
  set(${result} "${block}" PARENT_SCOPE)
endfunction()

read_block(cpp code)
file(READ "${EXAMPLE}" example)
string(FIND "${example}" "${code}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "This part of ${README} is not in ${EXAMPLE}:\n${code}")
endif()

read_block(json plan)
set(folder "${CMAKE_CURRENT_BINARY_DIR}/readme_example")
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
file(WRITE "${folder}/plan.json" "${plan}")
execute_process(COMMAND "${COMMAND}" run "${folder}/plan.json" --store "${folder}/store" --workspace "${folder}" --json
  INPUT_FILE /dev/null OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 3)
  message(FATAL_ERROR "The plan in ${README} does not stop at its approval (exit status ${status}):\n${output}")
endif()
