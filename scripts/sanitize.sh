#!/bin/sh
# Runs the native specs in programs that were built with sanitizers: scripts/sanitize.sh FOLDER [long].
# The short form takes a few specs under AddressSanitizer (with leaks) and ThreadSanitizer and in the
# build whose tables and buffers move at every growth; the long one takes all, a build that collects
# garbage before every allocation, no memory at each allocation, and valgrind. Any report fails its part.
# Ends by printing "N passed, N failed".
set -u

folder=$1
long=${2:-}
passed=0
failed=0
log=$folder/report.log

MOONCAST_WORKERS=3
LUA_PATH="./?.lua;$(lua5.4 -e 'print(package.path)')"
LUA_CPATH=$(lua5.4 -e 'print(package.cpath)')
export MOONCAST_WORKERS LUA_PATH LUA_CPATH
# Specs ask for more memory than there is, and are refused.
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
REPORTS='(WARNING|ERROR): [A-Z][a-z]+Sanitizer|runtime error'

run() { # run NAME COMMAND...: a spec run; its last line counts
  name=$1
  shift
  if "$@" >"$log" 2>&1 && ! grep -E "$REPORTS" "$log" | grep -qv 'Sanitizer failed to allocate'; then
    passed=$((passed + $(tail -n 1 "$log" | sed 's/ passed.*//')))
    echo "$name: $(tail -n 1 "$log")"
  else
    tail -n 60 "$log"
    echo "FAILED $name"
    failed=$((failed + 1))
  fi
}
busted() { # busted VARIANT SPEC...
  variant=$1
  shift
  run "$variant $*" "$folder/$variant/program" spec/support/run_busted.lua "$@"
}

run "thread: nodes come and go" "$folder/thread/threads_test"
if [ -z "$long" ]; then
  busted thread spec/bindings/call_spec.lua spec/bindings/async_spec.lua spec/bindings/deadlock_spec.lua
  busted address spec/bindings/call_spec.lua spec/bindings/async_spec.lua spec/lua/actor_spec.lua spec/lua/node_spec.lua
  busted hard spec/bindings/call_spec.lua spec/bindings/cast_spec.lua
else
  busted thread spec
  busted address spec
  # That one spawns 100,000 actors in one call: minutes here.
  busted hard --exclude-pattern=actor_spec spec
  run "hard: nodes come and go" "$folder/hard/threads_test"
  run "hard: no memory" "$folder/hard/memory_test"
  run "address: no memory" env MEMORY_STEP=7 "$folder/address/memory_test"
  busted collect spec/bindings/call_spec.lua
  run "valgrind" valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
    "$folder/plain/program" spec/support/run_busted.lua spec/bindings/async_spec.lua spec/bindings/signature_spec.lua
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
