# One call fails: memory, a file, the disk. Every command then gives the same bytes as undisturbed, or
# one error and no file. A sample of the calls; `make torture` tries each (TORTURE=1).
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
"$GPT2" convert -m "$model" --to gguf -o "$tmp/m.gguf" 2>/dev/null
"$GPT2" quantize -m "$model" -o "$tmp/m.q8" --type q8 2>/dev/null

# Runs the command with a call failing; its files go to the folder `made`.
tried() {
    rm -rf "$tmp/made" && mkdir "$tmp/made" && (
        cd "$tmp/made" &&
            FAULT=$1 FAULT_COUNT=$tmp/count LD_PRELOAD=$fault "$GPT2" $words <"$input" >"$out" 2>"$err"
    )
    status=$?
    sed -i 's/"created":[0-9]*//; s/"timings":{[^}]*}//' "$out"
}

# As `report` has it: one error, perhaps notes and a hint, nothing of the C library's.
explained() {
    [ "$(grep -c '^gpt2: error: ..*' "$err")" -eq 1 ] &&
        ! grep -vqE '^(gpt2: (error|note|warning)|hint:|gpt2: [0-9]* records)' "$err"
}

# Whole lines of the undisturbed run's file, from its beginning: a job that failed can be resumed.
begun() {
    head -c "$(wc -c <"$1")" "$2" | cmp -s - "$1" && { [ ! -s "$1" ] || [ -z "$(tail -c 1 "$1")" ]; }
}

# What is there is whole: the files of the undisturbed run, if any, and no others.
whole() {
    (cd "$tmp/made" && find . -type f | sort) | while read -r file; do
        case $file in
        *.jsonl) begun "$tmp/made/$file" "$tmp/right/$file" ;;
        *) cmp -s "$tmp/made/$file" "$tmp/right/$file" ;;
        esac || { echo "$file"; break; }
    done | grep -q . && return 1
    return 0
}

wrong=$tmp/wrong
judge() {
    case $status in
    0) cmp -s "$out" "$tmp/right.out" && diff -r "$tmp/right" "$tmp/made" >/dev/null || echo "exit 0, other bytes" ;;
    1 | 3 | 4 | 5 | 6) if ! explained; then echo "exit $status, not one error: $(head -c 200 "$err")"; elif ! whole; then echo "exit $status, half a file"; fi ;;
    *) echo "exit $status: $(head -c 200 "$err")" ;;
    esac
    case $1:$status in
    alloc:0 | alloc:3 | alloc:6 | mmap:0 | mmap:6) ;;
    alloc:* | mmap:*) echo "exit $status, not 6: $(head -c 200 "$err")" ;;
    esac
}

# fault COMMAND... : reads $input.
tried_commands=
faults() {
    words=$*
    tried_commands="$tried_commands $1"
    for kind in $kinds; do
        : >"$wrong"
        tried "$kind:0"
        [ $status -eq 0 ] || { echo "undisturbed: $(cat "$err")" >>"$wrong"; }
        cp "$out" "$tmp/right.out"
        rm -rf "$tmp/right" && cp -r "$tmp/made" "$tmp/right"
        n=$(cat "$tmp/count")
        step=1
        [ -n "${TORTURE:-}" ] || step=$((n / most + 1))
        at=$((step / 2 + 1))
        while [ $at -le "$n" ]; do
            tried "$kind:$at"
            judge $kind | sed "s/^/$kind $at of $n: /" >>"$wrong"
            at=$((at + step))
        done
        [ "$n" -eq 0 ] || expect "$kind fails: $(echo "$words" | cut -c1-40)" empty "$wrong"
    done
}
empty() { [ ! -s "$1" ] || { head -n 3 "$1" >&2; cat "$1" >>"$err"; return 1; }; }

input=/dev/null
most=16 # of each kind
[ -z "${QUICK:-}" ] || most=5
kinds="alloc mmap open read write space fsync rename"
m="-m $model -t 1"
faults generate $m -p once -n 3
faults generate $m -p once -n 3 --json --logprobs 2
faults generate $m -p once -n 3 --beams 2 -o tale.txt
faults generate $m -n 3 --input $tmp/records -o lines.jsonl
faults generate $m -p once -n 3 --logits rows.npy -o tale.txt
faults generate -m $tmp/m.gguf -t 1 -p once -n 3
faults generate -m $tmp/m.q8 -t 1 -p once -n 3
faults tokenize -m $model -p once
faults detokenize -m $model --ids "1,2"
faults score $m -f $tmp/lines --by line
faults choose $m -p once -c upon -c over
faults embed $m once
faults eval lambada $tmp/lambada $m
faults inspect layernorm $m -p once --json
faults inspect dump $m -p once --lens -o dumped.npz
faults inspect attention $m -p once --svg picture.svg
faults convert -m $model --to safetensors -o model
faults convert -m $model --to gguf -o m.gguf
faults convert -m $tmp/m.gguf --to safetensors -o model
faults quantize -m $model --type q4 -o m.q4
faults info $model
faults verify $model
faults compare $model $tmp/m.q8 -t 1 -f $tmp/lines
kinds="alloc write space" # a model that cannot be read is listed as unusable
faults models
faults completions bash
# A new command is tried, too. bench prints times, pull and rm work on folders (cli/hub.sh).
all_tried() { commands | all_in "$tried_commands bench pull rm"; }
expect "every command is tried" all_tried
