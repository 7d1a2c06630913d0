#!/bin/sh
# fuzz.sh [TARGET]... - runs fuzz targets (all, or those that are named: model, gguf) by libFuzzer under
# AddressSanitizer and UBSan, until each has had MINUTES of processor time (default 30). `make fuzz`
# calls it. BUILD is a build by clang for that; what is found is kept there and a later call goes on:
#
#   found/NAME/corpus    inputs that reached something new
#   found/NAME/runs      a line for each slice of SLICE seconds: executions, processor seconds, edges
#   found/NAME/crashes   what killed the target, or took more than 20 s or 2 GiB
#
# What took long counts only if it does so again: the machine may have been busy.
# The target that has had least is next, so that an interrupted run has tried all of them. One that
# crashed is left out until what it found is mended and the file is moved to tests/fuzz/corpus. The
# last lines are a table of what each has had; the status is 1 where anything crashed.
set -eu
cd "$(dirname "$0")/.."
: "${BUILD:?is a build for libFuzzer}"
minutes=${MINUTES:-30} slice=${SLICE:-60} state=$BUILD/found
mkdir -p "$state"
targets=${*:-$(for source in tests/fuzz/fuzz_*.c; do basename "$source" .c | sed s/fuzz_//; done)}
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-fuzz.XXXXXX") # what targets write
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The sum of a column of a target's slices.
sum() { awk -v column="$2" '{ n += $column } END { print n + 0 }' "$state/$1/runs"; }

for target in $targets; do
    [ -x "$BUILD/tests/fuzz/fuzz_$target" ] || { echo "fuzz.sh: there is no target $target" >&2; exit 2; }
    mkdir -p "$state/$target/corpus" "$state/$target/crashes"
    : >>"$state/$target/runs"
    "$BUILD/tests/fuzz/fuzz_$target" -w "$state/$target/corpus"
    [ ! -d "tests/fuzz/corpus/$target" ] || cp tests/fuzz/corpus/"$target"/* "$state/$target/corpus/"
done

crashes() { find "$state/$1/crashes" -type f | wc -l; }

# One slice.
run() {
    log=$state/$1/log
    # shellcheck disable=SC2016
    used=$(sh -c 'log=$0; "$@" >"$log" 2>&1; times' "$log" "$BUILD/tests/fuzz/fuzz_$1" -max_total_time="$slice" \
        -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$state/$1/crashes/" "$state/$1/corpus" |
        sed -n 2p)
    for slow in "$state/$1"/crashes/slow-unit-* "$state/$1"/crashes/timeout-*; do
        [ ! -f "$slow" ] || ! "$BUILD/tests/fuzz/fuzz_$1" -timeout=20 "$slow" >/dev/null 2>&1 || rm "$slow"
    done
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "$used" | awk -v executed="${executed:-0}" -v edges="${edges:-0}" '
        function seconds(text) { split(text, part, /[ms]/); return part[1] * 60 + part[2] }
        { printf "%d %.1f %d\n", executed, seconds($1) + seconds($2), edges }' >>"$state/$1/runs"
}

while :; do
    next=$(for target in $targets; do
        [ "$(crashes "$target")" -gt 0 ] || echo "$(sum "$target" 2) $target"
    done | sort -n | head -n 1)
    [ -n "$next" ] || break
    echo "$next" | awk -v minutes="$minutes" '{ exit !($1 < minutes * 60) }' || break
    run "${next#* }"
done

crashed=0
for target in $targets; do
    found=$(crashes "$target")
    [ "$found" -eq 0 ] || crashed=1
    printf '%-16s %12d executions %7.1f minutes %6d edges %5d inputs %3d crashes\n' "$target" "$(sum "$target" 1)" \
        "$(sum "$target" 2 | awk '{ print $1 / 60 }')" "$(tail -n 1 "$state/$target/runs" | cut -d' ' -f3)" \
        "$(find "$state/$target/corpus" -type f | wc -l)" "$found"
done
exit $crashed
