#!/bin/sh
# Runs C test programs one after the other and adds up what they say: each ends by printing
# "N passed, N failed". One that crashes, or says nothing of the kind, counts as a failure.
set -u

passed=0
failed=0
for program in "$@"; do
  output=$("$program" 2>&1)
  status=$?
  counts=$(printf '%s\n' "$output" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | tail -n 1)
  set -- ${counts:-0 1}
  [ "$status" = 0 ] || [ "$2" != 0 ] || set -- "$1" 1
  if [ "$2" != 0 ] || [ "$1" = 0 ]; then
    printf '%s\n' "$output" "FAILED $program (exit status $status)"
    [ "$2" != 0 ] || set -- 0 1
  else
    echo "$program: $1 passed"
  fi
  passed=$((passed + $1))
  failed=$((failed + $2))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
