# What ends the program from outside: signals, limits, a model that changes while it is read.
. tests/cli/cases.inc

model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "signals and limits" "$model is not there"
    exit 0
fi
mkdir "$tmp/made"
no_file() { [ -z "$(ls -A "$tmp/made")" ]; }

# ---- a file that may not be so large ----

(ulimit -f 100 && "$GPT2" convert -m $model --to gguf -o "$tmp/made/m.gguf" >"$out" 2>"$err"
    echo $? >"$tmp/status")
status=$(cat "$tmp/status")
expect "a file beyond ulimit -f" refuses 1 'm.gguf: cannot write: File too large'
expect "... leaves nothing" no_file
(ulimit -f 1 && "$GPT2" generate -m $model -p once -n 400 --json >"$tmp/made/text" 2>"$err"
    echo $? >"$tmp/status")
status=$(cat "$tmp/status")
expect "standard output beyond it" says 'File too large'
rm -f "$tmp/made/text"

# ---- signals while a file is written ----

# At any moment, once and twice: a first SIGINT asks convert for an end, a second one ends it.
for signal in INT TERM HUP QUIT PIPE ALRM USR1 USR2 VTALRM PROF XCPU; do
    for wait in 0 0.01 0.02 0.03 0.05; do
        begin convert -m $model --to gguf -o "$tmp/made/m.gguf"
        sleep $wait
        kill -s $signal "$pid" 2>/dev/null && kill -s $signal "$pid" 2>/dev/null
        finish 2>/dev/null
        rm -f "$tmp/made/m.gguf" # it may have been done
        expect "SIG$signal after $wait s leaves no temporary file" no_file
    done
done
mkfifo "$tmp/lines"

# ---- a model that is made shorter ----

# By several threads, all of which meet it: one of them says it.
cp -rL $model "$tmp/whole"
chmod -R u+w "$tmp/whole"
answered() { grep -q '"id":0' "$out"; }
said_once() {
    says "/m/model.safetensors: became shorter while it was read: expected " &&
        [ "$(grep -c . "$err")" -eq 2 ] && [ "$(grep -c '^gpt2: error: /' "$err")" -eq 1 ]
}
rounds=10
[ -z "${VALGRIND:-}${SANITIZE:-}" ] || rounds=2
for round in $(seq $rounds); do
    rm -rf "$tmp/m"
    cp -r "$tmp/whole" "$tmp/m"
    begin generate -m "$tmp/m" -t 6 -n 4 --input "$tmp/lines"
    exec 9>"$tmp/lines"
    echo '{"prompt":"once"}' >&9
    expect "a model is used" await answered
    : | dd of="$tmp/m/model.safetensors" bs=1 seek=3000000 2>/dev/null
    echo '{"prompt":"a zebra and other words"}' >&9
    exec 9>&-
    finish
    expect "a model that became shorter, $round" exits 4
    expect "... is named, and what happened" said_once
done
expect "... in one line" brief

# ---- a small stack ----

if [ -n "${VALGRIND:-}" ] || ldd "$GPT2" 2>/dev/null | grep -qE 'libasan|libtsan'; then
    skip "a small stack" "what watches the program needs a stack of its own"
else
    # Linux begins a stack up to 8 KiB further down, at random: of 16 that leaves too little for the
    # loader of libraries now and then. setarch has one, too: the limit comes after it.
    fixed="setarch $(uname -m) -R"
    $fixed true 2>/dev/null || fixed=
    limited() { # limited ULIMIT-OPTIONS...
        # shellcheck disable=SC2016
        $fixed sh -c 'ulimit "$@" && exec "$GPT2" generate -m "$model" -t 2 -p once -n 3' sh "$@"
    }
    export GPT2 model
    for size in 16 32 64 128 256 1024; do
        (limited -s $size >"$out" 2>"$err"
            echo $? >"$tmp/status") 2>/dev/null
        status=$(cat "$tmp/status")
        served_or_refused() {
            case $status in
            0) [ -s "$out" ] && [ ! -s "$err" ] ;;
            *) refuses 1 'expected a stack of at least 128 KiB' ;;
            esac
        }
        expect "a stack of $size KiB is served or refused" served_or_refused
    done
    (limited -S -s 16 >"$out" 2>"$err"
        echo $? >"$tmp/status")
    status=$(cat "$tmp/status")
    expect "one that may be raised is raised" exits 0
fi
