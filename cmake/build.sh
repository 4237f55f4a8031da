# Shell functions that examples/run.sh and tests/run.sh share. Called from the root of the source tree.

say() { printf '\n== %s\n' "$*"; }

is_installed() {
  # shellcheck disable=SC2016 # ${Status} is for dpkg-query.
  dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q ' installed$'
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs those packages of cmake/debian-packages.txt that are missing; asks nothing. On a system without apt they are
# the user's to install, and CMake says what is missing.
install_packages() {
  command -v apt-get >/dev/null || return 0
  missing=
  for package in $(grep -v '^#' cmake/debian-packages.txt); do
    is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "Installing$missing"
  log=$(mktemp)
  # shellcheck disable=SC2086 # $missing is a list of words.
  if as_root apt-get update -q >"$log" 2>&1 &&
     as_root env DEBIAN_FRONTEND=noninteractive \
       apt-get install -q -y --no-install-recommends $missing >>"$log" 2>&1; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
}

# build PRESET [TARGET...]: brings build/PRESET up to date, all of it or these targets.
build() {
  preset=$1
  shift
  say "Building ${*:-all} in build/$preset"
  launcher=
  if command -v ccache >/dev/null; then
    launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
    # Another checkout of the same sources finds what this one has compiled.
    export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
  fi
  # shellcheck disable=SC2086 # No launcher is no argument.
  cmake --preset "$preset" --log-level=WARNING $launcher >/dev/null || return 1
  if [ $# -gt 0 ]; then
    cmake --build --preset "$preset" --target "$@"
  else
    cmake --build --preset "$preset"
  fi
}
