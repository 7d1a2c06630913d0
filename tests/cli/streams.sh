# Text from outside: commands as coprocesses, byte order marks, line ends, UTF-16, and input without end.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "streams" "models/tales is not there"
    exit 0
fi

# Each answers what it has before it waits for more: its input stays open all the time.
talk() {
    python3 tests/coprocess.py "$GPT2" "$@" 2>"$err"
    status=$?
    : >"$out"
}
[ -z "${VALGRIND:-}" ] || export COPROCESS_LIMIT=1200
if command -v python3 >/dev/null; then
    talk tokenize --lines <<'END'
send a b\n
expect 64 268\n
send \n
expect \n
send c\r\nd
expect 66\n
send \n
expect 67\n
END
    expect "tokenize --lines as a coprocess" exits 0
    talk tokenize --lines --count <<'END'
send a b\n
expect 2\n
send a\n
expect 1\n
END
    expect "tokenize --lines --count as a coprocess" exits 0
    talk detokenize --lines <<'END'
send 64 268\n
expect a b\n
send 66\n
expect c\n
END
    expect "detokenize --lines as a coprocess" exits 0
    talk detokenize <<'END'
send 64 268\n
expect a b
send 66\n
expect c
END
    expect "detokenize as a coprocess" exits 0
    talk detokenize --json <<'END'
send 64 268\n
expect "a b"\n
END
    expect "detokenize --json as a coprocess" exits 0
    talk score --by line --no-header <<'END'
send Once upon a time\n
expect ...1\t16\t4\t4\t
send a dog\n
expect ...2\t5\t
END
    expect "score --by line as a coprocess" exits 0
    talk score --filter 'tokens==4' <<'END'
send Once upon a time\n
expect Once upon a time\n
send dog\nOnce upon a time\r\n
expect Once upon a time\r\n
END
    expect "score --filter as a coprocess" exits 0
    talk choose --lines -c happy,blue <<'END'
send I am very\n
expect happy\n
send The sky is\n
expect blue\n
END
    expect "choose --lines as a coprocess" exits 0
    talk choose --input - <<'END'
send {"prompt": "Once", "choices": ["upon", "a"]}\n
expect ..."id": 0
send {"prompt": "Once", "choices": ["upon", "a"]}\n
expect ..."id": 1
END
    expect "choose --input - as a coprocess" exits 0
    talk embed <<'END'
send Once upon\n
expect ..."index": 0
send a time\n
expect ..."index": 1
END
    expect "embed as a coprocess" exits 0
    talk generate --input - -n 2 -q <<'END'
send {"id": "first", "prompt": "Once"}\n
expect ..."id":"first"
send {"id": "second", "prompt": "Once"}\n{"id": "third", "prompt": "A"}\n
expect ..."id":"second"
expect ..."id":"third"
send {"id": "four
send th", "prompt": "A"}\n
expect ..."id":"fourth"
END
    expect "generate --input - as a coprocess" exits 0
    talk generate --input - -n 2 -q <<'END'
send Once\n
expect ..."id":0
send A dog\n
expect ..."id":1
END
    expect "... with lines of text" exits 0
else
    skip "coprocesses" "there is no python3"
fi

# A byte order mark and Windows' line ends change nothing.
printf 'Once upon\na time\n' >"$tmp/plain"
printf '\357\273\277Once upon\r\na time\r\n' >"$tmp/windows"
equal() { # NAME ARGS...: the same with both files in place of FILE
    what=$1
    shift
    for file in plain windows; do
        "$GPT2" $(printf '%s ' "$@" | sed "s|FILE|$tmp/$file|") >"$tmp/$file.out" 2>"$err"
        status=$?
    done
    expect "$what: a mark and CRLF change nothing" same "$tmp/plain.out" "$tmp/windows.out"
    expect "... and it works" exits 0
    cp "$tmp/windows.out" "$out"
}
equal "generate -f" generate -f FILE -n 4 --greedy
equal "generate --input" generate --input FILE -n 4 --greedy
expect "... both lines" test "$(grep -c '"prompt_tokens":2' "$out")" -eq 2
equal "tokenize -f" tokenize -f FILE
equal "tokenize --lines" tokenize --lines -f FILE
equal "score -f" score -f FILE
equal "score --by line" score --by line -f FILE
equal "choose -f" choose -f FILE -c dog,cat
equal "choose --lines" choose --lines -f FILE -c dog,cat
equal "choose --choices-file" choose A --choices-file FILE
equal "embed" embed -f FILE
equal "inspect" inspect lens -f FILE
equal "compare" compare --json -f FILE
equal "--lookup" generate once -n 4 --speculate lookup --lookup FILE
printf '{"prompt": "Once", "choices": ["upon", "a"]}\n' >"$tmp/plain"
printf '\357\273\277{"prompt": "Once", "choices": ["upon", "a"]}\r\n' >"$tmp/windows"
equal "choose --input" choose --input FILE
printf '64 268\n66\n' >"$tmp/plain"
printf '\357\273\27764 268\r\n66\r\n' >"$tmp/windows"
equal "detokenize -f" detokenize -f FILE
equal "score --ids" score --ids -f FILE
printf '{"text": "Once upon a time"}\n\n{"text": "There was a dog"}\n' >"$tmp/plain"
printf '\357\273\277{"text": "Once upon a time"}\r\n\r\n{"text": "There was a dog"}\r\n' >"$tmp/windows"
equal "eval" eval lambada FILE
printf '{"id": "first", "prompt": "Once"}\n' >"$tmp/plain"
printf '\357\273\277{"id": "first", "prompt": "Once"}\r\n' >"$tmp/windows"
equal "generate --input of JSON lines" generate --input FILE -n 4
expect "... by its own id" grep -q '"id":"first"' "$out"
run tokenize --keep-newline -f "$tmp/windows"
run detokenize "$(cat "$out")"
expect "--keep-newline: the bytes as they are" same "$tmp/windows" "$out"
printf 'a\rb\r' >"$tmp/cr"
run tokenize -f "$tmp/cr"
run detokenize "$(cat "$out")"
expect "a lone CR is text" same "$tmp/cr" "$out"
printf '\357\273\277' >"$tmp/mark"
run tokenize --count -f "$tmp/mark"
expect "a mark alone is no text" prints 0
mkdir "$tmp/model"
for file in config.json vocab.json merges.txt; do
    printf '\357\273\277' >"$tmp/model/$file"
    sed 's/$/\r/' "models/tales/$file" >>"$tmp/model/$file"
done
run tokenize -m models/tales "Once upon a time"
cp "$out" "$tmp/ids"
run tokenize -m "$tmp/model" "Once upon a time"
expect "files of a tokenizer with marks and CRLF" same "$tmp/ids" "$out"

# UTF-16 is named, with a mark and without.
i=0
for bytes in '\377\376O\0n\0c\0e\0' '\376\377\0O\0n\0c\0e' 'O\0n\0c\0e\0' '\0O\0n\0c\0e'; do
    i=$((i + 1))
    printf "$bytes" >"$tmp/wide"
    for command in "generate -n 2 -f" "generate -n 2 -q --input" "tokenize -f" "score -f" "choose A --choices-file" \
        "choose -c a,b -f" "detokenize -f" "eval lambada" "score --by line -f" "embed -f" "inspect lens -f" \
        "compare -f" "choose --input" "quantize -o $tmp/never --calibrate" "generate once --lookup"; do
        # shellcheck disable=SC2086
        run $command "$tmp/wide"
        expect "UTF-16 of form $i: $command" says "$tmp/wide: expected UTF-8, found UTF-16"
        expect "... is refused" exits 5
    done
done
printf '\377\376\0\0O\0\0\0' >"$tmp/wide"
run tokenize -f "$tmp/wide"
expect "UTF-32" refuses 5 "expected UTF-8, found UTF-32"
cp models/tales/vocab.json models/tales/merges.txt "$tmp/model/"
printf '\377\376#\0v\0' >"$tmp/model/merges.txt"
run tokenize -m "$tmp/model" Once
expect "UTF-16 in merges.txt" refuses 4 "merges.txt: expected UTF-8, found UTF-16"

# Input that never ends has an end: in every option that names a file to be read, in every command
# that reads standard input, and as a model.
if [ -r /dev/zero ]; then
    cat >"$tmp/reading" <<END
generate -n 1 --file
generate -n 1 once --speculate lookup --lookup
generate -n 1 once --load-session
generate -n 1 once --prompt-cache
generate -q --input
generate -q --resume --output $tmp/resumed --input
tokenize --file
tokenize --lines --file
detokenize --file
detokenize --lines --file
score --file
score --by line --file
score --by doc --file
score --ids --file
choose -c a,b --file
choose -c a,b --lines --file
choose --input
choose once --choices-file
eval lambada
eval hellaswag
inspect lens --file
embed --file
serve --api-key-file
quantize --output $tmp/never --calibrate
compare --file
bench --speculate lookup --repetitions 1 --file
END
    limit='expected .* of at most (64 MiB|[0-9]+ bytes), found'
    for command in $(commands); do
        for option in $("$GPT2" "$command" --help | sed -n 's/^ .*\(--[a-z-]*\) FILE .*/\1/p'); do
            case $option in --output | --logits | --svg | --save-session) continue ;; esac
            expect "$command $option has a case" grep -q "^$command .*$option\$\|^$command $option\$" "$tmp/reading"
        done
    done
    while read -r line; do
        # shellcheck disable=SC2086
        run $line /dev/zero
        expect "/dev/zero: $line" exits 5
        case $line in
        *session | *cache) expect "... is no regular file" says '/dev/zero: expected a regular file, found a device' ;;
        serve*) says 'libmicrohttpd' || expect "... says the limit" grep -Eq "/dev/zero: $limit" "$err" ;;
        *) expect "... says the limit" grep -Eq "/dev/zero: $limit" "$err" ;;
        esac
    done <"$tmp/reading"
    cat >"$tmp/reading" <<'END'
generate -n 1
generate -n 1 -f -
generate -q --input -
tokenize
tokenize --lines
detokenize
detokenize --lines
score
score --by line
choose -c a,b
choose once
choose -c a,b --lines
choose --input -
eval lambada
inspect lens
embed
compare
END
    has_case() {
        for command in $(commands); do
            if "$GPT2" "$command" --help | tr -s ' \n' ' ' | grep -q 'standard input\|is stdin'; then echo "$command"; fi
        done | all_in "$(cut -d' ' -f1 "$tmp/reading")"
    }
    expect "every command that reads standard input has a case" has_case
    while read -r line; do
        # shellcheck disable=SC2086
        "$GPT2" $line </dev/zero >"$out" 2>"$err"
        status=$?
        expect "$line </dev/zero" exits 5
        expect "... says the limit" grep -Eq "standard input: $limit" "$err"
    done <"$tmp/reading"
    for line in $(commands_with "--model MODEL"); do
        case $line in
        generate | tokenize | score) line="$line once" ;;
        choose) line="choose -c a,b once" ;;
        eval) line="eval lambada" ;;
        inspect) line="inspect lens once" ;;
        quantize) line="quantize -o $tmp/never" ;;
        convert) line="convert --to gguf -o $tmp/never" ;;
        esac
        # shellcheck disable=SC2086
        run $line -m /dev/zero
        expect "$line -m /dev/zero" refuses 4 '/dev/zero: expected a regular file, found a device'
    done
fi

# What -o may name: whatever can be written to, and nothing is lost.
text="Once upon a time"
"$GPT2" generate "$text" -n 4 --greedy >"$tmp/wanted" 2>"$err"
printf 'Once\n' >"$tmp/records"
"$GPT2" generate --input "$tmp/records" -n 2 -q >"$tmp/wanted.job" 2>"$err"
writes() { # NAME WANTED ARGS...: several ways to write what a command prints
    what=$1 wanted=$2
    shift 2
    for path in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
        [ -e $path ] || continue
        echo kept >"$tmp/log"
        "$GPT2" "$@" -o $path >>"$tmp/log" 2>"$err"
        status=$?
        (echo kept; cat "$wanted") >"$out"
        expect "$what: -o $path appends to what >> names" same "$out" "$tmp/log"
        "$GPT2" "$@" -o $path 2>"$err" | cat >"$tmp/log"
        expect "... and writes to a pipe" same "$wanted" "$tmp/log"
    done
    echo kept >"$tmp/log"
    "$GPT2" "$@" -o "$tmp/log" >>"$tmp/log" 2>"$err"
    expect "$what: -o FILE >>FILE appends" same "$out" "$tmp/log"
    rm -f "$tmp/fifo"
    mkfifo "$tmp/fifo"
    cat "$tmp/fifo" >"$tmp/log" &
    reader=$!
    "$GPT2" "$@" -o "$tmp/fifo" >"$out" 2>"$err"
    status=$?
    [ -p "$tmp/fifo" ] || kill $reader
    wait $reader
    expect "$what: -o FIFO" same "$wanted" "$tmp/log"
    expect "... which stays one" test -p "$tmp/fifo"
    run "$@" -o /dev/null
    expect "$what: -o /dev/null" exits 0
    expect "... which stays a device" test -c /dev/null
    : >"$tmp/mode"
    chmod 640 "$tmp/mode"
    run "$@" -o "$tmp/mode"
    expect "$what: an existing file keeps its mode" test "$(ls -l "$tmp/mode" | cut -c 1-10)" = -rw-r-----
    expect "... and has the result" same "$wanted" "$tmp/mode"
    rm -rf "$tmp/links"
    mkdir -p "$tmp/links/there"
    ln -s there/target "$tmp/links/one"
    ln -s one "$tmp/links/two"
    run "$@" -o "$tmp/links/two"
    expect "$what: a link to nothing stays, and its target is made" same "$wanted" "$tmp/links/there/target"
    expect "... both links" test -h "$tmp/links/two" -a -h "$tmp/links/one"
    ln -s loop "$tmp/links/loop"
    run "$@" -o "$tmp/links/loop"
    expect "$what: a link to itself" refuses 1 "links/loop"
}
writes generate "$tmp/wanted" generate "$text" -n 4 --greedy
writes "a job" "$tmp/wanted.job" generate --input "$tmp/records" -n 2 -q
run tokenize "$text"
cp "$out" "$tmp/ids"
writes tokenize "$tmp/ids" tokenize "$text"

# Where nothing more can be written, the message names the file, in any command.
if [ -c /dev/full ]; then
    for line in --version version --help help "help all" "help generate man" "completions bash" "completions zsh" \
        "completions fish" models info "verify models/tales" "tokenize once" "generate once -n 1"; do
        # shellcheck disable=SC2086
        "$GPT2" $line >/dev/full 2>"$err"
        status=$?
        expect "$line, a full standard output" exits 1
        expect "... is said" says 'gpt2: error: cannot write to standard output: No space left on device'
        # shellcheck disable=SC2086
        "$GPT2" $line >&- 2>"$err"
        status=$?
        expect "$line, a closed standard output" exits 1
        expect "... is said" says 'gpt2: error: cannot write to standard output: Bad file descriptor'
    done
    for line in "generate once -n 1" "generate -q --input $tmp/records -n 1" "tokenize once" info \
        "score once" "choose once -c a,b" "inspect lens once" "inspect lens once --svg"; do
        case $line in *--svg) set -- ;; *) set -- -o ;; esac
        # shellcheck disable=SC2086
        run $line "$@" /dev/full
        expect "$line, a full device" exits 1
        expect "... is named" says 'gpt2: error: cannot write to /dev/full: No space left on device'
    done
fi

# A model, a table of logits and a saved session are files, whole or not at all: they go to no
# stream, and nothing that is there is replaced.
model=$tmp/log
for line in "quantize -o" "convert --to gguf -o" "convert --to packed -o" "generate once -n 1 --logits" \
    "generate once -n 1 --save-session"; do
    for path in /dev/stdout /dev/fd/1 "$model"; do
        [ -e "$path" ] || [ "$path" = "$model" ] || continue
        echo kept >"$model"
        # shellcheck disable=SC2086
        "$GPT2" $line "$path" >>"$model" 2>"$err" </dev/null
        status=$?
        expect "$line $path" exits 1
        expect "... is refused" says "$path: expected a file to write, found standard output"
        expect "... and what >> names is not replaced" grep -qx kept "$model"
    done
    # shellcheck disable=SC2086
    run $line "$tmp/fifo"
    expect "$line FIFO" exits 1
    expect "... is refused" says "expected a file to write, found a device, pipe or socket"
done

# A terminal is not obeyed by what a text has in it; a pipe gets it exactly.
text=$(printf 'a\033[31mb\302\233c\177d\te')
run generate --echo -n 0 "$text"
expect "control characters in a pipe" prints "$text"
ids=$("$GPT2" tokenize "$text" | tr ' ' ,)
printf '%s\n' "$text" >"$tmp/text"
cat >"$tmp/shown" <<END
generate --echo -n 0 -f $tmp/text
generate --echo -n 0 -f $tmp/text -o /dev/stdout
generate --echo -n 0 --tint surprisal -f $tmp/text
generate --echo -n 0 --ids $ids
detokenize $ids
detokenize --lines $ids
score --filter bytes>0 -f $tmp/text
score --tint rank -f $tmp/text
score --tint surprisal --color never -f $tmp/text
choose x --choices-file $tmp/text --best
choose --lines --choices-file $tmp/text -f $tmp/text
choose x --choices-file $tmp/text
END
while read -r line; do
    if ! command -v python3 >/dev/null || [ -n "${VALGRIND:-}" ]; then
        skip "control characters on a terminal" "there is no python3"
        break
    fi
    # shellcheck disable=SC2086
    play $line </dev/null
    expect "$line on a terminal: no control characters" grep -qF 'a\x1B[31mb\xC2\x9Bc\x7Fd' "$screen"
    case $line in choose\ x*file\ "$tmp/text" | *tint\ surprisal*) continue ;; esac # tables, colours
    # shellcheck disable=SC2086
    run $line
    expect "... and a pipe gets them" grep -qF "$text" "$out"
done <"$tmp/shown"

for command in generate score choose eval tokenize; do
    run $command --help all
    expect "$command --help states the limit of its input" grep -q '64 MiB' "$out"
    run $command --help=man
    tr '\n' ' ' <"$out" >"$tmp/joined" # a line may end between the two
    expect "... and so does the man page" grep -q '64 MiB' "$tmp/joined"
done

# ---- a session from a pipe reads its lines as other commands do ----
session() {
    "$GPT2" generate -i -n 3 --greedy "$@" >"$out" 2>"$err"
    status=$?
}
printf 'Once\nTwice\n' | session
cp "$out" "$tmp/plain"
printf '\357\273\277Once\r\nTwice\r\n' | session
expect "a session passes over a byte order mark and CRLF" same "$tmp/plain" "$out"
printf '\377\376O\0\n\0' >"$tmp/utf16"
session <"$tmp/utf16"
expect "a session refuses UTF-16" refuses 5 'found UTF-16'
session </dev/zero
expect "a session has lines of a stated length" refuses 5 'expected lines of at most 64 MiB, found more'
