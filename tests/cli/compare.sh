# compare: what a smaller model or a rounded cache costs, in figures that scripts can read.
. tests/cli/cases.inc

run compare -m no-such-model
expect "a missing model" refuses 4 'model "no-such-model"'
run compare --kv f64
expect "an unknown cache" refuses 2 '--kv'

if [ ! -f models/tales/model.safetensors ]; then
    skip "compare the shipped model" "models/tales is not there"
    exit 0
fi
text=$tmp/text
cat >"$text" <<'END'
Once upon a time there was a king who had three sons. The eldest went out into the wide world.
<|endoftext|>The fox said to the wolf, "Come with me, and I will show you where the sheep are."
END
run compare -f "$tmp/nothing"
expect "a missing text" refuses 5 "cannot open $tmp/nothing"
: >"$tmp/empty"
run compare -f "$tmp/empty"
expect "an empty text" refuses 5 'found nothing to predict'
run compare -f "$text" tales no-such-model
expect "a missing second model" refuses 4 'model "no-such-model"'

# value KEY: of the last object that has it.
value() { sed "s/.*\"$1\": \([0-9.e+-]*\).*/\1/" "$out"; }
is() { [ "$(value "$1")" = "$2" ]; }
between() { awk -v x="$(value "$1")" -v a="$2" -v b="$3" 'BEGIN { exit !(x + 0 >= a && x + 0 <= b) }'; }

run compare -f "$text" --kv f32 --json
expect "a model with itself" exits 0
expect "is not apart" is mean_kl 0
expect "nor its perplexity" is ppl_ratio 1
expect "nor its choices" is same_top 1
# Documents are read each for itself, and the separator is not predicted.
n=$("$GPT2" tokenize --special --count --keep-newline -f "$text")
expect "every token but the separator counts" is tokens $((n - 1))
expect "and every byte" is bytes $(($(wc -c <"$text") - 13))
run compare -f "$text" --kv f32 -n 7 --json
expect "-n" is tokens 7
cp "$out" "$tmp/seven"
run compare -f "$text" --kv f32 -n 7 --json -t 1 --cpu generic
expect "is the same anywhere" same "$tmp/seven" "$out"
"$GPT2" compare --kv f32 -n 7 --json <"$text" >"$out" 2>"$err"
expect "reads standard input" same "$tmp/seven" "$out"

run compare -f "$text" --kv q8 --json
expect "a rounded cache costs little" between mean_kl 1e-6 0.01
run compare -f "$text" --kv q8
expect "as a table" grep -q '^F16  *q8 .* % ' "$out"
expect "with the reference" grep -q '^F16  *f32 .*reference' "$out"
if [ -n "${VALGRIND:-}" ]; then
    skip "compare packed models" "too long under valgrind"
    exit 0
fi
run quantize --type q4 -o "$tmp/q4"
run compare -f "$text" tales "$tmp/q4" --json
expect "a packed model" between mean_kl 1e-4 0.3
expect "is named with its type" grep -q '"type": "Q4", "cache": "q8"' "$out"
plain=$(value mean_kl)
run quantize --type q4 --calibrate "$text" -o "$tmp/q4"
expect "calibrated" exits 0
run compare -f "$text" tales "$tmp/q4" --json
expect "is nearer on its own text" between mean_kl 1e-5 "$(awk -v x="$plain" 'BEGIN { print 0.8 * x }')"

head -c 3 "$text" >"$tmp/short"
run compare -f "$tmp/short" --json
expect "one token is enough" between tokens 1 3
