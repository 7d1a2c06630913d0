# quantize: one packed file, which runs wherever a model is expected; nothing half-done is left.
. tests/cli/cases.inc

run quantize
expect "no output" refuses 2 'expected --output FILE'
run quantize -o -
expect "standard output" refuses 2 'a packed model cannot be a stream'
run quantize -o "$tmp/x" --type q5
expect "an unknown type" refuses 2 '--type: expected one of f16, bf16, q8, q4, got "q5"'
run quantize -o "$tmp/x" --type f16 --calibrate "$tmp/y"
expect "a calibration without a use" refuses 2 '--calibrate has an effect only with '
run quantize -m no-such-model -o "$tmp/x"
expect "a missing model" refuses 4 'model "no-such-model"'

if [ ! -f models/tales/model.safetensors ]; then
    skip "quantize the shipped model" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "quantize the shipped model" "too long under valgrind"
    exit 0
fi
mkdir "$tmp/packed"
# Only these files are there.
holds() { [ "$(ls -A "$tmp/packed" | tr '\n' ' ')" = "$1" ]; }

run quantize -o "$tmp/no/such/folder/x"
expect "a folder that is not there" refuses 1 'No such file or directory'
run quantize -o "$tmp/packed"
expect "a directory as output" refuses 1 'found a directory'
run quantize -o /dev/null
expect "a device as output" refuses 1 'found a device'
(
    ulimit -f 1000
    trap '' XFSZ
    "$GPT2" quantize -o "$tmp/packed/x" >"$out" 2>"$err"
    echo $? >"$tmp/status"
)
status=$(cat "$tmp/status")
expect "a full disk" refuses 1 'packed/x: cannot write: File too large'
expect "leaves nothing behind" holds ""
run quantize -o "$tmp/packed/x" --calibrate "$tmp/nothing"
expect "a missing calibration text" refuses 5 "cannot open $tmp/nothing"
: >"$tmp/nothing"
run quantize -o "$tmp/packed/x" --calibrate "$tmp/nothing"
expect "an empty calibration text" refuses 5 'found it empty'

# "11.8" and "6177536 in 64 tensors" of the shipped model, by info
mib=$("$GPT2" info | sed -n 's/^weights .* \([0-9.]* MiB\).*/\1/p')
parameters=$("$GPT2" info | sed -n 's|^\(parameters .* tensors\).*|\1|p')
for type in f16 bf16 q8 q4; do
    run quantize --type $type -o "$tmp/packed/$type"
    expect "$type" exits 0
    expect "$type prints nothing on stdout" silent
    expect "$type says what became of the weights" says "% of the $mib of weights"
    run info -m "$tmp/packed/$type"
    expect "info on $type" exits 0
    expect "$type has as many parameters" grep -qF "$parameters" "$out"
    cp "$out" "$tmp/info-$type"
    run generate -m "$tmp/packed/$type" "Once upon a time" -n 24 --greedy
    expect "$type tells a tale" exits 0
    cp "$out" "$tmp/$type.text"
    run generate -m "$tmp/packed/$type" "Once upon a time" -n 24 --greedy -t 1 --cpu generic
    expect "$type tells it anywhere" same "$tmp/$type.text" "$out"
done
expect "no other file is there" holds "bf16 f16 q4 q8 "
expect "f16 is F16" grep -q '^weights       F16' "$tmp/info-f16"
expect "q8 is Q8" grep -q 'Q8 ' "$tmp/info-q8"
expect "q4 is Q4" grep -q 'Q4 ' "$tmp/info-q4"
expect "q8 is smaller" test "$(wc -c <"$tmp/packed/q8")" -lt $(($(wc -c <"$tmp/packed/f16") * 7 / 10))
expect "q4 is smaller still" test "$(wc -c <"$tmp/packed/q4")" -lt "$(wc -c <"$tmp/packed/q8")"

run generate "Once upon a time" -n 64 --stats
hash=$(grep '^logits' "$err")
cp "$out" "$tmp/tale"
run generate -m "$tmp/packed/f16" "Once upon a time" -n 64 --stats
expect "f16 tells the tale of the directory" same "$tmp/tale" "$out"
expect "with the same logits" says "$hash"
cp "$tmp/packed/q8" "$tmp/q8"
run quantize -t 1 --cpu generic -o "$tmp/packed/q8"
expect "the same file with other threads and kernels" same "$tmp/q8" "$tmp/packed/q8"
run quantize -m "$tmp/packed/f16" -o "$tmp/packed/q8"
expect "the same file from the f16 one" same "$tmp/q8" "$tmp/packed/q8"
run tokenize "Once upon a time<|endoftext|>" --special --json
cp "$out" "$tmp/ids"
run tokenize -m "$tmp/packed/q8" "Once upon a time<|endoftext|>" --special --json
expect "the tokenizer is inside" same "$tmp/ids" "$out"
(cd "$tmp/packed" && GPT2_MODEL=q8 "$GPT2" tokenize "Once" >"$out" 2>"$err")
expect "no other file is needed" test -s "$out"

# An independent reader of safetensors: header, offsets without gaps, names, shapes that fit sizes.
if python3 -c '' 2>/dev/null; then
    for type in f16 q8 q4; do
        expect "$type is safetensors to others" python3 - "$tmp/packed/$type" <<'END'
import json, math, os, struct, sys
with open(sys.argv[1], "rb") as f:
    (n,) = struct.unpack("<Q", f.read(8))
    header = json.loads(f.read(n))
sizes = {"U8": 1, "F16": 2, "BF16": 2, "F32": 4, "I64": 8}
meta = header.pop("__metadata__")
assert meta and all(isinstance(v, str) for v in meta.values())
at = 0
for t in sorted(header.values(), key=lambda t: t["data_offsets"]):
    begin, end = t["data_offsets"]
    assert begin == at and end - begin == sizes[t["dtype"]] * math.prod(t["shape"]), t
    at = end
assert 8 + n + at == os.path.getsize(sys.argv[1])
assert {"h.0.attn.c_attn.weight", "h.4.mlp.c_proj.bias", "wte.weight", "ln_f.bias"} <= set(header)
END
    done
else
    skip "packed files are safetensors to others" "no python3"
fi

run quantize -m "$tmp/packed/q8" -o "$tmp/packed/x"
expect "a quantized model is refused" refuses 4 'quantized already'
run quantize --no-tokenizer -o "$tmp/packed/bare"
expect "--no-tokenizer" exits 0
run generate -m "$tmp/packed/bare" --ids 1,2,3 -n 4 --format ids --greedy
expect "works with ids" exits 0
run generate -m "$tmp/packed/bare" x
expect "and says what it lacks" refuses 4 'tokenizer'

mkdir "$tmp/m"
cp models/tales/* "$tmp/m/"
cp "$tmp/packed/q8" "$tmp/m/model.safetensors"
run generate -m "$tmp/m" x
expect "a packed file in a model's directory" refuses 4 'found a packed model'
expect "with what to do" says "hint: -m $tmp/m/model.safetensors"
head -c 1000000 "$tmp/q8" >"$tmp/torn"
run generate -m "$tmp/torn" x
expect "a torn file" refuses 4 'truncated'
{
    head -c 2000000 "$tmp/q8"
    printf 'x'
    tail -c +2000002 "$tmp/q8"
} >"$tmp/changed"
run generate -m "$tmp/changed" --ids 1,2 -n 1
expect "a changed byte" refuses 4 'the file is damaged'
sed '1s/"version":"3"/"version":"1"/' "$tmp/q8" >"$tmp/old"
run generate -m "$tmp/old" x
expect "another version" refuses 4 'made by another version of gpt2'
expect "asks for a new file" says 'make it again with `gpt2 quantize`'
sed '1s/"version":"3"/"version":"4"/' "$tmp/q8" >"$tmp/new"
run generate -m "$tmp/new" x
expect "a later version" refuses 4 'made by a later version of gpt2: expected format version 2 to 3, found "4"'
expect "names what can read it" says 'hint: use that version'

# Interrupted: the first signal ends it cleanly.
has_temporary() { ls "$tmp"/packed/x.*.tmp >/dev/null 2>&1; }
if env --default-signal=INT true 2>/dev/null; then
    for signal in INT TERM; do
        : >"$out"
        env --default-signal=INT "$GPT2" quantize --type q4 -t 1 -o "$tmp/packed/x" >"$out" 2>"$err" &
        pid=$!
        await has_temporary
        expect "SIG$signal meets a program that writes" test $? -eq 0
        kill -$signal $pid
        finish
        expect "SIG$signal ends it" exits $([ $signal = INT ] && echo 130 || echo 143)
        expect "SIG$signal leaves nothing behind" holds "bare bf16 f16 q4 q8 "
    done
else
    skip "signals" "this env has no --default-signal"
fi

# What is needed is said whole, and nothing of what is only not to be there.
run quantize -m models/tales --type f16 --calibrate README.md -o "$tmp/none"
expect "a calibration for nothing" refuses 2 '--calibrate has an effect only with --type q8 or --type q4'
