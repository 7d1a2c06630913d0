# Several processes on one file, a disk that is full in the middle of each command that writes, and
# signals at random moments of a job: 4 of each kind, 200 with TORTURE=1.
. tests/cli/cases.inc

model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "a crowd" "$model is not there"
    exit 0
fi
"$GPT2" convert -m $model --to gguf -o "$tmp/m.gguf" 2>/dev/null
m="-m $tmp/m.gguf -t 1"
mkdir "$tmp/made"
i=0
while [ $i -lt 60 ]; do
    echo "{\"prompt\":\"the king $i\",\"id\":\"r$i\"}"
    i=$((i + 1))
done >"$tmp/records"
printf 'once\nupon a time\n' >"$tmp/lines"
echo '{"text":"once upon a time"}' >"$tmp/lambada"

# ---- two writers ----

mkfifo "$tmp/first"
begin generate $m -n 3 --input "$tmp/first" -o "$tmp/job"
exec 9>"$tmp/first"
echo '{"prompt":"once"}' >&9
answered() { [ -s "$tmp/job" ]; }
expect "a job writes" await answered
for more in "" --resume; do
    "$GPT2" generate $m -n 3 --input "$tmp/lines" -o "$tmp/job" $more >"$tmp/out2" 2>"$tmp/err2" </dev/null
    second=$?
    refused() { [ $second -eq 1 ] && grep -qF "another process writes to $tmp/job" "$tmp/err2"; }
    expect "a second one on its file is refused${more:+ ($more)}" refused
done
echo '{"prompt":"a king"}' >&9
exec 9>&-
finish
whole_job() { exits 0 && [ "$(grep -c '"finish_reason"' "$tmp/job")" -eq 2 ] && [ "$(wc -l <"$tmp/job")" -eq 2 ]; }
expect "... and the first one's is whole" whole_job
run generate $m -n 3 --input "$tmp/lines" -o "$tmp/job"
expect "after it the file is free" exits 0
# Files that are renamed: one of the two, whole.
"$GPT2" generate $m -p once -n 200 -o "$tmp/a" 2>/dev/null
"$GPT2" generate $m -p king -n 200 -o "$tmp/b" 2>/dev/null
for round in 1 2 3 4; do
    "$GPT2" generate $m -p once -n 200 -o "$tmp/made/one" 2>/dev/null &
    "$GPT2" generate $m -p king -n 200 -o "$tmp/made/one" 2>/dev/null
    wait
    one_of_both() { cmp -s "$tmp/made/one" "$tmp/a" || cmp -s "$tmp/made/one" "$tmp/b"; }
    expect "two texts in one file: one, whole ($round)" one_of_both
done
rm "$tmp/made/one"

# ---- a full disk ----

# full BLOCKS ARGS... : no file may be longer than that many blocks of 512 bytes.
mkfifo "$tmp/said"
full() {
    blocks=$1
    shift
    cat "$tmp/said" >"$err" &
    (cd "$tmp/made" && exec sh -c 'ulimit -f '"$blocks"' && exec "$0" "$@"' "$GPT2" "$@") >/dev/null 2>"$tmp/said" </dev/null
    status=$?
    wait
}
told() { exits 1 && [ "$(grep -c '^gpt2: error: ' "$err")" -eq 1 ] && says 'File too large' && [ -z "$(ls -A "$tmp/made")" ]; }
tried=
for command in "generate $m -p once -n 3 -o file" "generate $m -p once -n 3 --json -o file" \
    "generate $m -p once -n 3 --logits rows.npy" "generate $m -p once -n 3 --save-session kept" \
    "generate $m -p once --prompt-cache cache -n 3" "score $m -p once -o scores" \
    "choose $m -p once -c upon -c over -o best" "eval lambada $tmp/lambada $m -o scores" \
    "embed $m once -o vector.npy" "inspect lens $m -p once -o view" \
    "inspect attention $m -p once --svg picture.svg" "inspect dump $m -p once -o dumped.npz" \
    "tokenize -m $tmp/m.gguf -o file once" "detokenize -m $tmp/m.gguf --ids 1,2 -o file" \
    "info $tmp/m.gguf -o file" "verify $tmp/m.gguf -o file" "compare $tmp/m.gguf $tmp/m.gguf -t 1 -f $tmp/lines -o file" \
    "models -o file" "version -o file" "bench $m -p 0 -n 1 -r 1 -o file" \
    "quantize -m $tmp/m.gguf --type q4 -o m.q4" "convert -m $tmp/m.gguf --to gguf -o n.gguf" \
    "convert -m $tmp/m.gguf --to safetensors -o n"; do
    tried="$tried ${command%% *}"
    full 0 $command
    expect "a full disk: $(echo "$command" | sed "s|$tmp/||g")" told
    rm -rf "$tmp/made" && mkdir "$tmp/made"
    case $command in
    *--logits* | *--save-session* | quantize* | convert* | *dumped.npz | *.svg)
        full 4 $command
        expect "... in the middle" told
        rm -rf "$tmp/made" && mkdir "$tmp/made"
        ;;
    esac
done
every_writer() { commands_with --output | all_in "$tried"; }
expect "every command that has --output" every_writer

# ---- signals at any moment ----

rounds=4
[ -z "${QUICK:-}" ] || rounds=2
[ -z "${TORTURE:-}" ] || rounds=200
"$GPT2" generate $m -n 12 --input "$tmp/records" -o "$tmp/right" 2>/dev/null
moment() { awk -v seed="$1" 'BEGIN { srand(seed); printf "%.3f", 0.3 * rand() }'; }
for signal in INT TERM KILL; do
    round=0
    : >"$tmp/wrong"
    while [ $round -lt $rounds ]; do
        round=$((round + 1))
        rm -f "$tmp/job"
        begin generate $m -n 12 --input "$tmp/records" -o "$tmp/job"
        sleep "$(moment $round)"
        kill -s $signal "$pid" 2>/dev/null
        finish 2>/dev/null
        case $signal:$status in INT:130 | TERM:143 | KILL:137 | *:0) ;; *) echo "round $round: exit $status" >>"$tmp/wrong" ;; esac
        if [ -e "$tmp/job" ]; then more=--resume; else more=; fi
        run generate $m -n 12 --input "$tmp/records" -o "$tmp/job" $more
        cmp -s "$tmp/job" "$tmp/right" || echo "round $round: other bytes" >>"$tmp/wrong"
    done
    expect "SIG$signal at $rounds moments, and resumed: the same file" test ! -s "$tmp/wrong"
done
round=0
: >"$tmp/wrong"
while [ $round -lt $rounds ]; do
    round=$((round + 1))
    rm -f "$tmp/job"
    begin generate $m -n 12 --input "$tmp/records" -o "$tmp/job"
    sleep "$(moment $round)"
    kill -s STOP "$pid" 2>/dev/null
    sleep 0.05
    kill -s CONT "$pid" 2>/dev/null
    finish
    cmp -s "$tmp/job" "$tmp/right" || echo "round $round: other bytes" >>"$tmp/wrong"
done
expect "stopped and continued at $rounds moments: the same file" test ! -s "$tmp/wrong"
round=0
: >"$tmp/wrong"
size=$(wc -c <"$tmp/right")
while [ $round -lt $rounds ]; do
    round=$((round + 1))
    bytes=$((round * size / (rounds + 1)))
    { "$GPT2" generate $m -n 12 --input "$tmp/records" 2>"$err"; echo $? >"$tmp/status"; } | head -c $bytes >"$tmp/part"
    head -c $bytes "$tmp/right" | cmp -s - "$tmp/part" || echo "round $round: other bytes" >>"$tmp/wrong"
    case $(cat "$tmp/status") in 141 | 0) ;; *) echo "round $round: exit $(cat "$tmp/status")" >>"$tmp/wrong" ;; esac
    grep -q '^gpt2: error' "$err" && echo "round $round: $(cat "$err")" >>"$tmp/wrong"
done
expect "a reader that leaves at $rounds places" test ! -s "$tmp/wrong"

# ---- the same of every way to write a file ----

# What is not stopped by a signal that the shell has ignored for it.
env --default-signal=INT true 2>/dev/null && unmask="env --default-signal=INT,PIPE" || unmask=
signals=$((rounds / 2)) # of each kind, for each command
[ -z "${TORTURE:-}" ] || signals=$rounds
now() { date +%s%N | sed "s,N$,000000000,"; } # a date that knows seconds only prints 15N
in_made() { (cd "$tmp/made" && exec $unmask "$GPT2" "$@") >"$out" 2>"$err" </dev/null; }

# Each file that is there is one of the undisturbed run's, or the one from before, whole. A job's lines
# are whole ones from its beginning; what pull has in a folder .partial it goes on with.
whole() {
    (cd "$tmp/made" && find . -type f ! -path '*.partial*') | while read -r file; do
        cmp -s "$tmp/made/$file" "$tmp/start/$file" || cmp -s "$tmp/made/$file" "$tmp/whole/$file" || case $file in
        *.jsonl) head -c "$(wc -c <"$tmp/made/$file")" "$tmp/whole/$file" | cmp -s - "$tmp/made/$file" &&
            { [ ! -s "$tmp/made/$file" ] || [ -z "$(tail -c 1 "$tmp/made/$file")" ]; } ;;
        */kept) "$GPT2" generate $m --load-session "$tmp/made/kept" -n 1 >/dev/null 2>&1 ;; # of a shorter text
        *) false ;;
        esac || echo "$file"
    done
}

# at_moments COMMAND... : in a folder that begins as $tmp/start; again after it, it makes what it makes.
at_moments() {
    which=$1
    rm -rf "$tmp/made" && cp -r "$tmp/start" "$tmp/made"
    begun=$(now)
    in_made "$@"
    took=$((($(now) - begun) / 1000))
    rm -rf "$tmp/whole" && cp -r "$tmp/made" "$tmp/whole"
    for signal in INT TERM PIPE STOP; do
        round=0
        : >"$tmp/wrong"
        while [ $round -lt $signals ]; do
            round=$((round + 1))
            rm -rf "$tmp/made" && cp -r "$tmp/start" "$tmp/made"
            (cd "$tmp/made" && exec $unmask "$GPT2" "$@") >"$out" 2>"$err" </dev/null &
            pid=$!
            sleep "$(awk -v seed="$round$signal" -v took="$took" 'BEGIN { srand(seed + 0); printf "%.4f", took * rand() / 1e6 }')"
            kill -s $signal "$pid" 2>/dev/null
            [ $signal != STOP ] || { sleep 0.02 && kill -s CONT "$pid" 2>/dev/null; }
            finish 2>/dev/null
            case $signal:$status in INT:130 | TERM:143 | PIPE:141 | *:0) ;; *) echo "round $round: exit $status: $(head -c 200 "$err")" >>"$tmp/wrong" ;; esac
            [ $status -ne 0 ] || diff -r "$tmp/whole" "$tmp/made" >>"$tmp/wrong"
            whole | sed "s/^/round $round, exit $status: half of /" >>"$tmp/wrong"
        done
        cp "$tmp/wrong" "$err"
        expect "SIG$signal at $signals moments of $which: whole or not there" test ! -s "$tmp/wrong"
    done
}
mkdir "$tmp/start"
echo before >"$tmp/start/m.q8"
at_moments quantize "$tmp/m.gguf" -t 1 --type q4 -o m.q8
rm "$tmp/start/m.q8"
at_moments convert "$tmp/m.gguf" --to safetensors -o m
at_moments generate $m -n 12 --input "$tmp/records" -o lines.jsonl
at_moments generate $m -p once -n 60 --save-session kept
at_moments generate $m -p once -n 60 --prompt-cache cache --logits rows.npy
at_moments embed $m -f "$tmp/lines" -o vectors.npy
at_moments inspect dump $m -p once --lens -o dumped.npz
if serve_hub; then
    export GPT2_MODELS=.
    at_moments pull -q good/m
    in_made pull -q good/m
    same_again() { diff -r "$tmp/whole/good" "$tmp/made/good" >"$err"; }
    expect "... and pulled again: the same files" same_again
else
    skip "signals and pull" "needs curl and python3"
fi
