# Models by name: fetched from a hub that misbehaves, listed, removed, found in Hugging Face's cache.
. tests/cli/cases.inc

unset HF_ENDPOINT HF_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE HUGGING_FACE_HUB_TOKEN HF_HUB_DISABLE_PROGRESS_BARS
unset HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE TRANSFORMERS_CACHE XDG_CACHE_HOME XDG_DATA_HOME
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export HOME=$tmp/home HF_HUB_DOWNLOAD_TIMEOUT=1
mkdir "$HOME"
folder=$HOME/.local/share/gpt2/models

run pull
expect "a name is needed" refuses 2 'expected the name of a model'
for name in ../gpt2 /etc a/b/c 'a b' -- '-x/y' 'gpt2@' 'gpt2@../x' 'gpt2@a..b' 'a..b/c' 'a"b'; do
    run pull -- "$name"
    expect "\"$name\" is no name" refuses 2 'expected the name of a model'
done
HF_HUB_OFFLINE=1 run pull gpt2
expect "offline is obeyed" refuses 1 'HF_HUB_OFFLINE'
HF_ENDPOINT=file:///etc run pull gpt2
expect "an endpoint that is none" refuses 2 'HF_ENDPOINT'
HF_ENDPOINT=http://127.0.0.1:1 run pull gpt2
if command -v curl >/dev/null; then
    expect "no server at the address" refuses 1 'cannot reach http://127.0.0.1:1'
    expect "leaves nothing behind" test ! -e "$HOME/.local"
    HF_ENDPOINT=http://127.0.0.1:1 run pull owner/name
    expect "nor does OWNER/NAME" test ! -e "$HOME/.local"
    mkdir -p "$folder/other"
    HF_ENDPOINT=http://127.0.0.1:1 run pull owner/name
    expect "... and what was there stays" test "$(find "$folder" | wc -l)" -eq 2
    mkdir "$folder/owner"
    echo mine >"$folder/owner/notes"
    HF_ENDPOINT=http://127.0.0.1:1 run pull owner/name
    expect "... and what is in it" test -s "$folder/owner/notes"
    rm -r "$folder/owner"
    HF_ENDPOINT=http://no-such-host.invalid run pull gpt2
    expect "no such host" refuses 1 'cannot reach'
fi
PATH=/nonexistent run pull gpt2
expect "without curl" refuses 1 'cannot start the program curl'
run generate -m gpt2-medium x
expect "a famous name that is not here" refuses 4 'model "gpt2-medium": neither a path nor a known name'
expect "with the remedy" says 'gpt2 pull gpt2-medium'
mkdir -p "$folder/owner/folder"
for name in owner other; do
    mkdir -p "$folder/$name"
    run generate -m $name x
    expect "a folder of models, or an empty one, is no model: $name" refuses 4 "model \"$name\": neither a path nor a known name"
done
rm -r "$HOME/.local"
run generate -m some/where x
expect "OWNER/NAME that is not here" says 'gpt2 pull some/where'

# ---- Hugging Face's cache ----

model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "the cache and the hub" "$model is not there"
    exit 0
fi
cached() { # cached ROOT FOLDER COMMIT [REF]
    mkdir -p "$1/$2/refs" "$1/$2/snapshots/$3" "$1/$2/blobs"
    for file in config.json model.safetensors vocab.json merges.txt; do
        ln -sf "$PWD/$model/$file" "$1/$2/blobs/$file"
        ln -sf "../../blobs/$file" "$1/$2/snapshots/$3/$file"
    done
    [ -z "${4:-}" ] || printf '%s' "$3" >"$1/$2/refs/$4"
}
finds() { run info -m "$1" && grep -qF "$2" "$out"; }
cached "$HOME/.cache/huggingface/hub" models--openai-community--gpt2 aaaa main
expect "gpt2 in ~/.cache/huggingface" finds gpt2 /models--openai-community--gpt2/snapshots/aaaa
expect "by its full name" finds openai-community/gpt2 /snapshots/aaaa
expect "by OpenAI's name" finds 124M /snapshots/aaaa
expect "by its commit" finds gpt2@aaaa /snapshots/aaaa
run models
expect "it is listed" grep -Eq '^openai-community/gpt2 +F16 .*snapshots/aaaa$' "$out"
cached "$tmp/legacy" models--gpt2 bbbb main
HUGGINGFACE_HUB_CACHE=$tmp/legacy
export HUGGINGFACE_HUB_CACHE
rm "$tmp/legacy/models--gpt2/snapshots/bbbb/model.safetensors"
expect "a snapshot without weights is none" not finds gpt2 /models--gpt2/
ln -s ../../blobs/model.safetensors "$tmp/legacy/models--gpt2/snapshots/bbbb/model.fp16.safetensors"
run models
expect "one that has a variant alone is listed" grep -Eq '^gpt2 +F16 .*/snapshots/bbbb$' "$out"
expect "\$HUGGINGFACE_HUB_CACHE and the short folder" finds gpt2 /models--gpt2/snapshots/bbbb
cached "$tmp/newer" models--me--mine cccc main
HF_HUB_CACHE=$tmp/newer
export HF_HUB_CACHE
expect "\$HF_HUB_CACHE goes before it" finds me/mine "$tmp/newer"
unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE
export HF_HOME=$tmp/hf
cached "$tmp/hf/hub" models--me--mine dddd main
cached "$tmp/hf/hub" models--me--mine eeee v1.0
expect "\$HF_HOME" finds me/mine snapshots/dddd
expect "a tag" finds me/mine@v1.0 snapshots/eeee
unset HF_HOME
export XDG_CACHE_HOME=$tmp/xdg
cached "$tmp/xdg/huggingface/hub" models--me--one ffff
expect "\$XDG_CACHE_HOME, a snapshot without refs" finds me/one snapshots/ffff
unset XDG_CACHE_HOME
export TRANSFORMERS_CACHE=$tmp/transformers
cached "$tmp/transformers" models--me--old abcd main
expect "\$TRANSFORMERS_CACHE" finds me/old snapshots/abcd
unset TRANSFORMERS_CACHE
printf '../../../../secret' >"$HOME/.cache/huggingface/hub/models--openai-community--gpt2/refs/main"
rm -r "$HOME/.cache/huggingface/hub/models--openai-community--gpt2/snapshots/aaaa"
run info -m gpt2
expect "a ref that leads out is not followed" refuses 4 'model "gpt2"'
run rm openai-community/gpt2
expect "rm leaves the cache alone" refuses 4 'not pulled'

# ---- a hub ----

if ! command -v curl >/dev/null || ! command -v python3 >/dev/null; then
    skip "fetching from a hub" "needs curl and python3"
    exit 0
fi
hub=$tmp/hub
for owner in good redirects stalls cuts corrupts once norange endless gated forbidden busy streams floods babbles crowds \
    announces drips silent; do
    mkdir -p "$hub/$owner/m"
    for file in config.json model.safetensors vocab.json merges.txt; do
        ln "$model/$file" "$hub/$owner/m/$file" 2>/dev/null || cp "$model/$file" "$hub/$owner/m/$file"
    done
done
mkdir -p "$hub/openai-community" "$hub/good/llama" "$hub/good/empty" "$hub/good/torn"
cp -r "$hub/good/m" "$hub/openai-community/gpt2"
echo '{"model_type": "llama"}' >"$hub/good/llama/config.json"
echo x >"$hub/good/llama/model.safetensors"
cp $model/config.json "$hub/good/empty/"
cp $model/config.json "$hub/good/torn/"
printf '{"weight_map": {"wte.weight": "../../x"}}' >"$hub/good/torn/model.safetensors.index.json"
mkdir "$hub/good/parts"
cp $model/config.json $model/vocab.json $model/merges.txt "$hub/good/parts/"
cp $model/model.safetensors "$hub/good/parts/model-00001-of-00002.safetensors"
echo two >"$hub/good/parts/model-00002-of-00002.safetensors"
printf '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}' \
    >"$hub/good/parts/model.safetensors.index.json"
if ! start_hub "$hub"; then
    skip "fetching from a hub" "the server does not start"
    exit 0
fi

whole() { # the model is there, all of it
    for file in config.json model.safetensors vocab.json merges.txt pulled.json; do
        [ -s "$folder/$1/$file" ] || return 1
    done
    cmp -s $model/model.safetensors "$folder/$1/model.safetensors" && [ ! -e "$folder/$1.partial" ]
}
logged() { grep -qE -- "$1" "$hub/log"; }

run pull gpt2
expect "pull gpt2" exits 0
expect "prints where it is, and nothing else" prints "$folder/gpt2"
expect "everything is there" whole gpt2
expect "nothing else is" test "$(ls -A "$folder" "$folder/gpt2" | wc -l)" -eq 9
expect "the commit is pinned" logged '/openai-community/gpt2/resolve/0123456789abcdef'
run generate -m openai-community/gpt2 -n 4 "Once upon"
expect "-m OWNER/NAME finds it" exits 0
run pull 124M
expect "a second pull" exits 0
expect "fetches nothing" says 'nothing to fetch'
run models
expect "models lists it" grep -Eq '^gpt2 +F16 +[0-9]+\.[0-9] M .*/gpt2$' "$out"
run models --names
expect "models --names" grep -qx gpt2 "$out"
run models --json
expect "models --json" grep -q '"name": "gpt2", "type": "F16"' "$out"

for owner in redirects stalls cuts once norange busy streams; do
    run pull -q $owner/m
    expect "$owner: pulled in the end" exits 0
    expect "$owner: and right" whole $owner/m
done
expect "after a cut it goes on from there" logged '/cuts/m/resolve/.*safetensors bytes=[1-9]'
HF_TOKEN=hf_right run pull redirects/m@refs/pr/1
expect "a revision with slashes" whole redirects/m@refs--pr--1
expect "the hub sees the token" logged '^hub /redirects/.* token$'
expect "no other host does" test -z "$(grep '^cdn .* token$' "$hub/log")"

run pull corrupts/m
fails() { exits "$1" && silent && says "$2"; } # progress lines stand before the error
expect "a damaged file is refused" fails 1 'model.safetensors: expected SHA-256'
expect "and does not appear" test ! -e "$folder/corrupts/m"
run pull endless/m
expect "more bytes than announced are not taken" whole endless/m

# ---- more than the hub says ----

flooded() { # flooded PATTERN BYTES: the client left after fewer bytes than that
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        grep -qE -- "^flooded .*$1" "$hub/log" && break
        sleep 0.5
    done
    awk -v most="$2" -v what="$1" '/^flooded / && $2 ~ what { seen = 1; bad = bad || $3 > most }
        END { exit !(seen && !bad) }' "$hub/log"
}
size=$(wc -c <$model/model.safetensors)
mkdir -p "$folder/floods/m.partial"
head -c 1000000 $model/model.safetensors >"$folder/floods/m.partial/model.safetensors.part"
run pull floods/m
expect "a stream longer than the file" fails 1 "model.safetensors: expected $size bytes, the server sends more"
expect "... is left there" flooded floods/m/resolve $((size + 16000000))
expect "... and nothing of it is kept" test -z "$(find "$folder" -path '*floods*' -name 'model.safe*')"
run pull babbles/m
expect "an answer without end" refuses 1 "the hub's answer: expected at most 16777216 bytes"
expect "... is left there" flooded models/babbles $((16777216 + 16000000))
expect "... and nothing of it is kept" test -z "$(find "$folder" -path '*babbles/*')"
peak models
base=$peak
peak pull crowds/m
expect "an answer of 5,000,000 files" fails 1 'expected JSON of at most 262144 values, found 10000'
if [ -z "${VALGRIND:-}${SANITIZE:-}" ]; then
    expect "... in $peak MiB: four times the answer" test "$peak" -le $((base + 60))
fi
run pull announces/m
expect "a length that is not the listed one" fails 1 "expected $size bytes, the server sends more"
run pull announces/m
expect "... nor is it the second time" fails 1 "expected $size bytes, the server sends more"

# ---- killed ----

# A curl before the real one: its number, which nothing else tells of a child of a dead parent.
mkdir "$tmp/bin"
sandbox=$("$GPT2" generate -m $model -p once -n 1 --stats 2>&1 >/dev/null | sed -n 's/^sandbox //p')
# Its number goes to a file that is open: curl itself may write to none.
exec 9>>"$tmp/curls"
printf '#!/bin/sh\necho $$ >&9\n(echo >"%s") 2>/dev/null\nexec "%s" "$@"\n' "$tmp/written" "$(command -v curl)" >"$tmp/bin/curl"
chmod +x "$tmp/bin/curl"
is_running() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
grows_to() { # grows_to FILE BYTES
    for _ in $(seq 100); do
        if [ -f "$1" ] && [ "$(wc -c <"$1")" -ge "$2" ]; then return 0; fi
        sleep 0.1
    done
    return 1
}
gone() { # no curl that was started is there
    for _ in $(seq 20); do
        left=
        while read -r number; do is_running "$number" && left=$number; done <"$tmp/curls"
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    return 1
}
for owner in drips silent; do
    : >"$tmp/curls"
    part=$folder/$owner/m.partial/model.safetensors.part
    PATH=$tmp/bin:$PATH HF_HUB_DOWNLOAD_TIMEOUT=30 "$GPT2" pull -q $owner/m >"$out" 2>"$err" &
    puller=$!
    expect "$owner: it comes" grows_to "$part" 300000
    expect "... by curl" test -s "$tmp/curls"
    case $sandbox in
    files*) expect "... which writes to no file" test ! -e "$tmp/written" ;;
    esac
    kill -9 $puller
    wait $puller 2>/dev/null
    if [ $owner = drips ] || [ -e /proc/self/status ]; then
        expect "$owner: killed, and its curl is gone" gone
    fi
    before=$(wc -c <"$part")
    sleep 0.5
    expect "... and the file does not grow" test "$(wc -c <"$part")" -eq "$before"
done
"$GPT2" pull -q silent/m >"$tmp/out2" 2>"$tmp/err2" &
puller=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if [ -e "$folder/silent/m.partial.lock" ] && [ "$(grep -c /silent/m/resolve/.*safetensors "$hub/log")" -ge 2 ]; then break; fi
    sleep 0.2
done
run rm silent/m
expect "rm does not take away what is fetched" refuses 1 'another `gpt2 pull` of this model is running'
kill $puller
wait $puller
run pull -q drips/m
expect "after kill -9 it goes on" whole drips/m
expect "... from there" logged '/drips/m/resolve/.*safetensors bytes=[1-9]'
run rm silent/m
expect "rm of what was killed" exits 0
expect "... leaves nothing, nor the lock" test ! -e "$folder/silent"

run pull gated/m
expect "401" refuses 4 'the hub answers 401'
expect "hints at the token" says 'HF_TOKEN'
HF_TOKEN=hf_wrong run pull gated/m
expect "401 with a wrong token" refuses 4 'or not for this token'
expect "the token is not shown" test -z "$(grep hf_wrong "$err")"
mkdir -p "$HOME/.cache/huggingface"
echo hf_right >"$HOME/.cache/huggingface/token"
run pull gated/m
expect "the token's file" whole gated/m
rm "$HOME/.cache/huggingface/token"
HF_TOKEN='a"b' run pull gated/m
expect "a token that is none" refuses 2 'HF_TOKEN'
run pull forbidden/m
expect "403" refuses 4 'the hub answers 403'
run pull good/nothing
expect "404" refuses 4 'the hub answers 404'
run pull good/m@v9
expect "no such revision" refuses 4 'no such model or revision (v9)'
run pull good/empty
expect "no weights" refuses 4 'found none of them'
run pull good/llama
expect "another model" fails 4 'found model_type "llama"'
expect "before its weights are fetched" test -z "$(grep 'llama/resolve.*safetensors' "$hub/log")"
run pull good/torn
expect "parts that lead out" fails 4 '"../../x"'
run pull good/parts
expect "weights in parts" test -s "$folder/good/parts/model-00002-of-00002.safetensors"
expect "nothing escaped" test ! -e "$folder/good/escape" -a ! -e "$folder/escape"

mkdir -p "$folder/good/mine"
run pull good/mine
expect "what others made is not replaced" refuses 2 'did not make it'
run rm good/mine
expect "nor removed" refuses 4 'did not make it'
(ulimit -f 2000; "$GPT2" pull -q good/m >"$out" 2>"$err"; echo $? >"$tmp/status")
status=$(cat "$tmp/status")
expect "no room for it" refuses 1 'cannot write'
expect "what came is kept" test -s "$folder/good/m.partial/model.safetensors.part"
run models
expect "it is listed as unfinished" grep -Eq '^good/m +unfinished' "$out"
run pull good/m
expect "and then goes on" whole good/m
expect "from where it was" logged '/good/m/resolve/.*safetensors bytes=[1-9]'
cached "$HOME/.cache/huggingface/hub" models--openai-community--gpt2 cccc main
run rm good/m gpt2
expect "rm" exits 0
expect "removes it" test ! -e "$folder/gpt2" -a ! -e "$folder/good/m"
expect "and says what else has its name" says "Hugging Face's cache has gpt2, too, which is left alone: $HOME/.cache/"
run rm gpt2
expect "once" refuses 4 'not pulled'
expect "and says why -m still finds it" says "hint: Hugging Face's cache has it, which is left alone: $HOME/.cache/"
rm -r "$HOME/.cache/huggingface/hub/models--openai-community--gpt2"

# ---- files of the user's own ----

commit() { printf '%040d' "$1" >"$hub/commit"; } # the hub has another commit
# What a user may have in a model's folder: files, folders with files, links to both, names like ours.
furnish() { # furnish FOLDER
    rm -rf "$tmp/elsewhere"
    mkdir -p "$tmp/elsewhere" "$1/runs/one"
    for file in "$1/notes.txt" "$1/gpt2.q8" "$1/.hidden" "$1/mine.part" "$1/runs/one/log" "$tmp/elsewhere/data"; do
        echo mine >"$file"
    done
    ln -s "$tmp/elsewhere/data" "$1/link"
    ln -s "$tmp/elsewhere" "$1/linked"
    ln -s "$tmp/nowhere" "$1/dangling"
}
furnished() { # furnished FOLDER
    for file in notes.txt gpt2.q8 .hidden mine.part runs/one/log link linked/data; do
        [ "$(cat "$1/$file" 2>/dev/null)" = mine ] || return 1
    done
    [ -h "$1/link" ] && [ -h "$1/linked" ] && [ -h "$1/dangling" ] && [ "$(cat "$tmp/elsewhere/data")" = mine ]
}
# Links in the place of pulled files: they go, what they point to stays.
divert() { # divert FOLDER
    cp "$1/merges.txt" "$tmp/merges"
    ln -sf "$tmp/merges" "$1/merges.txt"
}
diverted() { same "$tmp/merges" $model/merges.txt; }
pulled_gone() { # pulled_gone FOLDER
    for file in config.json model.safetensors vocab.json merges.txt pulled.json; do
        if [ -e "$1/$file" ] || [ -h "$1/$file" ]; then return 1; fi
    done
}

run pull -q good/m
expect "pulled again" exits 0
furnish "$folder/good/m"
divert "$folder/good/m"
commit 1
run pull -q good/m
expect "a new commit" exits 0
expect "... is there" grep -q "\"commit\": \"$(cat "$hub/commit")\"" "$folder/good/m/pulled.json"
expect "... whole" whole good/m
expect "... beside the user's files" furnished "$folder/good/m"
expect "... and a link's end is as it was" diverted
expect "... with no folder left over" test "$(find "$folder/good" -maxdepth 1 -name 'm' -o -maxdepth 1 -name 'm.*' | wc -l)" -eq 1
divert "$folder/good/m"
run rm good/m
expect "rm among the user's files" exits 0
expect "... names the folder that stays" says "$folder/good/m stays: it holds "
expect "... with them in it" furnished "$folder/good/m"
expect "... and takes the pulled ones" pulled_gone "$folder/good/m"
expect "... but not a link's end" diverted
rm -r "$folder/good/m"

# A file of the new commit where the user has one.
run pull -q good/m
echo mine >"$folder/good/m/tokenizer_config.json"
echo '{}' >"$hub/good/m/tokenizer_config.json"
commit 2
run pull -q good/m
expect "a new file with the name of the user's" refuses 2 \
    'tokenizer_config.json: is there, and `gpt2 pull` did not make it'
expect "... which is as it was" grep -qx mine "$folder/good/m/tokenizer_config.json"
expect "... as is the model" same $model/model.safetensors "$folder/good/m/model.safetensors"
rm "$folder/good/m/tokenizer_config.json" "$hub/good/m/tokenizer_config.json"

# pulled.json that lists what is not in the folder.
run pull -q good/m
furnish "$folder/good/m"
python3 - "$folder/good/m/pulled.json" "$tmp/listed" "$tmp/elsewhere/data" <<'EOF'
import json, sys
with open(sys.argv[1]) as file:
    pulled = json.load(file)
for name in sys.argv[3], "../../kept", "linked/data", "runs", "runs/one/log", "linked/", "..", ".", "":
    pulled["files"].insert(0, {"name": name, "size": 5, "sha1": ""})
with open(sys.argv[2], "w") as file:
    json.dump(pulled, file)
EOF
cp "$tmp/listed" "$folder/good/m/pulled.json"
echo mine >"$folder/kept"
commit 3
run pull -q good/m
expect "an update with a list that leads out" exits 0
expect "... leaves what is there" furnished "$folder/good/m"
cp "$tmp/listed" "$folder/good/m/pulled.json"
run rm good/m
expect "rm with such a list" exits 0
expect "... removes the files" pulled_gone "$folder/good/m"
expect "... but not what is elsewhere" furnished "$folder/good/m"
expect "... or above" grep -qx mine "$folder/kept"
rm -r "$folder/good/m"

run pull -q good/m
echo '{"files": [' >"$folder/good/m/pulled.json"
run rm good/m
expect "a damaged pulled.json" refuses 1 'pulled.json'
expect "... removes nothing" test -s "$folder/good/m/model.safetensors"
commit 4
run pull -q good/m
expect "... nor does an update" refuses 1 'pulled.json'
expect "... which leaves all" test -s "$folder/good/m/model.safetensors"
rm -rf "$folder/good/m" "$folder/good/m.partial"

# A link in the place of the folder.
run pull -q good/m
mkdir "$tmp/moved"
mv "$folder/good/m" "$tmp/moved/m"
ln -s "$tmp/moved/m" "$folder/good/m"
furnish "$tmp/moved/m"
run pull good/m
expect "a folder that was moved and linked is good" says 'nothing to fetch'
commit 5
run pull -q good/m
expect "... but is not replaced" refuses 2 'good/m: is a symbolic link, and `gpt2 pull` did not make it'
run rm good/m
expect "... nor removed" refuses 4 'good/m: is a symbolic link, and `gpt2 pull` did not make it'
expect "... nor emptied" test -h "$folder/good/m" -a -s "$tmp/moved/m/model.safetensors" -a -s "$tmp/moved/m/pulled.json"
expect "... of anything" furnished "$tmp/moved/m"
rm "$folder/good/m"
ln -s "$tmp/moved/m" "$folder/good/m.partial"
run pull -q good/m
expect "nor is anything fetched into a link" refuses 2 'm.partial: is a symbolic link'
run rm good/m
expect "... or removed from it" refuses 4 'm.partial: is a symbolic link'
expect "... which is as it was" furnished "$tmp/moved/m"
rm "$folder/good/m.partial"

# What cannot be looked at is fetched again; what another name has, too, is not written to.
run pull -q good/m
ln -sf vocab.json "$folder/good/m/vocab.json"
run pull -q good/m
expect "a file that became a link to itself" exits 0
expect "... is fetched again" whole good/m
run rm good/m
(ulimit -f 2000; "$GPT2" pull -q good/m >"$out" 2>"$err")
part=$(find "$folder/good/m.partial" -name '*.part' | head -n 1)
expect "a part is there" test -s "$part"
echo mine >"$tmp/kept" && ln -f "$tmp/kept" "$part"
run pull -q good/m
expect "a part that another name has, too" exits 0
expect "... is left to it" grep -qx mine "$tmp/kept"
expect "... and fetched anew" whole good/m
run rm good/m
(ulimit -f 2000; "$GPT2" pull -q good/m >"$out" 2>"$err")
rm "$part" && mkfifo "$part"
run pull -q good/m
expect "a pipe in the place of a part" refuses 1 ".part: expected a regular file or none"
rm "$part"
run rm good/m
expect "... rm after it" exits 0

# A fetch that has not ended.
(ulimit -f 2000; "$GPT2" pull -q good/m >"$out" 2>"$err")
furnish "$folder/good/m.partial"
commit 6
(ulimit -f 2000; "$GPT2" pull -q good/m >"$out" 2>"$err")
expect "another commit's fetch goes on in the folder" furnished "$folder/good/m.partial"
run rm good/m
expect "rm of an unfinished fetch" exits 0
expect "... names its folder" says "$folder/good/m.partial stays: it holds "
expect "... removes what has come" test ! -e "$folder/good/m.partial/model.safetensors.part"
expect "... and what is whole" pulled_gone "$folder/good/m.partial"
expect "... and nothing else" furnished "$folder/good/m.partial"
run rm good/m
expect "... nor the second time" refuses 4 'good/m.partial: `gpt2 pull` did not make it'
run pull -q good/m
expect "a pull brings it along" furnished "$folder/good/m"
expect "... to the model" whole good/m
rm -r "$folder/good/m"

# The user's files of one name in both folders: neither can take the other's place.
run pull -q good/m
furnish "$folder/good/m"
mkdir "$folder/good/m.partial"
echo other >"$folder/good/m.partial/notes.txt"
commit 8
run pull -q good/m
expect "two files of the user's with one name" refuses 1 "cannot move $folder/good/m/notes.txt"
expect "... are both as they were" grep -qx other "$folder/good/m.partial/notes.txt"
expect "... with the rest beside the model" furnished "$folder/good/m"
expect "... which is there as before" same $model/model.safetensors "$folder/good/m/model.safetensors"
rm "$folder/good/m.partial/notes.txt"
run pull -q good/m
expect "and when one is out of the way" whole good/m
expect "... the other stays" furnished "$folder/good/m"
rm -r "$folder/good/m"

# What an earlier fetch has left, and the new commit has not.
(ulimit -f 2000; "$GPT2" pull -q good/parts@refs/pr/1 >"$out" 2>"$err")
mkdir "$tmp/kept"
mv "$hub"/good/parts/model* "$tmp/kept/"
cp $model/model.safetensors "$hub/good/parts/"
commit 9
run pull -q good/parts@refs/pr/1
expect "a commit with other files" whole good/parts@refs--pr--1
expect "... has none of the earlier one's" test -z "$(find "$folder/good/parts@refs--pr--1" -name '*-of-*' -o -name '*index*')"

# ---- a hub, on a terminal ----

for columns in 80 30; do
    "$GPT2" rm good/m >"$out" 2>"$err"
    echo "size 24 $columns" | TERM=xterm play pull good/m
    expect "on a terminal with $columns columns: a bar" grep -q "$(printf '\r')\[[# ]\{20\}" "$raw"
    expect "... that leaves nothing behind" not grep -qE '^\[|#' "$screen"
done
