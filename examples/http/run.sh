#!/bin/sh
# Talks to the example host as its users do: run.sh PROGRAM FOLDER. Kills it in between, to show that nothing but the
# folder is needed for a session to go on.
set -eu
program=$1
folder=$2
mkdir -p "$folder"

start() {
  mkfifo "$folder/address"
  "$program" "$folder/store" >"$folder/address" 2>&1 &
  host=$!
  read -r address <"$folder/address"
  rm "$folder/address"
}
stop() {
  kill -KILL "$host"
  wait "$host" 2>/dev/null || :
}
trap 'stop; exit 1' INT TERM HUP

# tell WHAT COMMAND: posts a command to the session.
tell() {
  echo "== $1"
  printf '%s\n' "$2"
  curl -sS --max-time 60 -H 'Content-Type: application/json' -d "$2" "$address/sessions/hello"
}

start
tell 'a message, which becomes a plan' '{"type": "post_message", "text": "Greet whoever is there"}'
tell 'its approval: the agent calls a tool of ours, and the request is over' \
  '{"type": "decide_plan", "revision": 2, "verdict": "approve"}'
stop
echo "== the host was killed; another one begins"
start
echo "== how does it stand?"
curl -sS --max-time 60 "$address/sessions/hello"
tell 'the result of the call' '{"type": "tool_result", "call": "hello:c1", "content": "world"}'
tell 'once more: it changes nothing' '{"type": "tool_result", "call": "hello:c1", "content": "world"}'
tell 'another one is refused' '{"type": "tool_result", "call": "hello:c1", "content": "moon"}'
stop
