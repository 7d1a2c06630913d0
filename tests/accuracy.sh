#!/bin/sh
# accuracy.sh [goldens] - our logits beside those of tools/reference.py, at the shape of the real
# GPT-2 (124M): `make accuracy`. With `goldens`, writes tests/data anew: `make goldens`.
# BUILD says where test_accuracy is. Without numpy there is no reference: says so and ends well.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
BOUND=2e-4

python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import numpy' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "accuracy: skipped: needs python3 with numpy (Debian: apt-get install python3-numpy)"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-accuracy.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT

if [ "${1:-}" = goldens ]; then
    mkdir "$tmp/models"
    "$BUILD/tests/test_accuracy" --write "$tmp/models"
    "$python" tools/reference.py golden "$tmp/models"/* >"$tmp/goldens"
    mv "$tmp/goldens" tests/data/accuracy.txt
    "$python" tools/reference.py score "$tmp/models/vocab_203" "$tmp/models/context_300" -n 80 >"$tmp/scores"
    mv "$tmp/scores" tests/data/score.txt
    echo "accuracy: wrote tests/data/accuracy.txt and tests/data/score.txt"
    exit 0
fi

# compare NAME ARGUMENT...: one random model, made with these arguments.
compare() {
    name=$1
    shift
    "$python" tools/make_random_model.py "$tmp/model" --like gpt2 "$@" 2>/dev/null
    "$python" tools/reference.py golden "$tmp/model" -n 100 >"$tmp/golden"
    if ! "$BUILD/tests/test_accuracy" --compare "$tmp/model" "$tmp/golden" $BOUND >"$tmp/log" 2>&1; then
        cat "$tmp/log"
        echo "accuracy: $name: FAILED"
        exit 1
    fi
    sed -n "s/.*: \(largest difference .*\)/accuracy: $name: \1/p" "$tmp/log"
    rm -r "$tmp/model"
}

compare "124M, f32, initial weights"
compare "124M, f32, lively weights" --spread --seed 2
compare "124M, bf16, lively weights" --spread --seed 3 --dtype bf16
