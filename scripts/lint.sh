#!/bin/sh
# Every check of the sources that runs nothing; `make lint` sets CC, CFLAGS and the rest. A check that
# finds something shows it, the last line counts.
set -u

passed=0
failed=0
check() { # check NAME COMMAND...
  name=$1
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
  else
    printf '%s\n' "$output" "FAILED $name"
    failed=$((failed + 1))
  fi
}
files() { # files FOLDER PATTERN...: those of git and new ones, deleted ones not
  git ls-files --cached --others --exclude-standard --deduplicate -- "$@" | while read -r file; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
  done
}
each() { # each COMMAND... -- FILE...: runs the command for every file, tells whether all went well
  command=""
  while [ "$1" != -- ]; do
    command="$command $1"
    shift
  done
  shift
  well=0
  for file; do $command "$file" || well=1; done
  return $well
}

native=$(files 'runtime/*.c' 'bindings/lua_*.c' 'bindings/native_*.c')
wasm=$(files 'bindings/wasm_*.c')
core=$(files 'runtime/*.c' | grep -v /platform_)
c=$(files 'runtime/*.[ch]' 'bindings/*.[ch]' 'spec/*.[ch]')

check luacheck luacheck --quiet --codes $(files 'lua/*.lua' 'web/*.lua' 'spec/*.lua')
check eslint node_modules/.bin/eslint --max-warnings 0 .
# Compiled, not only parsed: some warnings need the optimizer.
check "$CC" each $CC -O2 $CFLAGS -Werror -I"$LUA_INCLUDE" -S -o /dev/null -- $native
check "$EMCC" each $EMCC -O1 -std=gnu11 -Wall -Wextra -Wpedantic -Werror -I"$WASM_LUA" -Iruntime/include \
  -Iruntime -Ibindings/include -Ibindings -fsyntax-only -- $wasm
# The core in one translation unit: no two of its statics share a name. And no number changes silently.
one_file() {
  cat $core | $CC -O2 $CFLAGS -Wshadow -Wconversion -Werror -S -o /dev/null -xc -
}
check "$CC, runtime/ as one file" one_file
check clang-format clang-format --dry-run -Werror $c
check "sh -n" each sh -n -- $(files 'scripts/*.sh' '.ci/run')

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
