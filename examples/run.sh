#!/bin/sh
# Installs what is missing, builds the `fermata` command, and lets it work on a copy of this source tree.
#
# First a plan of five subtasks runs to its end in one go. Then another one stops at each point where somebody has to
# act, and each time a new process takes it one step further. Then a message becomes a plan, and agents with a language
# model work on it. At last a host of one's own is talked to over HTTP. The exit status is 0 if all went as it says here.
set -eu
cd "$(dirname "$0")/.."
. cmake/build.sh

install_packages
build release fermata_command fermata_example_http
PATH=$PWD/build/release/examples/fermata:$PATH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
FERMATA_STORE=$scratch/store
export FERMATA_STORE
workspace=$scratch/workspace
mkdir "$workspace"
for name in .git README.md messages storage actors examples tests; do
  [ ! -e "$name" ] || cp -R "$name" "$workspace"
done

# expect STATUS COMMAND...: shows a command and runs it without a terminal; stops if it exits otherwise.
expect() {
  expected=$1
  shift
  printf '\n$'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  status=0
  "$@" </dev/null || status=$?
  printf '(exit status %s)\n' "$status"
  if [ "$status" -ne "$expected" ]; then
    echo "examples/run.sh: expected exit status $expected" >&2
    exit 1
  fi
}

say "A plan that surveys a copy of this source tree, with everything approved"
expect 0 fermata run examples/plans/survey.json --session survey --workspace "$workspace" --approve all
say "What it wrote"
cat "$workspace/build/survey.md"

say "A plan that needs a decision on itself, one on a call, and the call's result"
expect 3 fermata run examples/plans/question.json --session question --workspace "$workspace"
say "Nothing is running now. Somebody looks what waits, and approves the plan"
expect 0 fermata pending
expect 3 fermata approve question:p1
say "The first subtask stopped at a call. It is approved, and handed to its host"
expect 3 fermata approve question:c1
say "The host answers: the first subtask ends, and the second one runs"
expect 0 fermata result question:c1 '{"pattern": "incarnation"}'
expect 0 fermata status question

say "A message instead of a plan: a planner, whose model is scripted here, proposes one"
expect 3 fermata message notes "What are these folders?" --workspace "$workspace" --models examples/models/notes.json
say "It is sent back, and the planner proposes another one, which is approved"
expect 3 fermata reject notes:p2 --modify --reason "Write that to a file as well"
expect 3 fermata approve notes:p4
say "The writer stopped at its file. The user says more, which it hears of once the file is written"
expect 3 fermata message notes "Answer in bold"
expect 0 fermata approve notes:c3
expect 0 fermata transcript notes

say "A host with an HTTP interface of its own: each request ends at the tool call, and the host is killed in between"
sh examples/http/run.sh build/release/examples/http/http "$scratch/http"

say "The example ran as it should"
