# Reads CTest's JUnit files; prints how many test cases passed and how many failed.
#
# A program of Catch2 counts its cases itself, in its last lines. Any other test is one case, and so is a program that
# says nothing: it died on the way.

/<testcase / {
  passed = failed = 0
  bad = /status="fail"/
  skipped = 0
}
/<skipped / {
  if (/SKIP_/) skipped = 1
  else bad = 1
}
/All tests passed \([0-9]/ {
  match($0, /in [0-9]+ test case/)
  passed = substr($0, RSTART + 3) + 0
}
/test cases: / {
  sub(/.*test cases: /, "")
  passed = failed = 0
  for (field = 1; field < NF; ++field) {
    if ($(field + 1) == "passed") passed = $field
    if ($(field + 1) == "failed") failed = $field
  }
}
/<\/testcase>/ {
  if (bad && failed == 0) failed = 1
  if (passed + failed == 0 && !skipped) passed = 1
  all_passed += passed
  all_failed += failed
}

END { print all_passed + 0, all_failed + 0 }
