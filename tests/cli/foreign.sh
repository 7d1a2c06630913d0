# Files from elsewhere that are no GPT-2 as it is read: each is named, with what to do.
. tests/cli/cases.inc

# safetensors FILE HEADER: a file of no data.
safetensors() {
    n=${#2}
    {
        # shellcheck disable=SC2059 # the format is the length's two low bytes
        printf "\\$(printf %03o $((n % 256)))\\$(printf %03o $((n / 256)))\\0\\0\\0\\0\\0\\0"
        printf %s "$2"
    } >"$1"
}
# tensors NAME...: the header of these, each without an element.
tensors() {
    separator={
    for tensor; do
        printf '%s"%s":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' "$separator" "$tensor"
        separator=,
    done
    printf }
}
# model FILE NAME...: such a file in a new directory, $dir.
model() {
    dir=$tmp/model
    rm -rf "$dir"
    mkdir "$dir"
    file=$dir/$1
    shift
    safetensors "$file" "$(tensors "$@")"
}

# ---- adapters ----
lora='{"peft_type": "LORA", "base_model_name_or_path": "openai-community/gpt2", "r": NaN}'
lora_tensor=base_model.model.transformer.h.0.attn.c_attn.lora_A.weight
model adapter_model.safetensors $lora_tensor
printf %s "$lora" >"$dir/adapter_config.json"
for given in "$dir" "$dir/" "$dir/adapter_config.json" "$file"; do
    run info "$given"
    expect "an adapter: ${given#"$tmp"}" refuses 4 'a LoRA adapter for "openai-community/gpt2"'
    expect "its hint: ${given#"$tmp"}" says "-m openai-community/gpt2 --lora $dir"
done
mv "$file" "$dir/model.safetensors"
for command in "info $dir" "generate -m $dir x" "score -m $dir/model.safetensors x" "verify $dir"; do
    # shellcheck disable=SC2086 # words
    run $command
    expect "an adapter by its tensors: ${command%% *}" refuses 4 'a LoRA adapter for "openai-c'
done
rm "$dir/adapter_config.json"
run info "$dir"
expect "an adapter whose model is not named" refuses 4 'whose model is not named'
expect "an adapter whose model is not named: hint" says '-m BASE --lora'
printf '{"peft_type": "PREFIX_TUNING", "base_model_name_or_path": "gpt2"}' >"$dir/adapter_config.json"
run info "$dir"
expect "another adapter" refuses 4 'a PREFIX_TUNING adapter for "gpt2"'

# ---- names of tensors ----
for prefix in gpt2. backbone. net.gpt2.transformer. model.language_model.; do
    for config in no yes; do
        model model.safetensors ${prefix}h.0.ln_1.weight ${prefix}wte.weight
        [ $config = no ] || cp models/tales/config.json "$dir"
        run info "$dir"
        expect "the prefix $prefix, config.json: $config" refuses 4 \
            "2 of 2 tensors begin with \"$prefix\""
        expect "what to do about it" says "k.removeprefix(\"$prefix\")"
    done
done
model model.safetensors model.layers.0.mlp.up_proj.weight model.embed_tokens.weight
for given in "$dir" "$file"; do
    run info "$given"
    expect "other tensors come before a missing config.json" refuses 4 "not GPT-2's tensor names"
    expect "they are named" says 'of the Llama family'
done
model model.safetensors unheard.of
run info "$dir"
expect "unknown tensors" refuses 4 'found "unheard.of"'
model model.safetensors h.0.ln_1.weight
run info "$dir"
expect "GPT-2's without config.json" refuses 4 'config.json: no such file'

# ---- formats that are not read: the directory says what the file does ----
# foreign NAME CONTENT WHAT
foreign() {
    for config in no yes; do
        dir=$tmp/foreign
        rm -rf "$dir"
        mkdir "$dir"
        [ $config = no ] || cp models/tales/config.json "$dir"
        printf "$2" >"$dir/$1"
        for given in "$dir" "$dir/$1"; do
            run info "$given"
            expect "$1: ${given#"$tmp"}, config.json: $config" refuses 4 "found $3"
            expect "$1: ${given#"$tmp"} hint" says 'hint: '
        done
    done
}
for npz in weights.npz arrays; do
    foreign $npz 'PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\16\0\0\0wte.weight.npy' 'NumPy arrays'
done
foreign flax_model.msgpack x 'Flax weights'
foreign checkpoint.msgpack x 'Flax weights'
foreign tf_model.h5 x 'TensorFlow weights'
foreign model.weights.h5 x 'a Keras archive'
foreign saved_model.pb x 'a TensorFlow SavedModel'
foreign model.onnx x 'an ONNX graph'
foreign decoder_model.onnx x 'an ONNX graph'
foreign openvino_model.xml x 'an OpenVINO graph'
foreign model.tflite x 'a TensorFlow Lite graph'
foreign gpt2.mlmodel x 'a Core ML graph'
foreign group1-shard1of3.bin x 'TensorFlow.js weights'
foreign model.bin '\6\0\0\0\27\0TransformerDecoderSpec\0' 'a CTranslate2 model'
foreign ggml-model-f16.bin lmgg 'a legacy ggml file'
foreign gpt2-117M.bin tjgg 'a legacy ggml file'
foreign rust_model.ot x 'Rust weights'
# What stands in for one of them is named as that, under any name.
for there in weights.npz flax_model.msgpack model.onnx group1-shard1of3.bin adapter_model.safetensors \
    model.safetensors pytorch_model.bin x.gguf model.bin notes; do
    for body in 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n' \
        '\357\273\277\n<!DOCTYPE html>\n<html></html>\n' '<html lang="en">'; do
        rm -rf "$dir"
        mkdir "$dir"
        cp models/tales/config.json "$dir"
        printf "$body" >"$dir/$there"
        found='found an HTML page'
        case $body in version*) found='found a Git LFS pointer to it' ;; esac
        run info "$dir/$there"
        expect "$there: $found" refuses 4 "$dir/$there: expected the file itself, $found"
        case $there in model.bin | notes) continue ;; esac # known by what is in it alone
        run info "$dir"
        expect "$there in a directory: $found" refuses 4 "$found"
    done
done
mkdir "$tmp/exported" "$tmp/exported/onnx"
run info "$tmp/exported"
expect "a directory of ONNX files in a directory" refuses 4 'found an ONNX graph'

# ---- a link to nothing ----
hub=$tmp/hub/models--openai-community--gpt2
mkdir -p "$hub/refs" "$hub/snapshots/abc"
printf abc >"$hub/refs/main"
for part in config.json model.safetensors; do
    ln -s "../../blobs/$part" "$hub/snapshots/abc/$part"
done
for given in "$hub/snapshots/abc" "$hub/snapshots/abc/model.safetensors" openai-community/gpt2; do
    HF_HUB_CACHE=$tmp/hub
    export HF_HUB_CACHE
    run info -m "$given"
    expect "a link to nothing: ${given#"$tmp"}" refuses 4 'download incomplete'
done
unset HF_HUB_CACHE

if [ ! -f models/tales/model.safetensors ]; then
    skip "the shipped model under other names" "models/tales is not there"
    exit 0
fi

# ---- variants, and keys that are not read ----
shipped=$PWD/models/tales
run generate -m "$shipped" -n 4 --greedy Once
cp "$out" "$tmp/expected"
for variant in model.fp16.safetensors model.bf16.safetensors; do
    rm -rf "$dir"
    mkdir "$dir"
    for part in "$shipped"/*; do
        ln -s "$part" "$dir"
    done
    mv "$dir/model.safetensors" "$dir/$variant"
    run generate -m "$dir" -n 4 --greedy Once
    expect "$variant alone" same "$tmp/expected" "$out"
done
mv "$dir/$variant" "$dir/gpt2.safetensors"
run info "$dir"
expect "another name" refuses 4 'found no model.safetensors'
expect "what to do about it" says "-m $dir/gpt2.safetensors"
mv "$dir/gpt2.safetensors" "$dir/model.safetensors"
rm "$dir/config.json"
for value in NaN Infinity -Infinity; do
    sed "s/{/{\"a\": \"NaN\\\\\"\", \"some_key\": $value, \"list\": [$value,$value],/" \
        "$shipped/config.json" >"$dir/config.json"
    run generate -m "$dir" -n 4 --greedy Once
    expect "$value in a key that is not read" same "$tmp/expected" "$out"
    sed "s/\"layer_norm_epsilon\": *[^,}]*/\"layer_norm_epsilon\": $value/" \
        "$shipped/config.json" >"$dir/config.json"
    run generate -m "$dir" -n 4 --greedy Once
    expect "$value where it matters" refuses 4 'found NaN, or a number beyond'
done
sed 's/{/{"a": NaN,,/' "$shipped/config.json" >"$dir/config.json"
run info "$dir"
expect "a fault beside NaN" refuses 4 'not valid JSON'
