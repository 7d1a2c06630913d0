# One call fails: memory, a file, the disk, a thread. Every command then gives the same bytes as
# undisturbed, or one error that names the cause, the right exit code, and no file but the one before.
# A sample of the calls; `make torture` tries each, for each reason (TORTURE=1). With TORTURE_LOG=FILE
# what was tried stands there, a line `FAULTS WRONG CALL: COMMAND` for each, and is not tried again.
. tests/cli/cases.inc

fault=${FAULT_LIBRARY:-${BUILD:-build}/tests/fault.so}
case $fault in /*) ;; *) fault=$PWD/$fault ;; esac
if [ ! -f models/tales/model.safetensors ]; then
    skip "faults" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ] || [ -n "${SANITIZE:-}" ] || [ ! -f "$fault" ]; then
    skip "faults" "calls are made to fail in a plain build for Linux only"
    exit 0
fi

ln -s "$PWD/models/tales" "$tmp/tales"
model=$tmp/tales
printf 'once upon\na time there\n' >"$tmp/lines"
printf '{"prompt":"once"}\n{"prompt":"a king","n":2}\n' >"$tmp/records"
printf '{"text":"once upon a time"}\n' >"$tmp/lambada"
printf '{"ind":1,"activity_label":"A","ctx_a":"A man","ctx_b":"he","endings":["is.","was.","x","y"],"label":0}\n' >"$tmp/hellaswag"
printf '{"prompt":"once","choices":["upon","over"]}\n' >"$tmp/choices"
"$GPT2" convert -m "$model" --to gguf -o "$tmp/m.gguf" 2>/dev/null
"$GPT2" quantize -m "$model" -o "$tmp/m.q8" --type q8 2>/dev/null

# There are thousands of tries: what the shell can do by itself starts no program.

# A folder with nothing in it.
bare() {
    for any in "$1"/* "$1"/.[!.]*; do
        [ ! -e "$any" ] && [ ! -L "$any" ] || return 1
    done
}

# Runs the command with a fault; its files go to the folder `made`, where `before` is already.
tried() {
    if [ ! -d "$tmp/made" ] || ! bare "$tmp/made" || ! bare "$tmp/before"; then
        rm -rf "$tmp/made" && cp -r "$tmp/before" "$tmp/made"
    fi
    (
        cd "$tmp/made" || exit
        export FAULT="$1" FAULT_COUNT="$tmp/count" FAULT_SECONDS=60 LD_PRELOAD="$fault"
        # shellcheck disable=SC2086 # words
        exec "$GPT2" $words <"$input" >"$out" 2>"$err"
    )
    status=$?
}

# What differs from run to run is taken out of what was printed.
cleaned() {
    sed 's/"created":[0-9]*//; s/"timings":{[^}]*}//'"${timeless:+; $timeless}" "$1"
}

# Takes apart what stands in $err: as `report` has it, that is one error, perhaps notes and a hint, and
# nothing of the C library's.
read_error() {
    said='' n_said=0 strange='' hint=''
    while IFS= read -r line || [ -n "$line" ]; do
        said="$said$line|"
        case $line in
        "gpt2: error: "?*) n_said=$((n_said + 1)) ;;
        "gpt2: note"* | "gpt2: warning"* | "gpt2: "[0-9]*" record"*,*) ;;
        hint:*) hint=$line ;;
        *) strange=$line ;;
        esac
    done <"$err"
}
explained() { [ $n_said -eq 1 ] && [ -z "$strange" ]; }

# The cause stands in the error.
caused() {
    case $1:$said in
    # Where it has no memory for a thread, the C library says that it is to be tried again.
    ENOMEM:*[Oo]"ut of memory"* | ENOMEM:*"Cannot allocate memory"*) ;;
    ENOMEM:*"cannot start thread "*" Resource temp"*) ;;
    EIO:*"Input/output error"*) ;;
    ENOSPC:*"No space left on device"*) ;;
    EMFILE:*"Too many open files"*) ;;
    EINTR:*"Interrupted system call"*) ;;
    EAGAIN:*"Resource temporarily unavailable"*) ;;
    *) return 1 ;;
    esac
}

# Whole lines of the undisturbed run's file, from its beginning: a job that failed can be resumed.
begun() {
    head -c "$(wc -c <"$1")" "$2" | cmp -s - "$1" && { [ ! -s "$1" ] || [ -z "$(tail -c 1 "$1")" ]; }
}

# What is there is whole: each file is that of the undisturbed run or the one that was there before.
# What pull has in a folder .partial it goes on with.
whole() {
    ! bare "$tmp/made" || ! bare "$tmp/before" || return 0
    (cd "$tmp/made" && find . -type f ! -path '*.partial*' | sort) | while read -r file; do
        cmp -s "$tmp/made/$file" "$tmp/before/$file" || case $file in
        *.jsonl) begun "$tmp/made/$file" "$tmp/right/$file" ;;
        *) cmp -s "$tmp/made/$file" "$tmp/right/$file" ;;
        esac || { echo "$file"; break; }
    done | grep -q . && return 1
    (cd "$tmp/before" && find . -type f) | while read -r file; do
        [ -e "$tmp/made/$file" ] || [ ! -e "$tmp/right/$file" ] || echo "$file"
    done | grep -q . && return 1
    return 0
}

# What an undisturbed run gives: the same bytes, or but for what differs from run to run, and files.
undisturbed() {
    cmp -s "$out" "$tmp/right.out" || cleaned "$out" | cmp -s - "$tmp/right.cleaned" || return 1
    { bare "$tmp/right" && bare "$tmp/made"; } || diff -r "$tmp/right" "$tmp/made" >/dev/null
}

# judge CALL REASON: prints what is wrong, if anything.
judge() {
    case $status in
    0) undisturbed || echo "exit 0, other bytes" ;;
    1 | 3 | 4 | 5 | 6)
        read_error
        if ! explained; then echo "exit $status, not one error: $said"
        elif ! whole; then echo "exit $status, half a file: $said"
        elif [ $status -eq 6 ] && [ -n "$hint" ]; then echo "exit 6, a hint about something else: $said"
        elif [ $status -ne 6 ] && ! caused "$2"; then echo "exit $status, no cause: $said"; fi ;;
    *) echo "exit $status: $(head -c 200 "$err")" ;;
    esac
    case $1-$2:$status in
    alloc-*:[036] | mmap-ENOMEM:[036] | *-EINTR:0) ;;
    alloc-*:1) case $said in *"cannot start thread"*) ;; *) echo "exit 1, not 6: $said" ;; esac ;;
    alloc-* | mmap-ENOMEM:*) echo "exit $status, not 6: $said" ;;
    read-EINTR:* | write-EINTR:* | pwrite-EINTR:*) echo "not tried again: $said" ;;
    madvise-*:[!0]*) echo "a wish that is not granted is no error: $said" ;;
    esac
}

# faults COMMAND... : tries at most the first $first calls of a kind; reads $input; in a folder that begins as $tmp/before.
tried_commands=
wrong=$tmp/wrong
mkdir "$tmp/before"
faults() {
    words=$*
    tried_commands="$tried_commands $1"
    tried alloc:ENOMEM:0
    first_status=$status
    cp "$out" "$tmp/right.out"
    cleaned "$out" >"$tmp/right.cleaned"
    cp "$tmp/count" "$tmp/counts"
    rm -rf "$tmp/right" && cp -r "$tmp/made" "$tmp/right"
    expect "undisturbed: $(echo "$words" | cut -c1-40)" test $first_status -eq 0
    for call in $calls; do
        n=$(sed -n "s/^$call //p" "$tmp/counts")
        [ "$n" -gt 0 ] || continue
        [ "$n" -le "$first" ] || n=$first
        what="$call: $(echo "$words" | sed "s|$tmp/||g")"
        [ -z "${TORTURE_LOG:-}" ] || ! cut -s -d' ' -f3- "$TORTURE_LOG" 2>/dev/null | grep -qxF "$what" || continue
        : >"$wrong"
        n_tries=0
        for reason in $(reasons_of $call); do
            step=1
            [ -n "${TORTURE:-}" ] || step=$((n / most + 1))
            at=$((step / 2 + 1))
            while [ $at -le "$n" ]; do
                # Once, and from then on; but what is interrupted or not ready may be tried for good.
                for fault_at in $at $(case $reason in EINTR | EAGAIN) ;; *) echo $at+ ;; esac); do
                    tried "$call:$reason:$fault_at"
                    judge $call $reason >"$tmp/verdict"
                    [ ! -s "$tmp/verdict" ] || sed "s/^/$call $reason $fault_at of $n: /" "$tmp/verdict" >>"$wrong"
                    n_tries=$((n_tries + 1))
                done
                at=$((at + step))
            done
        done
        expect "$call fails: $(echo "$words" | cut -c1-40)" empty "$wrong"
        [ -z "${TORTURE_LOG:-}" ] || echo "$n_tries $(wc -l <"$wrong") $what" >>"$TORTURE_LOG"
    done
}
empty() { [ ! -s "$1" ] || { head -n 3 "$1" >&2; cat "$1" >>"$err"; return 1; }; }

# Why a call is made to fail: in torture for each reason, else as it does in life.
reasons_of() {
    case ${TORTURE:+all}$1 in
    *alloc) echo ENOMEM ;;
    allmadvise) echo ENOMEM ;; # a wish: no code looks at the reason
    all*) echo ENOMEM EIO ENOSPC EMFILE EINTR EAGAIN ;;
    mmap | madvise) echo ENOMEM EAGAIN ;;
    open) echo EMFILE EINTR EIO ;;
    read) echo EIO EINTR EAGAIN ;;
    write | pwrite) echo ENOSPC EINTR EIO ;;
    fsync | rename) echo ENOSPC EIO ;;
    readdir | stat) echo EIO ;;
    thread) echo EAGAIN ;;
    poll) echo ENOMEM EINTR ;;
    accept) echo EMFILE ENOMEM EINTR ;;
    esac
}

timeless=
all_calls="alloc mmap open read write pwrite fsync rename thread madvise readdir stat poll"
calls=$all_calls
input=/dev/null
first=1000000
most=3 # places of each kind
# Most commands read a GGUF file: its tokenizer takes a tenth of the allocations of vocab.json, which
# some others read.
m="-m $tmp/m.gguf -t 1"
# before NAME...: from now on there are such files, of other contents.
before() {
    rm -rf "$tmp/before" && mkdir "$tmp/before"
    for file; do echo before >"$tmp/before/$file"; done
}

faults generate -m $model -t 1 -p once -n 3
faults generate -m $tmp/m.gguf -t 2 -f $tmp/lines -n 9 --speculate lookup
faults generate $m -p once -n 3 --json --logprobs 2
faults generate $m -n 3 --input $tmp/records -o lines.jsonl
faults generate $m -p once -n 3 --logits rows.npy -o tale.txt
faults generate $m -p once -n 3
faults generate -m $tmp/m.q8 -t 1 -p once -n 3
faults tokenize -m $model -p once
faults detokenize -m $tmp/m.gguf --ids "1,2"
faults choose $m -p once -c upon -c over
faults embed $m once
faults eval lambada $tmp/lambada $m
faults inspect layernorm $m -p once --json
faults inspect dump $m -p once --lens -o dumped.npz
# It says what the machine has: each allocation, as one of the first was for the number of threads.
most_before=$most most=1000 calls=alloc
faults info $tmp/m.gguf
most=$most_before calls="mmap open read write thread madvise stat"
faults info $tmp/m.gguf
calls=$all_calls
faults verify $tmp/m.gguf
faults compare $tmp/m.gguf $tmp/m.q8 -t 1 -f $tmp/lines
input=$tmp/lines
faults score -m $tmp/m.gguf -t 2 -f - --by line
faults generate $m -n 3 --input -
input=/dev/null
before tale.txt
faults generate $m -p once -n 3 --beams 2 -o tale.txt
before picture.svg
faults inspect attention $m -p once --svg picture.svg
before
faults convert -m $model --to safetensors -o model
faults convert -m $tmp/m.gguf --to safetensors -o model
before m.gguf
faults convert -m $tmp/m.gguf --to gguf -o m.gguf
before m.q4
faults quantize -m $tmp/m.gguf --type q4 -o m.q4
before
"$GPT2" generate $m -n 3 --input "$tmp/records" 2>/dev/null | head -n 1 >"$tmp/before/lines.jsonl"
faults generate $m -n 3 --input $tmp/records -o lines.jsonl --resume
before
faults generate $m -p once -n 3 --save-session kept
"$GPT2" generate $m -p once -n 3 --save-session "$tmp/before/kept" >/dev/null 2>&1
faults generate $m --load-session kept -n 3
before
faults completions bash

# Every kind of inspection, and what else is a command of its own in all but the name: a few of each.
most_before=$most most=1
kinds=$("$GPT2" inspect none 2>&1 | sed -n 's/.*expected one of \(.*\), got.*/\1/p' | tr -d ,)
expect "the kinds of inspection are known" test -n "$kinds"
for kind in $kinds; do
    case $kind in
    compare) faults inspect compare $m -p " good" -p " hate" ;;
    dump) faults inspect dump $m -p once -o dumped.npz ;;
    *) faults inspect "$kind" $m -p once ;;
    esac
done
faults eval hellaswag $tmp/hellaswag $m
faults score $m --input $tmp/lambada
faults choose $m --input $tmp/choices
faults convert -m $tmp/m.gguf --to packed -o m.packed
faults quantize -m $tmp/m.gguf --calibrate $tmp/lines -o m.q8
most=$most_before

# A name is not looked for in the next place where this one could not be looked at.
mkdir -p "$tmp/places/one" "$tmp/places/two/m"
ln -s "$tmp/m.q8" "$tmp/places/one/m"
ln -s "$model"/* "$tmp/places/two/m"
most_before=$most most=1000 first=40 calls="alloc open readdir stat"
GPT2_MODELS=$tmp/places/one:$tmp/places/two faults tokenize -m m -p once
GPT2_MODELS=$tmp/places/one:$tmp/places/two faults verify m
# A repository in Hugging Face's cache, whose commit is in a file.
cached=$tmp/cache/models--good--m
mkdir -p "$cached/refs" "$cached/snapshots/a" "$cached/snapshots/b"
printf b >"$cached/refs/main"
ln -s "$model"/* "$cached/snapshots/b"
HF_HUB_CACHE=$tmp/cache faults tokenize -m good/m -p once
most=$most_before first=1000000 calls=$all_calls

# Of what bench prints only the form is known.
timeless="s/[0-9.]*//g; s/  *//g; s/--*//g"
# Without /proc it knows less of the machine, and says so.
calls="alloc mmap write thread" most=2
faults bench $m -p 0 -n 2 -r 1 --json
calls="write stat"
faults version --verbose
calls=$all_calls most=3 timeless=

if serve_hub; then
    GPT2_MODELS=. faults pull -q good/m
    # Each allocation before and while the hub is asked first.
    most_before=$most most=1000 first=40 calls=alloc
    GPT2_MODELS=. faults pull -q good/m
    most=$most_before first=1000000 calls=$all_calls
    # Whose pipe is never ready: an error, no endless loop.
    words="pull -q good/m"
    GPT2_MODELS=. tried read:EAGAIN:1+
    never_ready() { [ $status -eq 1 ] && read_error && explained && caused EAGAIN && whole; }
    expect "read fails for good: pull" never_ready
    # The program does not wait for a curl that does not end: SIGTERM is ignored here.
    hung=
    rm -rf "$tmp/made"
    for at in $(seq 40); do
        (
            trap '' TERM
            mkdir "$tmp/made" && cd "$tmp/made" && GPT2_MODELS=. FAULT=read:ENOMEM:$at FAULT_COUNT=$tmp/count \
                timeout -s KILL 20 env LD_PRELOAD="$fault" "$GPT2" pull -q good/m >"$out" 2>"$err"
        ) </dev/null
        [ $? -ne 137 ] || hung="$hung $at"
        rm -rf "$tmp/made"
    done
    expect "curl does not outlive its reader: $hung" test -z "$hung"
    rm -rf "$tmp/before" && mv "$tmp/right" "$tmp/before"
    most_before=$most most=1000
    GPT2_MODELS=. faults rm good/m
    # Looking for models, and opening them. What cannot be read for another reason is "unusable".
    first=40 calls="alloc open write readdir stat"
    GPT2_MODELS=. HF_HUB_CACHE=$tmp/cache faults models
    most=$most_before first=1000000 calls="alloc write stat"
    GPT2_MODELS=. faults models --json
    calls=$all_calls
    before
else
    skip "pull and rm" "needs curl and python3"
    tried_commands="$tried_commands pull rm models"
fi

# serve goes on until a signal ends it, and answers after what failed. Of its own it writes nothing to
# a file; what the library writes wakes its thread, by a descriptor that cannot fail.
tried_commands="$tried_commands serve"
run serve --api-key-file "$tmp/none"
if says libmicrohttpd || ! command -v python3 >/dev/null; then
    skip "serve" "needs GNU libmicrohttpd and python3"
else
    mkdir "$tmp/serving"
    most_of_serve=$most
    [ -z "${TORTURE:-}" ] || most_of_serve=0
    for call in accept open read mmap madvise thread alloc; do
        what="$call: serve"
        [ -z "${TORTURE_LOG:-}" ] || ! cut -s -d' ' -f3- "$TORTURE_LOG" 2>/dev/null | grep -qxF "$what" || continue
        python3 tests/serve_faults.py "$fault" $most_of_serve "$tmp/serving" $call $(reasons_of $call) -- \
            "$GPT2" serve $m --port 0 >"$out" 2>&1
        tries=$(sed -n 's/^\([0-9]*\) tries$/\1/p' "$out")
        grep -v '^[0-9]* tries$' "$out" >"$wrong"
        [ -n "$tries" ] || echo "it did not end" >>"$wrong"
        expect "$call fails: serve" empty "$wrong"
        [ -z "${TORTURE_LOG:-}" ] || echo "$tries $(wc -l <"$wrong") $what" >>"$TORTURE_LOG"
    done
fi

# A new command is tried, too.
all_tried() { commands | all_in "$tried_commands"; }
expect "every command is tried" all_tried
