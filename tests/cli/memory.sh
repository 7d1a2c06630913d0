# --max-memory: a run that would take more is refused, part by part, and one that is let in keeps to it.
. tests/cli/cases.inc

model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "memory" "$model is not there"
    exit 0
fi
m="-m $model -t 2"
printf 'once\nupon a time\n' >"$tmp/lines"
echo '{"text":"once upon a time"}' >"$tmp/lambada"

named() {
    refuses 6 '--max-memory: expected at most 1.0 MiB, the run takes ' &&
        grep -qE 'weights [0-9.]+, KV cache [0-9.]+, batch [0-9.]+, prefix cache [0-9.]+, draft [0-9.]+(, other [0-9.]+)? MiB' "$err"
}
tried=
try() {
    tried="$tried $1"
    run "$@" $m --max-memory 1M
    expect "refused: $*" named
}
try generate -p once -n 3
try generate -p once -n 3 --num-samples 4
try generate -p once -n 3 --speculate self
try generate --input "$tmp/lines" -n 3
try generate -i
try score -f "$tmp/lines"
try choose -p once -c upon -c over
try eval lambada "$tmp/lambada"
try embed once
try inspect layernorm once
try bench -p 8 -n 2 -r 1
try compare -f "$tmp/lines"
# These take the model as their first word, or have no --threads.
m="-m $model"
try info
try verify
try quantize -o "$tmp/m.q8"
try convert --to gguf -o "$tmp/m.gguf"
m="-m $model -t 2"
nothing_made() { [ ! -e "$tmp/m.q8" ] && [ ! -e "$tmp/m.gguf" ]; }
expect "... and nothing is written" nothing_made
if "$GPT2" serve --help >/dev/null 2>&1; then
    try serve --port 0
fi
every_command() { commands_with --lora | all_in "$tried serve"; }
expect "every command that opens a model has the option" every_command

# part NAME: of the error, in tenths of MiB
part() { sed -n "s/.*$1 \([0-9]*\)\.\([0-9]\).*/\1\2/p" "$err" | sed 's/^0*\([0-9]\)/\1/'; }
run generate $m -p once -n 3 --max-memory 1M
weights=$(part weights) cache=$(part 'KV cache')
expect "the weights are those of the file" test "$weights" -ge \
    "$(($(wc -c <$model/model.safetensors) * 10 / 1048576))"
run generate $m -p once -n 3 --speculate self --max-memory 1M
expect "a draft is counted" test "$(part draft)" -gt 0
run generate $m -p once -n 3 --num-samples 7 --max-memory 1M
expect "each sample has a KV cache" test "$(part 'KV cache')" -ge "$((7 * cache))"
run generate $m --input "$tmp/lines" -n 3 --cache-memory 77M --max-memory 1M
expect "the prefix cache is what was asked for" test "$(part 'prefix cache')" -eq 770
run generate $m -p once -n 3 --max-memory 1G
expect "a run that fits" exits 0

# What a run takes at its most is no more than it said, and the program itself.
if [ -n "${VALGRIND:-}" ] || ! command -v python3 >/dev/null || "$GPT2" generate $m -p once -n 1 --stats 2>&1 |
    grep -q 'sandbox none: this build'; then
    skip "memory as measured" "needs python3, and a program that nothing watches"
    exit 0
fi
# measured LIMIT_MIB ARGS... : the peak is below the limit and 16 MiB.
measured() {
    most=$(python3 -c 'import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024 if code == 0 else 1 << 30)' "$GPT2" "$@")
    run "$@" --max-memory 1M
    said=$(sed -n 's/.*the run takes \([0-9]*\)\..*/\1/p' "$err")
    [ "$most" -le $((said + 16)) ] || { echo "said $said MiB, took $most" >"$err"; false; }
}
expect "a text takes what was said" measured generate $m -f "$tmp/lines" -n 100
expect "... with weights that are moved" measured generate $m -f "$tmp/lines" -n 100 --no-mmap
expect "... with a cache of F16" measured generate $m -f "$tmp/lines" -n 100 --kv f16 --num-samples 8
expect "many texts" measured generate $m --input "$tmp/lines" -n 30
expect "scores" measured score $m -f tests/README.md --lines
head -c 900 tests/README.md >"$tmp/page"
grep . tests/README.md >"$tmp/full"
expect "vectors" measured embed $m -f "$tmp/full" -o "$tmp/vectors.npy"
for kind in layernorm lens attention residual; do
    expect "inspect $kind" measured inspect $kind $m -f "$tmp/page"
done
expect "inspect attention, one head" measured inspect attention $m -f "$tmp/page" --layer 1 --head 1
expect "inspect dump" measured inspect dump $m -f "$tmp/page" -o "$tmp/dumped.npz" --lens \
    --sites embedding,ln_1,qkv,heads,attn,resid_mid,ln_2,mlp_hidden,mlp,resid,ln_f,logits,attention
expect "inspect compare" measured inspect compare $m -p " good" -p " hate" -p " once upon a time"
expect "bench" measured bench $m -p 64 -n 4 -r 1 -b 1,4
expect "two models compared" measured compare $m -f "$tmp/page"
for kind in f16 q4; do
    expect "quantize $kind" measured quantize $m --type $kind -o "$tmp/m.made"
done
expect "quantize with a text" measured quantize $m --calibrate tests/README.md -o "$tmp/m.made"
expect "convert" measured convert -m $model --to gguf -o "$tmp/m.gguf"
expect "convert to a directory" measured convert -m "$tmp/m.gguf" --to safetensors -o "$tmp/made"
