#!/bin/sh
# Runs the native specs in programs that were built with sanitizers: scripts/sanitize.sh FOLDER [long].
# The short form takes a few specs under AddressSanitizer (with leaks) and ThreadSanitizer; the long one
# takes all, the build whose buffers move at every growth, and valgrind. Any report fails its spec file.
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
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

run() { # run NAME COMMAND...: a spec run; its last line counts
  name=$1
  shift
  if "$@" >"$log" 2>&1 && ! grep -qE '(WARNING|ERROR): [A-Z][a-z]+Sanitizer|runtime error' "$log"; then
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

few="call async deadlock"
[ -z "$long" ] || few="$few cast error signature coroutine ref"
# One file at a time: ThreadSanitizer's own stack does not shrink when Lua jumps.
for name in $few; do busted thread "spec/bindings/${name}_spec.lua"; done
if [ -z "$long" ]; then
  busted address spec/bindings/call_spec.lua spec/bindings/async_spec.lua spec/lua/actor_spec.lua spec/lua/node_spec.lua
else
  for name in node election transport protocol on_error; do busted thread "spec/lua/${name}_spec.lua"; done
  busted address spec
  busted hard spec
  run "valgrind" valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
    "$folder/plain/program" spec/support/run_busted.lua spec/bindings/async_spec.lua spec/bindings/signature_spec.lua
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
