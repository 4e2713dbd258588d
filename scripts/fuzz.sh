#!/bin/sh
# Runs fuzzers one after the other: scripts/fuzz.sh TARGET... First the inputs that are kept in
# spec/fuzz/corpus/TARGET, each of which counts as a test, then new ones for FUZZ_SECONDS, or FUZZ_RUNS
# of them, nearly the same ones every time: what checks a commit should not depend on luck. What a
# fuzzer finds stays in FUZZ_DIR: inputs that reach new code in corpus-TARGET, one that fails in
# TARGET-crash-... Ends by printing "N passed, N failed".
set -u

passed=0
failed=0
fail() { # fail LOG: shows how it ended
  tail -n 40 "$1" | cut -c 1-400
  echo "FAILED $target (log: $1)"
  failed=$((failed + 1))
}
stat() { sed -n "s/^stat::$1: *//p" "$log"; }

# Freed blocks are kept for a while so that their use is seen; more than this only costs memory.
export ASAN_OPTIONS="quarantine_size_mb=16${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
for target in "$@"; do
  program=$FUZZ_DIR/$target
  kept=spec/fuzz/corpus/$target
  found=$FUZZ_DIR/corpus-$target
  log=$FUZZ_DIR/$target.log
  options="-max_len=8192 -timeout=25 -malloc_limit_mb=64 -artifact_prefix=$FUZZ_DIR/$target-"
  mkdir -p "$found"

  "$program" $options "$kept"/* >"$log" 2>&1
  status=$?
  passed=$((passed + $(grep -c '^Executed ' "$log")))
  if [ "$status" != 0 ]; then
    fail "$log"
    continue
  fi
  if [ -n "${FUZZ_RUNS:-}" ]; then
    rm -f "$found"/*
    limit="-seed=1 -runs=$FUZZ_RUNS"
  else
    limit="-max_total_time=$FUZZ_SECONDS"
  fi
  if "$program" $options $limit -print_final_stats=1 "$found" "$kept" >"$log" 2>&1; then
    passed=$((passed + 1))
    coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "$target: $(stat number_of_executed_units) inputs" \
      "($(stat average_exec_per_sec) a second), $coverage places reached"
  else
    fail "$log"
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
