# A file that is named is that file or an error, in every command that takes a model: never the
# weights beside it, and never the default model.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "named files" "models/tales is not there"
    exit 0
fi
m=$tmp/m
mkdir "$m"
cp models/tales/* "$m/"
run quantize -m "$m" --type q8 -o "$m/good.q8"
expect "quantize" exits 0
run convert -m "$m" --to gguf -o "$tmp/good.gguf"
expect "convert" exits 0
: >"$m/empty.q8"
damage() { # FROM TO BYTE: another letter at the place BYTE
    cp "$1" "$2"
    printf 'X' | dd of="$2" bs=1 seek="$3" conv=notrunc 2>/dev/null
}
damage "$m/good.q8" "$m/bad.q8" 30
damage "$tmp/good.gguf" "$m/bad.gguf" 0
damage "$tmp/good.gguf" "$m/bad" 0
echo "about this model" >"$m/notes.txt"
ln -s nowhere "$m/link"
mkfifo "$m/pipe"
echo "Once upon a time" >"$tmp/text"
printf '{"prompt": "x"}\n' >"$tmp/in.jsonl"
printf '{"text": "In my palm is a clear stone, and inside it is a small ivory statue."}\n' >"$tmp/eval"

# every_command PATH WORDS: each refuses the path, and names it. A command that needs more than a
# model to get so far has a case here.
taking_models=$(commands_with "--model ")
run serve --api-key-file "$tmp/none"
if says libmicrohttpd; then taking_models=$(echo "$taking_models" | grep -vx serve); fi # it says that first
expect "thirteen commands take a model, at least" test "$(echo "$taking_models" | wc -l)" -ge 13
every_command() {
    wrong=
    for command in $taking_models generate-bulk score-ids inspect-ids compared; do
        rm -rf "$tmp/made"
        case $command in
        generate) run generate -m "$1" -n 2 x ;;
        generate-bulk) run generate -m "$1" -n 2 --input "$tmp/in.jsonl" ;;
        score) run score -m "$1" "x y" ;;
        score-ids) run score -m "$1" --ids "1 2" ;;
        choose) run choose -m "$1" x -c yes,no ;;
        eval) run eval lambada "$tmp/eval" -m "$1" ;;
        inspect) run inspect layernorm -m "$1" x ;;
        inspect-ids) run inspect layernorm -m "$1" --ids 1,2 ;;
        tokenize) run tokenize -m "$1" x ;;
        detokenize) run detokenize -m "$1" --ids 1,2 ;;
        quantize) run quantize -m "$1" -o "$tmp/made" ;;
        convert) run convert -m "$1" --to packed -o "$tmp/made" ;;
        compare) run compare -m "$1" models/tales -f "$tmp/text" ;;
        compared) run compare -m models/tales "$1" -f "$tmp/text" ;;
        serve) run serve --port 0 -m "$1" ;;
        bench) run bench -m "$1" -p 4 -n 2 -r 1 ;;
        *) run "$command" -m "$1" ;;
        esac
        if ! { refuses 4 "$2" && says "$3" && [ ! -e "$tmp/made" ]; }; then
            wrong="$wrong $command: $(tr '\n' '|' <"$err")"
        fi
    done
    echo "$wrong" >"$err"
    test -z "$wrong"
}
none="expected a model"
expect "an empty file" every_command "$m/empty.q8" "$m/empty.q8" "$none"
expect "a packed file with one byte changed" every_command "$m/bad.q8" "$m/bad.q8" "$none"
expect "a GGUF file with one byte changed" every_command "$m/bad.gguf" "$m/bad.gguf" GGUF
expect "the same without its name" every_command "$m/bad" "$m/bad" "$none"
expect "a text" every_command "$m/notes.txt" "$m/notes.txt" "$none"
expect "a link to nothing" every_command "$m/link" "$m/link" "cannot open"
expect "a pipe" every_command "$m/pipe" "$m/pipe" "regular file"
expect "nothing" every_command "" 'model ""' "got nothing"
expect "a part of a path that is a file" every_command "$m/config.json/x" "$m/config.json/x" "no such file"
run info ""
expect "nothing as a word" refuses 4 'model ""'
# A name of the working directory, though it is known elsewhere too.
mkdir "$tmp/here" "$tmp/places"
ln -s nowhere "$tmp/here/tales"
(cd "$tmp/here" && "$GPT2" info -m tales) >"$out" 2>"$err"
status=$?
expect "a link to nothing with a known name" refuses 4 tales
ln -s nowhere "$tmp/places/damaged"
GPT2_MODELS="$tmp/places" run info -m damaged
expect "a link to nothing in a folder of models" refuses 4 places/damaged
GPT2_MODEL="$m/bad.q8" run info
expect "\$GPT2_MODEL" refuses 4 "$m/bad.q8"
GPT2_MODEL='' run info
expect "an empty \$GPT2_MODEL is none" exits 0

# Without the right to read it, though root usually has it.
: >"$tmp/secret" && chmod 0 "$tmp/secret"
drop=
if [ -r "$tmp/secret" ]; then drop="setpriv --inh-caps=-all --bounding-set=-all"; fi
cp "$m/good.q8" "$m/secret.q8" && chmod 0 "$m/secret.q8"
if $drop true 2>/dev/null && ! $drop cat "$tmp/secret" >/dev/null 2>&1; then
    cat >"$tmp/gpt2" <<END
#!/bin/sh
exec $drop "$GPT2" "\$@"
END
    chmod +x "$tmp/gpt2"
    with_rights=$GPT2 GPT2=$tmp/gpt2
    expect "a file that may not be read" every_command "$m/secret.q8" "$m/secret.q8" "ermission denied"
    chmod 0 "$m/config.json"
    expect "nor a part of a directory" every_command "$m/config.json" "$m/config.json" "ermission denied"
    chmod 644 "$m/config.json"
    mkdir "$tmp/closed" && cp models/tales/* "$tmp/closed/" && chmod 0 "$tmp/closed"
    expect "nor a file in a directory that may not be entered" \
        every_command "$tmp/closed/model.safetensors" "$tmp/closed/model.safetensors" "ermission denied"
    chmod 755 "$tmp/closed"

    # A name means the model in the first place that has it, whether it may be read or not.
    mkdir -p "$tmp/one" "$tmp/two"
    cp "$m/good.q8" "$tmp/one/file" && cp -r models/tales "$tmp/one/folder"
    cp -r models/tales "$tmp/two/file" && cp "$m/good.q8" "$tmp/two/folder"
    closed_name() { # NAME PATH
        chmod 0 "$2"
        GPT2_MODELS=$tmp/one:$tmp/two run info "$1"
        chmod 755 "$2"
        refuses 4 "$2" && says "ermission denied"
    }
    expect "a named file that may not be read" closed_name file "$tmp/one/file"
    expect "a named folder that may not be read" closed_name folder "$tmp/one/folder"
    chmod 0 "$tmp/one/folder" "$tmp/one/file"
    GPT2_MODELS=$tmp/one run models
    chmod 755 "$tmp/one/folder" "$tmp/one/file"
    expect "models lists what may not be read" grep -q '^file  *unusable' "$out"
    expect "... or says it" says "$tmp/one/folder: Permission denied"
    # A folder whose names may be read and whose files may not even be looked at.
    chmod 644 "$tmp/one/folder"
    GPT2_MODELS=$tmp/one run models
    chmod 755 "$tmp/one/folder"
    expect "models lists what may not be looked at" grep -q '^folder  *unusable' "$out"
    expect "... and says it" says "cannot look at $tmp/one/folder/config.json: Permission denied"
    # The rights that count are those that files are opened with.
    if [ -n "${SANITIZE:-}" ]; then
        skip "rights of the effective user" "LeakSanitizer may not trace a process whose user has changed"
    elif [ "$(id -u)" -eq 0 ]; then
        open=$(mktemp -d /tmp/gpt2-named.XXXXXX) && chmod 755 "$open" # which every user may enter
        mkdir "$open/one" "$open/two" && cp "$with_rights" "$open/gpt2"
        cp "$m/good.q8" "$open/one/file" && cp -r models/tales "$open/two/file" && chmod 600 "$open/one/file"
        HOME=$open HF_HUB_CACHE=$open GPT2_MODELS=$open/one:$open/two \
            setpriv --euid=65534 --clear-groups "$open/gpt2" info -m file >"$out" 2>"$err"
        status=$?
        rm -r "$open"
        expect "a file that the effective user may not read" refuses 4 "$open/one/file: cannot open: Permission denied"
    fi
    # In a folder whose parent may not be searched, a name is enough.
    mkdir -p "$tmp/parent/in" && cp "$m/good.q8" "$tmp/parent/in/" && echo old >"$tmp/parent/in/tale"
    (cd "$tmp/parent/in" && chmod 0 .. && "$GPT2" verify good.q8 >"$out" 2>"$err")
    status=$?
    expect "verify in a folder below one that may not be searched" exits 0
    chmod 755 "$tmp/parent"
    (cd "$tmp/parent/in" && chmod 0 .. && "$GPT2" tokenize -m good.q8 once -o tale >"$out" 2>"$err")
    status=$?
    chmod 755 "$tmp/parent"
    expect "... and writing there" exits 0
    expect "... over what is there" grep -q '[0-9]' "$tmp/parent/in/tale"
    # A place that may not be entered is passed over, but not forgotten.
    chmod 0 "$tmp/one"
    GPT2_MODELS=$tmp/one:$tmp/two run info folder
    expect "a place that may not be entered is passed over" exits 0
    GPT2_MODELS=$tmp/one run info folder
    expect "... and named where the model is nowhere" refuses 4 "$tmp/one/folder: Permission denied"
    GPT2_MODELS=$tmp/one run models
    expect "... models says that it is left out" says "$tmp/one: Permission denied"
    chmod 755 "$tmp/one"
    # In Hugging Face's caches.
    for cache in one two; do
        mkdir -p "$tmp/$cache/hub/models--o--n/refs" "$tmp/$cache/hub/models--o--n/snapshots"
        printf c >"$tmp/$cache/hub/models--o--n/refs/main"
        cp -r models/tales "$tmp/$cache/hub/models--o--n/snapshots/c"
    done
    for closed in refs/main snapshots/c; do
        closed=$tmp/one/hub/models--o--n/$closed
        chmod 0 "$closed"
        TRANSFORMERS_CACHE=$tmp/one/hub HF_HUB_CACHE=$tmp/two/hub run info o/n
        chmod 755 "$closed"
        expect "in the cache: ${closed##*/}" refuses 4 "$closed"
        expect "... which may not be read" says "ermission denied"
    done
    # What was pulled is ours, though it may not be looked at; a token that may not be read is one.
    mkdir -p "$tmp/one/good/m"
    echo '{}' >"$tmp/one/good/m/pulled.json"
    for command in rm pull; do
        chmod 0 "$tmp/one/good/m"
        GPT2_MODELS=$tmp/one run $command good/m
        chmod 755 "$tmp/one/good/m"
        expect "$command of what may not be read" refuses 1 "$tmp/one/good/m: Permission denied"
    done
    HF_TOKEN_PATH=$tmp/secret GPT2_MODELS=$tmp/two run pull good/m
    expect "a token that may not be read" refuses 1 "$tmp/secret: Permission denied"
    GPT2=$with_rights
else
    skip "files that may not be read" "this user can read every file (setpriv is missing)"
fi

# As many places as are given are looked in.
mkdir "$tmp/last" && cp "$m/good.q8" "$tmp/last/far"
GPT2_MODELS=$(seq -s : 60):$tmp/last run info far
expect "the 61st place" exits 0
# A cache: a file among the snapshots is none, a commit that is named and missing is no other, and a
# pipe in the place of a file is not waited for.
repo=$tmp/hub/models--o--n
mkdir -p "$repo/refs" "$repo/snapshots"
cp -r models/tales "$repo/snapshots/c"
: >"$repo/snapshots/DS_Store"
HF_HUB_CACHE=$tmp/hub run info o/n
expect "the only snapshot beside a file" exits 0
ln -s circle "$repo/snapshots/circle"
HF_HUB_CACHE=$tmp/hub run info o/n
expect "... and beside a link to itself" exits 0
printf d >"$repo/refs/main"
HF_HUB_CACHE=$tmp/hub run info o/n
expect "the commit of refs/main is not there" refuses 4 "neither a path nor a known name"
rm "$repo/refs/main" && mkfifo "$repo/refs/main"
HF_HUB_CACHE=$tmp/hub run info o/n
expect "a pipe for refs/main" refuses 4 "neither a path nor a known name"

# A file that has no name any more.
cp "$m/good.q8" "$tmp/gone" && exec 7<"$tmp/gone" && rm "$tmp/gone"
if [ -r /dev/fd/7 ]; then
    run verify /dev/fd/7
    expect "verify of a file that was removed" exits 0
fi
exec 7<&-

# What a directory is made of stands for it.
fingerprint() { run verify -m "$1" && grep fingerprint "$out" >"$2"; }
fingerprint "$m" "$tmp/whole"
for part in config.json vocab.json merges.txt; do
    fingerprint "$m/$part" "$tmp/part"
    expect "$part stands for its directory" same "$tmp/part" "$tmp/whole"
done
run tokenize -m "$m/vocab.json" "Hello there"
cp "$out" "$tmp/ids"
run tokenize -m "$m/model.safetensors" "Hello there"
expect "weights have the tokenizer beside them" same "$out" "$tmp/ids"
# A tokenizer's file that is named is one of those that are read.
echo '{' >"$m/tokenizer.json"
run tokenize -m "$m" "Hello there"
expect "of two tokenizers in a directory tokenizer.json counts" refuses 4 "$m/tokenizer.json"
run tokenize -m "$m/tokenizer.json" "Hello there"
expect "of two tokenizers the named one counts" refuses 4 "$m/tokenizer.json"
rm "$m/vocab.json"
run tokenize -m "$m/merges.txt" "Hello there"
expect "half of a tokenizer" refuses 4 "vocab.json"
rm "$m/tokenizer.json" "$m/merges.txt"
run score -m "$m" --ids "1 2"
expect "ids need no tokenizer" exits 0
ln -s nowhere "$m/vocab.json" && ln -s nowhere "$m/merges.txt"
for command in "score --ids" "inspect layernorm --ids"; do
    # shellcheck disable=SC2086
    run $command "1 2" -m "$m"
    expect "$command: a tokenizer that cannot be opened is not none" refuses 4 "$m/vocab.json"
done
