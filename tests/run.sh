#!/bin/sh
# Installs what is missing, builds Fermata, and runs all tests.
#
#   sh tests/run.sh [PRESET...]     (without any: release, then dev, which has sanitizers)
#
# The last line counts test cases: "N passed, N failed". The exit status is 0 if all passed.
set -eu
cd "$(dirname "$0")/.."
. cmake/build.sh

[ $# -gt 0 ] || set -- release dev
install_packages
for preset in "$@"; do
  build "$preset"
done

status=0
rm -f build/*/tests.xml
for preset in "$@"; do
  say "Testing build/$preset"
  ctest --preset "$preset" --no-tests=error --parallel "$(nproc)" \
    --output-junit "$PWD/build/$preset/tests.xml" --test-output-truncation head || status=1
done

cases=$(awk -f tests/count_cases.awk build/*/tests.xml)
printf '\n%s passed, %s failed\n' "${cases% *}" "${cases#* }"
[ "${cases#* }" -eq 0 ] || status=1
exit "$status"
