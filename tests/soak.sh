#!/bin/sh
# soak.sh [RECORDS] - a job of many short records (default 100,000): prints records a second and memory
# in each tenth of it, and fails where the memory of the last tenth is more than 4 MiB above that of
# the second, or its speed below half of it. `make soak` calls it. GPT2 is the program; needs /proc.
set -eu
cd "$(dirname "$0")/.."
: "${GPT2:?is the path of the program}"
records=${1:-100000}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-soak.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++)
    printf "{\"prompt\":\"the king of %d and\",\"n\":1,\"max_tokens\":%d,\"seed\":%d}\n", i, 1 + i % 4, i }' >"$tmp/in"
"$GPT2" generate -m models/tales --input "$tmp/in" -o "$tmp/out" --cache-memory 16M -q &
pid=$!
now() { date +%s%N; }
begun=$(now) before=$begun lines=0 part=1
while [ $part -le 10 ]; do
    while kill -0 $pid 2>/dev/null && [ "$(cat "$tmp/out" 2>/dev/null | wc -l)" -lt $((records * part / 10)) ]; do
        sleep 0.2
        rss=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' /proc/$pid/status 2>/dev/null) && [ -n "$rss" ] && last=$rss
    done
    at=$(now) made=$(wc -l <"$tmp/out")
    echo "$part $made $((made - lines)) $((at - before)) ${last:-0}"
    before=$at lines=$made part=$((part + 1))
done | awk '{ rate = $4 ? $3 * 1e9 / $4 : 0
    printf "%3d %% %8d records %8.0f a second %8.1f MiB\n", $1 * 10, $2, rate, $5 / 1024
    if (NR == 2) { first = rate; memory = $5 }
    if (NR == 9) { speed = rate; kept = $5 } }
    END { if (kept > memory + 4096) { print "memory grew"; exit 1 }
          if (speed < first / 2) { print "it became slower"; exit 1 } }'
wait $pid
[ "$(wc -l <"$tmp/out")" -eq "$records" ] && ! grep -q '"error"' "$tmp/out" && echo "$records records, each answered"
