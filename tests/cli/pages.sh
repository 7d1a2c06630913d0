# Every help page, every man page and every table fits a terminal of 80 columns and one of 40.
. tests/cli/cases.inc

if ! command -v python3 >/dev/null; then
    skip "pages" "python3 is not installed"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "pages" "too long under valgrind"
    exit 0
fi

# fits WIDTH [FILE]: what the terminal got ($raw); the text of FILE, if it is given.
fits() {
    python3 tests/columns.py "$@" <"$raw" >"$err"
}
# rendered NAME WORDS...: at both widths nothing is wider, and nothing is lost.
rendered() {
    run "$@"
    cp "$out" "$tmp/piped"
    for width in 80 40; do # a bar on standard error is not part of it
        printf 'size 24 %d\n' $width |
            python3 tests/terminal.py "$raw" "$screen" sh -c 'exec "$0" "$@" 2>/dev/null' "$GPT2" "$@"
        expect "$* at $width" fits $width "$tmp/piped"
    done
}

rendered --help
commands >"$tmp/commands"
expect "there are commands" test "$(wc -l <"$tmp/commands")" -gt 15
while read -r command; do
    rendered "$command" --help </dev/null
    rendered "$command" --help all </dev/null
done <"$tmp/commands"

topics >"$tmp/topics"
expect "there are topics" test "$(wc -l <"$tmp/topics")" -ge 5
while read -r topic; do
    rendered help "$topic" </dev/null
done <"$tmp/topics"

# ---- man pages ----
tools/make_man "$GPT2" "$tmp/man" >"$out" 2>"$err"
for formatter in mandoc groff; do
    if ! command -v $formatter >/dev/null; then
        skip "man pages with $formatter" "it is not installed"
        continue
    fi
    for page in "$tmp"/man/*.[157]; do
        for width in 80 40; do
            case $formatter in
            mandoc) mandoc -T utf8 -O width=$width "$page" >"$raw" ;;
            groff) groff -man -T utf8 -rLL=${width}n "$page" >"$raw" 2>/dev/null ;;
            esac
            expect "$(basename "$page") by $formatter at $width" fits $width
            expect "it is a page" test "$(wc -l <"$raw")" -gt 10
        done
    done
done

# ---- tables ----
if [ ! -f models/tales/model.safetensors ]; then
    skip "tables" "models/tales is not there"
    exit 0
fi
tale="Once upon a time there was a Dragon, who said: hello"
rendered info models/tales
rendered info models/tales --tensors
rendered verify models/tales
rendered models
rendered compare models/tales models/tales -f tests/README.md
for view in layernorm lens attention "attention --layer 2 --head 1" residual "residual --ablate ln-bias" \
    "compare -p ok -p hatred"; do
    for width in 80 40; do
        # shellcheck disable=SC2086 # words
        printf 'size 24 %d\n' $width | play inspect $view -p "$tale"
        expect "inspect $view at $width" fits $width
        expect "inspect $view is drawn" exits 0
    done
done
for width in 80 40; do
    printf 'size 24 %d\n' $width | play bench -p 8 -n 4 -r 1
    expect "bench at $width" fits $width
    printf 'size 24 %d\nstdout %s\n' $width "$tmp/text" | play generate --stats -n 4 --greedy "$tale"
    expect "generate --stats at $width" fits $width
    printf 'size 24 %d\nexpect "> "\nsend "/help\\r"\nexpect "JSON"\nsend "/quit\\r"\n' $width |
        play generate -i --model models/tales
    expect "/help at $width" fits $width
done

# A pipe gets lines whole.
run info models/tales --tensors
expect "a pipe gets them whole" grep -q '^  wte.weight  .* bytes$' "$out"
