# The same weights in other containers: the same fingerprint, the same logits; and what is said about
# files that are not whole or not ours.
. tests/cli/cases.inc

corpus=tests/fuzz/corpus/gguf
# bad FILE WORDS: one line, exit 4.
bad() {
    run verify "$corpus/$1"
    expect "$1 is refused" refuses 4 "$2"
}
bad cut 'truncated or damaged'
bad big_endian 'big-endian'
bad version_1 'expected GGUF version 2 or 3, found 1'
bad other_arch 'expected "gpt2", found "llama"'
bad twice 'is there twice'
bad iq4 'found IQ4_NL (20)'
bad counts 'expected 0 to 100000 tensors'
bad negative 'found -1'
bad long_string 'a key at byte'
bad overflow 'overflows'
bad alignment_3 'expected a power of two'
bad array_huge 'the file ends in'
bad nested 'that is no array'
bad vocab_only 'found a vocabulary alone'
bad k_types 'expected shape [1, 32]'
run tokenize -m "$corpus/sentencepiece" x
expect "a SentencePiece tokenizer" refuses 4 'found "llama" (SentencePiece)'
expect "says what to do" says '--ids'
run tokenize -m "$corpus/version_2" x
expect "a GGUF file without a tokenizer" refuses 4 'version_2: expected a tokenizer in it or beside it'
for good in whole version_2 alignment_64 trailing; do
    run verify "$corpus/$good"
    expect "$good is read" exits 0
done
printf 'lmgg\0\0\0\0' >"$tmp/old.bin"
run verify "$tmp/old.bin"
expect "a legacy ggml file" refuses 4 'found a legacy ggml file'
for name in tf_model.h5 flax_model.msgpack model.onnx rust_model.ot; do
    echo x >"$tmp/$name"
    run verify "$tmp/$name"
    expect "$name" refuses 4 'expected weights in a format that is read'
    rm "$tmp/$name"
done

mkdir "$tmp/pieces"
echo x >"$tmp/pieces/spiece.model"
run tokenize -m "$tmp/pieces" x
expect "a SentencePiece file" refuses 4 'spiece.model: expected a byte-level BPE tokenizer'

data=${GPT2_TEST_DATA:-../shared/data}
vocab=$data/gpt2/ggml-vocab-gpt-2.gguf
if [ -f "$vocab" ]; then
    text="Hello, world! It's 1999, naïve  façade\n\t<|endoftext|>"
    for flag in "" --special; do
        # shellcheck disable=SC2086 # nothing, or one word
        run tokenize -m "$data/gpt2" $flag "$text"
        cp "$out" "$tmp/ids"
        # shellcheck disable=SC2086
        run tokenize -m "$vocab" $flag "$text"
        expect "GPT-2's tokenizer in GGUF $flag" same "$tmp/ids" "$out"
    done
    run verify "$vocab"
    expect "has no weights" refuses 4 'found a vocabulary alone'
else
    skip "GPT-2's tokenizer in GGUF" "no $vocab"
fi

run convert
expect "no output" refuses 2 'expected --output'
run convert -o -
expect "standard output" refuses 2 'cannot be a stream'
run convert -o "$tmp/x"
expect "no format" refuses 2 'expected --to'
run convert -o "$tmp/x" --to onnx
expect "an unknown format" refuses 2 'expected one of safetensors, gguf, packed'

if [ ! -f models/tales/model.safetensors ]; then
    skip "the shipped model in other containers" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "the shipped model in other containers" "too long under valgrind"
    exit 0
fi

# facts MODEL [OPTION]: its fingerprint, its logits and its tokens.
facts() {
    "$GPT2" verify "$1" 2>&1 | grep -a '^fingerprint\|error'
    "$GPT2" generate -m "$@" "Once upon a time" -n 8 --greedy --stats 2>&1 | grep -a '^logits\|error'
    "$GPT2" tokenize -m "$1" --special "Once upon a time<|endoftext|>" 2>&1
}
# equal NAME MODEL [OPTION]: the facts are those of the model last given to `expected`.
expected() { facts "$1" >"$tmp/expected"; }
equal() {
    name=$1
    shift
    facts "$@" >"$tmp/facts"
    expect "$name" same "$tmp/expected" "$tmp/facts"
}

# ---- our own writers ----
expected models/tales
run convert --to safetensors -o "$tmp/dir"
expect "a directory" exits 0
expect "prints nothing on stdout" silent
equal "the directory is the same model" "$tmp/dir"
run convert --to safetensors -o "$tmp/dir"
expect "a directory with files in it" refuses 2 'expected a new or empty directory'
run convert --to safetensors -o "$tmp/no/such/dir"
expect "a directory in none" refuses 1 'cannot create'
run convert -o "$tmp/t.gguf"
expect "GGUF by its name" exits 0
equal "the GGUF file is the same model" "$tmp/t.gguf"
run convert --to packed -o "$tmp/t.packed"
equal "the packed file is the same model" "$tmp/t.packed"
run verify "$tmp/t.packed"
expect "a packed file's checksums are named" grep -q '^hash .*checksums' "$out"
for source in t.gguf t.packed; do
    run convert -m "$tmp/$source" --to safetensors -o "$tmp/from-$source"
    equal "and back from $source" "$tmp/from-$source"
    expect "vocab.json from $source" same "$tmp/dir/vocab.json" "$tmp/from-$source/vocab.json"
    expect "merges.txt from $source" same "$tmp/dir/merges.txt" "$tmp/from-$source/merges.txt"
done
hash_of() { "$GPT2" generate -m "$@" -p "once upon a time" -n 9 --stats 2>&1 >/dev/null | sed -n 's/^logits *//p'; }
hash=$(hash_of models/tales)
for way in "--mmap -t 1" "--mmap -t 2 --cpu generic" "--no-mmap -t 2" "--no-mmap -t 1 --speculate off"; do
    expect "GGUF has the directory's bits: $way" test "$(hash_of "$tmp/t.gguf" $way)" = "$hash"
done
run convert -m "$tmp/t.packed" -o "$tmp/again.gguf" --name tales
expect "GGUF from packed is GGUF from the directory" same "$tmp/t.gguf" "$tmp/again.gguf"
run quantize --type q8 -o "$tmp/q8"
run convert -m "$tmp/q8" --to safetensors -o "$tmp/from-q8"
expect "a quantized model" refuses 4 'expected F32, F16 or BF16 weights, found Q8'
expect "leaves nothing behind" test ! -e "$tmp/from-q8"
run verify "$tmp/q8"
expect "can be verified" grep -q 'the rest is quantized' "$out"
mkdir "$tmp/gelu"
cp models/tales/* "$tmp/gelu"
sed 's/"gelu_new"/"gelu"/' models/tales/config.json >"$tmp/gelu/config.json"
run convert -m "$tmp/gelu" -o "$tmp/gelu.gguf"
expect "what GGUF cannot say" refuses 4 'expected the activation "gelu_new"'

# A file whose name is its hash, as in Hugging Face's cache.
if sha256=$(command -v sha256sum || command -v shasum); then
    mkdir "$tmp/blobs" "$tmp/snap"
    case $sha256 in */shasum) sha256="$sha256 -a 256" ;; esac
    hash=$($sha256 models/tales/model.safetensors | cut -d ' ' -f 1)
    cp models/tales/model.safetensors "$tmp/blobs/$hash"
    cp models/tales/config.json "$tmp/snap"
    ln -s "../blobs/$hash" "$tmp/snap/model.safetensors"
    run verify "$tmp/snap"
    expect "the hash in a name" grep -q '^hash .*right' "$out"
    printf x | dd of="$tmp/blobs/$hash" bs=1 seek=1000000 conv=notrunc 2>/dev/null
    run verify "$tmp/snap"
    expect "a changed byte" refuses 4 'the file is damaged'
fi

# ---- an independent writer ----
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ]; then
    skip "files of an independent writer" "no python3 with numpy"
    exit 0
fi
rewrite() { "$python" tools/rewrite_model.py models/tales "$@" >"$out" 2>"$err" || cat "$err"; }

expected models/tales
rewrite "$tmp/w.gguf"
equal "GGUF" "$tmp/w.gguf"
rewrite "$tmp/w2.gguf" --version 2 --alignment 256 --keep-head
equal "GGUF 2 with another alignment and the head twice" "$tmp/w2.gguf"
mkdir "$tmp/folder"
mv "$tmp/w.gguf" "$tmp/folder"
equal "a directory with a GGUF file alone" "$tmp/folder"
cp "$tmp/folder/w.gguf" "$tmp/folder/v.gguf"
run verify "$tmp/folder"
expect "with two of them" refuses 4 'found several'
expect "says how to choose" says "-m $tmp/folder/v.gguf"
rewrite "$tmp/shards" --shards 3
equal "three files and their index" "$tmp/shards"
equal "given by the index" "$tmp/shards/model.safetensors.index.json"
"$python" tools/write_containers.py models/tales "$tmp/parts" --to torch --shards 3
equal "three files of PyTorch and their index" "$tmp/parts"
rewrite "$tmp/head" --head-only
equal "lm_head in the place of wte" "$tmp/head"
for dtype in F16 BF16; do
    rewrite "$tmp/$dtype" --dtype $dtype
    expected "$tmp/$dtype"
    "$python" tools/rewrite_model.py "$tmp/$dtype" "$tmp/$dtype.gguf"
    equal "$dtype in GGUF" "$tmp/$dtype.gguf"
    "$python" tools/rewrite_model.py "$tmp/$dtype" "$tmp/wide" --dtype F32
    equal "$dtype as F32" "$tmp/wide"
    rm -r "$tmp/wide"
done
for type in q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k; do
    rewrite "$tmp/q.gguf" --type $type --plain "$tmp/plain"
    expected "$tmp/plain"
    equal "$type expanded" "$tmp/q.gguf" --expand
    run info --tensors --json --expand "$tmp/q.gguf"
    expect "$type expanded says so" grep -qi "\"name\": \"h.0.mlp.c_fc.weight\", \"type\": \"$type\".*\"expanded\": true" "$out"
    run info "$tmp/q.gguf"
    expect "$type runs from its integers" grep -qiE "^weights  .* $type [0-9.]+ MiB as Q[48]_[0-9M]+(,|$)" "$out"
    form=$(sed -nE 's/^weights .* as (Q[0-9_M]+).*/\1/p' "$out")
    expect "with logits of its own" test "$(hash_of "$tmp/q.gguf")" != "$(hash_of "$tmp/plain")"
    expect "the same ones everywhere" test "$(hash_of "$tmp/q.gguf" -t 1 --cpu generic --mmap)" = \
        "$(hash_of "$tmp/q.gguf" -t 2 --no-mmap --speculate off)"
    # a packed file keeps the integers, and gives them back
    run quantize "$tmp/q.gguf" -o "$tmp/q.packed"
    expect "$type is packed by quantize" exits 0
    equal "packed $type expanded" "$tmp/q.packed" --expand
    expected "$tmp/q.gguf"
    equal "packed $type has the bits of the GGUF file" "$tmp/q.packed"
    equal "packed $type moved to other pages" "$tmp/q.packed" --no-mmap
    run info "$tmp/q.packed" --tensors
    expect "packed $type says its form" grep -qiE "^weights  .*$type [0-9.]+ MiB as $form(,|$)" "$out"
    run info "$tmp/q.packed" --tensors --json
    expect "packed $type says it of each tensor" grep -qi "\"name\": \"h.0.mlp.c_fc.weight\", \"type\": \"$type\".*\"expanded\": false, \"form\": \"$form\"" "$out"
    run convert "$tmp/q.gguf" --to packed -o "$tmp/again.packed"
    expect "$type is packed by convert" same "$tmp/q.packed" "$tmp/again.packed"
    run convert "$tmp/q.packed" --to packed -o "$tmp/again.packed"
    expect "packed $type is packed again" same "$tmp/q.packed" "$tmp/again.packed"
    run convert "$tmp/q.packed" -o "$tmp/back.gguf"
    equal "packed $type becomes GGUF again" "$tmp/back.gguf"
    run info "$tmp/back.gguf"
    expect "of that type" grep -qiE "^weights  .* $type [0-9.]+ MiB as $form(,|$)" "$out"
    run quantize "$tmp/back.gguf" -o "$tmp/again.packed"
    equal "and packed once more" "$tmp/again.packed"
    run quantize "$tmp/q.packed" --type q4 -o "$tmp/no"
    expect "$type with another type" refuses 4 'they are quantized already'
    expect "says what to do" says 'hint: leave --type out to keep them as they are; --expand makes F32 of them first'
    rm -r "$tmp/plain"
done
expect "nothing of what was refused" test ! -e "$tmp/no"
for file in q.gguf q.packed; do
    run quantize "$tmp/$file" --expand --type q4 -o "$tmp/q4.$file"
    expect "$file expanded, then Q4" exits 0
    run info "$tmp/q4.$file"
    expect "is ours" grep -qE '^weights  .*Q4 [0-9.]+ MiB(,|$)' "$out"
    run quantize "$tmp/$file" --expand -o "$tmp/q8.$file"
    run info "$tmp/q8.$file"
    expect "$file expanded without a type is Q8" grep -qE '^weights  .*Q8 [0-9.]+ MiB(,|$)' "$out"
    run convert "$tmp/$file" --expand -o "$tmp/wide.gguf"
    run info "$tmp/wide.gguf"
    expect "$file expanded as GGUF" grep -qE '^weights       F32 [0-9.]+ MiB$' "$out"
    run convert "$tmp/$file" --expand --to packed -o "$tmp/wide.packed"
    expected "$tmp/wide.gguf"
    equal "$file expanded as packed" "$tmp/wide.packed"
    equal "$file as it runs with --expand" "$tmp/$file" --expand
    run convert "$tmp/$file" --to safetensors -o "$tmp/wide"
    equal "$file as a directory" "$tmp/wide"
    rm -r "$tmp/wide"
    run quantize "$tmp/$file" --calibrate README.md -o "$tmp/no"
    expect "$file with a calibration" refuses 2 'found them quantized already'
    run convert "$tmp/$file" --expand --to safetensors -o "$tmp/no"
    expect "--expand where all is" refuses 2 '--expand is about --to packed'
done
expect "expanded from either they are one" same "$tmp/q4.q.gguf" "$tmp/q4.q.packed"
run quantize --expand -o "$tmp/no"
expect "quantize --expand of a model without integers" refuses 2 'or a packed file of one'
run convert --type q8_0 -o "$tmp/q8_0.gguf"
run convert "$tmp/q8_0.gguf" -o "$tmp/again.gguf" --name tales
expect "GGUF from GGUF keeps the blocks" same "$tmp/q8_0.gguf" "$tmp/again.gguf"
run quantize "$tmp/q8_0.gguf" -o "$tmp/q8_0.packed"
run convert "$tmp/q8_0.packed" -o "$tmp/again.gguf" --name tales
expect "GGUF from packed is that file" same "$tmp/q8_0.gguf" "$tmp/again.gguf"
echo '{"prompt": "Once"}' >"$tmp/one.jsonl"
for way in "" --expand; do
    # shellcheck disable=SC2086
    run generate -m "$tmp/q8_0.gguf" --input "$tmp/one.jsonl" -n 2 $way
    expect "a bulk job $way" exits 0
    sed -n 's/.*"system_fingerprint":"\([^"]*\)".*/\1/p' "$out" >"$tmp/mark$way"
done
for file in q8_0.gguf q8_0.packed; do
    cp "$tmp/$file" "$tmp/named" # a line has the model's name
    run generate -m "$tmp/named" --input "$tmp/one.jsonl" -n 2
    sed -n 's/.*"system_fingerprint":"\([^"]*\)".*/\1/p' "$out" >"$tmp/mark-$file"
done
expect "there is a system_fingerprint" test -s "$tmp/mark-q8_0.packed"
expect "it is the same from the GGUF file and the packed one" same "$tmp/mark-q8_0.gguf" "$tmp/mark-q8_0.packed"
expect "system_fingerprint tells the two ways apart" test "$(cat "$tmp/mark")" != "$(cat "$tmp/mark--expand")"
run compare "$tmp/q8_0.gguf" -f models/tales/config.json --json
expect "compare measures what products of integers cost" grep -q '"mean_kl": [0-9.e-]*[1-9]' "$out"
run info --expand models/tales
expect "--expand of a model without integers" refuses 2 'expected a GGUF file with quantized weights'
rewrite "$tmp/padded" --pad 1000
# What we write, against an independent reader and quantizer.
rm -r "$tmp/F16" "$tmp/BF16"
for type in as-is f32 f16 bf16 q8_0 q4_0; do
    for tied in "" --tied; do
        # shellcheck disable=SC2086
        run convert -o "$tmp/is.gguf" --type $type $tied
        "$python" tests/gguf_written.py models/tales "$tmp/is.gguf" $type tales $tied "$tmp/plain" >"$tmp/said" 2>&1
        expect "GGUF $type $tied as ggml has it: $(tail -n 1 "$tmp/said")" grep -qx right "$tmp/said"
        expected "$tmp/plain"
        case $type in
        q*) equal "GGUF $type $tied is read as that" "$tmp/is.gguf" --expand ;;
        *) equal "GGUF $type $tied is read as that" "$tmp/is.gguf" ;;
        esac
        rm -r "$tmp/plain"
    done
done
run convert -o "$tmp/named.gguf" --name 'a "tale"'
expect "general.name" grep -qaF 'a "tale"' "$tmp/named.gguf"
run convert -o "$tmp/no" --to safetensors --type q8_0
expect "--type is GGUF's" refuses 2 '--type is about GGUF files, the format here is safetensors'
"$python" tools/make_random_model.py "$tmp/odd" --n-embd 40 --n-head 2 --n-layer 1 --n-vocab 60 --n-ctx 16 >/dev/null
run convert "$tmp/odd" -o "$tmp/odd.gguf" --type q8_0 --no-tokenizer
expect "rows that are no blocks" refuses 4 'expected rows of a multiple of 32 weights for Q8_0, found 40'
expect "leave nothing" test ! -e "$tmp/odd.gguf"
"$python" tests/gguf_written.py --large "$tmp/odd" "$tmp/large"
run convert "$tmp/large" -o "$tmp/odd.gguf" --type f16 --no-tokenizer
expect "numbers that do not fit" refuses 4 'expected weights that fit F16'

# Its folder recommends no drawing, so none is asked for.
run generate -m "$tmp/padded" "Once upon a time" -n 16 --greedy --repeat-penalty 1
cp "$out" "$tmp/tale"
run generate "Once upon a time" -n 16 --greedy --repeat-penalty 1
expect "a padded vocabulary tells the same tale" same "$tmp/tale" "$out"
run info "$tmp/padded"
expect "and is noted" grep -q '^note .*"wte.weight" has 9000 rows' "$out"
rewrite "$tmp/whole.gguf"
run verify models/tales
fingerprint=$(grep '^fingerprint' "$out" | tr -s ' ' | cut -d ' ' -f 2)
"$python" tools/rewrite_model.py models/tales --fingerprint >"$tmp/its"
expect "the fingerprint is the documented one" grep -qx "$fingerprint" "$tmp/its"
"$python" - "$tmp/dir/model.safetensors" <<'EOF'
import struct, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(-2, 2)
    file.write(b"\xff\xff")
EOF
run verify "$tmp/dir"
expect "a weight that is no number" exits 4
expect "is named" says 'ln_f.bias[255]'

# ---- shards that do not fit together ----
index=$tmp/shards/model.safetensors.index.json
cp "$index" "$tmp/index"
second=$tmp/shards/model-00002-of-00003.safetensors
mv "$second" "$tmp/second"
run verify "$tmp/shards"
expect "a missing file" refuses 4 'no such file, though model.safetensors.index.json names it'
cp "$tmp/shards/model-00001-of-00003.safetensors" "$second"
run verify "$tmp/shards"
expect "a file in another's place" refuses 4 'found it here'
cp "$tmp/second" "$second"
sed 's/"model-00002-of/"..\/model-00002-of/' "$tmp/index" >"$index"
run verify "$tmp/shards"
expect "a path out of the directory" refuses 4 'expected a file in the same directory'
sed 's/"h.0.ln_1.bias": "[^"]*", //' "$tmp/index" >"$index"
run verify "$tmp/shards"
expect "a tensor that is not in the index" refuses 4 'expected it in the weight_map'
sed 's/"h.0.ln_1.bias"/"h.0.ln_1.bias2"/' "$tmp/index" >"$index"
run verify "$tmp/shards"
expect "a tensor under another name" refuses 4 'h.0.ln_1.bias'
head -c 100 "$tmp/index" >"$index"
run verify "$tmp/shards"
expect "a torn index" refuses 4 'model.safetensors.index.json'
