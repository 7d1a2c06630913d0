# Every example of help, man pages and topics does something without an error.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "examples" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "examples" "too long under valgrind"
    exit 0
fi
here=$PWD
mkdir -p "$tmp/bin" "$tmp/work/models" "$tmp/home"
GPT2=$(realpath "$GPT2")
# The models that examples name: all of them are the shipped one. Nothing comes from the network.
ln -s "$here/models/tales" "$tmp/work/models/tales"
cp -r "$here/models/tales" "$tmp/work/models/gpt2"
cp -r "$here/models/tales" "$tmp/kept"
export HOME="$tmp/home" GPT2_MODELS="$tmp/work/models" PATH="$tmp/bin:$PATH"
unset XDG_DATA_HOME XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HF_ENDPOINT
cat >"$tmp/bin/gpt2" <<END
#!/bin/sh
exec "$GPT2" "\$@"
END
chmod +x "$tmp/bin/gpt2"

# The files that examples name.
cd "$tmp/work" || exit 1
{
    echo "Once upon a time there was a fox who lived in a hollow tree beside the river."
    "$GPT2" generate -n 200 "Once upon a time there was a fox" 2>/dev/null
} >story.txt
cp story.txt article.txt
printf 'The fox ran home.\nThe wolf was very hungry.\nxq zzv kkjq\n' >lines.txt
printf '7454 2402 257\n464 886\n' >ids.txt
printf 'one key\n' >keys.txt
for i in 0 1 2 3 4; do printf '{"id": %d, "prompt": "The fox number %d", "max_tokens": 4}\n' $i $i; done >prompts.jsonl
printf '{"id": 1, "prompt": "The fox is", "choices": ["sly", "blue"]}\n' >questions.jsonl
printf '{"text": "Once upon a time there was a fox"}\n' >lambada.jsonl
printf '{"ctx_a": "The fox", "ctx_b": "he", "ctx": "The fox he", "activity_label": "Tale", "endings": ["ran home.", "was a stone.", "is.", "blue."], "label": 0}\n' >hellaswag.jsonl
for p in python3 /usr/bin/python3; do
    ! "$p" -c 'import numpy' 2>/dev/null || { "$p" "$here/tests/adapters.py" write models/tales adapter && break; }
done >"$out" 2>"$err"
"$GPT2" quantize gpt2 -o gpt2.q8 >/dev/null 2>&1
"$GPT2" quantize gpt2 --type q4 -o gpt2.q4 >/dev/null 2>&1
"$GPT2" generate -f story.txt -n 0 --save-session story.session 2>/dev/null

# A hub, for pull and rm.
mkdir -p "$tmp/hub/openai-community"
cp -r "$here/models/tales" "$tmp/hub/openai-community/gpt2"
cp -r "$here/models/tales" "$tmp/hub/openai-community/gpt2-medium"
if command -v python3 >/dev/null; then
    python3 "$here/tests/hub_server.py" "$tmp/hub" "$tmp/port" &
    server=$!
    trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$tmp/port" ] || sleep 0.5; done
    HF_ENDPOINT=http://127.0.0.1:$(cat "$tmp/port")
    export HF_ENDPOINT
fi

# does NAME LINE: the line is a script of its own.
does() {
    case $2 in
    *"gpt2 pull "* | *"gpt2 rm "*)
        [ -s "$tmp/port" ] && command -v curl >/dev/null || { skip "$1" "needs python3 and curl"; return; }
        for name in gpt2 gpt2-medium; do GPT2_MODELS="$tmp/pulled" "$GPT2" pull -q $name; done >"$out" 2>&1
        (export GPT2_MODELS="$tmp/pulled" && cd "$tmp/home" && sh -c "$2") >"$out" 2>"$err" </dev/null
        status=$?
        expect "$1" exits 0
        return
        ;;
    *"gpt2 serve"*)
        # Port 8080 may be taken; what is tried is that it listens.
        line=$(echo "$2" | sed 's/--port 8080/--port 0/')
        timeout 60 sh -c "exec $line" >"$out" 2>"$err" &
        pid=$!
        await grep -q 'http://' "$err"
        status=$?
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        grep -q 'built without GNU libmicrohttpd\|cannot load' "$err" && skip "$1" "no libmicrohttpd" ||
            expect "$1" exits 0
        return
        ;;
    "source <("*) set -- "$1" "$2" bash ;;
    *"| source") set -- "$1" "$2" fish ;;
    parallel* | sbatch*)
        command -v "${2%% *}" >/dev/null || { skip "$1" "${2%% *} is not installed"; return; }
        case $2 in *host1* | sbatch*) skip "$1" "tests/cli/bulk.sh has hosts and a cluster"; return ;; esac
        ;;
    *adapter*) [ -d adapter ] || { skip "$1" "needs numpy"; return; } ;;
    esac
    command -v "${3:-sh}" >/dev/null || { skip "$1" "$3 is not installed"; return; }
    "${3:-sh}" -c "$2" >"$out" 2>"$err" </dev/null
    status=$?
    expect "$1" exits 0
    expect "... without an error" not grep -q '^gpt2: error' "$err"
}

n=0
for command in $(commands); do
    "$GPT2" help "$command" examples | grep -v '^# ' >"$tmp/examples"
    expect "$command has examples" test "$(wc -l <"$tmp/examples")" -ge 3
    while IFS= read -r line; do
        does "$line" "$line"
        n=$((n + 1))
    done <"$tmp/examples"
done
"$GPT2" help examples | grep -v '^# ' >"$tmp/examples"
while IFS= read -r line; do
    does "$line" "$line"
    n=$((n + 1))
done <"$tmp/examples"

# Lines of topics that begin with a program; one may go on after a backslash.
for topic in $(topics); do
    rm -rf gpt2-hf merged
    "$GPT2" help "$topic" | sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' |
        sed -nE 's/^    ((gpt2|parallel|paste|sbatch) .*)/\1/p' >"$tmp/lines"
    while IFS= read -r line; do
        does "$topic: $line" "$line"
        n=$((n + 1))
    done <"$tmp/lines"
done
expect "$n examples" test $n -gt 80
