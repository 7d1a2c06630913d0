# tools/grow_model.py: a grown model gives the log-probabilities of the small one, up to rounding.
. tests/cli/cases.inc

python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ] || [ -n "${VALGRIND:-}" ]; then
    skip "grown models" "no python3 with numpy, or valgrind"
    exit 0
fi

grow() {
    "$python" tools/grow_model.py "$@" >"$out" 2>"$err"
    status=$?
}
# The fields of `score` that are numbers may differ by rounding; the others are equal.
alike() {
    [ -s "$1" ] && [ "$(wc -l <"$1")" -eq "$(wc -l <"$2")" ] && paste "$1" "$2" | awk -F'\t' '
        { for (i = 1; i <= NF / 2; i++) {
              d = $i - $(NF / 2 + i)
              if ($i ~ /[.]/ ? d > 2e-4 || d < -2e-4 : $i != $(NF / 2 + i)) bad = 1 } }
        END { exit bad }'
}
# grows_alike NAME MODEL OUT TEXT-OPTIONS...
grows_alike() {
    name=$1 small=$2 large=$3
    shift 3
    run score -m "$small" "$@"
    grep -v '^#' "$out" >"$tmp/small.tsv"
    run score -m "$large" "$@"
    grep -v '^#' "$out" >"$tmp/large.tsv"
    expect "$name" alike "$tmp/small.tsv" "$tmp/large.tsv"
}

# The shipped model is trained anew now and then: its depth is in its config.json.
layers=$(sed -n 's/.*"n_layer": *\([0-9]*\).*/\1/p' models/tales/config.json)
cases="--n-embd 768 --n-layer $((layers + 1)) --n-vocab 8300"
[ -z "${QUICK:-}" ] && cases='--like gpt2'
if [ -f models/tales/model.safetensors ]; then
    # shellcheck disable=SC2086
    grow models/tales "$tmp/tales" $cases
    expect "grown tales" exits 0
    text='Once upon a time there was a king who had three sons. "Father," said the eldest, "I will go."'
    grows_alike "grown tales say the same" models/tales "$tmp/tales" -p "$text"
    run generate -m "$tmp/tales" --greedy --repeat-penalty 1 -n 12 -p "Once upon a time"
    mv "$out" "$tmp/large.txt"
    run generate -m models/tales --greedy --repeat-penalty 1 -n 12 -p "Once upon a time"
    expect "and tell the same" same "$out" "$tmp/large.txt"
    rm -rf "$tmp/tales"
    grow models/tales "$tmp/tales" --like gpt2-xl
    expect "a width that is no multiple" says "n_embd 1600 is no multiple of the small model's 256"
    grow models/tales "$tmp/tales" --n-embd 256 --n-layer $((layers - 1))
    expect "fewer layers" says "expected at least the small model's $layers"
fi

# A head of its own, an inner width of its own, attention scaled by layer, and livelier weights.
"$python" tools/make_random_model.py "$tmp/r" --n-embd 24 --n-head 2 --n-layer 2 --n-inner 40 \
    --n-vocab 50 --n-ctx 16 --spread --untied --inverse-layer-scale 2>"$err"
grow "$tmp/r" "$tmp/s" --n-embd 120 --n-layer 3 --n-vocab 70
expect "a grown random model" exits 0
grows_alike "a grown random model says the same" "$tmp/r" "$tmp/s" --no-bos --ids 1,2,3,44,5,6,17,8,9
grow "$tmp/r" "$tmp/h" --n-embd 48 --n-layer 2 --n-vocab 50 --dtype f16
expect "in half precision" exits 0
