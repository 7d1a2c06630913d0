#!/bin/sh
# startup.sh [-n RUNS] MODEL... - how long it takes from the start of the process to the first token.
#
# For each model (a directory or a packed file) the median, the least and the largest of RUNS
# (default 21) whole processes, in milliseconds: start, open, read a prompt of 8 tokens, one token,
# end. One run before them brings the files into memory. The models take turns, so that a moment in
# which the machine is busy does not fall on one of them alone. BUILD says where the program is.
set -u
cd "$(dirname "$0")/.." || exit 1

gpt2=${BUILD:-build}/gpt2
runs=21
if [ "${1:-}" = -n ]; then
    runs=$2
    shift 2
fi
[ $# -gt 0 ] || set -- models/tales
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-startup.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT

# once MODEL: one process; prints its nanoseconds
once() {
    before=$(date +%s%N)
    "$gpt2" generate -m "$1" -n 1 --temp 0 --ignore-eos --ids 262,262,262,262,262,262,262,262 \
        >/dev/null 2>"$tmp/error" || {
        echo "startup.sh: $1: $(head -1 "$tmp/error")" >&2
        exit 1
    }
    echo $(($(date +%s%N) - before))
}

i=0
while [ "$i" -le "$runs" ]; do
    k=0
    for model in "$@"; do
        k=$((k + 1))
        time=$(once "$model") || exit 1
        [ "$i" -eq 0 ] || echo "$time" >>"$tmp/$k"
    done
    i=$((i + 1))
done

# What the loop itself costs: a program that does nothing.
i=0
while [ "$i" -lt "$runs" ]; do
    before=$(date +%s%N)
    /bin/true
    echo $(($(date +%s%N) - before)) >>"$tmp/0"
    i=$((i + 1))
done

show() { # FILE NAME
    sort -n "$1" | awk -v name="$2" '{ t[NR] = $1 / 1e6 }
        END { printf "%8.1f %8.1f %8.1f   %s\n", t[int((NR + 1) / 2)], t[1], t[NR], name }'
}

echo "  median    least  largest   ms from start to end of the process, $runs runs"
k=0
for model in "$@"; do
    k=$((k + 1))
    show "$tmp/$k" "$model"
done
show "$tmp/0" "(/bin/true, part of each of the above)"
