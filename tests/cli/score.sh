# score: what is printed for each unit and protocol, streams, filters, and what is refused.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "score" "models/tales is not there"
    exit 0
fi

# column N FILE: the N-th field of all rows, less the header.
column() { grep -v '^#' "$2" | sed 1d | cut -f "$1"; }
# sums to WANTED N FILE, within a thousandth for each row
sums_to() {
    column "$2" "$3" | awk -v want="$1" '
        { sum += $1 } END { d = sum - want; exit !(d < 0.001 + NR / 1e5 && d > -0.001 - NR / 1e5) }'
}

tale="Once upon a time there was a little girl. She liked her unbelievable dog."
run score "$tale"
expect "a row for each token" test "$(column 1 "$out" | wc -l)" -eq "$("$GPT2" tokenize --count "$tale")"
expect "the header names the protocol" grep -q '^# gpt2 score: protocol stride=256, context 512, bos yes, by token, model tales$' "$out"
cp "$out" "$tmp/tokens"
total=$(column 5 "$tmp/tokens" | awk '{ sum += $1 } END { print sum }')
run score -t 1 --cpu generic "$tale"
expect "the same with one thread and generic kernels" same "$tmp/tokens" "$out"
printf '%s\n' "$tale" >"$tmp/tale"
run score -f "$tmp/tale"
expect "a file, less its newline" same "$tmp/tokens" "$out"
"$GPT2" score <"$tmp/tale" >"$out" 2>"$err"
expect "a pipe" same "$tmp/tokens" "$out"
run score -f "$tmp/tale" --keep-newline
expect "--keep-newline keeps it" test "$(column 4 "$out" | tail -n 1)" = '\n'
run score --ids "$("$GPT2" tokenize "$tale")"
expect "--ids is the same text" same "$tmp/tokens" "$out"
run score --by doc "$tale"
expect "--by doc adds up" sums_to "$total" 5 "$out"
expect "... all bytes" test "$(column 1 "$out")" = "${#tale}"
run score --by word "$tale"
expect "--by word: a row for each word" test "$(column 1 "$out" | wc -l)" -eq "$(echo "$tale" | wc -w)"
expect "... whose tokens are all there" test "$(column 3 "$out" | awk '{ n += $1 } END { print n }')" -eq "$(column 1 "$tmp/tokens" | wc -l)"
expect "... corrected for leading spaces" test "$(column 6 "$out")" != "$(column 7 "$out")"
run score --no-bos "$tale"
expect "--no-bos does not score the first token" test "$(column 5 "$out" | head -n 1)" = NA
run score --bos --protocol disjoint "$tale"
expect "--bos with a protocol that has none" test "$(column 5 "$out" | head -n 1)" = "$(column 5 "$tmp/tokens" | head -n 1)"
run score --top 2 --no-header "Once upon"
expect "--top has the alternatives" test "$(awk -F '\t' 'NF != 12' "$out" | wc -l)" -eq 0
expect "... of which rank 0 is the first" test "$(tail -n 1 "$out" | cut -f 9)" = " upon"
run score --jsonl --top 2 'a "b" é'
if command -v python3 >/dev/null; then
    expect "--jsonl is JSON" python3 -c 'import json,sys; d=[json.loads(l) for l in open(sys.argv[1])]; assert d[0]["protocol"]=="stride=256" and d[0]["bos"] is True; assert all(len(x["top"])==2 for x in d[1:]); assert d[-1]["end"]==8' "$out"
fi

run score --by token ""
expect "no text, no rows" test "$(wc -l <"$out")" -eq 2
run score --by doc ""
expect "no text, a row of nothing" test "$(column 1-8 "$out")" = "$(printf '0\t0\t0\t1\tNA\tNA\tNA\tNA')"

# A text of several contexts: every protocol, in one go and as a slow stream.
i=0
while [ $i -lt 12 ]; do
    printf 'Once upon a time there was %s. He did not like number %s.\n' "$i" "$((i * 7))"
    i=$((i + 1))
done >"$tmp/long"
n=$("$GPT2" tokenize --count --keep-newline -f "$tmp/long")
for protocol in stride=16 disjoint llama.cpp lm-eval; do
    run score --by doc --ctx 64 --protocol $protocol --keep-newline -f "$tmp/long"
    cp "$out" "$tmp/doc"
    expect "$protocol: the header names it" grep -q "protocol $protocol, context 64" "$out"
    expect "$protocol: all tokens" test "$(column 2 "$out")" -eq "$n"
    case $protocol in
    stride=16) scored=$((n - 1)) windows=$(((n + 15) / 16)) ;;
    disjoint) windows=$(((n + 63) / 64)) scored=$((n - windows)) ;;
    llama.cpp) windows=$((n / 64)) scored=$((windows * 31)) ;;
    lm-eval) windows=$(((n + 63) / 64)) scored=$n ;;
    esac
    expect "$protocol: $scored scored" test "$(column 3 "$out")" -eq $scored
    expect "$protocol: $windows windows" test "$(column 4 "$out")" -eq $windows
    (head -c 501 "$tmp/long"; sleep 0.1; tail -c +502 "$tmp/long") |
        "$GPT2" score --by doc --ctx 64 --protocol $protocol --keep-newline >"$out" 2>"$err"
    expect "$protocol: the same from a slow pipe" same "$tmp/doc" "$out"
    run score --ctx 64 --protocol $protocol --keep-newline -f "$tmp/long"
    expect "$protocol: a row for each token, scored or not" test "$(column 1 "$out" | wc -l)" -eq "$n"
    expect "$protocol: which add up" sums_to "$(column 5 "$tmp/doc")" 5 "$out"
done
run score --by doc --protocol llama.cpp "$tale"
expect "llama.cpp's protocol needs two contexts" exits 5
expect "... and says so" says 'at least 2 x 512 tokens'
printf 'short\nOnce upon a time there was a dog, and a cat who was his friend.\n' >"$tmp/short"
run score --by line --ctx 4 --protocol llama.cpp -f "$tmp/short"
expect "... of each line: a short one is an error of its own" exits 3
expect "... and says so" says 'line 1: protocol llama.cpp: expected a text of at least 2 x 4 tokens'
expect "... and the other line has its numbers" test "$(column 4 "$out" | tail -1)" -gt 0

# Lines.
printf 'Once upon a time\n\nxq zz vvv\nThere was a dog.\r\n' >"$tmp/lines"
run score --by line -f "$tmp/lines"
expect "--by line: a row for each" test "$(column 1 "$out" | tr '\n' ' ')" = "1 2 3 4 "
first=$(column 6 "$out" | head -n 1)
run score --by doc "Once upon a time"
expect "... each a text of its own" test "$(column 5 "$out")" = "$first"
run score --filter 'bits_per_byte<4' -f "$tmp/lines"
expect "--filter passes lines" test "$(cat "$out")" = "$(printf 'Once upon a time\nThere was a dog.\r')"
run score --filter 'bytes>=1 && ppl > 1e3' -f "$tmp/lines"
expect "... by several terms" prints "xq zz vvv"
printf 'Once upon a time' | "$GPT2" score --filter 'tokens==4' >"$out" 2>"$err"
expect "... and adds no newline" test "$(cat "$out"; echo x)" = "Once upon a timex"
run score --by line --lines -f /dev/null
expect "no lines, no rows" test "$(wc -l <"$out")" -eq 2

# Strange bytes.
head -c 300 /dev/urandom >"$tmp/bytes"
run score --by doc --keep-newline -f "$tmp/bytes"
expect "any bytes" test "$(column 1 "$out")" -eq 300
run score --keep-newline -f "$tmp/bytes"
expect "... a row has its columns" test "$(grep -v '^#' "$out" | awk -F '\t' 'NF != 8' | wc -l)" -eq 0
head -c 1500 /dev/zero | tr '\0' 'a' >"$tmp/word"
run score --by line --ctx 64 --protocol disjoint -f "$tmp/word"
expect "a very long word on a very long line" test "$(column 2 "$out")" -eq 1500

# A context: read, not scored.
run score --no-bos "Once upon a time there was a dog" --no-header --top 2
tail -n +4 "$out" | cut -f 4- >"$tmp/whole"
run score --context "Once upon a" " time there was a dog" --no-header --top 2
cut -f 4- "$out" >"$tmp/after"
expect "--context: the text has the numbers that it has after it" same "$tmp/whole" "$tmp/after"
expect "... and begins at 0" test "$(head -n 1 "$out" | cut -f 1)" = 0
run score --bos "Once upon a time there was a dog" --no-header
tail -n +4 "$out" | cut -f 4- >"$tmp/whole"
run score --bos --context "Once upon a" " time there was a dog" --no-header
cut -f 4- "$out" >"$tmp/after"
expect "... with --bos, too" same "$tmp/whole" "$tmp/after"
run score --no-bos "Once upon a time there was a dog" --no-header --by word
tail -n +4 "$out" | cut -f 3- >"$tmp/whole"
run score --context "Once upon a" " time there was a dog" --no-header --by word
cut -f 3- "$out" >"$tmp/after"
expect "... by word" same "$tmp/whole" "$tmp/after"
for protocol in stride=16 disjoint lm-eval; do
    for bos in --bos --no-bos; do
        { printf 'Once upon a' && cat "$tmp/long"; } >"$tmp/joined"
        run score --no-header --ctx 64 --protocol $protocol $bos --keep-newline -f "$tmp/joined"
        tail -n +4 "$out" | cut -f 3- >"$tmp/whole"
        run score --no-header --ctx 64 --protocol $protocol $bos --keep-newline -f "$tmp/long" --context "Once upon a"
        cut -f 3- "$out" >"$tmp/after"
        expect "... $protocol $bos: the windows of both together" same "$tmp/whole" "$tmp/after"
    done
done
printf ' time\n a dog\n\n' >"$tmp/ends"
run score --by line --context "Once upon a" -f "$tmp/ends" --no-header
expect "... before each line" test "$(cut -f 4 "$out" | tr '\n' ' ')" = "1 2 0 "
cp "$out" "$tmp/lines"
run score --by line --context "Once upon a" -f "$tmp/ends" --no-header --cache-memory 0
expect "... the same without what is shared" same "$tmp/lines" "$out"
cat >"$tmp/records" <<'END'
{"id": "a", "context": "Once upon a", "text": " time"}
{"text": "Once upon a time"}

{"context": "", "text": "Once"}
{"text": 5}
{"text": "Once", "more": 1}
{"context": "Once upon a", "text": " zebra"}
END
run score --input "$tmp/records"
expect "--input: bad records are answered, the others too" exits 3
expect "... in their places" test "$(sed 's/,.*//' "$out" | tr '\n' ' ')" = '{"id": "a" {"id": 1 {"id": 3 {"id": 4 {"id": 5 {"id": 6 '
expect "... by name" grep -qF '{"id": 5, "error": {"code": "invalid_record", "message": "unknown member \"more\"", "line": 6}}' "$out"
expect "... which says what is known" says 'known are "id", "context" and "text"'
expect "... the likeliest is greedy" test "$(sed -n '1s/.*"greedy": //p; 6s/.*"greedy": //p' "$out" | tr '\n' ' ')" = 'true} false} '
cp "$out" "$tmp/answers"
run score --input "$tmp/records" --cache-memory 0 -t 1
expect "... the same without what is shared" same "$tmp/answers" "$out"
run score --by doc --no-header --jsonl "Once upon a time"
expect "... and what a text has alone" grep -qF "$(sed 's/^{//; s/}$//' "$out")" "$tmp/answers"
{ yes '{"context": "Once upon a", "text": " time"}' | head -n 200; } >"$tmp/many"
run score --input "$tmp/many"
expect "... of many, each the same" test "$(sed 's/"id": [0-9]*//' "$out" | sort -u | wc -l)" -eq 1
run score --context "$(yes word | head -n 600 | tr '\n' ' ')" " dog"
expect "a context that leaves no room" refuses 5 'a context of 602 tokens: expected at most 511'
printf '{"context": "%s", "text": "dog"}\n' "$(yes word | head -n 600 | tr '\n' ' ')" >"$tmp/full"
run score --input "$tmp/full"
expect "... of a record is an error of its own" exits 3
run score --protocol llama.cpp --context a b
expect "a protocol that has no place for it" refuses 2 'llama.cpp'

# Colours are for terminals.
run score --tint rank "$tale"
expect "--color through a pipe is the text" prints "$tale"
if command -v script >/dev/null && [ -z "${VALGRIND:-}" ]; then
    script -qec "$GPT2 score --tint rank 'Once upon a zebra'" /dev/null </dev/null >"$out" 2>"$err"
    expect "--color on a terminal" grep -q "$(printf '\033')\[30;48;5;" "$out"
    NO_COLOR=1 script -qec "$GPT2 score --tint rank 'Once upon a zebra'" /dev/null </dev/null >"$out" 2>"$err"
    expect "... but not with NO_COLOR" test "$(grep -c "$(printf '\033')" "$out")" -eq 0
else
    skip "--color on a terminal" "there is no script"
fi

# What is refused.
run score --protocol best "$tale"
expect "an unknown protocol" refuses 2 'expected disjoint, stride=N, llama.cpp or lm-eval, got "best"'
run score --protocol stride=0 "$tale"
expect "a stride of 0" refuses 2 'stride=1 to stride=512'
run score --protocol stride=513 "$tale"
expect "a stride beyond the context" refuses 2 'stride=1 to stride=512'
run score --ctx 513 "$tale"
expect "a context beyond the model's" refuses 2 'expected 2 to 512'
filter() {
    run score --filter "$1" -f "$tmp/lines"
    expect "--filter '$1'" refuses 2 "--filter: $2"
}
filter 'bits' 'expected < <= > >= == or != after bits, got nothing'
filter 'foo<3' 'unknown field "foo", expected one of bytes, tokens, scored, logprob, bits, bits_per_byte, ppl'
filter 'ppl<3 && p2<3' 'unknown field "p2", expected one of bytes'
filter '<3' 'expected a field (bytes, tokens,'
filter 'ppl<3 &&' 'expected a field (bytes, tokens,'
filter 'ppl=3' 'expected < <= > >= == or != after ppl, got "=3"'
expect "... with a hint" says 'equal is =='
filter 'ppl<x' 'expected a number after ppl<, got "x"'
filter 'ppl<5 or tokens<3' 'expected && or the end after a term, got "or tokens<3"'
filter 'a || b' 'expected && or the end after a term, got "|| b"'
expect "... with a hint" says 'only && joins terms'
filter 'ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1&&ppl<1' 'expected at most'
run score --filter 'ppl<5' --tint rank "$tale"
expect "a filter with colours" refuses 2 "--filter and --tint rank exclude each other"
run score --bos --no-bos "$tale"
expect "with and without bos" refuses 2 "--bos and --no-bos exclude each other"
run score --by word --top 3 "$tale"
expect "alternatives of words" refuses 2 "--top has an effect only with --by token"
run score --ids "1 2 x"
expect "ids that are none" exits 2
expect "... are shown" says 'found "x"'
run score --ids "1 99999"
expect "an id beyond the vocabulary" says 'token id 99999 is not in the vocabulary (0 to 8191)'
# Of lines each is its own.
printf '1 2\n3 x\n99999 4\n5 6\n' >"$tmp/ids"
run score --ids --lines --by doc --no-header -f "$tmp/ids"
expect "ids of lines that are none: the others are scored" exits 3
expect "... the line is named" says "ids, line 2: expected token ids (whole numbers), found \"x\" at byte 2"
expect "... and that of an id beyond the vocabulary" says "ids, line 3: token id 99999 is not in the vocabulary"
expect "... the last one is scored" grep -q '^4' "$out"
printf '100 200\n300 5\n' >"$tmp/ids"
run score --ids --lines --by token --no-header -f "$tmp/ids"
expect "... places are those of the text that a line is" test "$(sed -n 's/^2\t\([0-9]*\)\t\([0-9]*\)\t.*/\1 \2/p' "$out" | tr '\n' ' ')" = "0 2 2 3 "
run score -f "$tmp/none"
expect "a missing file" exits 5
run score "$tale" -p b
expect "two texts" refuses 2 "given more than once"
run score "$tale" -f "$tmp/tale" --by doc --no-header
cp "$out" "$tmp/joined"
cat "$tmp/tale" | tr -d '\n' >"$tmp/both"
printf '%s' "$tale" >>"$tmp/both"
run score -f "$tmp/both" --by doc --no-header
expect "a file and a text are one, the file first" same "$tmp/joined" "$out"
yes "$tale" | head -n 3000 | "$GPT2" score 2>"$err" | head -n 5 >/dev/null
expect "a closed pipe is no error message" died_quietly
if [ -w /dev/full ]; then
    "$GPT2" score "$tale" >/dev/full 2>"$err"
    status=$?
    : >"$out"
    expect "a full disk" refuses 1 'cannot write to standard output'
fi
