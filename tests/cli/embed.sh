#!/bin/sh
# embed.sh - gpt2 embed: a vector for each line, the same in each format and for any number of threads.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "embed" "models/tales is not there"
    exit 0
fi
exits() { test $status -eq "$1"; }
refuses() { test $status = "$1" && grep -qF -e "$2" "$err"; }

printf 'the king\nthe queen and her three sons\nking\n' >"$tmp/lines"
run embed -f "$tmp/lines" -t 1
expect "three lines" exits 0
expect "an object for each" test "$(wc -l <"$out")" -eq 3
expect "with its number" grep -q '^{"index": 2, "tokens": [0-9]*, "embedding": \[' "$out"
n_embd=$("$GPT2" info --json | sed 's/.*"n_embd": \([0-9]*\).*/\1/')
expect "of n_embd numbers" test "$(head -n 1 "$out" | tr -cd , | wc -c)" -eq $((n_embd + 1))
cp "$out" "$tmp/one"
run embed -f "$tmp/lines" -t 2 --cpu generic
expect "the same with other threads and kernels" cmp "$out" "$tmp/one"
head -n 1 "$tmp/one" >"$tmp/king"
run embed "the king"
expect "a line has the vector that it has alone" cmp "$out" "$tmp/king"
"$GPT2" embed <"$tmp/lines" >"$out" 2>"$err"
expect "a pipe" cmp "$out" "$tmp/one"
differs() { ! cmp -s "$out" "$1"; }
run embed "the queen and her three sons"
cp "$out" "$tmp/mean"
run embed "the queen and her three sons" --pool last
expect "the last token's is another" differs "$tmp/mean"
run embed king --pool last
cp "$out" "$tmp/last"
run embed king --pool mean
tokens=$(sed 's/.*"tokens": \([0-9]*\).*/\1/' "$out")
[ "$tokens" -ne 1 ] || expect "of one token both are its own" cmp "$out" "$tmp/last"
run embed "the king" --layer 0
expect "another block's is another" differs "$tmp/king"
layers=$("$GPT2" info --json | sed 's/.*"n_layer": \([0-9]*\).*/\1/')
run embed "the king" --layer $((layers - 1))
expect "the default is the last block" cmp "$out" "$tmp/king"
run embed "the king" --layer "$layers"
expect "a block that is not there" refuses 2 "--layer: expected 0 to $((layers - 1))"

# ---- lines without a vector ----
{
    echo a
    echo
    yes word | head -n 3000 | tr '\n' ' '
    echo
    echo b
} >"$tmp/odd"
run embed -f "$tmp/odd"
expect "an empty line and one that is too long" exits 3
expect "are said" grep -q "odd, line 2: expected 1 to [0-9]* tokens, found 0" "$err"
expect "both" grep -q "odd, line 3: expected 1 to [0-9]* tokens, found [0-9]*" "$err"
expect "and answered" test "$(grep -c '"embedding": null' "$out")" -eq 2 -a "$(wc -l <"$out")" -eq 4

if command -v python3 >/dev/null; then
    cp "$out" "$tmp/lines.jsonl"
    run embed -f "$tmp/odd" --json
    expect "--json is one list of the same objects" python3 -c 'import json, sys
whole, lines = (open(path) for path in sys.argv[1:])
assert json.load(whole) == [json.loads(line) for line in lines]' "$out" "$tmp/lines.jsonl"
    run embed -f /dev/null --json
    expect "... of none" test "$(tr -d '\n' <"$out")" = "[]"
fi

# ---- an array ----
run embed -f "$tmp/lines" -o "$tmp/a.npy"
expect "an array" exits 0
expect "says its type and shape" \
    grep -qa "{'descr': '<f4', 'fortran_order': False, 'shape': (3, $n_embd), }" "$tmp/a.npy"
expect "has that many numbers after a header of whole lines" \
    test $((($(wc -c <"$tmp/a.npy") - 12 * n_embd) % 64)) -eq 0
run embed -f "$tmp/lines" --format npy
expect "on standard output, too" cmp "$out" "$tmp/a.npy"
run embed -f "$tmp/odd" -o "$tmp/odd.npy"
expect "with lines without a vector" exits 3
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ]; then
    skip "arrays are read by NumPy" "no python3 with numpy"
    exit 0
fi
"$python" - "$tmp" >"$out" 2>"$err" <<'EOF'
import json, sys
import numpy as np
tmp = sys.argv[1]
array = np.load(tmp + "/a.npy")
assert array.dtype == np.float32, array.dtype
with open(tmp + "/one") as file:
    rows = np.array([json.loads(line)["embedding"] for line in file], dtype=np.float32)
assert np.array_equal(array, rows)
odd = np.load(tmp + "/odd.npy")
assert odd.shape == (4, array.shape[1]), odd.shape
assert np.isnan(odd[1:3]).all() and np.isfinite(odd[[0, 3]]).all()
EOF
status=$?
expect "arrays are read by NumPy, and have JSON's numbers" exits 0
