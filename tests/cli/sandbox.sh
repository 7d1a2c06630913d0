# What a command gives up: a hole in the program (tests/hole.c) tries to read, write, connect, start ...
. tests/cli/cases.inc

hole=${BUILD:-build}/tests/hole.so
case $hole in /*) ;; *) hole=$PWD/$hole ;; esac
model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "the sandbox" "$model is not there"
    exit 0
fi
run generate -m $model -p once -n 1 --stats
state=$(sed -n 's/^sandbox //p' "$err")
expect "--stats says what was given up" test -n "$state"
run generate -m $model -p once -n 1 --stats --no-sandbox
expect "... and with --no-sandbox that nothing was" grep -qx 'sandbox off' "$err"
case $state in
none*)
    skip "the sandbox" "$state"
    exit 0
    ;;
esac
if [ ! -f "$hole" ]; then
    skip "the sandbox" "a hole is made in a plain build for Linux only"
    exit 0
fi

ln -s "$PWD/$model" "$tmp/tales"
mkdir "$tmp/outside" "$tmp/made" "$tmp/linked"
printf 'once upon\na time\n' >"$tmp/lines"
echo '{"prompt":"once","choices":["upon","over"]}' >"$tmp/choices"
echo '{"text":"once upon a time"}' >"$tmp/lambada"
m="-m $tmp/tales -t 2"

# try ARGS... : runs it with the hole in a folder of its own; leaves what was done in $done
try() {
    echo victim >"$tmp/outside/victim"
    (cd "$tmp/made" && HOLE_LOG=$tmp/log HOLE_OUTSIDE=$tmp/outside LD_PRELOAD=$hole \
        "$GPT2" "$@" >"$out" 2>"$err" </dev/null)
    status=$?
    done=$(sed -n 's/ done$//p' "$tmp/log" | tr '\n' ' ')
    refused=$(grep -c ' refused$' "$tmp/log")
}
# What Landlock and seccomp refuse together, and what seccomp does alone.
case $state in
"files, calls") both=1 ;;
*) both= ;;
esac
nothing_done() {
    [ $status -eq 0 ] && { [ -z "$done" ] || { echo "done: $done"; false; }; } && [ "$refused" -eq 13 ]
}
# An output in a file: without Landlock the rest may be written, too.
nothing_but_files_done() {
    [ -n "$both" ] && { nothing_done; return; }
    [ $status -eq 0 ] && ! echo " $done" | grep -qE ' (read|connect|datagram|local|fork|exec|signal|code) '
}
# What --stats and bench report is read from /proc.
reads_alone() { [ $status -eq 0 ] && [ "$done" = "read " ] && [ "$refused" -eq 12 ]; }

export HOLE_EARLY=1
try generate $m -p once -n 3 --no-sandbox
unset HOLE_EARLY
everything_done() { [ $status -eq 0 ] && [ "$refused" -eq 0 ]; }
expect "--no-sandbox: the hole does it all" everything_done

for command in "generate $m -p once -n 3" "generate $m -f $tmp/lines -n 3 --json --logprobs 2" \
    "generate $m --input $tmp/lines -n 3" "score $m -f $tmp/lines" "score $m -p once --by line" \
    "choose $m -p once -c upon -c over" "choose $m --input $tmp/choices" "eval lambada $tmp/lambada $m" \
    "embed $m once" "inspect lens $m -p once" "inspect dump $m -p once" \
    "generate $m -p once -n 3 --speculate lookup" "generate $m -p once -n 3 --speculate $tmp/tales"; do
    try $command
    expect "refused: $(echo "$command" | sed "s|$tmp/||g")" nothing_done
done
for command in "generate $m -p once -n 3 -o tale.txt" "generate $m -p once -n 3 --logits rows.npy" \
    "generate $m -p once -n 3 --save-session kept" "generate $m -n 3 --load-session kept --save-session kept" \
    "generate $m -p once -n 3 --prompt-cache cache" "generate $m --input $tmp/lines -n 3 -o lines.jsonl" \
    "generate $m --input $tmp/lines -n 3 -o lines.jsonl --resume" "score $m -p once -o scores" \
    "choose $m -p once -c upon -c over -o best" "embed $m once -o vector.npy" \
    "inspect attention $m -p once --svg picture.svg" "inspect dump $m -p once --lens -o dumped.npz" \
    "eval lambada $tmp/lambada $m -o scores"; do
    case $command in *--resume)
        head -n 1 "$tmp/made/lines.jsonl" >"$tmp/begun" && mv "$tmp/begun" "$tmp/made/lines.jsonl" ;;
    esac
    try $command
    expect "refused: $(echo "$command" | sed "s|$tmp/||g")" nothing_but_files_done
done
try generate $m -p once -n 3 --stats
expect "--stats reads, and nothing else" reads_alone
try bench $m -p 0 -n 2 -r 1
expect "bench reads, and nothing else" reads_alone

# ---- what is written all the same ----

written() { [ $status -eq 0 ] && [ -s "$1" ] && [ ! -s "$err" ]; }
for name in tale.txt rows.npy kept cache lines.jsonl scores best vector.npy picture.svg dumped.npz; do
    expect "$name is there" test -s "$tmp/made/$name"
done
ln -s ../linked/tale "$tmp/made/link"
run generate $m -p once -n 3 -o "$tmp/made/link"
expect "a link to nothing in another folder" written "$tmp/linked/tale"
run generate $m -p once -n 3 -o "$tmp/made/link"
expect "... and to what is there" written "$tmp/linked/tale"
run score $m -p once -o /dev/null
expect "a device" exits 0
mkfifo "$tmp/pipe"
cat "$tmp/pipe" >"$tmp/through" &
run score $m -p once -o "$tmp/pipe"
wait
expect "a pipe with a name" written "$tmp/through"
run score $m -p once -o "$tmp/missing/scores"
expect "a folder that is not there is named as such" refuses 1 'scores: cannot create: No such file'
run score $m -p once -o /dev/stdout
expect "/dev/stdout" written "$out"

# ---- a server and a session ----

if "$GPT2" serve --help >/dev/null 2>&1 && command -v curl >/dev/null; then
    : >"$out"
    echo victim >"$tmp/outside/victim"
    HOLE_LOG=$tmp/log HOLE_OUTSIDE=$tmp/outside LD_PRELOAD=$hole \
        "$GPT2" serve $m --port 0 >"$out" 2>"$err" </dev/null &
    pid=$!
    ready() { grep -q ' at http' "$err"; }
    if await ready; then
        curl -s -d '{"prompt":"once","max_tokens":3}' -H 'Content-Type: application/json' \
            "$(sed -n 's/.* at http/http/p' "$err")/completions" >"$tmp/answer"
        expect "serve answers" grep -q '"text"' "$tmp/answer"
        kill "$pid"
        finish
        done=$(sed -n 's/ done$//p' "$tmp/log" | tr '\n' ' ')
        refused=$(grep -c ' refused$' "$tmp/log")
        expect "refused: serve" nothing_done
    else
        skip "serve" "$(head -n 1 "$err")"
        wait
    fi
else
    skip "serve" "needs libmicrohttpd and curl"
fi
# In a session files are named at any time; there is nothing else that it needs.
session_done() {
    [ "$refused" -gt 0 ] && ! echo " $done" | grep -qE ' (connect|datagram|local|fork|exec|signal|code) '
}
echo victim >"$tmp/outside/victim"
printf 'once\n/save %s/kept\n/load %s/kept\n' "$tmp" "$tmp" >"$tmp/typed"
HOLE_LOG=$tmp/log HOLE_OUTSIDE=$tmp/outside LD_PRELOAD=$hole \
    "$GPT2" generate $m -i -n 3 >"$out" 2>"$err" <"$tmp/typed"
status=$?
done=$(sed -n 's/ done$//p' "$tmp/log" | tr '\n' ' ')
refused=$(grep -c ' refused$' "$tmp/log")
expect "refused: a session" session_done
expect "... which saves and loads" test -s "$tmp/kept"
