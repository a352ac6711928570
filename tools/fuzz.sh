#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target of the module, one after the other, each for
# TIME (10s, 5m), or "total:SECONDS" shared out among all of them.
#
# Go 1.26 fails a target now and then with nothing but "context deadline exceeded"
# when its time is up (golang/go#75804). That is no finding: such a target is run
# again, three times at most. Whatever names an input fails.
set -euo pipefail
time=$1
targets=()
for pkg in $(go list ./...); do
  for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do targets+=("$pkg $target"); done
done
if [[ $time == total:* ]]; then time=$(( ${time#total:} / ${#targets[@]} )); time=$(( time < 2 ? 2 : time ))s; fi
log=$(mktemp); trap 'rm -f "$log"' EXIT
run() { go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x "$1" 2>&1 | tee "$log"; }
for t in "${targets[@]}"; do
  read -r pkg target <<<"$t"
  for try in 1 2 3; do
    echo "== $pkg $target"
    run "$pkg" "$target" && continue 2
    if ! grep -q 'context deadline exceeded' "$log" || grep -qE 'Failing input|panic|fatal error' "$log"; then exit 1; fi
    echo "== the time was up while an input ran: try $try of 3"
  done
  exit 1
done
echo "fuzzed ${#targets[@]} targets, $time each"
