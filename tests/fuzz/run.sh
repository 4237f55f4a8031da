#!/bin/sh
# Lets libFuzzer look for inputs that break the parsers which meet strangers.
#
#   sh tests/fuzz/run.sh [SECONDS [NAME...]]     (20 seconds for each of them)
#
# Installs clang if it is missing, builds in build/fuzz, begins with the examples, and keeps what it finds in
# build/fuzz/corpus. An input that breaks something is left in build/fuzz; the exit status is then not 0.
set -eu
cd "$(dirname "$0")/../.."
. cmake/build.sh

seconds=${1:-20}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- plan policy record export http

install_packages
if ! command -v clang++ >/dev/null; then
  say "Installing clang"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends clang >/dev/null
fi
say "Building the fuzzers"
cmake -S tests/fuzz -B build/fuzz -G Ninja -D CMAKE_CXX_COMPILER=clang++ --log-level=WARNING >/dev/null
cmake --build build/fuzz

for name; do
  say "Fuzzing $name for $seconds seconds"
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  case $name in
  plan) cp examples/plans/*.json "$corpus" ;;
  policy) cp examples/policies/*.json "$corpus" ;;
  export | http) cp tests/fuzz/seeds/"$name"/* "$corpus" ;;
  esac
  log=build/fuzz/$name.log
  if ! "build/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=16384 \
    -dict=tests/fuzz/json.dict -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" "$corpus" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
  fi
  grep -E 'number_of_executed_units|peak_rss' "$log"
done
