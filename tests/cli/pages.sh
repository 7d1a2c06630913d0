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
# The sanitizers, under which each run takes seconds, have one width.
widths="80 40"
[ -z "${SANITIZE:-}" ] || widths=40

# rendered NAME WORDS...: at both widths nothing is wider, and nothing is lost.
rendered() {
    run "$@"
    cp "$out" "$tmp/piped"
    for width in $widths; do # a bar on standard error is not part of it
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
    # lines to be copied, which stay whole
    play help "$command" examples <<END
size 24 80
END
    expect "help $command examples at 80" fits 80
done <"$tmp/commands"

# In the terminal a page is what shows it there, and the last lines promise nothing that is not.
for page in $(commands); do
    "$GPT2" "$page" --help all >"$tmp/all" 2>"$err"
    "$GPT2" "$page" --help >"$out" 2>"$err"
    expect "$page --help needs no man" test -z "$(grep -oE 'gpt2-[a-z]+\([1-7]\)' "$out" "$tmp/all")"
    if grep -q 'help all` lists' "$out"; then
        expect "... and --help all has more" test "$(wc -l <"$tmp/all")" -gt "$(($(wc -l <"$out") + 8))"
    fi
done
for page in $(topics); do
    "$GPT2" help "$page" >"$out" 2>"$err"
    expect "help $page needs no man" test -z "$(grep -oE 'gpt2-[a-z]+\([1-7]\)' "$out")"
    grep -oE 'gpt2 help [a-z]+' "$out" | sort -u | while read -r _ _ other; do
        expect "help $other, which it names" "$GPT2" help "$other" >/dev/null
    done
done

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
        for width in $widths; do
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
rendered version --verbose
# What each command shows people on a terminal, a line of arguments each; MODEL, TALE and TMP stand
# for a model, a sentence and a folder. "-": it shows text or lines for programs only.
printf '%s\n' '{"text": "The king was old and the queen was old"}' '{"text": "The fox ran into the wood"}' >"$tmp/lambada"
shown() {
    case $1 in
    score)
        for by in token word line doc; do echo "score MODEL -p TALE --by $by"; done
        echo 'score MODEL -p TALE --top 2'
        echo 'score MODEL --lines -f tests/README.md --by line'
        ;;
    choose) echo 'choose MODEL -p TALE -c red,blue,green,yellow' ;;
    eval) echo 'eval MODEL lambada TMP/lambada' ;;
    compare)
        echo 'compare MODEL models/tales -f tests/README.md -n 50'
        echo 'compare MODEL models/tales models/tales --kv q8 -f tests/README.md -n 50'
        ;;
    bench)
        echo 'bench MODEL -p 8 -n 4 -r 1 -t 1,2 --profile'
        echo 'bench MODEL --speculate lookup -n 4 -r 1'
        ;;
    inspect)
        for view in layernorm lens attention 'attention --layer 2 --head 1' residual 'residual --ablate ln-bias' \
            'compare -p ok -p hatred'; do
            echo "inspect $view MODEL -p TALE"
        done
        ;;
    info) echo 'info MODEL' ;;
    verify) echo 'verify MODEL' ;;
    models) echo 'models' ;;
    version) echo 'version --verbose' ;;
    generate | tokenize | detokenize | quantize | convert | embed | serve | pull | rm | completions) echo - ;;
    esac
}
while read -r command; do
    shown "$command" >"$tmp/shown"
    expect "it is known what $command shows" test -s "$tmp/shown"
    while read -r words; do
        [ "$words" != - ] || continue
        for width in $widths; do
            set --
            for word in $words; do
                case $word in
                MODEL) set -- "$@" -m models/tales ;;
                TALE) set -- "$@" "$tale" ;;
                TMP/*) set -- "$@" "$tmp/${word#TMP/}" ;;
                *) set -- "$@" "$word" ;;
                esac
            done
            play "$@" <<END
size 24 $width
END
            expect "$words at $width" fits $width
            expect "... without a tab" test "$(tr -cd '\t' <"$raw" | wc -c)" -eq 0
            expect "... and that is all" exits 0
        done
    done <"$tmp/shown"
done <"$tmp/commands"
# One of a thing is one.
one() { ! grep -nE '(^|[^0-9.,])1 (tokens|threads|texts|samples|records|items|tensors|blocks|pairs|processors|prompts|rounds|features|bytes)' "$@" >"$err"; }
printf '%s\n' '{"text": "a b"}' >"$tmp/one_item"
while read -r words; do
    # shellcheck disable=SC2086 # words
    "$GPT2" $words >"$out" 2>"$tmp/told" </dev/null
    status=$?
    expect "one of a thing: $words" one "$out" "$tmp/told"
    cp "$out" "$err"
    expect "... is shown" exits 0
done <<END
generate --stats -n 2 -t 1 a
generate --stats -n 1 -t 1 a --save-session $tmp/one.session
generate --stats -n 0 -t 1 a
info models/tales -t 1
verify models/tales
compare models/tales -n 1 -t 1 -f README.md
bench -p 1 -n 1 -r 1 -t 1
bench --speculate lookup -n 1 -r 1 -t 1
inspect layernorm a --no-bos
inspect attention ab
inspect lens a
inspect residual a
inspect compare -p a -p b
score --by doc a
eval lambada $tmp/one_item
version --verbose
END
# Columns are aligned: what is under the end of a heading ends there.
aligned() { # LINES COLUMN: of this heading in the first of the last LINES lines
    tail -n "$1" "$screen" | grep . | awk -v name="$2" '
        NR == 1 { at = index($0, name) + length(name); next }
        substr($0, at - 1, 1) == " " || (length($0) >= at && substr($0, at, 1) != " ") { bad = 1 }
        END { exit bad || NR < 2 }'
}
play choose -m models/tales -p "$tale" -c red,blue,green,yellow <<END
size 24 80
END
expect "choose aligns its scores" aligned 5 score
expect "... and its tokens" aligned 5 tokens
play score -m models/tales --by doc "$tale" <<END
size 24 80
END
expect "score aligns its columns" aligned 2 bits_per_byte
# Who asks for a format gets it: the same bytes on a terminal and in a pipe.
run score -m models/tales --tsv "$tale"
play score -m models/tales --tsv "$tale" <<END
size 24 80
END
tr -d '\r' <"$raw" >"$tmp/asked"
"$GPT2" score -m models/tales --tsv "$tale" >"$out" 2>"$err"
expect "score --tsv is TSV on a terminal too" same "$tmp/asked" "$out"
"$GPT2" score -m models/tales "$tale" >"$tmp/piped" 2>"$err"
expect "... and what a pipe gets" same "$tmp/piped" "$out"
play bench -m models/tales -p 8 -n 4 -r 1 --format md <<END
size 24 80
END
expect "bench --format md is Markdown on a terminal too" grep -q '^| test | threads |.*|.$' "$raw"
for width in $widths; do
    play generate --stats -n 4 --greedy "$tale" <<END
size 24 $width
stdout $tmp/text
END
    expect "generate --stats at $width" fits $width
    play generate -i --model models/tales <<END
size 24 $width
expect "> "
send "/help\r"
expect "JSON"
send "/quit\r"
END
    expect "/help at $width" fits $width
    expect "... whose prose is a paragraph" test -z "$(sed -n '/^A line that is to begin/,/^commands/p' "$screen" | grep '^ ')"
    play inspect layernorm --model models/tales "Once upon" <<END
size 24 $width
END
    tr '\n' ' ' <"$screen" | tr -s ' ' >"$tmp/line"
    expect "a heading at $width is whole" grep -q 'kurtosis over the features 3: like' "$tmp/line"
    expect "... without an indent" test -z "$(grep -A 1 '^How spiky the stream is' "$screen" | grep '^ ')"
done

# A pipe gets lines whole.
run info models/tales --tensors
expect "a pipe gets them whole" grep -q '^  wte.weight  .* bytes$' "$out"
