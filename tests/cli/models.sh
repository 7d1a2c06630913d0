# Where models come from, and what is said about those that are not there or not whole.
. tests/cli/cases.inc

run generate -m no-such-model x
expect "an unknown name" refuses 4 'model "no-such-model": neither a path nor a known name'
expect "with the places looked in" says 'looked for in ./models'
expect "... and what to do" says '`gpt2 models` lists what is here'
run generate -m gpt3 x
expect "a name that is nearly one of the hub's" says 'did you mean gpt2, which `gpt2 pull gpt2` fetches?'
run generate -m ./no/such/model x
expect "a missing path" refuses 4 './no/such/model: no such file or directory'
mkdir "$tmp/empty"
mkfifo "$tmp/pipe"
run generate -m "$tmp/pipe" x
expect "a pipe" refuses 4 "pipe"
run generate -m "$tmp/empty" x
expect "an empty directory" refuses 4 'config.json'
GPT2_MODEL=no-such run generate x
expect "\$GPT2_MODEL is used" refuses 4 'model "no-such"'

if [ ! -f models/tales/model.safetensors ]; then
    skip "the shipped model" "models/tales is not there"
    exit 0
fi
run info
expect "info on the shipped model" exits 0
expect "info counts layer-norm sites" grep -Eq 'layer norm +[0-9]+ sites' "$out"
cp "$out" "$tmp/default"
run info models/tales/model.safetensors
expect "a file in the directory" exits 0
run info -m tales
expect "a name under models/" exits 0
(cd "$tmp" && ln -s "$OLDPWD/models" elsewhere)
GPT2_MODELS="$tmp:$tmp/elsewhere" run info -m tales
expect "a name under \$GPT2_MODELS" exits 0
run info --tensors
expect "info lists tensors" grep -Eq '^  h\.0\.ln_1\.weight +F' "$out"

copy() { rm -rf "$tmp/m"; mkdir "$tmp/m"; cp models/tales/* "$tmp/m/"; }
copy
head -c 100000 models/tales/model.safetensors >"$tmp/m/model.safetensors"
run generate -m "$tmp/m" x
expect "a truncated file" refuses 4 'model.safetensors'
: >"$tmp/m/model.safetensors"
run generate -m "$tmp/m" x
expect "an empty file" refuses 4 'model.safetensors'
copy
sed 's/"n_layer": *[0-9]*/"n_layer": 77/' models/tales/config.json >"$tmp/m/config.json"
run generate -m "$tmp/m" x
expect "missing layers" refuses 4 'h.'
sed 's/"gelu_new"/"gelu_old"/' models/tales/config.json >"$tmp/m/config.json"
run generate -m "$tmp/m" x
expect "an unknown activation" refuses 4 'gelu_old'
sed 's/"model_type": *"gpt2"/"model_type": "llama"/' models/tales/config.json >"$tmp/m/config.json"
run generate -m "$tmp/m" x
expect "another model type" refuses 4 'llama'
copy
rm "$tmp/m/vocab.json" "$tmp/m/merges.txt"
run generate -m "$tmp/m" x
expect "a directory without a tokenizer" refuses 4 'vocab.json'
run generate -m "$tmp/m" --ids 1,2,3 --format ids -n 4 --greedy
expect "works with ids alone" exits 0
copy
rm "$tmp/m/model.safetensors" "$tmp/m/config.json"
run tokenize -m "$tmp/m" hello
expect "tokenize needs only the tokenizer's files" exits 0

data=${GPT2_TEST_DATA:-../shared/data}/fixtures/not-gpt2
if [ -d "$data" ]; then
    run generate -m "$data" x
    expect "a GPT-1 directory" refuses 4 'openai-gpt'
else
    skip "a GPT-1 directory" "$data is not there"
fi

# ---- names ----

export GPT2_MODELS="$PWD/models" # the shipped model, wherever the program was built
mkdir -p "$tmp/there/models/tales"
(cd "$tmp/there" && "$GPT2" info) >"$out" 2>"$err"
status=$?
expect "an empty ./models/tales does not stand in the shipped model's place" exits 0
expect "... and no path goes up" not grep -q '/\.\./' "$out"
rmdir "$tmp/there/models/tales"
echo notes >"$tmp/there/models/tales"
(cd "$tmp/there" && "$GPT2" info -m tales) >"$out" 2>"$err"
status=$?
expect "... nor a file that is no model" exits 0
(cd "$tmp/there" && mkdir models/mine && echo notes >models/mine/notes && "$GPT2" info -m mine) >"$out" 2>"$err"
status=$?
expect "what no other place has is named" refuses 4 models/mine
(cd "$tmp/there" && mkdir models/none && "$GPT2" info -m none) >"$out" 2>"$err"
status=$?
expect "... and an empty folder is no model" refuses 4 "neither a path nor a known name"
rm "$tmp/there/models/tales"
cp -r models/tales "$tmp/there/models/tales"
(cd "$tmp/there" && "$GPT2" info) >"$out" 2>"$err"
status=$?
expect "a model of that name does" grep -q '^model  *\./models/tales$' "$out"
run quantize tales -o "$tmp/there/models/tales.q8"
(cd "$tmp/there" && "$GPT2" models) >"$out" 2>"$err"
expect "a packed file of any name is listed" grep -q '^tales\.q8 ' "$out"
mkdir "$tmp/there/models/mine/more"
mv "$tmp/there/models/tales.q8" "$tmp/there/models/mine/one.q8"
cp models/tales/model.safetensors "$tmp/there/models/mine/part.safetensors"
(cd "$tmp/there" && "$GPT2" models) >"$out" 2>"$err"
expect "... and in a folder there" grep -q '^mine/one\.q8 ' "$out"
expect "... beside files that may be a part of something" not grep -q '^mine/part' "$out"
(cd "$tmp/there" && "$GPT2" info -m mine/one.q8) >"$out" 2>"$err"
status=$?
expect "... under the name that -m takes" exits 0
