# Fails unless the README's examples are true: its C++ stands word for word in EXAMPLE, which is built and run by other
# tests, its plan is one that the fermata COMMAND accepts, and so is its approval policy.

file(READ "${README}" whole)

# The first block of a language in the section with this heading.
function(read_block heading language result)
  string(FIND "${whole}" "\n## ${heading}\n" section)
  if(section EQUAL -1)
    message(FATAL_ERROR "${README} has no section ${heading}")
  endif()
  string(SUBSTRING "${whole}" ${section} -1 text)
  set(fence "```${language}\n")
  string(FIND "${text}" "${fence}" begin)
  if(begin EQUAL -1)
    message(FATAL_ERROR "${README} shows no ${language} under ${heading}")
  endif()
  string(LENGTH "${fence}" length)
  math(EXPR begin "${begin} + ${length}")
  string(SUBSTRING "${text}" ${begin} -1 block)
  string(FIND "${block}" "```" end)
  string(SUBSTRING "${block}" 0 ${end} block)
  set(${result} "${block}" PARENT_SCOPE)
endfunction()

read_block("Embedding" cpp code)
file(READ "${EXAMPLE}" example)
string(FIND "${example}" "${code}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "This part of ${README} is not in ${EXAMPLE}:\n${code}")
endif()

read_block("Plan files" json plan)
set(folder "${CMAKE_CURRENT_BINARY_DIR}/readme_example")
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
file(WRITE "${folder}/plan.json" "${plan}")
execute_process(COMMAND "${COMMAND}" run "${folder}/plan.json" --store "${folder}/store" --workspace "${folder}" --json
  INPUT_FILE /dev/null OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 3)
  message(FATAL_ERROR "The plan in ${README} does not stop at its approval (exit status ${status}):\n${output}")
endif()

read_block("Approval policies" json policy)
file(WRITE "${folder}/policy.json" "${policy}")
execute_process(COMMAND "${COMMAND}" policy check "${folder}/policy.json" --json
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "The policy in ${README} is refused (exit status ${status}):\n${output}")
endif()
