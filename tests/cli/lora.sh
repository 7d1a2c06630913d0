#!/bin/sh
# lora.sh - LoRA adapters: merged as float64 says, on load and to a file alike; each switch of PEFT;
# what is refused, and what is said.
. tests/cli/cases.inc

python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ]; then
    skip "LoRA adapters" "no python3 with numpy"
    exit 0
fi
write() { # ADAPTER OPTIONS...: a random adapter for $base
    adapter=$tmp/$1
    shift
    "$python" tests/adapters.py write "$base" "$adapter" "$@" || exit 1
}
fingerprint() {
    "$GPT2" verify "$@" 2>/dev/null | sed -n 's/^fingerprint *//p'
}
# same NAME ADAPTER[:SCALE]...: merged on load, merged to a file and merged by numpy are the same.
same() {
    name=$1 loras=
    shift
    for item; do loras="$loras --lora $item"; done
    rm -rf "$tmp/numpy" "$tmp/merged"
    "$python" tests/adapters.py merge "$base" "$tmp/numpy" "$@" || exit 1
    right=$(fingerprint "$tmp/numpy")
    # shellcheck disable=SC2086
    expect "$name: on load" test "$(fingerprint -m "$base" $loras)" = "$right"
    # shellcheck disable=SC2086
    run convert -m "$base" $loras -o "$tmp/merged" --no-tokenizer
    expect "$name: to a file" test "$(fingerprint "$tmp/merged")" = "$right"
    expect "$name: it changes the model" test "$right" != "$plain"
}
says() { grep -qF -e "$1" "$out" "$err"; }
refuses() { test $status = "$1" && grep -qF -e "$2" "$err"; }

base=$tmp/base
"$python" tools/make_random_model.py "$base" --n-embd 42 --n-head 3 --n-layer 3 --n-vocab 70 \
    --n-ctx 32 --spread >/dev/null || exit 1
plain=$(fingerprint "$base")

write one
same "c_attn" "$tmp/one"
same "half of it" "$tmp/one:0.5"
same "less than nothing of it" "$tmp/one:-2"
write all --targets c_attn,c_proj,c_fc,wpe --rank 3 --alpha 5 --dtype F16
same "all linear layers and wpe, F16" "$tmp/all"
same "two adapters" "$tmp/one" "$tmp/all:0.25"
write rs --targets c_fc,mlp.c_proj --rslora
same "rsLoRA" "$tmp/rs"
write fan --targets c_attn,c_proj --fan-out
same "fan_in_fan_out: false" "$tmp/fan"
write patterns --targets c_attn,c_proj --rank-pattern 'h.1.attn.c_attn=7' \
    --rank-pattern 'mlp.c_proj=2' --alpha-pattern 'h\.[02]\..*c_attn=3' --alpha-pattern 'c_proj=1'
same "alpha_pattern and rank_pattern" "$tmp/patterns"
write saved --targets c_attn --save ln_f,mlp.c_proj
same "modules_to_save" "$tmp/saved"
write older --targets c_attn --save ln_f --bias all --old-names
same "modules_to_save and bias under their wrappers' names" "$tmp/older"
write biases --bias all
same "bias: all" "$tmp/biases"
write bias --bias lora_only --targets c_fc
same "bias: lora_only" "$tmp/bias"
write lora_bias --lora-bias --targets c_fc,c_attn
same "lora_bias" "$tmp/lora_bias"
write bin --bin
same "adapter_model.bin" "$tmp/bin"

# ---- the head that is wte ----
write head --targets lm_head
same "lm_head" "$tmp/head"
run info -m "$base" --lora "$tmp/head"
expect "a head of its own" grep -q '^head  *lm_head (its own)' "$out"
expect "is said" says 'changes lm_head; the other stays as it was: from here on the head is not wte'
write wte --targets wte,c_attn
same "wte" "$tmp/wte"
run info -m "$base" --lora "$tmp/wte"
expect "the head stays" says 'changes wte; the other stays as it was'
write both --targets wte,lm_head
same "wte and lm_head" "$tmp/both"
write saved_head --save lm_head
same "lm_head saved whole" "$tmp/saved_head"

# ---- other bases ----
base=$tmp/base16
"$python" tools/make_random_model.py "$base" --n-embd 42 --n-head 3 --n-layer 3 --n-vocab 70 \
    --n-ctx 32 --spread --dtype f16 >/dev/null || exit 1
plain=$(fingerprint "$base")
same "an F16 base" "$tmp/patterns"
run info -m "$base" --lora "$tmp/one" --tensors
expect "what is touched becomes F32" grep -qE 'h.0.attn.c_attn.weight +F32' "$out"
expect "the rest does not" grep -qE 'h.0.mlp.c_fc.weight +F16' "$out"
right=$(fingerprint -m "$base" --lora "$tmp/patterns")
for to in packed gguf; do
    run convert "$base" --to $to -o "$tmp/base.$to" --no-tokenizer
    expect "a base as $to" test "$(fingerprint -m "$tmp/base.$to" --lora "$tmp/patterns")" = "$right"
done
run quantize "$base" -o "$tmp/base.q8" --no-tokenizer
run info -m "$tmp/base.q8" --lora "$tmp/one"
expect "a quantized base" refuses 4 'to which an adapter can be added, found Q8'
expect "and what to do" says 'gpt2 convert -m BASE --lora DIR -o MERGED'
base=$tmp/base

# ---- the integers of a GGUF file, and of a packed file that keeps them ----
if [ -f models/tales/model.safetensors ]; then
    "$python" tests/adapters.py write models/tales "$tmp/of-tales" >"$out" 2>"$err"
    run convert models/tales --type q4_0 -o "$tmp/tales.gguf"
    run quantize "$tmp/tales.gguf" -o "$tmp/tales.packed"
    for file in tales.gguf tales.packed; do
        for command in "info" "generate -n 1 x -m" "quantize -o $tmp/no" "convert --to packed -o $tmp/no" "convert -o $tmp/no.gguf"; do
            # shellcheck disable=SC2086
            run $command "$tmp/$file" --lora "$tmp/of-tales"
            expect "$file: ${command%% *}" refuses 4 'to which an adapter can be added, found Q8_0'
            expect "and what to do" says 'hint: --expand makes F32 of them, to which it can'
            # shellcheck disable=SC2086
            run $command "$tmp/$file" --lora "$tmp/of-tales" --expand
            expect "$file: ${command%% *} --expand" exits 0
        done
    done
    expect "expanded and merged they are one" test "$(fingerprint -m "$tmp/tales.gguf" --lora "$tmp/of-tales")" = "$(fingerprint -m "$tmp/tales.packed" --lora "$tmp/of-tales")"
else
    skip "an adapter and integers" "models/tales is not there"
fi

# ---- every command ----
ids=1,2,60,3,0,59,7
rm -rf "$tmp/merged"
run convert -m "$base" --lora "$tmp/all:0.5" -o "$tmp/merged" --no-tokenizer
run generate -m "$tmp/merged" --ids $ids --format ids --greedy -n 12
cp "$out" "$tmp/right"
for t in 1 2; do
    run generate -m "$base" --lora "$tmp/all:0.5" --ids $ids --format ids --greedy -n 12 -t $t
    expect "generate with $t threads" cmp "$out" "$tmp/right"
done
run generate -m "$base" --lora "$tmp/all:0.5" --ids $ids --format ids --greedy -n 12 --no-mmap
expect "generate with moved weights" cmp "$out" "$tmp/right"
run generate -m "$tmp/base.packed" --lora "$tmp/all" --ids $ids --format ids --greedy -n 12
expect "generate on a packed file, which is checked lazily" test $status = 0
for command in "score --ids $ids --top 3" "inspect lens --ids $ids --tsv"; do
    # shellcheck disable=SC2086
    run $command -m "$tmp/merged"
    grep -v '^#' "$out" >"$tmp/right"
    # shellcheck disable=SC2086
    run $command -m "$base" --lora "$tmp/all:0.5"
    grep -v '^#' "$out" >"$tmp/is"
    expect "${command%% *}" cmp "$tmp/is" "$tmp/right"
done
run info -m "$base" --lora "$tmp/all:0.5"
expect "info" grep -q "^adapter  *$tmp/all, scale 0.5: rank 3 on 13 matrices, 0 tensors whole" "$out"
run info -m "$base" --lora "$tmp/saved" --json
expect "info as JSON" says "\"adapters\": [{\"path\": \"$tmp/saved\", \"scale\": 1, \"rank\": 4, \"matrices\": 3, \"whole\": 8}]"

# ---- a job that goes on ----
base=models/tales
write tale --targets c_attn,c_proj --alpha 1
printf '{"prompt": "One day"}\n{"prompt": "The cat"}\n' >"$tmp/in.jsonl"
job() { run generate -m $base --input "$tmp/in.jsonl" -o "$tmp/out.jsonl" -n 4 "$@"; }
job --lora "$adapter"
head -n 1 "$tmp/out.jsonl" >"$tmp/half" && cp "$tmp/half" "$tmp/out.jsonl"
job --lora "$adapter:0.5" --resume
expect "--resume with another scale" refuses 2 'was made with another model or other options'
job --resume
expect "--resume without the adapter" refuses 2 'was made with another model or other options'
job --lora "$adapter" --resume
expect "--resume with the same" test $status = 0 -a "$(wc -l <"$tmp/out.jsonl")" -eq 2

printf 'One day the cat sat.' >"$tmp/text"
run compare $base --lora "$adapter" -f "$tmp/text" --json
expect "compare: what an adapter changes" test $status = 0
expect "is not nothing" grep -qE '"mean_kl": [0-9.]*[1-9]|"kl[a-z_]*": [0-9.]*[1-9]' "$out"

# ---- what is refused ----
base=$tmp/base
for setting in 'use_dora=true|DoRA' 'use_qalora=true|QALoRA' 'peft_type="IA3"|found "IA3"' \
    'init_lora_weights="pissa"|found "pissa"' 'layer_replication=[[0,3]]|layer_replication' \
    'use_other=true|"use_other", which is not known here' 'r=0|"r": expected an integer' \
    'lora_alpha="a"|"lora_alpha": expected a number' 'use_rslora=1|"use_rslora": expected true' \
    'r=5|expected a pair of rank 5, found 4' 'rank_pattern={"(?<=a)b":4}|simple patterns' \
    'rank_pattern={"(((a{1,50}){1,50}){1,50}){1,50}":4}|simple patterns' \
    'rank_pattern={"h**":4}|simple patterns' \
    'rank_pattern={"((((((((((((a*)*)*)*)*)*)*)*)*)*)*)*)*":4}|simple patterns' \
    'target_modules=["c_attn","c_fc"]|"h.0.mlp.c_fc", which target_modules lists' \
    'modules_to_save=["ln_f"]|"ln_f", which modules_to_save lists'; do
    write refused --set "${setting%|*}"
    run info -m "$base" --lora "$adapter"
    expect "refused: ${setting%|*}" refuses 4 "${setting#*|}"
done
write half_a_pair --drop lora_B
run info -m "$base" --lora "$adapter"
expect "half a pair" refuses 4 'expected a pair lora_A, lora_B for "h.0.attn.c_attn", found only'
write later --set 'new_key=3'
run info -m "$base" --lora "$adapter"
expect "a key that is not known is noted" says '"new_key" is not known here and not looked at'
mkdir "$tmp/empty" && cp "$adapter/adapter_config.json" "$tmp/empty"
run info -m "$base" --lora "$tmp/empty"
expect "no weights" refuses 4 'expected adapter_model.safetensors or adapter_model.bin'
cp -r "$base" "$tmp/with_adapter" && cp "$adapter/adapter_config.json" "$tmp/with_adapter"
run info -m "$tmp/with_adapter"
expect "an adapter beside the model is noted" says 'with_adapter/adapter_config.json: a LoRA adapter lies beside'
run info -m "$tmp/with_adapter/model.safetensors"
expect "... but not beside a file that is named" not says 'a LoRA adapter lies beside'
run info -m "$base" --lora "$base"
expect "a model" refuses 4 'expected the folder of a LoRA adapter'
run info -m "$base" --lora "$tmp/base.gguf"
expect "a GGUF file" refuses 4 "found a GGUF file"
run info -m "$base" --lora "$tmp/one:x"
expect "a scale that is none" refuses 2 'expected DIR or DIR:SCALE'
run info -m "$base" --lora "$tmp/nothing"
expect "nothing" refuses 4 'no such file or directory'
run info -m models/tales --lora "$tmp/one"
expect "another base" refuses 4 'is the adapter for this model?'
mkdir "$tmp/a:2" && cp "$tmp"/one/* "$tmp/a:2"
expect "a colon in a name" test "$(fingerprint -m "$base" --lora "$tmp/a:2")" = \
    "$(fingerprint -m "$base" --lora "$tmp/one")"
expect "an adapter's file" test "$(fingerprint -m "$base" --lora "$tmp/one/adapter_model.safetensors")" = \
    "$(fingerprint -m "$base" --lora "$tmp/one")"
for path in "$tmp/one" "$tmp/one/adapter_config.json" "$tmp/one/adapter_model.safetensors" "$tmp/bin/adapter_model.bin"; do
    run info -m "$path"
    expect "-m $(basename "$path") of an adapter" refuses 4 'found a LoRA adapter for "some/base"'
    dir=${path%/adapter_*}
    expect "says how it is used" says "gpt2 convert -m some/base --lora $dir -o MERGED"
done

# ---- a real one ----
real=${GPT2_TEST_DATA:-../shared/data}/foreign/gpt2-lora-adapter
if [ -d "$real" ]; then
    base=$tmp/large
    "$python" tools/make_random_model.py "$base" --n-embd 768 --n-head 12 --n-layer 12 \
        --n-vocab 100 --n-ctx 64 --dtype f16 >/dev/null || exit 1
    plain=$(fingerprint "$base")
    same "a real adapter of gpt2" "$real"
    run info -m "$real"
    expect "its base is named" refuses 4 'found a LoRA adapter for "gpt2"'
else
    skip "a real adapter of gpt2" "no $real"
fi
