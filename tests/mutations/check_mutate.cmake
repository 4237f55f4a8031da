# Whether mutate.cmake puts the text of a mutation into a source as it stands, and refuses one that does not fit. FOLDER is made
# anew.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${FOLDER}")

# mutate(NAME): mutates FOLDER/NAME/source.cpp by the mutations beside it; sets status, and errors.
function(mutate name)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -D "ROOT=${FOLDER}/${name}" -D SOURCE=source.cpp -D "FOLDER=${FOLDER}/${name}"
      -D "OUTPUT=${FOLDER}/${name}/copy.cpp" -P "${CMAKE_CURRENT_LIST_DIR}/mutate.cmake"
    RESULT_VARIABLE _status ERROR_VARIABLE _errors)
  # CMake breaks the lines of a message where it likes.
  string(REGEX REPLACE "[ \n]+" " " _errors "${_errors}")
  set(status "${_status}" PARENT_SCOPE)
  set(errors "${_errors}" PARENT_SCOPE)
endfunction()

# expect_copy(NAME TEXT)
function(expect_copy name text)
  mutate(${name})
  if(NOT status EQUAL 0)
    message(SEND_ERROR "${name}: ${errors}")
    return()
  endif()
  file(READ "${FOLDER}/${name}/copy.cpp" _copy)
  string(FIND "${_copy}" "${text}" _at)
  if(_at EQUAL -1)
    message(SEND_ERROR "${name}: the copy does not have\n${text}\nbut is\n${_copy}")
  endif()
endfunction()

# expect_refusal(NAME TEXT)
function(expect_refusal name text)
  mutate(${name})
  string(FIND "${errors}" "${text}" _at)
  if(status EQUAL 0 OR _at EQUAL -1)
    message(SEND_ERROR "${name}: the error is not \"${text}\" but \"${errors}\"")
  endif()
endfunction()

set(_fields "what: A \"defect\"; with [brackets]\nbreaks: P1\nfound within: 3\n")
# What CMake takes for lists, brackets, escapes, references and comments.
set(_tricky [=[
  std::string text = "a;b\;c [[x]] [=[ ${y} @z@ \\ \" # $<q>";
  auto f = [&](int i) { return a[b[i]]; };
]=])

file(WRITE "${FOLDER}/tricky/source.cpp" "before();\n${_tricky}after();\n")
file(WRITE "${FOLDER}/tricky/one.mutation"
  "${_fields}\nin: source.cpp\n--- original\n${_tricky}--- mutated\n  if (MUTATED) {\n${_tricky}}\n--- end\n")
expect_copy(tricky "\nbefore();\n  if (::fermata::test::mutated(\"one\")) {\n${_tricky}}\nafter();\n")

# The first and the last line of a source, by two mutations, of which one edits another source as well.
file(WRITE "${FOLDER}/two/source.cpp" "first();\nlast();\n")
file(WRITE "${FOLDER}/two/one.mutation" "${_fields}\nin: source.cpp\n--- original\nfirst();\n--- mutated\nMUTATED;\n--- end\n")
file(WRITE "${FOLDER}/two/other.mutation" "${_fields}\nin: source.cpp\n--- original\nlast();\n--- mutated\nMUTATED;\n--- end\n
in: elsewhere.cpp\n--- original\nx\n--- mutated\nMUTATED\n--- end\n")
expect_copy(two "\n::fermata::test::mutated(\"one\");\n::fermata::test::mutated(\"other\");\n")

# One that is looked for in other worlds.
file(WRITE "${FOLDER}/shared/source.cpp" "only();\n")
file(WRITE "${FOLDER}/shared/one.mutation"
  "${_fields}worlds: shared store\n\nin: source.cpp\n--- original\nonly();\n--- mutated\nMUTATED;\n--- end\n")
expect_copy(shared "\n::fermata::test::mutated(\"one\");\n")

function(write_mutation name source original mutated)
  file(WRITE "${FOLDER}/${name}/source.cpp" "${source}")
  file(WRITE "${FOLDER}/${name}/one.mutation" "${_fields}\nin: source.cpp\n--- original\n${original}--- mutated\n${mutated}--- end\n")
endfunction()

write_mutation(missing "a;\n" "b;\n" "MUTATED;\n")
expect_refusal(missing "source.cpp does not have the lines that it replaces")
write_mutation(part_of_a_line "  a;\n" "a;\n" "MUTATED;\n")
expect_refusal(part_of_a_line "source.cpp does not have the lines that it replaces")
write_mutation(twice "a;\na;\n" "a;\n" "MUTATED;\n")
expect_refusal(twice "source.cpp has the lines that it replaces more than once")
write_mutation(no_switch "a;\n" "a;\n" "b;\n")
expect_refusal(no_switch "does not depend on MUTATED")
write_mutation(same_lines "a;\n" "a;\n" "MUTATED;\n")
file(COPY_FILE "${FOLDER}/same_lines/one.mutation" "${FOLDER}/same_lines/other.mutation")
expect_refusal(same_lines "another mutation of source.cpp replaces the same lines")
write_mutation(no_end "a;\n" "a;\n" "MUTATED;\n")
file(WRITE "${FOLDER}/no_end/one.mutation" "${_fields}\nin: source.cpp\n--- original\na;\n--- mutated\nMUTATED;\n")
expect_refusal(no_end "\"--- end\" is missing")
write_mutation(no_edit "a;\n" "a;\n" "MUTATED;\n")
file(WRITE "${FOLDER}/no_edit/one.mutation" "${_fields}")
expect_refusal(no_edit "it edits nothing")
write_mutation(elsewhere "a;\n" "a;\n" "MUTATED;\n")
file(WRITE "${FOLDER}/elsewhere/one.mutation" "${_fields}worlds: other\n\nin: source.cpp\n--- original\na;\n--- mutated\nMUTATED;\n--- end\n")
expect_refusal(elsewhere "\"worlds: other\" is not \"worlds: shared store\"")
write_mutation(no_number "a;\n" "a;\n" "MUTATED;\n")
file(WRITE "${FOLDER}/no_number/one.mutation" "what: x\nbreaks: P1\nfound within: soon\n")
expect_refusal(no_number "is no number of seeds")
