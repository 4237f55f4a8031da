# How a mutation is written down. One file NAME.mutation for each, which begins with its fields
#
#   what: The receipt goes out before the commit.   one line, for people
#   breaks: P1                                      the promise, or promises, of the README
#   found within: 20                                seeds of a campaign that are enough to find it
#   worlds: shared store                            where it is looked for; absent: where each node has a store of its own
#
# and has one edit or several of a source file. The text is whole lines, which the source has exactly once. What takes their
# place says MUTATED, which is true where the mutation is selected. It is best asked last: `mutants --check` does not run a mutation
# in worlds that do not ask for it.
#
#   in: actors/session.cpp
#   --- original
#     answer(to, with);
#   --- mutated
#     if (!MUTATED)
#       answer(to, with);
#   --- end

# fermata_cut(TEXT_VARIABLE MARKER FILE TAKEN_VARIABLE): moves the text before MARKER from one variable to another, and drops
# MARKER.
function(fermata_cut text_variable marker file taken_variable)
  set(_text "${${text_variable}}")
  string(FIND "${_text}" "${marker}" _at)
  if(_at EQUAL -1)
    string(STRIP "${marker}" _marker)
    message(FATAL_ERROR "${file}: \"${_marker}\" is missing")
  endif()
  string(SUBSTRING "${_text}" 0 ${_at} _taken)
  string(LENGTH "${marker}" _length)
  math(EXPR _at "${_at} + ${_length}")
  string(SUBSTRING "${_text}" ${_at} -1 _text)
  set(${taken_variable} "${_taken}" PARENT_SCOPE)
  set(${text_variable} "${_text}" PARENT_SCOPE)
endfunction()

# fermata_read_mutation(FILE): sets mutation_name, mutation_what, mutation_breaks, mutation_found_within, mutation_shares_store, and for each edit,
# counted from 0 to below mutation_edits, mutation_source_N, mutation_original_N and mutation_mutated_N.
function(fermata_read_mutation file)
  cmake_path(GET file STEM _name)
  if(NOT _name MATCHES "^[a-z][a-z_]*$")
    message(FATAL_ERROR "${file}: a mutation's name has small letters and underscores only")
  endif()
  file(READ "${file}" _text)
  fermata_cut(_text "what: " "${file}" _before)
  if(NOT "${_before}" STREQUAL "")
    message(FATAL_ERROR "${file}: it does not begin with \"what: \"")
  endif()
  fermata_cut(_text "\nbreaks: " "${file}" _what)
  fermata_cut(_text "\nfound within: " "${file}" _breaks)
  fermata_cut(_text "\n" "${file}" _found_within)
  if(NOT _found_within MATCHES "^[1-9][0-9]*$")
    message(FATAL_ERROR "${file}: \"found within: ${_found_within}\" is no number of seeds")
  endif()
  set(_shares_store FALSE)
  if(_text MATCHES "^worlds: ([^\n]*)\n")
    if(NOT CMAKE_MATCH_1 STREQUAL "shared store")
      message(FATAL_ERROR "${file}: \"worlds: ${CMAKE_MATCH_1}\" is not \"worlds: shared store\"")
    endif()
    set(_shares_store TRUE)
    fermata_cut(_text "\n" "${file}" _worlds)
  endif()
  set(_edits 0)
  string(STRIP "${_text}" _rest)
  while(NOT "${_rest}" STREQUAL "")
    fermata_cut(_text "in: " "${file}" _before)
    string(STRIP "${_before}" _before)
    if(NOT "${_before}" STREQUAL "")
      message(FATAL_ERROR "${file}: \"${_before}\" belongs to no edit")
    endif()
    fermata_cut(_text "\n--- original\n" "${file}" _source)
    fermata_cut(_text "--- mutated\n" "${file}" _original)
    fermata_cut(_text "--- end\n" "${file}" _mutated)
    string(FIND "${_mutated}" MUTATED _at)
    if(_at EQUAL -1)
      message(FATAL_ERROR "${file}: the new text in ${_source} does not depend on MUTATED")
    endif()
    string(REPLACE MUTATED "::fermata::test::mutated(\"${_name}\")" _mutated "${_mutated}")
    set(mutation_source_${_edits} "${_source}" PARENT_SCOPE)
    set(mutation_original_${_edits} "${_original}" PARENT_SCOPE)
    set(mutation_mutated_${_edits} "${_mutated}" PARENT_SCOPE)
    math(EXPR _edits "${_edits} + 1")
    string(STRIP "${_text}" _rest)
  endwhile()
  if(_edits EQUAL 0)
    message(FATAL_ERROR "${file}: it edits nothing")
  endif()
  set(mutation_name "${_name}" PARENT_SCOPE)
  set(mutation_what "${_what}" PARENT_SCOPE)
  set(mutation_breaks "${_breaks}" PARENT_SCOPE)
  set(mutation_found_within "${_found_within}" PARENT_SCOPE)
  set(mutation_shares_store "${_shares_store}" PARENT_SCOPE)
  set(mutation_edits "${_edits}" PARENT_SCOPE)
endfunction()

# fermata_write_if_different(FILE TEXT): so that what depends on the file is not made again for nothing.
function(fermata_write_if_different file text)
  if(EXISTS "${file}")
    file(READ "${file}" _before)
    if("${_before}" STREQUAL "${text}")
      return()
    endif()
  endif()
  file(WRITE "${file}" "${text}")
endfunction()
